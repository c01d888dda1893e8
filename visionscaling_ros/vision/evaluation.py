"""Measures detectors on labelled pictures: all operating points in one pass over the pictures."""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from typing import Any

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset

from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.errors import InvalidValueError, VisionScalingError
from visionscaling_ros.vision.accuracy import evaluate_map
from visionscaling_ros.vision.accuracy_table import Accuracies, Accuracy
from visionscaling_ros.vision.datasets import ClassMap, LabelledImages
from visionscaling_ros.vision.detector import Detector
from visionscaling_ros.vision.work_count import frame_flops

PREFETCHED = 16  # pictures a worker is ahead: hides the slow ones

_Picture = tuple[ImageArray, Detections, Detections]


@dataclass(frozen=True)
class PointScore:
    """What one operating point reaches, and what it costs.

    classes_map_50_95: by class of the model, NaN where no picture shows one.
    domains_map_50_95: by kind of picture. forward_s: median on this machine. flops: of the first
    picture, a multiplication and an addition being two; NaN where the engine does not tell.
    """

    model: str
    input_size_px: int
    map_50_95: float
    map_50: float
    classes_map_50_95: Mapping[str, float]
    domains_map_50_95: Mapping[str, float]
    forward_s: float
    flops: float


@dataclass
class _Point:
    detector: Detector
    input_size_px: int
    class_map: ClassMap
    results: list[Detections] = field(default_factory=list)
    forward_s: list[float] = field(default_factory=list)
    flops: float = math.nan


class Evaluation:
    """One pass over labelled pictures with several detectors, each at several input sizes.

    :param input_sizes_px: of all detectors (default: those each was made for).
    :param class_map: class of the pictures -> class of a model, '' for none; else equal names.
    :param domains: kind of each picture, to score kinds apart; empty: all are of one kind.
    :raises InvalidValueError: a class of the pictures that a detector does not know.
    """

    def __init__(
        self,
        detectors: Sequence[Detector],
        images: LabelledImages,
        *,
        input_sizes_px: Sequence[int] = (),
        class_map: Mapping[str, str] | None = None,
        domains: Sequence[str] = (),
    ) -> None:
        if domains and len(domains) != len(images):
            raise InvalidValueError('domains', len(domains), f'{len(images)}, one a picture')
        self._images = images
        self._domains = tuple(domains)
        self._points = [
            _Point(detector, size_px, ClassMap.between(images, detector.class_names, class_map))
            for detector in detectors
            for size_px in input_sizes_px or detector.input_sizes_px
        ]
        self._seen: list[tuple[Detections, Detections]] = []  # truth, crowd

    @property
    def done(self) -> int:
        """Pictures every point has seen."""
        return len(self._seen)

    def run(self, workers: int = 0) -> Iterator[int]:
        """Show every picture to every point; yields how many they have seen.

        One picture is in memory, and those the workers are ahead.

        :param workers: processes that read or draw pictures ahead; 0: none.
        :raises ImageFormatError: a picture that cannot be read.
        """
        loader = DataLoader(
            _Pictures(self._images),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=PREFETCHED if workers else None,
            collate_fn=_unchanged,
            worker_init_fn=_use_one_thread,
            multiprocessing_context='spawn' if workers else None,
        )
        with _interrupts_kept_from_children() if workers else contextlib.nullcontext():
            pictures = iter(loader)
        for picture in pictures:
            if isinstance(picture, VisionScalingError):
                raise picture
            self._show(*picture)
            yield self.done

    def scores(self) -> list[PointScore]:
        """Scores over the pictures seen so far."""
        return [self._score(point) for point in self._points]

    def _show(self, image: ImageArray, truth: Detections, crowd: Detections) -> None:
        answers = []
        for point in self._points:
            if not self.done:
                _start(point, image)
            prepared = point.detector.preprocess(image, point.input_size_px)
            started_s = time.perf_counter()
            raw = point.detector.forward(prepared)
            elapsed_s = time.perf_counter() - started_s
            answers.append((point.detector.postprocess(raw, prepared), elapsed_s))
        # counted last: what an interruption leaves half added is not
        for point, (result, elapsed_s) in zip(self._points, answers, strict=True):
            point.results.append(result)
            point.forward_s.append(elapsed_s)
        self._seen.append((truth, crowd))

    def _score(self, point: _Point) -> PointScore:
        names = point.detector.class_names
        truths = [point.class_map.apply(truth) for truth, _ in self._seen]
        crowds = [point.class_map.apply(crowd) for _, crowd in self._seen]
        results = point.results[: self.done]
        total = evaluate_map(truths, results, len(names), crowds=crowds)
        domains = {}
        for domain in dict.fromkeys(self._domains):
            chosen = [k for k in range(self.done) if self._domains[k] == domain]
            domains[domain] = evaluate_map(
                [truths[k] for k in chosen],
                [results[k] for k in chosen],
                len(names),
                crowds=[crowds[k] for k in chosen],
            ).map_50_95
        return PointScore(
            model=point.detector.name,
            input_size_px=point.input_size_px,
            map_50_95=total.map_50_95,
            map_50=total.map_50,
            classes_map_50_95=dict(zip(names, total.per_class_50_95, strict=True)),
            domains_map_50_95=domains,
            forward_s=float(np.median(point.forward_s)) if point.forward_s else math.nan,
            flops=point.flops,
        )


def accuracies(scores: Sequence[PointScore]) -> Accuracies:
    """The scores as entries of an accuracy table.

    Raises InvalidValueError where nothing could be scored: no picture showed an object.
    """
    models: dict[str, dict[int, Accuracy]] = {}
    for score in scores:
        if math.isnan(score.map_50_95):
            raise InvalidValueError('data', 'no object', f'objects of a class of {score.model}')
        domains = {name: v for name, v in score.domains_map_50_95.items() if not math.isnan(v)}
        models.setdefault(score.model, {})[score.input_size_px] = Accuracy(
            score.map_50_95, score.map_50, domains
        )
    return models


class _Pictures(Dataset[Any]):
    """Pictures with truth and crowd; one that cannot be read is the error that says so."""

    def __init__(self, images: LabelledImages) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> _Picture | VisionScalingError:
        try:
            return (*self._images[index], self._images.crowd(index))
        except VisionScalingError as error:
            return error


def _start(point: _Point, image: ImageArray) -> None:
    """Warm up, and count what the network computes for this picture."""
    point.detector.warm_up(point.input_size_px)
    point.flops = float(frame_flops(point.detector, image, point.input_size_px)) or math.nan


@contextlib.contextmanager
def _interrupts_kept_from_children() -> Iterator[None]:
    """Processes started within leave Ctrl-C to this one, which gets it when the block ends."""
    resource_tracker.ensure_running()  # unblocks the signal when it starts
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _use_one_thread(worker: int) -> None:
    cv2.setNumThreads(1)


def _unchanged(sample: Any) -> Any:
    return sample
