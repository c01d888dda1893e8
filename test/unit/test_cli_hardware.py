"""``visionscaling hardware`` tells what there is, changes nothing, and checks without a trace."""

from __future__ import annotations

import argparse
import errno
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fake_nvml import FakeNvml
from hardware_trees import TREES, Tree

from visionscaling_ros.cli import hardware, hardware_check
from visionscaling_ros.cli.hardware_check import signals_held
from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.graph.supervised_process import SupervisedProcess
from visionscaling_ros.hardware.clock_check import LevelCheck, check_clock
from visionscaling_ros.hardware.clockd.clockd_gpu_clock import ClockdGpuClock
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.machine_model import machine_model
from visionscaling_ros.hardware.state_file import state_file_of
from visionscaling_ros.trials.clock_kills.helper_process import (
    helper_command,
    helper_socket,
    wait_for_helper,
)

PROGRAM = (
    'import argparse, sys; from visionscaling_ros.cli import hardware; '
    'parser = argparse.ArgumentParser(); hardware.add_arguments(parser); '
    'sys.exit(hardware.run(parser.parse_args()))'
)


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv('VISIONSCALING_STATE_HOME', str(tmp_path))
    monkeypatch.setenv('COLUMNS', '80')


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Tree]:
    def build(name: str) -> Tree:
        root = tmp_path / 'machine'
        root.mkdir()
        return TREES[name](root)

    return build


def _run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    hardware.add_arguments(parser)
    return hardware.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.mark.parametrize('name', TREES)
def test_every_machine_is_told_within_80_columns_and_left_as_it_is(
    name: str, make: Callable[[str], Tree], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tree = make(name)
    before = tree.contents()
    report = tmp_path / 'report.json'
    status = _run('--root', tree.root, '--json', report)
    said = capsys.readouterr().out
    assert tree.contents() == before
    assert status == (1 if name == 'bare' else 0)
    assert all(len(line) <= 80 for line in said.splitlines()[:-1])
    document = json.loads(report.read_text(encoding='utf-8'))
    levels = {clock['device']: clock['levels_hz'] for clock in document['clocks']}
    if tree.gpu:
        assert document['clock']['backend'] == 'jetson'
        assert levels[tree.gpu] == list(tree.levels_hz)
        assert tree.gpu.rpartition('/')[2] in said
        assert document['meter']['backend'] == 'ina3221'
        assert 40.0 < document['thermometer']['temperature_c'] < 50.0
        for meter in document['meters']:
            for rail, power_w in meter['rails_w'].items():
                assert rail in said
                assert power_w >= 0.0


def test_a_machine_with_nothing_gets_a_short_answer(
    make: Callable[[str], Tree], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run('--root', make('bare').root) == 1
    said = capsys.readouterr().out
    assert 'Nothing here can be set or measured' in said
    assert len(said.splitlines()) < 25
    assert 'helper' not in said


def test_json_on_the_output_is_alone_there(
    make: Callable[[str], Tree], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run('--root', make('tx2').root, '--json', '-') == 0
    output = capsys.readouterr()
    document = json.loads(output.out)
    assert document['machine'] == 'quill'
    assert document['temperatures_c']['GPU-therm'] == pytest.approx(42.0)
    assert 'Clocks' in output.err


def test_a_clock_that_may_not_be_written_says_what_to_do(
    make: Callable[[str], Tree],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DeviceFiles, 'may_write', lambda self, path: False)  # root may anything
    tree = make('orin_nano')
    _run('--root', tree.root, '--json', '-', '--helper-socket', tree.root / 'no_socket')
    (clock, *_) = json.loads(capsys.readouterr().out)['clocks']
    assert clock['access'] == 'not'
    assert 'may not be written by this user' in clock['advice']
    assert 'install-helper' in clock['advice']


@pytest.mark.parametrize(
    ('arguments', 'allowed'),
    [
        (('--backend', 'amd'), 'jetson, nvml, cpufreq'),
        (('--backend', 'emulated'), 'it works anywhere'),
        (('--root', '/no/such/folder'), 'a folder'),
    ],
)
def test_wrong_arguments_name_what_is_allowed(arguments: tuple[str, str], allowed: str) -> None:
    with pytest.raises(InvalidValueError, match=allowed):
        _run(*arguments)


def test_a_named_device_that_is_not_there_names_those_that_are(
    make: Callable[[str], Tree],
) -> None:
    with pytest.raises(HardwareError, match=r'17000000\.gp10b'):
        _run('--root', make('tx2').root, '--backend', 'jetson', '--device', 'gpu7')


def test_a_pc_is_named_by_its_firmware(tmp_path: Path) -> None:
    tree = Tree('pc', tmp_path)
    assert machine_model(tree.files) == ''
    tree.write('/sys/class/dmi/id/sys_vendor', 'LENOVO')
    tree.write('/sys/class/dmi/id/product_name', '20XW')
    assert machine_model(tree.files) == 'LENOVO 20XW'


class Helped(NamedTuple):
    tree: Tree
    socket: Path


class _Machine:
    """A TX2 whose kernel can be told to refuse values."""

    def __init__(self, tree: Tree, refused: frozenset[str] = frozenset()) -> None:
        self.tree = tree
        self.refused = set(refused)
        self.written: list[tuple[str, str]] = []
        machine = self

        class Files(DeviceFiles):
            def write(self, path: str, text: str) -> None:
                if text in machine.refused:
                    raise OSError(errno.EINVAL, 'Invalid argument')
                machine.written.append((path, text))
                super().write(path, text)

        self.clock = DevfreqGpuClock(Files(tree.root))

    def guard(self) -> ClockGuard:
        return ClockGuard(self.clock, state_file_of(self.clock, self.tree.root))


def test_a_check_sets_every_level_and_leaves_no_trace(make: Callable[[str], Tree]) -> None:
    tree = make('tx2')
    before = tree.contents()
    machine = _Machine(tree)
    seen: list[LevelCheck] = []
    checks = check_clock(machine.guard(), hold_s=0.0, on_level=seen.append)
    assert seen == list(checks)
    assert [check.level_hz for check in checks] == list(tree.levels_hz)
    assert all(check.read_back_hz == check.level_hz and not check.trouble for check in checks)
    assert {text for _, text in machine.written} >= {str(level) for level in tree.levels_hz}
    assert tree.contents() == before
    assert not state_file_of(machine.clock, tree.root).exists()


def test_a_level_the_kernel_refuses_is_told_and_the_others_are_set(
    make: Callable[[str], Tree],
) -> None:
    tree = make('tx2')
    before = tree.contents()
    checks = check_clock(_Machine(tree, frozenset({'624750000'})).guard(), hold_s=0.0)
    (bad,) = (check for check in checks if check.trouble)
    assert bad.level_hz == 624.75e6
    assert 'refuses' in bad.trouble
    assert math.isnan(bad.read_back_hz)
    assert len(checks) == len(tree.levels_hz)
    assert tree.contents() == before


def test_levels_above_a_power_modes_cap_are_told_apart_and_no_failure(
    make: Callable[[str], Tree],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(hardware_check, 'HOLD_S', 0.0)
    tree, report = make('agx_orin'), tmp_path / 'report.json'
    tree.write(f'{tree.gpu}/max_freq', 612_000_000)
    before = tree.contents()
    assert _run('--root', tree.root, '--check', '--json', report) == 0
    said = capsys.readouterr().out
    assert said.count('capped at 612 MHz by the power mode') == 7
    assert "4 of 11 levels set, 7 above the power mode's 612 MHz; all is as" in said
    levels = json.loads(report.read_text(encoding='utf-8'))['check']
    assert [level['capped'] for level in levels] == [False] * 4 + [True] * 7
    assert tree.contents() == before


def test_a_check_leaves_a_clock_alone_that_another_owner_sets(
    make: Callable[[str], Tree],
) -> None:
    tree = make('tx2')
    machine, other = _Machine(tree), _Machine(tree)
    with other.guard() as owner:
        owner.set_frequency(624.75e6)
        with pytest.raises(HardwareError, match='already set by process'):
            check_clock(machine.guard(), hold_s=0.0)
        assert machine.written == []
        assert machine.clock.limits_hz() == (624.75e6, 624.75e6)


def test_an_error_in_the_middle_leaves_no_trace(make: Callable[[str], Tree]) -> None:
    tree = make('tx2')
    before = tree.contents()

    def fail(check: LevelCheck) -> None:
        if check.level_hz > 500e6:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        check_clock(_Machine(tree).guard(), hold_s=0.0, on_level=fail)
    assert tree.contents() == before


def test_a_clock_that_cannot_be_restored_is_an_error(make: Callable[[str], Tree]) -> None:
    tree = make('tx2')
    tree.write(f'{tree.gpu}/max_freq', 1_122_000_000)
    machine = _Machine(tree)

    def refuse(check: LevelCheck) -> None:
        machine.refused.add('1122000000')

    with pytest.raises(HardwareError, match=r'not as it was found|refuses'):
        check_clock(machine.guard(), hold_s=0.0, on_level=refuse)


def test_a_signal_takes_effect_when_all_is_done() -> None:
    def interrupted() -> None:
        with signals_held() as came:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            assert came == [signal.SIGINT, signal.SIGINT]

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_hang_up_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_held() as came:
            signal.raise_signal(signal.SIGHUP)
        assert came == []
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_check_early_and_restored(
    number: signal.Signals, make: Callable[[str], Tree]
) -> None:
    tree = make('agx_xavier')
    before = tree.contents()
    command = [sys.executable, '-c', PROGRAM, '--root', str(tree.root), '--check']
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if line.strip().startswith('216.75 MHz'):
                process.send_signal(number)
                break
        lines += process.stdout
        process.wait(30.0)
    assert process.returncode == -number
    assert 'as it was found' in lines[-1]
    assert len([line for line in lines if line.rstrip().endswith('ok')]) < len(tree.levels_hz)
    assert tree.contents() == before


@pytest.fixture
def helper(make: Callable[[str], Tree], monkeypatch: pytest.MonkeyPatch) -> Iterator[Helped]:
    """A machine that only a real helper in its own process may set."""
    tree = make('tx2')
    with tempfile.TemporaryDirectory() as folder:  # a socket's path must be short
        command = helper_command(tree.root, Path(folder), os.getuid())
        process = SupervisedProcess(command, os.environ, lambda line: None)
        process.start()
        try:
            wait_for_helper(process, Path(folder))
            monkeypatch.setattr(DeviceFiles, 'may_write', lambda self, path: False)
            yield Helped(tree, helper_socket(Path(folder)))
        finally:
            process.signal(signal.SIGTERM)
            process.wait()


def test_a_clock_is_set_and_checked_through_the_helper(
    helper: Helped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware_check, 'HOLD_S', 0.0)
    tree, report = helper.tree, tmp_path / 'report.json'
    before = tree.contents()
    options = ('--root', tree.root, '--helper-socket', helper.socket, '--json', report)
    assert _run(*options, '--check') == 0
    document = json.loads(report.read_text(encoding='utf-8'))
    assert document['clocks'][0]['access'] == 'through the helper'
    assert document['helper']['devices'] == [f'jetson {tree.gpu}']
    assert document['helper']['version']
    assert [level['read_back_hz'] for level in document['check']] == list(tree.levels_hz)
    assert tree.contents() == before


def test_a_clock_the_helper_sets_for_another_is_left_alone(helper: Helped) -> None:
    tree = helper.tree
    clock = ClockdGpuClock(DevfreqGpuClock(tree.files), helper.socket)
    clock.set_frequency(624.75e6)
    with pytest.raises(HardwareError, match='already set by process'):
        _run('--root', tree.root, '--helper-socket', helper.socket, '--check')
    assert clock.limits_hz() == (624.75e6, 624.75e6)
    clock.release()


def test_a_check_of_a_machine_without_a_clock_is_refused(make: Callable[[str], Tree]) -> None:
    with pytest.raises(HardwareError, match='nothing to check'):
        _run('--root', make('bare').root, '--check')


def test_a_check_is_in_the_json(
    make: Callable[[str], Tree], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make('cpu_board')
    report = tmp_path / 'report.json'
    monkeypatch.setattr(hardware_check, 'HOLD_S', 0.0)
    assert _run('--root', tree.root, '--check', '--json', report) == 0
    document: dict[str, Any] = json.loads(report.read_text(encoding='utf-8'))
    assert len(document['check']) == 13
    assert all(level['trouble'] == '' for level in document['check'])


def test_every_nvidia_card_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    FakeNvml(tmp_path / 'cards', 2).install(monkeypatch)
    _run('--backend', 'nvml', '--device', '1', '--helper-socket', '', '--json', '-')
    document = json.loads(capsys.readouterr().out)
    cards = [clock for clock in document['clocks'] if clock['backend'] == 'nvml']
    assert len({card['device'] for card in cards}) == 2
    assert all(card['levels_hz'][-1] == 1980e6 for card in cards)
    assert document['clock']['device'] == cards[1]['device']
    (meter,) = (meter for meter in document['meters'] if meter['backend'] == 'nvml')
    assert (meter['scope'], meter['covers']) == ('gpu', 'the graphics card alone')
    assert meter['device'] == document['meter']['device'] == cards[1]['device']
    assert document['meter']['backend'] == 'nvml'
    assert document['thermometer']['temperature_c'] == 47.0
