"""Triton Inference Server without a container: the binary inside NVIDIA's PyTriton wheel.

Its only backend is Python, in a Python environment of its own, since that binary needs NumPy 1.
What else the models import (OpenCV, ONNX Runtime) is taken from the environment this runs in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

from visionscaling_ros.errors import EdgeError

WHEEL = 'nvidia-pytriton==0.7.0'  # Triton 2.51
NUMPY = 'numpy<2'
_PYTHON = f'{sys.version_info.major}.{sys.version_info.minor}'
_PACKAGES = sysconfig.get_path('purelib')
# One for each environment whose packages it uses.
_KEY = hashlib.sha256(f'{sys.base_prefix} {_PACKAGES}'.encode()).hexdigest()[:8]
NAME = f'{WHEEL.replace("==", "-")}-python{_PYTHON}-{_KEY}'
INSTALL_TIMEOUT_S = 600.0


class TritonInstallation:
    """What :func:`install_triton` made, in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._server = folder / 'wheel' / 'pytriton' / 'tritonserver'
        self._libraries = folder / 'wheel' / 'nvidia_pytriton.libs'
        self._python = folder / 'python'

    @property
    def command(self) -> list[str]:
        """The program, with the folder of its backends."""
        backends = self._server / 'backends'
        return [str(self._server / 'bin' / 'tritonserver'), f'--backend-directory={backends}']

    @property
    def environment(self) -> dict[str, str]:
        """The environment to start it in: no ROS and no other Python than its own."""
        kept = ('HOME', 'LANG', 'TMPDIR', 'USER')
        libraries = [str(self._libraries), sysconfig.get_config_var('LIBDIR') or '']
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            'PATH': f'{self._python / "bin"}:/usr/bin:/bin',
            'LD_LIBRARY_PATH': ':'.join(filter(None, libraries)),
        }


def install_triton(folder: Path) -> TritonInstallation:
    """Install it below ``folder`` unless it is there; takes some seconds and 200 MB.

    :raises EdgeError: it cannot be had here, and why.
    """
    home = folder / NAME
    if not home.is_dir():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix='.partial-', dir=folder) as partial:
                made = Path(partial) / NAME
                _install(made)
                if not home.is_dir():  # another process was not quicker
                    made.rename(home)
        except OSError as error:
            raise EdgeError(f'{folder}: Triton cannot be installed there: {error}') from error
    return TritonInstallation(home)


def _install(home: Path) -> None:
    wheel = home / 'wheel'
    _pip('--target', str(wheel), WHEEL)
    server = wheel / 'pytriton' / 'tritonserver'
    stub = server / 'python_backend_stubs' / _PYTHON / 'triton_python_backend_stub'
    if not stub.is_file():
        raise EdgeError(f'{WHEEL} is not for Python {_PYTHON}')
    shutil.copy(stub, server / 'backends' / 'python')
    venv.create(home / 'python')
    packages = home / 'python' / 'lib' / f'python{_PYTHON}' / 'site-packages'
    _pip('--target', str(packages), NUMPY)
    # NumPy comes before these. A path in a file is not searched for such files itself: what ROS
    # does at the start of every Python from its wheels stays out.
    (packages / 'others.pth').write_text(_PACKAGES, encoding='utf-8')


def _pip(*arguments: str) -> None:
    command = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise EdgeError(f'{arguments[-1]} was not installed in {INSTALL_TIMEOUT_S} s') from error
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ['pip failed']
        raise EdgeError(f'{arguments[-1]} cannot be installed: {reason[0]}')
