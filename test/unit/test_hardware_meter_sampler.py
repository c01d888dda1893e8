"""The thread that reads a meter: outlives its failures and counts their time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hardware_trees import agx_orin, orin_nano

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.power.energy_integrator import MAX_PERIODS
from visionscaling_ros.hardware.power.ina3221_meter import Ina3221Meter
from visionscaling_ros.hardware.power.meter_sampler import MeterSampler, retry_pause_s
from visionscaling_ros.hardware.power.power_meter import PowerMeter, PowerSample, Scope


class Meter(PowerMeter):
    """Draws 10 W on a clock the test turns; fails, hangs and loses rails when told to."""

    name = 'test'
    device = 'a test'
    scope = Scope.BOARD
    period_s = 0.01

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self.now_s = now_s
        self.error: Exception | None = None
        self.lost: tuple[str, ...] = ()
        self.reads = threading.Semaphore(0)
        self.closed = 0

    @property
    def rails(self) -> tuple[str, ...]:
        return ('total', 'part')

    @property
    def total_rails(self) -> tuple[str, ...]:
        return ('total',)

    def read(self) -> PowerSample:
        self.reads.release()
        if self.error is not None:
            raise self.error
        power_w = {rail: 10.0 for rail in self.rails if rail not in self.lost}
        return PowerSample(self.now_s(), power_w, trouble={r: f'{r} is lost' for r in self.lost})

    def close(self) -> None:
        self.closed += 1


def wait_for_reads(meter: Meter, count: int) -> None:
    for _ in range(count):
        assert meter.reads.acquire(timeout=10.0)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def stepped() -> tuple[Clock, Meter, MeterSampler]:
    clock = Clock()
    meter = Meter(clock)
    return clock, meter, MeterSampler(meter, now_s=clock)


def step(clock: Clock, sampler: MeterSampler, count: int, period_s: float = 0.01) -> None:
    for _ in range(count):
        clock.now_s += period_s
        sampler.sample()


def test_mean_power_is_that_since_the_reading_before() -> None:
    clock, _, sampler = stepped()
    sampler.sample()
    assert math.isnan(sampler.read().power_w)
    step(clock, sampler, 10)
    reading = sampler.read()
    assert reading.power_w == pytest.approx(10.0)
    assert reading.energy_j == pytest.approx(1.0)
    assert reading.measured_s == pytest.approx(0.1)
    assert dict(reading.rail_power_w) == {'total': 10.0, 'part': 10.0}


def test_power_stays_what_it_was_until_the_next_sample_or_a_gap() -> None:
    clock, meter, sampler = stepped()
    sampler.sample()
    step(clock, sampler, 1)
    assert [sampler.read().power_w for _ in range(3)] == [pytest.approx(10.0)] * 3
    meter.error = HardwareError('for a moment')
    step(clock, sampler, 1)
    assert sampler.read().power_w == pytest.approx(10.0)
    step(clock, sampler, 3)
    assert math.isnan(sampler.read().power_w)
    meter.error = None
    step(clock, sampler, 1)
    assert math.isnan(sampler.read().power_w)  # one sample after a gap tells no energy
    step(clock, sampler, 1)
    assert sampler.read().power_w == pytest.approx(10.0)


def test_a_device_that_does_not_answer_is_told_and_its_time_counted_once() -> None:
    clock, _, sampler = stepped()
    sampler.sample()
    step(clock, sampler, 5)
    clock.now_s += 0.029
    assert (sampler.read().trouble, sampler.read().gap_s) == ('', 0.0)
    clock.now_s += 2.471
    for _ in range(2):
        reading = sampler.read()
        assert 'no answer for 2.5 s' in reading.trouble
        assert reading.gap_s == pytest.approx(2.5)
        assert (reading.gaps, dict(reading.rail_power_w)) == (1, {})
        assert math.isnan(reading.power_w)
        assert reading.energy_j == pytest.approx(0.5)
    sampler.sample()
    step(clock, sampler, 5)
    reading = sampler.read()
    assert reading.gap_s == pytest.approx(2.5)
    assert (reading.gaps, reading.trouble) == (1, '')
    assert reading.energy_j == pytest.approx(1.0)
    assert reading.power_w == pytest.approx(10.0)


def test_a_counter_that_went_on_meanwhile_takes_the_gap_back() -> None:
    clock = Clock()

    class Counter(Meter):
        def read(self) -> PowerSample:
            return PowerSample(clock.now_s, {}, {'total': 10.0 * clock.now_s})

    sampler = MeterSampler(Counter(clock), now_s=clock)
    sampler.sample()
    clock.now_s += 4.0
    assert (sampler.read().gap_s, sampler.read().measured_s) == (4.0, 0.0)
    sampler.sample()
    reading = sampler.read()
    assert (reading.gap_s, reading.gaps, reading.measured_s) == (0.0, 0, 4.0)
    assert reading.energy_j == pytest.approx(40.0)


def test_a_meter_that_fails_and_is_asked_less_often_counts_all_of_the_time() -> None:
    clock, meter, sampler = stepped()
    sampler.sample()
    meter.error = HardwareError('gone for good')
    step(clock, sampler, 10)
    clock.now_s += 0.9
    reading = sampler.read()
    assert reading.gap_s == pytest.approx(1.0)
    assert (reading.gaps, reading.trouble) == (1, 'gone for good')


def test_the_sample_after_a_failure_can_bridge_it_and_later_ones_come_less_often() -> None:
    for period_s in (0.002, 0.01, 0.1, 1.0, 5.0):
        assert period_s + retry_pause_s(period_s, 1) < MAX_PERIODS * period_s
    pauses_s = [retry_pause_s(0.01, failures) for failures in range(2000)]
    assert pauses_s == sorted(pauses_s)
    assert (pauses_s[0], pauses_s[2], pauses_s[-1]) == (0.01, 0.02, 1.0)
    assert retry_pause_s(5.0, 9) == 5.0


@pytest.mark.parametrize('error', [HardwareError('gone for good'), RuntimeError('no idea')])
def test_a_failing_meter_is_told_and_its_time_counted(error: Exception) -> None:
    clock, meter, sampler = stepped()
    sampler.sample()
    meter.error = error
    step(clock, sampler, 50)
    reading = sampler.read()
    assert str(error) in reading.trouble
    assert reading.gap_s == pytest.approx(0.5)
    assert (reading.gaps, reading.energy_j, dict(reading.rail_power_w)) == (1, 0.0, {})
    assert math.isnan(reading.power_w)
    meter.error = None
    step(clock, sampler, 11)
    reading = sampler.read()
    assert (reading.trouble, reading.gaps) == ('', 1)
    assert reading.gap_s == pytest.approx(0.51)
    assert reading.energy_j == pytest.approx(1.0)
    assert reading.power_w == pytest.approx(10.0)


def test_a_lost_part_is_told_and_costs_nothing() -> None:
    clock, meter, sampler = stepped()
    sampler.sample()
    meter.lost = ('part',)
    step(clock, sampler, 10)
    reading = sampler.read()
    assert (reading.trouble, reading.gap_s) == ('part is lost', 0.0)
    assert dict(reading.rail_power_w) == {'total': 10.0}


def test_a_lost_total_is_a_gap() -> None:
    clock, meter, sampler = stepped()
    sampler.sample()
    meter.lost = ('total',)
    step(clock, sampler, 10)
    reading = sampler.read()
    assert (reading.trouble, reading.energy_j) == ('total is lost', 0.0)
    assert reading.gap_s == pytest.approx(0.1)


def test_a_slow_rate_is_no_gap() -> None:
    clock = Clock()
    sampler = MeterSampler(Meter(clock), 2.0, now_s=clock)
    sampler.sample()
    step(clock, sampler, 4, 0.5)
    assert sampler.read().gaps == 0


def test_a_device_is_not_asked_more_often_than_it_measures() -> None:
    meter = Meter()
    meter.period_s = 1.0
    assert MeterSampler(meter, 100.0).period_s == 1.0
    assert MeterSampler(meter).period_s == 1.0
    assert MeterSampler(meter, 0.5).period_s == 2.0


def test_the_thread_samples_until_it_is_closed() -> None:
    meter = Meter()
    meter.period_s = 0.002
    with MeterSampler(meter, 500.0) as sampler:
        assert sampler.read().samples >= 1
        wait_for_reads(meter, 10)
        assert sampler.read().samples >= 9
    assert meter.closed == 1
    assert 'power meter' not in {thread.name for thread in threading.enumerate()}
    sampler.close()


def test_the_thread_outlives_whatever_is_raised() -> None:
    meter = Meter()
    meter.period_s = 0.002
    with MeterSampler(meter, 500.0) as sampler:
        for error in (HardwareError('x'), OSError('x'), ValueError('x'), ZeroDivisionError()):
            meter.error = error
            wait_for_reads(meter, 2)
        assert sampler.read().trouble
        meter.error = None
        while meter.reads.acquire(blocking=False):
            pass  # those before
        wait_for_reads(meter, 2)
        assert sampler.read().trouble == ''


def test_a_closed_sampler_that_never_ran_closes_its_meter() -> None:
    meter = Meter()
    MeterSampler(meter).close()
    assert meter.closed == 1


def test_a_device_that_hangs_at_the_start_is_closed_when_it_answers_at_last() -> None:
    going_on = threading.Event()
    closed = threading.Event()

    class HangingMeter(Meter):
        def read(self) -> PowerSample:
            going_on.wait(30.0)
            return super().read()

        def close(self) -> None:
            super().close()
            closed.set()

    meter = HangingMeter()
    sampler = MeterSampler(meter)
    starter = threading.Thread(target=sampler.start)
    starter.start()
    sampler.stop()
    assert not closed.is_set()
    going_on.set()
    starter.join(10.0)
    assert closed.wait(10.0)
    assert sampler.read().samples == 1


def test_reading_does_not_wait_for_a_device_that_hangs() -> None:
    going_on = threading.Event()

    class HangingMeter(Meter):
        def read(self) -> PowerSample:
            sample = super().read()
            if self.lost:
                going_on.wait(30.0)
            return sample

    meter = HangingMeter()
    meter.period_s = 0.002
    with MeterSampler(meter, 500.0) as sampler:
        meter.lost = ('part',)
        wait_for_reads(meter, 2)
        assert sampler.read().energy_j >= 0.0
        going_on.set()


def test_a_total_rail_that_disappears_from_a_board_is_a_gap_until_it_is_back(
    tmp_path: Path,
) -> None:
    tree = agx_orin(tmp_path)
    rail = '/sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/curr3_input'
    sampler = MeterSampler(Ina3221Meter(tree.files), 100.0)
    sampler.sample()
    tree.remove(rail)
    for _ in range(20):
        sampler.sample()
    reading = sampler.read()
    assert rail in reading.trouble
    assert 'VIN_SYS_5V0' not in reading.rail_power_w
    assert 'VDD_GPU_SOC' in reading.rail_power_w
    tree.write(rail, 880)
    sampler.sample()
    sampler.sample()
    assert sampler.read().trouble == ''
    sampler.close()


def test_a_board_that_goes_and_comes_back(tmp_path: Path) -> None:
    tree = orin_nano(tmp_path)
    sampler = MeterSampler(Ina3221Meter(tree.files), 100.0)
    sampler.sample()
    folder = tree.root / 'sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1'
    folder.rename(away := folder.with_name('away'))
    sampler.meter.close()
    sampler.sample()
    assert 'VDD_IN' not in sampler.read().rail_power_w
    away.rename(folder)
    sampler.sample()
    assert sampler.read().trouble == ''
    sampler.close()
