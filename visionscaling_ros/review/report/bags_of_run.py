"""The bags a report is made from: one itself, or those in the folder of a run."""

from __future__ import annotations

from pathlib import Path

from visionscaling_ros.errors import InvalidValueError

_METADATA = 'metadata.yaml'
_STORED = ('.mcap', '.db3', '.bag')
_NAMED = 8  # files of a folder that are named


def bags_of_run(path: str | Path) -> tuple[Path, ...]:
    """The bag at ``path``, or every bag in that folder or a folder in it.

    :raises InvalidValueError: there is none; says what is there.
    """
    path = Path(path)
    if not path.exists():
        raise InvalidValueError('bag or run', str(path), 'a bag or a folder with one; nothing is '
                                'there')  # fmt: skip
    if path.is_file() or _is_bag(path):
        return (path,)
    found = sorted(folder for folder in path.iterdir() if folder.is_dir() and _is_bag(folder))
    if found:
        return tuple(found)
    names = sorted(entry.name for entry in path.iterdir())
    there = ', '.join(names[:_NAMED]) + (' and more' if len(names) > _NAMED else '')
    raise InvalidValueError(
        'bag or run',
        str(path),
        f'a folder with a bag in it; it has {there or "nothing"}. The report is made from what was '
        'recorded: run "visionscaling record" beside the robot or the demo, then give its folder',
    )


def _is_bag(folder: Path) -> bool:
    if (folder / _METADATA).is_file():
        return True
    return any(entry.suffix in _STORED for entry in folder.iterdir() if entry.is_file())
