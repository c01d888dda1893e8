from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from visionscaling_ros.datatypes import Detections
from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.edge.wire.protocol import (
    REQUEST_OVERHEAD_BYTES,
    EdgeReply,
    build_reply,
    build_request,
    parse_reply,
    parse_request,
)
from visionscaling_ros.edge.wire.relative_detections import RelativeDetections
from visionscaling_ros.edge.wire.tensor_model import TensorSpec
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
        'stamp_ns': 123_456_789,
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


class TwoSums:
    """A network with two outputs, read as one box."""

    input_name = 'pixels'
    output_names = ('first', 'second')

    def decode(self, tensors: Sequence[np.ndarray], frame: OffloadFrame) -> RelativeDetections:
        first, second = tensors
        if first.shape != (1, 2):
            raise EdgeError(f'first is {first.shape}')
        box = np.array([[0.0, 0.0, first[0, 0], second[0]]], np.float32)
        return RelativeDetections(box, np.ones(1, np.float32), np.zeros(1, np.int64))


TWO_SUMS = TwoSums()
TWO_SUMS_NAME = 'sums'
SPEC = TensorSpec('pixels', (-1, 3, -1, -1), {'first': (-1, 2), 'second': (-1,)})
PIXELS = np.arange(3 * 32 * 64, dtype=np.float32).reshape(1, 3, 32, 64)


def make_tensor_frame(**changes) -> OffloadFrame:
    payload = {'payload': PIXELS.tobytes(), 'tensor_shape': PIXELS.shape, 'model': TWO_SUMS_NAME}
    return make_frame(**{**payload, **changes})


def make_request(**changes):
    return build_request(
        make_frame(**changes), robot_id='r1', deadline_s=0.25, tensor_model=TWO_SUMS
    )


def make_tensor_request(**changes):
    return build_request(
        make_tensor_frame(**changes), robot_id='r1', deadline_s=0.25, tensor_model=TWO_SUMS
    )


def make_tensor_reply(request=None):
    tensors = {
        'second': np.array([0.5], np.float32),
        'first': np.array([[0.25, 1.0]], np.float32),
        'not asked for': np.zeros(3, np.float32),
    }
    return build_reply(request or make_tensor_request(), EdgeReply(None, tensors=tensors))


def over_the_wire(message):
    return type(message).FromString(message.SerializeToString())


WHOLE = st.integers(0, 2**63 - 1)


@given(jpeg=st.binary(max_size=2000), number=WHOLE, slot=WHOLE, stamp_ns=WHOLE)
def test_request_survives_the_wire(jpeg: bytes, number: int, slot: int, stamp_ns: int) -> None:
    sent = make_request(payload=jpeg, frame_number=number, slot=slot, stamp_ns=stamp_ns)
    assert sent.id == f'{stamp_ns}-{number}'
    call = parse_request(over_the_wire(sent))
    assert (call.model, call.input_size_px, call.jpeg) == ('tiny', 320, jpeg)
    assert call.tensor is None
    found = call.robot_id, call.slot, call.frame_number, call.stamp_ns, call.deadline_s
    assert found == ('r1', slot, number, stamp_ns, 0.25)


@given(count=st.integers(0, 50))
def test_reply_survives_the_wire(count: int) -> None:
    reply = make_reply(count)
    sent = build_reply(make_request(), reply)
    got = parse_reply(over_the_wire(sent), make_frame(), robot_id='r1')
    np.testing.assert_array_equal(got.detections.boxes, reply.detections.boxes)
    np.testing.assert_array_equal(got.detections.scores, reply.detections.scores)
    np.testing.assert_array_equal(got.detections.class_ids, reply.detections.class_ids)
    assert (got.queue_s, got.compute_s, got.share) == (0.01, 0.02, 0.5)


def test_overhead_covers_what_protobuf_adds() -> None:
    for payload in ({}, {'tensor_shape': (1, 3, 50, 100), 'model': TWO_SUMS_NAME}):
        request = make_request(
            payload=bytes(60_000), frame_number=2**40, slot=2**20, stamp_ns=2**60, **payload
        )
        added_bytes = request.ByteSize() - 60_000
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
        (lambda r: setattr(r, 'id', '123456789-8'), "'123456789-8'"),
        (lambda r: setattr(r.parameters['slot'], 'int64_param', 4), 'slot 4, asked was 3'),
        (lambda r: setattr(r.parameters['robot_id'], 'string_param', 'r2'), "robot 'r2'"),
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
        parse_reply(response, make_frame(), robot_id='r1')


def test_outputs_of_different_length_are_refused() -> None:
    response = build_reply(make_request(), make_reply(2))
    response.outputs[1].shape[0] = 1
    _set(response, 1, [0.5], '<f4')
    with pytest.raises(EdgeError, match=r"'scores': 1"):
        parse_reply(response, make_frame())


def test_a_stock_server_says_nothing_about_itself() -> None:
    response = build_reply(make_request(), make_reply(1))
    response.parameters.clear()
    got = parse_reply(response, make_frame(), robot_id='r1')
    assert all(math.isnan(value) for value in (got.queue_s, got.compute_s, got.share))
    assert got.detections is not None
    assert len(got.detections) == 1


def test_what_the_request_said_is_repeated() -> None:
    reply = build_reply(make_request(), make_reply(1))
    assert reply.id == '123456789-7'
    assert reply.parameters['slot'].int64_param == 3
    assert reply.parameters['stamp_ns'].int64_param == 123_456_789
    assert reply.parameters['robot_id'].string_param == 'r1'
    assert reply.parameters['deadline_s'].double_param == 0.25


def test_tensor_request_survives_the_wire() -> None:
    call = parse_request(over_the_wire(make_tensor_request()), SPEC)
    assert call.jpeg is None
    assert call.tensor is not None
    np.testing.assert_array_equal(call.tensor, PIXELS)
    assert call.input_size_px == 64
    assert (call.model, call.robot_id, call.slot, call.frame_number) == ('sums', 'r1', 3, 7)


def test_pixels_may_come_last() -> None:
    spec = TensorSpec('pixels', (-1, -1, -1, 3), SPEC.outputs)
    payload = {'tensor_shape': (1, 64, 32, 3)}
    call = parse_request(make_tensor_request(**payload), spec)
    assert call.input_size_px == 64


def test_a_model_whose_tensor_may_be_sent_still_takes_a_jpeg() -> None:
    assert parse_request(make_request(), SPEC).jpeg == make_frame().payload


def test_a_tensor_frame_needs_to_know_its_model() -> None:
    with pytest.raises(EdgeError, match='sums takes a JPEG'):
        build_request(make_tensor_frame(), robot_id='', deadline_s=1.0)
    with pytest.raises(EdgeError, match='sums takes a JPEG'):
        parse_reply(make_tensor_reply(), make_tensor_frame())


@pytest.mark.parametrize(
    ('damage', 'named'),
    [
        (lambda r: setattr(r.inputs[0], 'datatype', 'FP16'), r'FP16 \[1, 3, 32, 64\]'),
        (lambda r: r.inputs[0].shape.__setitem__(0, 2), r'\[2, 3, 32, 64\], expected'),
        (lambda r: r.inputs[0].shape.__setitem__(1, 4), r'\[1, 4, 32, 64\], expected'),
        (lambda r: r.inputs[0].shape.__setitem__(2, -1), r'\[1, 3, -1, 64\]'),
        (lambda r: r.inputs[0].shape.__setitem__(3, 2**62), '24576 bytes'),
        (lambda r: r.inputs[0].shape.append(1), r'\[1, 3, 32, 64, 1\]'),
        (lambda r: r.raw_input_contents.__setitem__(0, b'abc'), '3 bytes'),
        (lambda r: r.raw_input_contents.pop(), '0 values'),
        (lambda r: r.inputs.add(name='image'), 'exactly one, image or pixels'),
        (lambda r: r.outputs.add(name='third'), "'third'"),
    ],
)
def test_garbage_tensor_requests_are_named(damage, named: str) -> None:
    request = make_tensor_request()
    damage(request)
    with pytest.raises(EdgeError, match=named):
        parse_request(request, SPEC)


def test_a_server_without_networks_takes_no_tensor() -> None:
    with pytest.raises(EdgeError, match=r"inputs are \['pixels'\], allowed: exactly one, image$"):
        parse_request(make_tensor_request())


def test_tensor_reply_is_decoded_by_name() -> None:
    sent = over_the_wire(make_tensor_reply())
    assert {output.name for output in sent.outputs} == {'first', 'second'}
    got = parse_reply(sent, make_tensor_frame(), TWO_SUMS)
    assert got.detections is not None
    assert got.detections.boxes.tolist() == [[0.0, 0.0, 0.25, 0.5]]


def test_typed_tensors_and_other_outputs_are_read_too() -> None:
    response = make_tensor_reply()
    del response.raw_output_contents[:]
    response.outputs[0].contents.fp32_contents.append(0.5)
    response.outputs[1].contents.fp32_contents.extend([0.25, 1.0])
    response.outputs.add(name='third', datatype='BYTES', shape=[7])
    got = parse_reply(response, make_tensor_frame(), TWO_SUMS)
    assert got.detections is not None
    assert got.detections.boxes.tolist() == [[0.0, 0.0, 0.25, 0.5]]


@pytest.mark.parametrize(
    ('damage', 'named'),
    [
        (lambda r: r.outputs.pop(), 'first is missing'),
        (lambda r: setattr(_output(r, 'first'), 'datatype', 'INT64'), 'first is INT64'),
        (lambda r: _output(r, 'first').shape.__setitem__(1, 2**62), '8 bytes'),
        (lambda r: _output(r, 'first').shape.extend([1] * 1000), '1002 dimensions'),
        (lambda r: _output(r, 'second').shape.__setitem__(0, -1), r'second is FP32 \[-1\]'),
        (lambda r: _output(r, 'first').shape.append(1), r'first is \(1, 2, 1\)'),
        (lambda r: r.raw_output_contents.pop(), '0 values'),
    ],
)
def test_garbage_tensor_replies_are_named(damage, named: str) -> None:
    response = make_tensor_reply()
    damage(response)
    with pytest.raises(EdgeError, match=named):
        parse_reply(response, make_tensor_frame(), TWO_SUMS)


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
    assert detections is not None
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
