"""Gives every frame one fate: detected here, at the edge, or dropped and counted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from visionscaling_ros import msg
from visionscaling_ros.datatypes import Detections, ImageArray
from visionscaling_ros.message_reading import msg_to_decision, stamp_to_ns
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.accuracy_source import AccuracySource
from visionscaling_ros.nodes.debug_image import DebugImage
from visionscaling_ros.nodes.frame_encoder import FrameEncoder
from visionscaling_ros.nodes.image_input import ImageInput
from visionscaling_ros.nodes.inference_files import catalog_of, profile_of
from visionscaling_ros.nodes.inference_output import InferenceOutput
from visionscaling_ros.nodes.inference_parameters import PARAMETERS
from visionscaling_ros.nodes.managed_node import ERROR, OK, WARN, ManagedNode, run_nodes
from visionscaling_ros.nodes.model_choice import (
    check_inference_parameters,
    safe_model,
    sizes_to_offer_px,
)
from visionscaling_ros.nodes.model_health import describe_books, describe_models, model_trouble
from visionscaling_ros.nodes.model_preparation import ModelPreparation
from visionscaling_ros.nodes.model_shelf import ModelShelf
from visionscaling_ros.nodes.result_output import msg_to_reply
from visionscaling_ros.pipeline.dispatcher import Dispatcher
from visionscaling_ros.pipeline.frame import FrameFate
from visionscaling_ros.pipeline.gpu_clock_view import GpuClockView
from visionscaling_ros.vision.scene.class_names import CLASS_NAMES

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
        self._accuracy: AccuracySource | None = None
        self._shelf: ModelShelf | None = None
        self._output: InferenceOutput
        self._debug_image: DebugImage
        self._encode: FrameEncoder
        self._decision_s = float('-inf')
        self._link_s = float('-inf')
        self._clock_known = False
        self._refused_decision = ''

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        """Models, sizes and files must exist."""
        check_inference_parameters(values)

    def on_parameters_changed(self, names: set[str]) -> None:
        """Load other models beside the work; hand the rest to whom it concerns."""
        if self._shelf is not None:
            if names & {'model_manifests', 'models'}:  # a manifest's content may be another now
                self._encode.catalog = catalog_of(self.parameters['model_manifests'])
                self._shelf.set_catalog(self._encode.catalog)
            if 'memory_limit_mib' in names:
                self._shelf.set_memory_limit_bytes(self._memory_limit_bytes)
            if 'models' in names:
                self._shelf.set_models(self.parameters['models'])
        self._follow_parameters()

    def _follow_parameters(self) -> None:
        if self._shelf is None or self._dispatcher is None:
            return
        self._dispatcher.set_safe_point(*self._safe_point)
        self._dispatcher.set_max_age_s(self.parameters['max_age_s'])
        self._shelf.pin(self._safe_point[0])
        assert self._accuracy is not None
        self._accuracy.update(self.parameters, edge_available=self._dispatcher.edge_available)

    @property
    def _safe_point(self) -> tuple[str, int]:
        assert self._shelf is not None
        names = 'safe_model', 'safe_input_size_px'
        return self._shelf.safe_point(*(self.parameters[name] for name in names))

    @property
    def _memory_limit_bytes(self) -> int:
        return int(self.parameters['memory_limit_mib'] * 2**20)

    def configure(self) -> None:
        """Load and measure the detectors, open the topics."""
        import torch  # noqa: PLC0415  (seconds to import; only this node's process needs it)

        values = self.parameters
        torch.set_num_threads(values['torch_threads'])
        catalog = catalog_of(values['model_manifests'])
        self._encode = FrameEncoder(catalog, lambda: int(self.parameters['jpeg_quality']))
        preparation = ModelPreparation(
            catalog,
            encode=self._encode,
            sizes_px=sizes_to_offer_px(values),
            engine=values['engine'],
            device=values['device'],
            half_precision=values['half_precision'],
            threads=values['torch_threads'],
            profile=profile_of(values['profile_file']),
        )
        self._shelf = ModelShelf(
            preparation,
            memory_limit_bytes=self._memory_limit_bytes,
            on_dropped=self._on_dropped,
            on_trouble=lambda model, trouble: self.get_logger().error(
                f'{model} is not on offer: {trouble}'
            ),
        )
        self._shelf.open(values['models'], safe_model(values))
        self.get_logger().info(f'{len(self._shelf.costs.points())} operating points ready')
        self._clock_known = False
        self._output = InferenceOutput(self)
        self._debug_image = DebugImage(self)
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
        assert self._shelf is not None
        self._accuracy = AccuracySource(
            self._shelf, self.parameters, self._encode, self._output.publish_offload
        )
        self._activated_s = time.monotonic()
        self._dispatcher = Dispatcher(
            models=self._shelf,
            encode=self._encode,
            on_upload=lambda upload: self._output.publish_upload(
                upload, self.parameters['max_age_s']
            ),
            on_fate=self._publish_fate,
            on_error=lambda reason, words: self.warn(reason.value, f'{reason.value}: {words}'),
            on_service=self._on_service,
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
        self._debug_image.stop()
        if self._accuracy is not None:
            self._accuracy.stop()
        self._input = self._dispatcher = self._accuracy = None

    def cleanup(self) -> None:
        """Free the detectors."""
        if self._shelf is not None:
            self._shelf.close()
        self._shelf = None

    def take_frame(
        self, image_bgr: ImageArray, stamp_ns: int, frame_id: str, truth: Detections | None
    ) -> None:
        """Take a frame handed over in memory by a camera in the same process (any thread)."""
        dispatcher, accuracy = self._dispatcher, self._accuracy
        if dispatcher is None or accuracy is None:
            return
        if truth is not None:
            accuracy.add_truth(stamp_ns, truth, CLASS_NAMES)
        dispatcher.accept(lambda: image_bgr, stamp_ns, frame_id)

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """State of the frames."""
        if self._dispatcher is None or self._shelf is None or self._accuracy is None:
            return ERROR, 'not working', {}
        books = self._dispatcher.snapshot()
        values = {**describe_books(books), 'lost_in_transport': self._lost}
        values['debug_images'] = self._debug_image.made
        values |= {**describe_models(self._shelf), **self._accuracy.describe()}
        if self._refused_decision:
            return ERROR, self._refused_decision, values
        if model_words := model_trouble(self._shelf, self._dispatcher.out_of_service):
            return *model_words, values
        if books.arrived == self._arrived_before and (trouble := self._input_trouble()):
            self.warn('input', trouble)
            return WARN, trouble, values
        self._arrived_before = books.arrived
        if self._dispatcher.fallback:
            model, size_px = self._safe_point
            return WARN, f'no fresh slot_decision: running {model} at {size_px} px locally', values
        return OK, 'running', values

    _arrived_before = 0

    def _on_service(self, model: str, trouble: str) -> None:
        """Say once that a model was taken out of service, or is back (local worker's thread)."""
        if trouble:
            shelf = self._shelf
            assert shelf is not None
            self.get_logger().error(
                f'{model} of {shelf.manifest_path(model)} is out of service: {trouble}; set models '
                'without it and with it again to load it anew'
            )
            if not shelf.costs.points() and (back := shelf.bring_back()):
                self.get_logger().error(f'no model is left: {", ".join(back)} offered again')
        else:
            self.get_logger().info(f'{model} is back in service')

    def _on_dropped(self, model: str) -> None:
        dispatcher = self._dispatcher
        if dispatcher is not None:
            dispatcher.forget(model)
        self.get_logger().info(f'{model} is no longer on offer')

    @property
    def _lost(self) -> int:
        return self._input.lost if self._input is not None else 0

    def _input_trouble(self) -> str:
        if self._input is not None:
            return self._input.trouble()
        return 'no image from the camera in this process' if self._in_memory else ''

    def _on_decision(self, message: msg.SlotDecision) -> None:
        if self._dispatcher is None or self._shelf is None:
            return
        try:
            decision = msg_to_decision(message)
            self._shelf.check(decision.allocations)
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
            assert self._shelf is not None
            self._shelf.costs.rescale_work(reference)
        if self._dispatcher is not None:
            self._dispatcher.set_clock(clock)

    def _on_link_state(self, message: msg.LinkState) -> None:
        self._link_s = time.monotonic()
        if self._dispatcher is not None:
            self._dispatcher.set_edge_available(message.reachable)

    def _on_offload_result(self, message: msg.FrameResult) -> None:
        if self._dispatcher is None or self._accuracy is None or self._accuracy.take_reply(message):
            return
        self._dispatcher.take_reply(msg_to_reply(message))

    def _on_ground_truth(self, message: msg.FrameResult) -> None:
        if self._accuracy is not None:
            self._accuracy.add_truth_message(stamp_to_ns(message.header.stamp), message)

    def _publish_fate(self, fate: FrameFate) -> None:
        if fate.processed and self._accuracy is not None:
            self._accuracy.add_result(fate)
        self._output.publish_fate(fate)
        dispatcher = self._dispatcher
        if dispatcher is not None:
            self._debug_image.take(fate, fallback=dispatcher.fallback)

    def _tick(self) -> None:
        if self._dispatcher is None:
            return
        now_s = time.monotonic()
        if now_s - self._decision_s > self.parameters['decision_timeout_s']:
            self._dispatcher.fall_back()
        if now_s - self._link_s > topics.LINK_SILENCE_S:
            self._dispatcher.set_edge_available(False)
        self._dispatcher.close_overdue()
        self._debug_image.look()
        self._follow_parameters()
        self._publish_state()

    def _publish_state(self) -> None:
        assert self._dispatcher is not None
        assert self._shelf is not None
        self._output.publish_state(
            self._dispatcher,
            self._shelf.costs,
            uptime_s=time.monotonic() - self._activated_s,
            lost_in_transport=self._lost,
            measured_map=self._accuracy.measured_map if self._accuracy else float('nan'),
        )


def main() -> None:
    """Run the node until it is told to stop."""
    run_nodes(InferenceNode)


if __name__ == '__main__':
    main()
