"""Gives every frame one fate: detected here, at the edge, or dropped and counted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sensor_msgs.msg import CompressedImage

from visionscaling_ros import msg
from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.conversions import (
    allocation_to_msg,
    make_header,
    msg_to_decision,
    msgs_to_detections,
    operating_point_to_msg,
    stamp_to_ns,
    to_byte_array,
)
from visionscaling_ros.nodes.image_input import ImageInput
from visionscaling_ros.nodes.inference_parameters import PARAMETERS
from visionscaling_ros.nodes.live_accuracy import LiveAccuracyThread
from visionscaling_ros.nodes.managed_node import ERROR, OK, WARN, ManagedNode, run_nodes
from visionscaling_ros.nodes.model_shelf import (
    ModelShelf,
    check_models,
    encode_upload,
    safe_point,
)
from visionscaling_ros.nodes.offload_format import OffloadLabel
from visionscaling_ros.nodes.result_output import (
    Detection2DArray,
    books_to_msg,
    fate_to_msg,
    result_to_detection_array,
)
from visionscaling_ros.pipeline.dispatcher import Dispatcher, EdgeReply
from visionscaling_ros.pipeline.frame import FrameFate
from visionscaling_ros.pipeline.gpu_clock_view import GpuClockView
from visionscaling_ros.pipeline.upload_worker import Upload
from visionscaling_ros.vision.model_zoo import CLASS_NAMES

FRAME_NUMBERS_PER_S = 1000  # more than a camera's rate: numbers never come twice


class InferenceNode(ManagedNode):
    """Dispatcher, local worker and encoder behind topics.

    :param in_memory: frames come through ``take_frame`` and not from image_raw.
    """

    def __init__(self, *, in_memory: bool = False) -> None:
        super().__init__('inference_node', PARAMETERS)
        self._in_memory = in_memory
        self._input: ImageInput | None = None
        self._dispatcher: Dispatcher | None = None
        self._accuracy: LiveAccuracyThread | None = None
        self._decision_s = float('-inf')
        self._link_s = float('-inf')
        self._clock_known = False
        self._refused_decision = ''

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        """Models and sizes must exist."""
        check_models(values['models'], [size for size in values['input_sizes_px'] if size])
        safe_point(values['models'], values['safe_model'], values['safe_input_size_px'])

    def on_parameters_changed(self, names: set[str]) -> None:
        """Hand changes to the dispatcher."""
        if self._dispatcher is not None:
            self._dispatcher.set_safe_point(*self._safe_point)
            self._dispatcher.set_max_age_s(self.parameters['max_age_s'])

    @property
    def _safe_point(self) -> tuple[str, int]:
        return safe_point(
            *(self.parameters[name] for name in ('models', 'safe_model', 'safe_input_size_px'))
        )

    def configure(self) -> None:
        """Load and measure the detectors, open the topics."""
        import torch  # noqa: PLC0415  (seconds to import; only this node's process needs it)

        torch.set_num_threads(self.parameters['torch_threads'])
        sizes_px = [size for size in self.parameters['input_sizes_px'] if size]
        self._shelf = ModelShelf(self.parameters['models'], sizes_px, self._encode)
        self.get_logger().info(f'{len(self._shelf.costs.points())} operating points ready')
        self._clock_known = False
        self._result_publisher = self.advertise(
            msg.FrameResult, topics.FRAME_RESULT, topics.RESULT_QOS
        )
        self._offload_publisher = self.advertise(
            CompressedImage, topics.OFFLOAD, topics.OFFLOAD_QOS
        )
        self._state_publisher = self.advertise(
            msg.InferenceState, topics.INFERENCE_STATE, topics.STATE_QOS
        )
        self._detections_publisher = (
            self.advertise(Detection2DArray, topics.DETECTIONS, topics.RESULT_QOS)
            if Detection2DArray is not None
            else None
        )
        for message_type, topic, callback, qos in (
            (msg.SlotDecision, topics.SLOT_DECISION, self._on_decision, topics.DECISION_QOS),
            (msg.GpuState, topics.GPU_STATE, self._on_gpu_state, topics.STATE_QOS),
            (msg.LinkState, topics.LINK_STATE, self._on_link_state, topics.STATE_QOS),
            (msg.FrameResult, topics.OFFLOAD_RESULT, self._on_offload_result, topics.RESULT_QOS),
        ):
            self.subscribe(message_type, topic, callback, qos)
        if not self._in_memory:
            self.subscribe(
                msg.FrameResult, topics.GROUND_TRUTH, self._on_ground_truth, topics.RESULT_QOS
            )

    def activate(self) -> None:
        """Start taking frames."""
        self._accuracy = LiveAccuracyThread(
            self.parameters['accuracy_window_frames'], len(CLASS_NAMES)
        )
        self._activated_s = time.monotonic()
        self._dispatcher = Dispatcher(
            detector_of=self._shelf.detector,
            encode=self._encode,
            on_upload=self._publish_upload,
            on_fate=self._publish_fate,
            on_error=lambda reason, words: self.warn(reason.value, f'{reason.value}: {words}'),
            costs=self._shelf.costs,
            safe_point=self._safe_point,
            max_age_s=self.parameters['max_age_s'],
            window_s=self.parameters['statistics_window_s'],
            first_number=int(self._activated_s * FRAME_NUMBERS_PER_S),
        )
        self._decision_s = self._link_s = float('-inf')
        self._dispatcher.start()
        if not self._in_memory:
            self._input = ImageInput(
                self,
                self.parameters['image_transport'],
                self.parameters['image_reliability'],
                self._dispatcher.accept,
            )
        self.every(1.0 / self.parameters['state_rate_hz'], self._tick)

    def deactivate(self) -> None:
        """Give the frames in flight their fate and stop."""
        if self._input is not None:
            self._input.close()
        if self._dispatcher is not None:
            self._dispatcher.stop()
            self._publish_state()
        if self._accuracy is not None:
            self._accuracy.stop()
        self._input = self._dispatcher = self._accuracy = None

    def take_frame(
        self, image_bgr: ImageArray, stamp_ns: int, frame_id: str, truth: Detections | None
    ) -> None:
        """Take a frame handed over in memory by a camera in the same process (any thread)."""
        dispatcher, accuracy = self._dispatcher, self._accuracy
        if dispatcher is None or accuracy is None:
            return
        if truth is not None:
            accuracy.add_truth(stamp_ns, truth)
        dispatcher.accept(lambda: image_bgr, stamp_ns, frame_id)

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """State of the frames."""
        if self._dispatcher is None:
            return ERROR, 'not working', {}
        books = self._dispatcher.snapshot()
        values: dict[str, object] = {
            'arrived': books.arrived,
            'processed_local': books.processed_local,
            'processed_edge': books.processed_edge,
            'dropped': books.dropped,
            'in_flight': books.in_flight,
            'lost_in_transport': self._lost,
            **{f'dropped_{reason}': count for reason, count in books.drop_counts.items()},
        }
        if self._refused_decision:
            return ERROR, self._refused_decision, values
        if books.arrived == self._arrived_before and (trouble := self._input_trouble()):
            self.warn('input', trouble)
            return WARN, trouble, values
        self._arrived_before = books.arrived
        if self._dispatcher.fallback:
            model, size_px = self._safe_point
            return WARN, f'no fresh slot_decision: running {model} at {size_px} px locally', values
        return OK, 'running', values

    _arrived_before = 0

    @property
    def _lost(self) -> int:
        return self._input.lost if self._input is not None else 0

    def _input_trouble(self) -> str:
        if self._input is not None:
            return self._input.trouble()
        return 'no image from the camera in this process' if self._in_memory else ''

    def _encode(self, image_bgr: ImageArray, input_size_px: int) -> bytes:
        return encode_upload(image_bgr, input_size_px, self.parameters['jpeg_quality'])

    def _on_decision(self, message: msg.SlotDecision) -> None:
        if self._dispatcher is None:
            return
        try:
            decision = msg_to_decision(message)
            for a in decision.allocations:
                if not self._shelf.offers(a.model, a.input_size_px):
                    offered = ', '.join(
                        f'{p.model}@{p.input_size_px}' for p in self._shelf.costs.points()
                    )
                    raise InvalidValueError('allocation', f'{a.model}@{a.input_size_px}', offered)
        except ValueError as error:
            self._refused_decision = f'slot_decision {message.slot} refused: {error}'
            self.warn('decision', self._refused_decision)
            return
        self._refused_decision = ''
        self._decision_s = time.monotonic()
        self._dispatcher.apply(decision)

    def _on_gpu_state(self, message: msg.GpuState) -> None:
        if not message.frequency_hz > 0.0:  # NaN: not known
            return
        clock = GpuClockView(message.frequency_hz, max(1.0, message.slowdown))
        if not self._clock_known:
            self._clock_known = True
            reference = clock.reference_frequency_hz / GpuClockView().reference_frequency_hz
            self._shelf.costs.rescale_work(reference)
        if self._dispatcher is not None:
            self._dispatcher.set_clock(clock)

    def _on_link_state(self, message: msg.LinkState) -> None:
        self._link_s = time.monotonic()
        if self._dispatcher is not None:
            self._dispatcher.set_edge_available(message.reachable)

    def _on_offload_result(self, message: msg.FrameResult) -> None:
        if self._dispatcher is None:
            return
        self._dispatcher.take_reply(
            EdgeReply(
                message.frame_number,
                message.status == msg.FrameResult.STATUS_PROCESSED,
                msgs_to_detections(message.detections),
                message.image_width_px,
                message.image_height_px,
                message.server_queue_s,
                message.server_compute_s,
                message.upload_bytes,
            )
        )

    def _on_ground_truth(self, message: msg.FrameResult) -> None:
        if self._accuracy is not None:
            self._accuracy.add_truth(
                stamp_to_ns(message.header.stamp), msgs_to_detections(message.detections)
            )

    def _publish_upload(self, upload: Upload) -> None:
        frame = upload.frame
        assert frame.allocation is not None
        label = OffloadLabel(
            frame=frame.number,
            slot=frame.slot,
            model=frame.allocation.model,
            size=frame.allocation.input_size_px,
            width=upload.image_width_px,
            height=upload.image_height_px,
            deadline=frame.arrived_s + self.parameters['max_age_s'],
        )
        self._offload_publisher.publish(
            CompressedImage(
                header=make_header(frame.stamp_ns, frame.frame_id),
                format=str(label),
                data=to_byte_array(upload.jpeg),
            )
        )

    def _publish_fate(self, fate: FrameFate) -> None:
        if fate.processed and self._accuracy is not None:
            self._accuracy.add_result(fate.frame.stamp_ns, fate.detections)
        result = fate_to_msg(fate, self.get_clock().now().nanoseconds)
        self._result_publisher.publish(result)
        if self._detections_publisher is not None and fate.processed:
            self._detections_publisher.publish(result_to_detection_array(result))

    def _tick(self) -> None:
        if self._dispatcher is None:
            return
        now_s = time.monotonic()
        if now_s - self._decision_s > self.parameters['decision_timeout_s']:
            self._dispatcher.fall_back()
        if now_s - self._link_s > topics.LINK_SILENCE_S:
            self._dispatcher.set_edge_available(False)
        self._dispatcher.close_overdue()
        self._publish_state()

    def _publish_state(self) -> None:
        assert self._dispatcher is not None
        books = self._dispatcher.snapshot()
        state = books_to_msg(books)
        state.header = make_header(self.get_clock().now().nanoseconds)
        state.uptime_s = time.monotonic() - self._activated_s
        state.slot = self._dispatcher.slot
        state.fallback = self._dispatcher.fallback
        state.lost_in_transport = self._lost
        state.measured_map = self._accuracy.map_50_95 if self._accuracy else float('nan')
        state.allocations = [allocation_to_msg(a) for a in books.processed]
        state.operating_points = [operating_point_to_msg(p) for p in self._shelf.costs.points()]
        self._state_publisher.publish(state)


def main() -> None:
    """Run the node until it is told to stop."""
    run_nodes(InferenceNode)


if __name__ == '__main__':
    main()
