"""Teaches narrowed networks to answer as the full one did: on images, without labels."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.width_scaling.norm_statistics import batch_norms, recalibrate_norms
from visionscaling_ros.vision.width_scaling.output_tensors import output_tensors

GRADIENT_NORM_LIMIT = 1.0
# an output that hardly varies is held to this share of its largest value
SMALLEST_SPREAD = 1e-3


@dataclass(frozen=True)
class DistillationStep:
    """What a step was like, for a progress display.

    :param loss: mean over the students of their squared error over the teacher's variance.
    """

    step: int
    steps: int
    loss: float


def distil(
    students: Sequence[nn.Module],
    teacher: nn.Module,
    batches: Sequence[Tensor],
    *,
    steps: int,
    learning_rate: float = 1e-3,
    seed: int = 0,
    held: Sequence[nn.Module] = (),
    report: Callable[[DistillationStep], None] | None = None,
) -> None:
    """Train ``students``, in place, to give the outputs of ``teacher``.

    Each step takes one batch through every student and adds up their gradients, so that students
    that share weights are trained as one (Yu & Huang, ICCV 2019, arXiv:1903.05134: all widths in a
    step, the full network as teacher). The loss is the mean over all floating-point outputs of
    squared error over the teacher's variance, which makes outputs of different units count alike.
    Batch norms normalise by the batch while they learn; their statistics are fitted to all batches
    at the end. AdamW, learning rate falling to 0 along a cosine. The same seed on the same machine
    gives the same weights. Networks are left in eval mode.

    :param teacher: shares no memory with the students; put in eval mode, not changed.
    :param batches: inputs as the networks take them; gone through in an order drawn anew each time.
    :param held: trained along, but with the statistics they have: the full network, whose answers
        should stay as they are.
    :raises InvalidValueError: no student, batch, trainable weight or step, or a loss that is no
        number any more.
    """
    if not batches:
        raise InvalidValueError('batches', 'none', 'one batch or more')
    if steps < 1:
        raise InvalidValueError('steps', steps, '1 or more')
    if not learning_rate > 0.0:
        raise InvalidValueError('learning_rate', learning_rate, 'above 0')
    learners = (*students, *held)
    weights = {id(p): p for network in learners for p in network.parameters() if p.requires_grad}
    if not weights:
        raise InvalidValueError('students', 'none or frozen', 'networks with trainable weights')
    for network in (teacher, *learners):
        network.eval()
    for student in students:
        for norm in batch_norms(student):
            norm.train()
    optimizer = torch.optim.AdamW(weights.values(), lr=learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    drawn = _endless(batches, seed)
    for step in range(1, steps + 1):
        batch = next(drawn)
        with torch.no_grad():
            wanted = output_tensors(teacher(batch.clone()))
        optimizer.zero_grad()
        total = 0.0
        for learner in learners:
            loss = _loss(output_tensors(learner(batch.clone())), wanted) / len(learners)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        if not torch.isfinite(torch.tensor(total)):
            raise InvalidValueError('loss', total, 'a finite number; lower the learning rate')
        nn.utils.clip_grad_norm_(weights.values(), GRADIENT_NORM_LIMIT)
        optimizer.step()
        schedule.step()
        if report is not None:
            report(DistillationStep(step, steps, total))
    optimizer.zero_grad()
    for student in students:
        student.eval()
        recalibrate_norms(student, batches)


def output_error(network: nn.Module, teacher: nn.Module, batches: Sequence[Tensor]) -> float:
    """How far a network's outputs are from another's: squared error over variance, mean of batches.

    0 for equal outputs, 1 for a network that always gives the mean.
    """
    with torch.no_grad():
        losses = [
            _loss(output_tensors(network(batch.clone())), output_tensors(teacher(batch.clone())))
            for batch in batches
        ]
    return float(torch.stack(losses).mean())


def _endless(batches: Sequence[Tensor], seed: int) -> Iterator[Tensor]:
    """All batches in an order drawn anew each time, without end."""
    draw = random.Random(seed)
    while True:
        yield from (batches[i] for i in draw.sample(range(len(batches)), len(batches)))


def _loss(outputs: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    losses = []
    for output, target in zip(outputs, wanted, strict=True):
        exact = target.float()
        floor = (SMALLEST_SPREAD * exact.abs().max()) ** 2
        variance = torch.maximum(exact.var(correction=0), floor).clamp(min=1e-12)
        losses.append((output.float() - exact).square().mean() / variance)
    return torch.stack(losses).mean()
