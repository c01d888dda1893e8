"""What there is to measure: every model, input size and engine that can run here."""

from __future__ import annotations

from collections.abc import Sequence

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.profiling.schedule import Candidate
from visionscaling_ros.vision.catalog import Catalog


def choose_candidates(
    catalog: Catalog, models: Sequence[str], sizes_px: Sequence[int], engines: Sequence[str]
) -> tuple[Candidate, ...]:
    """Every model at every input size on every installed engine that runs it.

    :param models: names; empty: all whose file is there.
    :param sizes_px: input sizes; empty: all a model has.
    :param engines: names; empty: all that are installed.
    :raises InvalidValueError: a name or size there is not, or nothing is left.
    """
    names = tuple(dict.fromkeys(models)) or catalog.names()
    entries = [catalog.entry(name) for name in names]
    _check('sizes', sizes_px, sorted({size for e in entries for size in e.input_sizes_px}))
    installed = {entry.name: catalog.engines(entry.name) for entry in entries}
    _check('engines', engines, sorted({engine for own in installed.values() for engine in own}))
    candidates = tuple(
        Candidate(entry.name, size_px, engine)
        for entry in entries
        for size_px in entry.input_sizes_px
        if not sizes_px or size_px in sizes_px
        for engine in installed[entry.name]
        if not engines or engine in engines
    )
    if not candidates:
        raise InvalidValueError('models', list(names), 'some that can run here')
    return candidates


def _check(name: str, values: Sequence[object], allowed: Sequence[object]) -> None:
    for value in values:
        if value not in allowed:
            raise InvalidValueError(name, value, ', '.join(map(str, allowed)))
