"""Every slot: merges what was measured, asks the policy, publishes what to do."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from visionscaling_ros import __version__, msg
from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.policy_state_file import read_policy_states, write_policy_states
from visionscaling_ros.control.slot_loop import SlotLoop
from visionscaling_ros.datatypes import Beliefs, OperatingPoint, SlotState
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.controller_parameters import (
    PARAMETERS,
    check_allowed_models,
    check_fixed_point,
    make_settings,
)
from visionscaling_ros.nodes.conversions import (
    decision_to_msg,
    make_header,
    settings_to_msg,
    slot_state_to_msg,
)
from visionscaling_ros.nodes.managed_node import ERROR, OK, WARN, ManagedNode, run_nodes
from visionscaling_ros.nodes.slot_merger import SlotMerger

SAVE_SLOTS = 60  # so often what policies learned is written down


class ControllerNode(ManagedNode):
    """Forecaster and policy behind topics."""

    _offered: tuple[OperatingPoint, ...] = ()  # known once inference_node has told

    def __init__(self) -> None:
        super().__init__('controller_node', PARAMETERS)
        self._settings_version = 0
        self._trouble = 'waiting for inference_state'

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        """Models and sizes named must be ones the robot offers."""
        check_fixed_point(values['fixed_model'], values['fixed_input_size_px'], self._offered)
        check_allowed_models(values['allowed_models'], self._offered)

    def on_parameters_changed(self, names: set[str]) -> None:
        """Take new settings from the next slot on; what was learned stays."""
        if not self.active:
            return
        self._settings_version += 1
        settings = make_settings(self.parameters)
        self._loop.use(self.parameters['policy'], settings, self._settings_version)
        self._publish_settings()

    def configure(self) -> None:
        """Open the topics."""
        self._decision_publisher = self.advertise(
            msg.SlotDecision, topics.SLOT_DECISION, topics.DECISION_QOS
        )
        self._state_publisher = self.advertise(msg.SlotState, topics.SLOT_STATE, topics.STATE_QOS)
        self._settings_publisher = self.advertise(
            msg.ControllerSettings, topics.CONTROLLER_SETTINGS, topics.DECISION_QOS
        )
        self._merger = SlotMerger()
        for message_type, topic, name in (
            (msg.InferenceState, topics.INFERENCE_STATE, 'inference'),
            (msg.GpuState, topics.GPU_STATE, 'gpu'),
            (msg.LinkState, topics.LINK_STATE, 'link'),
        ):
            self.subscribe(
                message_type, topic, partial(setattr, self._merger, name), topics.STATE_QOS
            )

    def activate(self) -> None:
        """Start the slots."""
        self._settings_version += 1
        self._loop = SlotLoop(
            self.parameters['policy'],
            make_settings(self.parameters),
            slot_s=self.parameters['slot_duration_s'],
            settings_version=self._settings_version,
        )
        self._publish_settings(activation=True, learned=self._load_policy_states())
        self.every(self.parameters['slot_duration_s'], self._end_slot)

    def deactivate(self) -> None:
        """Keep what was learned."""
        self._save_policy_states()

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """What is being decided, and what stands in the way."""
        if self.count_publishers(topics.SLOT_DECISION) > 1:
            words = (
                f'{self.count_publishers(topics.SLOT_DECISION)} controllers publish slot_decision '
                'for this robot; stop all but one'
            )
            self.warn('controllers', words)
            return ERROR, words, {}
        if self._trouble:
            return WARN, self._trouble, {'slot': self._loop.slot}
        decision = self._loop.decision
        assert decision is not None
        return OK, f'{decision.policy}: slot {decision.slot}', {
            'decision_time_s': decision.decision_time_s,
            'multiplier': decision.multiplier,
            'expected_map': decision.expected_map,
            'expected_power_w': decision.expected_power_w,
        }  # fmt: skip

    def _load_policy_states(self) -> str:
        """Take over what was learned in earlier runs, and return it as JSON; '' for nothing."""
        path = self._state_file()
        if path is None:
            return ''
        try:
            states = read_policy_states(path)
            self._loop.load(states)
        except InvalidValueError as error:
            aside = path.replace(path.with_name(f'{path.name}.bad'))
            self.warn('state file', f'{error}; moved to {aside}, policies start anew')
        except OSError as error:
            self.warn('state file', f'policy_state_file: {error}; policies start anew')
        else:
            return json.dumps(states) if states else ''
        return ''

    def _save_policy_states(self) -> None:
        path, states = self._state_file(), self._loop.policies.states()
        if path is None or not states:
            return
        try:
            write_policy_states(path, states)
        except OSError as error:
            self.warn('state file', f'policy_state_file: {error}; what was learned is not kept')

    def _state_file(self) -> Path | None:
        name = self.parameters['policy_state_file']
        return Path(name).expanduser() if name else None

    def _end_slot(self) -> None:
        loop = self._loop
        policy = loop.decision.policy if loop.decision else ''
        state = self._merger.merge(loop.slot, policy, time.monotonic())
        if state is None:
            self._trouble = 'no inference_state: is inference_node running?'
            self.warn('inference_state', self._trouble)
            return
        if not state.operating_points:
            self._trouble = 'inference_node offers no operating point'
            return
        self._offered = state.operating_points
        device = self._merger.device()
        state, decision = loop.end_slot(state, device)
        self._publish_state(state, device)
        if decision is None:
            self._trouble = 'waiting for the first frames'
            return
        self._decision_publisher.publish(
            decision_to_msg(decision, self._header(), self.parameters['slot_duration_s'])
        )
        self._trouble = self._settings_trouble(state.beliefs)
        if decision.slot % SAVE_SLOTS == 0:
            self._save_policy_states()

    def _settings_trouble(self, beliefs: Beliefs) -> str:
        """What this robot cannot do of what it was set to, and what it does instead."""
        words = ''
        if not beliefs.target_feasible:
            best_map = max(p.accuracy_map for p in beliefs.operating_points)
            target_map = self.parameters['accuracy_target_map']
            words = (
                f'accuracy_target_map = {target_map:g} is above the best configuration allowed, '
                f'{best_map:g}: as accurate as possible instead'
            )
        try:  # what was set before it could be checked
            self.check_parameters(self.parameters)
        except InvalidValueError as error:
            words = f'{error}; it is passed over'
        if words:
            self.warn('settings', words)
        return words

    def _publish_state(self, state: SlotState, device: DeviceModel) -> None:
        if not math.isfinite(state.cost):
            self.warn(
                'cost',
                'the cost of the last slot is unknown: gpu_state told no new power (no '
                'gpu_clock_node, a gap, or a meter slower than the slot)',
            )
        self._state_publisher.publish(slot_state_to_msg(state, device, self._header()))

    def _publish_settings(self, *, activation: bool = False, learned: str = '') -> None:
        self._settings_publisher.publish(
            settings_to_msg(
                self._loop.settings,
                self._header(),
                version=self._settings_version,
                activation=activation,
                package_version=__version__,
                policy=self.parameters['policy'],
                slot_duration_s=self.parameters['slot_duration_s'],
                learned=learned,
            )
        )

    def _header(self) -> Any:
        return make_header(self.get_clock().now().nanoseconds)


def main() -> None:
    """Run the node until it is told to stop."""
    run_nodes(ControllerNode)


if __name__ == '__main__':
    main()
