"""Which worlds a benchmark runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from visionscaling_ros.control.policy import POLICY_NAMES
from visionscaling_ros.edge.link.trace import load_trace
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.simulation.scenarios import SCENARIOS
from visionscaling_ros.simulation.suite import SYNTHETIC, Job
from visionscaling_ros.simulation.verdict import COMPARATORS

ALL = 'all'
NOMINAL = 'nominal'  # the scenario in which a recorded trace is what changes
SIMULATED = (*POLICY_NAMES, *COMPARATORS)
NOT_TRACES = ('.md', '.json', '.yaml', '.png', '.down')  # .down: downlinks, as mahimahi names them


def find_traces(source: str) -> dict[str, str]:
    """Uplink traces by name: the file ``source``, or the files in that folder.

    Hidden files, README, LICENSE and ``NOT_TRACES`` are left out; empty ``source``: none. Every
    trace is read, so that one that cannot be is found before anything runs.

    :raises InvalidValueError: no trace is there, or one is not readable (naming file and line).
    """
    if not source:
        return {}
    place = Path(source).resolve()
    files = [place] if place.is_file() else sorted(place.glob('*'))
    traces = {path.name: str(path) for path in files if _may_be_trace(path)}
    if not traces:
        raise InvalidValueError('traces', source, 'a trace, or a folder with traces in it')
    for path in traces.values():
        load_trace(path)
    return traces


def choose(
    name: str, text: str, known: Sequence[str], *, everything: Sequence[str]
) -> tuple[str, ...]:
    """The names in a comma-separated ``text``, each once; 'all' stands for ``everything``.

    :raises InvalidValueError: one is not known, or there are none.
    """
    if text == ALL:
        return tuple(everything)
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(',') if part.strip()))
    for part in chosen or (text,):
        if part not in known:
            raise InvalidValueError(name, part, f'{ALL}, or some of {", ".join(known)}')
    return chosen


def choose_policies(text: str, *, comparators: bool) -> tuple[str, ...]:
    """Policies to run, with the comparators unless not wanted; raises InvalidValueError."""
    chosen = choose('policies', text, SIMULATED, everything=POLICY_NAMES)
    return tuple(dict.fromkeys((*chosen, *(COMPARATORS if comparators else ()))))


def check_policy(name: str) -> None:
    """Raises InvalidValueError for a policy that cannot be simulated."""
    if name not in SIMULATED:
        raise InvalidValueError('policy', name, ', '.join(SIMULATED))


def choose_scenarios(text: str) -> tuple[str, ...]:
    """Scenarios to run; raises InvalidValueError."""
    return choose('scenarios', text, tuple(SCENARIOS), everything=tuple(SCENARIOS))


def plan_jobs(
    *, traces: dict[str, str], scenarios: Sequence[str], cross: bool, seeds: range, slots: int,
    device: str, target_map: float | None, policies: tuple[str, ...],
) -> list[Job]:  # fmt: skip
    """A job for every world: traces under 'nominal', the other scenarios with an uplink of theirs.

    :param cross: also traces under the other scenarios, as their uplink; those that differ from
        'nominal' in nothing but that are left out.
    :raises InvalidValueError: nothing to run.
    """
    worlds = [(trace, NOMINAL) for trace in traces if NOMINAL in scenarios]
    others = [scenario for scenario in scenarios if scenario != NOMINAL]
    worlds += [(SYNTHETIC, scenario) for scenario in others]
    if cross:
        crossed = [scenario for scenario in others if _differs_but_for_its_uplink(scenario)]
        worlds += [(trace, scenario) for trace in traces for scenario in crossed]
    if not worlds:
        allowed = f'others than {NOMINAL}, or traces to run under it'
        raise InvalidValueError('scenarios', ','.join(scenarios), allowed)
    return [
        Job(
            trace=trace, trace_file=traces.get(trace, ''), scenario=scenario, seed=seed,
            slots=slots, device=device, target_map=target_map, policies=policies,
        )
        for trace, scenario in worlds
        for seed in seeds
    ]  # fmt: skip


def _differs_but_for_its_uplink(scenario: str) -> bool:
    nominal = SCENARIOS[NOMINAL]
    return replace(SCENARIOS[scenario], about=nominal.about, uplink=nominal.uplink) != nominal


def _may_be_trace(path: Path) -> bool:
    named_otherwise = path.stem.upper() in ('README', 'LICENSE') or path.suffix in NOT_TRACES
    return path.is_file() and not path.name.startswith('.') and not named_otherwise
