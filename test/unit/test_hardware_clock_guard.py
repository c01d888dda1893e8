"""A clock is left as it was found, whatever happens to whoever set it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import visionscaling_ros
from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import EmulatedGpuClock
from visionscaling_ros.hardware.clocks.found_record import boot_id
from visionscaling_ros.hardware.clocks.no_gpu_clock import NoGpuClock

HOLDER = """
import sys, random
from pathlib import Path
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import EmulatedGpuClock
folder = Path(sys.argv[1])
guard = ClockGuard(EmulatedGpuClock(folder / 'register'), folder / 'found')
guard.restore_leftover()
print(guard.set_frequency(408e6), flush=True)
while True:
    level = random.choice(guard.clock.available_frequencies_hz)
    guard.set_frequency(level)
    if random.random() < 0.2:
        guard.release()
"""


def make_guard(folder: Path) -> ClockGuard:
    return ClockGuard(EmulatedGpuClock(folder / 'register'), folder / 'found')


def write_record(
    folder: Path,
    *,
    device: str = '',
    state: Mapping[str, str] | None = None,
    boot_id: str = '',
) -> None:
    record = {
        'backend': 'emulated',
        'device': device or str(folder / 'register'),
        'state': {'register': '1'} if state is None else dict(state),
        'boot_id': boot_id,
    }
    (folder / 'found').write_text(json.dumps(record))


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[ClockGuard]:
    guard = make_guard(tmp_path)
    yield guard
    guard.close()


def start_holder(folder: Path) -> subprocess.Popen[str]:
    root = Path(visionscaling_ros.__file__).parents[1]
    holder = subprocess.Popen(
        [sys.executable, '-c', HOLDER, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    )
    assert holder.stdout is not None
    assert float(holder.stdout.readline()) == 408e6
    return holder


@pytest.mark.parametrize('found_hz', [None, 306e6, 816e6])
def test_close_restores_what_was_found(tmp_path: Path, found_hz: float | None) -> None:
    clock = EmulatedGpuClock(tmp_path / 'register')
    if found_hz:
        clock.set_frequency(found_hz)
    found = clock.state()
    with ClockGuard(clock, tmp_path / 'found') as guard:
        assert guard.set_frequency(500e6) == 510e6
        assert guard.set_frequency(1e9) == 1020e6
        assert clock.frequency_hz() == 1020e6
    assert clock.state() == found
    assert not (tmp_path / 'found').exists()


def test_an_exception_restores_too(tmp_path: Path) -> None:
    clock = EmulatedGpuClock(tmp_path / 'register')

    def fail_while_set() -> None:
        with ClockGuard(clock, tmp_path / 'found') as guard:
            guard.set_frequency(306e6)
            raise KeyError

    with pytest.raises(KeyError):
        fail_while_set()
    assert clock.frequency_hz() == 1300.5e6


def test_the_state_found_is_on_disk_while_the_clock_is_set(
    tmp_path: Path, guard: ClockGuard
) -> None:
    assert not (tmp_path / 'found').exists()
    guard.set_frequency(306e6)
    record = json.loads((tmp_path / 'found').read_text())
    assert record['state'] == {'register': ''}
    assert guard.release()
    assert not (tmp_path / 'found').exists()
    assert not guard.release()


def test_identical_sets_are_skipped_unless_something_else_changed_the_clock(
    tmp_path: Path, guard: ClockGuard
) -> None:
    for _ in range(5):
        guard.set_frequency(510e6)
    assert guard.writes == 1
    EmulatedGpuClock(tmp_path / 'register').set_frequency(714e6)
    assert guard.set_frequency(510e6) == 510e6
    assert guard.writes == 2


def test_at_the_wanted_level_already_the_first_set_still_takes_the_clock(
    guard: ClockGuard,
) -> None:
    guard.set_frequency(1300.5e6)
    assert guard.writes == 1


def test_a_bad_frequency_changes_nothing(tmp_path: Path, guard: ClockGuard) -> None:
    with pytest.raises(InvalidValueError):
        guard.set_frequency(-1.0)
    assert not (tmp_path / 'register').exists()
    assert not (tmp_path / 'found').exists()


def test_a_clock_without_levels_is_never_written(tmp_path: Path) -> None:
    with ClockGuard(NoGpuClock(), tmp_path / 'found') as guard:
        with pytest.raises(HardwareError):
            guard.set_frequency(1e9)
        assert not (tmp_path / 'found').exists()


def test_nothing_is_set_when_the_state_found_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    guard = ClockGuard(EmulatedGpuClock(tmp_path / 'register'), tmp_path / 'file' / 'found')
    with pytest.raises(HardwareError, match='found'):
        guard.set_frequency(306e6)
    assert guard.clock.frequency_hz() == 1300.5e6


def test_a_second_owner_is_refused_by_name_until_the_first_is_gone(tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    second = make_guard(tmp_path)
    with pytest.raises(HardwareError, match=str(holder.pid)):
        second.set_frequency(306e6)
    with pytest.raises(HardwareError, match=str(holder.pid)):
        second.restore_leftover()
    assert second.release() is False
    holder.kill()
    holder.communicate()
    assert second.set_frequency(306e6) == 306e6
    second.close()
    assert second.clock.state() == {'register': ''}


def test_kill_9_at_random_moments_never_leaves_the_clock_set(tmp_path: Path) -> None:
    clock = EmulatedGpuClock(tmp_path / 'register')
    clock.set_frequency(918e6)
    found = clock.state()
    for _ in range(8):
        holder = start_holder(tmp_path)
        timer = threading.Timer(random.uniform(0.0, 0.02), holder.send_signal, [signal.SIGKILL])
        timer.start()
        holder.communicate()
        with make_guard(tmp_path) as successor:
            successor.restore_leftover()
            assert clock.state() == found
    assert not (tmp_path / 'found').exists()


def test_a_leftover_is_restored_once(tmp_path: Path) -> None:
    holder = start_holder(tmp_path)
    holder.kill()
    holder.communicate()
    (tmp_path / 'register').write_text('306000000.0\n')
    write_record(tmp_path, state={'register': '714000000.0'})
    with make_guard(tmp_path) as successor:
        assert successor.restore_leftover()
        assert successor.clock.frequency_hz() == 714e6
        assert not successor.restore_leftover()


@pytest.mark.parametrize('damage', ['', '{', '[]', '{"device": 1}', 'null', '[' * 9999])
def test_a_damaged_leftover_brings_the_stock_state(tmp_path: Path, damage: str) -> None:
    (tmp_path / 'register').write_text('306000000.0')
    (tmp_path / 'found').write_text(damage)
    with make_guard(tmp_path) as successor:
        assert successor.restore_leftover()
        assert successor.clock.frequency_hz() == 1300.5e6
    assert not (tmp_path / 'found').exists()


def test_a_leftover_of_another_device_is_not_applied(tmp_path: Path) -> None:
    write_record(tmp_path, device='other')
    guard = make_guard(tmp_path)
    with pytest.raises(HardwareError, match='other'):
        guard.restore_leftover()
    with pytest.raises(HardwareError, match='other'):
        guard.set_frequency(306e6)
    assert not (tmp_path / 'register').exists()
    assert (tmp_path / 'found').exists()


def test_a_killed_owners_level_is_never_taken_for_the_state_found(tmp_path: Path) -> None:
    clock = EmulatedGpuClock(tmp_path / 'register')
    clock.set_frequency(714e6)
    found = clock.state()
    holder = start_holder(tmp_path)
    holder.kill()
    holder.communicate()
    clock.set_frequency(306e6)
    if not (tmp_path / 'found').exists():  # it was killed between two of its sets
        write_record(tmp_path, state=found)
    with make_guard(tmp_path) as successor:  # without asking for restore_leftover
        successor.set_frequency(510e6)
        assert json.loads((tmp_path / 'found').read_text())['state'] == found
    assert clock.state() == found


def test_a_record_that_was_cleaned_away_is_written_again(tmp_path: Path, guard: ClockGuard) -> None:
    guard.set_frequency(306e6)
    before = (tmp_path / 'found').read_text()
    (tmp_path / 'found').unlink()
    guard.set_frequency(306e6)
    assert (tmp_path / 'found').read_text() == before
    guard.release()
    assert guard.clock.state() == {'register': ''}


def test_unfinished_files_of_killed_owners_are_removed(tmp_path: Path, guard: ClockGuard) -> None:
    (tmp_path / 'found.12345.new').write_text('{')
    guard.own()
    assert not (tmp_path / 'found.12345.new').exists()


class ResetAtBoot(EmulatedGpuClock):
    outlives_reboot = False


def test_after_a_reboot_a_record_is_dropped_and_said(tmp_path: Path) -> None:
    clock = ResetAtBoot(tmp_path / 'register')
    clock.set_frequency(306e6)
    write_record(tmp_path, state={'register': '714000000.0'}, boot_id='another')
    said: list[str] = []
    with ClockGuard(clock, tmp_path / 'found', said.append) as guard:
        assert guard.restore_leftover() is False
    assert clock.frequency_hz() == 306e6
    assert not (tmp_path / 'found').exists()
    assert 'which reset it' in said[0]


@pytest.mark.parametrize('boot', ['', boot_id()])
def test_without_a_reboot_as_far_as_is_known_it_is_restored(tmp_path: Path, boot: str) -> None:
    clock = ResetAtBoot(tmp_path / 'register')
    clock.set_frequency(306e6)
    write_record(tmp_path, state={'register': '714000000.0'}, boot_id=boot)
    with ClockGuard(clock, tmp_path / 'found') as guard:
        assert guard.restore_leftover() is True
    assert clock.frequency_hz() == 714e6


def test_what_outlives_a_reboot_is_restored_after_one(tmp_path: Path) -> None:
    write_record(tmp_path, state={'register': '714000000.0'}, boot_id='another')
    with make_guard(tmp_path) as guard:
        assert guard.restore_leftover() is True
        assert guard.clock.frequency_hz() == 714e6


class Untellable(EmulatedGpuClock):
    def limits_hz(self) -> None:  # type: ignore[override]
        return


def test_a_clock_that_does_not_tell_is_written_again_after_an_error_only(tmp_path: Path) -> None:
    with ClockGuard(Untellable(tmp_path / 'register'), tmp_path / 'found') as guard:
        guard.set_frequency(510e6)
        guard.set_frequency(510e6)
        assert guard.writes == 1
        guard.release()
        guard.set_frequency(510e6)
        assert guard.writes == 2


class Refusing(EmulatedGpuClock):
    held = ''  # by heat

    def restore(self, state: Mapping[str, str]) -> None:
        if self.held:
            super().restore({'register': self.held})
        raise HardwareError('the governor is gone')

    def limits_hz(self) -> tuple[float, float]:
        return (306e6, 918e6) if self.held else super().limits_hz()


def test_a_state_that_cannot_be_restored_leaves_the_device_to_its_governor(tmp_path: Path) -> None:
    said: list[str] = []
    clock = Refusing(tmp_path / 'register')
    with ClockGuard(clock, tmp_path / 'found', said.append) as guard:
        guard.set_frequency(306e6)
        assert guard.release() is True
        assert clock.frequency_hz() == 1300.5e6
        assert not guard.engaged
    assert 'the governor is gone' in said[0]


def test_a_state_that_is_restored_but_for_heat_is_kept_for_another_try(tmp_path: Path) -> None:
    clock = Refusing(tmp_path / 'register')
    guard = ClockGuard(clock, tmp_path / 'found')
    guard.set_frequency(306e6)
    clock.held = '918000000.0'
    with pytest.raises(HardwareError, match='governor is gone'):
        guard.release()
    assert guard.engaged
    assert (tmp_path / 'found').exists()
    assert clock.state() == {'register': '918000000.0'}
    clock.held = ''
    guard.close()
