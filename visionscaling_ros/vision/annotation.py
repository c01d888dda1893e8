"""Draws what was found on an image, and a few words."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from visionscaling_ros.datatypes import Detections, ImageArray, Origin

Colour = tuple[int, int, int]

COLOURS_BGR: dict[Origin, Colour] = {
    Origin.LOCAL: (80, 220, 60),  # green
    Origin.EDGE: (0, 165, 255),  # orange
    Origin.SPLIT: (255, 160, 60),  # blue
}
ALARM_BGR: Colour = (60, 60, 240)  # red
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_HEIGHT_PX = 22.0  # of FONT at scale 1
TEXT_PER_HEIGHT = 1 / 40  # of the image
SHADE = 0.4  # what is left of the image's brightness behind words


def annotate(
    image_bgr: ImageArray,
    detections: Detections,
    class_names: Sequence[str],
    colour_bgr: Colour,
    lines: Sequence[str],
) -> ImageArray:
    """A copy of uint8 (H, W, 3) with boxes, their class and score, and ``lines`` at its top."""
    image: ImageArray = np.array(image_bgr, np.uint8, order='C')
    scale = max(0.35, image.shape[0] * TEXT_PER_HEIGHT / FONT_HEIGHT_PX)
    stroke_px = max(1, round(2 * scale))
    edge_px = max(1, round(4 * scale))
    height_px, width_px = image.shape[:2]
    names = [
        class_names[number] if number < len(class_names) else str(number)
        for number in detections.class_ids.tolist()
    ]
    corners = np.nan_to_num(detections.boxes_px, nan=0.0).reshape(-1, 2, 2)
    corners = np.clip(np.rint(corners), 0, (width_px - 1, height_px - 1)).astype(int)
    for (low, high), score, name in zip(corners, detections.scores, names, strict=True):
        cv2.rectangle(image, low.tolist(), high.tolist(), colour_bgr, edge_px)
        _write(image, f'{name} {score:.2f}', low.tolist(), colour_bgr, scale)
    line_px = round(1.6 * scale * FONT_HEIGHT_PX)
    band = image[: line_px * len(lines)]
    band[...] = (band * SHADE).astype(np.uint8)
    for number, line in enumerate(lines, start=1):
        baseline = (line_px // 4, number * line_px - line_px // 3)
        cv2.putText(image, line, baseline, FONT, scale, colour_bgr, stroke_px, cv2.LINE_AA)
    return image


def _write(
    image: ImageArray, words: str, corner_px: Sequence[int], colour_bgr: Colour, scale: float
) -> None:
    """Dark words on a plate that stands on a box's upper left corner, or hangs in it."""
    thickness_px = max(1, round(scale))
    (width_px, height_px), below_px = cv2.getTextSize(words, FONT, scale, thickness_px)
    x, y = corner_px
    plate_px = height_px + below_px + 2
    top = y - plate_px if y >= plate_px else y
    cv2.rectangle(image, (x, top), (x + width_px, top + plate_px), colour_bgr, cv2.FILLED)
    place = (x, top + height_px + 1)
    cv2.putText(image, words, place, FONT, scale, (0, 0, 0), thickness_px, cv2.LINE_AA)
