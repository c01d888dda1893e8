"""edge_bridge_node alone, between real edge servers and a made-up inference_node."""

from __future__ import annotations

import itertools
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sensor_msgs.msg import CompressedImage
from visionscaling_ros.msg import FrameResult, LinkState

from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.conversions import make_header, to_byte_array
from visionscaling_ros.nodes.offload_format import OffloadLabel

TINY_SERVER = str(Path(__file__).parents[1] / 'unit' / 'edge_tiny_server.py')
TIMEOUT_S = 60.0
USEFUL_S = 5.0
STAMP_NS = 12_345_678_901


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


class BridgeRig:
    """The node and somebody who offloads frames to it."""

    def __init__(self, graph: Any, **parameters: Any) -> None:
        self.graph = graph
        self.node = graph.start('edge_bridge_node', parameters=parameters)
        self.observer = graph.observer
        self.results = self.observer.watch(topics.OFFLOAD_RESULT, FrameResult, topics.RESULT_QOS)
        self.publisher = self.observer.advertise(
            CompressedImage, topics.OFFLOAD, topics.OFFLOAD_QOS
        )
        self._numbers = itertools.count(1)

    def server(self, port: int) -> Any:
        server = self.graph.run(sys.executable, TINY_SERVER, str(port))
        server.wait_for_output('edge server ready')
        return server

    def wait_for_link(self, predicate: Any) -> LinkState:
        return self.observer.wait_for(
            topics.LINK_STATE, LinkState, predicate, timeout_s=TIMEOUT_S, qos=topics.STATE_QOS
        )

    def offload(self) -> FrameResult:
        """Send a frame and wait for what became of it."""
        number = next(self._numbers)
        label = OffloadLabel(number, 1, 'tiny', 320, 640, 480, deadline=time.monotonic() + USEFUL_S)
        self.publisher.publish(
            CompressedImage(
                header=make_header(STAMP_NS),
                format=str(label),
                data=to_byte_array(bytes([number]) + bytes(2000)),
            )
        )
        return self.results.wait(lambda result: result.frame_number == number, timeout_s=TIMEOUT_S)

    def offload_until_answered(self) -> FrameResult:
        give_up_s = time.monotonic() + TIMEOUT_S
        while (result := self.offload()).drop_reason:
            assert time.monotonic() < give_up_s, result.drop_reason
        return result


def test_frames_go_to_the_next_server_and_back(graph: Any) -> None:
    ports = free_port(), free_port()
    rig = BridgeRig(
        graph,
        server=f'127.0.0.1:{ports[0]}',
        fallback_servers=[f'127.0.0.1:{ports[1]}'],
        state_rate_hz=20.0,
    )
    first = rig.server(ports[0])
    rig.server(ports[1])
    rig.wait_for_link(lambda link: link.circuit == 'closed' and link.server_rank == 0)
    result = rig.offload_until_answered()
    assert result.detections[0].class_id == result.frame_number  # what came back is its own
    link = rig.wait_for_link(lambda link: link.answered >= 1)
    assert link.sent_bytes > 2000
    assert link.capacity_low_bps < link.capacity_bps < link.capacity_high_bps
    assert link.loss == 0.0
    assert 0.0 < link.loss_high <= 1.0
    assert link.rtt_deviation_s >= 0.0
    assert link.server_share_age_s >= 0.0
    first.kill()
    rig.wait_for_link(lambda link: link.server_rank == 1 and link.circuit == 'closed')
    assert not rig.offload_until_answered().drop_reason
    status = rig.observer.wait_for_diagnostics(
        '/edge_bridge_node', lambda s: 'is used instead' in s.message
    )
    assert 'connection refused' in status.message
    rig.server(ports[0])
    rig.wait_for_link(lambda link: link.server_rank == 0 and link.circuit == 'closed')
    assert not rig.offload_until_answered().drop_reason
    said = rig.node.output
    assert said.count('connection refused') <= 2  # not once a frame or probe


def test_servers_are_changed_in_the_run_and_what_cannot_be_is_refused(graph: Any) -> None:
    ports = free_port(), free_port()
    rig = BridgeRig(graph, server=f'127.0.0.1:{ports[0]}', state_rate_hz=20.0)
    for port in ports:
        rig.server(port)
    rig.wait_for_link(lambda link: link.circuit == 'closed')
    rig.offload_until_answered()
    set_parameter = rig.observer.set_parameter
    for name, value in (
        ('server', 'nowhere'),
        ('fallback_servers', [f'127.0.0.1:{ports[0]}']),
        ('token_file', '/nowhere/token'),
    ):
        refused = set_parameter('/edge_bridge_node', name, value)
        assert not refused.successful
        assert name in refused.reason
    assert set_parameter('/edge_bridge_node', 'server', f'127.0.0.1:{ports[1]}').successful
    link = rig.wait_for_link(
        lambda link: link.server.endswith(str(ports[1])) and link.circuit == 'closed'
    )
    assert link.answered == 1  # the books go on
    rig.offload_until_answered()
    assert set_parameter('/edge_bridge_node', 'max_in_flight', 8).successful


@pytest.mark.parametrize(
    ('address', 'words'), [('host.invalid:1', 'could not be resolved'), ('127.0.0.1:9', 'refused')]
)
def test_why_a_server_is_not_used_is_in_the_diagnostics(
    graph: Any, address: str, words: str
) -> None:
    rig = BridgeRig(graph, server=address)
    status = rig.observer.wait_for_diagnostics('/edge_bridge_node', lambda s: words in s.message)
    assert 'does not answer' in status.message
    result = rig.offload()
    assert result.drop_reason == 'edge_unreachable'
