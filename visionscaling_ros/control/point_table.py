"""Configurations and clock levels as arrays, made anew only when they change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.frontier import Flags, Indices, envelope
from visionscaling_ros.control.projections import Vector
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import OperatingPoint

_LEAST_UPLOAD_BITS = 1.0  # a frame that takes less cannot be offloaded


@dataclass(frozen=True)
class PointTable:
    """What every usable configuration costs at every clock level.

    :param points: K configurations; those whose figures make no sense are left out.
    :param device: J clock levels and the power model.
    :param accuracy_map: shape (K,) [mAP].
    :param upload_bits: shape (K,) [bit/frame].
    :param server_s: server time, shape (K,) [s/frame]; where unknown, the robot's at full clock.
    :param local_s: time a local frame keeps the robot busy, shape (J, K) [s/frame].
    :param busy_w: power a busy GPU adds at each level, shape (J,) [W].
    :param kept: where the configurations are in the table this is a part of.
    """

    points: tuple[OperatingPoint, ...]
    device: DeviceModel
    accuracy_map: Vector
    upload_bits: Vector
    server_s: Vector
    local_s: Vector
    busy_w: Vector
    kept: Indices | None = None

    @classmethod
    def build(
        cls,
        points: tuple[OperatingPoint, ...],
        device: DeviceModel,
        *,
        only_efficient: bool = False,
    ) -> PointTable:
        """Arrays of the usable points.

        :param only_efficient: without those another beats in every cost and in accuracy.
        """
        points = tuple(p for p in points if usable(p))
        columns = _columns(points)
        if only_efficient and points:
            unknown = columns[3:] <= 0.0
            costs = np.concatenate([columns[1:3], np.where(unknown, np.inf, columns[3:])])
            kept = efficient(costs, columns[0])
            points = tuple(p for p, keep in zip(points, kept.tolist(), strict=True) if keep)
            columns = columns[:, kept]
        accuracy, work, serial, upload_bits, server_s = columns
        upload_bits = np.where(upload_bits >= _LEAST_UPLOAD_BITS, upload_bits, 0.0)
        levels_ghz = np.array(device.clock_levels_hz) * 1e-9
        local_s = work / levels_ghz[:, None] + serial
        return cls(
            points=points,
            device=device,
            accuracy_map=accuracy,
            upload_bits=upload_bits,
            server_s=np.where(server_s > 0.0, server_s, local_s[-1]),
            local_s=local_s,
            busy_w=device.alpha_w_per_ghz3 * levels_ghz**3,
        )

    @cached_property
    def on_frontier(self) -> PointTable:
        """Without the configurations no optimum runs: those on no concave envelope.

        Accuracy against local time at any level, or against upload size.
        """
        uploads = np.where(self.upload_bits > 0.0, self.upload_bits, np.inf)
        use = np.concatenate([self.local_s, uploads[None]])
        accuracy = np.broadcast_to(self.accuracy_map, use.shape)
        usable = np.isfinite(use)
        kept = np.unique(envelope(np.where(usable, use, 0.0), accuracy, usable)[usable.any(axis=1)])
        return PointTable(
            points=tuple(self.points[k] for k in kept.tolist()),
            device=self.device,
            accuracy_map=self.accuracy_map[kept],
            upload_bits=self.upload_bits[kept],
            server_s=self.server_s[kept],
            local_s=np.ascontiguousarray(self.local_s[:, kept]),
            busy_w=self.busy_w,
            kept=kept,
        )

    @cached_property
    def dearest_frame_j(self) -> float:
        """Energy of the dearest local frame [J]; 0: there is none."""
        return float(np.max(self.busy_w[:, None] * self.local_s, initial=0.0))

    @cached_property
    def index(self) -> dict[tuple[str, int], int]:
        """Where each model and input size [px] is."""
        return {(p.model, p.input_size_px): k for k, p in enumerate(self.points)}

    @cached_property
    def lowest_map(self) -> float:
        """Accuracy of the least accurate configuration [mAP]; inf: there is none."""
        return float(np.min(self.accuracy_map, initial=np.inf))

    @cached_property
    def highest_map(self) -> float:
        """Accuracy of the best configuration [mAP]; 0: there is none."""
        return float(np.max(self.accuracy_map, initial=0.0))

    def reachable_target_map(self, settings: ControlSettings) -> float:
        """The accuracy target, or the highest accuracy where nothing reaches it [mAP]."""
        return min(settings.accuracy_target_map, self.highest_map)


class PointTableCache:
    """The last table built: forecasts hand in the same objects while nothing changes.

    :param only_efficient: as for :meth:`PointTable.build`.
    """

    def __init__(self, *, only_efficient: bool = False) -> None:
        self._only_efficient = only_efficient
        self._offered: tuple[OperatingPoint, ...] | None = None
        self._table: PointTable | None = None

    def get(self, points: tuple[OperatingPoint, ...], device: DeviceModel) -> PointTable:
        """The table of these points and this device."""
        table = self._table
        if table is None or points is not self._offered or device is not table.device:
            table = PointTable.build(points, device, only_efficient=self._only_efficient)
            self._offered, self._table = points, table
        return table


def usable(point: OperatingPoint) -> bool:
    """True for a configuration whose figures make sense."""
    costs = (point.gpu_work_ghz_s, point.serial_s, point.upload_bits, point.server_time_s)
    finite = all(math.isfinite(cost) and cost >= 0.0 for cost in costs)
    runs = point.gpu_work_ghz_s + point.serial_s > 0.0
    return finite and runs and 0.0 <= point.accuracy_map <= 1.0


def efficient(costs: Vector, value: Vector) -> Flags:
    """Which of K configurations no other beats in every cost and in value, shape (K,).

    :param costs: shape (C, K), the lower the better.
    :param value: shape (K,), the higher the better.
    """
    no_worse = np.all(costs[:, None, :] <= costs[:, :, None], axis=0)
    no_worse &= value[None, :] >= value[:, None]
    first = np.arange(value.size)
    beaten = no_worse & (~no_worse.T | (first[None, :] < first[:, None]))
    kept: Flags = ~beaten.any(axis=1)
    return kept


def admitted_locally(local_s: Vector, arrival_fps: float, settings: ControlSettings) -> Flags:
    """Configurations that do not block the worker for too many arrivals, shape (J, K).

    At the highest level all are admitted.
    """
    blocked_s = settings.max_blocked_arrivals / arrival_fps if arrival_fps > 0.0 else np.inf
    admitted: Flags = local_s <= blocked_s
    admitted[-1] = True
    return admitted


def _columns(points: tuple[OperatingPoint, ...]) -> Vector:
    """Accuracy, GPU work, serial part, upload size and server time, shape (5, K)."""
    table = np.array(
        [
            (p.accuracy_map, p.gpu_work_ghz_s, p.serial_s, p.upload_bits, p.server_time_s)
            for p in points
        ]
    )
    return np.ascontiguousarray(table.reshape(-1, 5).T)
