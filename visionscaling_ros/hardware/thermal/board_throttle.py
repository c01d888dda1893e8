"""Why a board or card slows itself down, where it tells."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.nvml_session import NvmlSession
from visionscaling_ros.hardware.thermal.throttle import Throttle

HOLD_S = 2.0  # a counter that grew says nothing of how long the cause lasted
# nvml.h, nvmlClocksEventReason...; the others (idle, set by a user, in step with other cards) are
# no slowing down. HwSlowdown stands for causes that newer drivers tell apart beside it.
NVML_SLOWDOWN, NVML_SLOWDOWN_CAUSES = 0x08, 0x40 | 0x80
NVML_REASONS = {
    0x04: (Throttle.BOARD_POWER, 'power cap'),
    NVML_SLOWDOWN: (Throttle.BOARD_POWER, 'slowed down by the hardware'),
    0x20: (Throttle.BOARD_THERMAL, 'slowed down by the driver: hot'),
    0x40: (Throttle.BOARD_THERMAL, 'slowed down by the hardware: hot'),
    0x80: (Throttle.BOARD_POWER, 'power brake'),
}


@dataclass(frozen=True)
class BoardReasons:
    """BOARD_THERMAL and BOARD_POWER as far as they hold now, and the board's own words."""

    reason: Throttle = Throttle.NONE
    words: str = ''


class BoardThrottle(ABC):
    """What one device says of its own slowing down. For one thread; never raises."""

    @abstractmethod
    def read(self, now_s: float) -> BoardReasons:
        """The reasons that hold at ``now_s``, monotonic clock [s]."""

    def close(self) -> None:  # noqa: B027 most hold nothing
        """Free what it holds; it may be called twice."""


class NoBoardThrottle(BoardThrottle):
    """A device that says nothing."""

    def read(self, now_s: float) -> BoardReasons:
        """No reason."""
        return BoardReasons()


@dataclass(frozen=True)
class ThrottleFile:
    """One file of the kernel that tells a reason.

    :param path: holds a number.
    :param counts: it holds while the number grows; else while the number is above 0.
    :param words: what it means.
    """

    path: str
    reason: Throttle
    words: str
    counts: bool


class FileThrottle(BoardThrottle):
    """Reasons from files of the kernel: event counters and states of cooling devices."""

    def __init__(self, files: DeviceFiles, sources: Sequence[ThrottleFile]) -> None:
        self._files = files
        self._sources = tuple(sources)
        self._counts: dict[str, float] = {}
        self._grew_s: dict[str, float] = {}

    def read(self, now_s: float) -> BoardReasons:
        """The reasons that hold; a file that cannot be read tells none."""
        held = [source for source in self._sources if self._holds(source, now_s)]
        reason = Throttle.NONE
        for source in held:
            reason |= source.reason
        return BoardReasons(reason, ', '.join(dict.fromkeys(source.words for source in held)))

    def _holds(self, source: ThrottleFile, now_s: float) -> bool:
        try:
            value = float(self._files.read(source.path))
        except (OSError, ValueError):
            value = math.nan
        if not source.counts:
            return value > 0.0
        if value > self._counts.get(source.path, math.inf):
            self._grew_s[source.path] = now_s
        if not math.isnan(value):
            self._counts[source.path] = value
        return now_s - self._grew_s.get(source.path, -math.inf) <= HOLD_S


class NvmlBoardThrottle(BoardThrottle):
    """An NVIDIA card's own reasons, nvmlDeviceGetCurrentClocksThrottleReasons.

    Raises HardwareError for a card that is not there.

    :param device: as NvmlSession has it.
    """

    def __init__(self, device: str = '') -> None:
        self._session = NvmlSession(device)

    def read(self, now_s: float) -> BoardReasons:
        """The reasons that hold; a card that does not tell has none."""
        try:
            bits = int(self._session.call('nvmlDeviceGetCurrentClocksThrottleReasons'))
        except HardwareError:
            return BoardReasons()
        if bits & NVML_SLOWDOWN_CAUSES:
            bits &= ~NVML_SLOWDOWN
        reason = Throttle.NONE
        words = []
        for bit, (kind, name) in NVML_REASONS.items():
            if bits & bit:
                reason |= kind
                words.append(name)
        return BoardReasons(reason, ', '.join(words))

    def close(self) -> None:
        """Give NVML back."""
        self._session.close()
