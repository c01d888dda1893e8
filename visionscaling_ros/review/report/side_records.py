"""What a bag tells of a robot besides its slots: frames, the GPU, the link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from visionscaling_ros.bags.bag_reader import BagReader
from visionscaling_ros.bags.topic_names import namespace_of
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.message_reading import NANOSECONDS, stamp_to_ns
from visionscaling_ros.review.recorded_run import (
    FRAME_RESULT,
    GPU_STATE,
    LINK_STATE,
    RecordedRun,
)

_PROCESSED, _LOCAL = 0, 0  # FrameResult.STATUS_PROCESSED, Allocation.ORIGIN_LOCAL


class FrameFate(NamedTuple):
    """What became of a frame, and when on the robot's clock."""

    stamp_s: float
    processed: bool
    at_edge: bool
    latency_s: float


class GpuReading(NamedTuple):
    """What gpu_clock_node read. ``ceiling_hz``: inf for none."""

    stamp_s: float
    ceiling_hz: float
    throttle_reason: str
    power_source: str


class LinkReading(NamedTuple):
    """Which edge server edge_bridge_node used, host:port."""

    stamp_s: float
    server: str


@dataclass
class SideRecords:
    """What one robot recorded besides its slots, in the order of the bag.

    :param skipped: messages that could not be read, by topic.
    """

    frames: list[FrameFate] = field(default_factory=list)
    gpu: list[GpuReading] = field(default_factory=list)
    link: list[LinkReading] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)

    def during(self, run: RecordedRun) -> SideRecords:
        """Only what happened in the run, and what was skipped."""
        slot_s = run.slots[0].settings.slot_s
        first_s = min(run.slots[0].end_s, run.slots[-1].end_s) - slot_s
        last_s = max(slot.end_s for slot in run.slots)
        return SideRecords(
            [record for record in self.frames if first_s < record.stamp_s <= last_s],
            [record for record in self.gpu if first_s < record.stamp_s <= last_s + slot_s],
            [record for record in self.link if first_s < record.stamp_s <= last_s + slot_s],
            self.skipped,
        )


def read_side_records(path: str | Path, namespace: str | None = None) -> dict[str, SideRecords]:
    """By namespace, as in ``read_runs``; raises InvalidValueError for a bag that cannot be read."""
    records: dict[str, SideRecords] = {}
    with BagReader(path) as bag:
        for robot, topic, kind, content in _contents(bag, namespace, records):
            try:
                _take(records[robot], kind, content)
            except (AttributeError, ValueError):
                _skip(records[robot], topic)
    return records


def _contents(
    bag: BagReader, namespace: str | None, records: dict[str, SideRecords]
) -> Iterator[tuple[str, str, str, Any]]:
    kinds = (FRAME_RESULT, GPU_STATE, LINK_STATE)
    topics = {topic.name for topic in bag.topics if topic.message_type in kinds}
    for message in bag.messages(topics):
        robot = namespace_of(message.topic)
        if namespace not in {None, robot}:
            continue
        record = records.setdefault(robot, SideRecords())
        try:
            yield robot, message.topic, message.message_type, bag.deserialize(message)
        except InvalidValueError:
            _skip(record, message.topic)


def _skip(record: SideRecords, topic: str) -> None:
    record.skipped[topic] = record.skipped.get(topic, 0) + 1


def _take(record: SideRecords, kind: str, content: Any) -> None:
    stamp_s = stamp_to_ns(content.header.stamp) / NANOSECONDS
    if kind == FRAME_RESULT:
        record.frames.append(
            FrameFate(
                stamp_s + content.age_s,
                content.status == _PROCESSED,
                content.origin != _LOCAL,
                content.latency_s,
            )
        )
    elif kind == GPU_STATE:
        record.gpu.append(
            GpuReading(
                stamp_s,
                content.ceiling_frequency_hz,
                content.throttle_reason,
                content.power_source,
            )
        )
    else:
        record.link.append(LinkReading(stamp_s, content.server))
