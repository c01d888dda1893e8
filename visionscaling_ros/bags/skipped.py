"""Counts what of a bag was passed over, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping


class Skipped:
    """Numbers of messages by topic (or file) and reason."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, topic: str, reason: str, count: int = 1) -> None:
        """Count messages of a topic, or of a file where their topics are unknown."""
        self._counts[topic, reason] += count

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self._counts.values())

    @property
    def by_topic(self) -> Mapping[str, Mapping[str, int]]:
        """Numbers by topic, then by reason."""
        found: dict[str, dict[str, int]] = {}
        for (topic, reason), count in sorted(self._counts.items()):
            found.setdefault(topic, {})[reason] = count
        return found
