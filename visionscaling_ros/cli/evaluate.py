"""``visionscaling evaluate``: measure the zoo on held-out generated pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.model_zoo import (
    ACCURACY_FILE,
    CLASS_NAMES,
    available_models,
    check_model,
    input_sizes_px,
    weights_path,
)

HELP = 'measure the accuracy of the detectors on held-out generated pictures'
HEADER = """\
# Accuracy of the detectors that ship, at each input size: COCO mAP over overlaps 0.50 to 0.95
# (map_50_95) and at 0.50 (map_50) on {images} generated 640x480 pictures that were not trained on:
# half frames of moving street scenes of unseen seeds (street_map_50_95), half stills of unseen
# objects and backgrounds, from the street and from the air (still_map_50_95).
# Made by: visionscaling evaluate --images {images} --write
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        '--models', nargs='+', default=list(available_models()), help='which (default: all)'
    )
    parser.add_argument('--images', type=int, default=600, help='how many pictures')
    parser.add_argument(
        '--weights', type=Path, help='weights of the one model in --models (default: as shipped)'
    )
    parser.add_argument('--threads', type=int, default=1, help='CPU threads for the network')
    parser.add_argument('--write', action='store_true', help=f'update {ACCURACY_FILE.name}')


def run(arguments: argparse.Namespace) -> int:
    """Print a table; with ``--write`` also update the accuracy file of all models."""
    for name in arguments.models:
        check_model(name)
    if arguments.images < 2:
        raise InvalidValueError('images', arguments.images, '2 or more')
    if arguments.weights is not None and (len(arguments.models) != 1 or arguments.write):
        raise InvalidValueError('weights', arguments.weights, 'one model in --models, no --write')
    if arguments.write and set(arguments.models) != set(available_models()):
        raise InvalidValueError('models', arguments.models, 'all of them, with --write')
    import torch  # noqa: PLC0415 (only this command needs it)
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    from visionscaling_ros.vision import evaluation  # noqa: PLC0415
    from visionscaling_ros.vision.torch_detector import TorchDetector  # noqa: PLC0415

    torch.set_num_threads(arguments.threads)
    held_out = evaluation.held_out_set(arguments.images)
    table = Table('model', 'input px', 'mAP 50:95', 'mAP 50', 'street', 'still', *CLASS_NAMES,
                  'forward ms', title=f'{arguments.images} held-out pictures')  # fmt: skip
    rows: dict[str, dict[int, dict[str, float]]] = {}
    for name in arguments.models:
        detector = TorchDetector.from_weights(name, arguments.weights or weights_path(name))
        rows[name] = {}
        for size_px in input_sizes_px(name):
            score = evaluation.score(detector, size_px, held_out)
            table.add_row(
                name,
                str(size_px),
                *(f'{v:.3f}' for v in (score.map_50_95, score.map_50, score.street_map_50_95,
                                       score.still_map_50_95, *score.per_class_50_95)),
                f'{score.forward_s * 1e3:.1f}',
            )  # fmt: skip
            rows[name][size_px] = {
                'map_50_95': round(score.map_50_95, 4),
                'map_50': round(score.map_50, 4),
                'street_map_50_95': round(score.street_map_50_95, 4),
                'still_map_50_95': round(score.still_map_50_95, 4),
            }
    Console(width=120).print(table)
    if arguments.write:
        _write(rows, arguments.images)
    return 0


def _write(rows: dict[str, dict[int, dict[str, float]]], images: int) -> None:
    import yaml  # noqa: PLC0415

    document: dict[str, Any] = {'models': rows}
    text = HEADER.format(images=images) + yaml.safe_dump(document, sort_keys=False)
    ACCURACY_FILE.write_text(text, encoding='utf-8')
    print(f'wrote {ACCURACY_FILE}')
