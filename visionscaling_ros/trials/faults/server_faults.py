"""Faults of the edge server's process and of the machine it runs on."""

from __future__ import annotations

import contextlib
import signal
from functools import partial

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from visionscaling_ros.graph.graphs import EDGE_SERVER
from visionscaling_ros.trials.faults.bench import MODEL, SIZE_PX, FaultBench
from visionscaling_ros.trials.faults.fault import FaultKind
from visionscaling_ros.trials.faults.secrets import CAMPAIGN_ID

JUNK_BYTES = 1000
PRESSURE_BYTES = 12 << 20
PRESSURE_TIMEOUT_S = 2.0


class ServerEnded:
    """The server ends by a signal and is started again."""

    def __init__(self, bench: FaultBench, number: int) -> None:
        self._server = bench.server
        self._number = number

    def inject(self) -> None:
        """End it."""
        self._server.stop(self._number)

    def heal(self) -> None:
        """Start it again."""
        self._server.start()


class ServerStopped:
    """The server's process hangs (SIGSTOP); its connections stay open."""

    def __init__(self, bench: FaultBench, seconds: float) -> None:
        self._server = bench.server

    def inject(self) -> None:
        """Stop it."""
        self._server.send(signal.SIGSTOP)

    def heal(self) -> None:
        """Let it go on."""
        self._server.send(signal.SIGCONT)


class DiskFull:
    """Not a byte can be written where the server logs; it is told things worth logging."""

    def __init__(self, bench: FaultBench, seconds: float) -> None:
        self._bench = bench

    def inject(self) -> None:
        """Fill the disk."""
        self._set_full(True)
        _send_junk(self._bench, JUNK_BYTES)

    def heal(self) -> None:
        """Free it."""
        self._set_full(False)

    def _set_full(self, full: bool) -> None:
        """Fill or free the disk; without one of our own, the server's files stop growing."""
        if not self._bench.disk.can_be_full:
            self._bench.server.limit_files(full)
        elif full:
            self._bench.disk.fill()
        else:
            self._bench.disk.free()


class DiskFullAtStart(DiskFull):
    """The server dies and has to start again while its disk is full."""

    def inject(self) -> None:
        """Kill it on a full disk."""
        self._set_full(True)
        self._bench.server.stop(signal.SIGKILL)

    def heal(self) -> None:
        """Start it on the full disk; then free that."""
        try:
            self._bench.server.start()
        finally:
            self._set_full(False)


class MemoryExhausted:
    """The server gets no more memory while large requests come in.

    :param fatal: it dies of it, as by the kernel's choice; else it can refuse and go on.
    """

    def __init__(self, bench: FaultBench, seconds: float, *, fatal: bool) -> None:
        self._bench = bench
        self._fatal = fatal

    def inject(self) -> None:
        """Take the memory away, then ask for some."""
        server = self._bench.server
        if self._fatal:
            server.limit_data()
        else:
            server.limit_address_space()
        _send_junk(self._bench, PRESSURE_BYTES)

    def heal(self) -> None:
        """Give the memory back; start the server again if it died."""
        server = self._bench.server
        server.lift_limits()
        if not server.answers():
            server.stop(signal.SIGKILL)
            server.start()


def _send_junk(bench: FaultBench, size_bytes: int) -> None:
    """Ask for a picture that is none to be looked at; whatever comes back will do."""
    request = service_pb2.ModelInferRequest(model_name=MODEL, id='junk')
    request.inputs.add(name='image', datatype='BYTES', shape=[1])
    request.raw_input_contents.append(size_bytes.to_bytes(4, 'little') + bytes(size_bytes))
    request.parameters['input_size_px'].int64_param = SIZE_PX
    options = [('grpc.max_send_message_length', -1), ('grpc.use_local_subchannel_pool', 1)]
    who = bench.secrets.client(CAMPAIGN_ID)
    with grpc.secure_channel(bench.server.address, who.channel_credentials(), options) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for _ in range(3):
            # Refused, as it should be, or there is nobody left to refuse.
            with contextlib.suppress(grpc.RpcError):
                stub.ModelInfer(request, timeout=PRESSURE_TIMEOUT_S, metadata=who.metadata())


SERVER = frozenset({EDGE_SERVER})
KINDS = (
    FaultKind('server-killed', lambda b, _: ServerEnded(b, signal.SIGKILL), kills=SERVER),
    FaultKind('server-restarted', lambda b, _: ServerEnded(b, signal.SIGTERM), kills=SERVER),
    FaultKind('server-stopped', ServerStopped, (1.0, 2.0, 4.0)),
    FaultKind('disk-full', DiskFull),
    FaultKind('disk-full-at-start', DiskFullAtStart, kills=SERVER),
    FaultKind('memory-refused', partial(MemoryExhausted, fatal=False), kills=SERVER),
    FaultKind('memory-fatal', partial(MemoryExhausted, fatal=True), kills=SERVER),
)
