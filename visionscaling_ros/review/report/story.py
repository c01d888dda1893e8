"""What happened in a run, in words that code wrote from its data."""

from __future__ import annotations

from visionscaling_ros.review.report.frame_story import (
    configuration_sentence,
    frame_sentences,
    latency_sentence,
    what_is_missing,
    what_ran,
)
from visionscaling_ros.review.report.goal_story import (
    accuracy_sentences,
    change_sentences,
    cost_sentence,
    decision_sentence,
)
from visionscaling_ros.review.report.machine_story import (
    clock_sentences,
    edge_sentence,
    heat_sentences,
    power_sentences,
    server_sentence,
)
from visionscaling_ros.review.report.run_view import RunView


def story(view: RunView) -> list[str]:
    """Paragraphs; empty ones left out."""
    paragraphs = [
        [what_ran(view), *change_sentences(view)],
        [*frame_sentences(view), configuration_sentence(view), latency_sentence(view)],
        accuracy_sentences(view),
        [edge_sentence(view), server_sentence(view)],
        [*clock_sentences(view), *heat_sentences(view), *power_sentences(view)],
        [decision_sentence(view), cost_sentence(view)],
    ]
    joined = [' '.join(sentence for sentence in part if sentence) for part in paragraphs]
    return [paragraph for paragraph in joined if paragraph]


def notes(view: RunView) -> list[str]:
    """What the bag lacks, a sentence each."""
    return what_is_missing(view)
