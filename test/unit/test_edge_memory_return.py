"""Memory that is free between memory in use goes back to the machine."""

from __future__ import annotations

import ctypes

import psutil
import pytest

from visionscaling_ros.edge.server.memory_return import return_free_memory

BLOCK_BYTES = 64 << 10  # too small for a mapping of its own
BLOCKS = 2000


def test_holes_between_blocks_in_use_are_handed_back() -> None:
    if not hasattr(ctypes.CDLL(None), 'malloc_trim'):
        pytest.skip('this C library has no malloc_trim')
    process = psutil.Process()
    blocks = [bytearray(b'\1' * BLOCK_BYTES) for _ in range(BLOCKS)]
    in_use = blocks[::50]
    del blocks
    full_bytes = process.memory_info().rss
    return_free_memory()
    freed_bytes = full_bytes - process.memory_info().rss
    assert freed_bytes > BLOCKS * BLOCK_BYTES // 2
    assert all(block[-1] == 1 for block in in_use)
