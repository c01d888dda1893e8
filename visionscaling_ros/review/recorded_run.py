"""What a bag tells of a robot's run, as the package's plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visionscaling_ros.bags.bag_reader import BagMessage, BagReader
from visionscaling_ros.bags.message_types import type_name
from visionscaling_ros.bags.topic_names import namespace_of
from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import SlotDecision, SlotState
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.message_reading import (
    NANOSECONDS,
    fill,
    msg_to_decision,
    msg_to_slot_state,
    stamp_to_ns,
)

SLOT_STATE, SLOT_DECISION = type_name('SlotState'), type_name('SlotDecision')
SETTINGS = type_name('ControllerSettings')
FRAME_RESULT, GPU_STATE, LINK_STATE = (
    type_name('FrameResult'), type_name('GpuState'), type_name('LinkState'),
)  # fmt: skip


@dataclass(frozen=True)
class RecordedSettings:
    """What the controller was told at some moment.

    :param policy: policy that decides.
    :param settings: its targets, weights and limits.
    :param learned: what policies knew from earlier runs, JSON; '' for nothing.
    :param activation: they are the first of an activation.
    """

    version: int
    stamp_s: float
    policy: str
    slot_s: float
    settings: ControlSettings
    learned: str = ''
    package_version: str = ''
    activation: bool = False


@dataclass(frozen=True)
class RecordedSlot:
    """A slot as the controller published it at its end.

    :param end_s: its end on the ROS clock [s].
    :param state: what was measured, scored.
    :param device: the robot's computer as it was known then.
    :param decision: what was decided to run in it; None before the first decision, or where that
        message is not in the bag.
    :param decided_next: what was decided at its end, for the next slot; None where nothing was.
    :param settings: those in force at its end.
    """

    end_s: float
    state: SlotState
    device: DeviceModel
    decision: SlotDecision | None
    decided_next: SlotDecision | None
    settings: RecordedSettings


@dataclass(frozen=True)
class RecordedRun:
    """One activation of a robot's controller, from the first slot in the bag to the last.

    :param namespace: the robot's, from the root, such as ``/`` or ``/drone1``.
    :param settings: all that were in force, by version, ascending.
    :param from_start: activation and first slot are in the bag, so nothing was learned in the run
        before it.
    :param missing_slots: numbers of slots that the bag lacks.
    :param skipped: messages that could not be read, by topic.
    :param untold_slots: slots in the bag whose settings are not, so they are left out.
    """

    namespace: str
    slots: tuple[RecordedSlot, ...]
    settings: tuple[RecordedSettings, ...]
    from_start: bool
    missing_slots: tuple[int, ...] = ()
    skipped: dict[str, int] = field(default_factory=dict)
    untold_slots: int = 0

    @property
    def decided_slots(self) -> tuple[RecordedSlot, ...]:
        """Slots that a decision in the bag was in force in."""
        return tuple(slot for slot in self.slots if slot.decision is not None)


def read_runs(path: str | Path, namespace: str | None = None) -> tuple[RecordedRun, ...]:
    """Every run in a bag, by robot and in order of time.

    :param namespace: only this robot's.
    :raises InvalidValueError: for a bag that cannot be read, or has no run in it; says which
        topics it has and what is needed.
    """
    with BagReader(path) as bag:
        books: dict[str, _Book] = {}
        topics = {t.name for t in bag.topics if t.message_type in _TAKE}
        for message in bag.messages(topics):
            robot = namespace_of(message.topic)
            if namespace is None or robot == namespace:
                books.setdefault(robot, _Book(robot)).add(bag, message)
        runs = tuple(run for _, book in sorted(books.items()) for run in book.runs())
        if not runs:
            there = ', '.join(t.name for t in bag.topics) or 'nothing'
            asked = f' of {namespace}' if namespace else ''
            allowed = f'one with slot_state and controller_settings{asked}; it has {there}'
            raise InvalidValueError('bag', str(path), allowed)
    return runs


_TAKE = (SLOT_STATE, SLOT_DECISION, SETTINGS)


@dataclass
class _Activation:
    """Slots, decisions and settings from one activation of the controller to the next."""

    settings: dict[int, RecordedSettings] = field(default_factory=dict)
    states: list[tuple[float, SlotState, DeviceModel]] = field(default_factory=list)
    decisions: dict[int, SlotDecision] = field(default_factory=dict)


class _Book:
    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._activations = [_Activation()]  # what a bag that begins in a run has of it
        self._told_again: RecordedSettings | None = None
        self._skipped: dict[str, int] = {}

    def add(self, bag: BagReader, message: BagMessage) -> None:
        try:
            self._take(message.message_type, bag.deserialize(message))
        except (InvalidValueError, AttributeError, ValueError):
            # cut off, of another version of the package, or of values no such message has
            self._skipped[message.topic] = self._skipped.get(message.topic, 0) + 1

    def _take(self, message_type: str, content: Any) -> None:
        stamp_s = stamp_to_ns(content.header.stamp) / NANOSECONDS
        if message_type == SETTINGS:
            self._take_settings(_settings(content, stamp_s))
            return
        if message_type == SLOT_DECISION:
            decision = msg_to_decision(content)
            self._activations[-1].decisions[decision.slot] = decision
        else:
            device = fill(DeviceModel, content.device, 'rated_power_w')
            self._take_state(stamp_s, msg_to_slot_state(content), device)

    def _take_state(self, end_s: float, state: SlotState, device: DeviceModel) -> None:
        """A slot of the run under way, or the first of one whose settings are told already."""
        activation = self._activations[-1]
        first, self._told_again = self._told_again, None
        if first and activation.states and state.slot < activation.states[-1][1].slot:
            activation = _Activation({first.version: first})
            self._activations.append(activation)
        activation.states.append((end_s, state, device))

    def _take_settings(self, settings: RecordedSettings) -> None:
        """Settings of the run under way, or the first of another.

        A topic's messages may be stored behind those of another that were sent after them, so
        those that slots already told name belong to these slots. The same ones come once more
        where the recorder subscribed anew, or where a bag was played again from its start.
        """
        activation = self._activations[-1]
        if activation.settings.get(settings.version) == settings:
            self._told_again = settings if settings.activation else self._told_again
            return
        awaited = settings.version not in activation.settings and any(
            state.settings_version == settings.version and settings.stamp_s <= end_s
            for end_s, state, _ in activation.states
        )
        if settings.activation and not awaited:
            activation = _Activation()
            self._activations.append(activation)
        activation.settings.setdefault(settings.version, settings)

    def runs(self) -> Iterator[RecordedRun]:
        for activation in self._activations:
            slots = tuple(_slots(activation))
            if slots:
                numbers = [slot.state.slot for slot in slots]
                settings = tuple(s for _, s in sorted(activation.settings.items()))
                yield RecordedRun(
                    namespace=self._namespace,
                    slots=slots,
                    settings=settings,
                    from_start=numbers[0] == 0 and settings[0].activation,
                    missing_slots=tuple(
                        sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
                    ),
                    skipped=dict(self._skipped),
                    untold_slots=len(activation.states) - len(slots),
                )


def _slots(activation: _Activation) -> Iterator[RecordedSlot]:
    decisions = activation.decisions
    states = activation.states
    for (end_s, state, device), after in zip(states, [*states, None][1:], strict=True):
        settings = activation.settings.get(state.settings_version)
        if settings is None:
            continue  # nobody knows what the controller was told then
        undecided = after is not None and after[1].slot == state.slot
        yield RecordedSlot(
            end_s=end_s,
            state=state,
            device=device,
            decision=decisions.get(state.slot) if state.policy else None,
            decided_next=None if undecided else decisions.get(state.slot + 1),
            settings=settings,
        )


def _settings(content: Any, stamp_s: float) -> RecordedSettings:
    return RecordedSettings(
        version=content.version,
        stamp_s=stamp_s,
        policy=content.policy,
        slot_s=content.slot_duration_s,
        settings=fill(ControlSettings, content),
        learned=content.learned,
        package_version=content.package_version,
        activation=content.activation,
    )
