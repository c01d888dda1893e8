"""Models change, fail and are measured while the graph runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from failing_model import NAME as FAILING
from failing_model import SIZE_PX as FAILING_SIZE_PX
from failing_model import write_failing_model
from lifecycle_msgs.msg import Transition
from rcl_interfaces.msg import Log
from test_inference_node import NODE, ONE_MODEL, SIZE_PX, street_bgr
from test_inference_node import Robot as Eyes
from test_loop import MODELS, SIZES_PX, Robot, books_balance, free_port, start_edge_server
from visionscaling_ros.msg import FrameResult, InferenceState, LinkState

from visionscaling_ros.datatypes import Allocation, Origin
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.conversions import bgr_to_image, make_header
from visionscaling_ros.vision.catalog import built_in_catalog

CAMERA_PERIOD_S = 0.05
ERROR_LEVEL = 40  # Log.ERROR is a byte on some distributions, a number on others
GOOD_CALLS = 20  # two to warm up, four to be measured, the others are frames


class Stream:
    """A camera beside the test, and what became of its frames."""

    def __init__(self, robot: Eyes) -> None:
        self.watch = robot.observer.watch(
            topics.FRAME_RESULT, FrameResult, topics.reliable(1000)
        )
        self._image = bgr_to_image(street_bgr(), make_header(0))
        self._robot = robot
        self._stamp_ns = 1000
        self._timer = robot.observer.every(CAMERA_PERIOD_S, self._publish)

    def _publish(self) -> None:
        self._stamp_ns += 1
        self._image.header = make_header(self._stamp_ns, 'camera')
        self._robot.images.publish(self._image)

    def end(self) -> list[FrameResult]:
        """Stop, and give the results, each frame's one."""
        self._robot.observer.stop(self._timer)
        state = self._robot.state(lambda s: s.in_flight == 0 and books_balance(s))
        first = self.watch.messages[0].frame_number
        self.watch.wait(lambda r: r.frame_number == first + state.arrived - 1)
        numbers = [result.frame_number for result in self.watch.messages]
        assert sorted(numbers) == list(range(first, first + len(numbers)))
        return self.watch.messages


def test_other_models_take_over_without_a_gap(graph: Any) -> None:
    robot = Eyes(graph, safe_model='', safe_input_size_px=0)
    stream = Stream(robot)
    stream.watch.wait(lambda r: r.model == 'vsdet_n')
    refused = robot.observer.set_parameter(NODE, 'models', ['resnet'])
    assert not refused.successful
    assert 'vsdet_s' in refused.reason
    assert robot.observer.set_parameter(NODE, 'models', ['vsdet_s']).successful
    stream.watch.wait(lambda r: r.model == 'vsdet_s')
    state = robot.state(lambda s: {p.model for p in s.operating_points} == {'vsdet_s'})
    sizes_px = built_in_catalog().entry('vsdet_s').input_sizes_px
    assert [p.input_size_px for p in state.operating_points] == list(sizes_px)
    results = stream.end()
    assert {r.drop_reason for r in results} <= {'', 'superseded'}
    models = [r.model for r in results if not r.drop_reason]
    assert models == sorted(models)  # vsdet_n up to some frame, vsdet_s from there on
    assert models.count('vsdet_n') > 2  # it ran while the other was loaded


def test_a_model_that_answers_nonsense_is_withdrawn_and_may_come_back(
    graph: Any, tmp_path: Path
) -> None:
    manifest = write_failing_model(tmp_path, GOOD_CALLS)
    errors = graph.observer.watch('/rosout', Log, 100)
    robot = Eyes(
        graph,
        **{**ONE_MODEL, 'models': ['vsdet_n', FAILING], 'model_manifests': [str(manifest)]},
        decision_timeout_s=60.0,
    )
    robot.decide(Allocation(FAILING, FAILING_SIZE_PX, Origin.LOCAL, 30.0))
    robot.state(lambda s: not s.fallback and len({p.model for p in s.operating_points}) == 2)
    stream = Stream(robot)
    stream.watch.wait(lambda r: r.model == FAILING and not r.drop_reason)
    status = robot.observer.wait_for_diagnostics(NODE, lambda s: 'out of service' in s.message)
    assert status.level == DiagnosticStatus.WARN
    assert FAILING in status.message
    assert 'not finite' in status.message
    state = robot.state(lambda s: {p.model for p in s.operating_points} == {'vsdet_n'})
    assert dict(zip(state.drop_reasons, state.drop_counts, strict=True))['inference_error'] == 1
    told = [m.msg for m in errors.messages if m.level == ERROR_LEVEL and FAILING in m.msg]
    assert len(told) == 1
    assert 'not finite' in told[0]
    failed = stream.watch.wait(lambda r: r.drop_reason == 'inference_error')
    after = stream.watch.wait(
        lambda r: r.frame_number > failed.frame_number and r.drop_reason != 'superseded'
    )
    assert (after.model, after.input_size_px) == ('vsdet_n', SIZE_PX)
    assert not after.drop_reason
    stream.end()
    for models in (['vsdet_n'], ['vsdet_n', FAILING]):
        assert robot.observer.set_parameter(NODE, 'models', models).successful
        robot.state(lambda s, models=models: {p.model for p in s.operating_points} == {*models})
    assert robot.send(bgr_to_image(street_bgr(), make_header(0))).model == FAILING


def test_a_node_that_cannot_load_its_model_says_why_and_starts_once_it_is_mended(
    graph: Any, tmp_path: Path
) -> None:
    manifest = write_failing_model(tmp_path, GOOD_CALLS)
    network = tmp_path / f'{FAILING}.pt'
    whole = network.read_bytes()
    network.write_bytes(whole[:100])
    graph.start(
        'inference_node', parameters={'models': [FAILING], 'model_manifests': [str(manifest)]}
    )
    status = graph.observer.wait_for_diagnostics(NODE, lambda s: 'failed' in s.message)
    assert status.level == DiagnosticStatus.ERROR
    assert f'{network}: file' in status.message
    network.write_bytes(whole)
    manifest.write_text(manifest.read_text().replace('iou_threshold: 0.55', 'iou_threshold: 0.5'))
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        assert graph.observer.change_state(NODE, transition)
    graph.observer.wait_for(
        topics.INFERENCE_STATE,
        InferenceState,
        lambda s: {p.model for p in s.operating_points} == {FAILING},
        qos=topics.STATE_QOS,
    )


def test_a_teacher_at_the_edge_corrects_the_accuracies_of_local_frames(
    graph: Any, tmp_path: Path
) -> None:
    port = free_port()
    start_edge_server(graph, port)
    robot = Robot(
        graph,
        port,
        tmp_path,
        'accuracy_source: teacher, teacher_every_frames: 2',
        policy='fixed',
        fixed_model='vsdet_n',
        fixed_input_size_px=SIZES_PX[0],
    )
    states = robot.observer.watch(topics.INFERENCE_STATE, InferenceState, topics.STATE_QOS)
    key = f'accuracy_factor vsdet_n@{SIZES_PX[0]}'

    def told(status: DiagnosticStatus) -> dict[str, str]:
        return {value.key: value.value for value in status.values}

    status = robot.observer.wait_for_diagnostics(
        '/inference_node',
        lambda s: not told(s).get(key, '1.000').startswith('1.000'),
        timeout_s=60.0,
    )
    values = told(status)
    assert values['accuracy_source'] == 'teacher'
    assert values['teacher'] == f'{MODELS[-1]}@{SIZES_PX[-1]}'
    assert int(values['teacher_answered']) >= 5
    table_map = built_in_catalog().entry('vsdet_n').accuracy_map(SIZES_PX[0])
    factor = float(values[key].split()[0])

    def is_told(state: InferenceState) -> bool:
        points = {(p.model, p.input_size_px): p.accuracy_map for p in state.operating_points}
        ratio = points['vsdet_n', SIZES_PX[0]] / table_map
        return abs(ratio / factor - 1.0) < 0.05  # it may have been told anew since

    last = states.wait(is_told)
    assert last.processed_edge == 0  # the teacher's frames are in no books
    assert all(books_balance(state) for state in states.messages)
    assert set(last.drop_reasons) <= {'superseded', 'not_scheduled'}
    link = robot.wait(topics.LINK_STATE, LinkState, lambda s: s.answered >= 5)
    assert link.sent_bytes > 0
    assert robot.observer.set_parameter('/inference_node', 'accuracy_source', 'table').successful
    states.clear()
    states.wait(
        lambda s: abs(
            next(p for p in s.operating_points if p.model == 'vsdet_n').accuracy_map - table_map
        )
        < 1e-6
    )
