"""Fair shares, and what robots with a real bridge get of a real server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from edge_gated_runner import PATIENCE_S, GatedRunner
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.errors import EdgeError
from visionscaling_ros.trials.fairness import is_fair, shares_of
from visionscaling_ros.trials.load_robot import RobotAccount, RobotLoad, run_robots
from visionscaling_ros.trials.max_min import max_min_shares
from visionscaling_ros.trials.server_counts import ServerCounts, disagreements, read_counts

DEMANDS = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=10)
CAPACITY = st.floats(0.0, 1e7)


@given(DEMANDS, CAPACITY)
def test_shares_use_the_capacity_and_exceed_no_demand(
    demands: list[float], capacity: float
) -> None:
    shares = max_min_shares(demands, capacity)
    assert all(
        0.0 <= share <= demand * (1 + 1e-9) for share, demand in zip(shares, demands, strict=True)
    )
    assert sum(shares) == pytest.approx(min(capacity, sum(demands)), rel=1e-9, abs=1e-6)


@given(DEMANDS, CAPACITY)
def test_who_wants_more_than_he_gets_has_no_less_than_anybody(
    demands: list[float], capacity: float
) -> None:
    shares = max_min_shares(demands, capacity)
    for share, demand in zip(shares, demands, strict=True):
        if share < demand * (1 - 1e-9):
            assert share >= max(shares) * (1 - 1e-9) - 1e-9


def test_modest_demands_are_met_and_the_others_share_the_rest() -> None:
    assert max_min_shares([8.0, 1.0, 8.0, 2.0], 9.0) == [3.0, 1.0, 3.0, 2.0]


def account(**changes: object) -> RobotAccount:
    values: dict[str, object] = {
        'submitted': 100, 'sent': 90, 'answered': 80, 'failed': {'superseded': 10, 'refused': 10},
        'unanswered_sent': {'refused': 10}, 'measured_s': 10.0, 'latency_s': (0.1,) * 80,
        'compute_s': (0.01,) * 80, **changes,
    }  # fmt: skip
    return RobotAccount(**values)  # type: ignore[arg-type]


def test_books_that_agree_have_nothing_to_say() -> None:
    assert disagreements(account(), {'ok': 80, 'refused_overload': 7, 'refused_quota': 3}) == []


@pytest.mark.parametrize(
    ('outcomes', 'about'),
    [
        ({'ok': 81, 'refused_overload': 10}, 'answers'),
        ({'ok': 79, 'refused_overload': 10, 'cancelled': 1}, 'answers'),
        ({'ok': 80, 'refused_overload': 9}, 'refusals'),
        ({'ok': 80, 'refused_overload': 10, 'cancelled': 1}, 'requests'),
    ],
)
def test_one_request_too_many_or_too_few_is_noticed(outcomes: dict[str, int], about: str) -> None:
    assert any(text.startswith(about) for text in disagreements(account(), outcomes))


def test_a_request_given_up_may_have_ended_in_any_way() -> None:
    late = account(sent=93, unanswered_sent={'refused': 10, 'timeout': 3})
    for outcomes in (
        {'ok': 83, 'refused_overload': 10},
        {'ok': 80, 'refused_overload': 10},
        {'ok': 81, 'refused_overload': 11, 'cancelled': 1},
    ):
        assert disagreements(late, outcomes) == []
    assert disagreements(late, {'ok': 84, 'refused_overload': 10})


def load(robot_id: str, rate_fps: float) -> RobotLoad:
    return RobotLoad(
        robot_id=robot_id, model='tiny', input_size_px=320, jpeg=b'\x01\x02', rate_fps=rate_fps,
        deadline_s=10.0, duration_s=1.0, settling_s=0.2,
    )  # fmt: skip


def test_a_robot_that_gets_its_demand_has_its_fair_share_however_little_that_is() -> None:
    loads = [load('greedy', 100.0), load('modest', 8.0)]
    accounts = [account(latency_s=(0.1,) * 60), account(latency_s=(0.1,) * 80)]
    before = ServerCounts(0.0, {}, {'modest': 1.0})
    after = ServerCounts(10.0, {}, {'greedy': 6.0, 'modest': 3.0})
    greedy, modest = shares_of(loads, accounts, before, after)
    assert (greedy.got, modest.got) == (0.6, 0.2)
    assert modest.demand == pytest.approx(0.2)
    assert greedy.demand == pytest.approx(10.0)
    assert greedy.ratio == pytest.approx(1.0)
    assert modest.ratio == pytest.approx(1.0)


def test_unfair_is_only_who_has_too_little_while_another_has_too_much() -> None:
    assert is_fair([0.5, 0.9, 1.0])
    assert is_fair([0.8, 1.4])
    assert not is_fair([0.79, 1.01])


def test_a_server_that_does_not_count_computing_time_by_robot_is_an_error() -> None:
    with pytest.raises(EdgeError, match='greedy'):
        shares_of([load('greedy', 1.0)], [account()], *[ServerCounts(0.0, {}, {})] * 2)


@pytest.fixture
def server() -> Iterator[EdgeServer]:
    """A real server, its event loop in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = EdgeServer(GatedRunner(), port=0, metrics_port=0)
    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(PATIENCE_S)
        yield server
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(PATIENCE_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_robots_in_processes_of_their_own_agree_with_the_servers_counters(
    server: EdgeServer,
) -> None:
    loads = [load('one', 20.0), load('two', 10.0)]
    metrics_url = f'http://{server.metrics_address}/metrics'
    accounts, before, after = run_robots(server.address, loads, lambda: read_counts(metrics_url))
    assert [account.submitted for account in accounts] == [20, 10]
    assert after.monotonic_s > before.monotonic_s
    outcomes = read_counts(metrics_url).outcomes
    for robot, own in zip(loads, accounts, strict=True):
        assert own.answered > 0
        assert own.submitted == own.answered + sum(own.failed.values())
        assert disagreements(own, outcomes[robot.robot_id]) == []
