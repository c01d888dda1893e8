"""NVIDIA cards in a text file, seen through the real nvidia-ml-py and a C library built here."""

from __future__ import annotations

import ctypes
import fcntl
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name('fake_nvml.c')
LIBRARY = 'libnvidia-ml.so.1'

# return codes of nvml.h
NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, GPU_IS_LOST = 3, 4, 9, 15

CARD: dict[str, object] = {
    'name': 'NVIDIA Fake 4000',
    'memory_clocks_mhz': '7001,5001,405',
    'graphics_clocks_mhz': '1980,1500,1200,900,600,345',
    'clock_mhz': 1980,
    'locked_mhz': 0,
    'power_mw': 74_250,
    'energy_mj': 123_456_789,
    'temperature_c': 47,
    'reasons': 0,
    'gpu_percent': 35,
}


@functools.cache
def library() -> Path:
    """The built library; skips the test on a machine without a C compiler."""
    compiler = shutil.which('cc') or shutil.which('gcc') or shutil.which('clang')
    if compiler is None:
        pytest.skip('no C compiler to build the fake NVML with')
    built = Path(tempfile.mkdtemp(prefix='fake_nvml-')) / LIBRARY
    subprocess.run(
        [compiler, '-shared', '-fPIC', '-O1', '-Wall', '-Wextra', '-Werror',
         f'-Wl,-soname,{LIBRARY}', '-o', str(built), str(SOURCE)],
        check=True,
    )  # fmt: skip
    return built


class FakeNvml:
    """The cards, for this process once ``install`` ran and for others started with ``env``.

    :param state: the file.
    """

    def __init__(self, state: Path, cards: int = 1) -> None:
        self._state = state
        values: dict[str, object] = {'count': cards}
        for card in range(cards):
            values |= {f'{card}.{key}': value for key, value in CARD.items()}
            values[f'{card}.uuid'] = f'GPU-{card:08d}-fake'
        state.write_text(''.join(f'{key}={value}\n' for key, value in values.items()))

    @property
    def env(self) -> dict[str, str]:
        """Environment variables by which another process loads it."""
        return {
            'FAKE_NVML_STATE': str(self._state),
            'LD_LIBRARY_PATH': str(library().parent),
        }

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have this process's nvidia-ml-py use it until the test ends."""
        import pynvml

        monkeypatch.setenv('FAKE_NVML_STATE', str(self._state))
        monkeypatch.setattr(pynvml, 'nvmlLib', ctypes.CDLL(str(library())))
        monkeypatch.setattr(pynvml, '_nvmlGetFunctionPointer_cache', {})

    def get(self, key: str) -> str:
        """A value, for example of '0.locked_mhz'; empty when it is not there."""
        return self._values().get(key, '')

    def set(self, **values: object) -> None:
        """Change values of card 0; None takes one away."""
        self._change({f'0.{key}': value for key, value in values.items()})

    def fail(self, function: str, code: int | None) -> None:
        """Have a function return an error for all cards; None: no longer."""
        self._change({f'error.{function}': code})

    def _values(self) -> dict[str, str]:
        lines = self._state.read_text().splitlines()
        return dict(line.split('=', 1) for line in lines)

    def _change(self, values: dict[str, object]) -> None:
        with self._state.open('r+') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            kept = {**dict(line.rstrip('\n').split('=', 1) for line in file), **values}
            file.seek(0)
            file.truncate()
            file.writelines(f'{key}={value}\n' for key, value in kept.items() if value is not None)


@pytest.fixture
def fake_nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """One card, installed."""
    fake = FakeNvml(tmp_path / 'nvml_state')
    fake.install(monkeypatch)
    return fake
