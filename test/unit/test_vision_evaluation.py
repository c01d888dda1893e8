from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau
from vision_pictures import InterruptedPictures

from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.errors import ImageFormatError, InvalidValueError
from visionscaling_ros.vision.accuracy import evaluate_map
from visionscaling_ros.vision.accuracy_table import Accuracy
from visionscaling_ros.vision.cost_trend import cost_trend, kendall_tau_b
from visionscaling_ros.vision.datasets import LabelledFile, LabelledFiles
from visionscaling_ros.vision.detector import Prepared, RawOutput
from visionscaling_ros.vision.evaluation import Evaluation, accuracies
from visionscaling_ros.vision.held_out_scenes import HeldOutScenes
from visionscaling_ros.vision.letterbox import fit, resize_image
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES


def objects(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    """Rows of x_min, y_min, x_max, y_max, score, class."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


class Squares:
    """Pictures of one bright square each, of class 0 or 1 in turn; the crowd is at the right."""

    def __init__(self, count: int, names: Sequence[str] = ('even', 'odd')) -> None:
        self._count = count
        self.class_names = tuple(names)
        self.used_class_ids = frozenset(range(len(names)))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[ImageArray, Detections]:
        image = np.zeros((48, 64, 3), np.uint8)
        x_px = 4 * (index % 4)
        image[8:24, x_px : x_px + 16] = 250
        return image, objects((x_px, 8, x_px + 16, 24, 1, index % 2))

    def crowd(self, index: int) -> Detections:
        return objects((40, 0, 64, 48, 1, index % 2))

    def name(self, index: int) -> str:
        return str(index)


class BrightDetector:
    """Finds the bright square, as class ``says``; and one thing in the crowd."""

    def __init__(self, name: str, says: int, class_names: tuple[str, ...]) -> None:
        self.name = name
        self.class_names = class_names
        self.input_sizes_px = (32, 64)
        self._says = says

    def warm_up(self, input_size_px: int) -> None:
        pass

    def preprocess(self, image_bgr: ImageArray, input_size_px: int) -> Prepared:
        geometry = fit(image_bgr.shape[1], image_bgr.shape[0], input_size_px)
        batch = np.zeros((1, geometry.height_px, geometry.width_px, 3), np.float32)
        width_px, height_px = geometry.inner_size_px
        batch[0, :height_px, :width_px] = resize_image(image_bgr, width_px, height_px)
        return Prepared(batch, geometry)

    def forward(self, prepared: Prepared) -> RawOutput:
        mean = torch.from_numpy(prepared.batch) @ torch.full((3, 1), 1 / 3)
        return RawOutput((mean.numpy(),))

    def postprocess(self, raw: RawOutput, prepared: Prepared) -> Detections:
        rows, columns = np.nonzero(raw.tensors[0][0, :, :, 0] > 200)
        box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)
        x_min, y_min, x_max, y_max = prepared.geometry.boxes_to_source(box)[0]
        return objects(
            (44, 4, 60, 40, 0.95, self._says), (x_min, y_min, x_max, y_max, 0.9, self._says)
        )


def run(evaluation: Evaluation, workers: int = 0) -> list[int]:
    return list(evaluation.run(workers))


class TestEvaluation:
    def test_every_point_is_scored_in_one_pass(self) -> None:
        detectors = [BrightDetector(name, 1, ('even', 'odd')) for name in ('one', 'two')]
        evaluation = Evaluation(detectors, Squares(6), domains=['early'] * 2 + ['late'] * 4)
        assert run(evaluation) == [1, 2, 3, 4, 5, 6]
        scores = evaluation.scores()
        assert [(score.model, score.input_size_px) for score in scores] == [
            ('one', 32), ('one', 64), ('two', 32), ('two', 64),
        ]  # fmt: skip
        exact = scores[1]
        # what is found in the crowd of even pictures, where odd has none, is a false alarm
        assert exact.classes_map_50_95['even'] == 0.0
        assert 0.3 < exact.classes_map_50_95['odd'] < 1.0
        assert exact.map_50_95 == pytest.approx(exact.classes_map_50_95['odd'] / 2)
        assert list(exact.domains_map_50_95) == ['early', 'late']
        assert exact.forward_s > 0.0
        assert scores[0].flops == pytest.approx(scores[1].flops / 4, rel=0.4)
        assert exact.flops == 2 * 3 * 64 * 64  # 48 rows padded to a multiple of 32

    def test_what_is_found_in_a_crowd_is_not_wrong(self) -> None:
        images = Squares(5, ('square', 'other'))
        seen_as_one = {'square': 'thing', 'other': 'thing'}
        evaluation = Evaluation(
            [BrightDetector('one', 0, ('thing',))], images, class_map=seen_as_one,
            input_sizes_px=[64],
        )  # fmt: skip
        run(evaluation)
        (score,) = evaluation.scores()
        assert score.map_50_95 == pytest.approx(1.0)
        assert score.domains_map_50_95 == {}

    def test_models_of_different_classes_see_the_same_pictures(self) -> None:
        detectors = [
            BrightDetector('one', 0, ('even', 'odd')), BrightDetector('two', 1, ('odd', 'even')),
        ]  # fmt: skip
        evaluation = Evaluation(detectors, Squares(6), input_sizes_px=[64])
        run(evaluation)
        one, two = evaluation.scores()
        assert one.map_50_95 == pytest.approx(two.map_50_95)
        assert one.map_50_95 > 0.1

    def test_a_class_one_model_does_not_know_is_refused_before_anything_runs(self) -> None:
        with pytest.raises(InvalidValueError, match=r'odd.*even=|odd='):
            Evaluation([BrightDetector('one', 0, ('even',))], Squares(2))

    def test_scores_so_far_are_those_of_the_pictures_seen(self) -> None:
        evaluation = Evaluation([BrightDetector('one', 0, ('even', 'odd'))], Squares(6))
        for done in evaluation.run():
            if done == 1:
                break
        assert evaluation.done == 1
        score = evaluation.scores()[1]
        assert score.classes_map_50_95['even'] == pytest.approx(1.0)
        assert math.isnan(score.classes_map_50_95['odd'])

    @pytest.mark.parametrize('workers', [0, 1])
    def test_a_picture_that_cannot_be_read_is_named(self, tmp_path: Path, workers: int) -> None:
        nothing = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.bool_)
        files = []
        for name in ('a.png', 'b.png', 'c.png'):
            cv2.imwrite(str(tmp_path / name), np.full((48, 64, 3), 250, np.uint8))
            files.append(LabelledFile(tmp_path / name, name, *nothing))
        (tmp_path / 'b.png').unlink()
        images = LabelledFiles(files, ['even', 'odd'])
        evaluation = Evaluation([BrightDetector('one', 0, ('even', 'odd'))], images)
        with pytest.raises(
            ImageFormatError, match=r'b\.png cannot be read: No such file'
        ) as caught:
            run(evaluation, workers)
        assert 'Traceback' not in str(caught.value)
        assert evaluation.done == 1

    def test_an_interruption_is_left_to_the_parent(self) -> None:
        detector = BrightDetector('one', 0, ('even', 'odd'))
        assert run(Evaluation([detector], InterruptedPictures()), workers=1) == [1, 2]
        with pytest.raises(KeyboardInterrupt):
            run(Evaluation([detector], InterruptedPictures()), workers=0)

    def test_a_domain_for_every_picture(self) -> None:
        with pytest.raises(InvalidValueError, match='domains'):
            Evaluation([], Squares(3), domains=['street'])

    def test_scores_become_entries_of_a_table(self) -> None:
        evaluation = Evaluation([BrightDetector('one', 0, ('even', 'odd'))], Squares(2))
        run(evaluation)
        table = accuracies(evaluation.scores())
        assert list(table) == ['one']
        assert isinstance(table['one'][64], Accuracy)

    def test_nothing_to_find_is_no_entry(self) -> None:
        nothing = {'even': '', 'odd': ''}
        evaluation = Evaluation(
            [BrightDetector('one', 0, ('thing',))], Squares(2), class_map=nothing
        )
        run(evaluation)
        with pytest.raises(InvalidValueError, match='no object'):
            accuracies(evaluation.scores())


class TestHeldOutScenes:
    def test_pictures_depend_on_their_number_only(self) -> None:
        scenes = HeldOutScenes(8)
        last_first = [scenes[k] for k in reversed(range(8))][::-1]
        for k in range(8):
            image, truth = HeldOutScenes(8)[k]
            assert np.array_equal(image, last_first[k][0])
            assert np.array_equal(truth.boxes_px, last_first[k][1].boxes_px)
        assert [scenes.domain(k) for k in range(8)] == ['street', 'still'] * 4
        assert scenes.class_names == CLASS_NAMES
        assert scenes[0][0].shape == (480, 640, 3)

    def test_one_picture_is_too_few(self) -> None:
        with pytest.raises(InvalidValueError, match='images'):
            HeldOutScenes(1)


class TestCrowds:
    TRUTH = objects((0, 0, 40, 40, 1, 0))
    CROWD = objects((100, 0, 200, 100, 1, 0))

    def test_any_number_of_results_in_a_crowd_is_neither_right_nor_wrong(self) -> None:
        found = objects(
            (100, 0, 120, 20, 0.99, 0), (150, 50, 199, 99, 0.98, 0), (0, 0, 40, 40, 0.5, 0)
        )
        assert evaluate_map([self.TRUTH], [found], 1).map_50 == pytest.approx(1 / 3, abs=0.01)
        with_crowd = evaluate_map([self.TRUTH], [found], 1, crowds=[self.CROWD])
        assert with_crowd.map_50_95 == pytest.approx(1.0)

    def test_a_crowd_need_not_be_found(self) -> None:
        scores = evaluate_map([self.TRUTH], [self.TRUTH], 1, crowds=[self.CROWD])
        assert scores.map_50_95 == pytest.approx(1.0)

    def test_one_crowd_list_per_image(self) -> None:
        with pytest.raises(InvalidValueError, match='crowds'):
            evaluate_map([self.TRUTH], [self.TRUTH], 1, crowds=[])


class TestTrend:
    @given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=15))
    def test_tau_b_is_that_of_scipy(self, pairs: list[tuple[int, int]]) -> None:
        first, second = zip(*pairs, strict=True)
        expected = kendalltau(first, second).statistic
        assert kendall_tau_b(first, second) == pytest.approx(expected, nan_ok=True)

    def test_axes_are_told_apart(self) -> None:
        flops = {('a', 1): 1e9, ('a', 2): 4e9, ('b', 1): 2e9, ('b', 2): 8e9, ('c', 1): math.nan}
        accuracy = {('a', 1): 0.1, ('a', 2): 0.3, ('b', 1): 0.2, ('b', 2): 0.25, ('c', 1): 0.9}
        trend = cost_trend(accuracy, flops)
        assert trend.along_size == {'a': 1.0, 'b': 1.0}
        assert trend.along_model == {1: 1.0, 2: -1.0}
        assert trend.overall == pytest.approx(2 / 3)
        assert trend.cost_ratio == 8.0

    def test_without_costs_nothing_is_claimed(self) -> None:
        trend = cost_trend({('a', 1): 0.1}, {('a', 1): math.nan})
        assert math.isnan(trend.overall)
        assert math.isnan(trend.cost_ratio)


def test_the_report_can_be_drawn(tmp_path: Path) -> None:
    from visionscaling_ros.cli.evaluation_report import save_plot

    evaluation = Evaluation([BrightDetector('one', 0, ('even', 'odd'))], Squares(2))
    run(evaluation)
    save_plot(tmp_path / 'new' / 'plot.png', evaluation.scores(), 'squares')
    assert (tmp_path / 'new' / 'plot.png').read_bytes()[:4] == b'\x89PNG'
    with pytest.raises(InvalidValueError, match='--plot'):
        save_plot(tmp_path / 'plot.nothing', evaluation.scores(), 'squares')
