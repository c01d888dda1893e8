"""The parameters of inference_node."""

from __future__ import annotations

from visionscaling_ros.nodes.parameters import Parameter
from visionscaling_ros.vision.model_zoo import available_models

PARAMETERS = (
    Parameter('models', list(available_models()), 'Detectors to load', read_only=True),
    Parameter(
        'input_sizes_px',
        [0],
        'Input sizes to offer; [0]: all the detectors have',
        'px',
        0,
        4096,
        read_only=True,
    ),
    Parameter(
        'safe_model', '', 'Detector to run without a fresh decision; empty: the first of models'
    ),
    Parameter(
        'safe_input_size_px', 0, 'Its input size; 0: the middle one it has', 'px', 0, 4096
    ),
    Parameter(
        'image_transport',
        'raw',
        'Image on image_raw, or CompressedImage on image_raw/compressed',
        choices=('raw', 'compressed'),
        read_only=True,
    ),
    Parameter(
        'image_reliability',
        'best_effort',
        'Reliability asked of the image publisher',
        choices=('best_effort', 'reliable'),
        read_only=True,
    ),
    Parameter('max_age_s', 1.0, 'Age past which a frame is of no use', 's', 0.05, 60.0),
    Parameter(
        'decision_timeout_s',
        3.0,
        'Without a decision for this long the safe detector takes over',
        's',
        0.1,
        60.0,
    ),
    Parameter('jpeg_quality', 80, 'JPEG quality of offloaded frames', '%', 10, 100),
    Parameter(
        'torch_threads', 1, 'CPU threads of a local detector', '', 1, 64, read_only=True
    ),
    Parameter(
        'state_rate_hz', 5.0, 'How often inference_state is published', 'Hz', 0.5, 50.0,
        read_only=True,
    ),
    Parameter(
        'statistics_window_s', 1.0, 'Window of the latencies and rates in inference_state', 's',
        0.1, 60.0, read_only=True,
    ),
    Parameter(
        'accuracy_window_frames', 90, 'Frames the measured mAP is taken over', 'frames', 1, 10000,
        read_only=True,
    ),
)  # fmt: skip
