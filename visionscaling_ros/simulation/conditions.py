"""What a simulated robot meets, whatever it decides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visionscaling_ros.errors import InvalidValueError

Series = npt.NDArray[np.float64]
_PER_SLOT = ('arrival_fps', 'capacity_bps', 'server_share', 'latency_factor', 'ambient_c')


@dataclass(frozen=True, eq=False)
class Conditions:
    """Everything that does not depend on decisions; arrays of shape (T,) hold an entry per slot.

    In slot t a local frame of configuration k takes
    ``(kappa_k / f + s_k) latency_factor[t] point_latency_bias[k]`` [s] at GPU clock f, and a busy
    GPU adds ``power_bias alpha f^3`` [W].

    :param trace: name of the uplink trace.
    :param scenario: name of the scenario.
    :param seed: of all that is random in it.
    :param slot_s: length of a slot [s].
    :param arrival_fps: frames that arrive, (T,) [frames/s].
    :param capacity_bps: what the uplink carries, mean over the slot, (T,) [bit/s].
    :param server_share: share of the edge server this robot gets, 0 to 1, (T,).
    :param latency_factor: local latency over the usual one (other load, drift), (T,).
    :param ambient_c: temperature around the device, (T,) [degC].
    :param point_latency_bias: true over profile latency of each configuration, (K,).
    :param power_bias: true over modelled dynamic GPU power.
    :raises InvalidValueError: an array of another length, or with an entry below 0 or not finite.
    """

    trace: str
    scenario: str
    seed: int
    slot_s: float
    arrival_fps: Series
    capacity_bps: Series
    server_share: Series
    latency_factor: Series
    ambient_c: Series
    point_latency_bias: Series
    power_bias: float = 1.0

    def __post_init__(self) -> None:
        if not self.slot_s > 0.0:
            raise InvalidValueError('slot_s', self.slot_s, 'above 0 s')
        for name in (*_PER_SLOT, 'point_latency_bias'):
            values: Series = getattr(self, name)
            least = -273.15 if name == 'ambient_c' else 0.0
            if not (np.all(np.isfinite(values)) and np.all(values >= least)):
                raise InvalidValueError(name, values, f'finite numbers, at least {least:g}')
            if name in _PER_SLOT and values.shape != self.arrival_fps.shape:
                raise InvalidValueError(
                    f'shape of {name}', values.shape, f'{self.arrival_fps.shape}, as arrival_fps'
                )

    def __len__(self) -> int:
        return len(self.arrival_fps)
