"""What the power model of a robot gets wrong, by the power that was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.datatypes import SlotState
from visionscaling_ros.review.whatif.slot_series import Mask
from visionscaling_ros.simulation.radio import Radio

# Standard deviations, those of power as shares of the device's most: as in control's own correction
_PRIOR_FACTOR, _PRIOR_OFFSET, _NOISE = 0.3, 0.05, 0.02
_FACTORS = 0.1, 10.0
_MOST_BPS = 1e11
_MOST = 100.0  # times the device's most: more is no measurement


def fit_power(
    states: Sequence[SlotState], device: DeviceModel, kept: Mask, slot_s: float
) -> tuple[float, float]:
    """Factor on the GPU's dynamic power and offset [W], by least squares with a weak prior.

    Slots without power, busy share or clock tell nothing; without any it is (1, 0).

    :param kept: slots that may be learned from, shape (T,).
    """
    radio = Radio(device, tail_s=device.radio_tail_s, slot_s=slot_s)
    idle_w, p_max_w = device.base_w + device.beta_w, device.p_max_w
    rows, measured = [], []
    for state, keep in zip(states, kept.tolist(), strict=True):
        sent_bps = state.uplink_throughput_bps
        radio_w = radio.power_w(sent_bps if 0.0 <= sent_bps < _MOST_BPS else 0.0)
        busy, frequency_hz = state.gpu_utilization, state.gpu_frequency_hz
        known = 0.0 <= busy <= 1.0 and 0.0 < frequency_hz <= device.clock_levels_hz[-1] * 1.01
        if keep and known and 0.0 <= state.power_w <= _MOST * p_max_w:
            dynamic_w = busy * device.gpu_dynamic_power_w(frequency_hz)
            rows.append((dynamic_w / p_max_w, 1.0))
            measured.append((state.power_w - idle_w - radio_w) / p_max_w)
    if not rows:
        return 1.0, 0.0
    scale = np.array([_PRIOR_FACTOR, _PRIOR_OFFSET])
    design = np.concatenate([np.array(rows) / _NOISE, np.diag(1.0 / scale)])
    wanted = np.concatenate([np.array(measured) / _NOISE, [1.0 / _PRIOR_FACTOR, 0.0]])
    (factor, offset), *_ = np.linalg.lstsq(design, wanted, rcond=None)
    return float(np.clip(factor, *_FACTORS)), float(offset) * p_max_w
