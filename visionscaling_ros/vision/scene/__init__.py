"""Procedural street scenes with ground truth: moving ones to look at, still ones to learn from."""

from visionscaling_ros.vision.scene.stills import random_scene
from visionscaling_ros.vision.scene.street_scene import StreetScene

__all__ = ['StreetScene', 'random_scene']
