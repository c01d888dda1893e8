"""Accuracy tables: what each model reaches at each input size, on which data, as a YAML file.

    measured: {data: held-out street scenes, images: 2000, command: visionscaling evaluate --write}
    models:
      vsdet_n:
        320: {map_50_95: 0.24, map_50: 0.55, street_map_50_95: 0.29}

``measured`` may be missing in a table written by hand. All figures of a table are of one data set:
figures of different ones cannot be compared, and a controller compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import Fields, read_fields

SHIPPED_TABLE = Path(__file__).resolve().parent / 'weights' / 'accuracy.yaml'
DECIMALS = 4
DOMAIN_SUFFIX = '_map_50_95'
_DOMAIN_KEY = re.compile(f'([a-z][a-z0-9_]*){DOMAIN_SUFFIX}')
_COMMENT = """\
# Accuracy of each model at each input size: COCO mAP over overlaps 0.50 to 0.95 (map_50_95) and at
# 0.50 (map_50), and over the pictures of one kind only (street_map_50_95, ...).
"""


@dataclass(frozen=True)
class Accuracy:
    """COCO mAP, 0 to 1; ``domains_map_50_95``: over the pictures of one kind only, by its name."""

    map_50_95: float
    map_50: float
    domains_map_50_95: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """On what figures were measured (name of the data set, number of pictures), and how."""

    data: str
    images: int
    command: str


Accuracies = Mapping[str, Mapping[int, Accuracy]]


@dataclass(frozen=True)
class AccuracyTable:
    """Accuracies by model and input size, and what they were measured on (None: not said)."""

    models: Accuracies
    measured: Measured | None = None

    def updated(self, models: Accuracies, measured: Measured) -> AccuracyTable:
        """The same table with these models replaced or added.

        Raises InvalidValueError where models measured on other pictures would stay beside them.
        """
        kept = {name: sizes for name, sizes in self.models.items() if name not in models}
        before = self.measured and (self.measured.data, self.measured.images)
        if kept and before != (measured.data, measured.images):
            raise InvalidValueError(
                'data',
                f'{measured.data}, {measured.images} pictures',
                f'what the table was measured on ({_describe(self.measured)}), or all of its '
                f'models at once ({", ".join(self.models)}), or a table of its own',
            )
        return AccuracyTable({**self.models, **models}, measured)

    def to_yaml(self) -> str:
        """The file's text, figures rounded to four decimals."""
        document: dict[str, Any] = {}
        if self.measured is not None:
            document['measured'] = vars(self.measured)
        document['models'] = {
            name: {size_px: _figures(sizes[size_px]) for size_px in sorted(sizes)}
            for name, sizes in self.models.items()
        }
        text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
        return _COMMENT + text


def load_accuracy_table(path: Path) -> Accuracies:
    """Accuracies by model and input size of a table. Raises InvalidValueError naming the field."""
    return read_accuracy_table(path).models


def read_accuracy_table(path: Path) -> AccuracyTable:
    """The whole table.

    :raises InvalidValueError: naming the file, the field, its value and what is allowed.
    """
    top = read_fields(path, 'accuracy table')
    measured = _measured(top.mapping('measured')) if top.has('measured') else None
    models = {
        name: {size_px: _accuracy(figures) for size_px, figures in _parts(sizes, int)}
        for name, sizes in _parts(top.mapping('models'), str)
    }
    top.done()
    return AccuracyTable(models, measured)


def _parts(fields: Fields, kind: type) -> Iterator[tuple[Any, Fields]]:
    """The mappings in a mapping of at least one, whose keys are texts or whole px."""
    key: Any
    for key in fields.keys() or [None]:
        is_name = isinstance(key, str) and key != ''
        is_size = isinstance(key, int) and not isinstance(key, bool) and key > 0
        if not (is_name if kind is str else is_size):
            allowed = 'names of models' if kind is str else 'input sizes in whole px'
            raise InvalidValueError(fields.name_of('key'), key, allowed)
        yield key, fields.mapping(key)


def _accuracy(fields: Fields) -> Accuracy:
    domains: dict[str, float] = {}
    for key in fields.keys():  # noqa: SIM118 (no mapping)
        match = _DOMAIN_KEY.fullmatch(key) if isinstance(key, str) else None
        if match is not None:
            domains[match[1]] = fields.number(key, 0.0, 1.0)
    accuracy = Accuracy(
        map_50_95=fields.number('map_50_95', 0.0, 1.0),
        map_50=fields.number('map_50', 0.0, 1.0),
        domains_map_50_95=domains,
    )
    fields.done()
    return accuracy


def _measured(fields: Fields) -> Measured:
    measured = Measured(
        fields.text('data'), fields.whole('images', 1, 10**9), fields.text('command')
    )
    fields.done()
    return measured


def _figures(accuracy: Accuracy) -> dict[str, float]:
    domains = accuracy.domains_map_50_95
    return {
        'map_50_95': round(accuracy.map_50_95, DECIMALS),
        'map_50': round(accuracy.map_50, DECIMALS),
        **{f'{name}{DOMAIN_SUFFIX}': round(value, DECIMALS) for name, value in domains.items()},
    }


def _describe(measured: Measured | None) -> str:
    return 'not said' if measured is None else f'{measured.data}, {measured.images} pictures'
