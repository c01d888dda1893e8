"""The watcher of the kill campaign sees what it has to see, and only that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.hardware.device_files import DeviceFiles
from visionscaling_ros.trials.clock_kills.machine_tree import (
    CLOCK,
    NEIGHBOUR,
    MachineTree,
    write_machine,
)
from visionscaling_ros.trials.clock_kills.plan import DIRECT, THROUGH_HELPER, WAYS, plan
from visionscaling_ros.trials.clock_kills.record import RoundRecord, summarize
from visionscaling_ros.trials.clock_kills.tree_watch import TreeWatch


@pytest.fixture
def tree(tmp_path: Path) -> MachineTree:
    return write_machine(tmp_path / 'machine')


def _file(tree: MachineTree, path: str) -> Path:
    return tree.root / path.lstrip('/')


def test_a_level_written_to_a_limit_is_allowed_and_counts_as_set(tree: MachineTree) -> None:
    files = DeviceFiles(tree.root)
    assert tree.is_as_found()
    files.write(f'{CLOCK}/max_freq', '612000000')
    assert tree.damage() == []
    assert not tree.is_as_found()
    files.write(f'{CLOCK}/max_freq', '1300500000')
    assert tree.is_as_found()


@pytest.mark.parametrize('text', ['611000000', '612000000 ', '0', 'nvhost_podgov', '6.12e8'])
def test_any_other_value_is_damage(tree: MachineTree, text: str) -> None:
    DeviceFiles(tree.root).write(f'{CLOCK}/max_freq', text)
    (words,) = tree.damage()
    assert text in words
    assert 'max_freq' in words


def test_the_governor_may_only_be_written_as_it_was(tree: MachineTree) -> None:
    files = DeviceFiles(tree.root)
    files.write(f'{CLOCK}/governor', 'nvhost_podgov')
    assert tree.damage() == []
    files.write(f'{CLOCK}/governor', 'performance')
    assert any('governor' in words for words in tree.damage())


def test_a_write_that_leaves_the_same_content_elsewhere_is_damage(tree: MachineTree) -> None:
    path = _file(tree, f'{NEIGHBOUR}/min_freq')
    path.write_bytes(path.read_bytes())
    assert any('15340000.vic/min_freq was changed' in words for words in tree.damage())


def test_a_limit_that_is_replaced_and_not_written_is_damage(tree: MachineTree) -> None:
    path = _file(tree, f'{CLOCK}/max_freq')
    other = path.with_name('other')
    other.write_bytes(path.read_bytes())
    other.replace(path)
    assert any('inode' in words for words in tree.damage())


def test_files_that_come_and_go_are_damage(tree: MachineTree) -> None:
    _file(tree, f'{CLOCK}/new').touch()
    _file(tree, f'{NEIGHBOUR}/cur_freq').unlink()
    words = '\n'.join(tree.damage())
    assert 'new was made' in words
    assert 'cur_freq was removed' in words


def test_a_link_that_points_elsewhere_is_damage(tree: MachineTree) -> None:
    link = _file(tree, '/sys/class/devfreq/17000000.gpu')
    link.unlink()
    link.symlink_to('/dev/null')
    assert any('17000000.gpu was changed' in words for words in tree.damage())


def test_a_machine_is_not_written_over_another(tree: MachineTree) -> None:
    with pytest.raises(InvalidValueError, match='empty folder'):
        write_machine(tree.root)


def test_the_watch_counts_allowed_writes_and_reports_nothing(tree: MachineTree) -> None:
    with TreeWatch(tree) as watch:
        for number in range(3):
            DeviceFiles(tree.root).write(f'{CLOCK}/min_freq', '408000000')
            assert watch.wait_for_write(number, 10.0)
    assert watch.take_violations() == []
    assert watch.writes == 3


def test_the_watch_sees_what_was_undone_before_anybody_looked(tree: MachineTree) -> None:
    with TreeWatch(tree) as watch:
        path = _file(tree, f'{NEIGHBOUR}/max_freq')
        before = path.read_bytes()
        path.write_bytes(b'1\n')
        path.write_bytes(before)
        os.utime(_file(tree, f'{CLOCK}/cur_freq'))
        extra = _file(tree, f'{CLOCK}/extra')
        extra.touch()
        extra.unlink()
        _file(tree, f'{CLOCK}/max_freq').chmod(0o600)
    words = '\n'.join(watch.take_violations())
    for expected in (
        '15340000.vic/max_freq was modified', 'cur_freq was metadata changed',
        'extra was created', 'extra was deleted', 'gpu/max_freq was metadata changed',
    ):  # fmt: skip
        assert expected in words, words


def test_the_watch_reports_a_value_that_is_no_level(tree: MachineTree) -> None:
    with TreeWatch(tree) as watch:
        DeviceFiles(tree.root).write(f'{CLOCK}/max_freq', '1')
        assert watch.wait_for_write(0, 10.0)
    assert any("b'1\\n'" in words for words in watch.take_violations())


def test_a_plan_has_the_kills_asked_for_shared_by_both_ways_and_depends_on_the_seed() -> None:
    rounds = plan(200, 3)
    kills = {way: sum(len(r.kills) for r in rounds if r.way == way) for way in WAYS}
    assert kills == {DIRECT: 100, THROUGH_HELPER: 100}
    assert plan(200, 3) == rounds
    assert plan(200, 4) != rounds
    assert {kill.moment for r in rounds for kill in r.kills} == {
        'setting', 'stopping', 'starting', 'restoring', 'between writes',
    }  # fmt: skip
    assert {r.targets for r in rounds if r.way == THROUGH_HELPER} == {
        ('helper',), ('node',), ('node', 'helper'), ('helper', 'node'),
    }  # fmt: skip
    with pytest.raises(InvalidValueError, match='at least 1'):
        plan(0, 0)


def test_a_plan_has_rounds_with_another_governor_and_with_the_other_way() -> None:
    rounds = plan(200, 3)
    crossing = [one for one in rounds if one.crossing]
    assert {(one.way, one.targets) for one in crossing} == {
        (DIRECT, ('node',)), (THROUGH_HELPER, ('helper', 'node')),
    }  # fmt: skip
    assert all(len(one.kills) == 2 for one in crossing)
    assert {one.way for one in rounds if one.governor} == set(WAYS)
    assert not any(one.governor for one in crossing)
    assert not any(one.crossing for one in plan(200, 3, (DIRECT,)))


def test_only_who_writes_is_killed_between_writes() -> None:
    for one in plan(400, 5):
        if any(kill.moment == 'between writes' for kill in one.kills):
            assert one.way == DIRECT or 'helper' in one.targets


def test_a_governor_that_somebody_changed_is_no_damage_until_it_has_to_be_back(
    tree: MachineTree,
) -> None:
    tree.change_governor()
    assert tree.damage() == []
    assert (tree.left(), tree.is_as_found()) == ('as found', False)
    tree.expect_governor()
    assert any('governor' in words for words in tree.damage())
    DeviceFiles(tree.root).write(f'{CLOCK}/governor', 'nvhost_podgov')
    assert tree.damage() == []
    assert tree.is_as_found()


@pytest.mark.parametrize(
    ('low', 'high', 'left'),
    [
        ('306000000', '1300500000', 'as found'),
        ('612000000', '612000000', 'set'),
        ('306000000', '612000000', 'halfway'),
        ('612000000', '1300500000', 'halfway'),
    ],
)
def test_what_a_kill_left_is_told_by_the_bounds(
    low: str, high: str, left: str, tree: MachineTree
) -> None:
    DeviceFiles(tree.root).write(f'{CLOCK}/min_freq', low)
    DeviceFiles(tree.root).write(f'{CLOCK}/max_freq', high)
    assert tree.left() == left


def test_a_summary_counts_kills_and_what_they_left() -> None:
    records = [
        RoundRecord(1, DIRECT, 'node', ('setting',), ('set',), 4, 1.0, ()),
        RoundRecord(2, DIRECT, 'node', ('setting', 'starting'), ('as found', 'set'), 2, 2.0, ()),
        RoundRecord(3, DIRECT, 'clean stop', (), (), 2, 0.5, ('left set',)),
        RoundRecord(4, DIRECT, 'node', ('setting',), ('set',), 9, 1.0, (), crossing=True),
    ]
    first, second, third = summarize(records)
    assert (first.kills, first.rounds, first.passed, first.writes) == (3, 2, 2, 6)
    assert first.left == {'as found': 1, 'set': 2, 'halfway': 0}
    assert first.restored_max_s == 2.0
    assert (second.kills, second.passed) == (0, 0)
    assert (third.victims, third.writes) == ('all, both ways', 9)
