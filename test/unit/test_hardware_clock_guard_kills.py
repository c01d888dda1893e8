"""A guard that is killed before any of its steps on files leaves what its successor can undo."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import hardware_trees
import pytest

from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock

STEPS = {'open', 'os.rename', 'os.remove', 'os.mkdir'}  # audited before they are done
GPU = '/sys/class/devfreq/17000000.gpu'
MOST_STEPS = 500


def killed_before_step(number: int, folder: Path, work: Callable[[], None]) -> bool:
    """Do the work in a process that kills itself before that step below a folder; did it?"""
    child = os.fork()
    if child == 0:
        left = [number]

        def count(event: str, arguments: tuple[object, ...]) -> None:
            if event in STEPS and str(arguments[0]).startswith(str(folder)):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1

        try:
            sys.addaudithook(count)
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def set_and_restore(tree: hardware_trees.Tree, state_file: Path) -> None:
    guard = ClockGuard(DevfreqGpuClock(tree.files), state_file)
    guard.restore_leftover()
    guard.set_frequency(510e6)
    guard.set_frequency(306e6)
    guard.release()
    guard.set_frequency(1020e6)
    guard.close()


@pytest.mark.parametrize('left_before', [False, True])
def test_killed_before_any_step_nothing_is_lost(tmp_path: Path, left_before: bool) -> None:
    tree = hardware_trees.agx_orin(tmp_path / 'machine')
    tree.write(f'{GPU}/max_freq', 1122000000)  # a power mode's bound, not the governor's own
    before = tree.contents()
    found = DevfreqGpuClock(tree.files).state()
    state_file = tmp_path / 'state' / 'found'
    for number in range(MOST_STEPS):
        if left_before:  # by one that was killed after it had set the clock
            last = killed_before_step(MOST_STEPS, tmp_path, lambda: leave_set(tree, state_file))
            assert not last
            assert tree.contents() != before
        killed = killed_before_step(number, tmp_path, lambda: set_and_restore(tree, state_file))
        if tree.contents() != before or state_file.exists():
            assert json.loads(state_file.read_text())['state'] == found, f'before step {number}'
        with ClockGuard(DevfreqGpuClock(tree.files), state_file) as successor:
            successor.restore_leftover()
        assert tree.contents() == before, f'before step {number}'
        assert sorted(path.name for path in state_file.parent.iterdir()) == ['found.lock']
        if not killed:
            break
    assert 30 < number < MOST_STEPS


def leave_set(tree: hardware_trees.Tree, state_file: Path) -> None:
    ClockGuard(DevfreqGpuClock(tree.files), state_file).set_frequency(714e6)
