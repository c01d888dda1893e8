"""What was measured so far, on disk after every measurement."""

from __future__ import annotations

import fcntl
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from visionscaling_ros.errors import InvalidValueError

Figures = Mapping[str, tuple[float, ...]]
RESTART = 'use --restart to measure anew'


@dataclass(frozen=True)
class Record:
    """The outcome of one turn.

    :param spent_s: measuring time spent up to its end, over all runs [s].
    :param figures: what was measured, each by name with its unit; values >= 0.
    :param failed: why nothing was; empty when it was.
    """

    turn: int
    spent_s: float
    figures: Figures
    failed: str = ''


class Journal:
    """A file of JSON lines: the settings, then a record for every turn taken.

    A last line that is not whole (the writer was killed) is dropped; anything else that is wrong
    is an error, because figures of unknown origin must not become part of a profile.

    :param path: the file; made where there is none.
    :param settings: all that the figures depend on, as JSON has it.
    :param restart: forget what is in the file.
    :raises InvalidValueError: other settings, a damaged file, one that another process writes or
        that cannot be written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], *, restart: bool = False) -> None:
        self.path = path
        self.records: dict[int, Record] = {}
        self._file = _open_and_lock(path)
        try:
            if restart:
                self._file.truncate(0)
            self._read(json.loads(json.dumps(settings)))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    @property
    def spent_s(self) -> float:
        """Measuring time spent so far, over all runs [s]."""
        return max((record.spent_s for record in self.records.values()), default=0.0)

    def append(self, record: Record) -> None:
        """Keep a record. Raises InvalidValueError when it cannot be written."""
        self.records[record.turn] = record
        outcome = {'failed': record.failed} if record.failed else record.figures
        self._write({'turn': record.turn, 'spent_s': round(record.spent_s, 6), **outcome})

    def _write(self, content: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(content).encode() + b'\n')
            self._file.flush()
        except OSError as error:
            raise InvalidValueError('journal', str(self.path), f'a file to write ({error})') from (
                error
            )

    def _read(self, settings: Mapping[str, Any]) -> None:
        self._file.seek(0)
        *lines, rest = self._file.read().split(b'\n')
        if rest:
            self._file.truncate(sum(len(line) + 1 for line in lines))
        self._file.seek(0, 2)
        if not lines:
            self._write({'settings': settings})
            return
        self._check_settings(self._parsed(lines[0], 1).get('settings'), settings)
        for number, line in enumerate(lines[1:], start=2):
            record = _record(self._parsed(line, number))
            if record is None or record.turn in self.records:
                raise self._damaged(number, line)
            self.records[record.turn] = record

    def _parsed(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            content = json.loads(line)
        except ValueError as error:
            raise self._damaged(number, line) from error
        if not isinstance(content, dict):
            raise self._damaged(number, line)
        return content

    def _damaged(self, number: int, line: bytes) -> InvalidValueError:
        text = line[:60].decode(errors='replace')
        return InvalidValueError(
            f'{self.path}: line {number}', text, f'a record of a measurement; {RESTART}'
        )

    def _check_settings(self, found: object, settings: Mapping[str, Any]) -> None:
        if not isinstance(found, dict):
            raise InvalidValueError(f'{self.path}: settings', found, f'a mapping; {RESTART}')
        for name in sorted(set(found) | set(settings)):
            if found.get(name) != settings.get(name):
                raise InvalidValueError(
                    f'{self.path}: {name}',
                    found.get(name),
                    f'{settings.get(name)!r}, as now, to go on with these measurements; {RESTART}',
                )


def _open_and_lock(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open('a+b')
    except OSError as error:
        raise InvalidValueError('journal', str(path), f'a file to write ({error})') from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise InvalidValueError(
            'journal', str(path), 'one that no other process is writing'
        ) from error
    return file


def _record(content: dict[str, Any]) -> Record | None:
    """The record in a line; None when it is none."""
    turn, spent_s = content.pop('turn', None), content.pop('spent_s', None)
    failed = content.pop('failed', '')
    if not isinstance(turn, int) or not _is_figure(spent_s) or not isinstance(failed, str):
        return None
    if not failed and not content:
        return None
    figures = {}
    for name, values in content.items():
        if not isinstance(values, list) or not values or not all(map(_is_figure, values)):
            return None
        figures[name] = tuple(float(value) for value in values)
    return Record(turn, float(spent_s), figures, failed)


def _is_figure(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and value >= 0.0
