"""Publishes decisions for a GPU's clock all the time, and hears whether its node lives."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence

from visionscaling_ros import msg
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.compat import steady_clock
from visionscaling_ros.nodes.listener import Listener

PERIOD_S = 0.01
SET_SHARE = 0.75  # of decisions; the others leave the clock alone


class DecisionDriver(Listener):
    """A ``ClockDriver`` (trials/clock_kills) in a thread of its own; use as a context manager.

    :param seed: of the decisions.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__('clock_driver')
        self._chance = random.Random(seed)
        self._frequencies_hz: Sequence[float] = ()
        self._set_share = SET_SHARE
        self._changed = threading.Condition()
        self._state_s = 0.0
        self._slot = 0

    def subscribe(self) -> None:
        """Decisions out, states in."""
        self._decisions = self.node.create_publisher(
            msg.SlotDecision, topics.SLOT_DECISION, topics.DECISION_QOS
        )
        self.node.create_subscription(
            msg.GpuState, topics.GPU_STATE, self._on_state, topics.STATE_QOS
        )
        self.node.create_timer(PERIOD_S, self._decide, clock=steady_clock())

    def decide(self, frequencies_hz: Sequence[float], *, holding: bool = False) -> None:
        """Publish one of these at random, or 0 unless ``holding``, every PERIOD_S from now on."""
        with self._changed:
            self._frequencies_hz = frequencies_hz
            self._set_share = 1.0 if holding else SET_SHARE

    def rest(self) -> None:
        """Decide once to leave the clock alone, and nothing from then on."""
        with self._changed:
            self._frequencies_hz = ()
            self._publish(0.0)

    def wait_for_state(self, after_s: float, timeout_s: float) -> bool:
        """Until a gpu_state came after ``after_s`` [s]; whether one did in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._state_s > after_s, timeout_s)

    def _decide(self) -> None:
        with self._changed:
            if self._frequencies_hz:
                setting = self._chance.random() < self._set_share
                self._publish(self._chance.choice(self._frequencies_hz) if setting else 0.0)

    def _publish(self, frequency_hz: float) -> None:
        self._slot += 1
        self._decisions.publish(msg.SlotDecision(slot=self._slot, gpu_frequency_hz=frequency_hz))

    def _on_state(self, message: msg.GpuState) -> None:
        with self._changed:
            self._state_s = time.monotonic()
            self._changed.notify_all()
