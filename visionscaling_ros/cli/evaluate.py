"""``visionscaling evaluate``: measure the accuracy of every model at every input size."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from visionscaling_ros.cli.data_options import (
    add_data_options,
    check_data_options,
    open_data,
    parse_class_map,
)
from visionscaling_ros.cli.exit_status import INTERRUPTED
from visionscaling_ros.errors import InvalidValueError

if TYPE_CHECKING:
    from visionscaling_ros.vision.accuracy_table import AccuracyTable, Measured
    from visionscaling_ros.vision.catalog import Catalog
    from visionscaling_ros.vision.datasets import LabelledImages
    from visionscaling_ros.vision.evaluation import Evaluation

HELP = 'measure the accuracy of the detectors, on generated pictures or your own'
GENERATED = 'generated held-out scenes'
GENERATED_IMAGES = 2000
# average precision is an area: it needs the tail of the curve that a robot cuts off
SCORE_THRESHOLD = 0.01


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    what = parser.add_argument_group('what to measure')
    what.add_argument('--models', nargs='+', default=[], metavar='NAME', help='(all there are)')
    what.add_argument(
        '--sizes', nargs='+', type=int, default=[], metavar='PX', help="input sizes (a model's own)"
    )
    what.add_argument(
        '--manifest', nargs='+', type=Path, default=[], metavar='FILE', help='models of your own'
    )
    what.add_argument('--engine', default='auto', help='what runs the network (auto)')
    what.add_argument('--device', default='auto', help='cpu, cuda, cuda:N, auto (auto)')
    what.add_argument(
        '--half-precision', action='store_true', help='half as many bits, where the device can'
    )
    on = parser.add_argument_group('on which pictures')
    on.add_argument(
        '--images', type=int, metavar='N',
        help=f'how many: generated ({GENERATED_IMAGES}), or of --data at most (all)',
    )  # fmt: skip
    add_data_options(on)
    out = parser.add_argument_group('what comes out')
    out.add_argument('--json', type=Path, metavar='FILE', help='all figures')
    out.add_argument('--plot', type=Path, metavar='FILE', help='mAP against computation')
    out.add_argument('--write', action='store_true', help='update the accuracy table')
    out.add_argument(
        '--table', type=Path, metavar='FILE', help='which table (the one that ships); made if new'
    )
    parser.add_argument('--threads', type=int, default=1, help='CPU threads for the network (1)')
    parser.add_argument(
        '--workers', type=int, default=1, help='processes that read or draw pictures ahead (1)'
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and write what was asked for; nothing is written after an interruption."""
    _check(arguments)
    from visionscaling_ros.vision.catalog import built_in_catalog  # noqa: PLC0415

    catalog = built_in_catalog().with_manifests(arguments.manifest)
    names = list(dict.fromkeys(arguments.models or catalog.names()))
    for name in names:
        catalog.entry(name)
    images, measured = _images(arguments)
    table = _table(arguments) if arguments.write else None
    if table is not None:  # told before the work is done
        table.updated({name: {} for name in names}, measured)
    evaluation = _evaluation(arguments, catalog, names, images)
    from visionscaling_ros.cli import evaluation_report as report  # noqa: PLC0415

    title = f'{measured.data}, {measured.images} pictures'
    try:
        _run_with_progress(evaluation, len(images), arguments.workers)
    except KeyboardInterrupt:
        if evaluation.done:
            done = f'PARTIAL: {evaluation.done} of {len(images)} pictures, not written'
            report.print_table(evaluation.scores(), f'{title} ({done})')
        return INTERRUPTED
    scores = evaluation.scores()
    report.print_table(scores, title)
    if arguments.json is not None:
        from visionscaling_ros.json_file import write_json  # noqa: PLC0415

        write_json(arguments.json, report.document(scores, measured))
        print(f'wrote {arguments.json}')
    if arguments.plot is not None:
        report.save_plot(arguments.plot, scores, title)
        print(f'wrote {arguments.plot}')
    if table is not None:
        from visionscaling_ros.vision.evaluation import accuracies  # noqa: PLC0415

        _write(arguments, table.updated(accuracies(scores), measured))
    return 0


def _check(arguments: argparse.Namespace) -> None:
    check_data_options(arguments)
    if arguments.table is not None and not arguments.write:
        raise InvalidValueError('--table', str(arguments.table), 'with --write')
    if arguments.write and arguments.manifest and arguments.table is None:
        raise InvalidValueError('--table', None, 'a file, with --manifest and --write')
    if arguments.write and arguments.sizes:
        raise InvalidValueError('--sizes', arguments.sizes, "not with --write: a model's own")
    for option, lowest in (('threads', 1), ('workers', 0)):
        if getattr(arguments, option) < lowest:
            raise InvalidValueError(f'--{option}', getattr(arguments, option), f'{lowest} or more')


def _images(arguments: argparse.Namespace) -> tuple[LabelledImages, Measured]:
    from visionscaling_ros.simulation.document import environment  # noqa: PLC0415
    from visionscaling_ros.vision.accuracy_table import Measured  # noqa: PLC0415

    command = str(environment()['command'])
    if arguments.data is None:
        from visionscaling_ros.vision.held_out_scenes import HeldOutScenes  # noqa: PLC0415

        count = GENERATED_IMAGES if arguments.images is None else arguments.images
        return HeldOutScenes(count), Measured(GENERATED, count, command)
    images, described = open_data(arguments)
    if arguments.images is not None:
        images = images.sample(arguments.images, arguments.split_seed)
    return images, Measured(described, len(images), command)


def _evaluation(
    arguments: argparse.Namespace, catalog: Catalog, names: Sequence[str], images: LabelledImages
) -> Evaluation:
    import torch  # noqa: PLC0415 (only this command needs it)

    from visionscaling_ros.vision.evaluation import Evaluation  # noqa: PLC0415
    from visionscaling_ros.vision.held_out_scenes import HeldOutScenes  # noqa: PLC0415
    from visionscaling_ros.vision.model_loading import load_model  # noqa: PLC0415

    torch.set_num_threads(arguments.threads)
    detectors = []
    for name in names:
        entry = catalog.entry(name)
        threshold = min(SCORE_THRESHOLD, entry.manifest.score_threshold)
        entry = replace(entry, manifest=replace(entry.manifest, score_threshold=threshold))
        detectors.append(
            load_model(
                entry,
                engine=arguments.engine,
                device=arguments.device,
                half_precision=arguments.half_precision,
                threads=arguments.threads,
            )
        )
    domains = []
    if isinstance(images, HeldOutScenes):
        domains = [images.domain(index) for index in range(len(images))]
    return Evaluation(
        detectors,
        images,
        input_sizes_px=sorted(set(arguments.sizes)),
        class_map=parse_class_map(arguments.class_map or []),
        domains=domains,
    )


def _run_with_progress(evaluation: Evaluation, total: int, workers: int) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task('pictures', total=total)
        for done in evaluation.run(workers):
            bar.update(task, completed=done)


def _table(arguments: argparse.Namespace) -> AccuracyTable:
    from visionscaling_ros.vision.accuracy_table import (  # noqa: PLC0415
        SHIPPED_TABLE,
        AccuracyTable,
        read_accuracy_table,
    )

    path = arguments.table or SHIPPED_TABLE
    return read_accuracy_table(path) if path.exists() else AccuracyTable({})


def _write(arguments: argparse.Namespace, table: AccuracyTable) -> None:
    from visionscaling_ros.vision.accuracy_table import SHIPPED_TABLE  # noqa: PLC0415
    from visionscaling_ros.whole_file import whole_file  # noqa: PLC0415

    path = arguments.table or SHIPPED_TABLE
    try:
        with whole_file(path) as partial:
            partial.write_text(table.to_yaml(), encoding='utf-8')
    except OSError as error:
        raise InvalidValueError('--table', str(path), f'a file to write ({error})') from error
    print(f'wrote {path}')
