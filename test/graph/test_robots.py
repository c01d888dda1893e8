"""Several whole robots on one edge server: what they and the server count must be the same.

``ROBOTS=8 ROBOT_RATE_FPS=2 pytest test/graph/test_robots.py`` does it with eight.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from test_loop import CLI, free_port
from visionscaling_ros.msg import InferenceState, LinkState, SlotState

from visionscaling_ros.nodes import topics
from visionscaling_ros.trials.server_counts import OK, read_counts

ROBOTS = int(os.environ.get('ROBOTS', '2'))
RATE_FPS = float(os.environ.get('ROBOT_RATE_FPS', '4'))
FRAMES = 20
TIMEOUT_S = 120.0 + 30.0 * ROBOTS
MODEL = 'vsdet_n'
SIZE_PX = 192


def parameters(name: str) -> dict[str, Any]:
    """A robot that sends every frame to the edge."""
    nodes: dict[str, dict[str, Any]] = {
        'camera_node': {'rate_fps': RATE_FPS, 'width_px': 320, 'height_px': 240},
        'inference_node': {
            'models': [MODEL],
            'input_sizes_px': [SIZE_PX],
            'safe_model': MODEL,
            'safe_input_size_px': SIZE_PX,
        },
        'edge_bridge_node': {'robot_id': name},
        'gpu_clock_node': {'backend': 'emulated'},
        'controller_node': {
            'slot_duration_s': 1.0,
            'policy': 'fixed',
            'fixed_model': MODEL,
            'fixed_input_size_px': SIZE_PX,
            'fixed_origin': 'edge',
        },
    }
    return {f'/{name}/{node}': {'ros__parameters': values} for node, values in nodes.items()}


@dataclass(frozen=True)
class Books:
    """One robot's counters when nothing of it is under way any more."""

    slots: int
    processed: int
    answered: int
    failed: int
    accepted: int
    timeouts: int


class Robot:
    """All nodes of a robot in a namespace, and what it says of itself."""

    def __init__(self, graph: Any, name: str, server: str, folder: Path) -> None:
        self.name = name
        self._observer = graph.observer
        params_file = folder / f'{name}.yaml'
        params_file.write_text(yaml.safe_dump(parameters(name)))
        self._slots = self._watch(topics.SLOT_STATE, SlotState)
        self._inference = self._watch(topics.INFERENCE_STATE, InferenceState)
        self._link = self._watch(topics.LINK_STATE, LinkState)
        graph.run(
            *(sys.executable, '-c', CLI, 'up', '--namespace', name),
            *('--params-file', str(params_file), '--server', server),
        )

    def _watch(self, topic: str, message_type: Any) -> Any:
        return self._observer.watch(f'/{self.name}/{topic}', message_type, topics.STATE_QOS)

    def offload(self, frames: int) -> None:
        """Until so many frames were processed at the edge."""
        self._inference.wait(lambda state: state.processed_edge >= frames, TIMEOUT_S)

    def stop_offloading(self) -> None:
        """Process everything here from now on."""
        answer = self._observer.set_parameter(
            f'/{self.name}/controller_node', 'fixed_origin', 'local'
        )
        assert answer.successful, answer.reason

    def books(self) -> Books:
        """The counters, once the last offloaded frame has its fate and the slots know it."""
        before = self._inference.messages[-1].processed_local
        self._inference.wait(lambda state: state.processed_local > before + 2 * RATE_FPS, TIMEOUT_S)
        last_slot = self._slots.messages[-1].slot
        self._slots.wait(lambda state: state.slot >= last_slot + 2, TIMEOUT_S)
        link = self._link.messages[-1]
        inference = self._inference.messages[-1]
        assert link.in_flight == 0
        drops = dict(zip(inference.drop_reasons, inference.drop_counts, strict=True))
        return Books(
            slots=sum(
                round(state.processed_edge_fps * state.duration_s) for state in self._slots.messages
            ),
            processed=inference.processed_edge,
            answered=link.answered,
            failed=link.failed,
            accepted=link.accepted,
            timeouts=drops.get('edge_timeout', 0),
        )


def test_what_the_robots_say_of_their_slots_is_what_the_server_counted(
    graph: Any, tmp_path: Path
) -> None:
    port, metrics_port = free_port(), free_port()
    server = graph.run(
        *(sys.executable, '-c', CLI, 'edge-server', '--port', str(port)),
        *('--metrics-port', str(metrics_port), '--models', MODEL),
    )
    server.wait_for_output('metrics on')
    names = [f'robot{number}' for number in range(1, ROBOTS + 1)]
    robots = [Robot(graph, name, f'127.0.0.1:{port}', tmp_path) for name in names]
    for robot in robots:
        robot.offload(FRAMES)
    for robot in robots:
        robot.stop_offloading()
    books = {robot.name: robot.books() for robot in robots}
    counts = read_counts(f'http://127.0.0.1:{metrics_port}/metrics')
    assert set(counts.outcomes) == set(names)
    for name, own in books.items():
        outcomes = counts.outcomes[name]
        print(name, own, dict(outcomes))
        # The slots leave no frame out and count none twice.
        assert own.slots == own.processed
        assert own.accepted == own.answered + own.failed
        # An answer that the dispatcher no longer waited for is a timeout in its books.
        assert own.processed <= own.answered <= own.processed + own.timeouts
        # A reply that left the server but was too late for the bridge is a failure in its books.
        assert own.answered <= outcomes.get(OK, 0) <= own.answered + own.failed
        assert own.answered <= sum(outcomes.values()) <= own.accepted
