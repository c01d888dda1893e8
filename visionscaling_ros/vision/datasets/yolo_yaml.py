"""The data.yaml of YOLO data sets: where the images are, and what the classes are called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from visionscaling_ros.vision.datasets.data_set_error import DataSetError
from visionscaling_ros.vision.datasets.image_files import image_files
from visionscaling_ros.vision.datasets.yolo_classes import check_names

PARTS = ('train', 'val', 'test')


def read_data_yaml(path: Path) -> tuple[Path, tuple[str, ...], dict[str, list[Path]]]:
    """The data set's folder, its class names, and the images of its parts.

    ``path`` in the file (default: its own folder) is what the parts are relative to. A part is a
    folder, a text file of image paths, or a list of these. Other keys are not looked at.

    :raises DataSetError: naming file, field, value and what is allowed.
    """
    allowed = 'a YAML file with names and train, val or test'
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8-sig'))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: no date
        raise DataSetError(f'{path} cannot be read: {error}; allowed: {allowed}') from error
    if not isinstance(content, dict):
        raise DataSetError(f'{path} is no mapping; allowed: {allowed}')
    classes = _class_names(path, content)
    root = path.resolve().parent / str(content.get('path') or '')
    parts = {name: content[name] for name in PARTS if content.get(name)}
    if not parts:
        raise DataSetError(f'{path} has no part; allowed: {", ".join(PARTS)}')
    return root, classes, {name: _part(path, name, root, value) for name, value in parts.items()}


def _class_names(path: Path, content: Mapping[str, Any]) -> tuple[str, ...]:
    names = content.get('names')
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise DataSetError(f'{path}: names = {names!r}; allowed: class ids 0, 1, 2, ... once')
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list):
        raise DataSetError(f'{path}: names = {names!r}; allowed: a list, or a mapping of class ids')
    count = content.get('nc', len(names))
    if count != len(names):
        raise DataSetError(f'{path}: nc = {count!r}; allowed: {len(names)}, as there are names')
    return check_names(names, f'{path}: names')


def _part(path: Path, part: str, root: Path, value: object) -> list[Path]:
    images: list[Path] = []
    for item in value if isinstance(value, list) else [value]:
        place = _find(root, item)
        if place is None:
            raise DataSetError(
                f'{path}: {part} = {item!r}; allowed: a folder or a .txt list below {root}'
            )
        images += image_files(place) if place.is_dir() else _listed(place, root)
    return images


def _find(root: Path, item: object) -> Path | None:
    if not isinstance(item, str) or not item:
        return None
    # some exporters write ../train/images beside the folder train
    candidates = [root / item, root / item.removeprefix('../')]
    for place in candidates:
        if place.is_dir() or (place.suffix == '.txt' and place.is_file()):
            return place
    return None


def _listed(path: Path, root: Path) -> list[Path]:
    """Image paths of a text file, one a line: from its folder when they start with ``./``."""
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataSetError(f'{path} cannot be read: {error}') from error
    return [
        (path.parent if line.startswith('./') else root) / line
        for line in (line.strip() for line in lines)
        if line
    ]
