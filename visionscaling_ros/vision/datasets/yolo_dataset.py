"""YOLO text labels: beside each image a file of lines ``class cx cy w h`` in shares of its sides.

``images/a.jpg`` goes with ``labels/a.txt``; an image without a label file shows no object.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from visionscaling_ros.vision.datasets.data_set_error import DataSetError, Problems
from visionscaling_ros.vision.datasets.image_files import image_fault, image_files
from visionscaling_ros.vision.datasets.labelled_files import (
    EDGE_TOLERANCE,
    LabelledFile,
    LabelledFiles,
)
from visionscaling_ros.vision.datasets.yolo_classes import CLASSES_FILE, read_classes_file
from visionscaling_ros.vision.datasets.yolo_yaml import read_data_yaml
from visionscaling_ros.vision.sources.folder_source import SUFFIXES


def read_yolo_folder(
    folder: Path, *, skip_bad: bool = False, longest_side_px: int | None = None
) -> LabelledFiles:
    """A folder with ``images/``, ``labels/`` and ``classes.txt`` (one name a line; or in labels/).

    :raises DataSetError: naming file, line, field, value and what is allowed.
    """
    for name in ('images', 'labels'):
        if not (folder / name).is_dir():
            raise DataSetError(f'{folder} has no folder {name}; allowed: images/ and labels/')
    classes = read_classes_file(folder)
    images = image_files(folder / 'images')
    return _read(folder, images, classes, skip_bad=skip_bad, longest_side_px=longest_side_px)


def read_yolo_yaml(
    path: Path,
    *,
    part: str | None = None,
    skip_bad: bool = False,
    longest_side_px: int | None = None,
) -> LabelledFiles:
    """A data.yaml with ``names`` and the folders or lists ``train``, ``val``, ``test``.

    :param part: which of them (default: all that are there).
    :raises DataSetError: naming file, line, field, value and what is allowed.
    """
    folder, classes, parts = read_data_yaml(path)
    if part is not None and part not in parts:
        raise DataSetError(f'{path} has no part {part!r}; allowed: {", ".join(parts)}')
    chosen = parts.values() if part is None else [parts[part]]
    images = sorted({image for paths in chosen for image in paths})
    return _read(folder, images, classes, skip_bad=skip_bad, longest_side_px=longest_side_px)


def _read(
    folder: Path,
    images: Sequence[Path],
    classes: Sequence[str],
    *,
    skip_bad: bool,
    longest_side_px: int | None,
) -> LabelledFiles:
    if not images:
        raise DataSetError(f'{folder} has no image; allowed: images below images/')
    problems = Problems()
    images_of: dict[Path, Path] = {}
    files = []
    for image in images:
        name, label = _name(image, folder), _label_file(image)
        fault = image_fault(image)
        if fault is not None:
            problems.add(name, 'image', fault, 'a whole image', name)
        if label in images_of:
            other = _name(images_of[label], folder)
            problems.add(name, 'label file', label.name, f'one image each, not also {other}', name)
            problems.add(other, 'label file', label.name, f'one image each, not also {name}', other)
        images_of[label] = image
        files.append(_labelled_file(image, name, label, len(classes), problems))
    _find_orphans(folder, images_of, problems)
    bad = problems.settle(folder, skip_bad=skip_bad)
    return LabelledFiles(
        [file for file in files if file.name not in bad],
        classes,
        skipped=len(bad),
        longest_side_px=longest_side_px,
    )


def _find_orphans(folder: Path, images_of: Mapping[Path, Path], problems: Problems) -> None:
    """Labels without an image; no labels at all mean a wrong folder rather than empty pictures."""
    if not any(label.is_file() for label in images_of):
        places = ', '.join(sorted({str(label.parent) for label in images_of})[:3])
        raise DataSetError(f'{folder}: no image has a label file; allowed: NAME.txt in {places}')
    for place, images in {(label.parent, image.parent) for label, image in images_of.items()}:
        if not (images.is_dir() and place.is_dir()):
            continue
        stems = {image.stem for image in images.iterdir() if image.suffix.lower() in SUFFIXES}
        for label in sorted(place.glob('*.txt')):
            if label.stem not in stems and label.name != CLASSES_FILE:
                problems.add(_name(label, folder), 'image', None, f'{label.stem}.* in {images}')


def _labelled_file(
    image: Path, name: str, label: Path, classes: int, problems: Problems
) -> LabelledFile:
    rows: list[list[float]] = []
    for number, line in enumerate(_text(label, name, problems).splitlines(), 1):
        columns = line.split()
        if not columns:
            continue
        fault = _row_fault(columns, classes)
        if fault is None:
            rows.append([float(column) for column in columns])
        else:
            problems.add(f'{label} line {number}', *fault, picture=name)
    table = np.array(rows, np.float64).reshape(-1, 5)
    half = table[:, 3:] / 2
    boxes = np.hstack([table[:, 1:3] - half, table[:, 1:3] + half])
    return LabelledFile(
        path=image,
        name=name,
        boxes=np.clip(boxes, 0.0, 1.0),
        class_ids=table[:, 0].astype(np.int64),
        crowd=np.zeros(len(table), np.bool_),
    )


def _text(label: Path, name: str, problems: Problems) -> str:
    try:
        return label.read_text(encoding='utf-8-sig')
    except FileNotFoundError:
        return ''
    except (OSError, UnicodeDecodeError) as error:
        problems.add(str(label), 'labels', str(error), 'a text file', name)
        return ''


def _row_fault(columns: Sequence[str], classes: int) -> tuple[str, object, str] | None:
    if len(columns) != 5:
        return 'columns', len(columns), '5: class cx cy w h (no outlines, no scores)'
    if not columns[0].isdecimal() or len(columns[0]) > 9 or int(columns[0]) >= classes:
        return 'class', columns[0], f'0 to {classes - 1}'
    for field, text in zip(('cx', 'cy', 'w', 'h'), columns[1:], strict=True):
        value = _number(text)
        if not 0.0 <= value <= 1.0 or (value == 0.0 and field in 'wh'):  # nor NaN
            return field, text, 'above 0, at most 1' if field in 'wh' else '0 to 1'
    center_x, center_y, width, height = map(float, columns[1:])
    for field, center, length in (('cx, w', center_x, width), ('cy, h', center_y, height)):
        reach = max(length / 2 - center, center + length / 2 - 1.0)
        if reach > EDGE_TOLERANCE:
            return field, (center, length), f'a box that ends within {EDGE_TOLERANCE:g} of the edge'
    return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _label_file(image: Path) -> Path:
    """The last folder ``images`` becomes ``labels``; without one, labels lie beside the images."""
    parts = list(image.parts)
    for k in range(len(parts) - 2, -1, -1):
        if parts[k] == 'images':
            parts[k] = 'labels'
            break
    return Path(*parts).with_suffix('.txt')


def _name(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)
