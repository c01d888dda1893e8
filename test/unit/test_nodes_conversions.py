"""Plain data and messages say the same."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip('rclpy')

from rclpy.serialization import deserialize_message, serialize_message

from visionscaling_ros import message_reading, msg
from visionscaling_ros.control.device import DeviceModel
from visionscaling_ros.control.settings import ControlSettings
from visionscaling_ros.datatypes import (
    Allocation,
    Beliefs,
    Binding,
    Detections,
    Explanation,
    OperatingPoint,
    Origin,
    SlotDecision,
    SlotState,
)
from visionscaling_ros.errors import ImageFormatError
from visionscaling_ros.nodes import conversions
from visionscaling_ros.nodes.image_input import decode_image
from visionscaling_ros.nodes.offload_format import OffloadLabel, parse_offload_label

names = st.text(st.characters(codec='ascii', categories=['L', 'N']), min_size=1, max_size=12)
rates = st.floats(0.0, 1e4, width=32)
RUNNER_UP = (
    'runner_up_frequency_hz', 'runner_up_power_w', 'runner_up_processed_fps', 'runner_up_map',
    'runner_up_cost', 'runner_up_penalized_cost', 'penalized_cost',
)  # fmt: skip
allocations = st.builds(
    Allocation, names, st.integers(0, 4096), st.sampled_from(Origin), rates, st.integers(0, 255)
)


@given(st.lists(allocations, max_size=5), rates, st.integers(0, 2**60))
def test_a_decision_survives_the_trip(
    chosen: list[Allocation], arrival_fps: float, slot: int
) -> None:
    explanation = Explanation(
        Binding.UPLINK | Binding.CLOCK,
        *[0.25] * 6,
        edge_usable=True,
        expected_latency_s=0.5,
        runner_up=tuple(chosen),
        **dict.fromkeys(RUNNER_UP, 0.125),
    )
    decision = SlotDecision(
        slot, tuple(chosen), 1.3e9, 2e6, arrival_fps, 'fixed', 1.0, 2.0, 0.5, -0.25, 3.0, 0.125,
        7, explanation,
    )  # fmt: skip
    message = conversions.decision_to_msg(decision, conversions.make_header(0), 0.5)
    assert message_reading.msg_to_decision(message) == decision
    assert message_reading.slot_duration_s(message) == 0.5


@pytest.mark.parametrize('duration_s', [0.0, -1.0, math.nan, math.inf])
def test_a_decision_that_does_not_say_for_how_long_is_for_a_second(duration_s: float) -> None:
    assert message_reading.slot_duration_s(msg.SlotDecision(duration_s=duration_s)) == 1.0


@given(st.builds(OperatingPoint, names, st.integers(0, 4096), *[rates] * 5))
def test_an_operating_point_survives_the_trip(point: OperatingPoint) -> None:
    message = conversions.operating_point_to_msg(point)
    assert message_reading.msg_to_operating_point(message) == point


def test_detections_survive_the_trip() -> None:
    detections = Detections(
        np.array([[1, 2, 3, 4], [5, 6, 7.5, 8]], np.float32),
        np.array([0.75, 0.5], np.float32),
        np.array([1, 9]),
    )
    messages = conversions.detections_to_msgs(detections, ('person', 'car'))
    assert [m.class_name for m in messages] == ['car', '9']
    back = message_reading.msgs_to_detections(messages)
    np.testing.assert_array_equal(back.boxes_px, detections.boxes_px)
    np.testing.assert_array_equal(back.scores, detections.scores)
    np.testing.assert_array_equal(back.class_ids, detections.class_ids)


@given(st.data())
def test_a_slot_state_survives_the_wire_bit_for_bit(data: st.DataObject) -> None:
    """What the controller learned from is what is recorded."""
    figures = st.floats(allow_nan=False)
    plain = {
        f.name: data.draw(figures)
        for f in dataclasses.fields(SlotState)
        if f.type == 'float'
    }
    state = SlotState(
        slot=3,
        policy='fixed',
        in_flight=2,
        drop_counts={'superseded': 2},
        edge_reachable=True,
        map_measured=True,
        processed=(Allocation('n', 320, Origin.EDGE, 4.5),),
        operating_points=(OperatingPoint('n', 320, 0.5, 0.25, 0.125, 1e5, 0.5),),
        beliefs=Beliefs(1.0, 2e6, (1e6, 3e6), True, 1.0, 1.0, 0.5, 1e9, False),
        settings_version=4,
        **plain,
    )
    device = DeviceModel((3e8, 6e8), 1.5, 2.0, 3.0, 0.5, 0.25, 0.125, data.draw(figures))
    message = conversions.slot_state_to_msg(state, device, conversions.make_header(5))
    message = deserialize_message(serialize_message(message), msg.SlotState)
    assert message_reading.msg_to_slot_state(message) == dataclasses.replace(
        state, beliefs=message_reading.msg_to_beliefs(message.beliefs)
    )
    assert message_reading.fill(DeviceModel, message.device, 'rated_power_w') == device


def test_every_field_of_slot_state_is_filled() -> None:
    """No field of the message is forgotten, whatever is added to it."""
    composed = {'header', 'drop_reasons', 'drop_counts', 'beliefs', 'processed', 'device'}
    fields = set(msg.SlotState.get_fields_and_field_types())
    assert fields == {
        *message_reading.SLOT_STATE_PLAIN_FIELDS, *composed, 'operating_points'
    }  # fmt: skip


def test_settings_survive_the_wire_and_none_is_forgotten() -> None:
    settings = ControlSettings(accuracy_target_map=0.1, allowed_models=('n', 'm'), seed=7)
    more = {'version': 3, 'activation': True, 'package_version': '1', 'policy': 'dms'}
    message = conversions.settings_to_msg(
        settings, conversions.make_header(5), slot_duration_s=0.5, learned='{}', **more
    )
    message = deserialize_message(serialize_message(message), msg.ControllerSettings)
    assert message_reading.fill(ControlSettings, message) == settings
    of_settings = set(message_reading.plain_fields(ControlSettings))
    of_message = set(msg.ControllerSettings.get_fields_and_field_types())
    assert of_message - of_settings == {'header', 'slot_duration_s', 'learned', *more}


def test_bindings_are_those_of_the_message() -> None:
    assert {b.name: b.value for b in Binding} == {
        name.removeprefix('BINDING_'): getattr(msg.Explanation, name)
        for name in dir(msg.Explanation)
        if name.startswith('BINDING_')
    }


def test_every_field_of_beliefs_is_filled() -> None:
    beliefs = Beliefs(
        arrival_fps=15.0,
        capacity_quantiles_bps=(1e6, 2e6, 3e6),
        target_feasible=False,
        operating_points=(OperatingPoint('n', 320, 0.5, 0.25, 0.125, 1e5),),
    )
    message = conversions.beliefs_to_msg(beliefs)
    fields = set(message.get_fields_and_field_types())
    assert fields == {f.name for f in dataclasses.fields(Beliefs)}
    assert (message.arrival_fps, message.target_feasible) == (15.0, False)
    assert list(message.capacity_quantiles_bps) == [1e6, 2e6, 3e6]
    assert message.operating_points[0].serial_s == 0.125


def test_an_image_survives_the_trip_also_with_a_width_that_is_no_multiple_of_four() -> None:
    image_bgr = np.random.default_rng(0).integers(0, 256, (11, 7, 3), np.uint8)
    message = conversions.bgr_to_image(image_bgr, conversions.make_header(1, 'camera'))
    np.testing.assert_array_equal(decode_image(message), image_bgr)


def test_an_image_with_a_wrong_step_is_refused_by_name() -> None:
    message = conversions.bgr_to_image(np.zeros((4, 4, 3), np.uint8), conversions.make_header(1))
    message.step = 5
    with pytest.raises(ImageFormatError, match='step'):
        decode_image(message)


@given(names, st.integers(0, 2**62), st.floats(0.0, 1e9), st.booleans(), st.booleans())
def test_an_offload_label_survives_the_trip(
    model: str, number: int, deadline: float, spare: bool, tensor: bool
) -> None:
    shape = (1, 3, 256, 320) if tensor else None
    label = OffloadLabel(number, 3, model, 320, 640, 480, deadline, int(spare), shape)
    assert str(label).startswith('fp32; shape=1,3,256,320; frame=' if tensor else 'jpeg; frame=')
    assert parse_offload_label(str(label)) == label


RIGHT = 'frame=1; slot=1; model=m; size=32; width=1; height=1; deadline=1.0'


@pytest.mark.parametrize(
    'text',
    ['', f'png; {RIGHT}', 'jpeg', 'jpeg; frame=x; slot=1', f'fp32; {RIGHT}',
     f'fp32; shape=1,x; {RIGHT}'],
)  # fmt: skip
def test_a_strange_offload_label_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ImageFormatError, match='allowed: "jpeg; frame=N'):
        parse_offload_label(text)


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamps_survive_the_trip(stamp_ns: int) -> None:
    assert message_reading.stamp_to_ns(conversions.ns_to_stamp(stamp_ns)) == stamp_ns


def test_origins_have_the_values_of_the_message() -> None:
    assert {o.value for o in Origin} == {
        msg.Allocation.ORIGIN_LOCAL,
        msg.Allocation.ORIGIN_EDGE,
        msg.Allocation.ORIGIN_SPLIT,
    }
