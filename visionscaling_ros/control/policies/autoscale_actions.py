"""The actions AutoScale chooses from, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.frontier import Flags
from visionscaling_ros.control.policies.choice import Choices, Link
from visionscaling_ros.control.policies.q_table import Action
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.settings import ControlSettings

_NEARLY = 0.9  # an action that carries this share of what the best one carries is legal


@dataclass(frozen=True, eq=False)
class Actions:
    """Every configuration that meets the target, at every clock on the robot and at the edge.

    :param keys: what each of N actions is.
    :param configuration: index of its configuration, N.
    :param level: index of its clock level, N; the lowest at the edge.
    :param at_edge: N.
    :param local_s: time a frame takes the robot, shape (N,); 0 at the edge [s].
    :param most_local_fps: frames/s the robot carries, shape (N,); 0 at the edge.
    :param upload_bits: shape (N,); endless on the robot and where it cannot be sent.
    :param server_s: shape (N,).
    """

    keys: tuple[Action, ...]
    configuration: tuple[int, ...]
    level: tuple[int, ...]
    at_edge: tuple[bool, ...]
    local_s: Vector
    most_local_fps: Vector
    upload_bits: Vector
    server_s: Vector
    device: DeviceModel

    @classmethod
    def of(cls, choices: Choices, settings: ControlSettings) -> Actions:
        """The actions a robot has."""
        rows = [(k, j, False) for k in choices.meeting for j in range(len(choices.levels_hz))]
        if settings.allow_edge:
            rows += [(k, 0, True) for k in choices.meeting]
        keys, local_s, bits = [], [], []
        for k, level, at_edge in rows:
            p = choices.points[k]
            place, frequency_hz = ('edge', 0.0) if at_edge else ('local', choices.levels_hz[level])
            keys.append((p.model, p.input_size_px, place, frequency_hz))
            local_s.append(0.0 if at_edge else choices.local_s[k][level])
            bits.append(p.upload_bits if at_edge and p.upload_bits > 0.0 else np.inf)
        busy_s = np.array(local_s, np.float64)
        with np.errstate(divide='ignore'):
            most_fps = np.where(busy_s > 0.0, 1.0 / busy_s, 0.0)
        return cls(
            keys=tuple(keys),
            configuration=tuple(k for k, _, _ in rows),
            level=tuple(level for _, level, _ in rows),
            at_edge=tuple(at_edge for _, _, at_edge in rows),
            local_s=busy_s,
            most_local_fps=most_fps,
            upload_bits=np.array(bits, np.float64),
            server_s=np.array([choices.server_s[k] for k, _, _ in rows], np.float64),
            device=choices.device,
        )

    @classmethod
    def none(cls) -> Actions:
        """No action at all."""
        empty = np.zeros(0)
        return cls((), (), (), (), empty, empty, empty, empty, DeviceModel())

    def carried_fps(self, arrival_fps: float, link: Link) -> Vector:
        """Frames/s each action processes, shape (N,)."""
        capacity_bps = min(link.capacity_bps, 1e15)  # an endless one over an endless upload
        with np.errstate(over='ignore'):
            edge_fps = np.minimum(
                capacity_bps / self.upload_bits, link.server_share / self.server_s
            )
        carried: Vector = np.minimum(np.maximum(self.most_local_fps, edge_fps), arrival_fps)
        return carried

    def legal(self, carried_fps: Vector) -> Flags:
        """Actions that carry nearly as many frames as the best one, shape (N,)."""
        legal: Flags = carried_fps >= _NEARLY * carried_fps.max()
        return legal

    def expected(self, carried_fps: Vector, link: Link) -> tuple[list[float], list[float]]:
        """Power [W] and latency [s] of each action by the profile, N each."""
        power_w, latency_s = [], []
        levels_hz = self.device.clock_levels_hz
        for i, fps in enumerate(carried_fps.tolist()):
            bits = float(self.upload_bits[i])
            sent_bps = fps * bits if fps > 0.0 and self.at_edge[i] else 0.0
            busy = fps * float(self.local_s[i])
            power_w.append(self.device.power_w(levels_hz[self.level[i]], busy, sent_bps))
            upload_s = bits / link.capacity_bps if link.capacity_bps > 0.0 else np.inf
            at_server_s = float(self.server_s[i]) / max(link.server_share, 1e-9)
            latency_s.append(upload_s + at_server_s if self.at_edge[i] else float(self.local_s[i]))
        return power_w, latency_s
