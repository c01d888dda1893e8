"""An NVIDIA card's own power sensor and energy counter."""

from __future__ import annotations

import time

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.nvml_session import NvmlSession, NvmlUnsupportedError
from visionscaling_ros.hardware.power.energy_counter import EnergyCounter
from visionscaling_ros.hardware.power.power_meter import PowerMeter, PowerSample, Scope

RAIL = 'gpu'
MAX_POWER_W = 10_000.0  # of a card
# Most cards measure anew every 100 ms (Yang et al., "Part-time Power Measurements: nvidia-smi's
# Lack of Attention", SC24).
PERIOD_S = 0.1
POWER = 'nvmlDeviceGetPowerUsage'  # [mW]; from Ampere on a mean over 1 s (NVML reference)
ENERGY = 'nvmlDeviceGetTotalEnergyConsumption'  # [mJ] since the driver was loaded, from Volta on


class NvmlMeter(PowerMeter):
    """A whole card, its memory included; the rest of the computer is not.

    Energy is the card's own counter where there is one (Volta and later), else it is integrated
    from power. Raises HardwareError without driver or card, or for a card that tells neither.

    :param device: index or UUID of the card; empty: the first.
    """

    name = 'nvml'
    scope = Scope.GPU
    period_s = PERIOD_S

    def __init__(self, device: str = '') -> None:
        self._device = device
        self._session: NvmlSession | None = None
        session = self._opened()
        self.device = session.device
        try:
            self._has_power = session.supports(POWER)
            self._has_energy = session.supports(ENERGY)
        except HardwareError:
            self.close()
            raise
        if not (self._has_power or self._has_energy):
            self.close()
            raise HardwareError(f'{self.device} tells neither its power nor its energy')
        self._counter = EnergyCounter(1e-3, None, max_power_w=MAX_POWER_W, period_s=PERIOD_S)

    @property
    def rails(self) -> tuple[str, ...]:
        """The card."""
        return (RAIL,)

    @property
    def total_rails(self) -> tuple[str, ...]:
        """The card."""
        return (RAIL,)

    def read(self) -> PowerSample:
        """Power, and energy by the card's counter; opens NVML again after an error."""
        session = self._opened()
        power_w: dict[str, float] = {}
        energy_j: dict[str, float] = {}
        trouble: dict[str, str] = {}
        restarted: frozenset[str] = frozenset()
        try:
            if self._has_power:
                power_w, trouble = _power(session)
            count = int(session.call(ENERGY)) if self._has_energy else None
        except HardwareError:
            self.close()
            raise
        time_s = time.monotonic()
        if count is not None:
            if not self._counter.update(count, time_s):
                restarted = frozenset(self.rails)
            energy_j[RAIL] = self._counter.energy_j
        if not power_w and not energy_j:
            raise HardwareError(trouble[RAIL])
        return PowerSample(time_s, power_w, energy_j, restarted, trouble)

    def close(self) -> None:
        """Give NVML back; the next reading opens it again."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _opened(self) -> NvmlSession:
        if self._session is None:
            self._session = NvmlSession(self._device)
        return self._session


def _power(session: NvmlSession) -> tuple[dict[str, float], dict[str, str]]:
    """Power [W] by rail, or why there is none."""
    try:
        power_w = 1e-3 * int(session.call(POWER))
    except NvmlUnsupportedError as error:  # for a moment, while a card wakes up
        return {}, {RAIL: str(error)}
    if not 0.0 <= power_w <= MAX_POWER_W:
        return {}, {RAIL: f'{session.device} reads {power_w:g} W: not counted'}
    return {RAIL: power_w}, {}
