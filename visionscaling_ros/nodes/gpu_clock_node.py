"""Applies the decided GPU clock, restores it, and says what the GPU costs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from visionscaling_ros import msg
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.hardware.clock_keeper import ClockKeeper
from visionscaling_ros.hardware.clock_target import RELEASE_HZ
from visionscaling_ros.hardware.keeper_settings import KeeperReport
from visionscaling_ros.hardware.thermal.throttle import Throttle
from visionscaling_ros.message_reading import slot_duration_s
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.conversions import counter_growth, make_header
from visionscaling_ros.nodes.gpu_clock_parameters import (
    PARAMETERS,
    check_together,
    keeper_settings,
    power_model,
)
from visionscaling_ros.nodes.gpu_machine import GpuMachine
from visionscaling_ros.nodes.managed_node import ERROR, OK, WARN, ManagedNode, run_nodes
from visionscaling_ros.nodes.power_account import PowerAccount

STOP_TIMEOUT_S = 3.0  # a device that hangs must not hold up the node's end


class GpuClockNode(ManagedNode):
    """A machine's clock, thermometer and meter behind topics."""

    def __init__(self) -> None:
        self._machine: GpuMachine | None = None
        self._keeper: ClockKeeper | None = None
        self._account: PowerAccount | None = None
        super().__init__('gpu_clock_node', PARAMETERS)
        self._refused_decision = ''
        self._busy_total_s: float | None = None
        self._state = msg.GpuState()
        self._report = KeeperReport()
        self._meter_trouble = ''
        self._activated_s = 0.0

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        """Limits ascend and some level lies between the bounds."""
        keeper = self._keeper
        check_together(values, () if keeper is None else keeper.report().available_frequencies_hz)

    def on_parameters_changed(self, names: set[str]) -> None:
        """Take another power model, other bounds or limits at once."""
        if self._account is not None:
            self._account.set_model(power_model(self.parameters), self.parameters['power_base_w'])
        if self._keeper is not None:
            self._keeper.settings = keeper_settings(self.parameters)

    def configure(self) -> None:
        """Open what the machine has and undo what a killed predecessor left."""
        self._machine = GpuMachine(
            self.parameters,
            self.get_namespace(),
            inform=self.get_logger().info,
            warn=self.get_logger().warning,
        )
        self._machine.open()
        self._state_publisher = self.advertise(msg.GpuState, topics.GPU_STATE, topics.STATE_QOS)
        self.subscribe(
            msg.SlotDecision, topics.SLOT_DECISION, self._on_decision, topics.DECISION_QOS
        )
        self.subscribe(
            msg.InferenceState, topics.INFERENCE_STATE, self._on_inference_state, topics.STATE_QOS
        )
        self._clock_changed = self.create_guard_condition(self._publish_state)

    def activate(self) -> None:
        """Start obeying decisions."""
        assert self._machine is not None
        self._refused_decision, self._busy_total_s = '', None
        self._activated_s = time.monotonic()
        self._account = PowerAccount(
            power_model(self.parameters),
            self.parameters['power_base_w'],
            self._machine.sampler,
        )
        self._keeper = self._machine.keeper(
            keeper_settings(self.parameters), self._clock_changed.trigger
        )
        self._keeper.start()
        self.every(1.0 / self.parameters['publish_rate_hz'], self._publish_state)

    def deactivate(self) -> None:
        """Leave the clock as it was found."""
        keeper = self._keeper
        if keeper is None:
            return
        try:
            keeper.stop(STOP_TIMEOUT_S)
        finally:
            self._publish_state()
            self._keeper = self._account = None

    def cleanup(self) -> None:
        """Give up the clock and the meter."""
        machine, self._machine = self._machine, None
        if machine is None:  # nothing was configured
            return
        self.destroy_guard_condition(self._clock_changed)
        machine.close()

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """Who sets the clock, and whether it works."""
        assert self._machine is not None
        errors = [*self._machine.errors, *self._report.errors]
        if self._refused_decision:
            errors.insert(0, self._refused_decision)
        if errors:
            self.warn('clock', '; '.join(errors))
            return ERROR, '; '.join(errors), self._clock_values()
        warnings = self._warnings()
        if warnings:
            return WARN, '; '.join(warnings), self._clock_values()
        if not self._state.available_frequencies_hz:
            words = f'backend {self._state.backend}: the clock is left to the device'
            return OK, words, self._clock_values()
        return OK, 'running', self._clock_values()

    def diagnose_parts(self) -> Mapping[str, tuple[bytes, str, dict[str, object]]]:
        """The meter and the thermometer."""
        assert self._machine is not None
        return {'power': self._diagnose_power(), 'temperature': self._diagnose_temperature()}

    def _diagnose_power(self) -> tuple[bytes, str, dict[str, object]]:
        assert self._machine is not None
        state = self._state
        values: dict[str, object] = {
            'power_w': state.power_w,
            'energy_j': state.energy_j,
            'energy_gap_s': state.energy_gap_s,
            'meter': self._machine.meter_why,
            **dict(zip(state.power_rail_names, state.power_rail_w, strict=True)),
        }
        if self._machine.meter_trouble:
            return ERROR, self._machine.meter_trouble, values
        if self._meter_trouble:
            return WARN, f'{self._meter_trouble}; gaps: {state.energy_gap_s:.1f} s', values
        return OK, state.power_source, values

    def _diagnose_temperature(self) -> tuple[bytes, str, dict[str, object]]:
        assert self._machine is not None
        report, trouble = self._report, self._machine.thermometer_trouble
        values: dict[str, object] = {
            'temperature_c': report.temperature_c,
            'ceiling_frequency_hz': report.ceiling_frequency_hz,
            'thermometer': self._machine.thermometer_device or 'none',
        }
        if report.throttle & Throttle.HARD_LIMIT:
            return ERROR, report.throttle_words, values
        if report.throttle & (Throttle.SOFT_LIMIT | Throttle.BOARD_THERMAL):
            return WARN, report.throttle_words, values
        if trouble:
            return WARN, trouble, values
        return OK, self._machine.thermal_guard, values

    def _clock_values(self) -> dict[str, object]:
        assert self._machine is not None
        state, report = self._state, self._report
        return {
            'backend': state.backend,
            'device': self._machine.clock.device,
            'why': self._machine.why,
            'frequency_hz': state.frequency_hz,
            'requested_frequency_hz': state.requested_frequency_hz,
            'target_frequency_hz': report.target_frequency_hz,
            'set_frequency_hz': state.set_frequency_hz,
            'ceiling_frequency_hz': state.ceiling_frequency_hz,
            'levels': len(state.available_frequencies_hz),
            'sets': state.sets,
            'overwritten': state.overwritten,
            'throttle_reason': state.throttle_reason,
            'utilization': state.utilization,
            'dry_run': self.parameters['dry_run'],
        }

    def _warnings(self) -> list[str]:
        assert self._machine is not None
        warnings = [*self._machine.warnings, *self._report.warnings]
        if self._report.timed_out:
            warnings.append(
                'no fresh slot_decision (decision_timeout_s = '
                f'{self.parameters["decision_timeout_s"]:g}): the clock is left to the device'
            )
        elif self.parameters['dry_run']:
            target_hz = self._report.target_frequency_hz
            would = f'set {target_hz * 1e-6:g} MHz' if target_hz else 'leave it to the device'
            warnings.append(f'dry run: would {would}, writes nothing')
        return warnings

    # Decisions.

    def _on_decision(self, message: msg.SlotDecision) -> None:
        if self._keeper is None:
            return
        try:
            self._keeper.wish(message.gpu_frequency_hz, slot_duration_s(message))
        except InvalidValueError:
            self._refused_decision = (
                f'slot_decision {message.slot} refused: gpu_frequency_hz = '
                f'{message.gpu_frequency_hz}; allowed: a level, or {RELEASE_HZ:g} to leave it to '
                'the device; the clock stays as it is'
            )
            self.warn('decision', self._refused_decision)
        else:
            self._refused_decision = ''

    def _on_inference_state(self, message: msg.InferenceState) -> None:
        before_s, self._busy_total_s = self._busy_total_s, message.gpu_busy_s
        if self._account is None or before_s is None or not math.isfinite(message.gpu_busy_s):
            return
        self._account.add_busy(max(0.0, counter_growth(message.gpu_busy_s, before_s)))

    # The state.

    def _publish_state(self) -> None:
        if self._keeper is None or self._account is None or self._machine is None:
            return
        report, model = self._keeper.report(), power_model(self.parameters)
        self._account.set_frequency(report.frequency_hz)
        power = self._account.read()
        self._keeper.note_utilization(power.utilization)
        if report.timed_out and self._report.requested_frequency_hz:
            self.warn('timeout', self._timeout_words())
        self._report, self._meter_trouble = report, power.trouble
        self._state = msg.GpuState(
            header=make_header(self.get_clock().now().nanoseconds),
            uptime_s=time.monotonic() - self._activated_s,
            backend=self._machine.backend,
            frequency_hz=report.frequency_hz,
            requested_frequency_hz=report.requested_frequency_hz,
            set_frequency_hz=report.set_frequency_hz,
            available_frequencies_hz=list(report.available_frequencies_hz),
            ceiling_frequency_hz=report.ceiling_frequency_hz,
            set_latency_s=report.set_latency_s,
            sets=report.sets,
            overwritten=report.overwritten,
            throttle_reasons=int(report.throttle),
            throttle_reason=report.throttle_words,
            slowdown=report.slowdown,
            utilization=power.utilization,
            temperature_c=report.temperature_c,
            power_w=power.power_w,
            energy_j=power.energy_j,
            energy_measured_s=power.measured_s,
            power_source=power.source,
            power_covers_radio=power.covers_radio,
            power_rail_names=list(power.rail_names),
            power_rail_w=list(power.rail_power_w),
            energy_counter_j=power.counter_j,
            energy_gap_s=power.gap_s,
            power_model_alpha_w_per_ghz3=model.alpha_w_per_ghz3,
            power_model_beta_w=model.beta_w,
            power_base_w=self.parameters['power_base_w'],
        )
        self._state_publisher.publish(self._state)

    def _timeout_words(self) -> str:
        timeout_s = self.parameters['decision_timeout_s']
        return f'no slot_decision for {timeout_s:g} s: the clock is given back to the device'


def main() -> None:
    """Run the node until it is told to stop."""
    run_nodes(GpuClockNode)


if __name__ == '__main__':
    main()
