"""The decided slots of a recorded run, as everything that models it needs them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import OperatingPoint, SlotDecision, SlotState
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.review.recorded_run import RecordedRun
from visionscaling_ros.review.whatif.run_conditions import RunConditions
from visionscaling_ros.review.whatif.slot_series import Mask, SlotSeries
from visionscaling_ros.review.whatif.thermal_fit import FittedHeat, fit_heat

LEAST_SLOTS = 10  # of fewer no model is made: it could not be checked on others


@dataclass(frozen=True, eq=False)
class RunSlots:
    """States, decisions and conditions of T slots.

    :param device: the robot's computer, as it was told last.
    :param decisions: what was in force in each slot.
    :param learned: what policies knew when the run began.
    """

    run: RecordedRun
    states: tuple[SlotState, ...]
    decisions: tuple[SlotDecision, ...]
    device: DeviceModel
    slot_s: float
    learned: dict[str, Any]

    def __len__(self) -> int:
        return len(self.states)

    @property
    def settings(self) -> ControlSettings:
        """Those in force at the end."""
        return self.run.slots[-1].settings.settings

    @property
    def policy(self) -> str:
        """The policy that decided last."""
        return self.decisions[-1].policy

    @cached_property
    def conditions(self) -> RunConditions:
        """What the robot met."""
        return RunConditions.of(self.states)

    @property
    def first_points(self) -> tuple[OperatingPoint, ...]:
        """Configurations as they were known before anything was decided, if the bag tells."""
        return self.run.slots[0].state.operating_points

    def heat(self, kept: Mask) -> FittedHeat | None:
        """Its thermal model by the slots kept; None where their temperatures tell too little."""
        power_w = np.array([s.power_w for s in self.states], np.float64)
        return fit_heat(self.conditions.temperature_c, power_w, self.slot_s, kept)

    def measured(self, settings: ControlSettings) -> SlotSeries:
        """What was really measured, its cost by ``settings``."""
        return SlotSeries.of(self.states, settings, self.device)


def run_slots(run: RecordedRun) -> RunSlots:
    """The decided slots of a run.

    :raises VisionScalingError: there are too few to say anything, or nothing came to be processed.
    """
    pairs = [(slot.state, slot.decision) for slot in run.slots if slot.decision is not None]
    if len(pairs) < LEAST_SLOTS:
        raise VisionScalingError(
            f'{len(pairs)} decided slots in the bag: of fewer than {LEAST_SLOTS} no model is made, '
            'as it could not be checked on slots that it was not fitted to; record for longer'
        )
    states, decisions = zip(*pairs, strict=True)
    if not any(s.arrival_fps > 0.0 for s in states):
        raise VisionScalingError(
            'no frame arrived in any slot of the bag: nothing can be said of what a policy would '
            'have processed, or at what cost; record while the camera runs'
        )
    if not any(s.operating_points for s in states):
        raise VisionScalingError('the slots in the bag name no operating point to choose from')
    return RunSlots(
        run=run,
        states=states,
        decisions=decisions,
        device=run.slots[-1].device,
        slot_s=run.slots[-1].settings.slot_s,
        learned=_learned(run),
    )


def _learned(run: RecordedRun) -> dict[str, Any]:
    """What was told to be known at the start; nothing where that cannot be read."""
    try:
        content = json.loads(run.settings[0].learned or '{}')
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def limits_of(slots: RunSlots) -> tuple[str, ...]:
    """What of a run limits what can be said of it, in words."""
    run, conditions, states = slots.run, slots.conditions, slots.states
    words = []
    if run.missing_slots:
        words.append(f'{len(run.missing_slots)} slots are not in the bag and left out')
    if run.untold_slots:
        words.append(f'{run.untold_slots} slots without settings are left out')
    if run.skipped:
        words.append(f'{sum(run.skipped.values())} messages could not be read')
    if not run.from_start:
        words.append(
            'the bag begins in the middle of the run: the recorded policy had learned before it, '
            'in the model every policy starts anew'
        )
    versions = {slot.settings.version for slot in run.slots if slot.decision is not None}
    if len(versions) > 1:
        words.append(
            f'settings changed {len(versions) - 1} times in the run: every policy is played, and '
            'all is scored, by the last'
        )
    reachable = int(conditions.reachable.sum())
    known = int(conditions.capacity_known.sum())
    if reachable == 0:
        words.append(
            'the edge never answered: nothing can be said of offloading, all frames run locally'
        )
    elif known == 0:
        words.append(
            'the edge answered, but nothing was sent to it, so its uplink is unknown: nothing can '
            'be said of offloading, and the model offloads nothing'
        )
    elif known < reachable:
        words.append(
            f'the uplink was measured in {known} of the {reachable} slots in which the edge '
            'answered; in the others it is taken as between its neighbours'
        )
    powered = sum(math.isfinite(s.power_w) for s in states)
    if powered == 0:
        words.append('power was never measured: its figures are those of the power model told')
    elif powered < len(states):
        words.append(f'power was measured in {powered} of {len(states)} slots')
    truth = [s.achieved_map for s in states if s.map_measured and math.isfinite(s.achieved_map)]
    if truth:
        words.append(
            'mAP is by the accuracy table, as the target means it; against ground truth it was '
            f'{np.mean(truth):.3f} in the bag'
        )
    if slots.heat(np.ones(len(slots), np.bool_)) is None:
        words.append('the temperatures tell no thermal model: heat is switched off')
    return tuple(words)
