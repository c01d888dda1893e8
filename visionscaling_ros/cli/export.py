"""``visionscaling export``: a model's network as a file for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.catalog import built_in_catalog

HELP = "write a shipped model's network as ONNX, TorchScript or torch.export program"
FORMATS = ('onnx', 'torchscript', 'torch_export')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--model', required=True, help='a vsdet model')
    parser.add_argument('--format', choices=FORMATS, required=True)
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='file to write')
    parser.add_argument(
        '--manifest', nargs='+', type=Path, default=[], metavar='FILE', help='models of your own'
    )


def run(arguments: argparse.Namespace) -> int:
    """Export, then say what the file holds."""
    catalog = built_in_catalog().with_manifests(arguments.manifest)
    entry = catalog.entry(arguments.model)
    if entry.manifest.format != 'vsdet':
        vsdet = [n for n in catalog.names() if catalog.entry(n).manifest.format == 'vsdet']
        raise InvalidValueError('--model', arguments.model, ', '.join(vsdet))
    from visionscaling_ros.vision.engines.export import export_network  # noqa: PLC0415 (torch)
    from visionscaling_ros.vision.model_loading import (  # noqa: PLC0415
        check_file,
        load_network_module,
    )

    check_file(entry.manifest)
    try:
        export_network(load_network_module(entry), arguments.format, arguments.out)
    except OSError as error:
        raise InvalidValueError('--out', str(arguments.out), f'a file ({error})') from error
    print(
        f'wrote {arguments.out}: images (N, 3, H, W) bgr 0 to 1, H and W multiples of 32 -> '
        'scores (N, A, classes) logits, boxes (N, A, 4) corners in pixels'
    )
    return 0
