"""What is fair: nobody gets more as long as somebody with less still wants some."""

from __future__ import annotations

from collections.abc import Sequence


def max_min_shares(demands: Sequence[float], capacity: float) -> list[float]:
    """Max-min fair shares of ``capacity`` among ``demands``, all in the same unit, all >= 0.

    Everyone gets ``min(demand, level)``, with the level at which the shares add up to ``capacity``;
    everyone gets his demand where that is less. Progressive filling after Bertsekas and Gallager,
    Data Networks, section 6.5.2.

    >>> max_min_shares([1.0, 10.0, 10.0], 9.0)
    [1.0, 4.0, 4.0]
    """
    shares = [0.0] * len(demands)
    left = capacity
    by_demand = sorted(range(len(demands)), key=lambda index: demands[index])
    for served, index in enumerate(by_demand):
        shares[index] = min(demands[index], left / (len(demands) - served))
        left -= shares[index]
    return shares
