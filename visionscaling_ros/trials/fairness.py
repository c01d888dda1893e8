"""Who gets how much of one server when several robots want more than there is."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from visionscaling_ros.errors import EdgeError, InvalidValueError
from visionscaling_ros.trials.load_robot import RobotAccount, RobotLoad, run_robots
from visionscaling_ros.trials.max_min import max_min_shares
from visionscaling_ros.trials.running_server import running_server
from visionscaling_ros.trials.server_counts import ServerCounts, disagreements, read_counts
from visionscaling_ros.vision.jpeg import encode_jpeg, resize_for_upload
from visionscaling_ros.vision.sources.synthetic_source import SyntheticSource

NAME = 'fairness'
HELP = 'robots of different demands on one server: what each gets of its max-min fair share'

# What robots run, in turns: frames of different size and cost.
KINDS = (('vsdet_n', 256), ('vsdet_s', 320), ('vsdet_n', 416), ('vsdet_s', 192))
# Every second robot asks for this many times an equal part of the server, the others for so little.
GREEDY = 3.0
MODEST = 0.5
FAIR_RATIO = 0.8
SETTLING_S = 3.0
CALIBRATION_FPS = 20.0
CALIBRATION_S = 5.0
DEADLINE_S = 1.0


@dataclass(frozen=True)
class RobotShare:
    """One robot's demand, fair share and what it got, in computing time per second."""

    load: RobotLoad
    account: RobotAccount
    demand: float
    fair: float
    got: float
    disagreements: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """What it got of what is fair."""
        return self.got / self.fair


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--robots', type=int, nargs='+', default=[2, 4, 8], metavar='N', help='on one server each'
    )
    parser.add_argument(
        '--seconds', type=float, default=20.0, metavar='S', help='of each trial (%(default)s)'
    )


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """One trial for each number of robots; prints a table, returns the figures."""
    if min(arguments.robots) < 1:
        raise InvalidValueError('--robots', min(arguments.robots), 'at least 1')
    if not arguments.seconds > SETTLING_S:
        raise InvalidValueError('--seconds', arguments.seconds, f'more than {SETTLING_S:g}')
    figures: dict[str, Any] = {}
    console = Console(stderr=True)
    for count in arguments.robots:
        with (
            running_server([model for model, _ in KINDS]) as server,
            console.status(f'{count} robots on one server'),
        ):
            shares = trial(server.address, server.metrics_url, count, arguments.seconds)
        figures[str(count)] = summary(shares)
        _print(f'{count} robots', shares, figures[str(count)])
    return figures


def trial(address: str, metrics_url: str, count: int, seconds: float) -> list[RobotShare]:
    """``count`` robots together on the server at ``address``."""
    kinds = [KINDS[index % len(KINDS)] for index in range(count)]
    pictures = {kind: _picture(kind[1]) for kind in KINDS}
    cost_s = {kind: _cost_s(address, kind, pictures[kind]) for kind in set(kinds)}
    loads = [
        RobotLoad(
            robot_id=f'robot{index + 1}',
            model=kind[0],
            input_size_px=kind[1],
            jpeg=pictures[kind],
            rate_fps=(GREEDY if index % 2 == 0 else MODEST) / count / cost_s[kind],
            deadline_s=DEADLINE_S,
            duration_s=seconds,
            settling_s=SETTLING_S,
        )
        for index, kind in enumerate(kinds)
    ]
    accounts, before, after = run_robots(address, loads, partial(read_counts, metrics_url))
    shares = shares_of(loads, accounts, before, after)
    outcomes = read_counts(metrics_url).outcomes
    return [
        replace(
            share,
            disagreements=tuple(
                disagreements(share.account, outcomes.get(share.load.robot_id, {}))
            ),
        )
        for share in shares
    ]


def shares_of(
    loads: Sequence[RobotLoad],
    accounts: Sequence[RobotAccount],
    before: ServerCounts,
    after: ServerCounts,
) -> list[RobotShare]:
    """Hold what the server computed for each robot against its fair share of what it computed.

    A robot's demand is what it offers times what a frame of its kind took in this very trial, so
    that neither batches nor what else the machine does falsify it.
    """
    measured_s = after.monotonic_s - before.monotonic_s
    computed_s = [_growth(load.robot_id, before.compute_s, after.compute_s) for load in loads]
    got = [seconds / measured_s for seconds in computed_s]
    demands = [
        load.rate_fps * seconds / max(1, len(account.latency_s))
        for load, account, seconds in zip(loads, accounts, computed_s, strict=True)
    ]
    fair = max_min_shares(demands, sum(got))
    return [RobotShare(*row) for row in zip(loads, accounts, demands, fair, got, strict=True)]


def _growth(robot_id: str, before: Mapping[str, float], after: Mapping[str, float]) -> float:
    if robot_id not in after:
        raise EdgeError(f'the server has computed nothing for {robot_id}, or does not count it')
    return after[robot_id] - before.get(robot_id, 0.0)


def is_fair(ratios: Sequence[float]) -> bool:
    """No robot below FAIR_RATIO of its fair share while another has more than its own."""
    return min(ratios) >= FAIR_RATIO or max(ratios) <= 1.0


def summary(shares: Sequence[RobotShare]) -> dict[str, Any]:
    """The figures of one trial."""
    ratios = [share.ratio for share in shares]
    return {
        'robots': [_row(share) for share in shares],
        'utilization': sum(share.got for share in shares),
        'lowest_ratio': min(ratios),
        'highest_ratio': max(ratios),
        'fair': is_fair(ratios),
        'disagreements': [text for share in shares for text in share.disagreements],
    }


def _row(share: RobotShare) -> dict[str, Any]:
    load, account = share.load, share.account
    return {
        'robot': load.robot_id,
        'model': load.model,
        'input_size_px': load.input_size_px,
        'offered_fps': load.rate_fps,
        'got_fps': account.measured_fps,
        'demand': share.demand,
        'fair': share.fair,
        'got': share.got,
        'ratio': share.ratio,
        'latency_p50_s': statistics.median(account.latency_s) if account.latency_s else None,
        'submitted': account.submitted,
        'sent': account.sent,
        'answered': account.answered,
        'failed': account.failed,
        'unanswered_sent': account.unanswered_sent,
    }


def _picture(input_size_px: int) -> bytes:
    image_bgr = SyntheticSource(1, 640, 480, 30.0).read().image_bgr
    return encode_jpeg(resize_for_upload(image_bgr, input_size_px))


def _cost_s(address: str, kind: tuple[str, int], jpeg: bytes) -> float:
    """What such a frame takes an undisturbed server.

    A low quantile, as whatever else runs on the machine only ever adds to it.
    """
    load = RobotLoad(
        robot_id='calibration',
        model=kind[0],
        input_size_px=kind[1],
        jpeg=jpeg,
        rate_fps=CALIBRATION_FPS,
        deadline_s=1.0,
        duration_s=CALIBRATION_S,
        settling_s=0.0,
    )
    (account,), _, _ = run_robots(address, [load], lambda: None)
    if len(account.compute_s) < CALIBRATION_FPS:
        raise EdgeError(f'the server answered too few frames of {kind}: {account.failed}')
    return statistics.quantiles(account.compute_s, n=10)[0]


def _print(title: str, shares: Sequence[RobotShare], figures: dict[str, Any]) -> None:
    table = Table(title=title)
    for column in ('robot', 'frames', 'offered/s', 'got/s', 'demand', 'fair', 'got', 'got/fair'):
        table.add_column(column, justify='right')
    for share, row in zip(shares, figures['robots'], strict=True):
        table.add_row(
            share.load.robot_id,
            f'{share.load.model} {share.load.input_size_px}',
            f'{row["offered_fps"]:.1f}',
            f'{row["got_fps"]:.1f}',
            f'{share.demand:.3f}',
            f'{share.fair:.3f}',
            f'{share.got:.3f}',
            f'{share.ratio:.2f}',
        )
    console = Console(file=sys.stdout)
    console.print(table)
    console.print(
        f'server busy {figures["utilization"]:.2f}, fair: {_yes(figures["fair"])}, '
        f'counters agree: {_yes(not figures["disagreements"])}'
    )


def _yes(value: bool) -> str:
    return 'yes' if value else 'no'
