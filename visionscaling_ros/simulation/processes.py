"""Random processes that uplinks, arrivals and drifts are made of; one value a slot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from visionscaling_ros.simulation.conditions import Series


@dataclass(frozen=True)
class Draw:
    """How long a process is and what it is drawn with.

    :param rng: of this process alone, so that a change in one changes no other.
    :param slots: number of values.
    :param slot_s: time between them [s].
    """

    rng: np.random.Generator
    slots: int
    slot_s: float


def wander(draw: Draw, time_constant_s: float) -> Series:
    """A stationary first-order autoregression, mean 0, variance 1, shape (T,).

    Its autocorrelation at a lag s is ``exp(-s / time_constant_s)``.
    """
    kept = math.exp(-draw.slot_s / time_constant_s)
    fresh = math.sqrt(1.0 - kept * kept)
    values = draw.rng.standard_normal(draw.slots).tolist()
    for t in range(1, draw.slots):
        values[t] = kept * values[t - 1] + fresh * values[t]
    return np.asarray(values, np.float64)


def swing(draw: Draw, period_s: float) -> Series:
    """A sinusoid between -1 and 1 that starts anywhere in its period, shape (T,)."""
    phase = draw.rng.uniform(0.0, 2.0 * math.pi)
    angle = 2.0 * math.pi * draw.slot_s / period_s * np.arange(draw.slots) + phase
    return np.asarray(np.sin(angle), np.float64)


def dwell(draw: Draw, dwell_s: Sequence[float]) -> npt.NDArray[np.int64]:
    """States of a Markov chain that stays in state i for ``dwell_s[i]`` on average, shape (T,).

    Times are exponential, at least a slot, and every other state is equally likely next; two
    states are Gilbert's model of a channel. It starts in state 0.
    """
    states = np.zeros(draw.slots, np.int64)
    at, state = 0, 0
    while at < draw.slots:
        length = max(1, round(draw.rng.exponential(dwell_s[state]) / draw.slot_s))
        states[at : at + length] = state
        at += length
        if len(dwell_s) > 1:
            other = int(draw.rng.integers(len(dwell_s) - 1))
            state = other if other < state else other + 1
    return states
