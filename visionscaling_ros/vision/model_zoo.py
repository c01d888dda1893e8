"""The detectors that ship with the package: their shapes, accuracies and weights.

Listing models or accuracies does not import torch; loading one does.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from visionscaling_ros.errors import InvalidValueError

if TYPE_CHECKING:
    from visionscaling_ros.vision.detector import Detector

WEIGHTS_FOLDER = Path(__file__).parent / 'weights'
ACCURACY_FILE = WEIGHTS_FOLDER / 'accuracy.yaml'
CLASS_NAMES = ('person', 'cyclist', 'car', 'truck')
INPUT_SIZES_PX = (160, 224, 320, 416)


@dataclass(frozen=True)
class NetworkShape:
    """Channels of the stem and of the stages at strides 4, 8, 16 and 32, and blocks per stage."""

    widths: tuple[int, int, int, int, int]
    depths: tuple[int, int, int, int]
    neck_width: int


MODELS = {
    'vsdet_n': NetworkShape((8, 16, 32, 64, 96), (0, 1, 1, 1), 32),
    'vsdet_s': NetworkShape((16, 24, 48, 96, 128), (1, 1, 2, 1), 48),
    'vsdet_m': NetworkShape((24, 40, 80, 160, 192), (1, 2, 3, 2), 96),
}


def available_models() -> tuple[str, ...]:
    """Names of the models, cheapest first."""
    return tuple(MODELS)


def check_model(name: str) -> None:
    """Raise InvalidValueError unless ``name`` is a model of the zoo."""
    if name not in MODELS:
        raise InvalidValueError('model', name, ', '.join(MODELS))


def input_sizes_px(name: str) -> tuple[int, ...]:
    """Input sizes (longer side) the model was measured at, ascending."""
    check_model(name)
    return INPUT_SIZES_PX


def accuracy_map(name: str, input_size_px: int) -> float:
    """COCO mAP 50:95 of the model at this input size on the held-out set of ``accuracy.yaml``.

    Raises InvalidValueError for an unknown model or a size that was not measured.
    """
    check_model(name)
    table = _accuracy_table().get(name, {})
    if input_size_px not in table:
        raise InvalidValueError('input_size_px', input_size_px, sorted(table))
    return float(table[input_size_px]['map_50_95'])


def weights_path(name: str) -> Path:
    """Where the model's weights are (safetensors)."""
    check_model(name)
    return WEIGHTS_FOLDER / f'{name}.safetensors'


def load_detector(name: str, device: str = 'cpu') -> Detector:
    """Read the model's weights and make it ready on ``device`` (a torch device string).

    Raises InvalidValueError for an unknown model or device.
    """
    check_model(name)
    from visionscaling_ros.vision.torch_detector import TorchDetector  # noqa: PLC0415 (torch: 1 s)

    return TorchDetector.from_weights(name, weights_path(name), device)


@functools.cache
def _accuracy_table() -> dict[str, dict[int, dict[str, float]]]:
    document: dict[str, Any] = yaml.safe_load(ACCURACY_FILE.read_text(encoding='utf-8'))
    models: dict[str, dict[int, dict[str, float]]] = document['models']
    return models
