"""What a world fitted to a real robot can have that an invented one lacks."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionscaling_ros.control import ControlSettings
from visionscaling_ros.datatypes import Allocation, Origin, SlotDecision
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.simulation.latency_book import RTT_S
from visionscaling_ros.simulation.profile import load_profile
from visionscaling_ros.simulation.scenarios import make_conditions
from visionscaling_ros.simulation.world import World

PROFILE = load_profile('agx_orin')
TOP_HZ = PROFILE.device.clock_levels_hz[-1]
SETTINGS = ControlSettings()
SLOTS = 6
USUAL = make_conditions('steady', profile=PROFILE, slots=SLOTS, seed=2)


def played(edge_fps=0.0, local_fps=10.0, model='yolov8n', size_px=480, **changes):
    """States of a world that differs from the usual one in ``changes``."""
    allocations = tuple(
        Allocation(model, size_px, origin, rate)
        for origin, rate in ((Origin.LOCAL, local_fps), (Origin.EDGE, edge_fps))
    )
    world = World(dataclasses.replace(USUAL, **changes), PROFILE, SETTINGS)
    states = []
    for slot, arrival_fps in enumerate(USUAL.arrival_fps.tolist()):
        share = arrival_fps / (local_fps + edge_fps)
        asked = tuple(dataclasses.replace(a, rate_fps=a.rate_fps * share) for a in allocations)
        decision = SlotDecision(slot, asked, TOP_HZ, 0.0, arrival_fps, 'made')
        states.append(world.step(decision, slot))
    return states


def test_an_invented_world_is_as_it_was():
    """Told or not told the costs that it has anyway, bit for bit."""
    same = played(edge_fps=5.0, points=(PROFILE.points,) * SLOTS)
    for one, other in zip(played(edge_fps=5.0), same, strict=True):
        assert repr(one) == repr(other)


def test_power_lacks_the_same_at_any_load():
    for one, other in zip(played(), played(power_offset_w=1.5), strict=True):
        assert other.power_w == pytest.approx(one.power_w + 1.5)
    idle = played(power_offset_w=-1e6)[0]
    assert idle.power_w >= 0.0


def test_offloaded_frames_take_the_round_trip_of_their_slot():
    rtt_s = np.linspace(0.01, 0.2, SLOTS)
    one, other = played(edge_fps=5.0), played(edge_fps=5.0, rtt_s=rtt_s)
    for usual, own, rtt in zip(one, other, rtt_s, strict=True):
        grown_s = own.latency_edge_mean_s - usual.latency_edge_mean_s
        assert grown_s == pytest.approx(rtt - RTT_S)
        assert own.rtt_s == rtt


def test_costs_told_slot_by_slot_are_what_frames_cost():
    def with_cost(factor):
        return tuple(
            dataclasses.replace(p, gpu_work_ghz_s=factor * p.gpu_work_ghz_s,
                                serial_s=factor * p.serial_s)
            for p in PROFILE.points
        )  # fmt: skip

    factors = [1.0, 1.0, 1.1, 1.1, 0.5, 0.5]
    states = played(points=tuple(with_cost(f) for f in factors))
    for state, usual, factor in zip(states, played(), factors, strict=True):
        assert state.operating_points == with_cost(factor)
        assert state.gpu_utilization == pytest.approx(factor * usual.gpu_utilization)


def test_points_of_each_slot_are_as_many_as_the_profile_has():
    with pytest.raises(InvalidValueError, match='length of points'):
        dataclasses.replace(USUAL, points=(PROFILE.points,))
    with pytest.raises(InvalidValueError, match='points of a slot'):
        played(points=(PROFILE.points[:2],) * SLOTS)


@given(low=st.floats(0.0, 1.0), high=st.floats(0.0, 1.0), size_px=st.sampled_from([320, 960]))
def test_softer_is_less_and_nothing_is_lost_in_the_books(low, high, size_px):
    low, high = sorted((low, high))
    for hard, soft in zip(
        played(size_px=size_px, local_softness=low),
        played(size_px=size_px, local_softness=high),
        strict=True,
    ):
        assert soft.processed_local_fps <= hard.processed_local_fps * (1.0 + 1e-12)
        assert 0.0 <= soft.gpu_utilization <= 1.0
        total_fps = soft.processed_local_fps + soft.processed_edge_fps + soft.dropped_fps
        assert total_fps == pytest.approx(soft.arrival_fps)


def test_a_robot_asked_for_ever_more_is_busy_however_soft():
    slow = USUAL.latency_factor * 1e3
    busy = [s.gpu_utilization for s in played(local_softness=1.0, latency_factor=slow)]
    assert min(busy) > 0.98


def test_the_softest_is_the_loss_formula_of_one_server():
    state = played(local_softness=1.0)[0]
    usual = played()[0]
    offered = usual.gpu_utilization  # below 1, so nothing is lost
    assert offered < 1.0
    kept = state.processed_local_fps / usual.processed_local_fps
    assert kept == pytest.approx(1.0 / (1.0 + offered))


def test_what_the_edge_gives_back_runs_locally():
    lost = played(edge_fps=5.0, edge_loss=0.5)
    for one, other in zip(played(edge_fps=5.0), lost, strict=True):
        assert other.processed_edge_fps == pytest.approx(0.5 * one.processed_edge_fps)
        assert other.processed_local_fps > one.processed_local_fps


def test_a_server_on_the_same_machine_slows_the_robot():
    for one, other in zip(
        played(edge_fps=10.0), played(edge_fps=10.0, offload_slowdown=1.0), strict=True
    ):
        assert other.gpu_utilization > one.gpu_utilization
    for one, other in zip(played(), played(offload_slowdown=1.0), strict=True):
        assert other.gpu_utilization == one.gpu_utilization


def test_it_starts_as_warm_as_it_was():
    assert played(start_temperature_c=70.0)[0].gpu_temperature_c > 60.0


def test_slots_can_be_taken_alone():
    own = dataclasses.replace(
        USUAL, rtt_s=np.arange(SLOTS) * 0.01, points=(PROFILE.points,) * SLOTS
    ).of_slots([3, 1])
    assert len(own) == 2
    assert own.arrival_fps.tolist() == USUAL.arrival_fps[[3, 1]].tolist()
    assert own.rtt_s.tolist() == [0.03, 0.01]
    assert len(own.points) == 2


@pytest.mark.parametrize(
    ('name', 'value'),
    [('power_offset_w', math.nan), ('local_softness', 1.5), ('edge_loss', -0.1),
     ('offload_slowdown', math.inf), ('rtt_s', np.full(SLOTS, -1.0))],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(name, value):
    with pytest.raises(InvalidValueError, match=name):
        dataclasses.replace(USUAL, **{name: value})
