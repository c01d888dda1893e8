"""Decides a recorded run again, slot by slot, from what the controller was told in it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from visionscaling_ros import __version__
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.control.slot_loop import SlotLoop
from visionscaling_ros.datatypes import Allocation, Explanation, SlotDecision
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.review.recorded_run import RecordedRun, RecordedSettings

PROGRESS_SLOTS = 100  # how often progress is told
_NOT_COMPARED = ('decision_time_s', 'settings_version', 'explanation')


@dataclass(frozen=True)
class RedecidedSlot:
    """A decision made again, beside the recorded one.

    :param slot: the slot it is for.
    :param recorded: None where the bag lacks it.
    :param differing: fields that are not the same, bit for bit as messages hold them.
    """

    slot: int
    recorded: SlotDecision | None
    decided: SlotDecision
    differing: tuple[str, ...]


@dataclass(frozen=True)
class Redecision:
    """A run decided again.

    :param policy: the one that decided it again; '' for those recorded.
    :param exact: it can be expected to be the same, bit for bit: same policy and settings, from
        the first slot on and none missing.
    :param reasons: why it cannot, in words.
    """

    run: RecordedRun
    policy: str
    slots: tuple[RedecidedSlot, ...]
    reasons: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether every decision can be expected to be the recorded one."""
        return not self.reasons

    @property
    def compared(self) -> tuple[RedecidedSlot, ...]:
        """Those with a recorded decision beside them."""
        return tuple(slot for slot in self.slots if slot.recorded is not None)

    @property
    def same(self) -> int:
        """How many are the recorded ones."""
        return sum(not slot.differing for slot in self.compared)


def redecide(
    run: RecordedRun,
    policy: str = '',
    change: Callable[[ControlSettings], ControlSettings] = lambda settings: settings,
    *,
    progress: Callable[[int], None] = lambda slots: None,
) -> Redecision:
    """Let a policy decide every slot of a run, told what the controller was told then.

    The world does not answer: a slot's state is the recorded one, whatever was decided for it.

    :param policy: its name; '' for those that decided in the run, changed when they were.
    :param change: makes the settings to decide by of those recorded.
    :param progress: called now and then with the number of slots done.
    :raises InvalidValueError: there is no policy of that name, or a setting is out of range.
    """
    first, *changes = run.settings
    loop = SlotLoop(
        policy or first.policy,
        change(first.settings),
        slot_s=first.slot_s,
        settings_version=first.version,
        explained=False,
    )
    reasons = [*_gaps(run), *_other_terms(run, policy, change), *_load(loop, first)]
    slots = []
    for number, slot in enumerate(run.slots):
        # every change in its turn, also one that no slot ended with: a policy keeps some of the
        # settings it was first used with
        while changes and changes[0].version <= slot.settings.version:
            told = changes.pop(0)
            loop.use(policy or told.policy, change(told.settings), told.version)
        loop.slot = slot.state.slot  # as it was, also behind a gap
        _, decided = loop.end_slot(slot.state, slot.device, slot.decision)
        if decided is not None:
            recorded = slot.decided_next
            slots.append(
                RedecidedSlot(decided.slot, recorded, decided, _differing(recorded, decided))
            )
        if number % PROGRESS_SLOTS == 0:
            progress(number)
    progress(len(run.slots))
    return Redecision(run, policy, tuple(slots), tuple(reasons))


def _gaps(run: RecordedRun) -> list[str]:
    words = []
    if not run.from_start:
        words.append(
            f'the bag begins in slot {run.slots[0].state.slot} of a run under way: what was '
            'learned before is not in it'
        )
    versions = sorted({told.package_version for told in run.settings} - {__version__})
    if versions:
        words.append(f'recorded with version {", ".join(versions)}, this is {__version__}')
    if run.missing_slots:
        words.append(f'{len(run.missing_slots)} slots are not in the bag')
    if run.skipped:
        words.append(f'{sum(run.skipped.values())} messages of the bag cannot be read')
    if run.untold_slots:
        words.append(f'{run.untold_slots} slots are left out: their settings are not in the bag')
    return words


def _other_terms(
    run: RecordedRun, policy: str, change: Callable[[ControlSettings], ControlSettings]
) -> list[str]:
    words = []
    if policy and any(told.policy != policy for told in run.settings):
        words.append(f'{policy} did not decide all of the run')
    if any(change(told.settings) != told.settings for told in run.settings):
        words.append('settings are not those of the run')
    return words


def _load(loop: SlotLoop, told: RecordedSettings) -> list[str]:
    if not told.learned:
        return []
    try:
        loop.load(json.loads(told.learned))
    except (ValueError, InvalidValueError) as error:
        return [f'what policies knew from earlier runs cannot be read: {error}']
    return []


def _differing(recorded: SlotDecision | None, decided: SlotDecision) -> tuple[str, ...]:
    if recorded is None:
        return ()
    decided = as_recorded(decided)
    return tuple(
        field.name
        for field in dataclasses.fields(SlotDecision)
        if field.name not in _NOT_COMPARED
        and not _alike(getattr(recorded, field.name), getattr(decided, field.name))
    )


def _alike(one: Any, other: Any) -> bool:
    both_unknown = isinstance(one, float) and math.isnan(one) and math.isnan(other)
    return both_unknown or bool(one == other)


def as_recorded(decision: SlotDecision) -> SlotDecision:
    """A decision as its message holds it: some fields in single precision."""
    single: dict[str, Any] = {
        name: float(np.float32(getattr(decision, name))) for name in SINGLE_PRECISION
    }
    return dataclasses.replace(
        decision,
        allocations=tuple(_recorded_allocation(a) for a in decision.allocations),
        explanation=Explanation(),
        **single,
    )


# fields of SlotDecision that its message holds as float32
SINGLE_PRECISION = (
    'arrival_fps', 'expected_power_w', 'expected_processed_fps', 'expected_map', 'expected_cost',
    'multiplier', 'decision_time_s',
)  # fmt: skip


def _recorded_allocation(allocation: Allocation) -> Allocation:
    return dataclasses.replace(allocation, rate_fps=float(np.float32(allocation.rate_fps)))


def decision_document(decision: SlotDecision | None) -> dict[str, Any] | None:
    """What a decision says of the slot, fit for JSON."""
    if decision is None:
        return None
    document = {
        field.name: getattr(decision, field.name)
        for field in dataclasses.fields(SlotDecision)
        if field.name not in (*_NOT_COMPARED, 'allocations')
    }
    document['allocations'] = [
        {**dataclasses.asdict(a), 'origin': a.origin.name.lower()} for a in decision.allocations
    ]
    return document
