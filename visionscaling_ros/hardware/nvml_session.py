"""NVML opened for one NVIDIA card, its errors in words."""

from __future__ import annotations

import importlib
from typing import Any

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.closing import ClosedAtExit

LIBRARY = 'libnvidia-ml.so.1'  # comes with the driver


class NvmlUnsupportedError(HardwareError):
    """The card or its driver does not offer what was asked for."""


class NvmlPermissionError(HardwareError):
    """The driver lets only administrators do what was asked for."""


class NvmlLostError(HardwareError):
    """The card fell off the bus or waits for a reset."""


class NvmlSession(ClosedAtExit):
    """One card through the Python binding nvidia-ml-py (module pynvml), loaded when this is made.

    Raises HardwareError naming what is missing: the binding, the driver's library, the driver,
    the card. NVML counts its users itself, so a process may hold several sessions; after
    ``close`` a session raises HardwareError. Calls may come from several threads.

    :param device: index ('0') or UUID ('GPU-...') of the card; empty: the first.
    """

    def __init__(self, device: str = '') -> None:
        try:
            self._pynvml: Any = importlib.import_module('pynvml')
        except ImportError as error:
            raise HardwareError(
                'NVML needs the Python package nvidia-ml-py, which is not installed: '
                'pip install nvidia-ml-py'
            ) from error
        self._open = False
        self.device = f'NVIDIA card {device or "0"}'
        self._checked('nvmlInit')
        self._open = True
        try:
            self._handle = self._find(device)
            self.index = int(self.call('nvmlDeviceGetIndex'))
            self.uuid = str(self.call('nvmlDeviceGetUUID'))
            self.device = f'{self.call("nvmlDeviceGetName")} ({self.uuid})'
        except BaseException:
            self.close()
            raise

    def call(self, function: str, *arguments: Any) -> Any:
        """What ``pynvml.<function>(card, *arguments)`` returns.

        Raises NvmlUnsupportedError, NvmlPermissionError, NvmlLostError or another HardwareError,
        each naming the card, the function and what to do.
        """
        if not self._open:
            raise HardwareError(f'{self.device}: NVML was closed before {function}')
        return self._checked(function, self._handle, *arguments)

    def supports(self, function: str, *arguments: Any) -> bool:
        """Whether the card answers that call; raises HardwareError for any other trouble."""
        try:
            self.call(function, *arguments)
        except NvmlUnsupportedError:
            return False
        return True

    def constant(self, name: str) -> Any:
        """A constant of the binding, for example ``NVML_CLOCK_GRAPHICS``."""
        return getattr(self._pynvml, name)

    def close(self) -> None:
        """Give NVML back; it may be called twice."""
        if not self._open:
            return
        self._open = False
        try:
            self._pynvml.nvmlShutdown()
        except self._pynvml.NVMLError:
            return  # a driver that is gone has nothing left to give back

    def _find(self, device: str) -> Any:
        if device.startswith(('GPU-', 'MIG-')):
            return self._checked('nvmlDeviceGetHandleByUUID', device.encode())
        count = int(self._checked('nvmlDeviceGetCount'))
        index = int(device) if device.isdecimal() else 0 if not device else -1
        if not 0 <= index < count:
            allowed = ', '.join(map(str, range(count))) or 'none: the driver has no card'
            raise HardwareError(
                f'device = {device!r}: no such NVIDIA card; allowed: {allowed}, or a UUID as '
                'nvidia-smi -L lists'
            )
        return self._checked('nvmlDeviceGetHandleByIndex', index)

    def _checked(self, function: str, *arguments: Any) -> Any:
        try:
            return getattr(self._pynvml, function)(*arguments)
        except self._pynvml.NVMLError as error:
            raise self._in_words(function, error) from error

    def _in_words(self, function: str, error: Any) -> HardwareError:
        unknown = HardwareError, f'{error} (NVML error {error.value})'
        kind, words = _WORDS.get(error.value, unknown)
        if function == 'nvmlInit':
            return kind(words)
        return kind(f'{self.device}: {function}: {words}')


# by NVML's return codes, nvml.h nvmlReturn_t, which never change
_WORDS: dict[int, tuple[type[HardwareError], str]] = {
    2: (HardwareError, 'refused as invalid; nvidia-smi -L lists the cards there are'),
    3: (NvmlUnsupportedError, 'not offered by this card or its driver'),
    4: (NvmlPermissionError, 'not permitted: the driver asks for CAP_SYS_ADMIN (root)'),
    6: (HardwareError, 'no such card; nvidia-smi -L lists those there are'),
    9: (HardwareError, "NVIDIA's driver is installed but not loaded: modprobe nvidia"),
    12: (HardwareError, f"{LIBRARY} not found: NVIDIA's driver is not installed here"),
    13: (NvmlUnsupportedError, 'not known to the installed driver, which is too old for it'),
    15: (NvmlLostError, 'the card is lost: reboot'),
    16: (NvmlLostError, 'the card needs a reset: reboot'),
    18: (HardwareError, 'the driver was updated and its old version still runs: reboot'),
}
