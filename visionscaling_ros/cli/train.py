"""``visionscaling train``: all widths of the scalable detector, on generated or own pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from visionscaling_ros.cli.data_options import (
    add_data_options,
    check_data_options,
    open_data,
    parse_class_map,
)
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES

if TYPE_CHECKING:
    from visionscaling_ros.vision.datasets import LabelledImages
    from visionscaling_ros.vision.elastic_network import ElasticNetwork
    from visionscaling_ros.vision.training.feeds import PictureFeed

HELP = 'train all widths of the scalable detector, on generated scenes or on your own pictures'
SHIPPED = 'shipped'
FINETUNE_RATE = 0.25  # of the learning rate from scratch
LONGEST_SIDE_PX = 1024  # twice the largest input: as far as a cut may enlarge


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument('--minutes', type=float, help='stop after this long')
    length.add_argument('--steps', type=int, help='stop after this many steps of 16 pictures')
    parser.add_argument('--out', type=Path, required=True, help='weights to write (.safetensors)')
    parser.add_argument(
        '--finetune', nargs='?', const=SHIPPED, metavar='WEIGHTS',
        help='start from these weights, gently (without a file: from those that ship)',
    )  # fmt: skip
    add_data_options(
        parser.add_argument_group(
            'pictures', "without --class-map the network learns the data's own classes"
        )
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=int, default=1, help='CPU threads for the network')


def run(arguments: argparse.Namespace) -> int:
    """Train, showing progress; goes on from the checkpoint beside ``--out`` if there is one."""
    import torch  # noqa: PLC0415 (only this command needs it)
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from visionscaling_ros.vision.training import trainer  # noqa: PLC0415

    check_data_options(arguments)
    if arguments.threads < 1:
        raise InvalidValueError('--threads', arguments.threads, '1 or more')
    torch.set_num_threads(arguments.threads)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    network, feed = _start(arguments)
    training = trainer.Trainer(
        network,
        feed,
        arguments.out,
        steps=arguments.steps,
        minutes=arguments.minutes,
        seed=arguments.seed,
        peak_rate=trainer.PEAK_RATE * (FINETUNE_RATE if arguments.finetune else 1.0),
    )
    columns = (
        TextColumn('{task.description}'), BarColumn(), TextColumn('{task.percentage:.0f} %'),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns) as bar:
        task = bar.add_task('filling the pool', total=1.0)

        def report(progress: trainer.Progress) -> None:
            description = f'step {progress.step} loss {progress.loss:.3f}'
            bar.update(task, completed=progress.share, description=description)

        training.run(report)
    print(f'wrote {arguments.out}')
    return 0


def _start(arguments: argparse.Namespace) -> tuple[ElasticNetwork, PictureFeed]:
    from visionscaling_ros.vision.training import feeds, starting_network  # noqa: PLC0415

    if arguments.data is None:
        class_names, feed = CLASS_NAMES, feeds.scene_feed(arguments.seed)
    else:
        pictures = _pictures(arguments)
        class_names = pictures.class_names
        feed = feeds.picture_feed(pictures, arguments.seed)
    if arguments.finetune is None:
        return starting_network.new_network(class_names, arguments.seed), feed
    weights = _weights(arguments.finetune)
    return starting_network.trained_network(weights, class_names, arguments.seed), feed


def _pictures(arguments: argparse.Namespace) -> LabelledImages:
    from visionscaling_ros.vision.datasets import (  # noqa: PLC0415
        ClassMap,
        MappedImages,
    )
    from visionscaling_ros.vision.weights_file import read_shape  # noqa: PLC0415

    pictures, described = open_data(arguments, LONGEST_SIDE_PX)
    print(f'{len(pictures)} pictures to train on: {described}')
    if arguments.class_map is None:
        return pictures
    if arguments.finetune is None:
        class_names = CLASS_NAMES
    else:
        class_names = read_shape(_weights(arguments.finetune)).class_names
    class_map = ClassMap.between(pictures, class_names, parse_class_map(arguments.class_map))
    return MappedImages(pictures, class_names, class_map)


def _weights(name: str) -> Path:
    from visionscaling_ros.vision.weights_file import SHIPPED_WEIGHTS  # noqa: PLC0415 (torch)

    return SHIPPED_WEIGHTS if name == SHIPPED else Path(name)
