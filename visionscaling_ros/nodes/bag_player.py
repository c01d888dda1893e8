"""Publishes the messages of a bag as they were recorded, and the time they were recorded at."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock

from visionscaling_ros.bags.playback_topics import CLOCK
from visionscaling_ros.bags.stored import NO_DEFINITION, BagMessage, BagTopic
from visionscaling_ros.nodes.bag_message_types import Fields, known_class, same_fields
from visionscaling_ros.nodes.bag_qos import playback_qos
from visionscaling_ros.nodes.conversions import make_header
from visionscaling_ros.nodes.topics import reliable

UNACKNOWLEDGED_BYTES = 16 * 2**20  # what subscribers may be behind before the player waits
# It also waits when half of what a publisher keeps was published faster than this; slower, what
# was lost on the way is asked for and sent again in time.
BURST_HZ, LARGE_BURST_HZ = 5000.0, 500.0
ACKNOWLEDGE_TIMEOUT_S = 1.0
PATIENCE = 3  # timeouts in a row
LAST_TIMEOUT_S = 5.0  # for what was played last; DDS asks for acknowledgement every 3 s
HANDSHAKE_S = 0.3  # until a subscriber that is seen here sees the publisher too
POLL_S = 0.02


@dataclass
class _Channel:
    publisher: Any
    message_type: Any
    checked: bool  # whether the bag's type is known to be this machine's
    burst: float  # messages that are not published faster than this without a wait
    burst_hz: float
    size: int = 0  # of what was published since subscribers were last waited for
    messages: int = 0  # and since when
    since_s: float = 0.0
    refusal: str = ''
    timeouts: int = 0


class BagPlayer:
    """A node that publishes; an ``Outlet`` of a ``Playback``. Use as a context manager.

    :param fields_of: fields of a type in the bag.
    """

    def __init__(self, fields_of: Callable[[str], Fields]) -> None:
        self._fields_of = fields_of
        self._channels: dict[str, _Channel] = {}
        self._clock_thread: threading.Thread | None = None
        self._closing = threading.Event()

    def __enter__(self) -> BagPlayer:
        self._context = Context()
        rclpy.init(args=[], context=self._context)  # not the command's: ROS takes from:=to
        self._node = Node(
            'bag_player', context=self._context, enable_rosout=False,
            start_parameter_services=False,
        )  # fmt: skip
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()
        if self._clock_thread is not None:
            self._clock_thread.join()
        self._node.destroy_node()
        self._context.try_shutdown()

    def advertise(self, topic: BagTopic, name: str) -> str:
        """As ``Outlet.advertise``: a type must be known here, with the fields it has in the bag."""
        message_type = known_class(topic.message_type)
        if message_type is None:
            return f'type {topic.message_type or "unknown"} is not known here'
        defined = topic.definition != NO_DEFINITION
        if defined and not same_fields(topic.message_type, self._fields_of):
            return f'{topic.message_type} has other fields here than in the bag'
        large = 'sequence<uint8>' in message_type.get_fields_and_field_types().values()
        qos = playback_qos(topic.qos, large=large)
        try:
            publisher = self._node.create_publisher(message_type, name, qos)
        except Exception as error:  # of a name that ROS does not take
            return f'cannot be published as {name}: {str(error).splitlines()[0]}'
        latched = qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
        self._channels[name] = _Channel(
            publisher,
            message_type,
            defined,
            burst=math.inf if latched else qos.depth // 2,
            burst_hz=LARGE_BURST_HZ if large else BURST_HZ,
        )
        return ''

    def publish(self, name: str, message: BagMessage) -> str:
        """As ``Outlet.publish``; waits for subscribers that are far behind."""
        channel = self._channels[name]
        if not channel.checked:  # without a definition in the bag only the bytes can tell
            channel.checked = True
            try:
                deserialize_message(message.data, channel.message_type)
            except Exception:  # RMWError and what fields raise
                channel.refusal = f'not a {message.message_type} as it is here'
        if channel.refusal:
            return channel.refusal
        channel.publisher.publish(message.data)
        if not channel.messages:
            channel.since_s = time.monotonic()
        channel.messages += 1
        channel.size += len(message.data)
        if channel.size >= UNACKNOWLEDGED_BYTES or channel.messages >= channel.burst:
            _let_catch_up(channel)
        return ''

    def wait_for_subscribers(
        self, names: Collection[str], timeout_s: float, stop: threading.Event
    ) -> list[str]:
        """Until each of these topics has a subscriber, or time is over; those that have none."""
        deadline_s = time.monotonic() + timeout_s
        while lonely := self._lonely(names):
            if time.monotonic() >= deadline_s or stop.wait(POLL_S):
                return lonely
        stop.wait(HANDSHAKE_S)
        return []

    def tell_time(self, rate_hz: float, now_ns: Callable[[], int]) -> None:
        """Publish ``now_ns()`` on /clock from here on, ``rate_hz`` times a second."""
        publisher = self._node.create_publisher(Clock, CLOCK, reliable(10))

        def tell() -> None:
            next_s = time.monotonic()
            while True:
                publisher.publish(Clock(clock=make_header(now_ns()).stamp))
                next_s = max(next_s + 1.0 / rate_hz, time.monotonic())
                if self._closing.wait(next_s - time.monotonic()):
                    return

        self._clock_thread = threading.Thread(target=tell, name='clock', daemon=True)
        self._clock_thread.start()

    def finish(self) -> list[str]:
        """Wait until subscribers have what was played last; topics of which one has not."""
        deadline_s = time.monotonic() + LAST_TIMEOUT_S
        return [
            name
            for name, channel in self._channels.items()
            if not _acknowledged(channel, max(0.0, deadline_s - time.monotonic()))
        ]

    def _lonely(self, names: Collection[str]) -> list[str]:
        return [
            name
            for name, channel in self._channels.items()
            if name in names and not channel.publisher.get_subscription_count()
        ]


def _let_catch_up(channel: _Channel) -> None:
    much = channel.size >= UNACKNOWLEDGED_BYTES
    fast = channel.messages > channel.burst_hz * (time.monotonic() - channel.since_s)
    channel.messages = 0
    if much or fast:
        channel.size = 0
        if channel.timeouts < PATIENCE:
            in_time = _acknowledged(channel, ACKNOWLEDGE_TIMEOUT_S)
            channel.timeouts = 0 if in_time else channel.timeouts + 1


def _acknowledged(channel: _Channel, timeout_s: float) -> bool:
    return bool(channel.publisher.wait_for_all_acked(Duration(seconds=timeout_s)))
