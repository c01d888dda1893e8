"""Plays a policy through conditions and keeps the books."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from visionscaling_ros.control.forecast import Forecaster
from visionscaling_ros.control.policy import Policy
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.simulation.conditions import Conditions, Series
from visionscaling_ros.simulation.profile import DeviceProfile
from visionscaling_ros.simulation.world import World

PROGRESS_SLOTS = 200  # how often progress is told


@dataclass(frozen=True, eq=False)
class Run:
    """What happened; arrays of shape (T,) hold an entry per slot.

    All of it but ``decision_s`` is the same, bit for bit, for the same conditions and policy.

    :param cost: phi of the slot [-].
    :param constraint: g of the slot [mAP frames/s]; positive: below target.
    :param energy_j: energy of the slot [J].
    :param arrival_fps: frames that arrived [frames/s].
    :param processed_fps: frames processed, locally and at the edge [frames/s].
    :param processed_edge_fps: those at the edge [frames/s].
    :param dropped_fps: frames that were not [frames/s].
    :param accuracy_sum: sum of rates times accuracies of what ran [mAP frames/s].
    :param frequency_hz: GPU clock [Hz].
    :param power_w: mean power [W].
    :param multiplier: multiplier of the accuracy constraint the policy told [-].
    :param temperature_c: of the GPU at the end of the slot [degC].
    :param decision_s: time the policy took to decide [s].
    :param switched: other configurations, elsewhere, or another clock than in the slot before.
    :param latency_s: latency of what was processed, (N,) [s].
    :param latency_frames: frames each latency stands for, (N,).
    """

    trace: str
    scenario: str
    policy: str
    seed: int
    slot_s: float
    cost: Series
    constraint: Series
    energy_j: Series
    arrival_fps: Series
    processed_fps: Series
    processed_edge_fps: Series
    dropped_fps: Series
    accuracy_sum: Series
    frequency_hz: Series
    power_w: Series
    multiplier: Series
    temperature_c: Series
    decision_s: Series
    switched: npt.NDArray[np.bool_]
    latency_s: Series
    latency_frames: Series


_COLUMNS = (
    'cost', 'constraint', 'energy_j', 'arrival_fps', 'processed_fps', 'processed_edge_fps',
    'dropped_fps', 'frequency_hz', 'power_w', 'multiplier', 'temperature_c', 'decision_s',
)  # fmt: skip


def simulate(
    policy: Policy,
    conditions: Conditions,
    profile: DeviceProfile,
    settings: ControlSettings,
    *,
    progress: Callable[[int], None] | None = None,
) -> Run:
    """Play a policy from the first slot to the last, as ``controller_node`` would run it.

    :param policy: a fresh one, or one that goes on learning.
    :param settings: targets and weights the run is scored by; the forecaster's settings.
    :param progress: called now and then, and at the end, with the number of slots played.
    """
    world = World(conditions, profile, settings)
    forecaster = Forecaster(settings, conditions.slot_s)
    start = world.start()
    forecaster.observe(start)
    policy.observe(start)
    device, slots = profile.device, len(conditions)
    rows: list[tuple[float, ...]] = []
    switched = np.zeros(slots, np.bool_)
    before: tuple[float, frozenset[tuple[str, int, int]]] | None = None
    for slot in range(slots):
        forecast = forecaster.forecast(slot, device)
        started_s = perf_counter()
        decision = policy.decide(forecast)
        decision_s = perf_counter() - started_s
        state = world.step(decision, slot)
        forecaster.observe(state, decision)
        policy.observe(state)
        kinds = frozenset([(a.model, a.input_size_px, a.origin) for a in state.processed])
        now = (state.gpu_frequency_hz, kinds)
        switched[slot] = before is not None and now != before
        before = now
        rows.append((
            state.cost, state.constraint, state.energy_j, state.arrival_fps,
            state.processed_local_fps + state.processed_edge_fps, state.processed_edge_fps,
            state.dropped_fps, state.gpu_frequency_hz, state.power_w, decision.multiplier,
            state.gpu_temperature_c, decision_s,
        ))  # fmt: skip
        if progress is not None and (slot + 1) % PROGRESS_SLOTS == 0:
            progress(slot + 1)
    if progress is not None:
        progress(slots)
    columns = dict(zip(_COLUMNS, np.array(rows, np.float64).T.copy(), strict=True))
    target = settings.accuracy_target_map
    return Run(
        trace=conditions.trace,
        scenario=conditions.scenario,
        policy=policy.name,
        seed=conditions.seed,
        slot_s=conditions.slot_s,
        **columns,
        accuracy_sum=columns['processed_fps'] * target - columns['constraint'],
        switched=switched,
        latency_s=np.asarray(world.latencies.latency_s, np.float64),
        latency_frames=np.asarray(world.latencies.frames, np.float64),
    )
