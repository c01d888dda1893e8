"""A file of sysfs that is read many times a second."""

from __future__ import annotations

import os

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.device_files import DeviceFiles

MAX_BYTES = 64  # of a number or a word
CHECK_EVERY = 8


class Attribute:
    """Keeps its file open: a read from offset 0 makes the kernel fill it anew.

    Source: kernel.org/doc/Documentation/filesystems/sysfs.rst, "Reading/Writing Attribute Data".
    The kernel tells of a device that went; that a plain file was removed or replaced is seen
    after at most CHECK_EVERY reads. Then it is opened again. For one thread.
    """

    def __init__(self, files: DeviceFiles, path: str) -> None:
        self.path = path
        self._files = files
        self._descriptor = -1
        self._unchecked = 0  # reads until the file is looked at again

    def text(self) -> str:
        """What it holds, without white space around it; raises HardwareError."""
        return self._read().decode('utf-8', errors='replace').strip()

    def number(self) -> int:
        """The whole number it holds; raises HardwareError for anything else."""
        if self._unchecked:  # the short way, for what is read hundreds of times a second
            self._unchecked -= 1
            try:
                return int(os.pread(self._descriptor, MAX_BYTES, 0))
            except (OSError, ValueError):
                self._unchecked = 0  # looked at again, and told if it stays so
        data = self._read()
        try:
            return int(data)
        except ValueError:
            raise HardwareError(f'{self.path} holds {data!r}, not a whole number') from None

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        self._unchecked = 0
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> bytes:
        try:
            if self._descriptor >= 0 and os.fstat(self._descriptor).st_nlink:
                self._unchecked = CHECK_EVERY
                return os.pread(self._descriptor, MAX_BYTES, 0)
        except OSError:  # ENODEV after its driver was loaded again, for example
            pass
        self.close()
        try:
            self._descriptor = os.open(self._files.real(self.path), os.O_RDONLY | os.O_CLOEXEC)
            self._unchecked = CHECK_EVERY
            return os.pread(self._descriptor, MAX_BYTES, 0)
        except OSError as error:
            self.close()
            raise HardwareError(f'{self.path} cannot be read: {error.strerror}') from error


def word(files: DeviceFiles, path: str) -> str:
    """What a file holds that is read once; '' where it cannot be read."""
    try:
        return files.read(path)
    except OSError:
        return ''
