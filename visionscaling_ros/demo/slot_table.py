"""A run as people watch it: one line a slot."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from visionscaling_ros.datatypes import Allocation, Origin
from visionscaling_ros.demo.run_record import SlotRow

VISIBLE_SLOTS = 18
HEADINGS = (
    'slot', 'allocations (L robot, E edge; frames/s)', 'clock MHz', 'link Mbit/s', 'power W',
    'frames/s L+E', 'dropped', 'mAP', 'cost',
)  # fmt: skip


def describe_allocations(allocations: Sequence[Allocation]) -> str:
    """``m@320 L 8.0, s@224 E 6.9``; the largest share first."""
    ordered = sorted(allocations, key=lambda a: -a.rate_fps)
    return ', '.join(
        f'{a.model.rpartition("_")[2]}@{a.input_size_px} '
        f'{"L" if a.origin is Origin.LOCAL else "E"} {a.rate_fps:.1f}'
        for a in ordered
    )


def cells(row: SlotRow) -> tuple[str, ...]:
    """One slot as text, in the order of HEADINGS."""
    state = row.state
    link = (
        f'{state.uplink_throughput_bps / 1e6:.2f} of {state.uplink_capacity_bps / 1e6:.2f}'
        if state.edge_reachable
        else 'away'
    )
    return (
        str(state.slot),
        describe_allocations(row.decided),
        f'{state.gpu_frequency_hz / 1e6:.0f}',
        link,
        f'{state.power_w:.2f}',
        f'{state.processed_local_fps:.1f}+{state.processed_edge_fps:.1f}',
        f'{state.dropped_fps:.1f}',
        f'{state.achieved_map:.3f}{"" if state.map_measured else "~"}',
        f'{state.cost:+.3f}',
    )


class SlotTable:
    """A live table on a terminal, plain lines elsewhere; use as a context manager."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._console = Console()
        self._rows: deque[SlotRow] = deque(maxlen=VISIBLE_SLOTS)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> SlotTable:
        if self._console.is_terminal:
            self._live.__enter__()
        else:
            print(self._title)
            print(' | '.join(HEADINGS), flush=True)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._console.is_terminal:
            self._live.__exit__(None, None, None)
            self._console.print(self._table())

    def add(self, row: SlotRow, elapsed_s: float, duration_s: float) -> None:
        """Show one more slot."""
        self._rows.append(row)
        if self._console.is_terminal:
            self._live.update(self._table(f'{elapsed_s:.0f} of {duration_s:.0f} s'), refresh=True)
        else:
            print(' | '.join(cells(row)), flush=True)

    def _table(self, caption: str = '') -> Table:
        table = Table(title=self._title, caption=caption)
        for heading in HEADINGS:
            table.add_column(heading, justify='left' if heading.startswith('alloc') else 'right')
        for row in self._rows:
            table.add_row(*cells(row))
        return table
