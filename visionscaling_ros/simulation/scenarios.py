"""What happens to the robot: scenarios that make conditions out of a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from visionscaling_ros.edge.link.trace import LinkTrace
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.simulation.conditions import Conditions, Series
from visionscaling_ros.simulation.processes import Draw, dwell, swing, wander
from visionscaling_ros.simulation.profile import DeviceProfile
from visionscaling_ros.simulation.uplinks import (
    FadingState,
    drifting,
    fading,
    recorded,
    steady,
)

MILD_C = 25.0  # around the device, where the scenario is not about heat
DRIFT_PERIOD_S = 4000.0
HELD_UTILIZATION = 0.15  # busy share at full clock that heat leaves

_LTE = (
    FadingState(8e6, 0.25, 40.0),
    FadingState(3e6, 0.3, 40.0),
    FadingState(0.8e6, 0.4, 20.0),
)
_FAST = (FadingState(8e6, 0.4, 3.0), FadingState(2.5e6, 0.5, 3.0), FadingState(0.6e6, 0.6, 2.0))
_HOLES = (FadingState(6e6, 0.25, 60.0), FadingState(1e6, 0.4, 20.0), FadingState(0.0, 0.0, 15.0))

Process = Callable[[Draw], Series]


def lte_like(draw: Draw) -> Series:
    """A good, a fair and a poor state, shape (T,) [bit/s]."""
    return fading(_LTE, draw, coherence_s=5.0)


def camera(draw: Draw, *, spread: float = 0.03) -> Series:
    """Frames from a camera over its nominal rate, a little noisy, shape (T,)."""
    return np.maximum(0.0, 1.0 + spread * draw.rng.standard_normal(draw.slots))


def bursts(draw: Draw) -> Series:
    """Frames when something moves and few when nothing does, mean about 1, shape (T,)."""
    level = np.array([0.3, 1.0, 1.8])[dwell(draw, [15.0, 20.0, 12.0])]
    return np.maximum(0.0, level * (1.0 + 0.1 * draw.rng.standard_normal(draw.slots)))


def drifting_camera(draw: Draw) -> Series:
    """A camera whose rate swings slowly by a quarter, shape (T,)."""
    return (1.0 + 0.25 * swing(draw, 1.3 * DRIFT_PERIOD_S)) * camera(draw, spread=0.005)


def whole_server(draw: Draw) -> Series:
    """All of the server, always, shape (T,)."""
    return np.ones(draw.slots)


def contended_server(draw: Draw) -> Series:
    """A server that other robots take over for stretches, shape (T,)."""
    median = np.array([1.0, 0.05, 0.015])[dwell(draw, [60.0, 40.0, 20.0])]
    spread = np.where(median < 1.0, 0.4, 0.0)
    return np.asarray(np.minimum(1.0, median * np.exp(spread * wander(draw, 10.0))), np.float64)


def creeping_latency(draw: Draw, *, spread: float = 0.03) -> Series:
    """Latency that wanders by a few per cent over many minutes, shape (T,)."""
    return np.clip(1.0 + spread * wander(draw, 600.0), 0.8, 1.25)


def swinging_latency(draw: Draw) -> Series:
    """Latency that swings slowly by a tenth, shape (T,)."""
    return 1.0 + 0.1 * swing(draw, 0.8 * DRIFT_PERIOD_S)


def mild(draw: Draw, profile: DeviceProfile) -> Series:
    """No heat, shape (T,) [degC]."""
    return np.full(draw.slots, MILD_C)


def hot_ramp(draw: Draw, profile: DeviceProfile) -> Series:
    """Mild, then rising to where little more than the idle power can be held, mild again, (T,)."""
    device, thermal = profile.device, profile.thermal
    held_w = device.power_w(device.clock_levels_hz[-1], HELD_UTILIZATION, 0.0)
    hot_c = thermal.release_c - thermal.resistance_c_per_w * held_w
    elapsed = np.arange(draw.slots) / max(draw.slots, 1)
    return np.interp(elapsed, [0.1, 0.4, 0.75, 0.95], [MILD_C, hot_c, hot_c, MILD_C])


@dataclass(frozen=True)
class Scenario:
    """What makes the conditions of one scenario.

    :param about: one line for people.
    :param uplink: capacity [bit/s], where no recorded trace is the uplink.
    :param arrivals: frames over the profile's nominal rate.
    """

    about: str
    uplink: Process = lte_like
    arrivals: Process = camera
    server_share: Process = whole_server
    latency_factor: Process = creeping_latency
    ambient_c: Callable[[Draw, DeviceProfile], Series] = mild


SCENARIOS: dict[str, Scenario] = {
    'nominal': Scenario('a camera and an LTE-like uplink, or a recorded one'),
    'steady': Scenario(
        'nothing changes but for a little noise',
        uplink=partial(steady, 4e6),
        arrivals=partial(camera, spread=0.01),
        latency_factor=partial(creeping_latency, spread=0.01),
    ),
    'slow_drift': Scenario(
        'uplink, arrivals and latency swing over thousands of slots',
        uplink=partial(drifting, 4e6, depth=0.6, period_s=DRIFT_PERIOD_S),
        arrivals=drifting_camera,
        latency_factor=swinging_latency,
    ),
    'fast_fading': Scenario(
        'an uplink that is another one every slot or two',
        uplink=partial(fading, _FAST, coherence_s=0.5),
    ),
    'outages': Scenario('an uplink with holes', uplink=partial(fading, _HOLES, coherence_s=5.0)),
    'server_contention': Scenario(
        'an edge server that others take for stretches', server_share=contended_server
    ),
    'thermal_throttling': Scenario('heat the device cannot get rid of', ambient_c=hot_ramp),
    'bursty_arrivals': Scenario('frames that come in bursts', arrivals=bursts),
}


def make_conditions(
    scenario: str,
    *,
    profile: DeviceProfile,
    slots: int,
    seed: int,
    slot_s: float = 1.0,
    trace: LinkTrace | None = None,
    trace_name: str = 'synthetic',
) -> Conditions:
    """Conditions of a scenario of ``SCENARIOS``; the same arguments give the same bits.

    In every scenario the profile is a little wrong: latency of each configuration by a few to
    15 %, dynamic power by a few per cent.

    :param trace: the uplink, whatever the scenario's own; seed 0 starts at its beginning, others
        anywhere in it.
    :raises InvalidValueError: unknown scenario, or a number outside its range.
    """
    if scenario not in SCENARIOS:
        raise InvalidValueError('scenario', scenario, ', '.join(SCENARIOS))
    if not slots >= 1:
        raise InvalidValueError('slots', slots, 'at least 1')
    if not seed >= 0:
        raise InvalidValueError('seed', seed, 'at least 0')
    if not slot_s > 0.0:
        raise InvalidValueError('slot_s', slot_s, 'above 0 s')
    chosen = SCENARIOS[scenario]
    # A stream for each process: a change in one leaves the others as they are.
    draws = [Draw(np.random.default_rng([seed, stream]), slots, slot_s) for stream in range(6)]
    truth = draws[5].rng
    bias = np.clip(np.exp(0.07 * truth.standard_normal(len(profile.points))), 0.85, 1.15)
    return Conditions(
        trace=trace_name,
        scenario=scenario,
        seed=seed,
        slot_s=slot_s,
        arrival_fps=profile.arrival_fps * chosen.arrivals(draws[0]),
        capacity_bps=recorded(trace, draws[1], seed=seed) if trace else chosen.uplink(draws[1]),
        server_share=chosen.server_share(draws[2]),
        latency_factor=chosen.latency_factor(draws[3]),
        ambient_c=chosen.ambient_c(draws[4], profile),
        point_latency_bias=bias,
        power_bias=float(np.clip(1.0 + 0.03 * truth.standard_normal(), 0.9, 1.1)),
    )
