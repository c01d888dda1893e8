"""Which configurations are worth a look: usable, undominated, on the concave envelope."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from control_examples import DEVICE, LARGE, MIDDLE, POINTS, SETTINGS, SMALL
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.control.frontier import envelope
from visionscaling_ros.control.point_table import (
    PointTable,
    PointTableCache,
    admitted_locally,
    efficient,
    usable,
)
from visionscaling_ros.datatypes import OperatingPoint

Cloud = list[tuple[int, int]]
clouds = st.lists(st.tuples(st.integers(1, 8), st.integers(-4, 8)), min_size=1, max_size=9)


def vertices_by_force(cloud: Cloud) -> set[tuple[int, int]]:
    """Points that no mix of others equals or beats: as much value for no more use."""
    kept = set()
    for use, value in set(cloud):
        others = [(u, v) for u, v in set(cloud) if (u, v) != (use, value)]
        beaten = any(u <= use and v >= value for u, v in others)
        for (u, v), (up, over) in itertools.permutations(others, 2):
            if u < use < up:
                share = Fraction(use - u, up - u)
                beaten |= (1 - share) * v + share * over >= value
        if not beaten:
            kept.add((use, value))
    return kept


@given(st.lists(clouds, min_size=1, max_size=4))
@settings(max_examples=400, deadline=None)
def test_envelope_is_the_hull_found_by_force(rows: list[Cloud]) -> None:
    """Whole numbers: ties, duplicates and points on a line are exact."""
    widest = max(len(cloud) for cloud in rows)
    use, value = np.ones((len(rows), widest)), np.full((len(rows), widest), 99.0)
    counts = np.zeros((len(rows), widest), dtype=np.bool_)  # those left out would be the best
    for r, cloud in enumerate(rows):
        use[r, : len(cloud)], value[r, : len(cloud)] = zip(*cloud, strict=True)
        counts[r, : len(cloud)] = True
    index = envelope(use, value, counts)
    for r, cloud in enumerate(rows):
        path = [(use[r, k], value[r, k]) for k in index[r]]
        distinct = list(dict.fromkeys(path))
        assert set(distinct) == vertices_by_force(cloud)
        assert distinct == sorted(distinct, reverse=True)  # from most to least use
        assert path[len(distinct) :] == [distinct[-1]] * (len(path) - len(distinct))
        assert all(counts[r, k] for k in index[r])


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_no_point_lies_above_the_envelope(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    use = np.exp(rng.uniform(-12.0, 12.0, (5, count)))
    value = rng.normal(size=(5, count))
    index = envelope(use, value, np.ones((5, count), dtype=np.bool_))
    for r in range(5):
        path = np.array(list(dict.fromkeys(index[r].tolist())))[::-1]
        reached = np.interp(use[r], use[r, path], value[r, path])  # as much beyond the last
        assert np.all(value[r] <= reached + 1e-9)
        assert use[r, path[0]] == use[r].min()


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 3), st.sampled_from([2, 4, 1000])
)
@settings(max_examples=200, deadline=None)
def test_only_points_another_beats_are_dropped(
    seed: int, count: int, kinds: int, grain: int
) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.integers(0, grain, (kinds, count)).astype(float)
    costs[rng.random(costs.shape) < 0.1] = np.inf  # cannot be had there
    value = rng.integers(0, grain, count).astype(float)
    kept = efficient(costs, value)
    every = np.concatenate([costs, -value[None]])
    for k in range(count):
        no_worse = np.all(every <= every[:, [k]], axis=0)
        better = no_worse & np.any(every < every[:, [k]], axis=0)
        if kept[k]:
            assert not better.any()
        else:  # one that stays beats it, or is its twin
            assert np.any(no_worse & kept)
    distinct = {tuple(column) for column in every[:, kept].T}
    assert len(distinct) == kept.sum()  # of twins one


def test_an_unknown_cost_is_no_advantage() -> None:
    """A configuration that cannot be offloaded does not push out one that can."""
    stuck = dataclasses.replace(SMALL, model='stuck', accuracy_map=0.36, upload_bits=0.0)
    table = PointTable.build((SMALL, stuck), DEVICE, only_efficient=True)
    assert table.points == (SMALL, stuck)
    worse = dataclasses.replace(SMALL, model='worse', accuracy_map=0.34)
    assert PointTable.build((worse, SMALL), DEVICE, only_efficient=True).points == (SMALL,)
    assert PointTable.build((worse, SMALL), DEVICE).points == (worse, SMALL)


def test_arrays_are_those_of_the_points() -> None:
    table = PointTable.build(POINTS, DEVICE)
    for k, point in enumerate(POINTS):
        assert table.accuracy_map[k] == point.accuracy_map
        assert table.upload_bits[k] == point.upload_bits
        assert table.server_s[k] == point.server_time_s
        for j, level_hz in enumerate(DEVICE.clock_levels_hz):
            assert table.local_s[j, k] == pytest.approx(point.local_latency_s(level_hz))
            assert table.busy_w[j] == pytest.approx(DEVICE.gpu_dynamic_power_w(level_hz))
    assert table.highest_map == LARGE.accuracy_map


def test_an_unknown_server_time_counts_as_the_robots_own_at_full_clock() -> None:
    table = PointTable.build((dataclasses.replace(MIDDLE, server_time_s=0.0),), DEVICE)
    assert table.server_s[0] == table.local_s[-1, 0]


@given(
    st.sampled_from(
        ['accuracy_map', 'gpu_work_ghz_s', 'serial_s', 'upload_bits', 'server_time_s']
    ),
    st.sampled_from([math.nan, math.inf, -math.inf, -1e-9]),
)
def test_figures_that_make_no_sense_are_left_out(field: str, figure: float) -> None:
    broken = dataclasses.replace(MIDDLE, **{field: figure})
    assert not usable(broken)
    for only_efficient in (False, True):
        table = PointTable.build((LARGE, broken, SMALL), DEVICE, only_efficient=only_efficient)
        assert table.points == (LARGE, SMALL)
        assert np.all(np.isfinite(table.local_s))


@pytest.mark.parametrize('only_efficient', [False, True])
def test_no_points_make_an_empty_table(only_efficient: bool) -> None:
    table = PointTable.build((), DEVICE, only_efficient=only_efficient)
    assert table.local_s.shape == (len(DEVICE.clock_levels_hz), 0)
    assert table.highest_map == 0.0


@pytest.mark.parametrize('only_efficient', [False, True])
def test_a_table_is_kept_while_points_and_device_are_the_same_objects(
    only_efficient: bool,
) -> None:
    cache = PointTableCache(only_efficient=only_efficient)
    first = cache.get(POINTS, DEVICE)
    assert cache.get(POINTS, DEVICE) is first
    points = (*POINTS,)[:2]
    other = cache.get(points, DEVICE)
    assert other is not first
    assert set(other.points) <= set(points)
    warm = dataclasses.replace(DEVICE, alpha_w_per_ghz3=3.0)
    hotter = cache.get(points, warm)
    assert hotter is not other
    assert hotter.busy_w == pytest.approx(2.0 * other.busy_w)
    assert cache.get((), warm).points == ()
    assert cache.get((), warm) is cache.get((), warm)


@given(st.floats(0.0, 1e3))
def test_slow_configurations_wait_for_a_higher_clock(arrival_fps: float) -> None:
    table = PointTable.build(POINTS, DEVICE)
    admitted = admitted_locally(table.local_s, arrival_fps, SETTINGS)
    assert admitted[-1].all()
    blocked = table.local_s * arrival_fps
    assert np.array_equal(admitted[:-1], blocked[:-1] <= SETTINGS.max_blocked_arrivals)


slow_points = st.lists(
    st.builds(
        OperatingPoint,
        model=st.sampled_from('abcdef'),
        input_size_px=st.integers(1, 9),
        accuracy_map=st.sampled_from([0.2, 0.4, 0.6, 0.8]),
        gpu_work_ghz_s=st.sampled_from([0.0, 0.01, 0.03]),
        serial_s=st.sampled_from([0.001, 0.004]),
        upload_bits=st.sampled_from([0.0, 1e5, 3e5]),
        server_time_s=st.sampled_from([0.0, 0.002, 0.006]),
    ),
    min_size=1,
    max_size=8,
)


@given(slow_points)
@settings(max_examples=100, deadline=None)
def test_the_efficient_can_do_whatever_all_can(points: list[OperatingPoint]) -> None:
    """For every point there is one that is as accurate and as cheap in all that is known."""
    every = PointTable.build(tuple(points), DEVICE)
    few = PointTable.build(tuple(points), DEVICE, only_efficient=True)
    assert set(few.points) <= set(every.points)
    assert few.highest_map == every.highest_map
    for point in every.points:
        assert any(
            other.accuracy_map >= point.accuracy_map
            and other.gpu_work_ghz_s <= point.gpu_work_ghz_s
            and other.serial_s <= point.serial_s
            and (point.upload_bits == 0.0 or 0.0 < other.upload_bits <= point.upload_bits)
            for other in few.points
        )
