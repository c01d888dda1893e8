"""A folder of pictures as inputs of a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.datasets.image_files import image_files, read_image
from visionscaling_ros.vision.input_format import InputFormat
from visionscaling_ros.vision.input_writer import InputWriter
from visionscaling_ros.vision.letterbox import check_input_size


def picture_batches(
    folder: Path, input_size_px: int, input_format: InputFormat, batch_size: int
) -> list[Tensor]:
    """All pictures below ``folder`` as float32 (N, 3, H, W), those of one shape together.

    :param input_size_px: longer side, a multiple of 32.
    :raises InvalidValueError: there is no picture, or the size is not allowed.
    :raises ImageFormatError: naming a file that is no picture.
    """
    check_input_size(input_size_px)
    paths = image_files(folder)
    if not paths:
        raise InvalidValueError('images', str(folder), 'a folder with pictures')
    writer = InputWriter(
        input_format, lambda shape: np.empty(shape, np.float32), channels_last=False
    )
    by_shape: dict[tuple[int, ...], list[Tensor]] = {}
    for path in paths:
        batch = writer.write(read_image(path), input_size_px).batch.copy()
        by_shape.setdefault(batch.shape, []).append(torch.from_numpy(batch))
    return [
        torch.cat(images[start : start + batch_size])
        for images in by_shape.values()
        for start in range(0, len(images), batch_size)
    ]
