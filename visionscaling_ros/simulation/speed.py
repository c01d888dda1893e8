"""How long decisions take, and how many slots are simulated a second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policy import Policy, make_policy
from visionscaling_ros.datatypes import OperatingPoint, SlotDecision, SlotState
from visionscaling_ros.simulation.job_processes import Emit
from visionscaling_ros.simulation.profile import DeviceProfile, load_profile
from visionscaling_ros.simulation.runner import simulate
from visionscaling_ros.simulation.scenarios import make_conditions
from visionscaling_ros.simulation.suite import settings_for

MODELS, SIZES_PX, LEVELS = 10, (224, 320, 416, 512, 640), 13
SCENARIO = 'fast_fading'  # no two slots alike, so nothing can be taken over from the last one
WARM_UP_SLOTS = 20
REFERENCE_COUNT = 10_000
REFERENCE_EVERY = 10  # slots; the reference sees the same machine as the decisions


def large_profile() -> DeviceProfile:
    """A device with 10 models at 5 input sizes and 13 clock levels."""
    base = load_profile('agx_orin')
    levels_hz = base.device.available_frequencies_hz
    device = replace(
        base.device,
        available_frequencies_hz=tuple(np.linspace(levels_hz[0], levels_hz[-1], LEVELS).tolist()),
    )
    points = tuple(
        OperatingPoint(
            model=f'model_{number}',
            input_size_px=size_px,
            accuracy_map=(0.30 + 0.025 * number) * (1.0 - 40.0 / size_px),
            gpu_work_ghz_s=0.008 * 1.45**number * (size_px / 640) ** 2,
            serial_s=0.01,
            upload_bits=0.45e6 * (size_px / 640) ** 2,
            server_time_s=0.003 * 1.2**number * (size_px / 640) ** 2,
        )
        for number in range(MODELS)
        for size_px in SIZES_PX
    )
    return replace(base, name='large', device=device, points=points)


class TimedPolicy:
    """A policy that decides as ``inner`` does and notes how long that takes."""

    def __init__(self, inner: Policy) -> None:
        self.name = inner.name
        self.settings = inner.settings
        self.decide_s: list[float] = []
        self.decide_cpu_s: list[float] = []
        self.both_s: list[float] = []
        self.reference_s: list[float] = []
        self._inner = inner
        self._numbers = np.random.default_rng(0).standard_normal(REFERENCE_COUNT)

    def decide(self, forecast: Forecast) -> SlotDecision:
        """What the inner policy decides."""
        if forecast.slot % REFERENCE_EVERY == 0:
            began_s = time.perf_counter()
            np.sort(self._numbers)
            self.reference_s.append(time.perf_counter() - began_s)
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        decision = self._inner.decide(forecast)
        self.decide_cpu_s.append(time.thread_time() - began_cpu_s)
        self.decide_s.append(time.perf_counter() - began_s)
        return decision

    def observe(self, state: SlotState) -> None:
        """Pass it on; with the decision before it makes one slot."""
        began_s = time.perf_counter()
        self._inner.observe(state)
        if self.decide_s:  # else it is what was known before the first slot
            self.both_s.append(self.decide_s[-1] + time.perf_counter() - began_s)


def measure_decisions(policy_name: str, slots: int) -> dict[str, Any]:
    """Times of ``decide`` and of ``decide`` and ``observe`` together in a run of that many slots.

    Also the processor time of ``decide``, which other programs on the machine do not lengthen, and
    its median time as a multiple of a reference, the sort of 10,000 numbers by NumPy, timed in
    between.
    """
    profile = large_profile()
    settings = settings_for(profile)
    total = slots + WARM_UP_SLOTS
    conditions = make_conditions(SCENARIO, profile=profile, slots=total, seed=0)
    policy = TimedPolicy(make_policy(policy_name, settings))
    simulate(policy, conditions, profile, settings)
    unit_s = float(np.median(policy.reference_s))
    return {
        'policy': policy_name,
        'slots': slots,
        **_quantiles('decide', policy.decide_s[WARM_UP_SLOTS:], unit_s),
        **_quantiles('decide_cpu', policy.decide_cpu_s[WARM_UP_SLOTS:], unit_s),
        **_quantiles('decide_observe', policy.both_s[WARM_UP_SLOTS:], unit_s),
        'reference_s': unit_s,
    }


def measure_simulation(policy_name: str, slots: int) -> dict[str, Any]:
    """Slots a second of a simulation on one core, with the profile `agx_orin`."""
    profile = load_profile('agx_orin')
    settings = settings_for(profile)
    conditions = make_conditions(SCENARIO, profile=profile, slots=slots, seed=0)
    policy = make_policy(policy_name, settings)
    began_s = time.perf_counter()
    simulate(policy, conditions, profile, settings)
    rate = slots / (time.perf_counter() - began_s)
    return {'policy': policy_name, 'slots': slots, 'slots_per_s': rate}


def run_measurement(job: tuple[str, str, int], emit: Emit) -> None:
    """One measurement in a process of its own: (kind, policy, slots)."""
    kind, policy, slots = job
    emit(MEASUREMENTS[kind](policy, slots))


MEASUREMENTS = {'decisions': measure_decisions, 'simulation': measure_simulation}


def _quantiles(name: str, times_s: Sequence[float], unit_s: float) -> dict[str, float]:
    figures = {
        f'{name}_s_median': float(np.median(times_s)),
        f'{name}_s_p95': float(np.quantile(times_s, 0.95)),
        f'{name}_s_p99': float(np.quantile(times_s, 0.99)),
    }
    return {**figures, f'{name}_median_over_reference': figures[f'{name}_s_median'] / unit_s}
