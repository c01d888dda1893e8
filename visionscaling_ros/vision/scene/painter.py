"""Puts sprites into a picture, far to near, and works out what of each stays visible."""

from __future__ import annotations

import cv2
import numpy as np

from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.vision.scene.sprite import SOLID

MIN_SIDE_PX = 7
MIN_VISIBLE_SHARE = 0.4


class Painter:
    """A canvas that remembers which object owns each pixel.

    Truth boxes are tight around the visible pixels, as in COCO. Objects of which less than 40 % is
    visible, or with a side under 7 px (at 640 px image width), are not in the truth.
    """

    def __init__(self, background: ImageArray) -> None:
        self.image = background.copy()
        self._owner: ImageArray = np.zeros(background.shape[:2], np.uint8)
        self._objects: list[tuple[int, int, tuple[int, int, int, int]]] = []
        self._min_side_px = MIN_SIDE_PX * max(background.shape[:2]) / 640.0

    def paste(self, bgra: ImageArray, left_px: int, top_px: int, class_id: int | None) -> None:
        """Blend a premultiplied BGRA picture; ``class_id`` None is scenery that only hides."""
        height_px, width_px = self._owner.shape
        x0, y0 = max(0, left_px), max(0, top_px)
        x1 = min(width_px, left_px + bgra.shape[1])
        y1 = min(height_px, top_px + bgra.shape[0])
        if x0 >= x1 or y0 >= y1:
            return
        part = bgra[y0 - top_px : y1 - top_px, x0 - left_px : x1 - left_px]
        alpha = part[..., 3]
        target = self.image[y0:y1, x0:x1]
        clear = cv2.merge([255 - alpha] * 3)
        target[:] = cv2.add(
            cv2.multiply(target, clear, scale=1.0 / 255.0), np.ascontiguousarray(part[..., :3])
        )
        solid = alpha >= SOLID
        number = 0
        if class_id is not None and len(self._objects) < 254:
            number = len(self._objects) + 1
            # all of the object's pixels count, also those outside of the picture
            total = int(np.count_nonzero(bgra[..., 3] >= SOLID))
            self._objects.append((class_id, total, (x0, y0, x1, y1)))
        self._owner[y0:y1, x0:x1][solid] = number

    def shade(self, opacity: ImageArray, left_px: int, top_px: int) -> None:
        """Cast a shadow: darken by ``opacity`` (H, W), 255 being black."""
        height_px, width_px = self._owner.shape
        x0, y0 = max(0, left_px), max(0, top_px)
        x1 = min(width_px, left_px + opacity.shape[1])
        y1 = min(height_px, top_px + opacity.shape[0])
        if x0 < x1 and y0 < y1:
            clear = 255 - opacity[y0 - top_px : y1 - top_px, x0 - left_px : x1 - left_px]
            target = self.image[y0:y1, x0:x1]
            target[:] = cv2.multiply(target, cv2.merge([clear] * 3), scale=1.0 / 255.0)

    def truth(self) -> Detections:
        """The visible objects, scores 1."""
        boxes, class_ids = [], []
        for number, (class_id, total, (x0, y0, x1, y1)) in enumerate(self._objects, 1):
            mine = self._owner[y0:y1, x0:x1] == number
            if np.count_nonzero(mine) < MIN_VISIBLE_SHARE * total:
                continue
            columns, rows = np.flatnonzero(mine.any(0)), np.flatnonzero(mine.any(1))
            if len(columns) == 0:
                continue
            box = (x0 + columns[0], y0 + rows[0], x0 + columns[-1] + 1, y0 + rows[-1] + 1)
            if min(box[2] - box[0], box[3] - box[1]) < self._min_side_px:
                continue
            boxes.append(box)
            class_ids.append(class_id)
        if not boxes:
            return Detections.empty()
        return Detections(
            np.asarray(boxes, np.float32),
            np.ones(len(boxes), np.float32),
            np.asarray(class_ids, np.int64),
        )
