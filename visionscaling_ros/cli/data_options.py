"""Options that name labelled pictures of one's own; of ``train`` and ``evaluate``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from visionscaling_ros.errors import InvalidValueError

if TYPE_CHECKING:
    from visionscaling_ros.vision.datasets import LabelledFiles


def add_data_options(options: argparse._ArgumentGroup) -> None:
    """Which data set, which part of it, which classes."""
    options.add_argument(
        '--data', type=Path, metavar='PATH',
        help='labelled pictures: a COCO JSON, a YOLO data.yaml, or a folder of one of them '
        '(default: generated ones)',
    )  # fmt: skip
    options.add_argument(
        '--image-root', type=Path, metavar='DIR', help='where the images of a COCO JSON are'
    )
    options.add_argument(
        '--class-map', nargs='+', default=None, metavar='DATA=MODEL',
        help='classes of --data to those of the model; DATA= for none',
    )  # fmt: skip
    options.add_argument(
        '--split', choices=('train', 'val', 'test'),
        help='only this part: of a data.yaml, or drawn with --test-share',
    )  # fmt: skip
    options.add_argument(
        '--test-share', type=float, metavar='S',
        help='draw train and test by file names, with this share for the test',
    )  # fmt: skip
    options.add_argument('--split-seed', type=int, default=0, metavar='N', help='of the draw (0)')
    options.add_argument(
        '--skip-bad', action='store_true', help='leave out pictures that have bad labels'
    )


def check_data_options(arguments: argparse.Namespace) -> None:
    """Raise InvalidValueError where options contradict one another."""
    if arguments.data is None:
        for name in ('image_root', 'class_map', 'split', 'test_share', 'skip_bad'):
            if getattr(arguments, name):
                option = f'--{name.replace("_", "-")}'
                raise InvalidValueError(option, getattr(arguments, name), 'only with --data')
    if arguments.test_share is not None and arguments.split not in ('train', 'test'):
        raise InvalidValueError('--test-share', arguments.test_share, 'with --split train or test')


def open_data(
    arguments: argparse.Namespace, longest_side_px: int | None = None
) -> tuple[LabelledFiles, str]:
    """The pictures asked for, and their name for people.

    Raises DataSetError for a bad data set, InvalidValueError for a bad option.
    """
    from visionscaling_ros.vision.datasets import open_dataset  # noqa: PLC0415

    drawn = arguments.test_share is not None
    images = open_dataset(
        arguments.data,
        part=None if drawn else arguments.split,
        image_root=arguments.image_root,
        skip_bad=arguments.skip_bad,
        longest_side_px=longest_side_px,
    )
    if images.skipped:
        print(f'{images.skipped} picture(s) left out: bad labels or images')
    described = [arguments.data.resolve().name]
    if arguments.split is not None:
        described.append(arguments.split)
    if drawn:
        train, test = images.split(arguments.split_seed, arguments.test_share)
        images = test if arguments.split == 'test' else train
        described.append(f'share {arguments.test_share:g}, seed {arguments.split_seed}')
    return images, ', '.join(described)


def parse_class_map(pairs: Sequence[str]) -> dict[str, str]:
    """``['bus=truck', 'kite=']`` as a mapping; raises InvalidValueError for another form."""
    class_map = {}
    for pair in pairs:
        data, separator, model = pair.partition('=')
        if not data or not separator:
            raise InvalidValueError('--class-map', pair, 'DATA=MODEL, or DATA= for none')
        class_map[data] = model
    return class_map
