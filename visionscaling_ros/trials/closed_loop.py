"""Load that never lets up: clients that send the next request when the last one is answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
import grpc.aio
import numpy as np

from visionscaling_ros.edge.wire.protocol import MAX_MESSAGE_BYTES
from visionscaling_ros.errors import EdgeError

METHOD = '/inference.GRPCInferenceService/ModelInfer'
SETTLING_S = 0.5
REPLY_TIMEOUT_S = 60.0
_OPTIONS = [
    ('grpc.max_send_message_length', MAX_MESSAGE_BYTES),
    ('grpc.max_receive_message_length', MAX_MESSAGE_BYTES),
    ('grpc.use_local_subchannel_pool', 1),  # every client has a connection of its own
]


@dataclass(frozen=True)
class LoadFigures:
    """What a server did under load. Latencies as the clients saw them."""

    requests_per_s: float
    latency_p50_s: float
    latency_p99_s: float


def put_under_load(
    address: str, request: bytes, *, clients: int, duration_s: float
) -> LoadFigures:
    """Send a serialized request again and again; what is answered at first does not count.

    :param clients: with one request under way each.
    :raises EdgeError: a request that was not answered.
    """
    return asyncio.run(_load(address, request, clients, duration_s))


async def _load(address: str, request: bytes, clients: int, duration_s: float) -> LoadFigures:
    start_s = time.perf_counter() + SETTLING_S
    end_s = start_s + duration_s
    loops = [_client(address, request, start_s, end_s) for _ in range(clients)]
    try:
        found = await asyncio.gather(*loops)
    except grpc.aio.AioRpcError as error:
        text = f'{address}: {error.code().name}: {error.details()}'
        raise EdgeError(text) from error
    latencies_s = [latency_s for own in found for latency_s in own]
    return _figures(latencies_s, duration_s, address)


async def _client(address: str, request: bytes, start_s: float, end_s: float) -> list[float]:
    """Latencies of the requests answered between the two times."""
    latencies_s: list[float] = []
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        infer = channel.unary_unary(METHOD)  # without types it takes and gives bytes
        while (sent_s := time.perf_counter()) < end_s:
            await infer(request, timeout=REPLY_TIMEOUT_S)
            done_s = time.perf_counter()
            if start_s <= done_s <= end_s:
                latencies_s.append(done_s - sent_s)
    return latencies_s


def _figures(latencies_s: Sequence[float], duration_s: float, address: str) -> LoadFigures:
    if not latencies_s:
        raise EdgeError(f'{address} answered nothing within {duration_s:g} s')
    p50_s, p99_s = np.quantile(latencies_s, (0.5, 0.99))
    return LoadFigures(len(latencies_s) / duration_s, float(p50_s), float(p99_s))
