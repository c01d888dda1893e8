"""A campaign as people watch it: one line a fault, and a summary by kind."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from visionscaling_ros.trials.faults.process_health import ProcessGrowth
from visionscaling_ros.trials.faults.record import FaultRecord, KindSummary

VISIBLE_FAULTS = 15
HEADINGS = (
    'number', 'fault', 'seconds', 'slots to resume', 'longest gap', 'arrived', 'local', 'edge',
    'dropped', 'verdict',
)  # fmt: skip


def cells(record: FaultRecord) -> tuple[str, ...]:
    """One fault as text, in the order of HEADINGS."""
    return (
        str(record.number),
        record.kind,
        f'{record.seconds:.1f}',
        '-' if record.slots_to_resume is None else str(record.slots_to_resume),
        f'{record.longest_gap_slots:.1f}',
        str(record.arrived),
        str(record.local),
        str(record.edge),
        str(record.dropped),
        'ok' if record.passed else '; '.join(record.violations),
    )


class FaultTable:
    """A live table on a terminal, plain lines elsewhere; use as a context manager."""

    def __init__(self, count: int) -> None:
        self._title = f'{count} faults'
        self._console = Console()
        self._rows: deque[FaultRecord] = deque(maxlen=VISIBLE_FAULTS)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> FaultTable:
        if self._console.is_terminal:
            self._live.__enter__()
        else:
            print(' | '.join(HEADINGS), flush=True)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._console.is_terminal:
            self._live.__exit__(None, None, None)

    def add(self, record: FaultRecord) -> None:
        """Show one more fault."""
        self._rows.append(record)
        if self._console.is_terminal:
            table = Table(title=f'{record.number} of {self._title}')
            for heading in HEADINGS:
                table.add_column(heading)
            for row in self._rows:
                table.add_row(*cells(row), style='' if row.passed else 'red')
            self._live.update(table, refresh=True)
        else:
            print(' | '.join(cells(record)), flush=True)


def print_summary(summaries: Sequence[KindSummary], growth: Sequence[ProcessGrowth]) -> None:
    """All faults by kind, and what became of the processes."""
    console = Console()
    console.print(_by_kind(summaries))
    console.print(_by_process(growth))


def _by_kind(summaries: Sequence[KindSummary]) -> Table:
    table = Table(title='By kind of fault')
    for heading in (
        'fault', 'passed', 'median slots to resume', 'most', 'longest gap', 'arrived', 'dropped'
    ):  # fmt: skip
        left = heading == 'fault'
        table.add_column(heading, justify='left' if left else 'right', no_wrap=left)
    for row in summaries:
        table.add_row(
            row.kind,
            f'{row.passed} of {row.count}',
            '-' if row.median_slots is None else f'{row.median_slots:g}',
            '-' if row.max_slots is None else str(row.max_slots),
            f'{row.max_gap_slots:.1f}',
            str(row.arrived),
            str(row.dropped),
        )
    return table


def _by_process(growth: Sequence[ProcessGrowth]) -> Table:
    table = Table(title='Processes since their last start, warmed up')
    for heading in (
        'process',
        'faults',
        'memory MiB: start',
        'most',
        'end',
        'threads',
        'most early',
        'most',
        'end',
    ):
        left = heading == 'process'
        table.add_column(heading, justify='left' if left else 'right', no_wrap=left)
    for row in growth:
        table.add_row(
            row.name,
            str(row.samples),
            f'{row.rss_start_mib:.1f}',
            f'{row.rss_max_mib:.1f}',
            f'{row.rss_end_mib:.1f}',
            str(row.threads_start),
            str(row.threads_early_max),
            str(row.threads_max),
            str(row.threads_end),
        )
    return table
