"""What the rows of a benchmark say about the claims made for the package's policies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visionscaling_ros.simulation.statistics import mean_ci95

COMPARATORS = ('oracle', 'best_static')  # know the future: nobody could run them
OWN_PREFIX = 'visionscaling'
DEFAULT_POLICY = 'visionscaling_meta'
PUBLISHED_POLICY = 'visionscaling'

MAP_TOLERANCE = 0.003
REGRET_SHARES = {DEFAULT_POLICY: 0.60, PUBLISHED_POLICY: 0.24}
EXPONENT_LIMIT = 0.9
DECISION_LIMITS_S = {'median': 1e-3, 'p99': 3e-3}
LEAST_SLOTS_PER_S = {DEFAULT_POLICY: 500.0, 'fixed': 20000.0}
DRIFT_SCENARIO = 'slow_drift'

Row = Mapping[str, Any]
Means = dict[str, float]
Condition = tuple[str, str]  # trace, scenario
_TIMED = ('one core', 'fast_fading')  # stands where other claims have trace and scenario
LABELS = ('trace', 'scenario', 'policy', 'seed')


@dataclass(frozen=True)
class Claim:
    """One claim under one condition: whether it holds, and the figure that says so."""

    trace: str
    scenario: str
    policy: str
    claim: str
    met: bool
    figure: str


def means_by_condition(rows: Iterable[Row]) -> dict[Condition, dict[str, Means]]:
    """Means over seeds: condition -> policy -> field -> mean, in the order of the rows."""
    grouped: dict[Condition, dict[str, list[Row]]] = {}
    for row in rows:
        policies = grouped.setdefault((row['trace'], row['scenario']), {})
        policies.setdefault(row['policy'], []).append(row)
    return {
        condition: {policy: _means(of_policy) for policy, of_policy in policies.items()}
        for condition, policies in grouped.items()
    }


def is_rival(policy: str) -> bool:
    """True for what people run today: neither the package's own nor a clairvoyant."""
    return not policy.startswith(OWN_PREFIX) and policy not in COMPARATORS


def meets_target(means: Means) -> bool:
    """True if the mean accuracy is at the target, within the tolerance."""
    return means['map'] >= means['map_target'] - MAP_TOLERANCE


def best_rival(policies: Mapping[str, Means]) -> str | None:
    """The rival with the least regret among those that meet the target; None: no rival does."""
    able = {
        name: means['dynamic_regret']
        for name, means in policies.items()
        if is_rival(name) and meets_target(means) and math.isfinite(means['dynamic_regret'])
    }
    return min(able, key=lambda name: able[name], default=None)


def regret_reduction(own: float, rival: float) -> float:
    """How much less regret than a rival, as a share of the size of the rival's.

    Regret may be negative, as the comparator keeps the target in every slot and a policy only on
    average; against such a rival, less means further below zero. A rival at 0: infinite or 0.
    """
    less = rival - own
    if rival == 0.0:
        return math.copysign(math.inf, less) if less else 0.0
    return less / abs(rival)


def claims(rows: Iterable[Row]) -> list[Claim]:
    """Every claim about regret, accuracy and energy, under every condition."""
    found: list[Claim] = []
    for (trace, scenario), policies in means_by_condition(rows).items():
        for policy, share in REGRET_SHARES.items():
            if policy in policies:
                found.append(Claim(trace, scenario, policy, *_regret(policy, policies, share)))
        if DEFAULT_POLICY in policies:
            for verdict in (_accuracy(policies), _energy(policies)):
                found.append(Claim(trace, scenario, DEFAULT_POLICY, *verdict))
    return found


def growth_claims(curves: Sequence[Mapping[str, Any]]) -> list[Claim]:
    """The claims about how fast regret and fit grow, for every run; meant for long ones."""
    found: list[Claim] = []
    for curve in curves:
        if curve['policy'] not in REGRET_SHARES:
            continue
        where = (curve['trace'], curve['scenario'], curve['policy'])
        for quantity in ('regret', 'fit'):
            if quantity == 'regret' and curve['scenario'] != DRIFT_SCENARIO:
                continue
            exponent = curve[f'{quantity}_exponent']
            claim = f'{quantity} grows with an exponent below {EXPONENT_LIMIT}'
            found.append(Claim(*where, claim, exponent < EXPONENT_LIMIT, f'{exponent:.2f}'))
    return found


def speed_claims(speed: Mapping[str, Any]) -> list[Claim]:
    """The claims about decision time and speed of simulation, from ``bench-decision``."""
    found = []
    for entry in speed['decisions']:
        if entry['policy'] == DEFAULT_POLICY:
            for quantile, limit_s in DECISION_LIMITS_S.items():
                time_s = entry[f'decide_s_{quantile}']
                claim = f'{quantile} decision time at most {1e3 * limit_s:g} ms'
                figure = f'{1e3 * time_s:.2f} ms'
                found.append(Claim(*_TIMED, DEFAULT_POLICY, claim, time_s <= limit_s, figure))
    for entry in speed['simulation']:
        least = LEAST_SLOTS_PER_S.get(entry['policy'])
        if least is not None:
            rate = entry['slots_per_s']
            claim = f'at least {least:.0f} slots/s simulated'
            figure = f'{rate:.0f} slots/s'
            found.append(Claim(*_TIMED, entry['policy'], claim, rate >= least, figure))
    return found


def against_best_static(policies: Mapping[str, Means], policy: str) -> tuple[float, float]:
    """Changes of energy per frame and of processed frames/s against the best static point.

    As shares (-0.3: 30 % less); NaN where either was not run.
    """
    if policy not in policies or 'best_static' not in policies:
        return math.nan, math.nan
    own, static = policies[policy], policies['best_static']
    return (
        _change(own['energy_j_per_frame'], static['energy_j_per_frame']),
        _change(own['processed_fps'], static['processed_fps']),
    )


Verdict = tuple[str, bool, str]  # claim, met, figure


def _regret(policy: str, policies: Mapping[str, Means], share: float) -> Verdict:
    claim = f'regret at least {100.0 * share:.0f} % below the best rival that meets the target'
    rival = best_rival(policies)
    if rival is None:
        return claim, True, 'no rival meets the target'
    own, other = policies[policy]['dynamic_regret'], policies[rival]['dynamic_regret']
    reduction = regret_reduction(own, other)
    figure = f'{own:.4g} against {other:.4g} of {rival}: {-100.0 * reduction:+.0f} %'
    return claim, reduction >= share, figure


def _accuracy(policies: Mapping[str, Means]) -> Verdict:
    means = policies[DEFAULT_POLICY]
    shortfall = means['map_target'] - means['map']
    claim = f'mAP less than {100.0 * MAP_TOLERANCE:.1f} points below the target'
    return claim, shortfall < MAP_TOLERANCE, f'{-100.0 * shortfall:+.2f} points'


def _energy(policies: Mapping[str, Means]) -> Verdict:
    claim = 'not the most energy per processed frame'
    own_j = policies[DEFAULT_POLICY]['energy_j_per_frame']
    rivals_j = {
        name: means['energy_j_per_frame']
        for name, means in policies.items()
        if is_rival(name) and math.isfinite(means['energy_j_per_frame'])
    }
    if not rivals_j:
        return claim, True, f'{own_j:.3f} J, no rival to compare with'
    most = max(rivals_j, key=lambda name: rivals_j[name])
    return claim, own_j < rivals_j[most], f'{own_j:.3f} J; most: {rivals_j[most]:.3f} J of {most}'


def _means(rows: Sequence[Row]) -> Means:
    fields = [field for field in rows[0] if field not in LABELS]
    return {field: mean_ci95([_number(row[field]) for row in rows])[0] for field in fields}


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _change(value: float, before: float) -> float:
    return value / before - 1.0 if before > 0.0 else math.nan
