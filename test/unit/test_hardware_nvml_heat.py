"""A card's temperature and its own reasons for slowing down, through the real binding."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from fake_nvml import GPU_IS_LOST, NOT_SUPPORTED, FakeNvml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clock_regulation import ClockRegulation, Wish
from visionscaling_ros.hardware.clocks.clock_guard import ClockGuard
from visionscaling_ros.hardware.clocks.nvml_gpu_clock import NvmlGpuClock
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.hardware.keeper_settings import KeeperSettings
from visionscaling_ros.hardware.nvml_session import NvmlSession
from visionscaling_ros.hardware.thermal.board_throttle import BoardReasons, NvmlBoardThrottle
from visionscaling_ros.hardware.thermal.thermometer import NvmlThermometer
from visionscaling_ros.hardware.thermal.throttle import Throttle

THERMAL, POWER = Throttle.BOARD_THERMAL, Throttle.BOARD_POWER
REASONS = 'nvmlDeviceGetCurrentClocksThrottleReasons'


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml(tmp_path / 'nvml')
    fake.install(monkeypatch)
    return fake


def test_the_cards_temperature_is_told_until_it_is_lost(card: FakeNvml) -> None:
    thermometer = NvmlThermometer()
    assert 'NVIDIA Fake 4000' in thermometer.device
    assert thermometer.read_c() == 47.0
    card.set(temperature_c=91)
    assert thermometer.read_c() == 91.0
    card.fail('nvmlDeviceGetTemperature', GPU_IS_LOST)
    assert math.isnan(thermometer.read_c())
    card.fail('nvmlDeviceGetTemperature', None)
    thermometer.close()
    thermometer.close()
    assert math.isnan(thermometer.read_c())


def test_a_card_that_is_not_there_is_refused(card: FakeNvml) -> None:
    with pytest.raises(HardwareError, match='no such NVIDIA card'):
        NvmlThermometer('5')
    with pytest.raises(HardwareError, match='no such NVIDIA card'):
        NvmlBoardThrottle('5')


@pytest.mark.parametrize(
    ('bits', 'reason'),
    [
        (0x0, Throttle.NONE),
        (0x1 | 0x2 | 0x10 | 0x100, Throttle.NONE),  # idle, by a user, in step with other cards
        (0x4, POWER),
        (0x8, POWER),  # an old driver, which does not tell more
        (0x8 | 0x40, THERMAL),
        (0x8 | 0x80, POWER),
        (0x20, THERMAL),
        (0x4 | 0x20, POWER | THERMAL),
    ],
)
def test_the_cards_reasons_are_sorted_into_heat_and_power(
    card: FakeNvml, bits: int, reason: Throttle
) -> None:
    board = NvmlBoardThrottle()
    card.set(reasons=bits)
    told = board.read(0.0)
    assert told.reason == reason
    assert bool(told.words) == bool(reason)
    board.close()


@given(st.integers(0, 2**64 - 1))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bits_nobody_knows_are_no_reason_of_ours(card: FakeNvml, bits: int) -> None:
    board = NvmlBoardThrottle()
    card.set(reasons=bits)
    told = board.read(0.0)
    assert told.reason in (Throttle.NONE, POWER, THERMAL, POWER | THERMAL)
    assert bool(told.reason) == bool(bits & 0xEC)
    board.close()


def test_a_card_that_does_not_tell_has_no_reason(card: FakeNvml) -> None:
    card.fail(REASONS, NOT_SUPPORTED)
    board = NvmlBoardThrottle()
    assert board.read(0.0) == BoardReasons()
    board.close()


def test_a_lock_that_somebody_took_away_is_set_again(card: FakeNvml, tmp_path: Path) -> None:
    clock = NvmlGpuClock(NvmlSession(), DeviceFiles())
    with ClockGuard(clock, tmp_path / 'found') as guard:
        regulation = ClockRegulation(guard, None, NvmlBoardThrottle())
        wish, settings = Wish(900e6, 1.0, 0.0), KeeperSettings(decision_timeout_s=60.0)
        assert regulation.step(wish, settings, 1.0, 0.0).set_frequency_hz == 900e6
        assert regulation.step(wish, settings, 1.0, 1.0).throttle == Throttle.NONE
        card.set(locked_mhz=0, clock_mhz=1980)  # nvidia-smi -rgc
        report = regulation.step(wish, settings, 1.0, 2.0)
        assert report.throttle == Throttle.NOT_IN_EFFECT
        assert 'set to 900 MHz, runs at 1980 MHz' in report.warnings[0]
        assert card.get('0.locked_mhz') == '900'
        assert regulation.step(wish, settings, 1.0, 3.0).throttle == Throttle.NONE
    assert card.get('0.locked_mhz') == '0'
