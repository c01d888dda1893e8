"""What an upload costs is known for both payloads before the first frame, and corrected by it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from vision_models import write_vsdet

from visionscaling_ros.datatypes import Allocation, OperatingPoint, Origin
from visionscaling_ros.nodes.frame_encoder import FrameEncoder
from visionscaling_ros.nodes.model_preparation import ModelPreparation
from visionscaling_ros.pipeline.cost_table import CostTable
from visionscaling_ros.pipeline.frame import Frame
from visionscaling_ros.pipeline.upload_worker import Upload, UploadWorker
from visionscaling_ros.simulation.profile import DeviceProfile, load_profile
from visionscaling_ros.vision.catalog import Catalog, manifest_entries

TENSOR = {'offload': {'payload': 'tensor'}}
PICTURE_BGR = np.zeros((48, 64, 3), np.uint8)
TENSOR_BITS = {64: 32 * 3 * 64 * 64, 96: 32 * 3 * 96 * 96}  # 4:3, padded to multiples of 32


def prepared(folder: Path, profile: DeviceProfile | None = None, **changes) -> ModelPreparation:
    catalog = Catalog(manifest_entries(write_vsdet(folder, **changes)))
    return ModelPreparation(catalog, encode=FrameEncoder(catalog, lambda: 80), profile=profile)


def test_the_first_measurement_counts_what_will_be_sent(tmp_path: Path) -> None:
    _, points = prepared(tmp_path, **TENSOR).prepare('small', ())
    assert {p.input_size_px: p.upload_bits for p in points} == TENSOR_BITS
    _, points = prepared(tmp_path).prepare('small', ())
    assert all(0.0 < p.upload_bits < 0.2 * TENSOR_BITS[p.input_size_px] for p in points)


def test_a_profile_of_jpegs_is_not_believed_where_tensors_are_sent(tmp_path: Path) -> None:
    built_in = load_profile('agx_orin')
    points = [OperatingPoint('small', size_px, 0.2, 1.0, 0.01, 5e4) for size_px in TENSOR_BITS]
    profile = dataclasses.replace(built_in, points=tuple(points))
    found = prepared(tmp_path, profile, **TENSOR).profiled('small')
    assert {p.input_size_px: p.upload_bits for p in found} == TENSOR_BITS
    found = prepared(tmp_path, profile).profiled('small')
    assert {p.upload_bits for p in found} == {5e4}


@pytest.mark.parametrize('changes', [TENSOR, {}])
def test_a_frame_sent_corrects_its_own_configuration(tmp_path: Path, changes: dict) -> None:
    catalog = Catalog(manifest_entries(write_vsdet(tmp_path, **changes)))
    costs = CostTable()
    costs.put(OperatingPoint('small', 64, 0.2, 1.0, 0.01, 3e4))
    uploads: list[Upload] = []
    worker = UploadWorker(
        FrameEncoder(catalog, lambda: 80), uploads.append, lambda *failed: None, costs
    )
    for number in range(500):
        frame = Frame(number, 0, '', 0.0, lambda: PICTURE_BGR, 0)
        frame.allocation = Allocation('small', 64, Origin.EDGE, 1.0)
        worker.work(frame)
    (point,) = costs.points()
    sent_bits = 8.0 * len(uploads[0].payload.data)
    assert point.upload_bits == pytest.approx(sent_bits, rel=0.1)
    assert (sent_bits == TENSOR_BITS[64]) == bool(changes)
