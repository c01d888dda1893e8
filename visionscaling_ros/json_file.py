"""Figures as a JSON file that any reader takes."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.whole_file import whole_file


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``content``; replaces the file as a whole, its folder is made if need be.

    As ``json_text`` has it.

    :raises InvalidValueError: it cannot be written there.
    """
    try:
        with whole_file(path) as partial:
            partial.write_text(f'{json_text(content)}\n', encoding='utf-8')
    except OSError as error:
        raise InvalidValueError('json', str(path), f'a file to write ({error})') from error


def json_text(content: Mapping[str, Any]) -> str:
    """NaN and infinity become null, dataclasses mappings, arrays lists, anything else its text."""
    return json.dumps(_plain(content), indent=1, allow_nan=False, default=str)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, 'tolist'):  # of NumPy
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
