"""What of a machine can be set and measured, for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from visionscaling_ros.cli.hardware_findings import Chosen, FoundClock, FoundMeter, Inventory
from visionscaling_ros.hardware.clock_check import LevelCheck

MOST_LEVELS = 24  # a card has a hundred
NOT_ADDED = 'not added'  # to the total: a part of it, or beside it


def print_inventory(inventory: Inventory, console: Console) -> None:
    """Tables of what there is, then what a node would use and why."""
    _say(console, f'Machine: {inventory.machine or "unknown"}')
    if inventory.root != '/':
        _say(console, f'Root: {inventory.root}')
    if inventory.clocks:
        console.print(_clock_table(inventory.clocks))
        for clock in inventory.clocks:
            _say(console, f'{_short(clock.device)}: {_levels(clock.levels_hz)}')
    if inventory.meters:
        console.print(_meter_table(inventory.meters))
        for meter in inventory.meters:
            _say(console, f'{meter.backend}: its total is of {meter.covers}')
    if inventory.temperatures_c:
        console.print(_temperature_table(inventory.temperatures_c))
    _print_chosen('Clock', inventory.clock, console)
    _print_chosen('Meter', inventory.meter, console)
    if inventory.thermometer is not None:
        heat = inventory.thermometer
        _say(console, f'Heat: {_celsius(heat.temperature_c)} by {heat.device}')
    elif inventory.clock.backend != 'none':
        _say(console, 'Heat: no thermometer, so no limit can be kept')
    helper = inventory.helper
    if helper is not None and (inventory.clocks or not helper.trouble):
        sets = ', '.join(helper.devices) or 'nothing'
        said = helper.trouble or f'version {helper.version} at {helper.socket}, sets {sets}'
        _say(console, f'Helper: {said}')
    for clock in inventory.clocks:
        if clock.advice:
            _say(console, f'{_short(clock.device)} may not be set: {clock.advice}')
    if not inventory.usable:
        _say(console, 'Nothing here can be set or measured; the emulated backend works anywhere.')


def check_heading() -> str:
    """Heading of check_line."""
    return _check_columns('level', 'read back', 'running', 'latency', 'verdict')


def check_line(check: LevelCheck) -> str:
    """One level as a line."""
    return _check_columns(
        f'{_mhz(check.level_hz)} MHz',
        f'{_mhz(check.read_back_hz)} MHz',
        f'{_mhz(check.running_hz)} MHz',
        f'{1e3 * check.latency_s:.2f} ms',
        check.verdict,
    )


def _check_columns(*cells: str) -> str:
    return ' '.join(f'{cell:>12}' for cell in cells[:-1]) + f'  {cells[-1]}'


def _clock_table(clocks: Sequence[FoundClock]) -> Table:
    table = _table('Clocks')
    for heading in ('backend', 'device', 'now [MHz]', 'held in [MHz]', 'governor', 'may be set'):
        number = heading.endswith('[MHz]')
        table.add_column(
            heading,
            justify='right' if number else 'left',
            no_wrap=heading != 'device',
            overflow='fold',
        )
    for clock in clocks:
        held = 'unknown' if clock.limits_hz is None else ' to '.join(map(_mhz, clock.limits_hz))
        table.add_row(
            clock.backend,
            _short(clock.device).replace(',', ', '),
            _mhz(clock.frequency_hz),
            held,
            clock.governor or '-',
            clock.access,
        )
    return table


def _meter_table(meters: Sequence[FoundMeter]) -> Table:
    table = _table('Power')
    for heading in ('meter', 'rail', 'now [W]', 'new every', 'counted'):
        right = heading in ('now [W]', 'new every')
        table.add_column(heading, justify='right' if right else 'left', overflow='fold')
    for meter in meters:
        total = 'total' if len(meter.total_rails) == 1 else 'added up'
        for number, (rail, power_w) in enumerate(meter.rails_w.items()):
            table.add_row(
                '' if number else meter.backend,
                rail,
                '-' if power_w is None else f'{power_w:.3f}',
                '' if number else f'{1e3 * meter.period_s:.0f} ms',
                total if rail in meter.total_rails else NOT_ADDED,
            )
    return table


def _temperature_table(temperatures_c: dict[str, float | None]) -> Table:
    table = _table('Temperatures')
    table.add_column('zone')
    table.add_column('now', justify='right')
    for zone, degrees in temperatures_c.items():
        table.add_row(zone, _celsius(degrees))
    return table


def _print_chosen(what: str, chosen: Chosen, console: Console) -> None:
    _say(console, f'{what}: {chosen.why}')
    for words in chosen.rejected:
        _say(console, f'  not {words}')


def _table(title: str) -> Table:
    return Table(title=title, title_justify='left', box=box.SIMPLE_HEAD, pad_edge=False)


def _say(console: Console, words: str) -> None:
    console.print(words, markup=False, highlight=False)


def _short(device: str) -> str:
    return device.rpartition('/')[2]


def _celsius(degrees: float | None) -> str:
    return '-' if degrees is None else f'{degrees:.1f} °C'


def _levels(levels_hz: Sequence[float]) -> str:
    if not levels_hz:
        return 'no levels'
    if len(levels_hz) > MOST_LEVELS:
        return f'{len(levels_hz)} levels, {_mhz(levels_hz[0])} to {_mhz(levels_hz[-1])} MHz'
    return f'levels {" ".join(map(_mhz, levels_hz))} MHz'


def _mhz(frequency_hz: float | None) -> str:
    known = frequency_hz is not None and math.isfinite(frequency_hz)
    return f'{1e-6 * (frequency_hz or 0.0):g}' if known else '-'
