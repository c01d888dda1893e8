"""Every policy under every condition: what ``visionscaling bench`` runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass

from visionscaling_ros.control.policy import Policy, make_policy
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.edge.link.trace import load_trace
from visionscaling_ros.simulation.best_static import best_static
from visionscaling_ros.simulation.conditions import Conditions
from visionscaling_ros.simulation.job_processes import (
    Emit,
    Ended,
    describe_error,
    run_in_processes,
)
from visionscaling_ros.simulation.metrics import cumulative_fit, cumulative_regret, summarize
from visionscaling_ros.simulation.oracle import OraclePolicy
from visionscaling_ros.simulation.profile import DeviceProfile, load_profile
from visionscaling_ros.simulation.runner import Run, simulate
from visionscaling_ros.simulation.scenarios import make_conditions
from visionscaling_ros.simulation.statistics import Vector, curve_slots, growth_exponent
from visionscaling_ros.simulation.suite_result import (
    Failure,
    PolicyResult,
    SlotsDone,
    SuiteResult,
)
from visionscaling_ros.simulation.verdict import LABELS

SYNTHETIC = 'synthetic'  # name of the trace where the scenario draws the uplink itself


@dataclass(frozen=True)
class Job:
    """One world and the policies to run in it.

    :param trace: name of the uplink trace.
    :param trace_file: where it is; empty: the scenario draws one.
    :param device: name or file of the profile.
    :param target_map: accuracy target; None: that of the profile.
    """

    trace: str
    trace_file: str
    scenario: str
    seed: int
    slots: int
    device: str
    target_map: float | None
    policies: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is, for people."""
        return f'{self.trace}, {self.scenario}, seed {self.seed}'

    @property
    def total_slots(self) -> int:
        """Slots there are to do: the oracle's once, then those of every policy."""
        return self.slots * (1 + len(self.policies))


def run_suite(
    jobs: Sequence[Job], processes: int, on_slots: Callable[[int], None]
) -> SuiteResult:
    """Run all jobs, ``processes`` at a time; the result does not depend on how many.

    Interrupted (Ctrl-C), it returns what is done, marked as interrupted.

    :param on_slots: told how many more slots were simulated.
    """
    results: list[dict[str, PolicyResult]] = [{} for _ in jobs]
    suite = SuiteResult()
    try:
        with closing(run_in_processes(run_job, jobs, processes)) as events:
            for event in events:
                if isinstance(event, Ended):
                    if event.error:
                        suite.failures.append(Failure(jobs[event.index].name, event.error))
                elif isinstance(event.value, SlotsDone):
                    on_slots(event.value.slots)
                elif isinstance(event.value, PolicyResult):
                    results[event.index][event.value.policy] = event.value
                else:
                    suite.failures.append(event.value)
    except KeyboardInterrupt:
        suite.interrupted = True
    for job, by_policy in zip(jobs, results, strict=True):
        done = [by_policy[policy] for policy in job.policies if policy in by_policy]
        suite.rows += [result.row for result in done]
        suite.curves += [result.curve for result in done]
    suite.failures.sort(key=lambda failure: failure.name)
    return suite


def run_job(job: Job, emit: Emit) -> None:
    """Run every policy of a job in the same world; emit a PolicyResult or a Failure of each."""
    profile, settings = job_setup(job)
    conditions = job_conditions(job, profile)
    oracle = OraclePolicy(conditions, profile, settings)
    emit(SlotsDone(job.slots))
    for name in job.policies:
        try:
            if name == oracle.name:
                policy: Policy = oracle
            else:
                policy = make_any_policy(name, conditions, profile, settings)
            run = simulate(policy, conditions, profile, settings, progress=_Progress(emit))
            emit(_result(run, oracle.plan.cost, settings.accuracy_target_map))
        except BrokenPipeError:
            raise
        except Exception as error:  # whatever it is, the other policies go on
            emit(Failure(f'{job.name}, {name}', describe_error(error)))


def job_setup(job: Job) -> tuple[DeviceProfile, ControlSettings]:
    """Device and settings of a job."""
    profile = load_profile(job.device)
    return profile, settings_for(profile, target_map=job.target_map, seed=job.seed)


def settings_for(
    profile: DeviceProfile, *, target_map: float | None = None, seed: int = 0
) -> ControlSettings:
    """Settings for a simulated device; ``target_map`` None: the profile's target."""
    return ControlSettings(
        accuracy_target_map=profile.accuracy_target_map if target_map is None else target_map,
        full_rate_fps=profile.full_rate_fps,
        utilization_ceiling=1.0,  # nothing queues in a fluid world
        seed=seed,
    )


def job_conditions(job: Job, profile: DeviceProfile) -> Conditions:
    """World of a job."""
    return make_conditions(
        job.scenario,
        profile=profile,
        slots=job.slots,
        seed=job.seed,
        trace=load_trace(job.trace_file) if job.trace_file else None,
        trace_name=job.trace,
    )


def make_any_policy(
    name: str, conditions: Conditions, profile: DeviceProfile, settings: ControlSettings
) -> Policy:
    """A policy, or one of the two that know the world beforehand."""
    if name == 'oracle':
        return OraclePolicy(conditions, profile, settings)
    if name == 'best_static':
        return best_static(conditions, profile, settings)
    return make_policy(name, settings)


class _Progress:
    """Tells of slots played since it last told."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._told = 0

    def __call__(self, played: int) -> None:
        self._emit(SlotsDone(played - self._told))
        self._told = played


def _result(run: Run, best_cost: Vector, target_map: float) -> PolicyResult:
    row = asdict(summarize(run, best_cost, target_map))
    regret, fit = cumulative_regret(run, best_cost), cumulative_fit(run)
    kept = curve_slots(len(regret))
    curve = {
        **{label: row[label] for label in LABELS},
        'slots': kept.tolist(),
        'regret': regret[kept - 1].tolist(),
        'fit': fit[kept - 1].tolist(),
        'regret_exponent': growth_exponent(regret),
        'fit_exponent': growth_exponent(fit),
    }
    return PolicyResult(run.policy, row, curve)
