"""Why a decision is what it is, in plain English."""

from __future__ import annotations

import itertools
import math

from visionscaling_ros.datatypes import Allocation, Binding, Explanation, SlotDecision
from visionscaling_ros.watch.words import (
    AT_PLACES,
    by_share,
    configuration_words,
    figure,
    joined,
    known,
    plain_name,
)

LINE_LENGTH = 78
SAME_COST = 0.0005  # costs that differ by less are told as the same
PRICING_POLICIES = ('visionscaling_meta', 'visionscaling')  # those with a multiplier

# limit -> (in a line, terse, in a sentence)
_LIMITS = {
    Binding.ARRIVALS: ('all frames processed', 'frames', 'every frame expected is processed'),
    Binding.ACCURACY: ('mAP at target', 'mAP', 'the mAP is at its target'),
    Binding.COMPUTE: ('robot full', 'robot', 'the robot is as busy as it may be'),
    Binding.CLOCK: ('top clock', 'clock', 'the GPU clock is the highest allowed'),
    Binding.UPLINK: ('uplink full', 'uplink', 'the uplink capacity counted on is used up'),
    Binding.SERVER: ('server full', 'server', 'the share of the edge server is used up'),
}
# why a policy may take what is expected to cost more
_NOT_SHOWN = (
    'The policy also weighs what an expected cost does not show: what may come otherwise, its '
    'experience and what switching costs.'
)
# policy that does not weigh costs by a multiplier -> how it decides, in a line and in a sentence
_RULES = {
    'fixed': ('as it was set', 'runs what it was set to and weighs nothing'),
    'local_only': (
        'by its rule',
        'takes what costs the least energy a frame on the robot, meets the target and keeps up',
    ),
    'edge_only': ('by its rule', 'sends as many frames as uplink and server carry'),
    'governor': (
        'by its rule',
        'runs the most accurate configuration on the robot and lets the clock follow the load',
    ),
    'autoscale': ('by experience', 'does what has paid best in this situation, or tries another'),
    'dms': ('by latency', 'makes the model as small as its latency target asks'),
    'cutedge': ('by its queues', 'steers clock and uplink by the frames waiting in its queues'),
}


def decision_line(decision: SlotDecision) -> str:
    """One line of at most ``LINE_LENGTH`` characters: limits reached and the runner-up."""
    if not is_explained(decision.explanation):
        return 'No reasons were given with this decision'
    rule = _RULES[decision.policy][0] if decision.policy in _RULES else ''
    explanation = decision.explanation
    limits = (joined(limit_words(explanation)) or 'no limit reached', _terse_limits(explanation))
    tellings = itertools.chain(
        itertools.product(limits, _runner_up_words(decision)), ((told, '') for told in limits)
    )
    lines = ['; '.join(part for part in (rule, *telling) if part) for telling in tellings]
    best = next((line for line in lines if len(line) <= LINE_LENGTH), lines[-1])
    return _sentence_case(best)


def decision_sentences(decision: SlotDecision) -> str:
    """Two to four sentences: limits reached, what accuracy is worth, the runner-up."""
    explanation = decision.explanation
    if not is_explained(explanation):
        return 'No reasons were given with this decision.'
    sentences = [
        _rule_sentence(decision),
        _limits_sentence(explanation),
        _margin_sentence(explanation),
        _price_sentence(decision),
        _runner_up_sentence(decision),
    ]
    return ' '.join(sentence for sentence in sentences if sentence)


def limit_words(explanation: Explanation) -> list[str]:
    """The limits reached, each in two or three words; empty: none."""
    return [words[0] for limit, words in _LIMITS.items() if explanation.binding_constraints & limit]


def runner_up_gap(decision: SlotDecision) -> float:
    """What the runner-up would have cost more [-]; negative: less; NaN: none, or not known.

    Accuracy is in it at the price of the multiplier, where both costs with it are known.
    """
    explanation = decision.explanation
    if not explanation.runner_up:
        return math.nan
    gap = explanation.runner_up_penalized_cost - explanation.penalized_cost
    return gap if known(gap) else explanation.runner_up_cost - decision.expected_cost


def is_explained(explanation: Explanation) -> bool:
    """Whether somebody said why at all; one that is as its message is made says nothing."""
    return bool(
        explanation.binding_constraints
        or explanation.runner_up
        or known(explanation.penalized_cost)
        or known(explanation.compute_usage)
        or known(explanation.arrivals_usage)
    )


def _sentence_case(words: str) -> str:
    return words if words.startswith('mAP') else words[:1].upper() + words[1:]


def _terse_limits(explanation: Explanation) -> str:
    terse = [w[1] for limit, w in _LIMITS.items() if explanation.binding_constraints & limit]
    return f'at the limit: {joined(terse)}' if terse else 'no limit reached'


def _runner_up_words(decision: SlotDecision) -> tuple[str, ...]:
    """What is said of the runner-up, ever shorter."""
    explanation = decision.explanation
    if not explanation.runner_up:
        return ('nothing else was possible',)
    named = configuration_words(by_share(explanation.runner_up)[0], longest_model=24)
    gap = runner_up_gap(decision)
    cost = _cost_words(gap, 'costs')
    if not cost:
        return (f'next best {named}',)
    sign = '+' if gap > 0.0 else ''
    return (f'next best {named} {cost}', f'next best {cost}', f'next best {sign}{figure(gap, 3)}')


def _cost_words(gap: float, verb: str) -> str:
    if not known(gap):
        return ''
    if abs(gap) < SAME_COST:
        return f'{verb} the same'
    return f'{verb} {figure(abs(gap), 3)} {"more" if gap > 0.0 else "less"}'


def _rule_sentence(decision: SlotDecision) -> str:
    if decision.policy not in _RULES:
        return ''
    return f'The policy {decision.policy} {_RULES[decision.policy][1]}.'


def _limits_sentence(explanation: Explanation) -> str:
    limits = [w[2] for limit, w in _LIMITS.items() if explanation.binding_constraints & limit]
    sentence = joined(limits) or 'no limit is reached'
    edge = '' if explanation.edge_usable else '; the edge could not be used'
    return f'{_sentence_case(sentence)}{edge}.'


def _margin_sentence(explanation: Explanation) -> str:
    """Said where it is not said by the limits already."""
    margin_map = explanation.accuracy_margin_map
    if explanation.binding_constraints & Binding.ACCURACY or not known(margin_map):
        return ''
    if abs(margin_map) < SAME_COST:
        return 'The mAP expected is the target.'
    side = 'above' if margin_map > 0.0 else 'below'
    return f'The mAP expected is {figure(abs(margin_map), 3)} {side} the target.'


def _price_sentence(decision: SlotDecision) -> str:
    multiplier = decision.multiplier
    if not known(multiplier) or decision.policy in _RULES:
        return ''
    if multiplier > 0.0:
        return (
            f'A frame/s with 0.01 mAP more is worth {multiplier * 0.01:.2g} of cost '
            f'(multiplier {multiplier:.3g}).'
        )
    if decision.policy not in PRICING_POLICIES:
        return ''
    missed = decision.explanation.accuracy_margin_map < -SAME_COST
    met = '' if missed else ': the target is met without one'
    return f'Accuracy has no price now{met}.'


def _runner_up_sentence(decision: SlotDecision) -> str:
    explanation = decision.explanation
    if not explanation.runner_up:
        return 'Nothing else was possible.'
    shares = joined([_share_words(a) for a in by_share(explanation.runner_up)])
    hertz = explanation.runner_up_frequency_hz
    clock = f' at {figure(hertz * 1e-9, 2)} GHz' if known(hertz) and hertz > 0.0 else ''
    cost = _cost_words(runner_up_gap(decision), 'would have cost')
    if not cost:
        return f'The next best would have been {shares}{clock}.'
    differences = ', '.join(_differences(decision))
    told = f'The next best, {shares}{clock}, {cost}{f" ({differences})" if differences else ""}.'
    passed_over = runner_up_gap(decision) < -SAME_COST and decision.policy in PRICING_POLICIES
    return f'{told} {_NOT_SHOWN}' if passed_over else told


def _share_words(allocation: Allocation) -> str:
    rate = figure(allocation.rate_fps)
    model = f'{plain_name(allocation.model)}@{allocation.input_size_px}'
    return f'{rate} frames/s of {model} {AT_PLACES[allocation.origin]}'


def _differences(decision: SlotDecision) -> list[str]:
    """How the runner-up differs, as far as the difference shows in the figures."""
    explanation = decision.explanation
    found = []
    for more, less, decimals, difference in (
        ('{} W more', '{} W less', 2, explanation.runner_up_power_w - decision.expected_power_w),
        (
            '{} frames/s more',
            '{} frames/s fewer',
            1,
            explanation.runner_up_processed_fps - decision.expected_processed_fps,
        ),
        ('mAP {} higher', 'mAP {} lower', 3, explanation.runner_up_map - decision.expected_map),
    ):
        text = figure(abs(difference), decimals, unknown='0')
        if float(text) != 0.0:
            found.append((more if difference > 0.0 else less).format(text))
    return found
