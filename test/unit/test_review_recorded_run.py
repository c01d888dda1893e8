"""A run out of a bag is the run that was recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy')

from rclpy.serialization import serialize_message
from recorded_bags import write_run
from rosbags.rosbag2 import StoragePlugin, Writer

from visionscaling_ros import msg
from visionscaling_ros.bags.bag_reader import BagMessage, BagReader
from visionscaling_ros.bags.message_types import type_name, typestore
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.nodes.conversions import make_header, settings_to_msg
from visionscaling_ros.review.recorded_run import SETTINGS, SLOT_STATE, read_runs


@pytest.mark.parametrize('storage', list(StoragePlugin))
def test_slots_come_with_their_decisions_and_settings(
    tmp_path: Path, storage: StoragePlugin
) -> None:
    (run,) = read_runs(write_run(tmp_path / 'bag', slots=20, storage=storage, namespace='/drone1'))
    assert run.namespace == '/drone1'
    assert run.from_start
    assert run.missing_slots == ()
    assert [s.state.slot for s in run.slots] == list(range(20))
    assert run.slots[0].decision is None
    for before, slot in zip(run.slots, run.decided_slots, strict=False):
        assert slot.decision is before.decided_next
        assert slot.decision is not None
        assert slot.decision.slot == slot.state.slot
    assert run.slots[0].settings.policy == 'visionscaling_meta'
    assert run.slots[0].device.available_frequencies_hz


def copied(path: Path, to: Path, change: Callable[[list[BagMessage]], list[BagMessage]]) -> Path:
    """A bag with the messages of another, changed."""
    with BagReader(path) as bag:
        messages = change(list(bag.messages()))
    with Writer(to, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[str, Any] = {}
        for message in messages:
            if message.topic not in connections:
                connections[message.topic] = writer.add_connection(
                    message.topic, message.message_type, typestore=typestore()
                )
            writer.write(connections[message.topic], message.log_ns, message.data)
    return to


def test_a_bag_that_begins_in_a_run_says_so(tmp_path: Path) -> None:
    def without_the_start(messages: list[BagMessage]) -> list[BagMessage]:
        settings = [m for m in messages if m.message_type == SETTINGS]
        rest = [m for m in messages if m.message_type != SETTINGS]
        return settings + rest[10:]

    whole = write_run(tmp_path / 'whole', slots=20)
    (run,) = read_runs(copied(whole, tmp_path / 'cut', without_the_start))
    assert not run.from_start
    assert run.slots[0].state.slot > 0


def test_settings_stored_behind_the_first_slot_are_still_its_own(tmp_path: Path) -> None:
    def late(messages: list[BagMessage]) -> list[BagMessage]:
        settings, *rest = messages
        return [*rest[:3], replace(settings, log_ns=rest[2].log_ns + 1), *rest[3:]]

    whole = write_run(tmp_path / 'whole', slots=20)
    (run,) = read_runs(copied(whole, tmp_path / 'late', late))
    assert run.from_start
    assert len(run.slots) == 20
    assert run.skipped == {}


def test_a_controller_that_was_started_again_made_two_runs(tmp_path: Path) -> None:
    def twice(messages: list[BagMessage]) -> list[BagMessage]:
        later_ns = messages[-1].log_ns - messages[0].log_ns + 1
        again = [replace(m, log_ns=m.log_ns + later_ns) for m in messages]
        return messages + again

    whole = write_run(tmp_path / 'whole', slots=20)
    runs = read_runs(copied(whole, tmp_path / 'twice', twice))
    assert [len(run.slots) for run in runs] == [20, 20]
    assert all(run.from_start for run in runs)


def test_settings_heard_twice_by_a_recorder_that_subscribed_anew_end_no_run(tmp_path: Path) -> None:
    def again(messages: list[BagMessage]) -> list[BagMessage]:
        heard = replace(messages[0], log_ns=messages[15].log_ns)
        return [*messages[:16], heard, *messages[16:]]

    whole = write_run(tmp_path / 'whole', slots=20)
    (run,) = read_runs(copied(whole, tmp_path / 'again', again))
    assert len(run.slots) == 20
    assert run.from_start
    assert len(run.settings) == 1


def test_slots_before_the_first_settings_in_the_bag_are_left_out_and_counted(
    tmp_path: Path,
) -> None:
    def without_the_first(messages: list[BagMessage]) -> list[BagMessage]:
        return messages[1:]

    changes = {12: ControlSettings(accuracy_target_map=0.3)}
    whole = write_run(tmp_path / 'whole', slots=20, changes=changes)
    (run,) = read_runs(copied(whole, tmp_path / 'cut', without_the_first))
    assert [slot.state.slot for slot in run.slots] == list(range(12, 20))
    assert run.untold_slots == 12
    assert run.skipped == {}
    assert not run.from_start


def test_settings_of_a_controller_that_never_ended_a_slot_are_not_those_of_the_next(
    tmp_path: Path,
) -> None:
    def before(messages: list[BagMessage]) -> list[BagMessage]:
        stillborn = settings_to_msg(
            ControlSettings(seed=99), make_header(0), version=1, activation=True,
            package_version='', policy='dms', slot_duration_s=1.0, learned='',
        )  # fmt: skip
        data = serialize_message(stillborn)
        return [replace(messages[0], log_ns=messages[0].log_ns - 1, data=data), *messages]

    whole = write_run(tmp_path / 'whole', slots=20)
    (run,) = read_runs(copied(whole, tmp_path / 'two', before))
    assert run.settings[0].policy == 'visionscaling_meta'
    assert run.slots[0].settings.settings.seed == 0


def test_what_cannot_be_read_and_what_is_missing_are_told(tmp_path: Path) -> None:
    def damaged(messages: list[BagMessage]) -> list[BagMessage]:
        slots = [m for m in messages if m.message_type == SLOT_STATE]
        bad = replace(slots[5], data=slots[5].data[:40])
        return [bad if m is slots[5] else m for m in messages if m is not slots[9]]

    whole = write_run(tmp_path / 'whole', slots=20)
    (run,) = read_runs(copied(whole, tmp_path / 'damaged', damaged))
    assert run.skipped == {'/slot_state': 1}
    assert run.missing_slots == (5, 9)


def test_a_bag_without_a_run_names_what_it_has(tmp_path: Path) -> None:
    with Writer(tmp_path / 'other', version=9) as writer:
        kind = type_name('LinkState')
        connection = writer.add_connection('/link_state', kind, typestore=typestore())
        writer.write(connection, 1, serialize_message(msg.LinkState()))
    with pytest.raises(InvalidValueError, match='it has /link_state'):
        read_runs(tmp_path / 'other')
