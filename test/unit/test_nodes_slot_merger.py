"""Counters become the rates of a slot, whatever is late, lost or started anew."""

from __future__ import annotations

import math

import pytest

pytest.importorskip('rclpy')

from visionscaling_ros import msg
from visionscaling_ros.control.device import DeviceModel
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
    merger.gpu = msg.GpuState(uptime_s=1.0, energy_j=5.0, energy_measured_s=1.0)
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
        merger.gpu = msg.GpuState(
            uptime_s=2.0 * step, energy_j=8.0 * step, energy_measured_s=2.0 * step
        )
        merger.link = msg.LinkState(
            uptime_s=0.5 * step, radio_energy_j=0.5 * step, sent_bytes=1000 * step, reachable=True
        )
        state = merger.merge(step, '', float(step))
    assert state is not None
    assert state.power_w == pytest.approx(5.0)
    assert state.energy_j == pytest.approx(5.0)
    assert state.uplink_throughput_bps == pytest.approx(16000.0)
    assert state.edge_reachable


@pytest.mark.parametrize(
    ('measured_s', 'power_w'), [(2.0, 4.0), (1.0, 8.0), (4.0, 2.0), (0.0, math.nan)]
)
def test_power_is_that_of_the_time_it_was_measured_in(measured_s: float, power_w: float) -> None:
    merger = SlotMerger()
    for step in (1, 2):
        merger.inference = inference(float(step), 10 * step)
        merger.gpu = msg.GpuState(
            uptime_s=2.0 * step, energy_j=8.0 * step, energy_measured_s=measured_s * step
        )
        state = merger.merge(step, '', float(step))
    assert state is not None
    assert state.power_w == pytest.approx(power_w, nan_ok=True)


def test_no_slot_is_left_out_of_the_energy_when_inference_node_is_silent() -> None:
    merger = SlotMerger()
    energies_j = []
    for step, heard in enumerate([True, True, False, False, True]):
        if heard:
            merger.inference = inference(float(step), 10 * step)
        merger.gpu = msg.GpuState(
            uptime_s=float(step), energy_j=4.0 * step, energy_measured_s=float(step)
        )
        state = merger.merge(step, '', float(step))
        if state is not None:
            energies_j.append(state.energy_j)
    assert energies_j == [pytest.approx(4.0), pytest.approx(12.0)]


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


def test_the_device_is_what_clock_and_radio_say_it_is() -> None:
    merger = SlotMerger()
    merger.gpu = msg.GpuState(
        available_frequencies_hz=[1e9, 5e8], frequency_hz=5e8, power_base_w=2.0,
        power_model_alpha_w_per_ghz3=1.5, power_model_beta_w=3.0,
    )  # fmt: skip
    merger.link = msg.LinkState(radio_fixed_w=0.5, radio_w_per_mbps=0.25, radio_tail_s=10.0)
    assert merger.device() == DeviceModel(
        available_frequencies_hz=(5e8, 1e9), frequency_hz=5e8, base_w=2.0,
        alpha_w_per_ghz3=1.5, beta_w=3.0,
        radio_fixed_w=0.5, radio_w_per_mbps=0.25, radio_tail_s=10.0,
    )  # fmt: skip
