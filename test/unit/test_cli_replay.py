"""What is asked of ``visionscaling replay`` is checked before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_bags import IMAGE, write_bag, write_images

from visionscaling_ros.cli.main import main


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (('--rate', '0'), 'rate = 0.0 is not allowed; allowed: 0.01 to 1000'),
        (('--clock', '0'), 'clock = 0.0 is not allowed; allowed: 1 to 1000 Hz'),
        (('--start', '-1'), 'start = -1.0 is not allowed'),
        (('--duration', '0'), 'duration = 0.0 is not allowed'),
        (('--remap', 'a'), 'from:=to'),
        (('--wait-for-subscribers', '-1'), 'wait-for-subscribers = -1.0 is not allowed'),
    ],
)
def test_bad_words_end_it_with_one_line(tmp_path: Path, capsys, words, said) -> None:
    bag = write_bag(tmp_path / 'bag', count=2)
    assert main(['replay', str(bag), *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


def test_a_bag_that_is_not_there_ends_it_with_one_line(tmp_path: Path, capsys) -> None:
    assert main(['replay', str(tmp_path / 'none')]) == 2
    assert 'does not exist' in capsys.readouterr().err


def test_what_is_in_a_bag_is_listed(tmp_path: Path, capsys) -> None:
    bag = write_images(tmp_path / 'bag', {'/cam/image': IMAGE}, count=7)
    assert main(['replay', str(bag), '--list']) == 0
    told = capsys.readouterr().out
    assert '/cam/image' in told
    assert IMAGE in told
    assert '7' in told
