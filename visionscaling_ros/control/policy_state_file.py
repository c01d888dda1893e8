"""The file in which what policies learned outlasts the run: JSON, a state for each policy."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visionscaling_ros.errors import InvalidValueError

_KEY = 'policies'


def read_policy_states(path: Path) -> dict[str, Any]:
    """States by policy name; none if there is no file.

    :raises InvalidValueError: it is not such a file.
    :raises OSError: it cannot be read.
    """
    try:
        document = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(str(path), str(error), 'JSON') from error
    states = document.get(_KEY) if isinstance(document, dict) else None
    if not isinstance(states, dict):
        raise InvalidValueError(str(path), type(document).__name__, f'a mapping with {_KEY!r}')
    return states


def write_policy_states(path: Path, states: Mapping[str, Any]) -> None:
    """Write them so that the file is the old or the new one, whole, whenever the power fails.

    :raises OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f'{path.name}.new')
    with new.open('w', encoding='utf-8') as file:
        json.dump({_KEY: states}, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
