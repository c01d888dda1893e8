"""What a real controller decided is decided again, bit for bit, from what was recorded of it."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
from pathlib import Path
from typing import Any

from test_record import until
from top_robot import Robot
from visionscaling_ros.msg import ControllerSettings, SlotDecision

from visionscaling_ros.nodes import topics
from visionscaling_ros.review.recorded_run import RecordedRun, read_runs
from visionscaling_ros.review.redecide import redecide

CLI = 'from visionscaling_ros.cli.main import main; raise SystemExit(main())'
NAMESPACE = '/drone1'
CONTROLLER = f'{NAMESPACE}/controller_node'
TIMEOUT_S = 60.0
START = {'policy': 'autoscale', 'accuracy_target_map': 0.32}


def test_what_was_learned_before_and_set_in_the_run_is_in_the_bag(graph: Any) -> None:
    observer, file, bag = graph.observer, graph.folder / 'learned.json', graph.folder / 'bag'
    robot = Robot(graph, NAMESPACE, policy_state_file=str(file), **START)
    decisions = observer.watch(
        f'{NAMESPACE}/{topics.SLOT_DECISION}', SlotDecision, topics.DECISION_QOS
    )
    decisions.wait(lambda d: d.slot >= 4, TIMEOUT_S)
    assert robot.controller.stop() == 0
    turn_over(file)

    robot.fall_silent()  # no slot ends before the recorder hears of them
    recorder = graph.run(sys.executable, '-c', CLI, 'record', '--out', str(bag), '--no-images')
    told = observer.watch(
        f'{NAMESPACE}/{topics.CONTROLLER_SETTINGS}', ControllerSettings, topics.DECISION_QOS
    )
    decisions.clear()
    robot.start_controller()
    slot_states = f'{NAMESPACE}/{topics.SLOT_STATE}'
    until(lambda: observer.node.count_subscribers(slot_states), 'the recorder listens')
    robot.speak()
    decisions.wait(lambda d: d.slot >= 4, TIMEOUT_S)
    for name, value in (
        ('accuracy_target_map', 0.4), ('weight_energy', 4.0), ('accuracy_target_map', 0.3),
        ('policy', 'visionscaling'), ('allowed_models', ['vsdet_s']), ('policy', 'autoscale'),
    ):  # fmt: skip
        before = decisions.messages[-1].slot
        assert observer.set_parameter(CONTROLLER, name, value).successful
        if name in ('policy', 'weight_energy'):  # the others come twice in a slot
            decisions.wait(lambda d, slot=before + 2: d.slot >= slot, TIMEOUT_S)
    assert recorder.stop(signal.SIGTERM) == 0, recorder.output

    run = read_runs(bag, NAMESPACE)[-1]
    assert run.from_start
    assert [s.version for s in run.settings] == [m.version for m in told.messages]
    assert 'autoscale' in json.loads(run.settings[0].learned)
    again = redecide(run)
    assert again.reasons == ()
    assert len(again.compared) >= 10
    assert [slot for slot in again.compared if slot.differing] == []
    assert {s.decided.policy for s in again.slots} == {'autoscale', 'visionscaling'}
    unlike = redecide(forgetful(run))
    assert unlike.same < len(unlike.compared)


def turn_over(file: Path) -> None:
    """What paid best is made what paid least, so that it shows whether it was taken over."""
    document = json.loads(file.read_text())
    values = document['policies']['autoscale']['values']
    assert values
    for row in values.values():
        row[:] = [None if value is None else -value for value in row]
    file.write_text(json.dumps(document))


def forgetful(run: RecordedRun) -> RecordedRun:
    """The same run, with a controller that knew nothing of earlier ones."""
    first = dataclasses.replace(run.settings[0], learned='')
    return dataclasses.replace(run, settings=(first, *run.settings[1:]))
