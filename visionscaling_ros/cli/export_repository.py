"""``visionscaling export-repository``: the models for somebody else's server."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.serving.repository import write_repository
from visionscaling_ros.serving.repository_options import BACKENDS, DEVICES, RepositoryOptions
from visionscaling_ros.vision.catalog import built_in_catalog

HELP = 'write models as a repository for Triton Inference Server'
_DEFAULT = RepositoryOptions()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='folder to write them to'
    )
    parser.add_argument('--models', nargs='+', metavar='MODEL', help='models to write (all)')
    parser.add_argument(
        '--manifest', nargs='+', type=Path, default=[], metavar='FILE', help='models of your own'
    )
    parser.add_argument(
        '--backend',
        choices=('auto', *BACKENDS),
        default=_DEFAULT.backend,
        help='what runs the network there: ONNX with onnxruntime, TorchScript with pytorch, ONNX '
        'inside the Python backend with python (%(default)s: the first that can)',
    )
    parser.add_argument(
        '--device', choices=DEVICES, default=_DEFAULT.device, help='(%(default)s)'
    )
    for option, help_text in (
        ('--instances', 'copies of each network that run at a time (%(default)s)'),
        ('--threads', 'CPU threads of each copy (%(default)s)'),
        ('--max-batch', 'images run together at most (%(default)s)'),
        ('--batch-delay-us', 'how long an image may wait for others, in us (%(default)s)'),
    ):
        default = getattr(_DEFAULT, option.lstrip('-').replace('-', '_'))
        parser.add_argument(option, type=int, default=default, metavar='N', help=help_text)


def run(arguments: argparse.Namespace) -> int:
    """Write the repository, then say how to serve it."""
    options = RepositoryOptions(
        backend=arguments.backend,
        device=arguments.device,
        instances=arguments.instances,
        threads=arguments.threads,
        max_batch=arguments.max_batch,
        batch_delay_us=arguments.batch_delay_us,
    )
    catalog = built_in_catalog().with_manifests(arguments.manifest)
    entries = [catalog.entry(name) for name in dict.fromkeys(arguments.models or catalog.names())]
    console = Console(stderr=True)
    with console.status('exporting') as status:
        done: list[str] = []

        def on_model(name: str) -> None:
            done.append(name)
            status.update(f'exporting: {len(done)} of {len(entries)} models, {name} written')

        try:
            write_repository(entries, arguments.out, options, on_model)
        except OSError as error:
            raise InvalidValueError('--out', str(arguments.out), f'a folder ({error})') from error
    print(
        f'wrote {", ".join(done)} to {arguments.out}; serve them with '
        f'tritonserver --model-repository {arguments.out}'
    )
    return 0
