"""What the slots of a run came to, measured or estimated, as arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.evaluation import accuracy_constraint, slot_cost
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import SlotState

Series = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SlotSeries:
    """An entry per slot, shape (T,) each; NaN: not known, or there was nothing of it.

    :param map: mean accuracy of the processed frames by the accuracy table, as the target means it,
        whether it was measured or not [mAP].
    :param latency_local_mean_s: of frames processed on the robot; the others likewise [s].
    :param cost: phi by the settings asked about [-].
    """

    duration_s: Series
    arrival_fps: Series
    local_fps: Series
    edge_fps: Series
    dropped_fps: Series
    power_w: Series
    latency_local_mean_s: Series
    latency_local_p95_s: Series
    latency_edge_mean_s: Series
    latency_edge_p95_s: Series
    map: Series
    cost: Series

    @classmethod
    def of(
        cls, states: Iterable[SlotState], settings: ControlSettings, device: DeviceModel
    ) -> SlotSeries:
        """The series of measured or simulated states, their cost by ``settings``."""
        of_state = attrgetter(*_MEASURED)
        rows = [(*of_state(s), _table_map(s), _cost(s, settings, device)) for s in states]
        columns = np.array(rows, np.float64).reshape(len(rows), len(dataclasses.fields(cls)))
        columns[~np.isfinite(columns)] = np.nan
        return cls(*columns.T.copy())

    def __len__(self) -> int:
        return len(self.duration_s)

    @property
    def processed_fps(self) -> Series:
        """Frames processed, wherever [frames/s]."""
        return self.local_fps + self.edge_fps

    def part(self, kept: Mask) -> SlotSeries:
        """The slots of a mask, shape (T,), alone."""
        return SlotSeries(*[getattr(self, f.name)[kept] for f in dataclasses.fields(self)])

    def mixed(self, other: SlotSeries, kept: Mask) -> SlotSeries:
        """Entries of ``other`` where ``kept``, else of this."""
        return SlotSeries(*[
            np.where(kept, getattr(other, f.name), getattr(self, f.name))
            for f in dataclasses.fields(self)
        ])


_MEASURED = (
    'duration_s', 'arrival_fps', 'processed_local_fps', 'processed_edge_fps', 'dropped_fps',
    'power_w', 'latency_local_mean_s', 'latency_local_p95_s', 'latency_edge_mean_s',
    'latency_edge_p95_s',
)  # fmt: skip


def _table_map(state: SlotState) -> float:
    _, mean_map = accuracy_constraint(state.processed, state.operating_points, 0.0)
    return mean_map


def _cost(state: SlotState, settings: ControlSettings, device: DeviceModel) -> float:
    processed_fps = state.processed_local_fps + state.processed_edge_fps
    return slot_cost(state.power_w, processed_fps, settings, device)
