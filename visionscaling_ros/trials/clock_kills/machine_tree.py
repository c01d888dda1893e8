"""A file tree that stands for a machine, and what may become of it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.trials.clock_kills.record import AS_FOUND, HALFWAY, SET

# Layout of a Jetson AGX Orin, JetPack 6 (docs/hardware.md has the sources), cut down to what a
# clock needs, with neighbours beside it that nobody may touch.
GPU = '/sys/devices/platform/bus@0/17000000.gpu'
CLOCK = f'{GPU}/devfreq/17000000.gpu'
LEVELS_HZ = (*range(306_000_000, 1_224_000_001, 102_000_000), 1_300_500_000)
NEIGHBOUR = '/sys/devices/platform/bus@0/13e00000.host1x/15340000.vic/devfreq/15340000.vic'
FILES = {
    '/proc/device-tree/model': 'NVIDIA Jetson AGX Orin Developer Kit',
    '/proc/device-tree/compatible': 'nvidia,p3737-0000+p3701-0000\0nvidia,tegra234\0',
    '/proc/sys/kernel/random/boot_id': 'c0ffee00-0000-4000-8000-000000000001',
    f'{GPU}/of_node/name': 'gpu',
    f'{GPU}/load': '0',
    f'{CLOCK}/available_frequencies': ' '.join(map(str, LEVELS_HZ)),
    f'{CLOCK}/available_governors': 'performance nvhost_podgov simple_ondemand',
    f'{CLOCK}/governor': 'nvhost_podgov',
    f'{CLOCK}/min_freq': str(LEVELS_HZ[0]),
    f'{CLOCK}/max_freq': str(LEVELS_HZ[-1]),
    f'{CLOCK}/cur_freq': str(LEVELS_HZ[0]),
    f'{CLOCK}/target_freq': str(LEVELS_HZ[0]),
    f'{NEIGHBOUR}/available_frequencies': '115200000 729600000',
    f'{NEIGHBOUR}/governor': 'performance',
    f'{NEIGHBOUR}/min_freq': '115200000',
    f'{NEIGHBOUR}/max_freq': '729600000',
    f'{NEIGHBOUR}/cur_freq': '115200000',
    '/sys/class/thermal/thermal_zone1/type': 'gpu-thermal',
    '/sys/class/thermal/thermal_zone1/temp': '48000',
}
LINKS = {
    '/sys/class/devfreq/17000000.gpu': CLOCK,
    '/sys/class/devfreq/15340000.vic': NEIGHBOUR,
    f'{CLOCK}/device': GPU,
}


@dataclass(frozen=True)
class Entry:
    """What a folder tells of one file, link or folder in it."""

    mode: int
    owner: tuple[int, int]
    inode: int
    changed_ns: int
    content: bytes  # of a file its digest, of a link its target


class MachineTree:
    """A tree as it was found, and which of its files may be written with what.

    :param root: its folder; real files and relative links.
    :param clock: folder of the clock to be set, as a path on the machine.
    """

    def __init__(self, root: Path, clock: str = CLOCK) -> None:
        self.root = root
        folder = root / clock.lstrip('/')
        self.limits = (folder / 'min_freq', folder / 'max_freq')
        self._governor = folder / 'governor'
        self.written = (*self.limits, self._governor)
        self._found = {path: path.read_bytes() for path in self.written}
        governors = (folder / 'available_governors').read_bytes().split()
        found = self._found[self._governor].strip()
        self._other_governor = next(name for name in governors if name != found)
        levels = (folder / 'available_frequencies').read_bytes().split()
        self.levels_hz = tuple(sorted(float(level) for level in levels))
        # A file of sysfs takes a value as one; one on a disk may be seen emptied, or with an end of
        # the old value.
        self._allowed = {
            path: {b'', self._found[path].strip(), *(levels if path in self.limits else ())}
            for path in self.written
        }
        self._while_changed = {
            self._other_governor,
            _untruncated(self._other_governor, found),
            _untruncated(found, self._other_governor),
        } - self._allowed[self._governor]
        self._entries = self._walk()

    def is_as_found(self) -> bool:
        """Whether every file that may be written holds what it held, byte by byte."""
        return all(path.read_bytes() == content for path, content in self._found.items())

    def left(self) -> str:
        """How the clock's bounds are, one of LEFT."""
        low, high = (path.read_bytes() for path in self.limits)
        if low == high:
            return SET
        return AS_FOUND if [low, high] == [self._found[path] for path in self.limits] else HALFWAY

    def change_governor(self) -> None:
        """Write another governor, as somebody might; it is no damage until ``expect_governor``."""
        self._allowed[self._governor] |= self._while_changed
        DeviceFiles(self.root).write(
            f'/{self._governor.relative_to(self.root)}', self._other_governor.decode()
        )

    def expect_governor(self) -> None:
        """From now on only the governor found is right again."""
        self._allowed[self._governor] -= self._while_changed

    def wrong_value(self, path: Path) -> str:
        """What is wrong with the content of a file that may be written; empty: nothing."""
        try:
            content = path.read_bytes()
        except OSError as error:
            return f'{path.name} cannot be read any more: {error.strerror}'
        if content.strip(b'\n') in self._allowed[path]:
            return ''
        return f'{content!r} was written to {path.name}'

    def damage(self) -> list[str]:
        """What is not as it may be, in words: other files changed, values that are no level."""
        now = self._walk()
        words = [
            f'{path.relative_to(self.root)} was {_change(entry, now.get(path))}'
            for path, entry in self._entries.items()
            if not self._may_be(path, entry, now.get(path))
        ]
        words += [f'{path.relative_to(self.root)} was made' for path in now.keys() - self._entries]
        return words + [wrong for path in self.written if (wrong := self.wrong_value(path))]

    def folders(self) -> list[Path]:
        """All its folders, the root first."""
        return [path for path, entry in self._entries.items() if stat.S_ISDIR(entry.mode)]

    def _may_be(self, path: Path, before: Entry, after: Entry | None) -> bool:
        if path not in self.written or after is None:
            return after == before
        return (before.mode, before.owner, before.inode) == (after.mode, after.owner, after.inode)

    def _walk(self) -> dict[Path, Entry]:
        entries = {self.root: _entry(self.root)}
        for folder, folders, files in os.walk(self.root):
            for name in sorted((*folders, *files)):
                path = Path(folder) / name
                entries[path] = _entry(path)
        return entries


def write_machine(
    root: Path, files: Mapping[str, str] = FILES, links: Mapping[str, str] = LINKS
) -> MachineTree:
    """Write a machine's files into an empty folder; raises InvalidValueError if it is not."""
    if root.exists() and any(root.iterdir()):
        raise InvalidValueError('root', str(root), 'an empty folder')
    for name, text in files.items():
        path = root / name.lstrip('/')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{text}\n', encoding='utf-8')
    for name, target in links.items():
        path = root / name.lstrip('/')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(root / target.lstrip('/'), path.parent))
    return MachineTree(root)


def _untruncated(new: bytes, old: bytes) -> bytes:
    """Content of a plain file while a line replaces another."""
    return (new + b'\n' + old[len(new) + 1 :]).strip(b'\n')


def _entry(path: Path) -> Entry:
    state = path.lstat()
    if stat.S_ISLNK(state.st_mode):
        content = os.fsencode(path.readlink())
    elif stat.S_ISREG(state.st_mode):
        content = hashlib.sha256(path.read_bytes()).digest()
    else:
        content = b''
    owner = (state.st_uid, state.st_gid)
    return Entry(state.st_mode, owner, state.st_ino, state.st_mtime_ns, content)


def _change(before: Entry, after: Entry | None) -> str:
    if after is None:
        return 'removed'
    names = [name for name in vars(before) if getattr(before, name) != getattr(after, name)]
    return f'changed ({", ".join(names)})'
