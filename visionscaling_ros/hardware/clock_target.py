"""Which level bounds and heat make of a wish."""

from __future__ import annotations

from collections.abc import Sequence

from visionscaling_ros.errors import HardwareError
from visionscaling_ros.hardware.clocks.gpu_clock import level_for
from visionscaling_ros.hardware.keeper_settings import KeeperSettings

RELEASE_HZ = 0.0  # a wish, and a target: leave the clock to the device


def target_level(
    levels_hz: Sequence[float], wanted_hz: float, settings: KeeperSettings, ceiling_hz: float
) -> float:
    """The lowest level that is enough, within the bounds, never above the ceiling [Hz].

    A ceiling below all levels within the bounds wins over them: then it is the highest level not
    above the ceiling. RELEASE_HZ when the clock is left to the device: nothing is wanted, there
    are no levels, or the ceiling is 0.

    >>> target_level([1e9, 2e9, 3e9], 2.5e9, KeeperSettings(max_frequency_hz=2.2e9), 9e9)
    2000000000.0

    Raises HardwareError when no level lies within the bounds.
    """
    if not levels_hz or wanted_hz == RELEASE_HZ or ceiling_hz == 0.0:
        return RELEASE_HZ
    within_hz = [level for level in levels_hz if settings.allows(level)]
    if not within_hz:
        levels = ', '.join(f'{level * 1e-6:g}' for level in levels_hz)
        raise HardwareError(
            f'no level lies between min_frequency_hz = {settings.min_frequency_hz:g} and '
            f'max_frequency_hz = {settings.max_frequency_hz:g}: the clock is left to the device; '
            f'its levels are {levels} MHz'
        )
    cool_hz = [level for level in within_hz if level <= ceiling_hz]
    if not cool_hz:
        return max((level for level in levels_hz if level <= ceiling_hz), default=levels_hz[0])
    return level_for(cool_hz, wanted_hz)
