"""What the uplink carries in every slot: recorded, or made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visionscaling_ros.edge.trace import LinkTrace, load_trace
from visionscaling_ros.errors import InvalidValueError
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


def load_traces(folder: str | Path) -> dict[str, LinkTrace]:
    """Every trace in a folder by its file name without suffix, in order of name.

    ``.csv`` files are CSV traces, all others mahimahi traces (``.up``, ``.down``, ``.mahi``, ...);
    hidden files and folders are passed over.

    :raises InvalidValueError: no such folder, no trace in it, two of one name, or a file that is
        no trace, naming file, line and value.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InvalidValueError('traces', str(folder), 'a folder of trace files')
    traces: dict[str, LinkTrace] = {}
    for path in sorted(root.iterdir()):
        if path.name.startswith('.') or not path.is_file():
            continue
        if path.stem in traces:
            raise InvalidValueError('traces', str(path), f'one file named {path.stem}.*')
        traces[path.stem] = load_trace(str(path))
    if not traces:
        raise InvalidValueError('traces', str(folder), 'a folder with at least one trace file')
    return traces


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
