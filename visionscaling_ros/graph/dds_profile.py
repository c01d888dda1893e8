"""Fast DDS transports that do not lose camera images.

Its default transports split an image into more pieces than their buffers hold and lose most images
of 640x480 and up.
"""

from __future__ import annotations

import os
from pathlib import Path

from visionscaling_ros.installed import share_directory

# The variable's name up to Jazzy (Fast DDS 2) and from Kilted (Fast DDS 3); each ignores the other.
PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
SHARED_MEMORY = Path('/dev/shm')
SHARED_MEMORY_BYTES = 512 * 1024 * 1024  # eight processes with the 64 MiB of shared_memory.xml each
SOCKET_BUFFER_BYTES = 4 * 1024 * 1024  # as in shared_memory_and_udp.xml
KERNEL_LIMITS = (Path('/proc/sys/net/core/rmem_max'), Path('/proc/sys/net/core/wmem_max'))


def dds_environment() -> dict[str, str]:
    """Environment variables for every process of the graph; {} if the user chose a profile."""
    if any(os.environ.get(name) for name in PROFILE_VARIABLES):
        return {}
    name = profile_name(
        shared_memory_bytes=_free_bytes(SHARED_MEMORY),
        socket_buffer_bytes=min(_limit_bytes(path) for path in KERNEL_LIMITS),
    )
    return dict.fromkeys(PROFILE_VARIABLES, str(share_directory() / 'config' / 'fastdds' / name))


def use_dds_profile() -> None:
    """Set :func:`dds_environment` in this process; call it before ROS starts."""
    os.environ.update(dds_environment())


def profile_name(*, shared_memory_bytes: int, socket_buffer_bytes: int) -> str:
    """The profile in ``config/fastdds`` for a machine that grants this much.

    Fast DDS sends nothing through shared memory it cannot get, and receives nothing at all when it
    asks for larger socket buffers than the kernel allows.
    """
    if shared_memory_bytes < SHARED_MEMORY_BYTES:
        return 'small_shared_memory.xml'
    if socket_buffer_bytes < SOCKET_BUFFER_BYTES:
        return 'shared_memory.xml'
    return 'shared_memory_and_udp.xml'


def _free_bytes(path: Path) -> int:
    try:
        state = os.statvfs(path)
    except OSError:
        return 0
    return state.f_bavail * state.f_frsize


def _limit_bytes(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
