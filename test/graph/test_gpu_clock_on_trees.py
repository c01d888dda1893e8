"""gpu_clock_node as a process on a Jetson's file tree: real backends, heat, fights and refusals."""

from __future__ import annotations

import itertools
import math
import os
import sys
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from fake_nvml import FakeNvml
from graph_harness import Graph, Process
from hardware_trees import agx_orin, bare, orin_nano, pc, tx2
from rclpy.publisher import Publisher
from visionscaling_ros.msg import GpuState, SlotDecision

from visionscaling_ros.nodes.topics import DECISION_QOS

NODE = '/gpu_clock_node'
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class Robot:
    """gpu_clock_node on the tree of an AGX Orin, or of another board."""

    def __init__(self, graph: Graph, build=agx_orin) -> None:
        self.graph = graph
        self.observer = graph.observer
        self.tree = build(graph.folder / 'tree')
        self.original = self.tree.contents()
        self.states = self.observer.watch('gpu_state', GpuState)
        self._decisions = self._decider()
        self._slots = itertools.count(1)

    def start(self, **parameters: Any) -> Process:
        defaults = {
            'backend': 'auto',
            'sysfs_root': str(self.tree.root),
            'helper_socket': '',
            'decision_timeout_s': 60.0,
            'publish_rate_hz': 20.0,
        }
        self.states.clear()
        process = self.graph.start('gpu_clock_node', parameters={**defaults, **parameters})
        self.states.wait()
        return process

    def _decider(self) -> Publisher:
        return self.observer.advertise(SlotDecision, 'slot_decision', DECISION_QOS)

    def forget_decisions(self) -> None:
        """A node that starts later is not told of them."""
        self.observer.withdraw(self._decisions)
        self._decisions = self._decider()

    def decide(self, frequency_hz: float) -> None:
        self._decisions.publish(SlotDecision(slot=next(self._slots), gpu_frequency_hz=frequency_hz))

    def wait(self, **fields: Any) -> GpuState:
        """The next state with these values."""
        self.states.clear()
        return self.states.wait(
            lambda state: all(getattr(state, name) == value for name, value in fields.items())
        )

    def set(self, frequency_hz: float) -> GpuState:
        self.decide(frequency_hz)
        return self.wait(set_frequency_hz=frequency_hz)

    def diagnosed(self, level: bytes, words: str, part: str = '') -> DiagnosticStatus:
        name = f'{NODE}: {part}' if part else NODE
        return self.observer.wait_for_diagnostics(
            name, lambda status: status.level == level and words in status.message
        )

    def limits_hz(self) -> tuple[float, float]:
        return tuple(
            float(self.tree.read(f'{self.tree.gpu}/{name}')) for name in ('min_freq', 'max_freq')
        )

    def somebody_sets(self, lowest_hz: int, highest_hz: int) -> None:
        self.tree.write(f'{self.tree.gpu}/min_freq', lowest_hz)
        self.tree.write(f'{self.tree.gpu}/max_freq', highest_hz)

    def changed(self) -> set[str]:
        now = self.tree.contents()
        return {path for path in {*now, *self.original} if now.get(path) != self.original.get(path)}


@pytest.fixture
def robot(graph: Graph) -> Robot:
    return Robot(graph)


def test_a_decision_is_set_within_bounds_reported_and_undone(robot: Robot) -> None:
    node = robot.start()
    robot.decide(550e6)
    state = robot.wait(set_frequency_hz=612e6)
    assert robot.limits_hz() == (612e6, 612e6)
    assert {path.rsplit('/', 1)[-1] for path in robot.changed()} == {'min_freq', 'max_freq'}
    assert state.backend == 'jetson'
    assert tuple(state.available_frequencies_hz) == tuple(map(float, robot.tree.levels_hz))
    assert state.requested_frequency_hz == 550e6
    assert state.temperature_c == 41.75
    assert state.ceiling_frequency_hz == math.inf
    assert state.sets == 1
    assert state.throttle_reasons == 0
    assert state.power_source.startswith('ina3221')
    assert 'VDD_GPU_SOC' in state.power_rail_names
    robot.diagnosed(OK, 'ina3221', 'power')
    robot.diagnosed(OK, 'heat is watched', 'temperature')
    assert robot.observer.set_parameter(NODE, 'max_frequency_hz', 450e6).successful
    robot.wait(set_frequency_hz=408e6)
    answer = robot.observer.set_parameter(NODE, 'min_frequency_hz', 420e6)
    assert not answer.successful
    assert '408000000.0' in answer.reason
    assert node.stop() == 0
    assert robot.changed() == set()


def test_heat_caps_the_clock_and_then_hands_it_back(robot: Robot) -> None:
    robot.start()
    robot.set(1300.5e6)
    robot.tree.write(robot.tree.gpu_temperature, 86000)
    state = robot.wait(set_frequency_hz=1122e6)
    assert state.throttle_reasons == GpuState.THROTTLE_SOFT_LIMIT
    assert state.ceiling_frequency_hz == 1122e6
    robot.diagnosed(WARN, 'heat', 'temperature')
    robot.tree.write(robot.tree.gpu_temperature, 95000)
    state = robot.wait(throttle_reasons=GpuState.THROTTLE_HARD_LIMIT)
    assert state.set_frequency_hz == state.ceiling_frequency_hz == 0.0
    assert robot.changed() == {robot.tree.files.real(robot.tree.gpu_temperature).resolve()
                               .as_posix().removeprefix(str(robot.tree.root))}  # fmt: skip
    robot.diagnosed(ERROR, 'hard_limit_c')
    answer = robot.observer.set_parameter(NODE, 'soft_limit_c', 96.0)
    assert not answer.successful
    assert 'hard_limit_c' in answer.reason
    robot.tree.write(robot.tree.gpu_temperature, 60000)
    robot.wait(set_frequency_hz=408e6)


def test_a_lost_thermometer_hands_the_clock_back(graph: Graph) -> None:
    robot = Robot(graph, tx2)
    robot.start()
    robot.set(624.75e6)
    robot.tree.write(robot.tree.gpu_temperature, -256000)
    state = robot.wait(throttle_reasons=GpuState.THROTTLE_HARD_LIMIT)
    assert 'no temperature' in state.throttle_reason
    assert robot.limits_hz() == (114.75e6, 1300.5e6)


def test_without_decisions_the_clock_is_given_back(robot: Robot) -> None:
    robot.start(decision_timeout_s=0.5)
    robot.set(306e6)
    robot.wait(set_frequency_hz=0.0)
    assert robot.changed() == set()
    robot.diagnosed(WARN, 'no fresh slot_decision')


def test_kill_9_is_undone_at_the_next_start(robot: Robot) -> None:
    node = robot.start()
    robot.set(306e6)
    node.kill()
    assert robot.limits_hz() == (306e6, 306e6)
    robot.forget_decisions()
    successor = robot.start()
    successor.wait_for_output('restored')
    assert robot.changed() == set()
    robot.set(408e6)
    assert successor.stop() == 0
    assert robot.changed() == set()


def test_who_overwrites_the_clock_is_fought_and_named(robot: Robot) -> None:
    robot.start()
    robot.set(612e6)
    for times in range(1, 4):
        robot.somebody_sets(306000000, 1300500000)
        state = robot.wait(overwritten=times)
        assert state.throttle_reasons == GpuState.THROTTLE_OVERWRITTEN
        if times == 1:
            robot.diagnosed(WARN, 'nvpmodel')
        if times < 3:
            robot.wait(sets=times + 1)
            assert robot.limits_hz() == (612e6, 612e6)
    robot.diagnosed(ERROR, '612 MHz, but somebody else 3 times in a row made it 306 MHz')


def test_a_lost_rail_is_a_gap_and_never_filled(graph: Graph) -> None:
    robot = Robot(graph, orin_nano)
    robot.start(power_sample_rate_hz=20.0)
    state = robot.states.wait(lambda state: state.energy_j > 0.0)
    assert state.power_source == 'ina3221'  # VDD_IN is the whole board
    (voltage, *_) = [path for path, text in robot.original.items()
                     if path.endswith('/in1_label') and text.strip() == 'VDD_IN']  # fmt: skip
    robot.tree.remove(voltage.replace('label', 'input'))
    robot.states.clear()
    state = robot.states.wait(lambda state: state.energy_gap_s > 0.0)
    later = robot.states.wait(lambda later: later.energy_gap_s > state.energy_gap_s)
    assert later.energy_j == state.energy_j
    assert math.isnan(later.power_w)
    robot.diagnosed(WARN, 'cannot be read', 'power')


def test_a_slow_meter_keeps_its_power_between_readings(graph: Graph) -> None:
    robot = Robot(graph, pc)
    robot.start(power_backend='battery')
    state = robot.states.wait(lambda state: state.energy_measured_s > 0.0)
    assert state.power_source == 'battery'
    assert state.power_covers_radio
    robot.states.clear()
    later = robot.states.wait(lambda later: later.energy_measured_s > state.energy_measured_s)
    powers_w = [message.power_w for message in robot.states.messages]
    assert len(powers_w) > 1
    assert powers_w == [pytest.approx(11.832 * 1.25)] * len(powers_w)
    assert later.energy_j / later.energy_measured_s == pytest.approx(11.832 * 1.25)


def test_a_dry_run_reports_what_it_would_do_and_writes_nothing(robot: Robot) -> None:
    node = robot.start(dry_run=True)
    robot.decide(550e6)
    state = robot.wait(requested_frequency_hz=550e6)
    assert state.set_frequency_hz == 0.0
    robot.diagnosed(WARN, 'dry run: would set 612 MHz')
    assert node.stop() == 0
    assert robot.changed() == set()
    assert not list((robot.graph.folder / 'run').rglob('*.found*'))


def test_who_may_not_write_is_told_what_to_install_and_goes_on(robot: Robot) -> None:
    for name in ('min_freq', 'max_freq'):
        robot.tree.files.real(f'{robot.tree.gpu}/{name}').chmod(0o444)
    like_a_user = []
    if os.geteuid() == 0:  # root may write whatever a file's mode says, unless it may not do that
        like_a_user = ['setpriv', '--bounding-set=-dac_override', '--inh-caps=-dac_override']
    robot.graph.run(
        *like_a_user, sys.executable, '-m', 'visionscaling_ros.nodes.gpu_clock_node', '--ros-args',
        '-p', f'sysfs_root:={robot.tree.root}',
        '-p', f'helper_socket:={robot.graph.folder}/nobody-listens',
    )  # fmt: skip
    status = robot.diagnosed(WARN, 'no clock is set')
    for words in ('may not be written', 'visionscaling clocks install-helper'):
        assert words in status.message
    robot.decide(612e6)
    state = robot.wait(requested_frequency_hz=612e6)
    assert state.backend == 'none'
    assert list(state.available_frequencies_hz) == []
    assert state.frequency_hz == 306e6
    assert state.power_source.startswith('ina3221')
    assert robot.changed() == set()


def test_a_card_is_locked_capped_by_heat_and_reset(graph: Graph) -> None:
    card = FakeNvml(graph.folder / 'nvml')
    paths = [card.env['LD_LIBRARY_PATH'], graph.environment.get('LD_LIBRARY_PATH', '')]
    graph.environment.update({**card.env, 'LD_LIBRARY_PATH': ':'.join(filter(None, paths))})
    robot = Robot(graph, bare)
    node = robot.start(backend='nvml', sysfs_root='/', power_backend='nvml')
    robot.decide(1000e6)
    state = robot.wait(set_frequency_hz=1200e6)
    assert card.get('0.locked_mhz') == '1200'
    assert (state.backend, state.temperature_c) == ('nvml', 47.0)
    assert state.power_source == 'nvml + power_base_w'
    card.set(temperature_c=96, reasons=0x40)
    reasons = GpuState.THROTTLE_HARD_LIMIT | GpuState.THROTTLE_BOARD_THERMAL
    state = robot.wait(throttle_reasons=reasons)
    assert 'slowed down by the hardware: hot' in state.throttle_reason
    robot.wait(set_frequency_hz=0.0)
    assert card.get('0.locked_mhz') == '0'
    card.set(temperature_c=50, reasons=0)
    robot.wait(set_frequency_hz=600e6)
    assert node.stop() == 0
    assert card.get('0.locked_mhz') == '0'
