"""What a simulated robot meets, whatever it decides."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visionscaling_ros.datatypes import OperatingPoint
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
    :param power_offset_w: power at any load that the device's figures lack; negative: they have
        too much. A robot that is said to take less than nothing takes nothing [W].
    :param rtt_s: to the edge server and back, (T,) [s]; None: ``latency_book.RTT_S``.
    :param local_softness: 0: every local frame runs as long as there is time for all of them; 1:
        each that comes while another runs gives way (Erlang's loss formula for one server); in
        between in between.
    :param edge_loss: part of the offloaded frames that come back though uplink and server carry
        them.
    :param offload_slowdown: local latency grows by the factor ``exp(offload_slowdown u)`` while the
        server is busy a share ``u`` with this robot's frames: 0 but where they share a machine.
    :param points: configurations of the profile, in its order, with their costs in each slot, as
        the robot knows them, (T,) tuples; None: those of the profile throughout.
    :param start_temperature_c: of the GPU before the first slot [degC]; None: that of a robot
        that was idle for long.
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
    power_offset_w: float = 0.0
    rtt_s: Series | None = None
    local_softness: float = 0.0
    edge_loss: float = 0.0
    offload_slowdown: float = 0.0
    points: tuple[tuple[OperatingPoint, ...], ...] | None = None
    start_temperature_c: float | None = None

    def __post_init__(self) -> None:
        if not self.slot_s > 0.0:
            raise InvalidValueError('slot_s', self.slot_s, 'above 0 s')
        if not math.isfinite(self.power_offset_w):
            raise InvalidValueError('power_offset_w', self.power_offset_w, 'a finite number')
        for name in ('local_softness', 'edge_loss', 'offload_slowdown'):
            most = 10.0 if name == 'offload_slowdown' else 1.0
            if not 0.0 <= getattr(self, name) <= most:
                raise InvalidValueError(name, getattr(self, name), f'0 to {most:g}')
        if self.points is not None and len(self.points) != len(self):
            raise InvalidValueError('length of points', len(self.points), f'{len(self)} slots')
        given = ('rtt_s',) if self.rtt_s is not None else ()
        for name in (*_PER_SLOT, *given, 'point_latency_bias'):
            values: Series = getattr(self, name)
            least = -273.15 if name == 'ambient_c' else 0.0
            if not (np.all(np.isfinite(values)) and np.all(values >= least)):
                raise InvalidValueError(name, values, f'finite numbers, at least {least:g}')
            if name != 'point_latency_bias' and values.shape != self.arrival_fps.shape:
                raise InvalidValueError(
                    f'shape of {name}', values.shape, f'{self.arrival_fps.shape}, as arrival_fps'
                )

    def __len__(self) -> int:
        return len(self.arrival_fps)

    def of_slots(self, slots: Sequence[int]) -> Conditions:
        """Those slots alone, in that order."""
        chosen = list(slots)
        series = {name: getattr(self, name)[chosen] for name in _PER_SLOT}
        return dataclasses.replace(
            self,
            **series,
            rtt_s=None if self.rtt_s is None else self.rtt_s[chosen],
            points=None if self.points is None else tuple(self.points[t] for t in chosen),
        )
