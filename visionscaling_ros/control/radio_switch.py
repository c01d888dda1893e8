"""Whether to keep the radio on, where every time it goes off costs a tail."""

from __future__ import annotations

import math


class RadioSwitch:
    """Work functions for two states, after Borodin, Linial, Saks 1992.

    The work function of a state is the least cost of any schedule of the slots so far that ends in
    it, switches included. The radio goes off once the work function of off is lower by the cost of
    a switch, and comes on again once that of on is no higher, sooner than in the original (ours):
    losses of the wrong state add up to a switch, whatever comes next, so that the cost is at most
    four times that of the best schedule in hindsight (three times in the original).
    """

    def __init__(self) -> None:
        self.on = True
        self._excess_on = 0.0  # work function of on over that of off

    def update(self, cost_on: float, cost_off: float, switch_cost: float) -> bool:
        """Take in what the coming slot would cost; returns whether the radio should be on.

        Costs that are no numbers change nothing.

        :param cost_on: of the slot with the radio on.
        :param cost_off: of the slot with the radio off.
        :param switch_cost: of a switch: half of what going on and off again costs.
        """
        excess = self._excess_on + cost_on - cost_off
        if math.isnan(excess):
            return self.on
        if excess >= switch_cost:
            self.on = False
        elif excess <= 0.0:
            self.on = True
        self._excess_on = min(max(excess, -switch_cost), switch_cost)
        return self.on
