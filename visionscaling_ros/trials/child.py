"""Servers and links in processes of their own, so that they take no time of the one measured."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from visionscaling_ros.datatypes import FloatArray
from visionscaling_ros.edge.address import parse_address
from visionscaling_ros.edge.link.shaped_link import ShapedLink
from visionscaling_ros.edge.link.trace import LinkTrace
from visionscaling_ros.edge.server.model_runner import Workload
from visionscaling_ros.edge.server.server import EdgeServer
from visionscaling_ros.edge.server.server_limits import ServerLimits
from visionscaling_ros.edge.wire.protocol import InferCall
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.edge.wire.tensor_model import TensorSpec
from visionscaling_ros.errors import EdgeError, VisionScalingError

START_TIMEOUT_S = 60.0
# The model the server below has, and its one input size.
MODEL, INPUT_SIZE_PX = 'nothing', 320
_NOTHING = RelativeDetections(
    np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64)
)

_Program = Callable[..., Any]


class NothingFound:
    """A ModelRunner that does not even look: what is left is the cost of asking."""

    model_names = (MODEL,)

    def class_names(self, model: str) -> tuple[str, ...]:
        """None."""
        return ()

    def input_sizes_px(self, model: str) -> tuple[int, ...]:
        """One."""
        return (INPUT_SIZE_PX,)

    def tensor_spec(self, model: str) -> TensorSpec | None:
        """Takes JPEG only."""
        return None

    def workload(self, call: InferCall) -> Workload:
        """All requests are alike."""
        return Workload(call.model, INPUT_SIZE_PX, INPUT_SIZE_PX)

    def warm_up(self) -> Mapping[Workload, float]:
        """A request costs next to nothing."""
        return {Workload(MODEL, INPUT_SIZE_PX, INPUT_SIZE_PX): 1e-5}

    def run(
        self, model: str, calls: Sequence[InferCall]
    ) -> list[RelativeDetections | dict[str, FloatArray] | VisionScalingError]:
        """Nothing is found."""
        return [_NOTHING for _ in calls]


@contextlib.contextmanager
def quick_server() -> Iterator[str]:
    """The embedded server over :class:`NothingFound`; gives its address. Raises EdgeError."""
    with _child(_serve) as (address, _):
        yield address


@contextlib.contextmanager
def shaped_link(to: str, trace: LinkTrace, **conditions: float) -> Iterator[tuple[str, float]]:
    """A :class:`ShapedLink`; gives its address and when its trace started (monotonic clock).

    Raises EdgeError.
    """
    with _child(_shape, to, trace, conditions) as (address, started_s):
        yield address, started_s


@contextlib.contextmanager
def _child(program: _Program, *arguments: Any) -> Iterator[tuple[str, float]]:
    context = multiprocessing.get_context('spawn')
    mine, its = context.Pipe()
    process = context.Process(target=_run, args=(program, its, *arguments), daemon=True)
    process.start()
    its.close()
    try:
        if not mine.poll(START_TIMEOUT_S):
            raise EdgeError(f'{program.__name__} did not start within {START_TIMEOUT_S} s')
        try:
            yield mine.recv()
        except EOFError as error:
            raise EdgeError(f'{program.__name__} did not start') from error
    finally:
        mine.close()
        process.terminate()
        process.join()


def _run(program: _Program, parent: Connection, *arguments: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    program(parent.send, *arguments)


def _end_with(parent: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        parent.recv()
    os._exit(0)


def _serve(ready: Callable[[tuple[str, float]], None]) -> None:
    limits = ServerLimits(requests_per_second=1e6)
    server = EdgeServer(NothingFound(), port=0, limits=limits)
    server.serve(lambda address: ready((address, time.monotonic())))


def _shape(
    ready: Callable[[tuple[str, float]], None],
    to: str,
    trace: LinkTrace,
    conditions: Mapping[str, float],
) -> None:
    async def serve() -> None:
        link = ShapedLink(('127.0.0.1', 0), parse_address(to), trace, **conditions)  # type: ignore[arg-type]
        await link.start()
        ready((link.address, time.monotonic()))
        await asyncio.Event().wait()

    asyncio.run(serve())
