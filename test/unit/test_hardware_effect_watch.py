"""What became of a set: overwritten, not in effect, or as it should be."""

from __future__ import annotations

import math

import pytest

from visionscaling_ros.hardware.effect_watch import FIGHT_AFTER, Effect, EffectWatch
from visionscaling_ros.hardware.thermal.throttle import Throttle

LEVEL, OTHER = 612e6, (306e6, 1300.5e6)
HELD = (LEVEL, LEVEL)
NOTHING = Effect()
SLOT_S = 1.0


@pytest.fixture
def watch() -> EffectWatch:
    watch = EffectWatch()
    watch.note_set(LEVEL, SLOT_S, 0.0)
    return watch


def look(watch: EffectWatch, now_s: float, limits_hz=HELD, **seen: float) -> Effect:
    return watch.look(
        limits_hz,
        seen.get('frequency_hz', LEVEL),
        seen.get('utilization', 1.0),
        Throttle(seen.get('board', 0)),
        now_s,
    )


def test_a_set_that_holds_is_nothing_to_talk_of(watch: EffectWatch) -> None:
    assert [look(watch, n * 0.3) for n in range(10)] == [NOTHING] * 10
    assert look(watch, 5.0, limits_hz=None) == NOTHING
    assert look(watch, 6.0, limits_hz=(LEVEL + 400.0, LEVEL - 400.0)) == NOTHING  # rounded to kHz


def test_before_anything_is_set_and_after_it_is_released_nothing_is_judged(
    watch: EffectWatch,
) -> None:
    assert look(EffectWatch(), 9.0, OTHER) == NOTHING
    watch.note_release()
    assert look(watch, 9.0, OTHER, frequency_hz=1e9) == NOTHING


def test_other_limits_are_somebody_elses_counted_once_and_named(watch: EffectWatch) -> None:
    effects = [look(watch, 0.2 * n, OTHER) for n in range(4)]
    assert watch.overwritten == 1
    assert {effect.reason for effect in effects} == {Throttle.OVERWRITTEN}
    assert all(effect.again and not effect.fight for effect in effects)
    for word in ('612 MHz', '306 MHz to 1300.5 MHz', 'nvpmodel', 'jetson_clocks'):
        assert word in effects[0].words
    look(watch, 0.9, (408e6, 408e6))  # yet other ones
    assert watch.overwritten == 2


def test_sets_in_a_row_that_do_not_last_are_a_fight_until_one_lasts_a_slot(
    watch: EffectWatch,
) -> None:
    now_s, fights = 0.0, []
    for _ in range(FIGHT_AFTER + 1):
        fights.append(look(watch, now_s + 0.5, OTHER).fight)
        now_s += SLOT_S
        watch.note_set(LEVEL, SLOT_S, now_s)
    assert fights == [False] * (FIGHT_AFTER - 1) + [True, True]
    assert watch.overwritten == FIGHT_AFTER + 1
    assert look(watch, now_s + 0.5).reason == Throttle.OVERWRITTEN  # not over yet
    assert look(watch, now_s + SLOT_S) == NOTHING
    watch.note_set(LEVEL, SLOT_S, now_s + 2.0)
    assert not look(watch, now_s + 2.5, OTHER).fight


def test_limits_pulled_down_by_the_boards_own_cooling_are_nobodys_fight(
    watch: EffectWatch,
) -> None:
    effect = look(watch, 2.0, (408e6, 408e6), board=Throttle.BOARD_THERMAL)
    assert effect.reason == Throttle.NOT_IN_EFFECT
    assert not effect.again
    assert watch.overwritten == 0
    effect = look(watch, 2.2, OTHER, board=Throttle.BOARD_THERMAL)  # cooling never pulls up
    assert effect.reason == Throttle.OVERWRITTEN


@pytest.mark.parametrize(
    ('seen', 'in_effect'),
    [
        ({'frequency_hz': 714e6, 'utilization': 0.0}, False),  # above: never obeyed
        ({'frequency_hz': 510e6, 'utilization': 0.9}, False),
        ({'frequency_hz': 510e6, 'utilization': 0.1}, True),  # idle: it may rest
        ({'frequency_hz': 510e6, 'utilization': math.nan}, True),
        ({'frequency_hz': 0.0, 'utilization': 0.0}, True),  # no power
        ({'frequency_hz': math.nan}, True),
        ({'frequency_hz': 510e6, 'utilization': 0.0, 'board': Throttle.BOARD_POWER}, False),
        ({'frequency_hz': 0.97 * 612e6}, True),  # as it measures itself
        ({'frequency_hz': 627e6}, True),  # a card's next step
    ],
)
def test_a_slot_later_the_running_clock_must_be_the_level(
    watch: EffectWatch, seen: dict[str, float], in_effect: bool
) -> None:
    assert look(watch, 0.99, **seen) == NOTHING  # it may take a slot
    effect = look(watch, 1.0, **seen)
    assert (effect == NOTHING) == in_effect
    if not in_effect:
        assert effect.reason == Throttle.NOT_IN_EFFECT
        assert '612 MHz' in effect.words
