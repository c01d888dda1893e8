"""What is wrong with a data set, told at once: the first problems, and how many there are."""

from __future__ import annotations

from pathlib import Path

from visionscaling_ros.errors import VisionScalingError

REPORTED = 10


class DataSetError(VisionScalingError):
    """A labelled data set that cannot be used: names file, field, value and what is allowed."""


class Problems:
    """Problems of single pictures, collected so that all labels are checked in one pass."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._count = 0
        self._pictures: set[str] = set()

    def add(self, where: str, field: str, value: object, allowed: str, picture: str = '') -> None:
        """Note one: ``where`` is file and line or entry, ``picture`` whose labels it spoils."""
        if len(self._first) < REPORTED:
            self._first.append(f'{where}: {field} = {value!r}; allowed: {allowed}')
        self._count += 1
        if picture:
            self._pictures.add(picture)

    def settle(self, path: Path, *, skip_bad: bool) -> frozenset[str]:
        """Names of the pictures to leave out.

        :raises DataSetError: there are problems, and ``skip_bad`` does not allow any.
        """
        if self._count and not skip_bad:
            more = self._count - len(self._first)
            lines = [*self._first, *([f'and {more} more'] if more else [])]
            raise DataSetError(
                f'{path} has {self._count} problem(s) in {len(self._pictures)} picture(s); '
                'allowed: none, or skip_bad (--skip-bad), which leaves those pictures out:\n  '
                + '\n  '.join(lines)
            )
        return frozenset(self._pictures)
