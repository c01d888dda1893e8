"""What gpu_clock_node opens on its machine: clock, thermometer, meter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from visionscaling_ros.datatypes import NOMINAL_FREQUENCY_HZ
from visionscaling_ros.errors import HardwareError, VisionScalingError
from visionscaling_ros.hardware.bounded_call import call_within
from visionscaling_ros.hardware.card_names import named_card
from visionscaling_ros.hardware.clock_keeper import ClockKeeper
from visionscaling_ros.hardware.clocks.choice import open_clock
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock
from visionscaling_ros.hardware.clocks.no_gpu_clock import NoGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.keeper_settings import KeeperSettings
from visionscaling_ros.hardware.leftovers import restore_all
from visionscaling_ros.hardware.power.choice import open_meter
from visionscaling_ros.hardware.power.gpu_power_model import EnergyMeter
from visionscaling_ros.hardware.power.meter_sampler import MeterSampler
from visionscaling_ros.hardware.power.model_meter import ModelMeter
from visionscaling_ros.hardware.power.power_meter import Scope
from visionscaling_ros.hardware.state_file import state_file_of
from visionscaling_ros.hardware.thermal.board_throttle import BoardThrottle, NoBoardThrottle
from visionscaling_ros.hardware.thermal.choice import open_board_throttle, open_thermometer
from visionscaling_ros.hardware.thermal.thermometer import Thermometer
from visionscaling_ros.nodes.gpu_clock_parameters import (
    emulated_levels_hz,
    power_model,
    register_path,
)

ANSWER_S = 5.0  # longest wait for a device that hangs
OPEN_S = 4 * ANSWER_S  # for all meters that are tried in turn
UNHEATED = ('emulated', 'none')  # clocks whose heat is nobody's


class GpuMachine:
    """Opens what there is and carries on without what there is not.

    :param values: the node's parameters.
    :param inform: writes to the node's log; ``warn`` likewise.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        namespace: str,
        *,
        inform: Callable[[str], object],
        warn: Callable[[str], object],
    ) -> None:
        self._values = values
        self._namespace = namespace
        self._inform = inform
        self._warn = warn
        self._files = DeviceFiles(Path(values['sysfs_root']).expanduser())
        self._guard: ClockGuard | None = None
        self._thermometer: Thermometer | None = None
        self._board: BoardThrottle = NoBoardThrottle()
        self.clock: GpuClock = NoGpuClock()
        self.sampler: MeterSampler | None = None
        self.backend = 'none'
        self.why = self.meter_why = ''
        self.meter_trouble = self.thermometer_trouble = ''
        self.errors: list[str] = []  # about the clock
        self.warnings: list[str] = []

    @property
    def thermometer_device(self) -> str:
        """What tells how hot it is; empty: nothing does."""
        return '' if self._thermometer is None else self._thermometer.device

    @property
    def thermal_guard(self) -> str:
        """Whether heat is watched."""
        if self._thermometer is None:
            return 'heat is not watched: no thermometer'
        limits = {name: self._values[name] for name in ('soft_limit_c', 'hard_limit_c')}
        said = ', '.join(f'{name} = {limit:g}' for name, limit in limits.items() if limit)
        return f'heat is watched: {said}' if said else 'heat is not watched: both limits are 0'

    def open(self) -> None:
        """Open everything and undo what a killed predecessor left."""
        self._open_clock()
        self._open_sensors()
        self._open_meter()
        troubles = (*self.errors, *self.warnings, self.meter_trouble, self.thermometer_trouble)
        for words in filter(None, troubles):
            self._warn(words)

    def keeper(self, settings: KeeperSettings, on_change: Callable[[], None]) -> ClockKeeper:
        """Who sets the clock from now on."""
        assert self._guard is not None
        return ClockKeeper(self._guard, self._thermometer, settings, on_change, board=self._board)

    def close(self) -> None:
        """Give everything up; raises HardwareError when the clock could not be restored."""
        guard, sampler, self._guard, self.sampler = self._guard, self.sampler, None, None
        try:
            if sampler is not None:
                call_within(ANSWER_S, f'closing {sampler.meter.device}', sampler.close)
        except VisionScalingError as error:
            self._warn(str(error))
        for sensor in (self._thermometer, self._board):
            if sensor is not None:
                sensor.close()
        if guard is not None:
            call_within(ANSWER_S, f'restoring {guard.clock.device}', guard.close)

    def _open_clock(self) -> None:
        values = self._values
        try:
            choice = open_clock(
                values['backend'],
                files=self._files,
                device=values['device'],
                helper_socket=values['helper_socket'],
                register=register_path(values, self._namespace),
                emulated_levels_hz=emulated_levels_hz(values),
            )
        except HardwareError as error:
            self.errors.append(f'backend {values["backend"]}: {error}; no clock is set')
            self.why = str(error)
        else:
            self.clock, self.why = choice.clock, choice.why
            if self.clock.access():
                self.warnings.append(f'no clock is set: {self.why}')
            else:
                self.backend = self.clock.name
            rejected = ''.join(f'; {words}' for words in choice.rejected)
            self._inform(f'clock: {self.clock.name}: {choice.why}{rejected}')
        self._guard = ClockGuard(self.clock, self._state_file(), self._warn)
        if not values['dry_run']:
            self._restore_leftover(self._guard)

    def _restore_leftover(self, guard: ClockGuard) -> None:
        mine = None if self.clock.restores_itself else self._state_file()

        def restore_others() -> list[str]:
            return list(restore_all(self._files, but=mine))

        try:
            for words in call_within(ANSWER_S, 'restoring what was left set', restore_others):
                self._warn(words)
            if call_within(ANSWER_S, f'restoring {self.clock.device}', guard.restore_leftover):
                self._warn(
                    f'{self.clock.device} was left set by a process that was killed: restored'
                )
        except HardwareError as error:
            self._warn(str(error))

    def _state_file(self) -> Path:
        if self._values['state_file']:
            return Path(self._values['state_file']).expanduser()
        return state_file_of(self.clock, self._files.root)

    def _open_sensors(self) -> None:
        card = named_card(self._values['device'])
        try:
            self._thermometer = open_thermometer(self.clock, self._files, card)
            self._board = open_board_throttle(self.clock, self._files, card)
        except HardwareError as error:
            self.thermometer_trouble = f'heat is not watched: {error}'
        else:
            if self._thermometer is None and self.backend not in UNHEATED:
                self.thermometer_trouble = f'heat is not watched: {self.clock.device} tells none'

    def _open_meter(self) -> None:
        values, backend = self._values, self._values['power_backend']
        if backend == 'auto' and self.clock.name == 'emulated':
            backend = 'model'  # no meter feels a clock that exists in a file only
        model = EnergyMeter(
            power_model(values), frequency_hz=NOMINAL_FREQUENCY_HZ, base_w=values['power_base_w']
        )
        try:
            choice = call_within(
                OPEN_S,
                'opening a power meter',
                lambda: open_meter(
                    backend,
                    files=self._files,
                    device=named_card(values['device']),
                    model_meter=ModelMeter(model),
                ),
            )
            self.meter_why = choice.why
            if choice.meter.scope is Scope.MODEL:
                return
            sampler = MeterSampler(choice.meter, values['power_sample_rate_hz'] or None)
            try:
                call_within(ANSWER_S, f'reading {choice.meter.device}', sampler.start)
            except HardwareError:
                sampler.stop()
                raise
        except HardwareError as error:
            self.meter_why = f'model, because {error}'
            self.meter_trouble = f'power_backend {backend}: {error}; power is calculated'
            return
        self.sampler = sampler
