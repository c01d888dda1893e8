"""Which clock is chosen, and what is said of it."""

from __future__ import annotations

import errno
import math
from pathlib import Path

import hardware_trees
import pytest
from clockd_helpers import HelperThread
from fake_nvml import NO_PERMISSION, FakeNvml
from hardware_kernel_files import KernelFiles
from hardware_trees import JETSONS

from visionscaling_ros.errors import HardwareError, InvalidValueError
from visionscaling_ros.hardware.clocks.choice import BACKENDS, ClockChoice, open_clock
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.devfreq_gpu_clock import DevfreqGpuClock
from visionscaling_ros.hardware.clocks.emulated_gpu_clock import EmulatedGpuClock
from visionscaling_ros.hardware.clocks.found_record import (
    FoundRecord,
    boot_id,
    keep_record,
    read_record,
)
from visionscaling_ros.hardware.clocks.no_gpu_clock import NoGpuClock
from visionscaling_ros.hardware.clocks.read_only_gpu_clock import ReadOnlyGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles


class Forbidden(KernelFiles):
    """A machine whose files this process may only read."""

    def may_write(self, path: str) -> bool:
        return False


def chosen(backend: str, files: DeviceFiles, device: str = '') -> ClockChoice:
    return open_clock(backend, files=files, device=device, helper_socket='')


class TestAuto:
    @pytest.mark.parametrize('name', JETSONS)
    def test_a_jetson_has_its_gpu(self, name: str, tmp_path: Path) -> None:
        tree = JETSONS[name](tmp_path)
        choice = chosen('auto', tree.files)
        assert (choice.clock.name, choice.clock.device) == ('jetson', tree.gpu)
        assert choice.why == f'jetson is the first that is there; {tree.gpu} is set by this process'

    def test_a_board_without_a_gpu_has_its_cpu(self, tmp_path: Path) -> None:
        choice = chosen('auto', hardware_trees.cpu_board(tmp_path).files)
        assert choice.clock.name == 'cpufreq'
        assert [text.partition(':')[0] for text in choice.rejected] == ['jetson', 'nvml']
        assert f'{tmp_path}/sys/class/devfreq' in choice.rejected[0]

    def test_a_cpu_that_cannot_be_set_is_left_out(self, tmp_path: Path) -> None:
        files = hardware_trees.pc(tmp_path, 'intel_pstate').files
        choice = chosen('auto', files)
        assert isinstance(choice.clock, NoGpuClock)
        assert 'intel_pstate lists no frequencies' in choice.rejected[2]
        choice = chosen('auto', Forbidden(hardware_trees.cpu_board(tmp_path / 'b').root))
        assert isinstance(choice.clock, NoGpuClock)
        assert 'install-helper --cpufreq' in choice.rejected[2]

    @pytest.mark.parametrize('name', JETSONS)
    def test_a_jetson_without_its_gpus_driver_keeps_its_cpu_alone(
        self, name: str, tmp_path: Path
    ) -> None:
        tree = JETSONS[name](tmp_path)
        tree.remove(tree.gpu)
        tree.remove('/sys/class/devfreq')
        choice = chosen('auto', tree.files)
        assert isinstance(choice.clock, NoGpuClock)
        assert 'left alone' in choice.rejected[2]
        assert '/proc/device-tree/compatible' in choice.rejected[2]
        assert chosen('cpufreq', tree.files).clock.name == 'cpufreq'

    @pytest.mark.parametrize(
        ('vendor', 'kind', 'clock'),
        [
            ('0x10de', '0x030000', 'none'),
            ('0x10de', '0x030200', 'none'),
            ('0x10de', '0x040300', 'cpufreq'),  # sound alone
            ('0x8086', '0x030000', 'cpufreq'),
        ],
    )
    def test_a_pc_with_an_nvidia_card_keeps_its_cpu_alone(
        self, vendor: str, kind: str, clock: str, tmp_path: Path
    ) -> None:
        tree = hardware_trees.pc(tmp_path)
        tree.write('/sys/bus/pci/devices/0000:01:00.0/vendor', vendor)
        tree.write('/sys/bus/pci/devices/0000:01:00.0/class', kind)
        assert chosen('auto', tree.files).clock.name == clock

    def test_a_machine_with_nothing_has_none_and_each_is_accounted_for(
        self, tmp_path: Path
    ) -> None:
        choice = chosen('auto', hardware_trees.bare(tmp_path).files)
        assert isinstance(choice.clock, NoGpuClock)
        assert [text.partition(':')[0] for text in choice.rejected] == ['jetson', 'nvml', 'cpufreq']

    def test_the_cards_of_this_machine_are_not_taken_for_those_of_a_tree(
        self, tmp_path: Path, fake: FakeNvml
    ) -> None:
        choice = chosen('auto', hardware_trees.bare(tmp_path / 'machine').files)
        assert isinstance(choice.clock, NoGpuClock)

    @pytest.mark.skipif(
        any(Path('/sys/class/devfreq').glob('*gpu*')), reason='this machine has a GPU in devfreq'
    )
    def test_a_card_comes_after_a_jetsons_gpu(self, fake: FakeNvml) -> None:
        choice = chosen('auto', DeviceFiles())
        assert choice.clock.name == 'nvml'
        assert choice.rejected[0].startswith('jetson: no GPU in /sys/class/devfreq')

    def test_a_device_that_only_a_later_backend_has_is_found(self, tmp_path: Path) -> None:
        choice = chosen('auto', hardware_trees.tx2(tmp_path).files, 'policy1')
        assert choice.clock.device.endswith('/policy1')
        assert "'policy1'" in choice.rejected[0]

    def test_files_that_cannot_even_be_listed_do_not_raise(self, tmp_path: Path) -> None:
        class Broken(DeviceFiles):
            def find(self, pattern: str) -> None:  # type: ignore[override]
                raise OSError(errno.EIO, 'Input/output error', pattern)

        assert isinstance(chosen('auto', Broken(tmp_path)).clock, NoGpuClock)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml(tmp_path / 'nvml')
    fake.install(monkeypatch)
    return fake


class TestNamed:
    @pytest.mark.parametrize(
        ('backend', 'where'), [('jetson', 'sys/class/devfreq'), ('cpufreq', 'cpu/cpufreq')]
    )
    def test_a_device_that_is_not_there_is_told_with_where_it_was_looked_for(
        self, tmp_path: Path, backend: str, where: str
    ) -> None:
        with pytest.raises(HardwareError, match=f'{tmp_path}/.*{where}'):
            chosen(backend, hardware_trees.bare(tmp_path).files)

    def test_a_card_by_index(self, fake: FakeNvml) -> None:
        assert chosen('nvml', DeviceFiles(), '0').clock.device.startswith('NVIDIA Fake 4000')
        with pytest.raises(HardwareError, match="'1'"):
            chosen('nvml', DeviceFiles(), '1')
        fake.fail('nvmlDeviceGetSupportedMemoryClocks', NO_PERMISSION)
        with pytest.raises(HardwareError, match='not permitted'):
            chosen('nvml', DeviceFiles())

    def test_none_and_emulated(self, tmp_path: Path) -> None:
        files = hardware_trees.tx2(tmp_path).files
        assert isinstance(chosen('none', files).clock, NoGpuClock)
        choice = open_clock(
            'emulated', files=files, register=tmp_path / 'register', emulated_levels_hz=[1e9]
        )
        assert isinstance(choice.clock, EmulatedGpuClock)
        assert choice.clock.available_frequencies_hz == (1e9,)
        with pytest.raises(InvalidValueError, match='register'):
            chosen('emulated', files)

    def test_an_unknown_backend_is_refused_with_those_there_are(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidValueError, match=', '.join(BACKENDS)):
            chosen('cuda', DeviceFiles(tmp_path))


class TestWithoutPermission:
    def test_it_is_read_and_says_what_to_install(self, tmp_path: Path) -> None:
        files = Forbidden(hardware_trees.agx_orin(tmp_path).root)
        choice = chosen('jetson', files)
        assert isinstance(choice.clock, ReadOnlyGpuClock)
        assert choice.clock.name == 'jetson'
        assert choice.clock.available_frequencies_hz == ()
        assert choice.clock.frequency_hz() == 306e6
        assert choice.clock.limits_hz() == (306e6, 1300.5e6)
        for said in (choice.why, choice.clock.access()):
            assert 'visionscaling clocks install-helper' in said
        with pytest.raises(HardwareError, match='install-helper'):
            choice.clock.set_frequency(1e9)

    @pytest.mark.parametrize('backend', ['auto', 'jetson'])
    def test_the_helper_sets_it_where_there_is_one(self, tmp_path: Path, backend: str) -> None:
        tree = hardware_trees.agx_orin(tmp_path / 'machine')
        forbidden = Forbidden(tree.root)
        with HelperThread(tmp_path, [DevfreqGpuClock(tree.files)]) as helper:
            socket = str(helper.socket_path)
            choice = open_clock(backend, files=forbidden, helper_socket=socket)
            assert choice.why.endswith(f'{tree.gpu} is set by the helper at {socket}')
            assert choice.clock.set_frequency(500e6) == 510e6
            assert choice.clock.limits_hz() == (510e6, 510e6)
            choice.clock.release()
        assert choice.clock.limits_hz() == (306e6, 1300.5e6)
        assert forbidden.writes == []

    def test_a_helper_that_is_not_there_is_told_too(self, tmp_path: Path) -> None:
        files = Forbidden(hardware_trees.agx_orin(tmp_path).root)
        socket = tmp_path / 'nobody/socket'
        choice = open_clock('auto', files=files, helper_socket=str(socket))
        assert isinstance(choice.clock, ReadOnlyGpuClock)
        assert str(socket) in choice.why

    def test_a_card_that_may_not_be_locked_is_read(self, tmp_path: Path, fake: FakeNvml) -> None:
        (tmp_path / 'proc/self').mkdir(parents=True)
        (tmp_path / 'proc/self/status').write_text('CapEff:\t0\n')
        choice = chosen('nvml', DeviceFiles(tmp_path))
        assert isinstance(choice.clock, ReadOnlyGpuClock)
        assert 'install-helper --nvml' in choice.why
        assert not math.isnan(choice.clock.frequency_hz())

    def test_a_state_on_disk_that_may_not_be_restored_is_kept(self, tmp_path: Path) -> None:
        tree = hardware_trees.agx_orin(tmp_path / 'machine')
        clock, state_file = chosen('jetson', tree.files).clock, tmp_path / 'found'
        record = FoundRecord(clock.name, clock.device, clock.state(), boot_id())
        keep_record(state_file, record)
        clock.set_frequency(306e6)
        forbidden = Forbidden(tree.root)
        forbidden.refused = dict.fromkeys(('min_freq', 'max_freq'), errno.EACCES)
        with pytest.raises(HardwareError, match='not permitted'):
            ClockGuard(chosen('jetson', forbidden).clock, state_file).restore_leftover()
        assert read_record(state_file) == record
