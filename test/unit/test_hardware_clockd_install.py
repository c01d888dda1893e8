"""What is installed is root's, complete, and nothing else."""

from __future__ import annotations

import ast
import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import hardware_trees
import pytest
from fake_nvml import FakeNvml

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.clockd.found_devices import find_devices, settable
from visionscaling_ros.hardware.clockd.helper_package import helper_package, helper_sources
from visionscaling_ros.hardware.clockd.installation import (
    DROP_INS,
    PROGRAM,
    UNIT,
    check_python,
    plan_installation,
)
from visionscaling_ros.hardware.clockd.protocol import SOCKET_PATH
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import NAMES, find_gpus
from visionscaling_ros.hardware.device_files import DeviceFiles

TEMPLATES = Path(__file__).resolve().parents[2] / 'config' / 'system'
GPU = '/sys/class/devfreq/17000000.gpu'


def quiet(words: str) -> None:
    """Nobody is told."""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Any Python that only root can change; the tests' own where that is one."""
    for path in (Path('/usr/bin/python3'), Path(sys.executable)):
        try:
            check_python(path)
        except InvalidValueError:
            continue
        return path
    pytest.skip('no Python here that only root can change')


def test_the_program_is_exactly_the_modules_it_imports_and_those_are_the_standard_librarys() -> (
    None
):
    sources = helper_sources()
    assert 'visionscaling_ros/hardware/clockd/server.py' in sources
    ours = {name.removesuffix('.py').replace('/', '.') for name in sources}
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                modules = [str(node.module)]
            for module in modules:
                top = module.split('.')[0]
                known = module in ours or f'{module}.__init__' in ours
                assert known if top == 'visionscaling_ros' else top in sys.stdlib_module_names, (
                    f'{name} imports {module}'
                )
    parts = {part.removesuffix('.py') for name in sources for part in name.split('/')}
    assert not parts & {'nodes', 'cli', 'vision', 'choice', 'clockd_gpu_clock', 'installation'}


def test_the_program_is_the_same_every_time_and_needs_no_packages(tmp_path: Path) -> None:
    package = helper_package()
    assert package == helper_package()
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        assert '__main__.py' in archive.namelist()
    program = tmp_path / 'visionscaling-clockd.pyz'
    program.write_bytes(package)
    tree = hardware_trees.agx_orin(tmp_path / 'machine')
    listed = subprocess.run(
        [sys.executable, '-I', '-S', str(program), '--root', str(tree.root), '--list'],
        check=True,
        capture_output=True,
        text=True,
        cwd='/',
    ).stdout
    assert f'{GPU}/max_freq' in listed


def test_everything_is_written_below_the_prefix(tmp_path: Path, python: Path) -> None:
    tree = hardware_trees.agx_orin(tmp_path / 'machine')
    found = find_devices(tree.files, cpufreq=False, nvml=False, log=quiet)
    plan = plan_installation(TEMPLATES, found, python=python, cpufreq=False)
    plan.write(tmp_path / 'prefix')
    written = {
        str(path.relative_to(tmp_path / 'prefix')): path.stat().st_mode & 0o777
        for path in (tmp_path / 'prefix').rglob('*')
        if path.is_file()
    }
    assert written == dict.fromkeys(plan.files, 0o644)
    unit = (tmp_path / 'prefix' / 'etc/systemd/system' / UNIT).read_text()
    assert f'ExecStart={python} -I -S /{PROGRAM} ' in unit
    drop_in = (tmp_path / 'prefix' / DROP_INS / '10-devices.conf').read_text()
    assert re.findall(r'ReadWritePaths=-(.*)', drop_in) == list(found[0].writes)


def test_an_nvidia_card_brings_the_capability_and_nothing_else_does(
    tmp_path: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeNvml(tmp_path / 'nvml').install(monkeypatch)
    files = DeviceFiles(tmp_path)
    found = find_devices(files, cpufreq=False, nvml=True, log=quiet)
    assert [device.clock.name for device in found] == ['nvml']
    plan = plan_installation(TEMPLATES, found, python=python, cpufreq=False)
    assert b'CAP_SYS_ADMIN' in plan.files[f'{DROP_INS}/20-nvml.conf']
    assert b'--nvml' in plan.files[f'{DROP_INS}/10-devices.conf']
    assert (
        b'CAP'
        not in plan_installation(TEMPLATES, [], python=python, cpufreq=True).files[
            f'{DROP_INS}/10-devices.conf'
        ]
    )


def test_a_python_that_others_can_change_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'open').mkdir()
    (tmp_path / 'open').chmod(0o777)
    (tmp_path / 'open' / 'python3').symlink_to('/usr/bin/python3')
    with pytest.raises(InvalidValueError, match='only root can change'):
        check_python(tmp_path / 'open' / 'python3')
    with pytest.raises(InvalidValueError, match='a Python that runs'):
        check_python(Path('/nonexistent/python3'))


def test_a_prefix_that_cannot_be_written_is_said(tmp_path: Path, python: Path) -> None:
    (tmp_path / 'file').write_text('')
    plan = plan_installation(TEMPLATES, [], python=python, cpufreq=False)
    with pytest.raises(HardwareError, match='with sudo'):
        plan.write(tmp_path / 'file')


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    if shutil.which('systemd-analyze') is None:
        pytest.skip('systemd is not installed here')
    unit = (TEMPLATES / UNIT).read_text()
    (tmp_path / UNIT).write_text(unit.replace('/usr/bin/python3', sys.executable))
    checked = subprocess.run(
        ['systemd-analyze', 'verify', str(tmp_path / UNIT)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr
    assert UNIT not in checked.stderr


def test_the_unit_the_program_and_the_clients_agree() -> None:
    unit = (TEMPLATES / UNIT).read_text()
    assert f'RuntimeDirectory={SOCKET_PATH.parent.name}\n' in unit
    assert SOCKET_PATH.parent.parent == Path('/run')
    assert unit.count(f'/{PROGRAM} ') == 2
    group = (TEMPLATES / 'visionscaling.sysusers.conf').read_text().split('\n')[1].split()[1]
    assert f'Group={group}\n' in unit
    assert f'--allow-group {group} ' in unit
    assert f'/bin/chgrp {group} ' in (TEMPLATES / '60-visionscaling-gpu-clock.rules').read_text()


@pytest.mark.parametrize('board', hardware_trees.JETSONS)
def test_the_udev_rules_cover_every_gpu_that_is_found(tmp_path: Path, board: str) -> None:
    rules = (TEMPLATES / '60-visionscaling-gpu-clock.rules').read_text()
    (names,) = re.findall(r'KERNEL=="(\*[^"]*)"', rules)
    patterns = [re.compile(re.escape(name).replace(r'\*', '.*')) for name in names.split('|')]
    gpus = find_gpus(hardware_trees.JETSONS[board](tmp_path / 'machine').files)
    assert gpus
    for gpu in gpus:
        assert any(pattern.fullmatch(gpu.rpartition('/')[2]) for pattern in patterns)
    for attribute in (NAMES.lowest, NAMES.highest, NAMES.governor):
        assert rules.count(f'%S%p/{attribute}') == 2


def test_what_may_not_be_written_is_not_served_and_said(tmp_path: Path) -> None:
    tree = hardware_trees.agx_orin(tmp_path / 'machine')

    class Locked(DeviceFiles):
        def may_write(self, path: str) -> bool:
            return False

    found = find_devices(tree.files, cpufreq=True, nvml=False, log=quiet)
    assert len(found) == 2
    said: list[str] = []
    for device in found[:1]:
        device.clock._attributes._files.may_write = Locked(tree.root).may_write  # type: ignore[attr-defined]
    assert GPU not in [device.clock.device for device in settable(found, said.append)]
    assert GPU in said[0]


def test_a_clock_writes_no_file_that_is_not_on_its_list(tmp_path: Path) -> None:
    tree = hardware_trees.agx_orin(tmp_path / 'machine')
    (device,) = find_devices(tree.files, cpufreq=False, nvml=False, log=quiet)
    files = device.clock._attributes._files  # type: ignore[attr-defined]
    with pytest.raises(PermissionError, match='not on the list'):
        files.write(f'{GPU}/cur_freq', '1')
    with pytest.raises(PermissionError, match='not on the list'):
        files.write(f'{GPU}/../x/max_freq', '1')
    files.write(f'{GPU}/max_freq', '510000000')
    assert os.path.exists(files.real(f'{GPU}/max_freq'))
