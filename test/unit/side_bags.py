"""Bags of simulated runs with the frames, GPU and link readings a robot records beside them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message
from recorded_bags import BEGIN_NS, write_run
from rosbags.rosbag2 import StoragePlugin, Writer

from visionscaling_ros import msg
from visionscaling_ros.bags.bag_reader import BagReader
from visionscaling_ros.bags.message_types import type_name, typestore
from visionscaling_ros.message_reading import NANOSECONDS
from visionscaling_ros.nodes.conversions import make_header

FRAMES_PER_SLOT = 30
DETECTIONS = 8


def write_whole_run(path: Path, *, namespaces: tuple[str, ...] = ('',), **options: Any) -> Path:
    """As ``write_run``, for several robots, with frames, GPU and link."""
    slots = options.get('slots', 60)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[str, Any] = {}

        def write(topic: str, kind: str, data: bytes, stamp_ns: int) -> None:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=typestore())
            writer.write(connections[topic], stamp_ns, data)

        for nth, namespace in enumerate(namespaces):
            part = write_run(
                path.with_name(f'{path.name}-{nth}'), namespace=namespace, seed=nth, **options
            )
            with BagReader(part) as bag:
                for message in bag.messages():
                    write(message.topic, message.message_type, message.data, message.log_ns)
            for slot in range(slots):
                now_ns = BEGIN_NS + slot * NANOSECONDS
                for name, content in _readings(slot, now_ns):
                    kind = type_name(type(content).__name__)
                    write(f'{namespace}/{name}', kind, serialize_message(content), now_ns)
    return path


def _readings(slot: int, now_ns: int) -> list[tuple[str, Any]]:
    header = make_header(now_ns - 1)
    rng = np.random.default_rng(slot)
    readings: list[tuple[str, Any]] = [
        ('frame_result', _frame(slot, nth, now_ns, float(rng.gamma(4.0, 0.02))))
        for nth in range(FRAMES_PER_SLOT)
    ]
    gpu = msg.GpuState(
        header=header, backend='emulated', ceiling_frequency_hz=math.inf, power_source='model'
    )
    link = msg.LinkState(header=header, server='edge:8001', reachable=True)
    return [*readings, ('gpu_state', gpu), ('link_state', link)]


def _frame(slot: int, nth: int, now_ns: int, latency_s: float) -> Any:
    dropped = nth % 10 == 9
    box = {'class_id': 2, 'class_name': 'car', 'score': 0.9, 'x_max': 50.0, 'y_max': 40.0}
    return msg.FrameResult(
        header=make_header(now_ns - (FRAMES_PER_SLOT - nth) * NANOSECONDS // FRAMES_PER_SLOT),
        frame_number=slot * FRAMES_PER_SLOT + nth,
        slot=slot,
        status=int(dropped),
        drop_reason='superseded' if dropped else '',
        model='yolov8s',
        input_size_px=320,
        origin=nth % 2,
        latency_s=latency_s,
        age_s=min(latency_s, 0.01),
        detections=[] if dropped else [msg.Detection(**box) for _ in range(DETECTIONS)],
    )
