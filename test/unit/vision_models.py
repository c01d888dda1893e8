"""Small models on disk, with their manifests, for tests."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from visionscaling_ros.vision.elastic_network import ElasticNetwork
from visionscaling_ros.vision.network_shape import ElasticShape, NetworkShape
from visionscaling_ros.vision.weights_file import save_network

CLASSES = ['cat', 'dog', 'owl']
SIZES_PX = [64, 96]


def document(**changes: Any) -> dict[str, Any]:
    """A manifest that is right, with changes; None takes a field away."""
    content: dict[str, Any] = {
        'name': 'own',
        'format': 'torchscript',
        'file': 'own.pt',
        'input_sizes_px': SIZES_PX,
        'input': {'layout': 'nchw', 'color': 'rgb', 'scale': 1.0 / 255.0,
                  'padding': {'value': 0, 'to': 'square', 'placement': 'center'}},
        'output': {'decoder': 'yolox'},
        'classes': CLASSES,
        'accuracy': {'source': 'a test', 'map_50_95': {64: 0.2, 96: 0.3}},
    }  # fmt: skip
    content.update(changes)
    return {key: value for key, value in content.items() if value is not None}


def write_manifest(folder: Path, **changes: Any) -> Path:
    """The file of ``document``."""
    content = document(**changes)
    path = folder / f'{content["name"]}.yaml'
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    return path


def write_vsdet(folder: Path, **changes: Any) -> Path:
    """An untrained elastic network of two widths that finds something, and its manifest."""
    torch.manual_seed(0)
    shape = ElasticShape(
        NetworkShape((8, 8, 16, 16, 16), (4, 8, 8, 8), (0, 1, 1, 1), 16),
        (0.5, 1.0),
        tuple(CLASSES),
    )
    network = ElasticNetwork(shape)
    with torch.no_grad():
        for head in network.heads:
            torch.nn.init.normal_(head.class_logits.weight, std=0.5)
            torch.nn.init.constant_(head.class_logits.bias, -2.0)
            torch.nn.init.normal_(head.log_distances.weight, std=0.1)
    save_network(network, folder / 'net.safetensors')
    models = {'small': 0.5, 'large': 1.0}
    table = {size_px: {'map_50_95': 0.2, 'map_50': 0.4} for size_px in SIZES_PX}
    (folder / 'accuracy.yaml').write_text(
        yaml.safe_dump({'models': dict.fromkeys(models, table)}), encoding='utf-8'
    )
    settings: dict[str, Any] = {
        'name': 'pair',
        'format': 'vsdet',
        'file': 'net.safetensors',
        'widths': models,
        'input': {'color': 'bgr', 'scale': 1.0 / 255.0},
        'output': {'decoder': 'vsdet'},
        'accuracy': {'file': 'accuracy.yaml'},
    }
    return write_manifest(folder, **{**settings, **changes})


def yolox_predictions(width_px: int, height_px: int, classes: int = len(CLASSES)) -> np.ndarray:
    """What a YOLOX network of three strides might answer: quiet but for the first cells."""
    cells = sum((width_px // s) * (height_px // s) for s in (8, 16, 32))
    predictions = np.zeros((1, cells, 5 + classes), np.float32)
    predictions[0, 0, :] = [0.5, 0.5, 1.0, 1.0, 0.9, *([0.1] * (classes - 1)), 0.8]
    predictions[0, 3, :] = [0.0, 0.0, 0.5, 0.5, 0.5, 0.6, *([0.0] * (classes - 1))]
    return predictions


class Constant(torch.nn.Module):
    """Answers every image with the same tensor."""

    def __init__(self, answer: np.ndarray) -> None:
        super().__init__()
        self.register_buffer('answer', torch.from_numpy(answer))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """The answer, made to depend on the image."""
        return self.answer + 0.0 * images.sum()


def write_torchscript(path: Path, answer: np.ndarray, shape: tuple[int, ...]) -> None:
    """A TorchScript file that answers images of this shape."""
    write_traced(path, Constant(answer), shape)


def write_traced(path: Path, module: torch.nn.Module, shape: tuple[int, ...]) -> None:
    """A TorchScript file of a module for images of this shape."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        torch.jit.save(torch.jit.trace(module, torch.zeros(shape), strict=False), path)
