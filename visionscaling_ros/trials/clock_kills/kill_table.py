"""A campaign as people watch it: a bar or one line a round, and a summary."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from visionscaling_ros.trials.clock_kills.record import LEFT, RoundRecord, WaySummary

HEADINGS = ('round', 'way', 'killed', 'while', 'left', 'restored after', 'verdict')


class KillTable:
    """A bar on a terminal, plain lines elsewhere; use as a context manager.

    :param kills: how many will come.
    """

    def __init__(self, kills: int) -> None:
        self._console = Console()
        self._progress = Progress(
            TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(), console=self._console, transient=True,
        )  # fmt: skip
        self._task = self._progress.add_task('kills', total=kills)

    def __enter__(self) -> KillTable:
        if self._console.is_terminal:
            self._progress.start()
        else:
            print(' | '.join(HEADINGS), flush=True)
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def add(self, record: RoundRecord) -> None:
        """Show one more round."""
        line = ' | '.join(_cells(record))
        if not self._console.is_terminal:
            print(line, flush=True)
            return
        if record.violations:
            self._console.print(line, style='red', markup=False)
        self._progress.update(
            self._task, advance=len(record.left), description=f'{record.way}: {record.kind}'
        )


def print_summary(summaries: Sequence[WaySummary]) -> None:
    """All rounds by who was killed."""
    table = Table(
        title='Kills by who wrote and who was killed', box=box.SIMPLE_HEAD, pad_edge=False
    )
    left = ' / '.join(LEFT)
    for heading in ('way', 'killed', 'kills', 'passed', 'writes', left, 'longest'):
        text = heading in ('way', 'killed')
        table.add_column(heading, justify='left' if text else 'right', no_wrap=text)
    for row in summaries:
        table.add_row(
            row.way,
            row.victims,
            str(row.kills),
            f'{row.passed} of {row.rounds}',
            str(row.writes),
            ' / '.join(str(row.left[words]) for words in LEFT),
            f'{row.restored_max_s:.2f} s',
        )
    Console().print(table)


def _cells(record: RoundRecord) -> tuple[str, ...]:
    return (
        str(record.number),
        record.way,
        record.kind,
        ', '.join(record.moments) + (', governor changed' if record.governor else '') or '-',
        ', '.join(record.left) or '-',
        '-' if record.restored_s is None else f'{record.restored_s:.2f} s',
        '; '.join(record.violations) or 'ok',
    )
