from __future__ import annotations

import os
from pathlib import Path

import pytest

from visionscaling_ros.whole_file import whole_file


def write_half(path: Path) -> None:
    with whole_file(path) as partial:
        partial.write_text('half')
        raise RuntimeError


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'a.bin'
    with whole_file(path) as partial:
        partial.write_text('old')
        assert partial.name == 'a.bin'
        assert not path.exists()
    with pytest.raises(RuntimeError):
        write_half(path)
    assert path.read_text() == 'old'
    assert list(path.parent.iterdir()) == [path]


def test_others_may_read_it_even_if_the_writer_would_not_let_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with whole_file(tmp_path / 'a.bin') as partial:
            partial.write_text('x')
            partial.chmod(0o600)
    finally:
        os.umask(before)
    assert (tmp_path / 'a.bin').stat().st_mode & 0o777 == 0o644
