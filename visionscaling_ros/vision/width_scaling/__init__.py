"""Narrower networks out of any convolutional network, by importance of its filters."""

from visionscaling_ros.vision.width_scaling.distillation import (
    DistillationStep,
    distil,
    output_error,
)
from visionscaling_ros.vision.width_scaling.finetune_width import finetune_width
from visionscaling_ros.vision.width_scaling.norm_statistics import recalibrate_norms
from visionscaling_ros.vision.width_scaling.not_scalable import NotScalableError
from visionscaling_ros.vision.width_scaling.scale_width import scale_width
from visionscaling_ros.vision.width_scaling.scaled_networks import ScaledNetworks

__all__ = [
    'DistillationStep',
    'NotScalableError',
    'ScaledNetworks',
    'distil',
    'finetune_width',
    'output_error',
    'recalibrate_norms',
    'scale_width',
]
