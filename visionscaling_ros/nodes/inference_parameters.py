"""The parameters of inference_node."""

from __future__ import annotations

from visionscaling_ros.nodes.parameters import Parameter
from visionscaling_ros.vision.catalog import built_in_catalog

ACCURACY_SOURCES = TABLE, TEACHER, GROUND_TRUTH = ('table', 'teacher', 'ground_truth')
SHIPPED = tuple(name for name in built_in_catalog().names() if name.startswith('vsdet_'))

PARAMETERS = (
    Parameter(
        'models',
        list(SHIPPED),
        'Detectors to offer; others take over from those in service once they are loaded',
    ),
    Parameter(
        'model_manifests',
        [''],
        'Manifests (YAML) of detectors of your own, to choose from beside the built-in ones',
    ),
    Parameter(
        'engine',
        'auto',
        'What runs the detectors; auto: what the profile found fastest, else torch',
        choices=('auto', 'torch', 'onnxruntime', 'openvino'),
        read_only=True,
    ),
    Parameter(
        'device',
        'auto',
        'What computes: cpu, cuda, cuda:N; auto: a GPU where there is one for the engine',
        read_only=True,
    ),
    Parameter(
        'half_precision',
        False,
        'Compute with half as many bits where the device can; scores and boxes change a little',
        read_only=True,
    ),
    Parameter(
        'memory_limit_mib',
        0.0,
        'Memory of all loaded detectors together, by estimate; above it those not used are freed, '
        'and loaded again on demand; the safe one and another must fit; 0: no limit',
        'MiB',
        0.0,
        1e6,
    ),
    Parameter(
        'profile_file',
        '',
        'Profile of this robot written by visionscaling profile: costs of the detectors, and the '
        'engine that runs each fastest; empty: detectors are measured when they are loaded',
        read_only=True,
    ),
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
    Parameter(
        'accuracy_source',
        TABLE,
        'Accuracies the controller is told: table; teacher: corrected by how far the detectors '
        'agree with the largest one at the edge; ground_truth: corrected by measured mAP',
        choices=ACCURACY_SOURCES,
    ),
    Parameter(
        'teacher_model', '', 'Detector at the edge the others are held against; empty: the most '
        'accurate of models',
    ),
    Parameter(
        'teacher_every_frames', 150, 'Of so many processed frames one is shown to the teacher '
        'too, when the uplink has nothing else to send', 'frames', 1, 1_000_000,
    ),
    Parameter(
        'teacher_window_frames', 60, 'Frames shown to the teacher the agreement is taken over',
        'frames', 5, 10000, read_only=True,
    ),
)  # fmt: skip
