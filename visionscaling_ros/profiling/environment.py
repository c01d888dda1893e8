"""On what a device was measured, without dates or names of people or places."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from visionscaling_ros import __version__

CPU_INFO = Path('/proc/cpuinfo')
DEVICE_MODEL = Path('/proc/device-tree/model')  # boards say there what they are
PACKAGES = ('torch', 'numpy', 'opencv-python-headless', 'onnxruntime', 'openvino')


def environment(threads: int) -> dict[str, str | int]:
    """Machine, its processor, and the versions of what ran on it.

    :param threads: CPU threads the networks used.
    """
    return {
        'machine': platform.machine(),
        'processor': _first(_board(), _cpu_name(), platform.processor(), 'unknown'),
        'cpu_count': os.cpu_count() or 1,
        'threads': threads,
        'python': platform.python_version(),
        'visionscaling_ros': __version__,
        **{name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ''


def _board() -> str:
    return _text(DEVICE_MODEL).strip('\0\n ')


def _cpu_name() -> str:
    for line in _text(CPU_INFO).splitlines():
        key, _, value = line.partition(':')
        if key.strip() in {'model name', 'Model'}:
            return value.strip()
    return ''


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8', errors='replace')
    except OSError:
        return ''


def _first(*texts: str) -> str:
    return next(filter(None, texts), '')
