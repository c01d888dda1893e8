"""Attacks with requests: through gRPC, as a robot gone wrong would."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import grpc

from visionscaling_ros.trials import fuzz_messages as messages
from visionscaling_ros.trials.fuzz_target import (
    INFER,
    PATIENCE_S,
    SERVICE,
    SMALL_METHODS,
    Attack,
)

_METHODS = (
    'ServerLive',
    'ModelReady',
    'ModelMetadata',
    'ModelConfig',
    'ModelStatistics',
    'RepositoryIndex',
    'ModelInfer',
    'ModelStreamInfer',
    'RepositoryModelLoad',
    'NoSuchMethod',
)
_BATCH = 20


def garbage_messages(attack: Attack) -> int:
    """Random bytes for every method there is, and for some there are not."""
    rng = attack.rng
    count = 0
    with attack.target.channel() as channel:
        for _ in range(_BATCH):
            method = channel.unary_unary(f'/{SERVICE}/{rng.choice(_METHODS)}')
            data = rng.randbytes(rng.choice((0, 1, 10, 1000, 100_000)))
            with contextlib.suppress(grpc.RpcError):
                method(data, timeout=PATIENCE_S, metadata=attack.target.metadata)
            count += 1
    return count


def mutated_requests(attack: Attack) -> int:
    """Good requests with some bytes changed."""
    good = messages.good_request(attack.target).SerializeToString()
    with attack.target.channel() as channel:
        return attack.infer(channel, [messages.mutated(attack.rng, good) for _ in range(_BATCH)])


def lying_requests(attack: Attack) -> int:
    """Shapes that are huge or negative, lengths that are wrong, numbers that are none."""
    made = [messages.lying_request(attack.rng, attack.target) for _ in range(_BATCH)]
    with attack.target.channel() as channel:
        return attack.infer(channel, made)


def image_bombs(attack: Attack) -> int:
    """Small files of 30000x30000 pixels, cut files, other formats."""
    made = [messages.image_bomb(attack.rng, attack.target) for _ in range(_BATCH)]
    with attack.target.channel() as channel:
        return attack.infer(channel, made)


def huge_messages(attack: Attack) -> int:
    """As large as allowed, larger, and made of millions of parts."""
    size_bytes = attack.rng.choice((15 << 20, 17 << 20, 40 << 20))
    made = [
        messages.good_request(attack.target, bytes(size_bytes)).SerializeToString(),
        messages.crowded(attack.rng, 16 << 20),
    ]
    with attack.target.channel() as channel:
        return attack.infer(channel, made)


def compressed_bombs(attack: Attack) -> int:
    """64 MiB of nothing, which gzip makes 64 KiB of."""
    with attack.target.channel() as channel, contextlib.suppress(grpc.RpcError):
        channel.unary_unary(INFER)(
            bytes(64 << 20),
            timeout=PATIENCE_S,
            metadata=attack.target.metadata,
            compression=grpc.Compression.Gzip,
        )
    return 1


def cancelled_calls(attack: Attack) -> int:
    """Good requests, taken back at once or a little later."""
    good = messages.good_request(attack.target).SerializeToString()
    with attack.target.channel() as channel:
        method = channel.unary_unary(INFER)
        for _ in range(_BATCH):
            call = method.future(good, timeout=PATIENCE_S, metadata=attack.target.metadata)
            if attack.rng.random() < 0.5:
                attack.pause(attack.rng.random() * 0.02)
            call.cancel()
    return _BATCH


def wrong_tokens(attack: Attack) -> int:
    """Tokens that nobody has, and other things where a token should be."""
    good = messages.good_request(attack.target).SerializeToString()
    rng = attack.rng
    with attack.target.channel() as channel:
        for _ in range(_BATCH):
            token = rng.choice(('', ' ', 'x' * 4000, rng.randbytes(32).hex()))
            metadata = (('authorization', rng.choice(('Bearer ', 'bearer', 'Basic ')) + token),)
            with contextlib.suppress(grpc.RpcError):
                channel.unary_unary(INFER)(good, timeout=PATIENCE_S, metadata=metadata)
    return _BATCH


def flood(attack: Attack) -> int:
    """Good requests, as many as the quota allows and more."""
    good = messages.good_request(attack.target).SerializeToString()
    with attack.target.channel() as channel:
        return attack.infer(channel, [good] * 200)


def huge_small_messages(attack: Attack) -> int:
    """Megabytes where a name would do, and only half of them."""
    silence = attack.stop

    def half() -> Iterator[bytes]:
        yield bytes(15 << 20)
        silence.wait(PATIENCE_S)

    with attack.target.channel() as channel:
        method = channel.stream_unary(attack.rng.choice(SMALL_METHODS))
        calls = [method.future(half(), timeout=PATIENCE_S) for _ in range(_BATCH)]
        attack.pause(attack.rng.random() * PATIENCE_S)
        for call in calls:
            call.cancel()
    return len(calls)


def unsent_requests(attack: Attack) -> int:
    """Calls that are begun and never say what they want."""
    silence = attack.stop

    def nothing() -> Iterator[bytes]:
        silence.wait(PATIENCE_S)
        yield from ()

    with attack.target.channel() as channel:
        method = channel.stream_unary(attack.rng.choice((INFER, *SMALL_METHODS)))
        calls = [
            method.future(nothing(), timeout=PATIENCE_S, metadata=attack.target.metadata)
            for _ in range(_BATCH)
        ]
        attack.pause(attack.rng.random() * PATIENCE_S)
        for call in calls:
            call.cancel()
    return len(calls)


REQUEST_ATTACKS = (
    garbage_messages,
    mutated_requests,
    lying_requests,
    image_bombs,
    huge_messages,
    compressed_bombs,
    cancelled_calls,
    wrong_tokens,
    flood,
    unsent_requests,
    huge_small_messages,
)
