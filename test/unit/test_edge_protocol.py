from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.edge.offload import OffloadFrame
from visionscaling_ros.edge.protocol import (
    REQUEST_OVERHEAD_BYTES,
    EdgeReply,
    build_reply,
    build_request,
    parse_reply,
    parse_request,
)
from visionscaling_ros.edge.relative_detections import RelativeDetections
from visionscaling_ros.errors import EdgeError


def make_frame(**changes) -> OffloadFrame:
    values = {
        'frame_number': 7,
        'slot': 3,
        'model': 'tiny',
        'input_size_px': 320,
        'payload': b'\xff\xd8 not really \xff\xd9',
        'image_width_px': 640,
        'image_height_px': 480,
        'deadline_monotonic_s': 10.0,
    }
    return OffloadFrame(**{**values, **changes})


def make_reply(count: int = 2) -> EdgeReply:
    corners = np.sort(np.random.default_rng(count).random((2, count, 2)), axis=0)
    return EdgeReply(
        RelativeDetections(
            np.concatenate(corners, axis=1).astype(np.float32),
            np.linspace(1.0, 0.5, count, dtype=np.float32),
            np.arange(count, dtype=np.int64),
        ),
        queue_s=0.01,
        compute_s=0.02,
        share=0.5,
    )


def make_request(**changes):
    return build_request(make_frame(**changes), robot_id='r1', deadline_s=0.25)


@given(jpeg=st.binary(max_size=2000), number=st.integers(0, 2**62), slot=st.integers(0, 2**62))
def test_request_survives_the_wire(jpeg: bytes, number: int, slot: int) -> None:
    sent = make_request(payload=jpeg, frame_number=number, slot=slot)
    call = parse_request(service_pb2.ModelInferRequest.FromString(sent.SerializeToString()))
    assert (call.model, call.input_size_px, call.jpeg) == ('tiny', 320, jpeg)
    assert (call.robot_id, call.slot, call.frame_number, call.deadline_s) == (
        'r1',
        slot,
        number,
        0.25,
    )


@given(count=st.integers(0, 50))
def test_reply_survives_the_wire(count: int) -> None:
    reply = make_reply(count)
    sent = build_reply(make_request(), reply)
    received = service_pb2.ModelInferResponse.FromString(sent.SerializeToString())
    got = parse_reply(received, make_frame())
    np.testing.assert_array_equal(got.detections.boxes, reply.detections.boxes)
    np.testing.assert_array_equal(got.detections.scores, reply.detections.scores)
    np.testing.assert_array_equal(got.detections.class_ids, reply.detections.class_ids)
    assert (got.queue_s, got.compute_s, got.share) == (0.01, 0.02, 0.5)


def test_overhead_covers_what_protobuf_adds() -> None:
    request = make_request(payload=bytes(20_000), frame_number=2**40, slot=2**40)
    added_bytes = request.ByteSize() - 20_000
    assert added_bytes < REQUEST_OVERHEAD_BYTES < 3 * added_bytes


def test_typed_contents_are_read_too() -> None:
    request = make_request()
    request.inputs[0].contents.bytes_contents.append(b'jpeg')
    del request.raw_input_contents[:]
    assert parse_request(request).jpeg == b'jpeg'

    response = build_reply(make_request(), make_reply(1))
    del response.raw_output_contents[:]
    response.outputs[0].contents.fp32_contents.extend([0.125, 0.25, 0.5, 0.75])
    response.outputs[1].contents.fp32_contents.append(0.5)
    response.outputs[2].contents.int64_contents.append(4)
    detections = parse_reply(response, make_frame()).detections
    assert detections.boxes.tolist() == [[0.125, 0.25, 0.5, 0.75]]
    assert detections.class_ids.tolist() == [4]


def _rename_input(request) -> None:
    request.inputs[0].name = 'picture'


def _wrong_datatype(request) -> None:
    request.inputs[0].datatype = 'UINT8'


def _wrong_shape(request) -> None:
    request.inputs[0].shape[:] = [2]


def _no_input(request) -> None:
    del request.inputs[:]


def _wrong_length(request) -> None:
    request.raw_input_contents[0] = struct.pack('<I', 99) + b'short'


def _too_short(request) -> None:
    request.raw_input_contents[0] = b'\x00'


def _no_contents(request) -> None:
    del request.raw_input_contents[:]


def _no_size(request) -> None:
    del request.parameters['input_size_px']


def _size_is_text(request) -> None:
    request.parameters['input_size_px'].string_param = '320'


def _nan_deadline(request) -> None:
    request.parameters['deadline_s'].double_param = float('nan')


@pytest.mark.parametrize(
    ('damage', 'named'),
    [
        (_rename_input, 'picture'),
        (_wrong_datatype, 'UINT8'),
        (_wrong_shape, r'\[2\]'),
        (_no_input, 'inputs'),
        (_wrong_length, '9 bytes'),
        (_too_short, '1 bytes'),
        (_no_contents, '0 strings'),
        (_no_size, 'input_size_px'),
        (_size_is_text, "input_size_px is '320'"),
        (_nan_deadline, 'deadline_s is nan'),
    ],
)
def test_garbage_requests_are_named(damage, named: str) -> None:
    request = make_request()
    damage(request)
    with pytest.raises(EdgeError, match=named):
        parse_request(request)


def _output(response, name: str):
    return next(tensor for tensor in response.outputs if tensor.name == name)


def _set(response, index: int, values, dtype) -> None:
    response.raw_output_contents[index] = np.asarray(values, dtype).tobytes()


@pytest.mark.parametrize(
    ('damage', 'named'),
    [
        (lambda r: setattr(r, 'model_name', 'other'), "'other'"),
        (lambda r: setattr(r, 'id', '8'), "'8'"),
        (lambda r: r.outputs.pop(), 'class_ids is missing'),
        (lambda r: setattr(_output(r, 'scores'), 'datatype', 'FP64'), 'scores is FP64'),
        (lambda r: _output(r, 'boxes').shape.__setitem__(1, 5), r'boxes is FP32 \[2, 5\]'),
        (lambda r: _output(r, 'boxes').shape.__setitem__(0, -2), r'\[-2, 4\]'),
        (lambda r: _output(r, 'scores').shape.__setitem__(0, 3), 'scores .* has 8 bytes'),
        (lambda r: _output(r, 'scores').shape.__setitem__(0, 2**62), 'scores'),
        (lambda r: r.raw_output_contents.__setitem__(0, b'abc'), 'boxes .* 3 bytes'),
        (lambda r: _set(r, 0, [[0, 0, 320, 240]] * 2, '<f4'), 'fractions'),
        (lambda r: _set(r, 0, [[0, 0, np.nan, 1]] * 2, '<f4'), 'fractions'),
        (lambda r: _set(r, 0, [[0.5, 0, 0.4, 1]] * 2, '<f4'), 'x_min'),
        (lambda r: _set(r, 1, [0.5, np.inf], '<f4'), 'scores'),
        (lambda r: _set(r, 2, [0, -1], '<i8'), 'class_ids'),
        (lambda r: setattr(r.parameters['share'], 'double_param', 2.0), 'share is 2.0'),
        (lambda r: setattr(r.parameters['queue_s'], 'double_param', -1.0), 'queue_s is -1.0'),
    ],
)
def test_garbage_replies_are_named(damage, named: str) -> None:
    response = build_reply(make_request(), make_reply(2))
    damage(response)
    with pytest.raises(EdgeError, match=named):
        parse_reply(response, make_frame())


def test_outputs_of_different_length_are_refused() -> None:
    response = build_reply(make_request(), make_reply(2))
    response.outputs[1].shape[0] = 1
    _set(response, 1, [0.5], '<f4')
    with pytest.raises(EdgeError, match=r"'scores': 1"):
        parse_reply(response, make_frame())


@given(damage=st.binary(max_size=400), position=st.integers(0, 400))
def test_damaged_bytes_never_raise_anything_else(damage: bytes, position: int) -> None:
    """Whatever protobuf still accepts is either read or refused with an EdgeError."""
    wire = build_reply(make_request(), make_reply(2)).SerializeToString()
    try:
        response = service_pb2.ModelInferResponse.FromString(wire[:position] + damage)
    except Exception:
        return
    try:
        detections = parse_reply(response, make_frame()).detections
    except EdgeError:
        return
    assert detections.boxes.shape == (len(detections), 4)


@given(width_px=st.integers(1, 4000), height_px=st.integers(1, 4000))
def test_fractions_and_pixels_agree(width_px: int, height_px: int) -> None:
    boxes_px = np.array([[0, 0, width_px, height_px], [0, 0, width_px / 2, height_px]], np.float32)
    found = Detections(boxes_px, np.array([0.9, 0.4], np.float32), np.array([1, 2]))
    back = RelativeDetections.from_pixels(found, width_px, height_px).to_pixels(width_px, height_px)
    np.testing.assert_allclose(back.boxes_px, boxes_px, rtol=1e-5)


def test_best_score_comes_first() -> None:
    boxes = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], np.float32)
    relative = RelativeDetections(boxes, np.array([0.2, 0.8], np.float32), np.array([0, 1]))
    found = relative.to_pixels(100, 200)
    assert found.class_ids.tolist() == [1, 0]
    assert found.boxes_px[0].tolist() == [50, 100, 100, 200]
