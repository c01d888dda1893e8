"""A model whose tensor is sent, through the whole graph: camera image in, edge detections out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from vision_models import write_vsdet
from visionscaling_ros.msg import FrameResult, InferenceState, LinkState
from visionscaling_ros.msg import SlotDecision as SlotDecisionMsg

from visionscaling_ros.datatypes import Allocation, Origin, SlotDecision
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.conversions import bgr_to_image, decision_to_msg, make_header

CLI = 'from visionscaling_ros.cli.main import main; raise SystemExit(main())'
MODEL, SIZE_PX = 'small', 96
TENSOR_BYTES = 4 * 3 * 64 * 96  # of a 120x70 image, padded to multiples of 32
IMAGE_BGR = np.random.default_rng(0).integers(0, 256, (70, 120, 3), np.uint8)


def start_edge_server(graph: Any, manifest: Path) -> str:
    command = ('edge-server', '--port', '0', '--manifest', str(manifest), '--models', MODEL)
    server = graph.run(sys.executable, '-c', CLI, *command)
    server.wait_for_output('edge server ready on')
    line = next(line for line in server.output.splitlines() if 'edge server ready on' in line)
    return str(line.split()[-1])


def test_a_tensor_goes_to_the_edge_and_its_detections_come_back(graph: Any, tmp_path: Path) -> None:
    manifest = write_vsdet(tmp_path, offload={'payload': 'tensor'})
    address = start_edge_server(graph, manifest)
    observer = graph.observer
    images = observer.advertise(Image, topics.IMAGE_RAW, topics.IMAGE_PUBLISHER_QOS)
    decisions = observer.advertise(
        SlotDecisionMsg, topics.SLOT_DECISION, topics.DECISION_QOS
    )
    results = observer.watch(topics.FRAME_RESULT, FrameResult, topics.reliable(100))
    offloads = observer.watch(topics.OFFLOAD, CompressedImage, topics.OFFLOAD_QOS)
    manifests = [str(manifest)]
    eyes = {'models': [MODEL], 'model_manifests': manifests, 'safe_model': MODEL,
            'safe_input_size_px': SIZE_PX, 'decision_timeout_s': 60.0,
            'max_age_s': 5.0}  # fmt: skip
    graph.start('inference_node', parameters=eyes)
    graph.start(
        'edge_bridge_node', parameters={'server': address, 'model_manifests': manifests}
    )
    state = observer.wait_for(
        topics.INFERENCE_STATE,
        InferenceState,
        lambda s: len(s.operating_points) == 2,
        qos=topics.STATE_QOS,
    )
    bits = {p.input_size_px: p.upload_bits for p in state.operating_points}
    assert bits[SIZE_PX] == 32 * 3 * 96 * 96  # the picture it measures with is 4:3
    observer.wait_for(
        topics.LINK_STATE, LinkState, lambda link: link.reachable, qos=topics.STATE_QOS
    )
    edge = Allocation(MODEL, SIZE_PX, Origin.EDGE, 100.0)
    decision = SlotDecision(1, (edge,), 0.0, 0.0, 100.0, 'test')
    decisions.publish(decision_to_msg(decision, make_header(0)))
    observer.wait_for(
        topics.INFERENCE_STATE, InferenceState, lambda s: s.slot == 1, qos=topics.STATE_QOS
    )

    result = _send_until_answered_by_the_edge(images, results)
    assert (result.model, result.input_size_px) == (MODEL, SIZE_PX)
    assert TENSOR_BYTES < result.upload_bytes < TENSOR_BYTES + 1000
    assert result.server_compute_s > 0.0
    assert (result.image_width_px, result.image_height_px) == (120, 70)
    assert len(result.detections) > 0
    assert all(0 <= d.x_min <= d.x_max <= 120 for d in result.detections)
    assert {d.class_name for d in result.detections} <= {'cat', 'dog', 'owl'}
    message = offloads.wait(lambda m: True)
    assert message.format.startswith('fp32; shape=1,3,64,96; frame=')
    assert len(message.data) == TENSOR_BYTES


def _send_until_answered_by_the_edge(images: Any, results: Any) -> FrameResult:
    """Best effort may lose an image, and the first frames may go before the bridge is known."""
    for number in range(1, 20):
        images.publish(bgr_to_image(IMAGE_BGR, make_header(number, 'camera')))
        try:
            result = results.wait(lambda r, n=number: r.header.stamp.nanosec == n, timeout_s=6.0)
        except AssertionError:
            continue
        if (result.origin, result.status) == (int(Origin.EDGE), FrameResult.STATUS_PROCESSED):
            return result
    raise AssertionError('the edge answered no frame')
