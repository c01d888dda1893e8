"""Keeps what is known of a robot, message by message."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import SlotDecision, SlotState
from visionscaling_ros.watch.readings import GpuReading, InferenceReading, LinkReading, Status
from visionscaling_ros.watch.robot_view import RobotView, Sample

HISTORY_S = 60.0
MOST_SAMPLES = 600
PATIENCE_S = 3.0
PATIENCE_SLOTS = 3.0  # of a robot with long slots
STATUS_S = 10.0  # a status not repeated for this long is not its node's any more


class WatchedRobot:
    """What is known of one robot; times are on one monotonic clock [s].

    :param namespace: '' for the root, otherwise with its leading slash.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.present = False
        self._known: dict[str, Any] = {}
        self._heard_s: dict[str, float] = {}
        self._statuses: dict[str, tuple[Status, float]] = {}
        self._history: deque[tuple[float, Sample]] = deque(maxlen=MOST_SAMPLES)
        self._restarted_s = -math.inf
        self._not_understood = 0

    def heard_state(self, state: SlotState, now_s: float) -> None:
        """A slot_state came."""
        before = self._known.get('slot_state')
        if before is not None and state.slot < before.slot:
            self._restarted_s = now_s
        if now_s - self._heard_s.get('slot_state', now_s) > self._patience_s:
            self._history.append((now_s, Sample()))  # a gap
        self._keep('slot_state', state, now_s)
        sample = Sample(
            state.processed_local_fps + state.processed_edge_fps,
            state.power_w,
            state.achieved_map,
            state.uplink_capacity_bps,
        )
        self._history.append((now_s, sample))

    def heard_decision(self, decision: SlotDecision, now_s: float) -> None:
        """A slot_decision came."""
        self._keep('slot_decision', decision, now_s)

    def heard_settings(self, settings: ControlSettings, now_s: float) -> None:
        """A controller_settings came."""
        self._keep('controller_settings', settings, now_s)

    def heard_gpu(self, gpu: GpuReading, now_s: float) -> None:
        """A gpu_state came."""
        self._keep('gpu_state', gpu, now_s)

    def heard_link(self, link: LinkReading, now_s: float) -> None:
        """A link_state came."""
        self._keep('link_state', link, now_s)

    def heard_inference(self, inference: InferenceReading, now_s: float) -> None:
        """An inference_state came."""
        before = self._known.get('inference_state')
        if before is not None and inference.uptime_s < before.uptime_s:
            self._restarted_s = now_s
        self._keep('inference_state', inference, now_s)

    def heard_status(self, status: Status, now_s: float) -> None:
        """A status of one of its nodes came."""
        self._statuses[status.name] = (status, now_s)

    def did_not_understand(self) -> None:
        """A message came that says what no message may."""
        self._not_understood += 1

    def view(self, now_s: float) -> RobotView:
        """All that is known by now."""
        last_s = max(self._heard_s.values(), default=-math.inf)
        until_s = last_s if self._heard_s else now_s
        return RobotView(
            namespace=self.namespace,
            present=self.present,
            silence_s=now_s - last_s,
            slot_silence_s=now_s - self._heard_s.get('slot_state', -math.inf),
            patience_s=self._patience_s,
            ages_s={topic: now_s - heard_s for topic, heard_s in self._heard_s.items()},
            restarted_s=now_s - self._restarted_s,
            not_understood=self._not_understood,
            state=self._known.get('slot_state'),
            decision=self._known.get('slot_decision'),
            settings=self._known.get('controller_settings'),
            gpu=self._known.get('gpu_state'),
            link=self._known.get('link_state'),
            inference=self._known.get('inference_state'),
            statuses=tuple(
                status
                for _, (status, heard_s) in sorted(self._statuses.items())
                if heard_s > until_s - STATUS_S
            ),
            history=tuple(s for heard_s, s in self._history if heard_s > now_s - HISTORY_S),
        )

    @property
    def _patience_s(self) -> float:
        state = self._known.get('slot_state')
        slot_s = state.duration_s if state is not None else math.nan
        return max(PATIENCE_S, PATIENCE_SLOTS * slot_s) if slot_s < math.inf else PATIENCE_S

    def _keep(self, topic: str, known: object, now_s: float) -> None:
        self._known[topic] = known
        self._heard_s[topic] = now_s
