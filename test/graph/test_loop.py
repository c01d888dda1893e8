"""The whole robot over real DDS, with a real edge server that may die."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from graph_harness import TIMEOUT_S
from lifecycle_msgs.msg import Transition
from visionscaling_ros.msg import (
    Allocation,
    FrameResult,
    GpuState,
    InferenceState,
    LinkState,
    SlotDecision,
    SlotState,
)

from visionscaling_ros.control.policy import DEFAULT_POLICY
from visionscaling_ros.nodes import topics
from visionscaling_ros.vision.catalog import built_in_catalog

MODELS = ['vsdet_n', 'vsdet_s']
SIZES_PX = list(built_in_catalog().entry('vsdet_s').input_sizes_px[:2])
CLI = 'from visionscaling_ros.cli.main import main; raise SystemExit(main())'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


def start_edge_server(graph: Any, port: int) -> Any:
    server = graph.run(
        sys.executable, '-c', CLI, 'edge-server', '--port', str(port), '--models', *MODELS
    )
    server.wait_for_output('edge server ready')
    return server


class Robot:
    """All five nodes, camera and inference in one process.

    :param eyes_parameters: more parameters of inference_node, as ``a: 1, b: 2``.
    """

    def __init__(
        self, graph: Any, port: int, folder: Path, eyes_parameters: str = '', **controller: Any
    ) -> None:
        eyes = folder / 'eyes.yaml'
        eyes.write_text(
            '/camera_node: {ros__parameters: {rate_fps: 10.0, width_px: 320, height_px: 240}}\n'
            '/inference_node: {ros__parameters: '
            f'{{models: {MODELS}, input_sizes_px: {SIZES_PX}, safe_model: vsdet_n, '
            f'safe_input_size_px: {SIZES_PX[0]}, {eyes_parameters}}}}}\n'
        )
        self.observer = graph.observer
        self.eyes = graph.run(
            *(sys.executable, '-m', 'visionscaling_ros.nodes.composed_node'),
            *('--ros-args', '--params-file', str(eyes)),
        )
        self.bridge = graph.start(
            'edge_bridge_node', parameters={'server': f'127.0.0.1:{port}', 'probe_interval_s': 0.5}
        )
        self.clock = graph.start('gpu_clock_node', parameters={'backend': 'emulated'})
        self.controller = graph.start(
            'controller_node', parameters={'slot_duration_s': 0.5, **controller}
        )

    @property
    def processes(self) -> list[Any]:
        return [self.eyes, self.bridge, self.clock, self.controller]

    def wait(self, topic: str, message_type: Any, predicate: Any = lambda _: True) -> Any:
        return self.observer.wait_for(
            topic, message_type, predicate, timeout_s=60.0, qos=topics.STATE_QOS
        )

    def processed_at(self, origin: int) -> FrameResult:
        return self.observer.wait_for(
            topics.FRAME_RESULT,
            FrameResult,
            lambda r: r.status == FrameResult.STATUS_PROCESSED and r.origin == origin,
            timeout_s=60.0,
            qos=topics.RESULT_QOS,
        )


FIXED = {'policy': 'fixed', 'fixed_model': 'vsdet_s', 'fixed_input_size_px': SIZES_PX[1]}


def books_balance(state: InferenceState) -> bool:
    fates = state.processed_local + state.processed_edge + state.dropped
    return bool(state.arrived == fates + state.in_flight)


def test_the_loop_closes_and_scores_itself(graph: Any, tmp_path: Path) -> None:
    port = free_port()
    start_edge_server(graph, port)
    robot = Robot(graph, port, tmp_path, accuracy_target_map=0.1)
    decision = robot.wait(topics.SLOT_DECISION, SlotDecision, lambda d: d.slot >= 3)
    assert decision.policy == DEFAULT_POLICY
    assert decision.allocations
    state = robot.wait(
        topics.SLOT_STATE, SlotState, lambda s: s.slot >= 3 and s.processed_local_fps > 0.0
    )
    assert state.power_w > 0.0
    assert state.energy_j == pytest.approx(state.power_w * state.duration_s, rel=1e-3)
    assert state.cost == state.cost  # not NaN
    assert state.edge_reachable
    assert robot.wait(topics.SLOT_STATE, SlotState, lambda s: s.map_measured)


def test_a_decision_changes_where_and_how_frames_really_run(graph: Any, tmp_path: Path) -> None:
    port = free_port()
    start_edge_server(graph, port)
    robot = Robot(graph, port, tmp_path, **FIXED)
    result = robot.wait(
        topics.FRAME_RESULT, FrameResult, lambda r: r.slot > 0 and not r.drop_reason
    )
    assert (result.model, result.input_size_px) == ('vsdet_s', SIZES_PX[1])
    assert result.origin == Allocation.ORIGIN_LOCAL
    set_parameter = robot.observer.set_parameter
    for name, value, allowed in (
        ('fixed_model', 'yolo', 'vsdet_n, vsdet_s'),
        ('fixed_input_size_px', 333, ', '.join(map(str, SIZES_PX))),
    ):
        refused = set_parameter('/controller_node', name, value)
        assert not refused.successful
        assert allowed in refused.reason
    assert set_parameter('/controller_node', 'fixed_input_size_px', SIZES_PX[0]).successful
    robot.wait(
        topics.FRAME_RESULT,
        FrameResult,
        lambda r: (r.model, r.input_size_px) == ('vsdet_s', SIZES_PX[0]),
    )
    assert set_parameter('/controller_node', 'fixed_origin', 'edge').successful
    result = robot.processed_at(Allocation.ORIGIN_EDGE)
    assert (result.model, result.input_size_px) == ('vsdet_s', SIZES_PX[0])
    assert result.upload_bytes > 0
    assert result.server_compute_s > 0.0


def test_an_edge_server_killed_in_the_run_loses_no_frame_and_is_used_again(
    graph: Any, tmp_path: Path
) -> None:
    port = free_port()
    server = start_edge_server(graph, port)
    robot = Robot(graph, port, tmp_path, **FIXED, fixed_origin='edge')
    states = robot.observer.watch(topics.INFERENCE_STATE, InferenceState, topics.STATE_QOS)
    robot.processed_at(Allocation.ORIGIN_EDGE)
    server.kill()
    robot.wait(topics.LINK_STATE, LinkState, lambda s: not s.reachable)
    before = states.messages[-1]
    states.wait(lambda s: s.processed_local > before.processed_local + 5)
    status = robot.observer.wait_for_diagnostics('/edge_bridge_node', lambda s: s.level != b'\0')
    assert 'does not answer' in status.message
    start_edge_server(graph, port)
    robot.wait(topics.LINK_STATE, LinkState, lambda s: s.reachable)
    robot.processed_at(Allocation.ORIGIN_EDGE)
    assert states.messages
    assert all(books_balance(state) for state in states.messages)
    last = states.messages[-1]
    drops = dict(zip(last.drop_reasons, last.drop_counts, strict=True))
    assert set(drops) <= {'superseded', 'not_scheduled', 'edge_failed', 'edge_timeout'}


def test_a_robot_whose_edge_server_was_never_there_works(graph: Any, tmp_path: Path) -> None:
    robot = Robot(graph, free_port(), tmp_path, **FIXED, fixed_origin='edge')
    result = robot.processed_at(Allocation.ORIGIN_LOCAL)
    assert result.detections is not None
    assert not robot.wait(topics.LINK_STATE, LinkState).reachable


def test_a_bridge_killed_in_the_run_loses_no_frame(graph: Any, tmp_path: Path) -> None:
    port = free_port()
    start_edge_server(graph, port)
    robot = Robot(graph, port, tmp_path, **FIXED, fixed_origin='edge')
    robot.processed_at(Allocation.ORIGIN_EDGE)
    robot.bridge.kill()
    robot.processed_at(Allocation.ORIGIN_LOCAL)
    state = robot.wait(topics.INFERENCE_STATE, InferenceState, lambda s: s.in_flight <= 2)
    assert books_balance(state)


def test_the_clock_follows_the_decision_and_is_given_back_at_the_end(
    graph: Any, tmp_path: Path
) -> None:
    robot = Robot(graph, free_port(), tmp_path, **FIXED, fixed_frequency_hz=510e6)
    robot.wait(topics.GPU_STATE, GpuState, lambda g: g.frequency_hz == 510e6 and g.slowdown > 2.0)
    busy = robot.wait(topics.GPU_STATE, GpuState, lambda g: g.utilization > 0.0)
    assert busy.power_w > busy.power_model_beta_w
    robot.controller.kill()  # no decision any more: the device's own governor takes over
    robot.wait(topics.GPU_STATE, GpuState, lambda g: g.frequency_hz > 510e6)
    robot.wait(topics.INFERENCE_STATE, InferenceState, lambda s: s.fallback)


def test_the_controller_refuses_what_is_not_allowed(graph: Any) -> None:
    graph.start('controller_node')
    for name, value, allowed in (
        ('policy', 'magic', 'visionscaling'),
        ('accuracy_target_map', 1.5, '1'),
        ('weight_energy', -1.0, '0'),
    ):
        before = graph.observer.get_parameter('/controller_node', name)
        answer = graph.observer.set_parameter('/controller_node', name, value)
        assert not answer.successful
        assert allowed in answer.reason
        assert graph.observer.get_parameter('/controller_node', name) == before
    assert graph.observer.set_parameter('/controller_node', 'accuracy_target_map', 1).successful


def test_two_controllers_on_one_robot_are_an_error(graph: Any) -> None:
    first = graph.start('controller_node')
    graph.start('controller_node', remaps={'__node': 'second_controller'})
    status = graph.observer.wait_for_diagnostics(
        '/controller_node', lambda s: 'stop all but one' in s.message
    )
    assert status.level == DiagnosticStatus.ERROR
    first.wait_for_output('stop all but one')


def test_two_robots_in_namespaces_do_not_mix(graph: Any) -> None:
    for name in ('red', 'blue'):
        graph.start('gpu_clock_node', namespace=f'/{name}', parameters={'backend': 'none'})
    for name in ('red', 'blue'):
        graph.observer.wait_for(f'/{name}/gpu_state', GpuState, qos=topics.STATE_QOS)
    topic_names = {name for name, _ in graph.observer.node.get_topic_names_and_types()}
    assert '/gpu_state' not in topic_names


def test_ctrl_c_ends_the_whole_robot_and_leaves_no_process(graph: Any, tmp_path: Path) -> None:
    params = tmp_path / 'robot.yaml'
    params.write_text(
        '/inference_node: {ros__parameters: {models: [vsdet_n], safe_model: vsdet_n}}\n'
    )
    up = graph.run(
        *(sys.executable, '-c', CLI, 'up', '--params-file', str(params)),
        *('--server', f'127.0.0.1:{free_port()}'),
    )
    graph.observer.wait_for(
        topics.SLOT_DECISION, SlotDecision, timeout_s=60.0, qos=topics.DECISION_QOS
    )
    children = psutil.Process(up.pid).children(recursive=True)
    assert len(children) >= 4
    os.kill(up.pid, signal.SIGINT)
    up.wait(timeout_s=30.0)
    gone, alive = psutil.wait_procs(children, TIMEOUT_S)
    assert not alive
    assert len(gone) == len(children)


def test_a_node_can_be_taken_down_and_brought_up_again(graph: Any) -> None:
    controller = graph.start('controller_node')
    change = graph.observer.change_state
    for _ in range(2):
        for transition in (
            Transition.TRANSITION_DEACTIVATE,
            Transition.TRANSITION_CLEANUP,
            Transition.TRANSITION_CONFIGURE,
            Transition.TRANSITION_ACTIVATE,
        ):
            assert change('/controller_node', transition)
    assert not change('/controller_node', Transition.TRANSITION_CONFIGURE)  # active: refused
    assert graph.observer.node.count_publishers('/slot_state') == 1
    assert graph.observer.node.count_subscribers('/gpu_state') == 1
    assert controller.running
