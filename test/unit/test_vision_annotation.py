"""Boxes and words on images of any size, whatever a detector says."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from visionscaling_ros.datatypes import Detections, Origin
from visionscaling_ros.vision.annotation import COLOURS_BGR, annotate

COLOUR_BGR = COLOURS_BGR[Origin.LOCAL]
GREY = np.full((240, 320, 3), 90, np.uint8)


def found(*boxes_px: tuple[float, float, float, float]) -> Detections:
    count = len(boxes_px)
    return Detections(
        np.array(boxes_px, np.float32).reshape(-1, 4),
        np.full(count, 0.87, np.float32),
        np.arange(count, dtype=np.int64),
    )


def test_a_box_is_drawn_on_its_edges_and_nothing_inside_it() -> None:
    image = annotate(GREY, found((50, 100, 150, 200)), ['car'], COLOUR_BGR, ())
    assert (image[200, 50:151] == COLOUR_BGR).all()
    assert (image[100:201, 150] == COLOUR_BGR).all()
    assert np.array_equal(image[110:190, 60:140], GREY[110:190, 60:140])
    assert np.array_equal(image[:60], GREY[:60])


def test_the_label_stands_on_its_box_and_hangs_in_it_at_the_top_of_the_image() -> None:
    standing = annotate(GREY, found((50, 100, 150, 200)), ['car'], COLOUR_BGR, ())
    hanging = annotate(GREY, found((50, 0, 150, 200)), ['car'], COLOUR_BGR, ())
    assert (standing[88:99, 50:80] != GREY[88:99, 50:80]).any()
    assert (hanging[4:12, 55:80] != GREY[4:12, 55:80]).any()


def test_lines_are_written_at_the_top_and_the_image_given_stays_as_it_is() -> None:
    given_ = GREY.copy()
    image = annotate(given_, Detections.empty(), (), COLOUR_BGR, ('vsdet_n@320 local', '20 fps'))
    assert np.array_equal(given_, GREY)
    assert (image[:16] != GREY[:16]).any()
    assert (image == COLOUR_BGR).all(axis=-1).any()
    assert np.array_equal(image[40:], GREY[40:])


@settings(max_examples=60, deadline=None)
@given(
    npst.arrays(
        np.uint8, st.tuples(st.integers(1, 80), st.integers(1, 80), st.just(3)), fill=st.just(7)
    ),
    npst.arrays(np.float32, st.tuples(st.integers(0, 4), st.just(4))),
    st.lists(st.text(max_size=9), max_size=2),
)
def test_no_box_and_no_word_is_too_strange_to_draw(
    image_bgr: np.ndarray, boxes_px: np.ndarray, names: list[str]
) -> None:
    detections = found(*map(tuple, boxes_px))
    image = annotate(image_bgr, detections, names, COLOUR_BGR, ('a line', *names))
    assert (image.shape, image.dtype) == (image_bgr.shape, np.uint8)


def test_rows_that_are_padded_or_read_only_are_taken() -> None:
    padded = np.zeros((20, 40, 3), np.uint8)[:, :30]
    padded.setflags(write=False)
    assert annotate(padded, found((1, 1, 9, 9)), ['a'], COLOUR_BGR, ()).shape == (20, 30, 3)
