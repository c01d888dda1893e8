"""What the uplink will carry in the next slot, as a distribution."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

_FLOOR_BPS = 1e4  # less is as good as nothing, and has a logarithm
_RATES = (1.0, 0.5, 0.2)  # weights of the newest sample in the point predictors
_ERROR_SMOOTHING = 0.02
_LARGEST_ERROR = 2.0  # a dead slot counts as this far off, in the logarithm
_WINDOW = 50
# Before anything is known: as far off as these, so that the lower quartile is 0.8 of the sample.
_PRIOR_RATIOS = (0.5, 0.8, 0.9, 1.0, 1.1, 1.25, 2.0)


class CapacityForecast:
    """Quantiles of the next sample, without assuming a distribution.

    A point predictor (the last sample, or one of two exponentially weighted means of its
    logarithm: whichever was closest lately) times the empirical quantiles of what samples were of
    their prediction over the last 50. So the quantiles are as far below the prediction as this
    link turned out to fall, and as close as it turned out to be steady.
    """

    def __init__(self) -> None:
        self._means: list[float] = []  # logarithms, one for each of _RATES
        self._errors = [0.0] * len(_RATES)
        self._best = 0
        self._ratios = deque(math.log(ratio) for ratio in _PRIOR_RATIOS)
        self._sorted = sorted(self._ratios)

    def observe(self, capacity_bps: float) -> None:
        """Take in a new sample [bit/s], finite and not negative."""
        sample = math.log(capacity_bps if capacity_bps > _FLOOR_BPS else _FLOOR_BPS)
        if not self._means:
            self._means = [sample] * len(_RATES)
            return
        self._remember(sample - self._means[self._best])
        means, errors = self._means, self._errors
        for i, rate in enumerate(_RATES):
            residual = sample - means[i]
            error = min(abs(residual), _LARGEST_ERROR)
            errors[i] += _ERROR_SMOOTHING * (error - errors[i])
            means[i] += rate * residual
        self._best = errors.index(min(errors))

    def restart(self) -> None:
        """Forget the level, not how much it varies: the next sample follows a gap."""
        self._means = []

    @property
    def known(self) -> bool:
        """There was a sample since the start or the last gap."""
        return bool(self._means)

    def quantile_bps(self, quantile: float) -> float:
        """What the next sample exceeds with probability 1 - ``quantile`` [bit/s].

        Only where ``known``.
        """
        ratios = self._sorted
        last = len(ratios) - 1
        position = quantile * (last + 2) - 1.0
        if position <= 0.0:
            ratio = ratios[0]
        elif position >= last:
            ratio = ratios[last]
        else:
            i = int(position)
            low = ratios[i]
            ratio = low + (position - i) * (ratios[i + 1] - low)
        return math.exp(self._means[self._best] + ratio)

    def _remember(self, ratio: float) -> None:
        self._ratios.append(ratio)
        insort(self._sorted, ratio)
        if len(self._ratios) > _WINDOW:
            del self._sorted[bisect_left(self._sorted, self._ratios.popleft())]
