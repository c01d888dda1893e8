"""Counters become the rates of a slot, whatever is late, lost or started anew."""

from __future__ import annotations

import math

import pytest

pytest.importorskip('rclpy')

from visionscaling_ros import msg
from visionscaling_ros.nodes.slot_merger import SlotMerger


def inference(uptime_s: float, arrived: int, **fields: object) -> msg.InferenceState:
    return msg.InferenceState(
        uptime_s=uptime_s,
        arrived=arrived,
        processed_local=arrived,
        measured_map=float('nan'),
        **fields,
    )


def test_rates_follow_the_clock_of_the_counters() -> None:
    merger = SlotMerger()
    merger.inference = inference(1.0, 10)
    assert merger.merge(0, '', 0.0) is None
    merger.inference = inference(3.0, 40, drop_reasons=['superseded'], drop_counts=[4])
    merger.gpu = msg.GpuState(uptime_s=1.0, energy_j=5.0)
    state = merger.merge(1, 'fixed', 1.0)
    assert state is not None
    assert state.arrival_fps == pytest.approx(15.0)
    assert state.processed_local_fps == pytest.approx(15.0)
    assert state.drop_counts == {'superseded': 4}
    assert math.isnan(state.power_w)
    assert not state.edge_reachable


def test_no_news_is_no_state() -> None:
    merger = SlotMerger()
    merger.inference = inference(1.0, 10)
    merger.merge(0, '', 0.0)
    assert merger.merge(0, '', 0.0) is None


def test_energy_adds_the_radio_to_the_computer() -> None:
    merger = SlotMerger()
    for step in (1, 2):
        merger.inference = inference(float(step), 10 * step)
        merger.gpu = msg.GpuState(uptime_s=2.0 * step, energy_j=8.0 * step)
        merger.link = msg.LinkState(
            uptime_s=0.5 * step, radio_energy_j=0.5 * step, sent_bytes=1000 * step, reachable=True
        )
        state = merger.merge(step, '', float(step))
    assert state is not None
    assert state.power_w == pytest.approx(5.0)
    assert state.energy_j == pytest.approx(5.0)
    assert state.uplink_throughput_bps == pytest.approx(16000.0)
    assert state.edge_reachable


def test_a_node_that_was_restarted_gives_no_negative_rate() -> None:
    merger = SlotMerger()
    merger.inference = inference(100.0, 1000)
    merger.merge(0, '', 0.0)
    merger.inference = inference(2.0, 30)
    state = merger.merge(1, '', 1.0)
    assert state is not None
    assert state.arrival_fps == pytest.approx(15.0)


def test_a_bridge_that_fell_silent_counts_as_away() -> None:
    merger = SlotMerger()
    merger.link = msg.LinkState(uptime_s=1.0, reachable=True)
    for step in (1, 2, 3, 4):
        merger.inference = inference(float(step), step)
        state = merger.merge(step, '', float(step))
    assert state is not None
    assert not state.edge_reachable
