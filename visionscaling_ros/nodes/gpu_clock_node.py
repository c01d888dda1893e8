"""Applies the decided GPU clock, restores it, and says what the GPU costs."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visionscaling_ros import msg
from visionscaling_ros.datatypes import NOMINAL_FREQUENCY_HZ
from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import (
    AGX_ORIN_FREQUENCIES_HZ,
    EmulatedGpuClock,
    check_levels,
)
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.clocks.no_gpu_clock import NoGpuClock
from visionscaling_ros.hardware.power.gpu_power_model import EnergyMeter, GpuPowerModel
from visionscaling_ros.hardware.state_folder import state_folder
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.clock_worker import RELEASE_HZ, STOP_TIMEOUT_S, ClockWorker
from visionscaling_ros.nodes.conversions import counter_growth, make_header
from visionscaling_ros.nodes.managed_node import ERROR, OK, WARN, ManagedNode, run_nodes
from visionscaling_ros.nodes.parameters import Parameter

PARAMETERS = (
    Parameter(
        'backend',
        'auto',
        'What to set. auto: the clock found on this machine; until real ones are supported that '
        'is none. emulated: a clock that exists in a file and really slows local inference',
        choices=('auto', 'emulated', 'none'),
        read_only=True,
    ),
    Parameter(
        'available_frequencies_hz', [0.0], 'Levels of the emulated clock; [0.0]: AGX Orin', 'Hz',
        0.0, read_only=True,
    ),
    Parameter(
        'min_frequency_hz', 0.0, 'Lowest clock to set, whatever is decided; 0: no bound', 'Hz', 0.0
    ),
    Parameter(
        'max_frequency_hz', 0.0, 'Highest clock to set, whatever is decided; 0: no bound', 'Hz',
        0.0,
    ),
    Parameter(
        'decision_timeout_s', 3.0, 'Without a decision for this long the clock is given back', 's',
        0.1, 60.0,
    ),
    Parameter('power_model_alpha_w_per_ghz3', 1.517, 'Power of the GPU is beta + u alpha f^3',
              'W/GHz^3', 0.0, 1000.0),
    Parameter('power_model_beta_w', 3.257, 'Power of the idle GPU', 'W', 0.0, 1000.0),
    Parameter('power_base_w', 4.6, 'Power of the rest of the computer', 'W', 0.0, 1000.0),
    Parameter(
        'publish_rate_hz', 5.0, 'How often gpu_state is published', 'Hz', 0.5, 50.0,
        read_only=True,
    ),
    Parameter(
        'register_file', '', "The emulated clock's register; empty: one for each robot (domain "
        "and namespace) in the user's runtime folder", read_only=True,
    ),
    Parameter(
        'state_file', '', 'Where the state found is kept until it is restored; empty: beside the '
        'register', read_only=True,
    ),
)  # fmt: skip


class GpuClockNode(ManagedNode):
    """A guarded clock and an energy meter behind topics."""

    def __init__(self) -> None:
        super().__init__('gpu_clock_node', PARAMETERS)
        self._guard: ClockGuard | None = None
        self._worker: ClockWorker | None = None
        self._meter: EnergyMeter | None = None
        self._requested_hz = RELEASE_HZ
        self._decision_s = -math.inf
        self._refused_decision = ''
        self._busy_total_s: float | None = None
        self._state = msg.GpuState()
        self._activated_s = 0.0

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        """Levels ascend and some of them lie between the bounds."""
        levels_hz = self._levels_hz(values)
        check_levels(levels_hz)
        if values['backend'] == 'emulated' and not levels_within(levels_hz, values):
            raise InvalidValueError(
                'max_frequency_hz',
                values['max_frequency_hz'],
                f'0, or at least one of {levels_hz} between min_frequency_hz '
                f'({values["min_frequency_hz"]:g}) and it',
            )

    def on_parameters_changed(self, names: set[str]) -> None:
        """Take another power model or other bounds at once."""
        if self._meter is not None:
            self._meter.set_model(self._power_model(), self.parameters['power_base_w'])
        if self._requested_hz != RELEASE_HZ and names & {'min_frequency_hz', 'max_frequency_hz'}:
            self._wish(self._requested_hz)

    def configure(self) -> None:
        """Open the clock and undo what a killed predecessor left."""
        clock = self._open_clock()
        self._guard = ClockGuard(clock, self._state_file(clock))
        try:
            if self._guard.restore_leftover():
                self.get_logger().warning(
                    f'{clock.device} was left set by a process that was killed: restored'
                )
        except HardwareError as error:
            self.get_logger().error(str(error))
        self._state_publisher = self.advertise(msg.GpuState, topics.GPU_STATE, topics.STATE_QOS)
        self.subscribe(
            msg.SlotDecision, topics.SLOT_DECISION, self._on_decision, topics.DECISION_QOS
        )
        self.subscribe(
            msg.InferenceState, topics.INFERENCE_STATE, self._on_inference_state, topics.STATE_QOS
        )
        self._clock_set = self.create_guard_condition(self._publish_state)

    def activate(self) -> None:
        """Start obeying decisions."""
        assert self._guard is not None
        self._decision_s, self._requested_hz = -math.inf, RELEASE_HZ
        self._refused_decision, self._busy_total_s = '', None
        self._activated_s = time.monotonic()
        self._meter = EnergyMeter(
            self._power_model(),
            frequency_hz=NOMINAL_FREQUENCY_HZ,
            base_w=self.parameters['power_base_w'],
        )
        self._publish_state()
        self._worker = ClockWorker(self._guard, self._clock_set.trigger)
        self._worker.start()
        self.every(1.0 / self.parameters['publish_rate_hz'], self._tick)

    def deactivate(self) -> None:
        """Leave the clock as it was found."""
        if self._worker is not None:
            self._worker.stop(STOP_TIMEOUT_S)
            self._worker = None
        if self._guard is not None:
            self._guard.release()
            self._publish_state()
            self._meter = None

    def cleanup(self) -> None:
        """Give up the clock."""
        if self._guard is None:  # nothing was configured
            return
        self.destroy_guard_condition(self._clock_set)
        guard, self._guard = self._guard, None
        guard.close()

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """Who sets the clock, and whether it works."""
        state = self._state
        values: dict[str, object] = {
            'backend': state.backend,
            'frequency_hz': state.frequency_hz,
            'requested_frequency_hz': state.requested_frequency_hz,
            'levels': len(state.available_frequencies_hz),
            'utilization': state.utilization,
            'power_w': state.power_w,
            'power_source': state.power_source,
        }
        if self._refused_decision:
            return ERROR, self._refused_decision, values
        if self._worker is not None and self._worker.trouble:
            self.warn('clock', self._worker.trouble)
            return ERROR, self._worker.trouble, values
        if not self._decision_fresh():
            return WARN, 'no fresh slot_decision: the clock is left to the device', values
        if not state.available_frequencies_hz:
            return OK, f'backend {state.backend}: the clock is left to the device', values
        return OK, 'running', values

    # The clock.

    def _levels_hz(self, values: Mapping[str, Any]) -> list[float]:
        levels_hz = values['available_frequencies_hz']
        return list(AGX_ORIN_FREQUENCIES_HZ) if levels_hz == [0.0] else levels_hz

    def _open_clock(self) -> GpuClock:
        backend = self.parameters['backend']
        if backend == 'emulated':
            return EmulatedGpuClock(self._register(), self._levels_hz(self.parameters))
        if backend == 'auto':
            self.get_logger().info(
                'backend auto: no supported GPU clock on this machine, so none is set'
            )
        return NoGpuClock()

    def _register(self) -> Path:
        if self.parameters['register_file']:
            return Path(self.parameters['register_file']).expanduser()
        robot = self.get_namespace().strip('/').replace('/', '.') or 'robot'
        domain = os.environ.get('ROS_DOMAIN_ID', '') or '0'
        return state_folder() / f'emulated_gpu-{domain}-{robot}'

    def _state_file(self, clock: GpuClock) -> Path:
        if self.parameters['state_file']:
            return Path(self.parameters['state_file']).expanduser()
        if isinstance(clock, EmulatedGpuClock):
            return Path(f'{clock.device}.found')
        return state_folder() / f'{clock.name}.found'

    def _power_model(self) -> GpuPowerModel:
        return GpuPowerModel(
            self.parameters['power_model_alpha_w_per_ghz3'], self.parameters['power_model_beta_w']
        )

    # Decisions.

    def _on_decision(self, message: msg.SlotDecision) -> None:
        if self._worker is None:
            return
        wanted_hz = message.gpu_frequency_hz
        if not (math.isfinite(wanted_hz) and wanted_hz >= 0.0):
            self._refused_decision = (
                f'slot_decision {message.slot} refused: gpu_frequency_hz = {wanted_hz}; allowed: '
                'a level, or 0 to leave it to the device; the clock stays as it is'
            )
            self.warn('decision', self._refused_decision)
            return
        self._refused_decision = ''
        self._decision_s = time.monotonic()
        self._requested_hz = wanted_hz
        self._wish(wanted_hz)

    def _wish(self, wanted_hz: float) -> None:
        assert self._guard is not None
        levels_hz = self._guard.clock.available_frequencies_hz
        if self._worker is None or not levels_hz:
            return
        if wanted_hz != RELEASE_HZ:
            bounded_hz = levels_within(levels_hz, self.parameters)
            wanted_hz = min(max(wanted_hz, bounded_hz[0]), bounded_hz[-1])
        self._worker.put(wanted_hz)

    def _decision_fresh(self) -> bool:
        return time.monotonic() - self._decision_s <= self.parameters['decision_timeout_s']

    def _on_inference_state(self, message: msg.InferenceState) -> None:
        before_s, self._busy_total_s = self._busy_total_s, message.gpu_busy_s
        if self._meter is None or before_s is None or not math.isfinite(message.gpu_busy_s):
            return
        self._meter.add_busy(max(0.0, counter_growth(message.gpu_busy_s, before_s)))

    # The state.

    def _tick(self) -> None:
        if self._requested_hz != RELEASE_HZ and not self._decision_fresh():
            self._requested_hz = RELEASE_HZ
            self._wish(RELEASE_HZ)
            self.warn(
                'timeout',
                f'no slot_decision for {self.parameters["decision_timeout_s"]:g} s: '
                'the clock is given back to the device',
            )
        self._publish_state()

    def _publish_state(self) -> None:
        if self._guard is None or self._meter is None:
            return
        clock, model = self._guard.clock, self._power_model()
        try:
            frequency_hz, slowdown = clock.frequency_hz(), clock.slowdown
        except HardwareError as error:
            self.warn('clock', str(error))
            frequency_hz, slowdown = math.nan, 1.0
        known = frequency_hz > 0.0
        self._meter.set_frequency(frequency_hz if known else NOMINAL_FREQUENCY_HZ)
        reading = self._meter.read()
        state = msg.GpuState(
            header=make_header(self.get_clock().now().nanoseconds),
            uptime_s=time.monotonic() - self._activated_s,
            backend=clock.name,
            frequency_hz=frequency_hz,
            requested_frequency_hz=self._requested_hz,
            available_frequencies_hz=list(clock.available_frequencies_hz),
            slowdown=slowdown,
            utilization=reading.utilization,
            temperature_c=math.nan,
            power_w=reading.power_w,
            energy_j=reading.energy_j,
            power_source='model' if known else f'model at {NOMINAL_FREQUENCY_HZ * 1e-6:.0f} MHz',
            power_model_alpha_w_per_ghz3=model.alpha_w_per_ghz3,
            power_model_beta_w=model.beta_w,
            power_base_w=self.parameters['power_base_w'],
        )
        self._state = state
        self._state_publisher.publish(state)


def levels_within(levels_hz: Any, values: Mapping[str, Any]) -> list[float]:
    """The levels between ``min_frequency_hz`` and ``max_frequency_hz`` (0: no bound)."""
    high_hz = values['max_frequency_hz'] or math.inf
    return [level for level in levels_hz if values['min_frequency_hz'] <= level <= high_hz]


def main() -> None:
    """Run the node until it is told to stop."""
    run_nodes(GpuClockNode)


if __name__ == '__main__':
    main()
