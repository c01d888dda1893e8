"""``visionscaling profile``: measure what every model costs on this device."""

from __future__ import annotations

import argparse
import math
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionscaling_ros.cli.exit_status import INTERRUPTED
from visionscaling_ros.cli.plot_option import add_plot_option, check_plot
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.graph.stop_signals import stop_signals_handled

if TYPE_CHECKING:
    from visionscaling_ros.profiling.campaign import Outcome, Request
    from visionscaling_ros.profiling.profile_document import Document
    from visionscaling_ros.profiling.session import Progress
    from visionscaling_ros.simulation.profile import DeviceProfile

HELP = 'measure every model, input size, engine and clock level of this device; a profile, a plot'
DEVICE_FIGURES = ('base_w', 'radio_fixed_w', 'radio_w_per_mbps', 'radio_tail_s')
RATES = ('arrival_fps', 'full_rate_fps')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    what = parser.add_argument_group('what to measure')
    what.add_argument('--models', nargs='+', default=[], metavar='NAME', help='(all there are)')
    what.add_argument('--sizes', nargs='+', type=int, default=[], metavar='PX', help='(all)')
    what.add_argument('--engines', nargs='+', default=[], metavar='NAME', help='(all installed)')
    what.add_argument(
        '--manifest', nargs='+', type=Path, default=[], metavar='FILE', help='models of your own'
    )
    what.add_argument('--images', type=Path, metavar='DIR', help='frames of your own')
    what.add_argument('--jpeg-quality', type=int, default=80, metavar='Q', help='of uploads (80)')
    what.add_argument(
        '--backend', default='auto', metavar='NAME',
        help='GPU clock: auto, jetson, nvml, cpufreq, emulated or none (auto)',
    )  # fmt: skip
    what.add_argument(
        '--meter', default='auto', metavar='NAME',
        help='power: auto, ina3221, nvml, rapl, battery or model (auto)',
    )  # fmt: skip
    what.add_argument('--levels', type=int, default=8, metavar='N', help='clocks, at most (8)')
    what.add_argument('--device', default='auto', metavar='NAME', help='cpu, cuda, cuda:N (auto)')
    what.add_argument(
        '--half-precision', action='store_true', help='half as many bits, where the device can'
    )
    what.add_argument('--threads', type=int, default=1, metavar='N', help='CPU threads (1)')
    how = parser.add_argument_group('how long')
    how.add_argument(
        '--budget-seconds', type=float, default=300.0, metavar='S',
        help='stop after this long; what is there by then is used (300)',
    )  # fmt: skip
    how.add_argument('--rounds', type=int, default=12, metavar='N', help='stop after these (12)')
    how.add_argument('--seed', type=int, default=0, metavar='S', help='of order and street (0)')
    how.add_argument('--restart', action='store_true', help='forget what was measured before')
    rest = parser.add_argument_group('what cannot be measured here')
    rest.add_argument(
        '--like', default='agx_orin', metavar='NAME|FILE',
        help='profile to take it from: power without a meter, levels of an emulated clock, radio, '
        'thermal figures, rates (agx_orin)',
    )  # fmt: skip
    for name in (*DEVICE_FIGURES, *RATES):
        option = f'--{name.replace("_", "-")}'
        rest.add_argument(option, type=float, metavar='X', help='instead of its own')
    rest.add_argument('--target', type=float, metavar='MAP', help="mAP (the points' median)")
    parser.add_argument('--out', type=Path, default=Path('out/profile.yaml'), metavar='FILE')
    add_plot_option(parser, '(.png beside the profile)')


def run(arguments: argparse.Namespace) -> int:
    """Measure, write, print; after Ctrl-C or SIGTERM what was measured is kept to go on with."""
    _check(arguments)
    request = _request(arguments)
    plot = arguments.plot or request.out.with_suffix('.png')
    from visionscaling_ros.profiling.campaign import (  # noqa: PLC0415
        measure_device,
        write_profile,
    )

    with stopped_as_by_ctrl_c():
        try:
            with _progress_bar() as on_progress:
                outcome = measure_device(request, on_progress)
        except KeyboardInterrupt:
            print(
                f'interrupted: no profile was written; what was measured is in {request.journal}, '
                'and the same command goes on from there',
                file=sys.stderr,
            )
            return INTERRUPTED
    document = write_profile(request, outcome)
    from visionscaling_ros.profiling.profile_plots import plot_profile  # noqa: PLC0415 (a second)

    plot_profile(plot, document)
    _print_report(request, outcome, document)
    print(request.out, plot, sep='\n')
    return 0


def _check(arguments: argparse.Namespace) -> None:
    from visionscaling_ros.hardware.clocks.choice import BACKENDS  # noqa: PLC0415
    from visionscaling_ros.hardware.power.choice import METERS  # noqa: PLC0415

    for name, allowed in (('backend', BACKENDS), ('meter', METERS)):
        if getattr(arguments, name) not in allowed:
            raise InvalidValueError(f'--{name}', getattr(arguments, name), ', '.join(allowed))
    for name, least in (('levels', 1), ('threads', 1), ('rounds', 1), ('seed', 0)):
        value = getattr(arguments, name)
        if value < least:
            raise InvalidValueError(name, value, f'a whole number, {least} or more')
    if not 1 <= arguments.jpeg_quality <= 100:
        raise InvalidValueError('jpeg_quality', arguments.jpeg_quality, '1 to 100')
    if not 0.0 < arguments.budget_seconds < math.inf:
        raise InvalidValueError('budget_seconds', arguments.budget_seconds, 'above 0 s')
    if arguments.out.is_dir():
        raise InvalidValueError('out', str(arguments.out), 'a file to write')
    check_plot(arguments)


def _request(arguments: argparse.Namespace) -> Request:
    """What is asked for; raises InvalidValueError for what there is not."""
    import torch  # noqa: PLC0415 (a second)

    from visionscaling_ros.profiling.campaign import Request  # noqa: PLC0415
    from visionscaling_ros.profiling.candidates import choose_candidates  # noqa: PLC0415
    from visionscaling_ros.vision.catalog import built_in_catalog  # noqa: PLC0415

    torch.set_num_threads(arguments.threads)
    catalog = built_in_catalog().with_manifests(arguments.manifest)
    return Request(
        catalog=catalog,
        candidates=choose_candidates(
            catalog, arguments.models, arguments.sizes, arguments.engines
        ),
        like=_like(arguments),
        images=arguments.images,
        jpeg_quality=arguments.jpeg_quality,
        backend=arguments.backend,
        meter=arguments.meter,
        levels=arguments.levels,
        device=arguments.device,
        half_precision=arguments.half_precision,
        threads=arguments.threads,
        budget_s=arguments.budget_seconds,
        rounds=arguments.rounds,
        seed=arguments.seed,
        restart=arguments.restart,
        accuracy_target_map=arguments.target,
        out=arguments.out,
    )


def _like(arguments: argparse.Namespace) -> DeviceProfile:
    """The profile named, with the figures given in place of its own."""
    from visionscaling_ros.simulation.profile import FIGURE_RANGES, load_profile  # noqa: PLC0415

    like = load_profile(arguments.like)
    given = {name: getattr(arguments, name) for name in (*DEVICE_FIGURES, *RATES)}
    for name, value in {**given, 'accuracy_target_map': arguments.target}.items():
        low, high = FIGURE_RANGES[name]
        if value is not None and not low <= value <= high:
            raise InvalidValueError(name, value, f'a number, {low:g} to {high:g}')
    return replace(
        like,
        device=replace(like.device, **_given(given, DEVICE_FIGURES)),
        **_given(given, RATES),
    )


def _given(values: dict[str, float | None], names: Sequence[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if values[name] is not None}


def stopped_as_by_ctrl_c() -> AbstractContextManager[None]:
    """Let SIGTERM and a closed terminal end the command as Ctrl-C does: the clock is restored."""
    return stop_signals_handled(signal.default_int_handler)


@contextmanager
def _progress_bar() -> Iterator[Callable[[Progress], None]]:
    from rich import progress as bars  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    columns = (
        bars.BarColumn(), bars.TextColumn('{task.percentage:.0f} %'), bars.TimeElapsedColumn(),
        bars.TextColumn('{task.description}'),
    )  # fmt: skip
    with bars.Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task('', total=1.0)

        def show(progress: Progress) -> None:
            round_number = progress.turn.round + 1
            description = f'round {round_number}: {progress.turn.visit}'
            bar.update(task, completed=progress.share, description=description)

        yield show
        bar.update(task, completed=1.0, description='done')


def _print_report(request: Request, outcome: Outcome, document: Document) -> None:
    from visionscaling_ros.profiling.report import print_profile  # noqa: PLC0415

    print_profile(document)
    print(*outcome.notes, sep='\n', file=sys.stderr)
    for candidate, reason in outcome.summary.failed.items():
        print(f'left out (--restart tries again): {candidate}: {reason}', file=sys.stderr)
    measured = {point.candidate for point in outcome.summary.points}
    missing = len(set(request.candidates) - measured - set(outcome.summary.failed))
    if missing:
        print(
            f'not measured within {request.budget_s:g} s: {missing} of {len(request.candidates)} '
            'combinations of model, input size and engine', file=sys.stderr,
        )  # fmt: skip
    if not outcome.complete:
        print(
            'the same command with a larger --budget-seconds goes on from here, --restart measures '
            'anew', file=sys.stderr,
        )  # fmt: skip
