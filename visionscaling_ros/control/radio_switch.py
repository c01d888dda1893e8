"""Whether to keep the radio on, where every time it goes off costs a tail."""

from __future__ import annotations


class RadioSwitch:
    """Work function algorithm for two states (Borodin, Linial, Saks 1992).

    The work function of a state is the least cost of any schedule of the slots so far that ends in
    it, switches included. The state is left once the other's work function is lower by the cost of
    a switch: losses of the wrong state add up to that, whatever comes next, so that the cost is
    at most three times that of the best schedule in hindsight.
    """

    def __init__(self) -> None:
        self.on = True
        self._excess_on = 0.0  # work function of on over that of off

    def update(self, cost_on: float, cost_off: float, switch_cost: float) -> bool:
        """Take in what the coming slot would cost; returns whether the radio should be on.

        :param cost_on: of the slot with the radio on.
        :param cost_off: of the slot with the radio off.
        :param switch_cost: of a switch: half of what going on and off again costs.
        """
        excess = self._excess_on + cost_on - cost_off
        if excess >= switch_cost:
            self.on = False
        elif excess <= 0.0:
            self.on = True
        self._excess_on = min(max(excess, -switch_cost), switch_cost)
        return self.on
