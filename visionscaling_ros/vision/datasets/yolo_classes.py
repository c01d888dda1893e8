"""The class names of YOLO labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from visionscaling_ros.vision.datasets.data_set_error import DataSetError

CLASSES_FILE = 'classes.txt'


def read_classes_file(folder: Path) -> tuple[str, ...]:
    """Names of ``classes.txt``, one a line, in the folder or in its ``labels/``."""
    places = [folder / CLASSES_FILE, folder / 'labels' / CLASSES_FILE]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise DataSetError(f'{folder} has no {CLASSES_FILE}; allowed: one class name a line')
    try:
        lines = path.read_text(encoding='utf-8-sig').rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataSetError(f'{path} cannot be read: {error}') from error
    return check_names([line.strip() for line in lines], str(path))


def check_names(names: Sequence[object], where: str) -> tuple[str, ...]:
    """``names`` if they are texts and distinct. Raises DataSetError otherwise."""
    checked: list[str] = []
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name or name in checked:
            raise DataSetError(f'{where}: class {number} = {name!r}; allowed: a text, once')
        checked.append(name)
    if not checked:
        raise DataSetError(f'{where} has no class; allowed: one or more')
    return tuple(checked)
