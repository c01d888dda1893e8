"""Power and energy of slots, with meters slower than the slots, that fail, hang or are restarted.

Everything between the meter and the slot is real; time is simulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('rclpy')

from visionscaling_ros import msg
from visionscaling_ros.datatypes import SlotState
from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.power.gpu_power_model import GpuPowerModel
from visionscaling_ros.hardware.power.meter_sampler import MeterSampler
from visionscaling_ros.hardware.power.power_meter import PowerMeter, PowerSample, Scope
from visionscaling_ros.nodes.power_account import PowerAccount, PowerReading
from visionscaling_ros.nodes.slot_energy import SlotEnergy
from visionscaling_ros.nodes.slot_merger import SlotMerger

MESSAGE_S = 0.2  # between two gpu_state


class Bench:
    """A computer, its meter and the nodes, on a clock of their own."""

    def __init__(
        self,
        period_s: float,
        power_w: Callable[[float], float] = lambda time_s: 10.0,
    ) -> None:
        self.now_s = 0.0
        self.failing = self.hanging = False
        self.readings: list[PowerReading] = []
        bench = self

        class Meter(PowerMeter):
            name = device = 'bench'
            scope = Scope.BOARD
            covers_radio = True
            rails = total_rails = ('total',)

            def read(self) -> PowerSample:
                if bench.failing:
                    raise HardwareError('the meter is gone')
                return PowerSample(bench.now_s, {'total': power_w(bench.now_s)})

        Meter.period_s = period_s
        self.sampler = MeterSampler(Meter(), now_s=lambda: self.now_s)
        self.sampler.sample()
        self.merger = SlotMerger()
        self.restart()
        self._sample_s = self._next(period_s)
        self._message_s = self._next(MESSAGE_S)

    def restart(self) -> None:
        """gpu_clock_node begins to count anew."""
        self.activated_s = self.now_s
        self.account = PowerAccount(GpuPowerModel(), 4.6, self.sampler, now_s=lambda: self.now_s)

    def slots(self, duration_s: float, count: int) -> list[SlotState]:
        """So many slots."""
        states = []
        for _ in range(count):
            end_s = self.now_s + duration_s
            while min(self._sample_s, self._message_s) <= end_s:
                self._step()
            self.now_s = end_s
            self.merger.inference = msg.InferenceState(uptime_s=end_s)
            state = self.merger.merge(0, '', end_s)
            if state is not None:
                states.append(state)
        return states

    def _next(self, pause_s: float) -> float:
        return self.now_s + pause_s

    def _step(self) -> None:
        self.now_s = min(self._sample_s, self._message_s)
        if self.now_s == self._sample_s:
            if not self.hanging:
                self.sampler.sample()
            self._sample_s = self._next(self.sampler.period_s)
        if self.now_s == self._message_s:
            self._publish()
            self._message_s = self._next(MESSAGE_S)

    def _publish(self) -> None:
        power = self.account.read()
        self.readings.append(power)
        self.merger.gpu = msg.GpuState(
            uptime_s=self.now_s - self.activated_s,
            power_w=power.power_w,
            energy_j=power.energy_j,
            energy_measured_s=power.measured_s,
            energy_gap_s=power.gap_s,
            power_covers_radio=power.covers_radio,
        )


def known(states: list[SlotState]) -> Iterator[SlotState]:
    """Slots whose power is known; their energy then is too, and only then."""
    for state in states:
        assert math.isnan(state.power_w) == math.isnan(state.energy_j)
        if not math.isnan(state.power_w):
            yield state


def total_j(states: list[SlotState]) -> float:
    return sum(state.energy_j for state in known(states))


SLOW = {
    'battery, two slots a reading': (1.0, 0.5),
    'battery that is a little late': (1.02, 1.0),
    'power_sample_rate_hz 0.2': (5.0, 1.0),
    'a card, five readings a slot': (0.1, 0.5),
    'readings that never meet a slot': (0.103, 1.0),
    'a board': (0.01, 1.0),
}


@pytest.mark.parametrize(('period_s', 'slot_s'), SLOW.values(), ids=SLOW)
def test_a_slow_meter_gives_its_power_or_none_and_all_of_its_energy(
    period_s: float, slot_s: float
) -> None:
    bench = Bench(period_s)
    states = bench.slots(slot_s, 60)
    powers_w = [state.power_w for state in known(states)]
    assert powers_w == [pytest.approx(10.0)] * len(powers_w)
    told = [not math.isnan(state.power_w) for state in states]
    slots_a_reading = math.ceil(period_s / slot_s)
    for first in range(len(told) - slots_a_reading):
        assert any(told[first : first + slots_a_reading + 1])
    assert total_j(states) == pytest.approx(10.0 * 60 * slot_s, abs=10.0 * (period_s + slot_s))


@settings(max_examples=30, deadline=None)
@given(
    period_s=st.sampled_from((0.05, 0.3, 1.0, 2.0)),
    slot_s=st.sampled_from((0.3, 0.5, 1.0)),
    rise_s=st.floats(0.0, 20.0),
    lengths_s=st.floats(0.3, 10.0),
)
def test_power_is_that_of_the_slot_or_of_one_delay_before(
    period_s: float, slot_s: float, rise_s: float, lengths_s: float
) -> None:
    """Power rises once: it is never told too early, nor later than the meter and a message are."""

    def power_w(time_s: float) -> float:
        return 5.0 + 20.0 * min(max((time_s - rise_s) / lengths_s, 0.0), 1.0)

    bench = Bench(period_s, power_w)
    states = bench.slots(slot_s, round(40.0 / slot_s))
    end_s, since_s = slot_s, 0.0  # of the slot before the first
    for state in states:
        end_s += slot_s
        if math.isnan(state.power_w):
            continue
        lowest_w = power_w(since_s - 2.0 * period_s - MESSAGE_S)
        assert lowest_w - 1e-6 <= state.power_w <= power_w(end_s) + 1e-6
        since_s = end_s - slot_s
    told = bench.readings[-1]
    assert total_j(states) == pytest.approx(
        told.energy_j, abs=25.0 * (2.0 * slot_s + period_s + 2.0 * MESSAGE_S)
    )


def test_a_meter_that_fails_gives_no_power_and_then_its_own_again() -> None:
    bench = Bench(0.01)
    before = bench.slots(0.5, 6)
    bench.failing = True
    gap = bench.slots(0.5, 8)
    assert bench.readings[-1].trouble == 'the meter is gone'
    assert math.isnan(bench.readings[-1].power_w)
    bench.failing = False
    after = bench.slots(0.5, 8)
    assert all(s.power_w == pytest.approx(10.0) for s in known([*before, *gap, *after]))
    assert all(math.isnan(s.power_w) for s in gap[1:])
    assert not any(math.isnan(s.power_w) for s in [*before, *after])
    last = bench.readings[-1]
    assert last.gap_s == pytest.approx(4.0, abs=0.1)
    assert total_j([*before, *gap, *after]) == pytest.approx(10.0 * (10.5 - 4.0), abs=2.0)


def test_a_meter_that_hangs_is_told_and_its_time_counts_as_a_gap() -> None:
    bench = Bench(0.01)
    before = bench.slots(1.0, 3)
    bench.hanging = True
    gap = bench.slots(1.0, 5)
    hung = bench.readings[-1]
    assert 'bench: no answer for 4.8 s' in hung.trouble
    assert hung.gap_s == pytest.approx(5.0, abs=MESSAGE_S)
    assert math.isnan(hung.power_w)
    bench.hanging = False
    after = bench.slots(1.0, 3)
    assert all(s.power_w == pytest.approx(10.0) for s in known([*before, *gap, *after]))
    assert all(math.isnan(s.power_w) for s in gap[1:])
    assert total_j([*before, *gap, *after]) == pytest.approx(10.0 * (10.0 - 5.0), abs=2.0)
    assert bench.readings[-1].gap_s == pytest.approx(5.0, abs=0.05)
    assert bench.readings[-1].trouble == ''


@pytest.mark.parametrize('period_s', [0.01, 1.0])
def test_a_restart_of_the_node_within_a_slot_gives_no_wrong_power(period_s: float) -> None:
    bench = Bench(period_s)
    states = bench.slots(0.7, 10)
    bench.restart()
    states += bench.slots(0.7, 10)
    assert all(s.power_w == pytest.approx(10.0) for s in known(states))
    assert sum(1 for _ in known(states[10:])) >= 5
    assert total_j(states) == pytest.approx(140.0, abs=10.0 * (2.0 * period_s + 1.4))


def gpu(step: float, power_w: float = 4.0, **fields: object) -> msg.GpuState:
    """gpu_state of a node with a model."""
    return msg.GpuState(uptime_s=step, energy_j=power_w * step, energy_measured_s=step, **fields)


def radio(step: float) -> msg.LinkState:
    return msg.LinkState(uptime_s=step, radio_energy_j=0.5 * step)


@pytest.mark.parametrize(('covered', 'power_w'), [(False, 4.5), (True, 4.0)])
def test_the_radio_is_added_to_what_does_not_have_it(covered: bool, power_w: float) -> None:
    book = SlotEnergy()
    book.begin(gpu(1.0), radio(2.0))
    told = book.end_slot(gpu(2.0, power_covers_radio=covered), radio(3.0), 1.0)
    assert told == (pytest.approx(power_w), pytest.approx(power_w))


def test_the_radios_energy_of_slots_without_power_is_not_lost() -> None:
    book = SlotEnergy()
    book.begin(gpu(1.0), radio(1.0))
    assert math.isnan(book.end_slot(gpu(1.0), radio(2.0), 1.0)[0])
    power_w, energy_j = book.end_slot(gpu(3.0), radio(3.0), 1.0)
    assert power_w == pytest.approx(4.5)
    assert energy_j == pytest.approx(9.0)


def test_a_radio_that_is_not_told_adds_nothing() -> None:
    book = SlotEnergy()
    book.begin(gpu(1.0), None)
    assert book.end_slot(gpu(2.0), None, 1.0) == (4.0, 4.0)
    assert book.end_slot(gpu(3.0), radio(70.0), 1.0) == (4.0, 4.0)
    assert book.end_slot(gpu(4.0), radio(71.0), 1.0) == (4.5, 4.5)
    assert book.end_slot(gpu(5.0), radio(71.0), 1.0) == (4.0, 4.0)


def test_power_counts_from_when_gpu_clock_node_was_first_heard() -> None:
    book = SlotEnergy()
    book.begin(None, radio(1.0))
    assert math.isnan(book.end_slot(None, radio(2.0), 1.0)[1])
    assert math.isnan(book.end_slot(gpu(50.0), radio(3.0), 1.0)[1])
    assert book.end_slot(gpu(51.0), radio(4.0), 1.0) == (4.5, 4.5)


def test_slots_between_messages_have_as_much_as_they_are_long() -> None:
    book = SlotEnergy()
    book.begin(gpu(1.0), None)
    told = [book.end_slot(gpu(step), None, 1.0) for step in (1.8, 3.0, 4.0)]
    assert told == [(pytest.approx(4.0), pytest.approx(4.0))] * 3


def test_what_was_not_measured_is_in_no_slot() -> None:
    book = SlotEnergy()
    book.begin(gpu(1.0), None)
    gap = msg.GpuState(uptime_s=11.0, energy_j=4.0 + 4.0 * 2.0, energy_measured_s=3.0)
    assert book.end_slot(gap, None, 10.0) == (pytest.approx(4.0), pytest.approx(8.0))
    hardly = msg.GpuState(uptime_s=12.2, energy_j=12.04, energy_measured_s=3.01)
    assert book.end_slot(hardly, None, 1.0) == (pytest.approx(4.0), 0.0)


def test_a_node_started_anew_after_long_fills_nothing_in() -> None:
    book = SlotEnergy()
    book.begin(gpu(100.0), None)
    for _ in range(60):
        assert math.isnan(book.end_slot(gpu(100.0), None, 1.0)[0])
    assert book.end_slot(gpu(0.5), None, 1.0) == (pytest.approx(4.0), pytest.approx(2.0))


counters = st.floats(0.0, 1e6) | st.just(math.nan) | st.just(math.inf)


@given(st.lists(st.tuples(counters, counters, counters), min_size=2, max_size=8))
def test_whatever_is_told_energy_is_no_less_than_nothing(
    told: list[tuple[float, float, float]],
) -> None:
    book = SlotEnergy()
    book.begin(None, None)
    for uptime_s, energy_j, measured_s in told:
        message = msg.GpuState(uptime_s=uptime_s, energy_j=energy_j, energy_measured_s=measured_s)
        slot_j = book.end_slot(message, None, 1.0)[1]
        assert not slot_j < 0.0
