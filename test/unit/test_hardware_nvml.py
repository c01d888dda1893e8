"""NVML through the real binding, on a fake library with NVIDIA's signatures."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_nvml import DRIVER_NOT_LOADED, GPU_IS_LOST, NO_PERMISSION, NOT_SUPPORTED, FakeNvml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.nvml_gpu_clock import LOCKED, NvmlGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.nvml_session import (
    NvmlLostError,
    NvmlPermissionError,
    NvmlSession,
    NvmlUnsupportedError,
)

LOCK = 'nvmlDeviceSetGpuLockedClocks'


@pytest.fixture
def nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml(tmp_path / 'nvml', cards=2)
    fake.install(monkeypatch)
    return fake


def clock_on(folder: Path, device: str = '') -> NvmlGpuClock:
    return NvmlGpuClock(NvmlSession(device), DeviceFiles(folder))


class TestSession:
    def test_a_card_is_named_by_index_or_uuid(self, nvml: FakeNvml) -> None:
        with NvmlSession() as first, NvmlSession('1') as second:
            assert (first.index, second.index) == (0, 1)
            assert first.device == 'NVIDIA Fake 4000 (GPU-00000000-fake)'
        with NvmlSession('GPU-00000001-fake') as card:
            assert (card.index, card.uuid) == (1, 'GPU-00000001-fake')

    @pytest.mark.parametrize('device', ['2', '-1', 'x', '17000000.gpu', 'GPU-other', 'MIG-other'])
    def test_a_card_that_is_not_there_is_told(self, nvml: FakeNvml, device: str) -> None:
        with pytest.raises(HardwareError, match=f'{device}.*nvidia-smi -L'):
            NvmlSession(device)

    @pytest.mark.parametrize(
        ('function', 'code', 'kind', 'words'),
        [
            ('nvmlInit', DRIVER_NOT_LOADED, HardwareError, 'modprobe nvidia'),
            ('nvmlInit', 18, HardwareError, 'reboot'),
            ('nvmlDeviceGetCount_v2', 999, HardwareError, 'NVML error 999'),
            ('nvmlDeviceGetName', GPU_IS_LOST, NvmlLostError, 'lost'),
        ],
    )
    def test_what_is_missing_is_told(
        self, nvml: FakeNvml, function: str, code: int, kind: type[HardwareError], words: str
    ) -> None:
        nvml.fail(function, code)
        with pytest.raises(kind, match=words):
            NvmlSession()

    @pytest.mark.parametrize(
        ('code', 'kind'),
        [
            (NOT_SUPPORTED, NvmlUnsupportedError),
            (NO_PERMISSION, NvmlPermissionError),
            (GPU_IS_LOST, NvmlLostError),
        ],
    )
    def test_an_error_names_card_and_function(
        self, nvml: FakeNvml, code: int, kind: type[HardwareError]
    ) -> None:
        nvml.fail('nvmlDeviceGetPowerUsage', code)
        with NvmlSession() as session, pytest.raises(kind, match=r'Fake 4000.*GetPowerUsage'):
            session.call('nvmlDeviceGetPowerUsage')

    def test_support_is_asked_for_without_raising(self, nvml: FakeNvml) -> None:
        with NvmlSession() as session:
            assert session.supports('nvmlDeviceGetPowerUsage')
            nvml.set(power_mw=None)
            assert not session.supports('nvmlDeviceGetPowerUsage')
            nvml.fail('nvmlDeviceGetPowerUsage', GPU_IS_LOST)
            with pytest.raises(NvmlLostError):
                session.supports('nvmlDeviceGetPowerUsage')

    def test_a_function_the_driver_lacks_is_unsupported(self, nvml: FakeNvml) -> None:
        with NvmlSession() as session, pytest.raises(NvmlUnsupportedError, match='too old'):
            session.call('nvmlDeviceGetFanSpeed')

    def test_closed_twice_and_used_after_is_told(self, nvml: FakeNvml) -> None:
        session = NvmlSession()
        session.close()
        session.close()
        with pytest.raises(HardwareError, match='closed'):
            session.call('nvmlDeviceGetPowerUsage')

    def test_sessions_do_not_close_each_other(self, nvml: FakeNvml) -> None:
        first, second = NvmlSession(), NvmlSession()
        first.close()
        assert second.call('nvmlDeviceGetPowerUsage') == 74_250
        second.close()

    @pytest.mark.parametrize(
        ('before', 'words'),
        [
            ('pass', 'libnvidia-ml.so.1 not found'),
            ('sys.modules["pynvml"] = None', 'pip install nvidia-ml-py'),
        ],
    )
    def test_no_driver_and_no_binding_are_told(
        self, tmp_path: Path, before: str, words: str
    ) -> None:
        (tmp_path / 'libnvidia-ml.so.1').write_text('no library')
        ask = (
            f'import sys\n{before}\n'
            'from visionscaling_ros.errors import HardwareError\n'
            'from visionscaling_ros.hardware.nvml_session import NvmlSession\n'
            'try: NvmlSession()\n'
            'except HardwareError as error: print(error)\n'
        )
        result = subprocess.run(
            [sys.executable, '-c', ask],
            check=True, capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, 'LD_LIBRARY_PATH': str(tmp_path)},
        )  # fmt: skip
        assert words in result.stdout


class TestClock:
    def test_levels_are_those_at_the_highest_memory_clock(
        self, nvml: FakeNvml, tmp_path: Path
    ) -> None:
        levels = clock_on(tmp_path).available_frequencies_hz
        assert levels == (345e6, 600e6, 900e6, 1200e6, 1500e6, 1980e6)

    def test_one_card_of_several_is_locked_and_reset(self, nvml: FakeNvml, tmp_path: Path) -> None:
        clock = clock_on(tmp_path, '1')
        assert clock.set_frequency(1e9) == 1200e6
        assert (nvml.get('0.locked_mhz'), nvml.get('1.locked_mhz')) == ('0', '1200')
        assert clock.frequency_hz() == 1200e6
        assert clock.limits_hz() is None
        clock.release()
        assert nvml.get('1.locked_mhz') == '0'

    def test_another_process_resets_what_a_killed_one_locked(
        self, nvml: FakeNvml, tmp_path: Path
    ) -> None:
        found = clock_on(tmp_path).state()
        lock = (
            'from visionscaling_ros.hardware.clocks.nvml_gpu_clock import NvmlGpuClock\n'
            'from visionscaling_ros.hardware.device_files import DeviceFiles\n'
            'from visionscaling_ros.hardware.nvml_session import NvmlSession\n'
            'import os\n'
            'NvmlGpuClock(NvmlSession(), DeviceFiles()).set_frequency(6e8)\n'
            'os._exit(9)'
        )
        done = subprocess.run(
            [sys.executable, '-c', lock], check=False, env={**os.environ, **nvml.env}, cwd=tmp_path
        )
        assert (done.returncode, nvml.get('0.locked_mhz')) == (9, '600')
        clock_on(tmp_path).restore(found)
        assert nvml.get('0.locked_mhz') == '0'

    def test_an_idle_card_may_run_slower(self, nvml: FakeNvml, tmp_path: Path) -> None:
        nvml.set(stuck=1, clock_mhz=345)
        clock = clock_on(tmp_path)
        assert clock.set_frequency(1e9) == 1200e6
        assert clock.frequency_hz() == 345e6

    def test_a_card_that_runs_above_its_lock_is_told(self, nvml: FakeNvml, tmp_path: Path) -> None:
        nvml.set(stuck=1)
        with pytest.raises(HardwareError, match='locked to 1200 MHz, still runs at 1980 MHz'):
            clock_on(tmp_path).set_frequency(1e9)

    def test_a_card_that_does_not_tell_its_clock_is_set_all_the_same(
        self, nvml: FakeNvml, tmp_path: Path
    ) -> None:
        nvml.fail('nvmlDeviceGetClockInfo', NOT_SUPPORTED)
        clock = clock_on(tmp_path)
        assert clock.set_frequency(1e9) == 1200e6
        assert str(clock.frequency_hz()) == 'nan'

    @pytest.mark.parametrize('code', [NO_PERMISSION, NOT_SUPPORTED])
    def test_a_refused_lock_is_told_from_then_on(
        self, nvml: FakeNvml, tmp_path: Path, code: int
    ) -> None:
        clock = clock_on(tmp_path)
        assert clock.access() == ''
        nvml.fail(LOCK, code)
        with pytest.raises(HardwareError, match=LOCK):
            clock.set_frequency(1e9)
        assert LOCK in clock.access()
        assert clock.state() == {LOCKED: ''}
        nvml.fail(LOCK, None)
        clock.set_frequency(1e9)
        assert clock.access() == ''

    def test_a_card_without_clocks_to_lock_says_so(self, nvml: FakeNvml, tmp_path: Path) -> None:
        nvml.set(memory_clocks_mhz=None)
        clock = clock_on(tmp_path)
        assert clock.available_frequencies_hz == ()
        assert 'nvmlDeviceGetSupportedMemoryClocks: not offered' in clock.access()

    def test_a_lost_card_is_told(self, nvml: FakeNvml, tmp_path: Path) -> None:
        clock = clock_on(tmp_path)
        for function in (LOCK, 'nvmlDeviceGetClockInfo', 'nvmlDeviceResetGpuLockedClocks'):
            nvml.fail(function, GPU_IS_LOST)
        for act in (clock.frequency_hz, clock.release, lambda: clock.set_frequency(1e9)):
            with pytest.raises(NvmlLostError, match='reboot'):
                act()

    @pytest.mark.parametrize(
        ('capabilities', 'may'), [('000001ffffffffff', True), ('0000000000000000', False),
                                  ('0000000000200000', True), ('000001ffffdfffff', False)]
    )  # fmt: skip
    def test_access_asks_for_the_capability_the_driver_asks_for(
        self, nvml: FakeNvml, tmp_path: Path, capabilities: str, may: bool
    ) -> None:
        (tmp_path / 'proc/self').mkdir(parents=True)
        (tmp_path / 'proc/self/status').write_text(f'Name:\tx\nCapEff:\t{capabilities}\n')
        assert (clock_on(tmp_path).access() == '') is may
        assert may or 'CAP_SYS_ADMIN' in clock_on(tmp_path).access()

    @given(st.dictionaries(st.sampled_from([LOCKED, 'x']), st.text(max_size=5)))
    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_whatever_a_state_says_only_levels_are_locked(
        self, nvml: FakeNvml, tmp_path: Path, state: dict[str, str]
    ) -> None:
        clock = clock_on(tmp_path)
        with contextlib.suppress(HardwareError):
            clock.restore(state)
        assert nvml.get('0.locked_mhz') in ('0', '345', '600', '900', '1200', '1500', '1980')
