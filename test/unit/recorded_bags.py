"""Bags of runs that never were: a simulated robot, decided by the controller's own loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.serialization import deserialize_message, serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer

from visionscaling_ros import msg
from visionscaling_ros.bags.message_types import type_name, typestore
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.control.slot_loop import SlotLoop
from visionscaling_ros.datatypes import SlotDecision, SlotState
from visionscaling_ros.message_reading import NANOSECONDS, msg_to_slot_state
from visionscaling_ros.nodes.conversions import (
    decision_to_msg,
    make_header,
    settings_to_msg,
    slot_state_to_msg,
)
from visionscaling_ros.simulation.profile import load_profile
from visionscaling_ros.simulation.scenarios import make_conditions
from visionscaling_ros.simulation.world import World

BEGIN_NS = 1_000 * NANOSECONDS
Write = Callable[[str, Any, int], None]


def write_run(
    path: Path,
    *,
    slots: int = 60,
    policy: str = 'visionscaling_meta',
    settings: ControlSettings | None = None,
    changes: dict[int, ControlSettings] | None = None,
    storage: StoragePlugin = StoragePlugin.MCAP,
    namespace: str = '',
    scenario: str = 'nominal',
    seed: int = 0,
) -> Path:
    """Write a bag of a simulated run as controller_node would have published it.

    :param changes: settings that come into force in the slot of that number.
    """
    profile = load_profile('agx_orin')
    settings = settings or ControlSettings(
        accuracy_target_map=profile.accuracy_target_map, full_rate_fps=profile.full_rate_fps
    )
    world = World(
        make_conditions(scenario, profile=profile, slots=slots, seed=seed), profile, settings
    )
    loop = SlotLoop(policy, settings, settings_version=1)
    device = profile.device
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections: dict[str, Any] = {}

        def write(name: str, message: Any, stamp_ns: int) -> None:
            kind = type_name(type(message).__name__)
            topic = f'{namespace}/{name}'
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=typestore())
            writer.write(connections[topic], stamp_ns, serialize_message(message))

        def write_settings(stamp_ns: int, *, activation: bool) -> None:
            message = settings_to_msg(
                loop.settings,
                make_header(stamp_ns),
                version=loop.settings_version,
                activation=activation,
                package_version='0.1.0',
                policy=policy,
                slot_duration_s=1.0,
                learned='',
            )
            write('controller_settings', message, stamp_ns)

        write_settings(BEGIN_NS - 1, activation=True)
        state = world.start()
        for slot in range(slots):
            now_ns = BEGIN_NS + slot * NANOSECONDS
            if changes and slot in changes:
                loop.use(policy, changes[slot], loop.settings_version + 1)
                write_settings(now_ns - 1, activation=False)
            state, decision = loop.end_slot(measured(state, device), device)
            header = make_header(now_ns)
            write('slot_state', slot_state_to_msg(state, device, header), now_ns)
            if decision is None or slot == slots - 1:
                break
            write('slot_decision', decision_to_msg(decision, header, 1.0), now_ns)
            state = _played(world, decision, slot)
    return path


def measured(state: SlotState, device: Any) -> SlotState:
    """The state as nodes would have told it: what comes in single precision, so rounded."""
    message = slot_state_to_msg(state, device, make_header(0))
    return msg_to_slot_state(deserialize_message(serialize_message(message), msg.SlotState))


def _played(world: World, decision: SlotDecision, slot: int) -> SlotState:
    """What happens in slot ``slot + 1``; the world counts its slots from 0."""
    state = world.step(decision, slot)
    return SlotState(**{**vars(state), 'slot': decision.slot})
