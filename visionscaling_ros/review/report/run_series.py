"""A recorded run as series over time, one entry per slot."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
import numpy.typing as npt

from visionscaling_ros.control.evaluation import accuracy_constraint
from visionscaling_ros.datatypes import Allocation, Origin, SlotState
from visionscaling_ros.review.recorded_run import RecordedRun, RecordedSettings, RecordedSlot
from visionscaling_ros.review.report.wording import Flags, Stretch, stretches

Series = npt.NDArray[np.float64]
Configuration = tuple[str, int, int]  # model, input size [px], 0: on the robot, 1: at the edge

_JITTER = 0.5  # of a slot: ends of slots that follow one another may be so far off
_ABSURD = 1e15
_SHORTEST_S, _LONGEST_S = 1e-3, 1e6
MAP_TOLERANCE = 1e-6  # accuracies come in single precision


class RunSeries:
    """The slots of a run on one axis of time, which begins with the first slot.

    What was not measured is NaN. Where the robot's clock went back, time goes on from the slot
    before.

    :ivar begin_s: begin of every slot, shape (T,) [s].
    :ivar end_s: end of every slot, shape (T,) [s].
    :ivar follows: no slot is missing between the slot and the one before, shape (T,).
    :ivar clock_jumps: slots at whose end the robot's clock was before that of the slot before.
    """

    def __init__(self, run: RecordedRun) -> None:
        self.run = run
        self.slots = run.slots
        begins: list[float] = []
        ends: list[float] = []
        follows: list[bool] = []
        self.clock_jumps: list[int] = []
        shift_s = -(self.slots[0].end_s - duration_s(self.slots[0]))
        number = self.slots[0].state.slot - 1
        for slot in self.slots:
            length_s, before_s = duration_s(slot), ends[-1] if ends else 0.0
            end_s = slot.end_s + shift_s
            if ends and end_s <= before_s:
                self.clock_jumps.append(slot.state.slot)
                shift_s += before_s + length_s - end_s
                end_s = before_s + length_s
            near = abs(end_s - length_s - before_s) <= _JITTER * length_s
            connected = bool(ends) and slot.state.slot <= number + 1 and near
            begins.append(before_s if connected else max(end_s - length_s, before_s))
            ends.append(end_s)
            follows.append(connected)
            number = slot.state.slot
        self.begin_s, self.end_s = np.array(begins), np.array(ends)
        self.follows: Flags = np.array(follows)
        self.origin_s = self.slots[0].end_s - duration_s(self.slots[0])

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def namespace(self) -> str:
        """The robot's."""
        return self.run.namespace

    @property
    def last_s(self) -> float:
        """End of the run on the axis [s]."""
        return float(self.end_s[-1])

    @cached_property
    def duration_s(self) -> Series:
        """Length of every slot as it was measured [s]."""
        return self.of(duration_s)

    def of(self, value: Callable[[RecordedSlot], float]) -> Series:
        """A value of every slot."""
        return np.array([value(slot) for slot in self.slots], dtype=np.float64)

    def state(self, name: str, factor: float = 1.0) -> Series:
        """A field of the slot states; infinite ones become NaN."""
        return finite(self.of(lambda slot: getattr(slot.state, name)) * factor)

    def decided(self, name: str, factor: float = 1.0) -> Series:
        """A field of the decisions that were in force; NaN where there was none."""
        return finite(
            self.of(lambda slot: getattr(slot.decision, name) if slot.decision else math.nan)
            * factor
        )

    def believed(self, name: str, factor: float = 1.0) -> Series:
        """What the controller expected of every slot at the end of the one before."""
        return self.expected_before(lambda state: getattr(state.beliefs, name)) * factor

    def expected_before(self, value: Callable[[SlotState], float]) -> Series:
        """A belief about every slot; NaN where the slot before is missing."""
        beliefs = self.of(lambda slot: value(slot.state))
        earlier = np.concatenate([[math.nan], beliefs[:-1]])
        return finite(np.where(self.follows, earlier, math.nan))

    def setting(self, name: str) -> Series:
        """A number of the settings in force."""
        return self.of(lambda slot: getattr(slot.settings.settings, name))

    @cached_property
    def edge_away(self) -> Flags:
        """Slots at whose end the edge server did not answer."""
        return np.array([not slot.state.edge_reachable for slot in self.slots])

    @cached_property
    def achieved_map(self) -> Series:
        """Accuracy of every slot [mAP]; NaN where nothing was processed or it is not known."""
        return np.where(self.processed_fps > 0.0, self.state('achieved_map'), math.nan)

    @cached_property
    def table_map(self) -> Series:
        """Accuracy of every slot by the accuracy table, which the controller goes by [mAP]."""
        by_table = self.of(
            lambda slot: accuracy_constraint(
                slot.state.processed, slot.state.operating_points, 0.0
            )[1]
        )
        return np.where(self.processed_fps > 0.0, by_table, math.nan)

    @cached_property
    def measured_map(self) -> Series:
        """Accuracy of every slot against ground truth [mAP]; NaN where there was none."""
        measured = np.array([slot.state.map_measured for slot in self.slots])
        return np.where(measured, self.achieved_map, math.nan)

    @cached_property
    def processed_fps(self) -> Series:
        """Frames processed a second, wherever."""
        return self.state('processed_local_fps') + self.state('processed_edge_fps')

    @cached_property
    def target_map(self) -> Series:
        """The accuracy target."""
        return self.setting('accuracy_target_map')

    def missed(self, achieved_map: Series) -> Flags:
        """Slots whose accuracy was below the target."""
        return achieved_map < self.target_map - MAP_TOLERANCE

    def frames(self, rate_fps: Series) -> Series:
        """Frames of every slot; rates are counts over the length of a slot."""
        return np.round(rate_fps * self.duration_s)

    def stretches(self, flags: Flags) -> list[Stretch]:
        """From when to when flags of slots are true."""
        return stretches(flags, self.begin_s, self.end_s, self.follows)

    @cached_property
    def changes(self) -> list[tuple[float, RecordedSettings, RecordedSettings]]:
        """When other settings were in force for the first time [s], those before, and they."""
        found = []
        for before, slot, begin_s in zip(
            self.slots[:-1], self.slots[1:], self.begin_s[1:].tolist(), strict=True
        ):
            if slot.settings.version != before.settings.version:
                found.append((begin_s, before.settings, slot.settings))
        return found

    def configurations(
        self, allocations: Callable[[RecordedSlot], tuple[Allocation, ...]]
    ) -> dict[Configuration, Series]:
        """Rates by configuration and place, those on the robot first; NaN: nothing is known."""
        rates: dict[Configuration, Series] = {}
        for index, slot in enumerate(self.slots):
            for allocation in allocations(slot):
                at_edge = int(allocation.origin is not Origin.LOCAL)
                key = (allocation.model, allocation.input_size_px, at_edge)
                series = rates.setdefault(key, np.zeros(len(self)))
                if math.isfinite(allocation.rate_fps):
                    series[index] += allocation.rate_fps
        return dict(sorted(rates.items(), key=lambda item: (item[0][2], item[0][1], item[0][0])))


def duration_s(slot: RecordedSlot) -> float:
    """Length of a slot as it was measured, or as it was set where that makes no sense [s]."""
    length_s = slot.state.duration_s
    return length_s if _SHORTEST_S < length_s < _LONGEST_S else slot.settings.slot_s


def finite(values: Series) -> Series:
    """With NaN in place of infinities, and of figures that no robot measures."""
    return np.where(np.abs(values) < _ABSURD, values, math.nan)


def mean(values: Series, weights: Series) -> float:
    """Weighted mean of what is known; NaN: nothing is."""
    known = np.isfinite(values) & (weights > 0.0)
    if not known.any():
        return math.nan
    return float(np.average(values[known], weights=weights[known]))
