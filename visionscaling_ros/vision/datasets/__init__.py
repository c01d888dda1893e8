"""Labelled pictures of one's own, to train on and to measure with: COCO JSON and YOLO text."""

from visionscaling_ros.vision.datasets.class_map import ClassMap, MappedImages
from visionscaling_ros.vision.datasets.data_set_error import DataSetError
from visionscaling_ros.vision.datasets.labelled_files import LabelledFile, LabelledFiles
from visionscaling_ros.vision.datasets.labelled_images import LabelledImages
from visionscaling_ros.vision.datasets.open_dataset import open_dataset

__all__ = [
    'ClassMap',
    'DataSetError',
    'LabelledFile',
    'LabelledFiles',
    'LabelledImages',
    'MappedImages',
    'open_dataset',
]
