"""The results of a benchmark as a JSON document."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from visionscaling_ros import __version__
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.simulation.statistics import mean_ci95
from visionscaling_ros.simulation.suite_result import SuiteResult
from visionscaling_ros.simulation.verdict import LABELS

Document = dict[str, Any]
SECTIONS = ('meta', 'rows', 'curves', 'summary')


def environment() -> dict[str, Any]:
    """With what figures were made: this program's command line, versions, cores."""
    return {
        'command': shlex.join(['visionscaling', *sys.argv[1:]]),
        'version': __version__,
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'python': platform.python_version(),
        'numpy': np.__version__,
        'cpu_count': os.cpu_count(),
    }


def make_document(
    suite: SuiteResult, *, device: str, slots: int, settings: ControlSettings, elapsed_s: float
) -> Document:
    """``meta``, ``rows``, ``curves`` and, over seeds, ``summary``."""
    meta = {
        **environment(),
        'device': device,
        'slots': slots,
        'elapsed_s': round(elapsed_s, 1),
        'complete': suite.complete,
        'failures': [asdict(failure) for failure in suite.failures],
        'settings': asdict(settings),
    }
    return {
        'meta': meta,
        'rows': suite.rows,
        'curves': suite.curves,
        'summary': summarize_seeds(suite.rows, suite.curves),
    }


def summarize_seeds(
    rows: Iterable[Mapping[str, Any]], curves: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Mean and half the 95 % confidence interval over seeds, of every figure and exponent."""
    exponents = {
        _labels(curve): {name: curve[name] for name in ('regret_exponent', 'fit_exponent')}
        for curve in curves
    }
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(_labels(row)[:-1], []).append({**row, **exponents[_labels(row)]})
    return [
        {
            **dict(zip(LABELS, labels, strict=False)),
            'seeds': len(group),
            **{name: _interval(group, name) for name in group[0] if name not in LABELS},
        }
        for labels, group in groups.items()
    ]


def read_json(path: Path, sections: Iterable[str]) -> Document:
    """Read the results of a bench.

    :raises InvalidValueError: it cannot be read, or one of the sections is not in it.
    """
    try:
        document = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise InvalidValueError('json', str(path), f'results of a bench ({error})') from error
    if not isinstance(document, dict) or not set(sections) <= set(document):
        raise InvalidValueError('json', str(path), f'results with {", ".join(sections)}')
    return document


def _labels(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[label] for label in LABELS)


def _interval(group: Sequence[Mapping[str, Any]], name: str) -> dict[str, float]:
    mean, half = mean_ci95([float(row[name]) for row in group])
    return {'mean': mean, 'ci95': half}
