"""What the uplink carries in every slot: recorded, or made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visionscaling_ros.edge.link.trace import LinkTrace
from visionscaling_ros.simulation.conditions import Series
from visionscaling_ros.simulation.processes import Draw, dwell, swing, wander


@dataclass(frozen=True)
class FadingState:
    """One state of a fading channel.

    :param median_bps: median capacity in it [bit/s]; 0: an outage.
    :param spread: standard deviation of the logarithm of the capacity.
    :param dwell_s: how long it lasts on average [s].
    """

    median_bps: float
    spread: float
    dwell_s: float


def recorded(trace: LinkTrace, draw: Draw, *, seed: int) -> Series:
    """Mean of a trace over each slot, repeating, shape (T,) [bit/s].

    Seed 0 starts at the beginning of the trace, others anywhere in it.
    """
    start_s = draw.rng.uniform(0.0, trace.period_s) if seed > 0 else 0.0
    bits = [trace.delivered_bits(start_s + t * draw.slot_s) for t in range(draw.slots + 1)]
    # A rounding error must not make a dead slot carry less than nothing.
    return np.maximum(np.diff(bits), 0.0) / draw.slot_s


def fading(states: Sequence[FadingState], draw: Draw, *, coherence_s: float) -> Series:
    """Markov states with log-normal capacity within each, shape (T,) [bit/s].

    :param coherence_s: after how long the capacity within a state is forgotten.
    """
    chain = dwell(draw, [state.dwell_s for state in states])
    median_bps = np.array([state.median_bps for state in states])[chain]
    spread = np.array([state.spread for state in states])[chain]
    return np.asarray(median_bps * np.exp(spread * wander(draw, coherence_s)), np.float64)


def steady(median_bps: float, draw: Draw, *, spread: float = 0.02) -> Series:
    """The same capacity but for a little noise, shape (T,) [bit/s]."""
    return np.asarray(median_bps * np.exp(spread * draw.rng.standard_normal(draw.slots)))


def drifting(median_bps: float, draw: Draw, *, depth: float, period_s: float) -> Series:
    """A slow sinusoid of relative depth ``depth`` < 1 with a little noise, shape (T,) [bit/s]."""
    return (1.0 + depth * swing(draw, period_s)) * steady(median_bps, draw, spread=0.01)
