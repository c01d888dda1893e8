"""What a benchmark's runs come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SlotsDone:
    """So many more slots were simulated."""

    slots: int


@dataclass(frozen=True)
class PolicyResult:
    """The figures of one policy in one world, as they go into the document."""

    policy: str
    row: dict[str, Any]
    curve: dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """A run that could not be done, and why."""

    name: str
    error: str


@dataclass
class SuiteResult:
    """What came out, in the order of the jobs and of their policies."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    curves: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Every run was done."""
        return not (self.interrupted or self.failures)
