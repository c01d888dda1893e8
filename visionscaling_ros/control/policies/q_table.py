"""A table of Q values per state and action that can be written down and read again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from visionscaling_ros.control.projections import Vector
from visionscaling_ros.errors import InvalidValueError

Action = tuple[str, int, str, float]  # model, input size [px], 'local' or 'edge', clock [Hz]
VERSION = 1
_PLACES = ('local', 'edge')


class QTable:
    """Q values of actions, a row per state; states are words.

    Actions may be replaced: values of those that stay are kept, the others are given when their
    state is met next.
    """

    def __init__(self) -> None:
        self.actions: tuple[Action, ...] = ()
        self._rows: dict[str, Vector] = {}
        self._incomplete: set[str] = set()

    def use_actions(self, actions: tuple[Action, ...]) -> None:
        """Continue with these actions."""
        if actions == self.actions:
            return
        position = {action: i for i, action in enumerate(self.actions)}
        source = [position.get(action, -1) for action in actions]
        self._rows = {s: np.append(row, math.nan)[source] for s, row in self._rows.items()}
        self._incomplete = set(self._rows)
        self.actions = actions

    def row(self, state: str, initial: Callable[[], Vector]) -> Vector:
        """Values of all actions in a state, shape (actions,), to be changed in place.

        :param initial: gives the values of a state not met before, shape (actions,).
        """
        row = self._rows.get(state)
        if row is None:
            row = self._rows[state] = initial()
        elif state in self._incomplete:
            row = self._rows[state] = np.where(np.isnan(row), initial(), row)
            self._incomplete.discard(state)
        return row

    def save(self) -> dict[str, Any]:
        """The table as a document of plain lists, numbers and words, fit for JSON."""
        return {
            'version': VERSION,
            'actions': [list(action) for action in self.actions],
            'values': {
                state: [None if math.isnan(q) else q for q in row.tolist()]
                for state, row in self._rows.items()
            },
        }

    @classmethod
    def load(cls, document: object) -> QTable:
        """The table of a document.

        :raises InvalidValueError: naming what in it is wrong.
        """
        if not isinstance(document, dict):
            raise InvalidValueError('state', document, 'a mapping')
        if document.get('version') != VERSION:
            raise InvalidValueError('state.version', document.get('version'), VERSION)
        listed, values = document.get('actions'), document.get('values')
        if not isinstance(listed, (list, tuple)):
            raise InvalidValueError('state.actions', listed, 'a list')
        if not isinstance(values, dict):
            raise InvalidValueError('state.values', values, 'a mapping of states to lists')
        table = cls()
        table.actions = tuple(_action(item, f'state.actions[{i}]') for i, item in enumerate(listed))
        if len(set(table.actions)) < len(table.actions):
            raise InvalidValueError('state.actions', listed, 'every action once')
        for state, row in values.items():
            where = f'state.values[{state!r}]'
            if not isinstance(state, str):
                raise InvalidValueError('state.values: state', state, 'a word')
            if not isinstance(row, (list, tuple)) or len(row) != len(table.actions):
                raise InvalidValueError(where, row, f'a list of {len(table.actions)} values')
            table._rows[state] = np.array([_value(q, where) for q in row], np.float64)
        table._incomplete = set(table._rows)
        return table


def _action(item: object, where: str) -> Action:
    allowed = "[model, input size > 0, 'local' or 'edge', clock >= 0 Hz]"
    if not isinstance(item, (list, tuple)) or len(item) != 4:
        raise InvalidValueError(where, item, allowed)
    model, size_px, place, frequency_hz = item
    sound = isinstance(model, str) and place in _PLACES
    sound = sound and isinstance(size_px, int) and not isinstance(size_px, bool) and size_px > 0
    if not sound or not _is_number(frequency_hz) or frequency_hz < 0.0:
        raise InvalidValueError(where, item, allowed)
    return model, size_px, place, float(frequency_hz)


def _value(q: object, where: str) -> float:
    if q is None:
        return math.nan
    if not _is_number(q):
        raise InvalidValueError(where, q, 'finite numbers, or null where there is none yet')
    return float(q)  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]
