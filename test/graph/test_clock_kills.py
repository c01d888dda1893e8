"""A few kills of node and helper; the long run is ``visionscaling clock-kills``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from visionscaling_ros.nodes.clock_driver import DecisionDriver
from visionscaling_ros.trials.clock_kills.plan import (
    BETWEEN,
    DIRECT,
    RESTORING,
    SETTING,
    STARTING,
    STOPPING,
    THROUGH_HELPER,
    Kill,
    KillRound,
)
from visionscaling_ros.trials.clock_kills.session import run_session
from visionscaling_ros.trials.clock_kills.unprivileged import why_not

HELPER, NODE = 'helper', 'node'
AT_ONCE, SOON, LATER = (Kill(SETTING, delay_s) for delay_s in (0.0, 0.002, 0.05))
DIRECTLY = (
    KillRound(DIRECT, (NODE,), (AT_ONCE, Kill(RESTORING, 0.001))),
    KillRound(DIRECT, (NODE,), (Kill(STOPPING, 0.02),)),
    KillRound(DIRECT, (NODE,), (Kill(BETWEEN, 0.0),), governor=True),
)
BY_HELPER = (
    KillRound(THROUGH_HELPER, (HELPER,), (AT_ONCE, Kill(STARTING, 0.05), Kill(RESTORING, 0.0))),
    KillRound(THROUGH_HELPER, (HELPER,), (SOON,)),
    KillRound(THROUGH_HELPER, (NODE,), (LATER,)),
    KillRound(THROUGH_HELPER, (NODE, HELPER), (SOON,), governor=True),
)
CROSSING = (
    KillRound(DIRECT, (NODE,), (SOON, SOON), crossing=True),
    KillRound(THROUGH_HELPER, (HELPER, NODE), (Kill(BETWEEN, 0.0), SOON), crossing=True),
)
NEEDS_ROOT = pytest.mark.skipif(bool(why_not()), reason=why_not() or 'never')


@pytest.mark.parametrize(
    'rounds',
    [
        pytest.param(DIRECTLY, id='direct'),
        pytest.param(BY_HELPER, id='by helper', marks=NEEDS_ROOT),
        pytest.param(CROSSING, id='one after the other', marks=NEEDS_ROOT),
    ],
)
def test_the_clock_is_as_it_was_found_after_every_kill(
    rounds: tuple[KillRound, ...], tmp_path: Path
) -> None:
    report = tmp_path / 'report.json'
    # pytest's own folders are closed to other users
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        assert run_session(DecisionDriver, rounds, Path(folder), report)
    document = json.loads(report.read_text(encoding='utf-8'))
    assert document['kills'] == sum(len(one.kills) for one in rounds)
    assert document['wrong'] == []
    ways = {one.way for one in rounds}  # each ends with a clean stop
    assert [record['violations'] for record in document['rounds']] == [[]] * (
        len(rounds) + len(ways)
    )
    assert all(record['writes'] for record in document['rounds'])
