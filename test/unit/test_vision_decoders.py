"""Every decoder against the format's definition, written out box by box."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionscaling_ros.errors import ModelError
from visionscaling_ros.vision.decoders.decoder import Candidates, Decoder, Task
from visionscaling_ros.vision.decoders.priors import Priors
from visionscaling_ros.vision.decoders.ssd import SsdDecoder
from visionscaling_ros.vision.decoders.vsdet import VsdetDecoder
from visionscaling_ros.vision.decoders.yolov5 import Yolov5Decoder
from visionscaling_ros.vision.decoders.yolov8 import Yolov8Decoder
from visionscaling_ros.vision.decoders.yolox import YoloxDecoder

TASK = Task(96, 64, class_count=3, score_threshold=0.3, max_candidates=10_000)
STRIDES = (8, 16, 32)
CELLS = [(x, y, s) for s in STRIDES for y in range(64 // s) for x in range(96 // s)]
PRIORS = Priors(
    steps_px=(16, 40),
    min_sizes_px=((20.0,), (40.0,)),
    max_sizes_px=((40.0,), (60.0,)),
    aspect_ratios=((2.0,), ()),
)
SEEDS = st.integers(0, 10_000)
Found = list[tuple[float, int, tuple[float, float, float, float]]]


def sig(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))


def box(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def check(candidates: Candidates, expected: Found) -> None:
    assert candidates.boxes_px.dtype == candidates.scores.dtype == np.float32
    assert candidates.class_ids.dtype == np.int64
    assert (np.diff(candidates.scores) <= 0).all()
    # scores that rounding puts on either side of the threshold are left out of both
    clear = [f for f in expected if abs(f[0] - TASK.score_threshold) > 1e-5]
    got = [
        (float(s), int(c), tuple(map(float, b)))
        for s, c, b in zip(
            candidates.scores, candidates.class_ids, candidates.boxes_px, strict=True
        )
        if abs(s - TASK.score_threshold) > 1e-5
    ]
    assert len(got) == len(clear)
    for (s1, c1, b1), (s2, c2, b2) in zip(
        sorted(got, key=lambda f: (f[1], f[2])),
        sorted(clear, key=lambda f: (f[1], f[2])),
        strict=True,
    ):
        assert c1 == c2
        assert s1 == pytest.approx(s2, abs=1e-4)
        assert b1 == pytest.approx(b2, rel=1e-3, abs=1e-2)


def above(rows: list[tuple[float, int, tuple[float, float, float, float]]]) -> Found:
    return [row for row in rows if row[0] > TASK.score_threshold]


@settings(max_examples=25)
@given(seed=SEEDS)
def test_vsdet(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1, (1, len(CELLS), 3)).astype(np.float32)
    boxes = rng.uniform(0, 90, (1, len(CELLS), 4)).astype(np.float32)
    expected = [
        (sig(logits[0, a, c]), c, tuple(map(float, boxes[0, a])))
        for a in range(len(CELLS)) for c in range(3)
    ]  # fmt: skip
    check(VsdetDecoder().decode((logits, boxes), TASK), above(expected))


@pytest.mark.parametrize('scores', ['probability', 'logit'])
@pytest.mark.parametrize('boxes', ['pixels', 'relative'])
@settings(max_examples=15)
@given(seed=SEEDS)
def test_yolov5(scores: str, boxes: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = 3 * len(CELLS)
    raw = rng.normal(0, 1, (1, count, 8)).astype(np.float32)
    if scores == 'probability':
        raw[..., 4:] = rng.uniform(0, 1, (1, count, 4))
    raw[..., :4] = rng.uniform(0, 1, (1, count, 4)) * (1 if boxes == 'relative' else 60)
    expected = []
    for x, y, w, h, o, *cs in raw[0].astype(float):
        scale = (96, 64) if boxes == 'relative' else (1, 1)
        for c, value in enumerate(cs):
            score = o * value if scores == 'probability' else sig(o) * sig(value)
            expected.append((score, c, box(x * scale[0], y * scale[1], w * scale[0],
                                           h * scale[1])))  # fmt: skip
    check(Yolov5Decoder(scores=scores, boxes=boxes).decode((raw,), TASK), above(expected))


@pytest.mark.parametrize('scores', ['probability', 'logit'])
@settings(max_examples=15)
@given(seed=SEEDS)
def test_yolov8(scores: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw = rng.normal(-1, 1, (1, 7, len(CELLS))).astype(np.float32)
    if scores == 'probability':
        raw[:, 4:] = rng.uniform(0, 0.5, (1, 3, len(CELLS)))
    raw[:, :4] = rng.uniform(0, 60, (1, 4, len(CELLS)))
    expected = []
    for x, y, w, h, *cs in raw[0].T.astype(float):
        for c, value in enumerate(cs):
            expected.append((value if scores == 'probability' else sig(value), c,
                             box(x, y, w, h)))  # fmt: skip
    check(Yolov8Decoder(scores=scores).decode((raw,), TASK), above(expected))


@pytest.mark.parametrize('decoded', [False, True])
@pytest.mark.parametrize('scores', ['probability', 'logit'])
@settings(max_examples=15)
@given(seed=SEEDS)
def test_yolox(decoded: bool, scores: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw = rng.normal(0, 1, (1, len(CELLS), 8)).astype(np.float32)
    if scores == 'probability':
        raw[..., 4:] = rng.uniform(0, 1, (1, len(CELLS), 4))
    expected = []
    for (column, row, stride), (x, y, w, h, o, *cs) in zip(
        CELLS, raw[0].astype(float), strict=True
    ):
        where = box(x, y, w, h) if decoded else box(
            (column + x) * stride, (row + y) * stride, math.exp(w) * stride, math.exp(h) * stride
        )  # fmt: skip
        for c, value in enumerate(cs):
            score = o * value if scores == 'probability' else sig(o) * sig(value)
            expected.append((score, c, where))
    check(YoloxDecoder(decoded=decoded, scores=scores).decode((raw,), TASK), above(expected))


def plain_priors() -> list[tuple[float, float, float, float]]:
    priors = []
    for k, step in enumerate(PRIORS.steps_px):
        for row in range(math.ceil(64 / step)):
            for column in range(math.ceil(96 / step)):
                x, y = (column + 0.5) * step, (row + 0.5) * step
                small, large = PRIORS.min_sizes_px[k][0], PRIORS.max_sizes_px[k][0]
                priors.append((x, y, small, small))
                priors.append((x, y, math.sqrt(small * large), math.sqrt(small * large)))
                for ratio in PRIORS.aspect_ratios[k]:
                    priors.append((x, y, small * math.sqrt(ratio), small / math.sqrt(ratio)))
                    priors.append((x, y, small / math.sqrt(ratio), small * math.sqrt(ratio)))
    return priors


@pytest.mark.parametrize('background', ['first', 'last'])
@pytest.mark.parametrize('scores', ['probability', 'logit'])
@settings(max_examples=15)
@given(seed=SEEDS)
def test_ssd(background: str, scores: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    priors = plain_priors()
    locations = rng.normal(0, 1, (1, len(priors), 4)).astype(np.float32)
    confidences = rng.normal(0, 2, (1, len(priors), 4)).astype(np.float32)
    expected = []
    for (px, py, pw, ph), (dx, dy, dw, dh), row in zip(
        priors, locations[0].astype(float), confidences[0].astype(float), strict=True
    ):
        where = box(px + 0.1 * dx * pw, py + 0.1 * dy * ph, pw * math.exp(0.2 * dw),
                    ph * math.exp(0.2 * dh))  # fmt: skip
        total = sum(map(math.exp, row))
        values = row[1:] if background == 'first' else row[:-1]
        for c, value in enumerate(values):
            score = value if scores == 'probability' else math.exp(value) / total
            expected.append((score, c, where))
    decoder = SsdDecoder(PRIORS, background=background, scores=scores)
    check(decoder.decode((locations, confidences), TASK), above(expected))


def test_priors_by_hand_and_clipped() -> None:
    np.testing.assert_allclose(PRIORS.boxes(96, 64), plain_priors(), rtol=1e-5)
    assert PRIORS.count(96, 64) == len(plain_priors())
    clipped = replace(PRIORS, clip=True).boxes(96, 64)
    assert (clipped[:, :2] - clipped[:, 2:] / 2 >= -1e-4).all()
    assert (clipped[:, :2] + clipped[:, 2:] / 2 <= np.array([96, 64]) + 1e-4).all()


SHAPES: list[tuple[Decoder, list[tuple[int, ...]]]] = [
    (VsdetDecoder(), [(1, 126, 3), (1, 126, 4)]),
    (Yolov5Decoder(), [(1, 378, 8)]),
    (Yolov8Decoder(), [(1, 7, 126)]),
    (YoloxDecoder(), [(1, 126, 8)]),
    (SsdDecoder(PRIORS), [(1, 108, 4), (1, 108, 4)]),
]


@pytest.mark.parametrize(('decoder', 'shapes'), SHAPES, ids=lambda v: type(v).__name__)
def test_another_shape_is_refused_naming_the_tensor_and_what_is_allowed(
    decoder: Decoder, shapes: list[tuple[int, ...]]
) -> None:
    right = [np.zeros(shape, np.float32) for shape in shapes]
    assert len(decoder.decode(right, TASK).scores) >= 0
    for number, shape in enumerate(shapes):
        for axis in range(len(shape)):
            wrong = list(right)
            wrong[number] = np.zeros([n + (k == axis) for k, n in enumerate(shape)], np.float32)
            with pytest.raises(ModelError) as caught:
                decoder.decode(wrong, TASK)
            assert decoder.roles[number] in str(caught.value)
            assert str(shape) in str(caught.value)


def test_only_the_strongest_are_decoded() -> None:
    scores = np.random.default_rng(0).uniform(0.4, 1, (1, 3, 126)).astype(np.float32)
    raw = np.concatenate([np.full((1, 4, 126), 9, np.float32), scores], 1)
    found = Yolov8Decoder().decode((raw,), replace(TASK, max_candidates=5))
    np.testing.assert_array_equal(found.scores, np.sort(scores.ravel())[::-1][:5])


def test_sizes_of_a_broken_network_stay_finite() -> None:
    raw = np.full((1, 126, 8), 1e4, np.float32)
    found = YoloxDecoder().decode((raw,), TASK)
    assert np.isfinite(found.boxes_px).all()
