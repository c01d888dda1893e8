"""Corrects the power model by the power that was measured."""

from __future__ import annotations

import math
from dataclasses import replace

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.outlier_gate import OutlierGate
from visionscaling_ros.datatypes import SlotState

# Standard deviations; those of power as shares of the device's most.
_PRIOR_BIAS = 0.3
_PRIOR_OFFSET = 0.05
_NOISE = 0.02
_BIAS_DRIFT = 0.002  # a slot
_OFFSET_DRIFT = 0.001
_SUSPECT = 3.0  # standard deviations
_RADIO_TAIL_S = 15.0  # a radio may be on for so long after it sent (LTE: about 10 s)
_LEAST_BIAS, _MOST_BIAS = 0.25, 4.0
_TOLERANCE = 0.01  # corrections smaller than this are not worth a new device model


class PowerCorrection:
    """Factor on the GPU's dynamic power and a constant on the rest, by a Kalman filter.

    Measured power less the model of idle GPU, computer and radio is taken as
    ``offset + bias u alpha f^3 + noise``, u the measured busy share and f the measured clock, with
    bias and offset drifting slowly. They are told apart by slots of different load.
    """

    def __init__(self) -> None:
        self.bias = 1.0
        self._offset = 0.0  # share of p_max
        self._p_max_w = 1.0
        self._var_bias = _PRIOR_BIAS**2
        self._var_offset = _PRIOR_OFFSET**2
        self._covariance = 0.0
        self._gate = OutlierGate()
        self._silent_s = math.inf
        self._built = (1.0, 0.0)
        self.outdated = False  # one moved by more than 1 % since the last ``correct``

    @property
    def offset_w(self) -> float:
        """Power the model lacks at any load [W]; negative: it has too much."""
        return self._offset * self._p_max_w

    def observe(self, state: SlotState, device: DeviceModel, p_max_w: float) -> None:
        """Take in a slot that ran on ``device``, the model uncorrected; nothing if incomplete.

        :param p_max_w: its ``p_max_w``, passed as it takes a while to compute [W].
        """
        utilization, frequency_hz = state.gpu_utilization, state.gpu_frequency_hz
        sent_bps = state.uplink_throughput_bps
        if not (
            0.0 < state.power_w < math.inf
            and 0.0 <= utilization <= 1.0
            and 0.0 < frequency_hz < math.inf
            and 0.0 < state.duration_s < math.inf
            and sent_bps < math.inf
            and device.alpha_w_per_ghz3 > 0.0
        ):
            return
        self._p_max_w = p_max_w
        f_ghz = frequency_hz * 1e-9
        dynamic = utilization * device.alpha_w_per_ghz3 * f_ghz * f_ghz * f_ghz / p_max_w
        rest_w = device.base_w + device.beta_w
        self._silent_s += state.duration_s
        if sent_bps > 0.0:
            self._silent_s = 0.0
            rest_w += device.radio_fixed_w + device.radio_w_per_mbps * sent_bps * 1e-6
        elif self._silent_s < _RADIO_TAIL_S:
            return  # no telling whether the radio is on
        self._update((state.power_w - rest_w) / p_max_w, dynamic)

    def correct(self, device: DeviceModel, levels: int) -> DeviceModel:
        """The device as it turned out, with its lowest ``levels`` clock levels only.

        What counts as full power stays that of the device given, so that weights keep meaning.
        """
        self._built = self.bias, self._offset
        self.outdated = False
        return replace(
            device,
            available_frequencies_hz=device.available_frequencies_hz[:levels],
            alpha_w_per_ghz3=self.bias * device.alpha_w_per_ghz3,
            base_w=max(device.base_w + self.offset_w, 0.0),
            rated_power_w=device.p_max_w,
        )

    def _update(self, measured: float, dynamic: float) -> None:
        """Kalman step, all of it as shares of p_max."""
        self._var_bias = min(self._var_bias + _BIAS_DRIFT**2, _PRIOR_BIAS**2)
        self._var_offset = min(self._var_offset + _OFFSET_DRIFT**2, _PRIOR_OFFSET**2)
        toward_bias = self._var_bias * dynamic + self._covariance
        toward_offset = self._covariance * dynamic + self._var_offset
        variance = toward_bias * dynamic + toward_offset + _NOISE**2
        residual = measured - self._offset - self.bias * dynamic
        residual = self._gate.admit(residual, _SUSPECT * math.sqrt(variance)) / variance
        self.bias = min(max(self.bias + toward_bias * residual, _LEAST_BIAS), _MOST_BIAS)
        self._offset += toward_offset * residual
        self._var_bias -= toward_bias * toward_bias / variance
        self._var_offset -= toward_offset * toward_offset / variance
        self._covariance -= toward_bias * toward_offset / variance
        bias, offset = self._built
        if abs(self.bias - bias) > _TOLERANCE * bias or abs(self._offset - offset) > _TOLERANCE:
            self.outdated = True
