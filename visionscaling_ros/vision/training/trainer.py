"""The training loop: deterministic for a seed, resumable, safe to interrupt."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch.utils.data import DataLoader

from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.model_zoo import CLASS_NAMES, MODELS, check_model
from visionscaling_ros.vision.network import DetectionNetwork
from visionscaling_ros.vision.training.loss import detection_loss
from visionscaling_ros.vision.training.samples import ScenePool, SceneStream

BATCH = 16
FRESH_PER_STEP = 2
POOL_START, POOL_CAPACITY = 160, 2500
INPUT_SIZES_PX, INPUT_SHARES = (128, 192, 256), (0.25, 0.4, 0.35)
PEAK_RATE, FINAL_SHARE, WEIGHT_DECAY = 2e-3, 0.01, 0.02
WARM_UP_STEPS = 100
AVERAGE_DECAY = 0.998
CHECKPOINT_EVERY_STEPS = 100


@dataclass(frozen=True)
class Progress:
    """Where a training stands: share of the whole, 0 to 1, and the smoothed loss."""

    step: int
    share: float
    loss: float


class Trainer:
    """Trains one zoo model until ``steps`` are done or ``minutes`` are over, whichever is first.

    With ``steps`` alone the result depends only on the seed; a limit in minutes ends wherever the
    machine has come to. A checkpoint next to ``out`` lets the same call go on where it stopped.
    """

    def __init__(
        self, model: str, out: Path, *, steps: int | None, minutes: float | None, seed: int = 0
    ) -> None:
        check_model(model)
        if (steps is None) == (minutes is None):
            raise InvalidValueError('steps, minutes', (steps, minutes), 'exactly one of the two')
        self._out = out
        self._checkpoint = out.with_suffix('.checkpoint.pt')
        self._steps, self._seconds = steps, None if minutes is None else minutes * 60.0
        self._seed = seed
        torch.manual_seed(seed)
        self._network = DetectionNetwork(MODELS[model], len(CLASS_NAMES))
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = copy.deepcopy(self._network)
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), PEAK_RATE, weight_decay=WEIGHT_DECAY
        )
        self._step = 0
        self._elapsed_s = 0.0
        self._loss = math.nan
        if self._checkpoint.is_file():
            self._resume()

    def run(self, report: Callable[[Progress], None]) -> None:
        """Train; on Ctrl-C the state is saved before KeyboardInterrupt goes on."""
        pool = ScenePool(POOL_CAPACITY)
        scenes = self._scenes(pool)
        started_s = time.monotonic() - self._elapsed_s
        try:
            while (share := self._share()) < 1.0:
                self._train_step(pool, scenes, share)
                self._elapsed_s = time.monotonic() - started_s
                report(Progress(self._step, self._share(), self._loss))
                if self._step % CHECKPOINT_EVERY_STEPS == 0:
                    self._save_checkpoint()
        except KeyboardInterrupt:
            self._save_checkpoint()
            raise
        self._save_checkpoint()
        self.export()

    def export(self) -> None:
        """Write the averaged weights, half precision, as the zoo reads them."""
        state = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in self._average.state_dict().items()
        }
        contiguous = {name: tensor.contiguous() for name, tensor in state.items()}
        safetensors.torch.save_file(contiguous, str(self._out))

    def _share(self) -> float:
        if self._steps is not None:
            return min(1.0, self._step / self._steps)
        return min(1.0, self._elapsed_s / (self._seconds or 1.0))

    def _scenes(self, pool: ScenePool) -> Iterator[tuple[ImageArray, Detections]]:
        """The worker's stream, with the pool filled as it was at this step."""
        needed = POOL_START + self._step * FRESH_PER_STEP
        first = max(0, needed - POOL_CAPACITY)
        loader = DataLoader(
            SceneStream(self._seed, first), batch_size=None, num_workers=1, prefetch_factor=64,
            collate_fn=_unchanged, multiprocessing_context='spawn',
        )  # fmt: skip
        scenes = iter(loader)
        for _ in range(needed - first):
            pool.add(*next(scenes))
        return scenes

    def _train_step(
        self, pool: ScenePool, scenes: Iterator[tuple[ImageArray, Detections]], share: float
    ) -> None:
        rng = np.random.default_rng((self._seed, self._step, 7))
        size_px = int(rng.choice(INPUT_SIZES_PX, p=INPUT_SHARES))
        batch = pool.batch(rng, BATCH, size_px)
        rate = PEAK_RATE * (FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * share)))
        for group in self._optimizer.param_groups:
            group['lr'] = rate * min(1.0, (self._step + 1) / WARM_UP_STEPS)
        self._network.train()
        images = batch.images.contiguous(memory_format=torch.channels_last)
        with torch.autocast('cpu', torch.bfloat16):
            logits, boxes_px = self._network(images)
        height_px, width_px = images.shape[2:]
        loss = detection_loss(
            logits, boxes_px, batch.boxes_px, batch.class_ids, (width_px, height_px)
        )
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), 10.0)
        self._optimizer.step()
        self._step += 1
        value = float(loss.detach())
        self._loss = value if math.isnan(self._loss) else 0.98 * self._loss + 0.02 * value
        self._update_average()
        for _ in range(FRESH_PER_STEP):
            pool.add(*next(scenes))

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
                'seed': self._seed,
            },
            partial,
        )
        partial.replace(self._checkpoint)

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, weights_only=True)
        self._network.load_state_dict(state['network'])
        self._average.load_state_dict(state['average'])
        self._optimizer.load_state_dict(state['optimizer'])
        self._step, self._elapsed_s = state['step'], state['elapsed_s']
        self._loss, self._seed = state['loss'], state['seed']


def _unchanged(sample: Any) -> Any:
    return sample
