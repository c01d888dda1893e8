from __future__ import annotations

import cv2
import numpy as np
import pytest

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.scene import StreetScene, random_scene
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES
from visionscaling_ros.vision.scene.painter import Painter
from visionscaling_ros.vision.scene.sprite import Brush, Sprite
from visionscaling_ros.vision.scene.sprite_bank import DRAWERS, SpriteBank


def check_truth(truth: Detections, width_px: int, height_px: int) -> None:
    boxes_px = truth.boxes_px
    assert boxes_px.shape == (len(truth), 4)
    assert (boxes_px >= 0).all()
    assert (boxes_px[:, 2:] <= [width_px, height_px]).all()
    assert ((boxes_px[:, 2:] - boxes_px[:, :2]) >= 2).all()
    assert (truth.scores == 1).all()
    assert set(truth.class_ids) <= set(range(len(CLASS_NAMES)))


class TestStreetScene:
    def test_a_frame_depends_on_seed_and_index_only(self) -> None:
        first, again = StreetScene(4, 320, 240, 15.0), StreetScene(4, 320, 240, 15.0)
        again.frame(7)
        image, truth = first.frame(31)
        image_again, truth_again = again.frame(31)
        np.testing.assert_array_equal(image, image_again)
        np.testing.assert_array_equal(truth.boxes_px, truth_again.boxes_px)
        other, _ = StreetScene(5, 320, 240, 15.0).frame(31)
        assert (image != other).any()

    def test_truth_is_sound_and_all_classes_come_by(self) -> None:
        seen: set[int] = set()
        for seed in range(4):
            scene = StreetScene(seed, 640, 480, 30.0)
            for index in range(0, 1200, 60):
                image, truth = scene.frame(index)
                assert image.shape == (480, 640, 3)
                assert image.dtype == np.uint8
                check_truth(truth, 640, 480)
                seen |= set(truth.class_ids.tolist())
        assert seen == set(range(len(CLASS_NAMES)))

    def test_objects_move_smoothly(self) -> None:
        scene = StreetScene(2, 640, 480, 30.0)
        _, before = scene.frame(100)
        _, after = scene.frame(101)
        centers = [(d.boxes_px[:, :2] + d.boxes_px[:, 2:]) / 2 for d in (before, after)]
        nearest = np.linalg.norm(centers[0][:, None] - centers[1][None], axis=2).min(1)
        assert np.median(nearest) < 12
        assert nearest.max() > 0

    def test_density_varies_over_time(self) -> None:
        scene = StreetScene(1, 640, 480, 2.0)
        counts = [len(scene.frame(index)[1]) for index in range(0, 120, 3)]
        assert max(counts) >= min(counts) + 4

    @pytest.mark.parametrize(
        'arguments',
        [(-1, 640, 480, 30.0), (0, 63, 480, 30.0), (0, 640, 10, 30.0), (0, 640, 480, 0.0)],
    )
    def test_refuses(self, arguments: tuple[int, int, int, float]) -> None:
        with pytest.raises(InvalidValueError, match='allowed'):
            StreetScene(*arguments)


class TestStills:
    def test_sound_reproducible_and_various(self) -> None:
        seen: set[int] = set()
        for number in range(12):
            image, truth = random_scene(np.random.default_rng(number), 320, 240)
            again, _ = random_scene(np.random.default_rng(number), 320, 240)
            np.testing.assert_array_equal(image, again)
            assert image.shape == (240, 320, 3)
            check_truth(truth, 320, 240)
            seen |= set(truth.class_ids.tolist())
        assert len(seen) == len(CLASS_NAMES)

    def test_worlds_differ(self) -> None:
        here, _ = random_scene(np.random.default_rng(1), 320, 240, world=0)
        there, _ = random_scene(np.random.default_rng(1), 320, 240, world=1)
        assert (here != there).any()


def square(class_id: int) -> Sprite:
    brush = Brush(1.0, 1.0, 40.0)
    brush.box(0, 0, 1, 1, (10, 200, 10))
    return Sprite(brush.image(), class_id, 1.0, 1.0)


class TestPainter:
    def paint(self, *places: tuple[int, int]) -> Detections:
        painter = Painter(np.zeros((480, 640, 3), np.uint8))
        picture = square(2).scaled(40, 40)
        for left_px, top_px in places:
            painter.paste(picture, left_px, top_px, 2)
        return painter.truth()

    def test_box_is_where_it_was_painted(self) -> None:
        assert self.paint((100, 50)).boxes_px.tolist() == [[100, 50, 140, 90]]

    def test_hidden_part_is_cut_off_and_mostly_hidden_is_left_out(self) -> None:
        assert self.paint((100, 50), (120, 50)).boxes_px[0].tolist() == [100, 50, 120, 90]
        assert self.paint((100, 50), (105, 52)).boxes_px.tolist() == [[105, 52, 145, 92]]

    def test_what_leaves_the_picture(self) -> None:
        assert self.paint((-10, 50)).boxes_px.tolist() == [[0, 50, 30, 90]]
        assert len(self.paint((-30, 50))) == 0  # a quarter is left
        assert len(self.paint((-300, 50))) == 0

    def test_tiny_objects_are_left_out(self) -> None:
        painter = Painter(np.zeros((480, 640, 3), np.uint8))
        painter.paste(square(2).scaled(6, 6), 100, 100, 2)
        assert len(painter.truth()) == 0

    def test_shadows_darken_but_own_nothing(self) -> None:
        painter = Painter(np.full((100, 100, 3), 200, np.uint8))
        painter.shade(np.full((10, 10), 128, np.uint8), 95, 95)
        assert painter.image[99, 99].tolist() == pytest.approx([100] * 3, abs=2)
        assert painter.image[0, 0].tolist() == [200] * 3
        assert len(painter.truth()) == 0


@pytest.mark.parametrize('kind', sorted(DRAWERS))
def test_sprites_fill_their_frame_both_ways(kind: str) -> None:
    bank = SpriteBank(0, 3)
    for variant in range(3):
        right, left = (bank.sprite(kind, variant, mirrored=m) for m in (False, True))
        picture = right.scaled(120, 90)
        solid = picture[..., 3] >= 128
        assert solid.mean() > 0.02
        np.testing.assert_array_equal(cv2.flip(picture, 1), left.scaled(120, 90))
        assert right.width_m > 0.3
        assert right.height_m > 0.3
