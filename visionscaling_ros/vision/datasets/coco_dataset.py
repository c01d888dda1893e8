"""COCO object detection labels: one JSON with ``images``, ``annotations`` and ``categories``.

Format: https://cocodataset.org/#format-data; ``bbox`` is x, y, width, height in pixels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from visionscaling_ros.vision.datasets.data_set_error import DataSetError, Problems
from visionscaling_ros.vision.datasets.image_files import image_fault
from visionscaling_ros.vision.datasets.labelled_files import (
    EDGE_TOLERANCE,
    LabelledFile,
    LabelledFiles,
)

_PROBED = 20  # images looked for to find out which folder they are in
_FAR_PX = 1e9


@dataclass
class _Image:
    """An image entry and the boxes (x, y, width, height), class ids and crowd flags of it."""

    name: str
    size_px: tuple[int, int] | None  # None: told as a problem
    rows: list[tuple[list[float], int, bool]] = field(default_factory=list)


def read_coco(
    path: Path,
    *,
    image_root: Path | None = None,
    skip_bad: bool = False,
    longest_side_px: int | None = None,
) -> LabelledFiles:
    """Images and labels of a COCO JSON; classes in the order of their category ids.

    :param image_root: the folder ``file_name`` starts from (default: looked for beside the JSON).
    :raises DataSetError: naming file, entry, field, value and what is allowed.
    """
    document = _document(path)
    names, class_ids = _classes(path, document['categories'])
    problems = Problems()
    root = image_root or _find_root(path, document['images'])
    images = _images(path, document['images'], root, problems)
    _annotations(path, document['annotations'], images, class_ids, problems)
    bad = problems.settle(path, skip_bad=skip_bad)
    files = [
        _labelled_file(root, image, image.size_px)
        for image in images.values()
        if image.name not in bad and image.size_px is not None
    ]
    return LabelledFiles(files, names, skipped=len(bad), longest_side_px=longest_side_px)


def _document(path: Path) -> Mapping[str, list[Any]]:
    allowed = 'a COCO JSON with images, annotations and categories'
    try:
        document = json.loads(path.read_text(encoding='utf-8-sig'))
    except (OSError, ValueError, RecursionError) as error:
        raise DataSetError(f'{path} cannot be read: {error}; allowed: {allowed}') from error
    if not isinstance(document, dict):
        raise DataSetError(f'{path} is a {type(document).__name__}; allowed: {allowed}')
    for section in ('images', 'annotations', 'categories'):
        entries = document.get(section)
        if not isinstance(entries, list) or any(not isinstance(item, dict) for item in entries):
            raise DataSetError(f'{path}: {section} is no list of objects; allowed: {allowed}')
    if not document['images'] or not document['categories']:
        raise DataSetError(f'{path} has no images or no categories; allowed: {allowed}')
    return document


def _classes(path: Path, categories: list[Any]) -> tuple[list[str], dict[int, int]]:
    """Class names in the order of the category ids, and the class id of each category id."""
    names: dict[int, str] = {}
    for k, item in enumerate(categories):
        number, name = item.get('id'), item.get('name')
        where = f'{path}: categories[{k}]'
        if not _is_whole(number) or number in names:
            raise DataSetError(f'{where}.id = {number!r}; allowed: a whole number, once')
        if not isinstance(name, str) or not name or name in names.values():
            raise DataSetError(f'{where}.name = {name!r}; allowed: a text, once')
        names[number] = name
    order = sorted(names)
    return [names[number] for number in order], {number: k for k, number in enumerate(order)}


def _find_root(path: Path, images: list[Any]) -> Path:
    folder = path.resolve().parent
    part = path.stem.removeprefix('instances_')
    candidates = [folder, folder / 'images', folder / part]
    candidates += [folder.parent, folder.parent / 'images', folder.parent / part]
    probed = [str(item.get('file_name')) for item in images[:_PROBED]]
    found = {root: sum(os.path.isfile(root / name) for name in probed) for root in candidates}
    best = max(candidates, key=lambda root: found[root])
    if not found[best]:
        raise DataSetError(
            f'{path}: images[0].file_name = {probed[0]!r} is in none of '
            f'{", ".join(map(str, candidates))}; allowed: an image_root (--image-root) it is in'
        )
    return best


def _images(path: Path, entries: list[Any], root: Path, problems: Problems) -> dict[object, _Image]:
    """The image entries by id."""
    images: dict[object, _Image] = {}
    seen: set[str] = set()
    for k, item in enumerate(entries):
        where = f'{path.name}: images[{k}]'
        key, name = item.get('id'), item.get('file_name')
        if not isinstance(name, str) or not name or name in seen:
            problems.add(where, 'file_name', name, 'a text, once', str(name))
            continue
        seen.add(name)
        if not isinstance(key, (int, str)) or key in images:
            problems.add(where, 'id', key, 'a number or text, once', name)
            other = images.get(key) if isinstance(key, (int, str)) else None
            if other is not None:  # whose labels are meant nobody knows: the other is spoilt too
                problems.add(where, 'id', key, 'once', other.name)
            continue
        width_px, height_px = item.get('width'), item.get('height')
        size_px = None
        if _is_side(width_px) and _is_side(height_px):
            size_px = width_px, height_px
        else:
            sides = f'{width_px!r}x{height_px!r}'
            problems.add(where, 'width, height', sides, 'whole px, 1 or more', name)
        fault = image_fault(root / name)
        if fault is not None:
            problems.add(where, 'file_name', name, f'a whole image in {root} ({fault})', name)
        images[key] = _Image(name, size_px)
    return images


def _annotations(
    path: Path,
    entries: list[Any],
    images: Mapping[object, _Image],
    class_ids: Mapping[int, int],
    problems: Problems,
) -> None:
    """Add each usable annotation to the rows of its image."""
    seen: set[object] = set()
    for k, item in enumerate(entries):
        where = f'{path.name}: annotations[{k}]'
        key, image_id = item.get('id'), item.get('image_id')
        image = images.get(image_id) if isinstance(image_id, (int, str)) else None
        if image is None:
            problems.add(where, 'image_id', image_id, 'the id of one of the images')
            continue
        fault = _annotation_fault(item, image.size_px, class_ids)
        if not isinstance(key, (int, str)) or key in seen:
            fault = ('id', key, 'a number or text, once')
        if fault is not None:
            problems.add(where, *fault, picture=image.name)
            continue
        seen.add(key)
        image.rows.append((item['bbox'], class_ids[item['category_id']], item.get('iscrowd') == 1))


def _annotation_fault(
    item: Mapping[str, Any], size_px: tuple[int, int] | None, class_ids: Mapping[int, int]
) -> tuple[str, object, str] | None:
    category, box, crowd = item.get('category_id'), item.get('bbox'), item.get('iscrowd', 0)
    if not _is_whole(category) or category not in class_ids:
        return 'category_id', category, 'the id of one of the categories'
    if crowd not in (0, 1):
        return 'iscrowd', crowd, '0 or 1'
    if size_px is not None and not _is_box(box, size_px):
        inside = f'{size_px[0]}x{size_px[1]}'
        return 'bbox', box, f'x, y, width, height in px, not empty, within {inside}'
    return None


def _is_box(box: object, size_px: tuple[int, int]) -> bool:
    if not isinstance(box, list) or len(box) != 4:
        return False
    if not all(_is_number(value) and abs(value) < _FAR_PX for value in box):  # nor NaN
        return False
    return all(
        length > 0
        and -EDGE_TOLERANCE * side <= start < side
        and 0 < start + length <= (1 + EDGE_TOLERANCE) * side
        for start, length, side in zip(box[:2], box[2:], size_px, strict=True)
    )


def _labelled_file(root: Path, image: _Image, size_px: tuple[int, int]) -> LabelledFile:
    boxes = np.array([row[0] for row in image.rows], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes /= [*size_px, *size_px]
    return LabelledFile(
        path=root / image.name,
        name=image.name,
        boxes=np.clip(boxes, 0.0, 1.0),
        class_ids=np.array([row[1] for row in image.rows], np.int64),
        crowd=np.array([row[2] for row in image.rows], np.bool_),
        size_px=size_px,
    )


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_side(value: object) -> TypeGuard[int]:
    return _is_whole(value) and value > 0


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
