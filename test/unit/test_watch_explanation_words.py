"""A decision's reasons in plain English, whatever is known of them."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
from hypothesis import given
from watch_examples import DECISIONS, EDGE, EXPLAINED, decided

from visionscaling_ros.control.policy import POLICY_NAMES
from visionscaling_ros.datatypes import Allocation, Binding, Explanation, Origin, SlotDecision
from visionscaling_ros.watch.explanation_words import (
    LINE_LENGTH,
    PRICING_POLICIES,
    decision_line,
    decision_sentences,
    limit_words,
    runner_up_gap,
)


def explained(**changes: object) -> SlotDecision:
    return decided(explanation=dataclasses.replace(EXPLAINED, **changes))


def test_limits_price_and_runner_up_are_told() -> None:
    assert decision_line(explained(binding_constraints=Binding.UPLINK)) == (
        'Uplink full; next best vsdet_n@640 robot costs 0.012 more'
    )
    assert decision_sentences(decided()) == (
        'Every frame expected is processed, the mAP is at its target and the uplink capacity '
        'counted on is used up. A frame/s with 0.01 mAP more is worth 0.032 of cost (multiplier '
        '3.2). The next best, 12.0 frames/s of vsdet_n@640 on the robot and 6.9 frames/s of '
        'vsdet_s@320 at the edge at 1.30 GHz, would have cost 0.012 more (0.30 W more, 0.5 '
        'frames/s fewer, mAP 0.020 lower).'
    )


def test_a_line_that_would_be_too_long_leaves_out_the_name_of_the_runner_up_first() -> None:
    assert decision_line(decided()) == (
        'All frames processed, mAP at target and uplink full; next best +0.012'
    )
    shorter = explained(binding_constraints=Binding.ARRIVALS | Binding.ACCURACY)
    only = explained(binding_constraints=Binding.ACCURACY)
    assert decision_line(only) == 'mAP at target; next best vsdet_n@640 robot costs 0.012 more'
    assert decision_sentences(only).startswith('The mAP is at its target. ')
    assert decision_line(shorter) == (
        'All frames processed and mAP at target; next best costs 0.012 more'
    )


def test_all_limits_at_once_are_named_tersely() -> None:
    every = explained(binding_constraints=Binding(63))
    assert decision_line(every) == (
        'At the limit: frames, mAP, robot, clock, uplink and server; next best +0.012'
    )
    assert len(limit_words(every.explanation)) == 6


def test_a_robot_without_an_edge_says_so() -> None:
    alone = explained(
        binding_constraints=Binding.COMPUTE | Binding.CLOCK,
        accuracy_margin_map=-0.0301,
        edge_usable=False,
        uplink_usage=math.nan,
        server_usage=math.nan,
        runner_up=(Allocation('vsdet_n', 320, Origin.LOCAL, 9.0),),
    )
    assert decision_line(alone) == (
        'Robot full and top clock; next best vsdet_n@320 robot costs 0.012 more'
    )
    assert decision_sentences(alone).startswith(
        'The robot is as busy as it may be and the GPU clock is the highest allowed; the edge '
        'could not be used. The mAP expected is 0.030 below the target. '
    )


def test_no_runner_up_and_no_limit() -> None:
    only = explained(binding_constraints=Binding(0), accuracy_margin_map=0.02, runner_up=())
    assert decision_line(only) == 'No limit reached; nothing else was possible'
    assert decision_sentences(dataclasses.replace(only, multiplier=0.0)) == (
        'No limit is reached. The mAP expected is 0.020 above the target. Accuracy has no price '
        'now: the target is met without one. Nothing else was possible.'
    )


def test_a_target_that_is_missed_is_not_said_to_be_met() -> None:
    short = dataclasses.replace(
        explained(binding_constraints=Binding(0), accuracy_margin_map=-0.1), multiplier=0.0
    )
    told = decision_sentences(short)
    assert 'The mAP expected is 0.100 below the target. Accuracy has no price now. ' in told


def test_a_policy_that_weighs_nothing_is_not_said_to_have_weighed() -> None:
    fixed = dataclasses.replace(
        explained(
            binding_constraints=Binding.COMPUTE, penalized_cost=-17.5, runner_up=(EDGE,)
        ),
        policy='fixed',
        multiplier=0.0,
    )
    assert decision_line(fixed) == (
        'As it was set; robot full; next best vsdet_s@320 edge costs 0.400 less'
    )
    assert decision_sentences(fixed) == (
        'The policy fixed runs what it was set to and weighs nothing. The robot is as busy as it '
        'may be. The mAP expected is the target. The next best, 6.9 frames/s of vsdet_s@320 at '
        'the edge at 1.30 GHz, would have cost 0.400 less (0.30 W more, 0.5 frames/s fewer, '
        'mAP 0.020 lower).'
    )


@pytest.mark.parametrize('policy', [p for p in POLICY_NAMES if p not in PRICING_POLICIES])
def test_every_policy_without_a_multiplier_says_how_it_decides(policy: str) -> None:
    decision = decided(policy=policy)
    assert decision_sentences(decision).startswith(f'The policy {policy} ')
    assert 'multiplier' not in decision_sentences(decision)
    assert not decision_line(decision).startswith(('All frames', 'At the limit'))


def test_a_runner_up_that_costs_the_same_or_is_not_priced() -> None:
    same = explained(binding_constraints=Binding.UPLINK, runner_up_penalized_cost=-17.9119)
    assert decision_line(same) == 'Uplink full; next best vsdet_n@640 robot costs the same'
    unpriced = explained(
        binding_constraints=Binding.UPLINK,
        runner_up_penalized_cost=math.nan,
        runner_up_cost=math.nan,
        runner_up_frequency_hz=math.nan,
    )
    assert decision_line(unpriced) == 'Uplink full; next best vsdet_n@640 robot'
    assert decision_sentences(unpriced).endswith(
        ' The next best would have been 12.0 frames/s of vsdet_n@640 on the robot and '
        '6.9 frames/s of vsdet_s@320 at the edge.'
    )


def test_a_policy_that_passes_over_what_would_cost_less_has_its_reasons_told() -> None:
    cheaper = explained(penalized_cost=-17.8)
    assert decision_sentences(cheaper).endswith(
        'would have cost 0.100 less (0.30 W more, 0.5 frames/s fewer, mAP 0.020 lower). The policy '
        'also weighs what an expected cost does not show: what may come otherwise, its experience '
        'and what switching costs.'
    )


def test_the_gap_is_that_of_the_costs_with_accuracy_priced_in_where_they_are_known() -> None:
    assert runner_up_gap(decided()) == pytest.approx(0.012)
    without = explained(penalized_cost=math.nan)
    assert runner_up_gap(without) == pytest.approx(0.1)
    assert math.isnan(runner_up_gap(explained(runner_up=())))


def test_a_decision_without_reasons_says_so() -> None:
    silent = decided(explanation=Explanation())
    assert decision_line(silent) == 'No reasons were given with this decision'
    assert decision_sentences(silent) == 'No reasons were given with this decision.'


@given(DECISIONS)
def test_words_are_found_for_anything(decision: SlotDecision) -> None:
    line, sentences = decision_line(decision), decision_sentences(decision)
    assert 0 < len(line) <= LINE_LENGTH
    assert sentences.endswith('.')
    for text in (line, sentences):
        assert text.isprintable()
        assert not re.search(r'\bnan\b|\binf\b', text)
