"""A thread that reads a power meter and adds up its energy."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.closing import ClosedAtExit
from visionscaling_ros.hardware.power.energy_integrator import EnergyIntegrator
from visionscaling_ros.hardware.power.power_meter import PowerMeter, PowerSample

MAX_RATE_HZ = 1000.0
SHORT_S = 0.02  # closing may have to wait so long
MAX_RETRY_S = 1.0  # a meter that fails is asked again at least this often


@dataclass(frozen=True)
class MeterReading:
    """What a meter's total rails drew, and what is known of each rail.

    ``energy_j`` is that of ``measured_s``, which with ``gap_s`` makes the time since the sampler
    was started up to its last sample: what was drawn in gaps is not in it and not known. While a
    device does not answer, the time it is overdue is in ``gap_s`` up to now; should it then tell
    by its counter what was drawn meanwhile, that time moves over to ``measured_s``.

    :param energy_j: energy of the total rails since the sampler was started [J].
    :param power_w: mean over what was measured since the reading before [W], or since an earlier
        one where there was no sample since; NaN in a gap.
    :param rail_power_w: power of every rail when it was last read [W]; lost rails are absent, and
        all are when the meter fails or does not answer.
    :param rail_energy_j: counters of the rails that have one, since the meter was made [J].
    :param measured_s: time whose energy is known [s].
    :param gap_s: time whose energy is not known [s].
    :param gaps: how many stretches that time is in.
    :param samples: how often the meter was read.
    :param trouble: what is wrong now: a meter that cannot be read or does not answer, rails that
        are lost; else ''.
    """

    energy_j: float
    power_w: float
    rail_power_w: Mapping[str, float]
    rail_energy_j: Mapping[str, float]
    measured_s: float
    gap_s: float
    gaps: int
    samples: int
    trouble: str


class MeterSampler(ClosedAtExit):
    """Reads a meter at its own rate in a thread that outlives whatever the meter does.

    Closing it closes the meter. Raises InvalidValueError for a rate that is not above 0 and at
    most MAX_RATE_HZ.

    :param meter: nobody else may read it.
    :param rate_hz: how often at most; None, or more often than the meter has something new: as
        often as that.
    :param now_s: monotonic clock, the one the meter stamps its samples with.
    """

    def __init__(
        self,
        meter: PowerMeter,
        rate_hz: float | None = None,
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        if rate_hz is not None and not 0.0 < rate_hz <= MAX_RATE_HZ:
            raise InvalidValueError('rate_hz', rate_hz, f'above 0, at most {MAX_RATE_HZ:g} Hz')
        self.meter = meter
        self.period_s = max(meter.period_s, 0.0 if rate_hz is None else 1.0 / rate_hz)
        self._now_s = now_s
        self._integrator = EnergyIntegrator(meter.total_rails, self.period_s)
        self._meter_lock = threading.Lock()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._last: PowerSample | None = None
        self._trouble = 'not read yet'
        self._failures = 0  # in a row
        self._samples = 0
        self._read_energy_j = self._read_measured_s = 0.0
        self._mean_w = math.nan

    def __enter__(self) -> MeterSampler:
        self.start()
        return self

    def start(self) -> None:
        """Begin to sample; the first sample is taken before this returns."""
        self.sample()
        self._thread = threading.Thread(target=self._run, name='power meter', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Sample no more; the thread closes the meter as soon as the device lets it.

        It does not wait, and may be called while ``start`` has not returned.
        """
        self._stop.set()

    def close(self) -> None:
        """Stop, and close the meter; it may be called twice, and without start."""
        self.stop()
        if self._thread is None:
            self.meter.close()
        else:
            self._thread.join()
            self._thread = None

    def read(self) -> MeterReading:
        """What is known by now; for any thread, and it never waits for the device."""
        with self._lock:
            integrator, sample, trouble = self._integrator, self._last, self._trouble
            overdue_s = integrator.overdue_s(self._now_s())
            if overdue_s > 0.0:
                sample = None
                if not self._failures:
                    late = f'{self.meter.name} {self.meter.device}: no answer for {overdue_s:.2g} s'
                    trouble = f'{trouble}; {late}' if trouble else late
            energy_j = integrator.energy_j - self._read_energy_j
            measured_s = integrator.measured_s - self._read_measured_s
            self._read_energy_j = integrator.energy_j
            self._read_measured_s = integrator.measured_s
            if measured_s > 0.0:
                self._mean_w = energy_j / measured_s
            elif overdue_s > 0.0 or integrator.in_gap:
                self._mean_w = math.nan
            return MeterReading(
                energy_j=integrator.energy_j,
                power_w=self._mean_w,
                rail_power_w={} if sample is None else sample.power_w,
                rail_energy_j={} if sample is None else sample.energy_j,
                measured_s=integrator.measured_s,
                gap_s=integrator.gap_s + overdue_s,
                gaps=integrator.gaps + (overdue_s > 0.0 and not integrator.in_gap),
                samples=self._samples,
                trouble=trouble,
            )

    def sample(self) -> None:
        """Read the meter now, beside the thread's own pace; it waits for the device."""
        with self._meter_lock:
            self._sample_meter()

    def _sample_meter(self) -> None:
        try:
            sample = self.meter.read()
        except HardwareError as error:
            self._fail(str(error))
        except Exception as error:  # a driver may raise anything; the sampler goes on
            self._fail(f'{self.meter.name} {self.meter.device}: {error!r}')
        else:
            trouble = '; '.join(sample.trouble.values()) if sample.trouble else ''
            with self._lock:
                self._integrator.add(sample)
                self._last, self._trouble = sample, trouble
                self._samples += 1
                self._failures = 0

    def _fail(self, trouble: str) -> None:
        with self._lock:
            self._integrator.miss(self._now_s())
            self._last, self._trouble = None, trouble
            self._failures += 1

    def _run(self) -> None:
        try:
            next_s = self._now_s() + self.period_s
            while not self._stopped_within(next_s - self._now_s()):
                self.sample()
                pause_s = retry_pause_s(self.period_s, self._failures)
                next_s += pause_s
                if next_s < (now_s := self._now_s()):  # slower than that: at least let others run
                    next_s = now_s + pause_s
        finally:
            self.meter.close()

    def _stopped_within(self, pause_s: float) -> bool:
        if pause_s > SHORT_S:
            return self._stop.wait(pause_s)
        if pause_s > 0.0:
            time.sleep(pause_s)  # half the price of waiting for an event
        return self._stop.is_set()


def retry_pause_s(period_s: float, failures: int) -> float:
    """How long to wait for the next sample after so many failures in a row [s].

    One failure costs no more than its own sample, so that the next can bridge it.
    """
    if failures == 0:
        return period_s
    return min(period_s * 2.0 ** min(failures - 1, 20), max(period_s, MAX_RETRY_S))
