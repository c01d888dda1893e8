"""Takes the turns of a plan until time is up, and can be stopped and gone on with at any time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from visionscaling_ros.errors import ModelError
from visionscaling_ros.profiling.journal import Figures, Journal, Record
from visionscaling_ros.profiling.schedule import Candidate, Plan, PointVisit, Turn
from visionscaling_ros.profiling.summary import summarize

THOROUGH_ROUNDS = 2  # the coarse one, and one of everything
FAR_SLOWER = 1.5  # more than first figures are wrong by


@dataclass(frozen=True)
class Progress:
    """How far it is.

    :param share: 0 to 1, of the turns or of the time, whichever is nearer its end.
    """

    turn: Turn
    share: float


def take_turns(
    plan: Plan,
    measure: Callable[[Turn], Figures],
    journal: Journal,
    *,
    budget_s: float,
    now_s: Callable[[], float],
    on_progress: Callable[[Progress], None],
) -> bool:
    """Measure what the journal does not have yet; True when every turn was taken.

    No turn is begun once ``budget_s`` of measuring time, that of earlier runs included, is spent.
    A candidate whose turn raises ModelError is not measured again, and after THOROUGH_ROUNDS none
    that is far slower than another engine on the same model and input size.
    """
    spent_before_s, began_s = journal.spent_s, now_s()
    given_up: set[Candidate] = set()
    previous_round = 0
    for turn in plan.turns():
        if previous_round < turn.round == THOROUGH_ROUNDS:
            given_up |= beaten(plan, journal.records)
        previous_round = turn.round
        candidate = turn.visit.candidate if isinstance(turn.visit, PointVisit) else None
        if candidate in given_up:
            continue
        record = journal.records.get(turn.number)
        if record is None:
            spent_s = spent_before_s + now_s() - began_s
            if spent_s >= budget_s:
                return False
            share = max(spent_s / budget_s, turn.number / len(plan))
            on_progress(Progress(turn, share))
            figures, failed = _measured(measure, turn)
            record = Record(turn.number, spent_before_s + now_s() - began_s, figures, failed)
            journal.append(record)
        if record.failed and candidate is not None:
            given_up.add(candidate)
    return True


def beaten(plan: Plan, records: Mapping[int, Record]) -> set[Candidate]:
    """Candidates that took far longer than the fastest of their point in the first rounds.

    Only THOROUGH_ROUNDS count, so that a session that is gone on with decides as it did before.
    """
    summary = summarize(replace(plan, rounds=min(plan.rounds, THOROUGH_ROUNDS)), records)
    latency_s = {point.candidate: point.undisturbed.latency_s for point in summary.points}
    return {
        candidate
        for candidate in latency_s
        if (best := summary.fastest(candidate.model, candidate.input_size_px)) is not None
        and latency_s[candidate] > FAR_SLOWER * latency_s[best]
    }


def _measured(measure: Callable[[Turn], Figures], turn: Turn) -> tuple[Figures, str]:
    try:
        return measure(turn), ''
    except ModelError as error:
        return {}, str(error)
