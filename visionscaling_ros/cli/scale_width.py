"""``visionscaling scale-width``: narrower versions of a network of one's own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.json_file import write_json
from visionscaling_ros.vision.input_format import InputFormat
from visionscaling_ros.vision.manifest import load_manifest

if TYPE_CHECKING:
    from torch import Tensor, nn

    from visionscaling_ros.vision.width_scaling import ScaledNetworks

HELP = 'make narrower networks of a convolutional network of your own, by importance of its filters'
REPORT = 'report.json'
HELD_OUT = 5  # every fifth batch measures and does not teach


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        'network', metavar='FILE.pt2|MODULE:FACTORY',
        help='a torch.export program, or a Python function without arguments that returns an '
        'nn.Module (found from the current folder too)',
    )  # fmt: skip
    parser.add_argument(
        '--weights', type=Path, metavar='FILE',
        help='state dict for what FACTORY returns (.safetensors, or torch.save)',
    )  # fmt: skip
    parser.add_argument(
        '--ratios', nargs='+', type=float, required=True,
        help='shares of the channels to keep, above 0 and below 1',
    )  # fmt: skip
    parser.add_argument(
        '--images', type=Path, required=True, metavar='FOLDER',
        help='pictures the network is for; no labels needed',
    )  # fmt: skip
    parser.add_argument('--input-size-px', type=int, default=320, help='longer side (320)')
    parser.add_argument(
        '--manifest', type=Path, metavar='FILE',
        help='take the form of the input from this manifest (default: rgb, 0 to 1, square)',
    )  # fmt: skip
    parser.add_argument(
        '--steps', type=int, default=0,
        help='distil into all widths for so many steps (0: only fit the norms)',
    )  # fmt: skip
    parser.add_argument('--batch-size', type=int, default=8, help='pictures a step (8)')
    parser.add_argument('--learning-rate', type=float, default=1e-3)
    parser.add_argument(
        '--keep', nargs='+', default=[], metavar='NAME',
        help='modules or nodes to leave at full width',
    )  # fmt: skip
    parser.add_argument(
        '--channel-multiple', type=int, default=1, help='round channels to multiples of this (1)'
    )
    parser.add_argument('--out', type=Path, required=True, metavar='FOLDER', help='where to write')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=int, default=1, help='CPU threads for the network')


def run(arguments: argparse.Namespace) -> int:
    """Scale, teach, write ``width_RATIO.pt2`` for each width and ``report.json``."""
    import torch  # noqa: PLC0415 (only this command needs it)

    from visionscaling_ros.vision.width_scaling.picture_batches import (  # noqa: PLC0415
        picture_batches,
    )
    from visionscaling_ros.vision.width_scaling.user_network import (  # noqa: PLC0415
        is_program,
        load_network,
    )

    for name in ('threads', 'batch_size', 'channel_multiple'):
        if getattr(arguments, name) < 1:
            option = f'--{name.replace("_", "-")}'
            raise InvalidValueError(option, getattr(arguments, name), '1 or more')
    if arguments.steps < 0:
        raise InvalidValueError('--steps', arguments.steps, '0 or more')
    torch.set_num_threads(arguments.threads)
    network = load_network(arguments.network, arguments.weights)
    fixed_size = is_program(arguments.network)
    batches = picture_batches(
        arguments.images,
        arguments.input_size_px,
        _input_format(arguments.manifest),
        1 if fixed_size else arguments.batch_size,
    )
    lessons = [batch for i, batch in enumerate(batches) if i % HELD_OUT]
    if not lessons:
        raise InvalidValueError('--images', len(batches), 'two batches of pictures or more')
    held_out = batches[::HELD_OUT]
    networks = _scaled(arguments, network, lessons)
    try:
        widths = _write(networks, network, held_out, arguments.out, fixed_size=fixed_size)
    except OSError as error:
        raise InvalidValueError('--out', str(arguments.out), f'a folder ({error})') from error
    write_json(arguments.out / REPORT, {'network': arguments.network, 'widths': widths})
    _print(widths, len(held_out), arguments.out)
    return 0


def _input_format(manifest: Path | None) -> InputFormat:
    if manifest is None:
        return InputFormat(color='rgb', square=True)
    input_format = load_manifest(manifest).input
    if input_format.layout != 'nchw':
        raise InvalidValueError(f'{manifest}: input.layout', input_format.layout, 'nchw')
    return input_format


def _scaled(
    arguments: argparse.Namespace, network: nn.Module, batches: list[Tensor]
) -> ScaledNetworks:
    """Scale and teach, showing progress."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from visionscaling_ros.vision.width_scaling import (  # noqa: PLC0415
        DistillationStep,
        finetune_width,
    )

    columns = (
        TextColumn('{task.description}'), BarColumn(), TextColumn('{task.percentage:.0f} %'),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns) as bar:
        task = bar.add_task('scaling', total=max(1, arguments.steps))

        def report(step: DistillationStep) -> None:
            bar.update(task, completed=step.step, description=f'distilling, error {step.loss:.3f}')

        networks = finetune_width(
            network,
            arguments.ratios,
            batches,
            steps=arguments.steps,
            learning_rate=arguments.learning_rate,
            seed=arguments.seed,
            keep=arguments.keep,
            channel_multiple=arguments.channel_multiple,
            report=report,
        )
        bar.update(task, completed=max(1, arguments.steps))
    return networks


def _write(
    networks: ScaledNetworks,
    original: nn.Module,
    batches: list[Tensor],
    folder: Path,
    *,
    fixed_size: bool,
) -> list[dict[str, Any]]:
    """Write every width; what there is to say of each."""
    from visionscaling_ros.vision.width_scaling import output_error  # noqa: PLC0415
    from visionscaling_ros.vision.width_scaling.program_file import (  # noqa: PLC0415
        count_flops,
        write_program,
    )

    widths = []
    for ratio in networks.ratios:
        path = folder / f'width_{ratio:.12g}.pt2'
        dense, example = networks.dense(ratio), batches[0][:1]
        any_size = write_program(dense, example, path, fixed_size=fixed_size)
        widths.append({
            'ratio': ratio,
            'file': path.name,
            'input_shape': None if any_size else list(example.shape),
            'parameters': networks.parameter_count(ratio),
            'flops': count_flops(dense, example),
            'output_error': output_error(dense, original, batches),
        })  # fmt: skip
    return widths


def _print(widths: list[dict[str, Any]], batches: int, folder: Path) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table('width', 'parameters', 'GFLOP', 'output error', 'input', 'file')
    for width in widths:
        shape = width['input_shape']
        table.add_row(
            f'{width["ratio"]:g}', f'{width["parameters"]:,}', f'{width["flops"] / 1e9:.3g}',
            f'{width["output_error"]:.3g}',
            'multiples of 32 px' if shape is None else 'x'.join(map(str, shape)), width['file'],
        )  # fmt: skip
    Console().print(table)
    print(
        f'output error: squared difference from the original over variance, {batches} batches '
        f'that taught nothing; wrote {folder}'
    )
