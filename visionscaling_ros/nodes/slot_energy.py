"""The power and the energy of slots, out of the energy counters of two nodes."""

from __future__ import annotations

import math

from visionscaling_ros import msg

UNKNOWN = (math.nan, math.nan)


class SlotEnergy:
    """What the robot's computer and its radio drew in each slot.

    A meter may be slower than the slots. Power is then the mean over the time that the newest
    readings cover, and a slot that ends without one has neither power nor energy: the next to have
    them has the energy of both, so that energies add up to the meter's, but for what is drawn
    between two messages. Gaps are in none.
    """

    def __init__(self) -> None:
        self._computer = _EnergyCounter('energy_j', 'energy_measured_s')
        self._radio = _EnergyCounter('radio_energy_j', 'uptime_s')

    def begin(self, gpu: msg.GpuState | None, link: msg.LinkState | None) -> None:
        """Count from these messages on."""
        self._computer.begin(gpu)
        self._radio.begin(link)

    def end_slot(
        self, gpu: msg.GpuState | None, link: msg.LinkState | None, duration_s: float
    ) -> tuple[float, float]:
        """Mean power [W] and energy [J]; NaN where gpu_clock_node tells nothing new."""
        if gpu is None or not self._computer.begun:
            self.begin(gpu, link)
            return UNKNOWN
        self._computer.wait(duration_s)
        self._radio.wait(duration_s)
        power_w, energy_j = self._computer.told_by(gpu)
        if math.isnan(power_w):
            return UNKNOWN
        radio_w, radio_j = UNKNOWN if link is None else self._radio.told_by(link)
        if gpu.power_covers_radio or math.isnan(radio_w):
            return power_w, energy_j
        return power_w + radio_w, energy_j + radio_j


class _EnergyCounter:
    """One node's counter of energy, between the slots in which it grew.

    :param energy: the counter's name in the node's messages.
    :param measured: name of the time whose energy that is.
    """

    def __init__(self, energy: str, measured: str) -> None:
        self._names = (energy, measured, 'uptime_s')
        self._before: tuple[float, ...] | None = None
        self._waited_s = 0.0  # slots since then, on their own clock

    @property
    def begun(self) -> bool:
        """Whether there was a message to count from."""
        return self._before is not None

    def begin(self, message: msg.GpuState | msg.LinkState | None) -> None:
        """Count from this message on; None: from the first there is."""
        self._before = None if message is None else self._counters(message)
        self._waited_s = 0.0

    def wait(self, duration_s: float) -> None:
        """A slot ended."""
        self._waited_s += duration_s

    def told_by(self, message: msg.GpuState | msg.LinkState) -> tuple[float, float]:
        """Mean power [W] and energy [J] of the slots since it grew last; NaN where it did not."""
        if self._before is None:
            self.begin(message)
            return UNKNOWN
        now = self._counters(message)
        if any(new < old for new, old in zip(now, self._before, strict=True)):
            self._before = (0.0, 0.0, 0.0)  # the node was started anew, and its counters with it
            self._waited_s = min(self._waited_s, message.uptime_s)
        energy_j, measured_s, elapsed_s = (
            new - old for new, old in zip(now, self._before, strict=True)
        )
        if not measured_s > 0.0:
            return UNKNOWN
        power_w = energy_j / measured_s
        # slots end between messages: what one lacks, or has too much, the next one makes good
        shift_s = self._waited_s - elapsed_s
        self._before, self._waited_s = now, 0.0
        return power_w, power_w * max(0.0, measured_s + shift_s)

    def _counters(self, message: msg.GpuState | msg.LinkState) -> tuple[float, ...]:
        return tuple(getattr(message, name) for name in self._names)
