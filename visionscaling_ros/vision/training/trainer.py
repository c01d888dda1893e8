"""The training loop: deterministic for a seed, resumable, safe to interrupt."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.vision.elastic_network import ElasticNetwork
from visionscaling_ros.vision.network import anchor_points
from visionscaling_ros.vision.training.assignment import assign
from visionscaling_ros.vision.training.feeds import PictureFeed
from visionscaling_ros.vision.training.loss import detection_loss
from visionscaling_ros.vision.training.samples import Batch, PicturePool
from visionscaling_ros.vision.weights_file import save_network

BATCH = 16
INPUT_SIZES_PX, INPUT_SHARES = (192, 256, 320, 416, 512), (0.25, 0.25, 0.25, 0.15, 0.1)
PEAK_RATE, FINAL_SHARE, WEIGHT_DECAY = 2e-3, 0.01, 0.02
WARM_UP_STEPS = 100
AVERAGE_DECAY = 0.998
CHECKPOINT_EVERY_STEPS = 100
LOG_EVERY_STEPS = 50


@dataclass(frozen=True)
class Progress:
    """Where a training stands: share of the whole, 0 to 1, and the smoothed loss."""

    step: int
    share: float
    loss: float


class Trainer:
    """Trains all widths of a network until ``steps`` are done or ``minutes`` are over.

    With ``steps`` the result depends only on the seed; a limit in minutes ends wherever the
    machine has come to. A checkpoint next to ``out`` lets the same call go on where it stopped;
    the log beside it has the smoothed loss of the full width every 50 steps.

    :param network: where to start; trained in place.
    :param feed: the pictures it learns from.
    :param peak_rate: highest learning rate.
    """

    def __init__(
        self,
        network: ElasticNetwork,
        feed: PictureFeed,
        out: Path,
        *,
        steps: int | None,
        minutes: float | None,
        seed: int = 0,
        peak_rate: float = PEAK_RATE,
    ) -> None:
        if (steps is None) == (minutes is None):
            raise InvalidValueError('steps, minutes', (steps, minutes), 'exactly one of the two')
        if steps is not None and steps < 1:
            raise InvalidValueError('steps', steps, '1 or more')
        if minutes is not None and not (math.isfinite(minutes) and minutes > 0.0):
            raise InvalidValueError('minutes', minutes, 'above 0')
        if seed < 0:
            raise InvalidValueError('seed', seed, '0 or more')
        self._out = out
        self._checkpoint = out.with_suffix('.checkpoint.pt')
        self._log = out.with_suffix('.log.csv')
        self._steps, self._seconds = steps, None if minutes is None else minutes * 60.0
        self._seed, self._feed, self._peak_rate = seed, feed, peak_rate
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = copy.deepcopy(self._network)
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), peak_rate, weight_decay=WEIGHT_DECAY
        )
        self._step = 0
        self._elapsed_s = 0.0
        self._loss = math.nan
        if self._checkpoint.is_file():
            self._resume()

    def run(self, report: Callable[[Progress], None]) -> None:
        """Train; on Ctrl-C the state is saved before KeyboardInterrupt goes on."""
        pool = PicturePool(self._feed.capacity)
        fresh = self._feed.fill(pool, self._step)
        started_s = time.monotonic() - self._elapsed_s
        try:
            while (share := self._share()) < 1.0:
                self._train_step(pool, share)
                for sample in itertools.islice(fresh, self._feed.fresh_per_step):
                    pool.add(*sample)
                self._elapsed_s = time.monotonic() - started_s
                report(Progress(self._step, self._share(), self._loss))
                if self._step % LOG_EVERY_STEPS == 0:
                    self._write_log()
                if self._step % CHECKPOINT_EVERY_STEPS == 0:
                    self._save_checkpoint()
        except KeyboardInterrupt:
            self._save_checkpoint()
            raise
        self._save_checkpoint()
        save_network(self._average, self._out)

    def _share(self) -> float:
        if self._steps is not None:
            return min(1.0, self._step / self._steps)
        assert self._seconds is not None
        return min(1.0, self._elapsed_s / self._seconds)

    def _train_step(self, pool: PicturePool, share: float) -> None:
        """Largest, smallest and a random width on one batch (Yu and Huang, arXiv:1903.05134)."""
        rng = np.random.default_rng((self._seed, self._step, 7))
        batch = pool.batch(rng, BATCH, int(rng.choice(INPUT_SIZES_PX, p=INPUT_SHARES)))
        rate = self._peak_rate * (
            FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * share))
        )
        for group in self._optimizer.param_groups:
            group['lr'] = rate * min(1.0, (self._step + 1) / WARM_UP_STEPS)
        self._network.train()
        self._optimizer.zero_grad()
        value = self._accumulate(batch, rng)
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), 10.0)
        self._optimizer.step()
        self._step += 1
        self._loss = value if math.isnan(self._loss) else 0.98 * self._loss + 0.02 * value
        self._update_average()

    def _accumulate(self, batch: Batch, rng: np.random.Generator) -> float:
        """Gradients of the step; returns the loss of the full width."""
        widest = len(self._network.shape.ratios) - 1
        images = batch.images.contiguous(memory_format=torch.channels_last)
        logits, boxes_px = self._predict(images, widest)
        centers_px, strides_px = anchor_points(images.shape[3], images.shape[2], images.device)
        targets = assign(
            logits.detach().sigmoid(),
            boxes_px.detach(),
            centers_px=centers_px,
            strides_px=strides_px,
            truth_boxes_px=batch.boxes_px,
            truth_class_ids=batch.class_ids,
        )
        loss = detection_loss(logits, boxes_px, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        taught = targets.distilled(logits)
        narrower = {0, int(rng.integers(1, widest))} if widest > 1 else set(range(widest))
        for index in sorted(narrower):
            detection_loss(*self._predict(images, index), taught).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _predict(self, images: Tensor, index: int) -> tuple[Tensor, Tensor]:
        with torch.autocast('cpu', torch.bfloat16):
            logits, boxes_px = self._network.at(index)(images)
        return logits, boxes_px

    @torch.no_grad()
    def _update_average(self) -> None:
        """Moving average of the weights: steadier than the last step's (Polyak averaging)."""
        decay = min(AVERAGE_DECAY, (1 + self._step) / (10 + self._step))
        pairs = zip(
            self._average.state_dict().values(), self._network.state_dict().values(), strict=True
        )
        for average, current in pairs:
            if average.is_floating_point():
                average.lerp_(current, 1.0 - decay)
            else:
                average.copy_(current)

    def _write_log(self) -> None:
        new = not self._log.exists()
        with self._log.open('a', encoding='utf-8') as log:
            if new:
                log.write('step,elapsed_s,loss\n')
            log.write(f'{self._step},{self._elapsed_s:.0f},{self._loss:.4f}\n')

    def _save_checkpoint(self) -> None:
        partial = self._checkpoint.with_suffix('.partial')
        torch.save(
            {
                'network': self._network.state_dict(),
                'average': self._average.state_dict(),
                'optimizer': self._optimizer.state_dict(),
                'step': self._step,
                'elapsed_s': self._elapsed_s,
                'loss': self._loss,
                'started_as': self._started_as(),
            },
            partial,
        )
        partial.replace(self._checkpoint)

    def _resume(self) -> None:
        try:
            state = torch.load(self._checkpoint, weights_only=True)
        except (OSError, RuntimeError, LookupError, EOFError, pickle.UnpicklingError) as error:
            raise ModelError(f'{self._checkpoint}: no whole checkpoint ({error})') from error
        if state.get('started_as') != self._started_as():
            raise ModelError(
                f'{self._checkpoint} is of another training ({state.get("started_as")}); allowed: '
                f'one of {self._started_as()}, another --out, or none: then remove it'
            )
        self._network.load_state_dict(state['network'])
        self._average.load_state_dict(state['average'])
        self._optimizer.load_state_dict(state['optimizer'])
        self._step, self._elapsed_s = state['step'], state['elapsed_s']
        self._loss = state['loss']

    def _started_as(self) -> dict[str, str]:
        """What must be the same for a checkpoint to go on."""
        return {'seed': str(self._seed), 'network': self._network.shape.to_json()}
