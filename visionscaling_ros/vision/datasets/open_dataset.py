"""Opens a data set of any of the formats that are read."""

from __future__ import annotations

from pathlib import Path

from visionscaling_ros.vision.datasets.coco_dataset import read_coco
from visionscaling_ros.vision.datasets.data_set_error import DataSetError
from visionscaling_ros.vision.datasets.labelled_files import LabelledFiles
from visionscaling_ros.vision.datasets.yolo_classes import CLASSES_FILE
from visionscaling_ros.vision.datasets.yolo_dataset import read_yolo_folder, read_yolo_yaml

ALLOWED = (
    'a COCO .json, a YOLO data.yaml, or a folder with one of these or with images/, labels/ and '
    + CLASSES_FILE
)


def open_dataset(
    path: Path,
    *,
    part: str | None = None,
    image_root: Path | None = None,
    skip_bad: bool = False,
    longest_side_px: int | None = None,
) -> LabelledFiles:
    """Check all labels of a data set, and that its images are there and whole; decodes none.

    :param path: a COCO JSON, a data.yaml, or a folder that has one of them (COCO also in its
        ``annotations/``) or ``images/``, ``labels/`` and ``classes.txt``.
    :param part: train, val or test of a data.yaml (default: all).
    :param image_root: folder of a COCO data set's images (default: looked for beside the JSON).
    :param skip_bad: leave out pictures something is wrong with (``skipped`` counts them).
    :param longest_side_px: shrink larger images to it when they are read.
    :raises DataSetError: naming the file, what is wrong (the first problems) and what is allowed.
    """
    file = _find(path)
    is_coco = file.suffix == '.json'
    if image_root is not None and not is_coco:
        raise DataSetError(f'image_root = {str(image_root)!r}; allowed: only with a COCO JSON')
    is_yaml = file.suffix in ('.yaml', '.yml')
    if part is not None and not is_yaml:
        raise DataSetError(f'{file} names no parts; part = {part!r}; allowed: only with data.yaml')
    if is_coco:
        return read_coco(
            file, image_root=image_root, skip_bad=skip_bad, longest_side_px=longest_side_px
        )
    if is_yaml:
        return read_yolo_yaml(file, part=part, skip_bad=skip_bad, longest_side_px=longest_side_px)
    return read_yolo_folder(file, skip_bad=skip_bad, longest_side_px=longest_side_px)


def _find(path: Path) -> Path:
    """The file that describes the data set, or its folder."""
    if path.is_file() and path.suffix in ('.json', '.yaml', '.yml'):
        return path
    if not path.is_dir():
        raise DataSetError(f'data = {str(path)!r}; allowed: {ALLOWED}')
    found = [place for place in (path / 'data.yaml', path / 'data.yml') if place.is_file()]
    if not found and (path / 'labels').is_dir():
        found = [path]
    found += sorted([*path.glob('*.json'), *(path / 'annotations').glob('*.json')])
    if len(found) != 1:
        names = ', '.join(str(place) for place in found[:10]) or 'nothing of that'
        raise DataSetError(f'data = {str(path)!r} has {names}; allowed: {ALLOWED}')
    return found[0]
