"""``report.json``, the plot beside it, and the comparison people read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from visionscaling_ros.json_file import write_json

# key, name, unit, decimals
COMPARED = (
    ('energy_j', 'energy', 'J', 1),
    ('energy_j_per_frame', 'energy per processed frame', 'J', 3),
    ('power_w', 'mean power', 'W', 2),
    ('processed_fps', 'processed frames', '1/s', 2),
    ('map', 'mAP 50:95', '', 3),
    ('latency_p95_s', 'p95 latency', 's', 3),
)


def write_report(path: Path, run: dict[str, Any], extra: dict[str, Any]) -> None:
    """Write the figures of a run, and of its baseline if it has one, as JSON."""
    write_json(path, {**run, **extra})


def print_comparison(run: dict[str, Any], baseline: dict[str, Any] | None) -> None:
    """Print the figures of a run beside those of its baseline."""
    table = Table(title='Measured in this run')
    table.add_column('')
    for summary in [run] + ([baseline] if baseline else []):
        table.add_column(summary['policy'], justify='right')
    if baseline:
        table.add_column('change', justify='right')
    for key, name, unit, decimals in COMPARED:
        row = [f'{name} [{unit}]' if unit else name, _text(run[key], decimals)]
        if baseline:
            row += [_text(baseline[key], decimals), _change(run[key], baseline[key])]
        table.add_row(*row)
    for key in run['frames']:
        row = [f'frames {key}', str(run['frames'][key])]
        table.add_row(*row, *([str(baseline['frames'][key])] if baseline else []))
    console = Console()
    console.print(table)
    console.print(f'mAP: {run["map_source"]}. Power: {run["power_source"]}.')


def _text(value: float | None, decimals: int) -> str:
    return 'unknown' if value is None else f'{value:.{decimals}f}'


def _change(value: float | None, before: float | None) -> str:
    if value is None or not before:
        return ''
    return f'{100.0 * (value / before - 1.0):+.1f} %'
