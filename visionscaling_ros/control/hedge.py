"""Hedge: follow the experts, the better ones more."""

from __future__ import annotations

import math

import numpy as np

from visionscaling_ros.control.projections import Vector

MEMORY_SLOTS = 200.0
_LARGEST_LOSS = 1e9  # a figure beyond it is no cost of a slot
_LEAST_GAPS = 1e-100  # below, a rate would be beyond all numbers: the leader is followed


class Hedge:
    """Exponential weights over experts, one of them played at a time.

    AdaHedge (de Rooij, van Erven, Grünwald, Koolen 2014): the rate is ``ln N`` over the mixability
    gaps so far, so it needs neither a horizon nor the size of the losses, and an expert that
    fails badly does not blunt the choice among the others. Losses are forgotten over some hundred
    slots, so that a best expert that changes is followed (ours). The expert played changes as
    seldom as its probabilities allow: it stays with probability ``p_new / p_old``.

    :param count: experts, N.
    :param seed: of the choice.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._lost: Vector = np.zeros(count)
        self._gaps = 0.0
        self._probability: Vector = np.full(count, 1.0 / count)
        self._played = 0

    @property
    def played(self) -> int:
        """The expert to play."""
        return self._played

    def learn(self, losses: Vector) -> None:
        """Take in what every expert would have lost, shape (N,); not finite: passed over."""
        if not np.all(np.abs(losses) < _LARGEST_LOSS):
            return
        losses = losses - losses.min()
        old = self._probability
        kept = 1.0 - 1.0 / MEMORY_SLOTS
        self._gaps = kept * self._gaps + self._mixability_gap(losses, old)
        if self._gaps < _LEAST_GAPS:
            self._gaps = 0.0
        self._lost = kept * self._lost + losses
        self._lost -= self._lost.min()
        if self._gaps > 0.0:
            weight = np.exp(-math.log(len(losses)) / self._gaps * self._lost)
        else:
            weight = (self._lost <= 0.0).astype(np.float64)
        self._probability = weight / weight.sum()
        self._follow(old)

    def _mixability_gap(self, losses: Vector, probability: Vector) -> float:
        """What is lost on average over what an ideal mix would have lost."""
        if self._gaps <= 0.0:
            return float(probability @ losses) - float(losses[probability > 0.0].min())
        rate = math.log(len(losses)) / self._gaps
        mixed = -math.log(float(probability @ np.exp(-rate * losses)) + 1e-300) / rate
        return max(0.0, float(probability @ losses) - mixed)

    def _follow(self, old: Vector) -> None:
        new = self._probability
        if self._rng.random() * old[self._played] <= new[self._played]:
            return
        gain = np.maximum(new - old, 0.0)
        self._played = int(self._rng.choice(len(new), p=gain / gain.sum()))
