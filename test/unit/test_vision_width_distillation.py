"""Teaching narrow networks what the full one knows."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from width_networks import Dense, Residual, network

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.width_scaling import (
    DistillationStep,
    distil,
    finetune_width,
    output_error,
    recalibrate_norms,
    scale_width,
)

torch.set_num_threads(1)


def images(count: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(4, 3, 8, 8, generator=generator) for _ in range(count)]


def test_narrow_networks_come_closer_on_images_they_have_not_seen() -> None:
    original = network((Residual, 16), (Dense, 8))
    before = copy.deepcopy(original.state_dict())
    lessons, unseen = images(8, 1), images(2, 2)
    plain = scale_width(original, [0.5, 0.75], lessons[0])
    for ratio in (0.5, 0.75):
        recalibrate_norms(plain.at(ratio), lessons)
    steps: list[DistillationStep] = []
    taught = finetune_width(
        original, [0.5, 0.75], lessons, steps=80, learning_rate=3e-3, report=steps.append
    )
    for ratio in (0.5, 0.75):
        error = output_error(taught.at(ratio), original, unseen)
        assert error < 0.7 * output_error(plain.at(ratio), original, unseen)
        assert not taught.at(ratio).training
    # the full network is trained along and stays close to what it was
    assert output_error(taught.full, original, unseen) < 0.05
    assert [step.step for step in steps] == list(range(1, 81))
    assert {step.steps for step in steps} == {80}
    assert all(torch.equal(value, before[name]) for name, value in original.state_dict().items())


def test_without_steps_only_the_statistics_are_fitted() -> None:
    original = network((Residual, 16))
    lessons = images(2, 1)
    fitted = finetune_width(original, 0.5, lessons, steps=0)
    assert output_error(fitted.full, original, lessons) < 1e-9
    plain = scale_width(original, 0.5, lessons[0])
    recalibrate_norms(plain.at(0.5), lessons)
    assert output_error(fitted.at(0.5), plain.at(0.5), lessons) == 0.0


def test_the_same_seed_gives_the_same_weights() -> None:
    original, lessons = network((Residual, 8)), images(4, 1)
    results = [
        finetune_width(original, 0.5, lessons, steps=5, seed=seed).full.state_dict()
        for seed in (3, 3, 4)
    ]
    first, again, other = results
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_every_floating_point_output_counts() -> None:
    class Outputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

        def forward(self, x: Tensor) -> dict[str, Any]:
            first, second = x.mean((1, 2, 3)) * self.scale[0], x.std((1, 2, 3)) * self.scale[1]
            return {
                'a': first, 'b': (second, [1000.0 * x.amax((1, 2, 3)) * self.scale[2]]),
                'c': x.argmax(), 'd': 'text',
            }  # fmt: skip

    teacher, student = Outputs(), Outputs()
    with torch.no_grad():
        student.scale.mul_(0.9)
    lessons = images(4, 1)
    before = output_error(student, teacher, lessons)
    distil([student], teacher, lessons, steps=100, learning_rate=0.01)
    assert output_error(student, teacher, lessons) < 0.1 * before
    assert (student.scale - 1.0).abs().max() < 0.05
    assert torch.equal(teacher.scale, torch.ones(3))


def test_the_error_of_the_mean_is_one_and_of_the_same_zero() -> None:
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean().expand_as(x)

    same, batches = nn.Identity(), images(3, 1)
    assert output_error(same, same, batches) == 0.0
    assert output_error(Mean(), same, batches) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        ({'students': []}, 'students'),
        ({'batches': []}, 'batches'),
        ({'steps': 0}, 'steps'),
        ({'learning_rate': 0.0}, 'learning_rate'),
        ({'learning_rate': float('nan')}, 'learning_rate'),
        ({'batches': [torch.full((2, 3, 8, 8), float('nan'))]}, 'loss'),
    ],
)
def test_what_cannot_be_taught_is_refused(change: dict[str, Any], named: str) -> None:
    original = network((Residual, 8))
    arguments: dict[str, Any] = {
        'students': [copy.deepcopy(original)], 'teacher': original, 'batches': images(2, 1),
        'steps': 2, 'learning_rate': 1e-3,
    }  # fmt: skip
    with pytest.raises(InvalidValueError, match=named):
        distil(**{**arguments, **change})


def test_frozen_students_are_refused() -> None:
    original = network((Residual, 8))
    student = copy.deepcopy(original).requires_grad_(False)
    with pytest.raises(InvalidValueError, match='frozen'):
        distil([student], original, images(2, 1), steps=2)
