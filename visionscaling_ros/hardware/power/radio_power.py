"""What the uplink radio draws, by model, and the energy that makes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError


@dataclass(frozen=True)
class RadioPowerModel:
    """A fixed power while the radio is on, plus so much for each Mbit/s.

    The defaults are a fit of LTE uplink power above the phone's base, 1 to 22 Mbit/s, to the data
    of "A Variegated Look at 5G in the Wild" (SIGCOMM 2021). The network keeps the radio on for
    about 10 s after a transfer. All of that tail counts at the full fixed power, which overstates
    a radio that naps in between: offloading is rather charged too much than too little.

    :param fixed_w: power while on.
    :param w_per_mbps: power a rate of 1 Mbit/s adds, that is, energy of 1 Mbit.
    :param tail_s: time the radio stays on after the last byte (Wi-Fi: near 0).
    """

    fixed_w: float = 0.54
    w_per_mbps: float = 0.0795
    tail_s: float = 10.0

    def __post_init__(self) -> None:
        for name in ('fixed_w', 'w_per_mbps', 'tail_s'):
            if not getattr(self, name) >= 0.0:
                raise InvalidValueError(name, getattr(self, name), '>= 0')

    def power_w(self, rate_bps: float) -> float:
        """Power [W] of sending at ``rate_bps`` [bit/s] without pause; 0 for a rate of 0."""
        return self.fixed_w + self.w_per_mbps * rate_bps * 1e-6 if rate_bps > 0.0 else 0.0


@dataclass(frozen=True)
class RadioReading:
    """Energy since the start [J], mean power since the reading before [W], NaN without time."""

    energy_j: float
    power_w: float


class RadioEnergyMeter:
    """Integrates a radio model on the monotonic clock; for one thread.

    :param now_s: monotonic clock.
    """

    def __init__(
        self, model: RadioPowerModel, *, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._now_s = now_s
        self._model = model
        self._updated_s = now_s()
        self._on_until_s = self._updated_s
        self._energy_j = 0.0

    def set_model(self, model: RadioPowerModel) -> None:
        """Another model from the next update on; a tail under way keeps its length."""
        self._model = model

    def update(self, sent_bytes: int) -> RadioReading:
        """Energy up to now, with ``sent_bytes`` [B] sent since the last update.

        The radio counts as on for all of an interval in which something was sent: update often
        compared with the tail. Raises InvalidValueError for a negative number.
        """
        if sent_bytes < 0:
            raise InvalidValueError('sent_bytes', sent_bytes, '>= 0 B')
        since_s, now_s = self._updated_s, self._now_s()
        self._updated_s = now_s
        if sent_bytes:
            on_s = now_s - since_s
            self._on_until_s = now_s + self._model.tail_s
        else:
            on_s = max(0.0, min(now_s, self._on_until_s) - since_s)
        energy_j = self._model.fixed_w * on_s + self._model.w_per_mbps * sent_bytes * 8e-6
        self._energy_j += energy_j
        elapsed_s = now_s - since_s
        return RadioReading(
            self._energy_j, energy_j / elapsed_s if elapsed_s > 0.0 else float('nan')
        )
