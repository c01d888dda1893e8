"""The device to plan with: its power model corrected, its clock capped."""

from __future__ import annotations

import math

from visionscaling_ros.control.clock_cap import ClockCap
from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.power_correction import PowerCorrection
from visionscaling_ros.datatypes import SlotState

_TOLERANCE = 0.01  # a clock that cannot be set and moved by less is taken as the same


class DeviceForecast:
    """Device model as it turned out, without the clock levels that cannot or must not be used.

    ``corrected`` returns the same object while no correction moved by more than 1 % and the
    highest level stays.
    """

    def __init__(self) -> None:
        self._power = PowerCorrection()
        self._cap: ClockCap | None = None  # of a clock that can be set
        self._given: DeviceModel | None = None
        self._p_max_w = 1.0
        self._corrected: dict[int, DeviceModel] = {}  # by how many levels it has

    @property
    def power_factor(self) -> float:
        """Dynamic power of the GPU over that of the model."""
        return self._power.bias

    @property
    def power_offset_w(self) -> float:
        """Power the model lacks at any load [W]."""
        return self._power.offset_w

    def observe(self, state: SlotState, decided_hz: float, temperature_limit_c: float) -> None:
        """Take in a slot that was to run at ``decided_hz`` [Hz]; 0: at no clock in particular."""
        device = self._given
        if device is None:
            return
        self._power.observe(state, device, self._p_max_w)
        if self._cap is not None:
            self._cap.observe(
                state.gpu_temperature_c, temperature_limit_c, state.gpu_frequency_hz, decided_hz
            )

    def corrected(self, device: DeviceModel) -> DeviceModel:
        """``device`` as it turned out."""
        if device is not self._given and (self._given is None or not _same(device, self._given)):
            self._take(device)
        if self._power.outdated:
            self._corrected.clear()
            self._power.outdated = False
        given = self._given
        assert given is not None
        levels = self._cap.level + 1 if self._cap is not None else 0
        corrected = self._corrected.get(levels)
        if corrected is None:
            corrected = self._corrected[levels] = self._power.correct(given, levels)
        return corrected

    def _take(self, device: DeviceModel) -> None:
        """Start from another device model; a cap stays if the levels do."""
        before, self._given = self._given, device
        self._p_max_w = device.p_max_w
        levels_hz = device.available_frequencies_hz
        if before is None or levels_hz != before.available_frequencies_hz:
            self._cap = ClockCap(levels_hz) if levels_hz else None
        self._corrected.clear()
        if self._power.bias == 1.0 and self._power.offset_w == 0.0:
            self._corrected[len(levels_hz)] = device


def _same(device: DeviceModel, other: DeviceModel) -> bool:
    if not device.can_set_clock and not math.isclose(
        device.clock_levels_hz[0], other.clock_levels_hz[0], rel_tol=_TOLERANCE
    ):
        return False
    return _figures(device) == _figures(other)


def _figures(device: DeviceModel) -> tuple[object, ...]:
    return (
        device.available_frequencies_hz,
        device.alpha_w_per_ghz3,
        device.beta_w,
        device.base_w,
        device.radio_fixed_w,
        device.radio_w_per_mbps,
        device.radio_tail_s,
        device.rated_power_w,
    )
