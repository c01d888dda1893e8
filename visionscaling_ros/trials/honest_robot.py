"""A robot that sends one good frame after the other and writes down what became of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.protocol import build_request, parse_reply
from visionscaling_ros.errors import EdgeError

JOIN_S = 5.0


class HonestRobot:
    """Sends ``frame`` at a constant rate from a thread of its own until stopped.

    :param deadline_s: an answer that takes longer does not count.
    :param reconnect: with a new connection for every frame, as robots that come and go.
    """

    def __init__(
        self,
        address: str,
        frame: OffloadFrame,
        *,
        token: str = '',
        rate_fps: float = 4.0,
        deadline_s: float = 2.0,
        reconnect: bool = False,
    ) -> None:
        self._address = address
        self._frame = frame
        self._metadata = (('authorization', f'Bearer {token}'),) if token else ()
        self._rate_fps = rate_fps
        self._deadline_s = deadline_s
        self._reconnect = reconnect
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._expected = 0
        self._outcomes: Counter[str] = Counter()
        self._latencies_s: list[float] = []
        self._thread = threading.Thread(target=self._send, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, with every frame accounted for."""
        self._stop.set()
        self._thread.join(JOIN_S + self._deadline_s)

    @property
    def expected(self) -> int:
        """Frames sent."""
        with self._lock:
            return self._expected

    @property
    def outcomes(self) -> dict[str, int]:
        """Frames that were served (``served``) or not, by gRPC status."""
        with self._lock:
            return dict(self._outcomes)

    @property
    def latencies_s(self) -> tuple[float, ...]:
        """Of the frames that were served."""
        with self._lock:
            return tuple(self._latencies_s)

    def _send(self) -> None:
        channel = self._channel()
        start_s = time.monotonic()
        try:
            while not self._stop.wait(
                max(0.0, start_s + self._expected / self._rate_fps - time.monotonic())
            ):
                with self._lock:
                    self._expected += 1
                if self._reconnect:
                    channel.close()
                    channel = self._channel()
                self._ask(channel)
        finally:
            channel.close()

    def _ask(self, channel: Any) -> None:
        request = build_request(self._frame, robot_id='', deadline_s=self._deadline_s)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        sent_s = time.monotonic()
        try:
            reply: service_pb2.ModelInferResponse = stub.ModelInfer(
                request, timeout=self._deadline_s, metadata=self._metadata, wait_for_ready=True
            )
            parse_reply(reply, self._frame)
            outcome = 'served'
        except grpc.RpcError as error:
            outcome = error.code().name
        except EdgeError:
            outcome = 'bad reply'
        with self._lock:
            self._outcomes[outcome] += 1
            if outcome == 'served':
                self._latencies_s.append(time.monotonic() - sent_s)

    def _channel(self) -> Any:
        return grpc.insecure_channel(self._address, [('grpc.use_local_subchannel_pool', 1)])
