"""Reads the mappings of a YAML file strictly: nothing unknown, nothing missing, nothing guessed."""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Collection, Hashable
from pathlib import Path
from typing import Any

from visionscaling_ros.errors import InvalidValueError


class Fields:
    """One mapping of a file. Every key has to be asked for before ``done``.

    Errors are InvalidValueError naming the file, the path of the field, its value and what is
    allowed.
    """

    def __init__(self, content: object, where: str, path: str = '') -> None:
        if not isinstance(content, dict):
            name = f'{where}: {path}' if path else where
            raise InvalidValueError(name, content, 'a mapping of fields')
        self._content = content
        self._where = where
        self._path = path
        self._asked: set[Hashable] = set()

    def name_of(self, key: object) -> str:
        """The field as errors name it: ``file: path.key``."""
        return f'{self._where}: {self._path}.{key}' if self._path else f'{self._where}: {key}'

    def has(self, key: Hashable) -> bool:
        """Whether an optional field is there."""
        self._asked.add(key)
        return key in self._content

    def value(self, key: Hashable) -> object:
        """A field as it stands in the file; refused when it is missing."""
        if not self.has(key):
            misspelt = near(key, [other for other in self._content if other not in self._asked])
            raise InvalidValueError(self.name_of(key), None, f'present{misspelt}')
        return self._content[key]

    def mapping(self, key: str, *, optional: bool = False) -> Fields:
        """A field that is a mapping itself; where it is optional, an empty one when missing."""
        content = {} if optional and not self.has(key) else self.value(key)
        return Fields(content, self._where, f'{self._path}.{key}' if self._path else key)

    def mappings(self, key: str) -> list[Fields]:
        """A list of mappings, at least one."""
        path = f'{self._path}.{key}' if self._path else key
        return [Fields(item, self._where, f'{path}[{k}]') for k, item in self.items(key)]

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self.value(key)
        if not isinstance(value, str) or not value:
            raise InvalidValueError(self.name_of(key), value, 'a text')
        return value

    def choice(self, key: str, choices: Collection[str], default: str | None = None) -> str:
        """One of a few texts."""
        if default is not None and not self.has(key):
            return default
        value = self.value(key)
        if value not in choices:
            allowed = ', '.join(choices) + near(value, choices)
            raise InvalidValueError(self.name_of(key), value, allowed)
        return str(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.value(key) if self.has(key) else default
        if not isinstance(value, bool):
            raise InvalidValueError(self.name_of(key), value, 'true or false')
        return value

    def number(self, key: Hashable, low: float, high: float, default: float | None = None) -> float:
        """A number within two limits."""
        if default is not None and not self.has(key):
            return default
        return self._number(self.value(key), self.name_of(key), low, high)

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number within two limits."""
        if default is not None and not self.has(key):
            return default
        return self._whole(self.value(key), self.name_of(key), low, high)

    def numbers(
        self, key: str, low: float, high: float, default: tuple[float, ...] | None = None
    ) -> tuple[float, ...]:
        """A list of numbers within two limits, at least one."""
        if default is not None and not self.has(key):
            return default
        items = self.items(key)
        return tuple(self._number(v, self.name_of(f'{key}[{k}]'), low, high) for k, v in items)

    def wholes(
        self, key: str, low: int, high: int, default: tuple[int, ...] | None = None
    ) -> tuple[int, ...]:
        """A list of whole numbers within two limits, at least one."""
        if default is not None and not self.has(key):
            return default
        items = self.items(key)
        return tuple(self._whole(v, self.name_of(f'{key}[{k}]'), low, high) for k, v in items)

    def lists(self, key: str, low: float, high: float) -> tuple[tuple[float, ...], ...]:
        """A list of lists of numbers within two limits; the inner ones may be empty."""
        lists = []
        for k, values in self.items(key):
            name = self.name_of(f'{key}[{k}]')
            if not isinstance(values, list):
                raise InvalidValueError(name, values, 'a list of numbers')
            lists.append(tuple(self._number(value, name, low, high) for value in values))
        return tuple(lists)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of distinct texts, at least one."""
        items = self.items(key)
        for k, value in items:
            if not isinstance(value, str) or not value:
                raise InvalidValueError(self.name_of(f'{key}[{k}]'), value, 'a text')
            if value in [other for _, other in items[:k]]:
                raise InvalidValueError(self.name_of(f'{key}[{k}]'), value, 'every text once')
        return tuple(str(value) for _, value in items)

    def items(self, key: str) -> list[tuple[int, Any]]:
        """Places and values of a list, at least one."""
        value = self.value(key)
        if not isinstance(value, list) or not value:
            raise InvalidValueError(self.name_of(key), value, 'a list of at least one')
        return list(enumerate(value))

    def keys(self) -> list[Any]:
        """All keys of a mapping whose keys are free."""
        return list(self._content)

    def done(self) -> None:
        """Refuse the keys nobody asked for."""
        for key in self._content:
            if key not in self._asked:
                allowed = f'only {", ".join(sorted(map(str, self._asked)))}{near(key, self._asked)}'
                raise InvalidValueError(self.name_of('key'), key, allowed)

    @staticmethod
    def _number(value: object, name: str, low: float, high: float) -> float:
        allowed = f'a number, {low:g} to {high:g}'
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise InvalidValueError(name, value, allowed)
        try:
            number = float(value)  # YAML 1.1 takes 1e6 for a text
        except ValueError as error:
            raise InvalidValueError(name, value, allowed) from error
        if not (math.isfinite(number) and low <= number <= high):
            raise InvalidValueError(name, value, allowed)
        return number

    @staticmethod
    def _whole(value: object, name: str, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidValueError(name, value, f'a whole number, {low} to {high}')
        return value


def near(value: object, known: Collection[Hashable]) -> str:
    """`` (did you mean 'x'?)`` for a misspelt name, else nothing."""
    close = difflib.get_close_matches(str(value), list(map(str, known)), n=1, cutoff=0.6)
    return f' (did you mean {close[0]!r}?)' if close else ''


def read_fields(path: Path, name: str, allowed: str = 'a readable YAML file') -> Fields:
    """The mapping a YAML file holds.

    :param name: what the file is, for errors, as is ``allowed``.
    :raises InvalidValueError: there is no such file, it is no YAML, or a key is there twice.
    """
    import yaml  # noqa: PLC0415  (fields that come from elsewhere, as on other servers, need none)

    try:
        content = yaml.load(path.read_text(encoding='utf-8'), _unique_key_loader())
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: no date
        said = ' '.join(str(error).split())  # YAML's own errors are of several lines
        raise InvalidValueError(name, str(path), f'{allowed} ({said})') from error
    return Fields(content, str(path))


_MERGE = 'tag:yaml.org,2002:merge'  # of the key <<


@functools.cache
def _unique_key_loader() -> Any:
    import yaml  # noqa: PLC0415

    class UniqueKeyLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
        """Refuses a key that is there twice, which PyYAML lets win silently."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
            named = [key for key, _ in node.value if key.tag != _MERGE]
            keys = [self.construct_object(key, deep=True) for key in named]
            for place, key in enumerate(keys):
                if key in keys[:place]:
                    raise yaml.constructor.ConstructorError(
                        None, None, f'{key!r} is there twice', node.start_mark
                    )
            content: dict[Hashable, Any] = super().construct_mapping(node, deep)
            return content

    return UniqueKeyLoader
