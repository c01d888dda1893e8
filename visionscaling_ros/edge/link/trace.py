"""What an uplink can carry over time: recorded, described or constant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from visionscaling_ros.errors import InvalidValueError

# A line of a mahimahi trace is one chance to send a packet of this size.
PACKET_BITS = 1500 * 8
# Mahimahi lines are counted over bins of this length to make a rate of them.
BIN_S = 0.1

CSV_HEADER = 'time_s,rate_bps'


class LinkTrace:
    """A rate that is constant between two times and repeats from the start after the last one.

    :param times_s: N + 1 increasing times; the first is 0, the last is the period [s].
    :param rates_bps: N rates, each from its time to the next [bit/s].
    """

    def __init__(self, times_s: Sequence[float], rates_bps: Sequence[float]) -> None:
        self._times_s: npt.NDArray[np.float64] = np.asarray(times_s, np.float64)
        self._rates_bps: npt.NDArray[np.float64] = np.asarray(rates_bps, np.float64)
        if len(times_s) != len(rates_bps) + 1 or len(rates_bps) == 0:
            found = f'{len(times_s)} times, {len(rates_bps)} rates'
            raise InvalidValueError('trace', found, 'N + 1 times, N >= 1 rates')
        if times_s[0] != 0.0 or not np.all(np.diff(self._times_s) > 0.0):
            raise InvalidValueError('trace times_s', list(times_s), 'increasing from 0')
        for rate_bps in rates_bps:
            _check_rate_bps('trace rate_bps', rate_bps)
        self._bits = np.concatenate(([0.0], np.cumsum(self._rates_bps * np.diff(self._times_s))))

    @classmethod
    def constant(cls, rate_bps: float) -> LinkTrace:
        """The same rate for ever [bit/s]; 0 is a dead link."""
        return cls([0.0, 1.0], [_check_rate_bps('rate_bps', rate_bps)])

    @property
    def period_s(self) -> float:
        """After how long it repeats [s]."""
        return float(self._times_s[-1])

    @property
    def mean_bps(self) -> float:
        """Mean rate over a period [bit/s]."""
        return float(self._bits[-1]) / self.period_s

    @property
    def peak_bps(self) -> float:
        """Highest rate of a period [bit/s]."""
        return float(self._rates_bps.max())

    def rate_bps(self, time_s: float) -> float:
        """Rate at ``time_s`` >= 0 after the start [bit/s]."""
        index = np.searchsorted(self._times_s, time_s % self.period_s, side='right') - 1
        return float(self._rates_bps[index])

    def delivered_bits(self, time_s: float) -> float:
        """What a link that is never idle has delivered ``time_s`` after the start [bit]."""
        cycles, rest_s = divmod(time_s, self.period_s)
        return float(cycles * self._bits[-1] + np.interp(rest_s, self._times_s, self._bits))

    def finish_s(self, start_s: float, bits: float) -> float:
        """When ``bits`` > 0 that start at ``start_s`` are through [s]; inf if never."""
        if self._bits[-1] <= 0.0:
            return math.inf
        cycles, rest_bits = divmod(self.delivered_bits(start_s) + bits, self._bits[-1])
        # From the left: delivered means the end of the segment that delivers the last bit, not the
        # end of the dead one after it.
        index = int(np.searchsorted(self._bits, rest_bits, side='left'))
        if index == 0:  # exactly a whole number of periods: when the last bit of the period left
            cycles -= 1.0
            rest_bits = float(self._bits[-1])
            index = int(np.searchsorted(self._bits, rest_bits, side='left'))
        missing_s = (self._bits[index] - rest_bits) / self._rates_bps[index - 1]
        return float(cycles * self.period_s + self._times_s[index] - missing_s)


def load_trace(source: str) -> LinkTrace:
    """Read a trace: a constant rate [bit/s], a ``.csv`` file, else a mahimahi file.

    CSV: the header ``time_s,rate_bps``, then a line for every change of rate, the first at 0; the
    last line's time ends the cycle, its rate does not count. Mahimahi: on every line the
    millisecond of a chance to send 1500 bytes (http://mahimahi.mit.edu); repeats after the last.
    Lines that begin with ``#`` are skipped. Raises InvalidValueError naming file, line and value.
    """
    try:
        return LinkTrace.constant(float(source))
    except InvalidValueError:
        raise
    except ValueError:
        pass
    path = Path(source)
    try:
        text = path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidValueError(
            'trace', source, f'a rate in bit/s or a readable text file ({error})'
        ) from error
    lines = [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith('#')
    ]
    return _from_csv(source, lines) if path.suffix == '.csv' else _from_mahimahi(source, lines)


def _from_csv(source: str, lines: list[tuple[int, str]]) -> LinkTrace:
    if not lines or lines[0][1].replace(' ', '') != CSV_HEADER:
        number, line = lines[0] if lines else (1, '')
        raise InvalidValueError(f'{source} line {number}', line, f'the header {CSV_HEADER}')
    times_s: list[float] = []
    rates_bps: list[float] = []
    for number, line in lines[1:]:
        where = f'{source} line {number}'
        try:
            time_s, rate_bps = (float(cell) for cell in line.split(','))
        except ValueError as error:
            raise InvalidValueError(where, line, 'two numbers: time_s,rate_bps') from error
        if not (time_s > times_s[-1] if times_s else time_s == 0.0) or math.isinf(time_s):
            allowed = f'more than {times_s[-1]}' if times_s else '0 to begin with'
            raise InvalidValueError(f'{where}: time_s', time_s, allowed)
        times_s.append(time_s)
        rates_bps.append(_check_rate_bps(f'{where}: rate_bps', rate_bps))
    if len(times_s) < 2:
        raise InvalidValueError(f'{source}', f'{len(times_s)} lines', 'at least 2 after the header')
    return LinkTrace(times_s, rates_bps[:-1])


def _from_mahimahi(source: str, lines: list[tuple[int, str]]) -> LinkTrace:
    times_ms: list[int] = []
    for number, line in lines:
        previous_ms = times_ms[-1] if times_ms else 0
        if not (line.isascii() and line.isdigit() and int(line) >= previous_ms):
            raise InvalidValueError(
                f'{source} line {number}', line, f'a whole number of ms, at least {previous_ms}'
            )
        times_ms.append(int(line))
    if not times_ms or times_ms[-1] == 0:
        raise InvalidValueError(source, f'{len(times_ms)} lines', 'a last time above 0 ms')
    period_s = times_ms[-1] * 1e-3
    edges_s = np.append(np.arange(0.0, period_s - 1e-9, BIN_S), period_s)
    counts, _ = np.histogram(np.asarray(times_ms) * 1e-3, edges_s)
    rates_bps = counts * PACKET_BITS / np.diff(edges_s)
    return LinkTrace(edges_s.tolist(), rates_bps.tolist())


def _check_rate_bps(name: str, rate_bps: float) -> float:
    if not (rate_bps >= 0.0 and math.isfinite(rate_bps)):
        raise InvalidValueError(name, rate_bps, 'a finite number >= 0 [bit/s]')
    return rate_bps
