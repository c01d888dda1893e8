"""The clock of an NVIDIA card: locked clocks through NVML."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.gpu_clock import GpuClock, level_for
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.nvml_session import (
    NvmlPermissionError,
    NvmlSession,
    NvmlUnsupportedError,
)

LOCKED = 'locked_clock_mhz'  # in a state: what this process has locked; empty for nothing
_HOW_TO_PERMIT = (
    "NVIDIA's driver lets only CAP_SYS_ADMIN lock clocks: install the helper "
    '(visionscaling clocks install-helper --nvml) or run as root'
)
_CAP_SYS_ADMIN = 21  # include/uapi/linux/capability.h
_STEP_MHZ = 15  # between the levels of most cards
_SETTLE_S = 0.2
_POLL_S = 0.01
_HZ = 1_000_000


class NvmlGpuClock(GpuClock):
    """Locks the card's graphics clock to one of its supported ones (Volta and later).

    Levels are the graphics clocks supported at the highest memory clock. NVML does not tell what
    clocks are locked to, so the state found is "not locked by this process" and restoring it
    resets them: a lock that somebody else had set before is gone then. The card runs at or below
    the lock: idle, hot or short of power it is slower. A lock lasts until it is reset or the
    driver is unloaded, which without persistence mode is when its last user ends
    (docs.nvidia.com/deploy/nvml-api, nvmlDeviceSetGpuLockedClocks). Raises HardwareError as
    NvmlSession does.

    :param files: where this process's own capabilities are read.
    """

    name = 'nvml'

    def __init__(self, session: NvmlSession, files: DeviceFiles) -> None:
        self.device = session.device
        self._session = session
        self._files = files
        self._refused = ''
        self._locked_mhz: int | None = None
        self._levels_mhz = self._supported_mhz()

    @property
    def available_frequencies_hz(self) -> tuple[float, ...]:
        """What the card listed when this was made; empty where it lists nothing."""
        return tuple(float(mhz * _HZ) for mhz in self._levels_mhz)

    def limits_hz(self) -> None:
        """NVML does not tell."""
        return

    def frequency_hz(self) -> float:
        """The graphics clock now; NaN where the card does not tell."""
        try:
            return float(self._running_mhz() * _HZ) or math.nan
        except NvmlUnsupportedError:
            return math.nan

    def set_frequency(self, frequency_hz: float) -> float:
        """Lock to one level; HardwareError too when the card still runs above it after 0.2 s."""
        level_hz = level_for(self.available_frequencies_hz, frequency_hz)
        self._lock(round(level_hz / _HZ))
        return level_hz

    def access(self) -> str:
        """Whether the card has levels and this process may lock them, as far as is known."""
        if not self._levels_mhz:
            return self._refused or f'{self.device} lists no clocks to lock'
        if self._refused:
            return self._refused
        return '' if self._privileged() else f'{self.device}: {_HOW_TO_PERMIT}'

    def state(self) -> dict[str, str]:
        """What this process has locked the card to [MHz]; empty for nothing."""
        return {LOCKED: '' if self._locked_mhz is None else str(self._locked_mhz)}

    def restore(self, state: Mapping[str, str]) -> None:
        """Lock to what a state says, or reset; nothing is done when it is no state of this card."""
        text = state.get(LOCKED)
        levels = {str(mhz): mhz for mhz in self._levels_mhz}
        if text == '':
            self.release()
        elif text in levels:
            self._lock(levels[text])
        else:
            raise HardwareError(
                f'{self.device}: {dict(state)} is no state of this card; allowed: {LOCKED} with '
                'one of its levels or empty; nothing was changed'
            )

    def release(self) -> None:
        """Reset the locked clocks."""
        self._session.call('nvmlDeviceResetGpuLockedClocks')
        self._locked_mhz = None

    def _supported_mhz(self) -> list[int]:
        try:
            memory_mhz = self._session.call('nvmlDeviceGetSupportedMemoryClocks')
            if not memory_mhz:
                return []
            function = 'nvmlDeviceGetSupportedGraphicsClocks'
            return sorted({int(mhz) for mhz in self._session.call(function, max(memory_mhz))})
        except NvmlUnsupportedError as error:
            self._refused = str(error)
            return []

    def _running_mhz(self) -> int:
        graphics = self._session.constant('NVML_CLOCK_GRAPHICS')
        return int(self._session.call('nvmlDeviceGetClockInfo', graphics))

    def _lock(self, mhz: int) -> None:
        try:
            self._session.call('nvmlDeviceSetGpuLockedClocks', mhz, mhz)
        except (NvmlPermissionError, NvmlUnsupportedError) as error:
            self._refused = str(error)
            raise
        self._refused = ''
        self._locked_mhz = mhz
        with contextlib.suppress(NvmlUnsupportedError):
            self._settle(mhz)

    def _settle(self, mhz: int) -> None:
        give_up_s = time.monotonic() + _SETTLE_S
        while (running_mhz := self._running_mhz()) > mhz + _STEP_MHZ:
            if time.monotonic() >= give_up_s:
                raise HardwareError(
                    f'{self.device}: locked to {mhz} MHz, still runs at {running_mhz} MHz after '
                    f'{_SETTLE_S:g} s: something else sets its clocks too (nvidia-smi, DCGM)'
                )
            time.sleep(_POLL_S)

    def _privileged(self) -> bool:
        """Whether the driver takes this process for an administrator; True where not known.

        NVIDIA/open-gpu-kernel-modules kernel-open/common/inc/nv-linux.h: NV_IS_SUSER().
        """
        try:
            lines = self._files.read('/proc/self/status').splitlines()
        except OSError:
            return True
        effective = next((line.split()[1] for line in lines if line.startswith('CapEff:')), '')
        return not effective or bool(int(effective, 16) >> _CAP_SYS_ADMIN & 1)
