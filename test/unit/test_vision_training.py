from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from vision_pictures import FlatPictures

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.errors import InvalidValueError, ModelError
from visionscaling_ros.vision.elastic_network import ElasticNetwork
from visionscaling_ros.vision.network import DetectionNetwork, anchor_points
from visionscaling_ros.vision.network_shape import ElasticShape, NetworkShape
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES
from visionscaling_ros.vision.suppression import pairwise_iou
from visionscaling_ros.vision.training import trainer
from visionscaling_ros.vision.training.assignment import assign, overlap
from visionscaling_ros.vision.training.feeds import PictureFeed, SceneStream, picture_feed
from visionscaling_ros.vision.training.loss import _generalised_overlap, detection_loss
from visionscaling_ros.vision.training.samples import PicturePool, cut
from visionscaling_ros.vision.training.starting_network import trained_network
from visionscaling_ros.vision.training.trainer import Progress, Trainer
from visionscaling_ros.vision.weights_file import load_elastic, save_network

CLASSES = len(CLASS_NAMES)
SIZE_PX = (128, 96)
SMALL = NetworkShape((8, 8, 16, 16, 24), (8, 8, 8, 12), (0, 1, 1, 1), 16)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def boxes(seed: int, count: int) -> np.ndarray:
    corners = np.random.default_rng(seed).uniform(0, 96, (count, 2, 2))
    return np.sort(corners, axis=1).reshape(count, 4).astype(np.float32)


class TestAssignment:
    def run(self, truth_px: list[list[float]], classes: list[int], found_px: torch.Tensor):  # type: ignore[no-untyped-def]
        centers_px, strides_px = anchor_points(*SIZE_PX, torch.device('cpu'))
        scores = torch.full((1, len(centers_px), CLASSES), 0.5)
        return centers_px, assign(
            scores,
            found_px,
            centers_px=centers_px,
            strides_px=strides_px,
            truth_boxes_px=torch.tensor([truth_px], dtype=torch.float32),
            truth_class_ids=torch.tensor([classes]),
        )

    def around_centers(self, half_px: float) -> torch.Tensor:
        centers_px, _ = anchor_points(*SIZE_PX, torch.device('cpu'))
        return torch.cat([centers_px - half_px, centers_px + half_px], 1)[None]

    def test_cells_in_the_object_answer_for_it(self) -> None:
        truth = [30.0, 30.0, 62.0, 62.0]
        centers_px, found = self.run([truth], [2], self.around_centers(16))
        chosen = found.target_scores[0].sum(1) > 0
        assert 1 <= int(chosen.sum()) <= 10
        inside = ((centers_px > 30) & (centers_px < 62)).all(1)
        assert inside[chosen].all()
        assert (found.target_boxes_px[0][chosen] == torch.tensor(truth)).all()
        assert found.target_scores[0][:, [0, 1, 3]].sum() == 0

    def test_best_cell_is_worth_its_overlap(self) -> None:
        truth = [30.0, 30.0, 62.0, 62.0]
        found_px = self.around_centers(16)
        _, found = self.run([truth], [2], found_px)
        best = overlap(found_px[0], torch.tensor(truth)).max()
        assert found.target_scores.max() == pytest.approx(float(best))

    def test_objects_smaller_than_a_cell_are_not_forgotten(self) -> None:
        _, found = self.run([[17.0, 17.0, 19.0, 19.5]], [0], self.around_centers(4))
        assert (found.target_scores > 0).any()

    def test_one_cell_answers_for_one_object(self) -> None:
        truth = [[30.0, 30.0, 62.0, 62.0], [34.0, 34.0, 62.0, 66.0]]
        _, found = self.run(truth, [1, 3], self.around_centers(16))
        assert ((found.target_scores[0] > 0).sum(1) <= 1).all()
        assert (found.target_scores[0, :, 1] > 0).any()
        assert (found.target_scores[0, :, 3] > 0).any()

    def test_padding_is_no_object(self) -> None:
        _, found = self.run([[0.0, 0.0, 0.0, 0.0]], [-1], self.around_centers(16))
        assert found.target_scores.sum() == 0


@given(seed=st.integers(0, 500))
def test_torch_overlap_is_the_numpy_one(seed: int) -> None:
    first, second = boxes(seed, 6), boxes(seed + 1, 6)
    ours = overlap(torch.from_numpy(first)[:, None], torch.from_numpy(second)[None])
    np.testing.assert_allclose(ours.numpy(), pairwise_iou(first, second), atol=1e-5)


def test_generalised_overlap_by_hand() -> None:
    first = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10]])
    second = torch.tensor([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]])
    expected = [1.0, 1 / 3, -1 / 3]
    np.testing.assert_allclose(_generalised_overlap(first, second).numpy(), expected, atol=1e-5)


def test_loss_falls_when_a_network_learns_one_picture() -> None:
    torch.manual_seed(0)
    network = DetectionNetwork(SMALL, CLASSES).train()
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    image = torch.rand(2, 3, 96, 128)
    truth_px = torch.tensor([[[20.0, 20, 60, 70]], [[70.0, 10, 120, 60]]])
    classes = torch.tensor([[1], [2]])
    centers_px, strides_px = anchor_points(*SIZE_PX, image.device)
    losses = []
    for _ in range(25):
        logits, found_px = network(image)
        targets = assign(
            logits.detach().sigmoid(),
            found_px.detach(),
            centers_px=centers_px,
            strides_px=strides_px,
            truth_boxes_px=truth_px,
            truth_class_ids=classes,
        )
        loss = detection_loss(logits, found_px, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < 0.5 * max(losses[:5])


def test_fused_network_answers_as_the_trained_one() -> None:
    torch.manual_seed(0)
    network = DetectionNetwork(SMALL, CLASSES)
    network.train()(torch.rand(2, 3, 96, 128))  # norms that are not the identity
    image = torch.rand(1, 3, 96, 128)
    with torch.inference_mode():
        logits, found_px = network.eval()(image)
        fused_logits, fused_px = network.fuse()(image)
    torch.testing.assert_close(fused_logits, logits, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(fused_px, found_px, atol=1e-2, rtol=1e-3)


class TestSamples:
    def test_cut_keeps_boxes_on_their_objects(self) -> None:
        image = np.zeros((312, 416, 3), np.uint8)
        image[100:160, 200:300] = 250
        truth = Detections(
            np.array([[200, 100, 300, 160]], np.float32), np.ones(1, np.float32), np.array([2])
        )
        kept = 0
        for seed in range(40):
            picture, found_px, classes = cut(np.random.default_rng(seed), image, truth, (256, 192))
            assert picture.shape == (192, 256, 3)
            bright = picture.min(2) > 140
            if len(found_px):
                kept += 1
                rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
                seen_px = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
                np.testing.assert_allclose(found_px[0], seen_px, atol=2.0)
                assert classes.tolist() == [2]
        assert kept > 25

    def test_stream_starts_anywhere(self) -> None:
        first = iter(SceneStream(5, 0))
        next(first)
        image, truth = next(first)
        later, later_truth = next(iter(SceneStream(5, 1)))
        np.testing.assert_array_equal(image, later)
        np.testing.assert_array_equal(truth.boxes_px, later_truth.boxes_px)

    def test_pool_forgets_the_oldest(self) -> None:
        pool = PicturePool(2)
        for level in (10, 20, 30):
            pool.add(np.full((312, 416, 3), level, np.uint8), Detections.empty())
        batch = pool.batch(np.random.default_rng(0), 12, 128)
        assert batch.images.shape == (12, 3, 96, 128)
        assert (batch.class_ids == -1).all()
        # 10 is gone; grey borders of zoomed-out cuts and gains blur the rest
        assert float(batch.images.flatten(1).median(1).values.min()) > 14 / 255


FEED = PictureFeed(FlatPictures, start=2, capacity=4, fresh_per_step=1)


def small_network(class_names: tuple[str, ...] = CLASS_NAMES) -> ElasticNetwork:
    torch.manual_seed(0)
    return ElasticNetwork(ElasticShape(SMALL, (0.5, 0.75, 1.0), class_names))


def train(out: Path, report: Callable[[Progress], None] = lambda _: None, **options: Any) -> None:
    length = {'steps': 3, 'minutes': None}
    Trainer(small_network(), FEED, out, **{**length, 'seed': 1, **options}).run(report)


class Stop(KeyboardInterrupt):
    pass


def stop_after_two(progress: Progress) -> None:
    if progress.step == 2:
        raise Stop


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, 'BATCH', 2)
    monkeypatch.setattr(trainer, 'INPUT_SIZES_PX', (96, 128))
    monkeypatch.setattr(trainer, 'INPUT_SHARES', (0.5, 0.5))


def test_training_is_repeatable_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole, halves = tmp_path / 'whole.safetensors', tmp_path / 'halves.safetensors'
    train(whole)
    with pytest.raises(Stop):
        train(halves, stop_after_two)
    assert not halves.exists()
    train(halves)
    assert halves.read_bytes() == whole.read_bytes()
    assert load_elastic(halves).shape == small_network().shape


def test_training_moves_the_norms_of_every_width(tmp_path: Path) -> None:
    out = tmp_path / 'w.safetensors'
    train(out, steps=6)
    before, after = small_network().state_dict(), load_elastic(out).state_dict()
    for index in range(3):
        name = f'stem.norms.{index}.running_mean'
        assert not torch.allclose(before[name], after[name], atol=1e-4)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    out = tmp_path / 'w.safetensors'
    train(out)
    with pytest.raises(ModelError, match=r'w\.checkpoint\.pt is of another training.*seed'):
        train(out, seed=2)


def test_a_broken_checkpoint_is_refused_by_name(tmp_path: Path) -> None:
    out = tmp_path / 'w.safetensors'
    (tmp_path / 'w.checkpoint.pt').write_bytes(b'half a file')
    with pytest.raises(ModelError, match=r'w\.checkpoint\.pt'):
        train(out)


def test_refuses_two_lengths_and_none(tmp_path: Path) -> None:
    for steps, minutes in ((3, 1.0), (None, None)):
        with pytest.raises(InvalidValueError, match='exactly one'):
            train(tmp_path / 'w', steps=steps, minutes=minutes)


@pytest.mark.parametrize(
    ('option', 'value'),
    [('steps', 0), ('minutes', 0.0), ('minutes', math.nan), ('seed', -1)],
)
def test_refuses_lengths_and_seeds_that_make_no_sense(
    option: str, value: float, tmp_path: Path
) -> None:
    options = {'steps': None, option: value} if option == 'minutes' else {option: value}
    with pytest.raises(InvalidValueError, match=option):
        train(tmp_path / 'w', **options)


def test_a_small_data_set_is_in_the_pool_as_a_whole() -> None:
    class Numbered:
        class_names = ('car',)
        used_class_ids = frozenset({0})

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> tuple[np.ndarray, Detections]:
            return np.full((96, 128, 3), index, np.uint8), Detections.empty()

    feed = picture_feed(Numbered(), seed=3)  # type: ignore[arg-type]
    assert (feed.start, feed.capacity, feed.fresh_per_step) == (3, 3, 0)
    pictures = iter(feed.stream(0))
    first, second = ([int(next(pictures)[0][0, 0, 0]) for _ in range(3)] for _ in range(2))
    assert sorted(first) == sorted(second) == [0, 1, 2]
    from_fourth = iter(feed.stream(4))
    assert [int(next(from_fourth)[0][0, 0, 0]) for _ in range(2)] == second[1:]


class TestStartingNetwork:
    def test_known_classes_keep_their_filters_and_new_ones_start_fresh(
        self, tmp_path: Path
    ) -> None:
        old = small_network(('person', 'car'))
        with torch.no_grad():
            for head in old.heads:
                torch.nn.init.normal_(head.class_logits.weight)
                head.class_logits.bias.fill_(3.0)
        save_network(old, tmp_path / 'old.safetensors')
        network = trained_network(tmp_path / 'old.safetensors', ('bus', 'car'), seed=0)
        assert network.shape.class_names == ('bus', 'car')
        image = torch.rand(1, 3, 96, 128)
        with torch.no_grad():
            before, before_px = old.eval()(image)
            after, after_px = network.eval()(image)
        torch.testing.assert_close(after_px, before_px, atol=0.5, rtol=0.02)  # half precision
        torch.testing.assert_close(after[..., 1], before[..., 1], atol=0.05, rtol=0.02)
        fresh = -math.log(99.0)  # what an untrained class answers: one cell in a hundred
        new = after[..., 0]
        torch.testing.assert_close(new, torch.full_like(new, fresh), atol=0.3, rtol=0)

    def test_the_same_classes_are_the_same_network(self, tmp_path: Path) -> None:
        save_network(small_network(), tmp_path / 'old.safetensors')
        network = trained_network(tmp_path / 'old.safetensors', CLASS_NAMES, seed=9)
        reference = load_elastic(tmp_path / 'old.safetensors').state_dict()
        assert all(torch.equal(network.state_dict()[name], reference[name]) for name in reference)
