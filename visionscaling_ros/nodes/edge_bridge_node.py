"""Carries offloaded frames to the edge server and their results back."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any

from sensor_msgs.msg import CompressedImage

from visionscaling_ros import msg
from visionscaling_ros.edge.address import parse_address
from visionscaling_ros.edge.bridge import EdgeBridge
from visionscaling_ros.edge.client import GrpcEdgeClient
from visionscaling_ros.edge.offload import OffloadFrame, OffloadOutcome
from visionscaling_ros.errors import ImageFormatError
from visionscaling_ros.hardware.radio_power import RadioEnergyMeter, RadioPowerModel
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.conversions import detections_to_msgs, make_header
from visionscaling_ros.nodes.managed_node import OK, WARN, ManagedNode, run_nodes
from visionscaling_ros.nodes.offload_format import parse_offload_label
from visionscaling_ros.nodes.parameters import Parameter

RADIO = RadioPowerModel()
RADIO_PARAMETERS = ('radio_fixed_w', 'radio_w_per_mbps', 'radio_tail_s')

PARAMETERS = (
    Parameter('server', '127.0.0.1:8001', 'Inference server, host:port'),
    Parameter('robot_id', 'robot', 'Name the server knows this robot by', read_only=True),
    Parameter(
        'max_in_flight', 4, 'Requests not yet answered, at most', '', 1, 64, read_only=True
    ),
    Parameter(
        'probe_interval_s', 1.0, 'Time between signs of life asked of the server', 's', 0.1, 60.0,
        read_only=True,
    ),
    Parameter(
        'state_rate_hz', 5.0, 'How often link_state is published', 'Hz', 0.5, 50.0, read_only=True
    ),
    Parameter(
        'decision_timeout_s', 3.0, 'Without a decision for this long the rate ceiling is lifted',
        's', 0.1, 60.0,
    ),
    Parameter(
        'radio_fixed_w', RADIO.fixed_w, 'Power of the radio while on, tail included', 'W', 0.0, 50.0
    ),
    Parameter(
        'radio_w_per_mbps', RADIO.w_per_mbps, 'Power a rate of 1 Mbit/s adds', 'W', 0.0, 10.0
    ),
    Parameter(
        'radio_tail_s', RADIO.tail_s, 'Time the radio stays on after a transfer', 's', 0.0, 60.0
    ),
)  # fmt: skip


class EdgeBridgeNode(ManagedNode):
    """EdgeBridge behind topics."""

    def __init__(self) -> None:
        super().__init__('edge_bridge_node', PARAMETERS)
        self._bridge: EdgeBridge | None = None
        self._decision_s = -math.inf

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        """The server's address must be one."""
        parse_address(values['server'])

    def on_parameters_changed(self, names: set[str]) -> None:
        """Reconnect to another server; follow the radio model."""
        if self._bridge is None:
            return
        if 'server' in names:
            self._bridge.close()
            self._bridge = self._make_bridge()
            self._sent_bytes = 0
        if names.intersection(RADIO_PARAMETERS):
            self._radio.set_model(self._radio_model())

    def configure(self) -> None:
        """Open the topics."""
        self._result_publisher = self.advertise(
            msg.FrameResult, topics.OFFLOAD_RESULT, topics.RESULT_QOS
        )
        self._state_publisher = self.advertise(msg.LinkState, topics.LINK_STATE, topics.STATE_QOS)
        self.subscribe(CompressedImage, topics.OFFLOAD, self._on_offload, topics.OFFLOAD_QOS)
        self.subscribe(
            msg.SlotDecision, topics.SLOT_DECISION, self._on_decision, topics.DECISION_QOS
        )

    def activate(self) -> None:
        """Connect."""
        self._activated_s = time.monotonic()
        self._sent_bytes = 0
        self._radio = RadioEnergyMeter(self._radio_model())
        self._bridge = self._make_bridge()
        self.every(1.0 / self.parameters['state_rate_hz'], self._tick)

    def deactivate(self) -> None:
        """Answer what is in flight and disconnect."""
        if self._bridge is not None:
            self._bridge.close()
        self._bridge = None

    def diagnose(self) -> tuple[bytes, str, dict[str, object]]:
        """State of the link."""
        link = self._link
        if link is None:
            return WARN, 'connecting', {}
        values = {name: getattr(link, name) for name in link.get_fields_and_field_types()}
        del values['header']
        if not link.reachable:
            return WARN, f'edge server {link.server} does not answer', values
        return OK, f'connected to {link.server}', values

    _link: msg.LinkState | None = None

    def _make_bridge(self) -> EdgeBridge:
        client = GrpcEdgeClient(self.parameters['server'], robot_id=self.parameters['robot_id'])
        return EdgeBridge(
            client,
            on_outcome=self._publish_outcome,
            max_in_flight=self.parameters['max_in_flight'],
            probe_interval_s=self.parameters['probe_interval_s'],
        )

    def _radio_model(self) -> RadioPowerModel:
        return RadioPowerModel(*(self.parameters[name] for name in RADIO_PARAMETERS))

    def _on_decision(self, message: msg.SlotDecision) -> None:
        self._decision_s = time.monotonic()
        if self._bridge is not None:
            self._bridge.set_tx_rate_bps(message.tx_rate_bps)

    def _on_offload(self, message: CompressedImage) -> None:
        if self._bridge is None:
            return
        try:
            label = parse_offload_label(message.format)
        except ImageFormatError as error:  # not from inference_node: there is nobody to answer
            self.warn('offload', str(error))
            return
        self._bridge.submit(
            OffloadFrame(
                frame_number=label.frame,
                slot=label.slot,
                model=label.model,
                input_size_px=label.size,
                payload=bytes(message.data),
                image_width_px=label.width,
                image_height_px=label.height,
                deadline_monotonic_s=label.deadline,
                spare=bool(label.spare),
            )
        )

    def _publish_outcome(self, outcome: OffloadOutcome) -> None:
        """Tell inference_node what became of a frame (any thread)."""
        result = msg.FrameResult(
            header=make_header(self.get_clock().now().nanoseconds),
            frame_number=outcome.frame.frame_number,
            slot=outcome.frame.slot,
            model=outcome.frame.model,
            input_size_px=outcome.frame.input_size_px,
            origin=msg.Allocation.ORIGIN_EDGE,
            image_width_px=outcome.frame.image_width_px,
            image_height_px=outcome.frame.image_height_px,
            upload_bytes=outcome.upload_bytes,
        )
        if outcome.answered:
            result.server_queue_s = outcome.queue_s
            result.server_compute_s = outcome.compute_s
            result.detections = detections_to_msgs(outcome.detections, ())
        else:
            result.status = msg.FrameResult.STATUS_DROPPED
            result.drop_reason = outcome.reason
            if outcome.message:
                self.warn(outcome.reason, f'{outcome.reason}: {outcome.message}')
        self._result_publisher.publish(result)

    def _tick(self) -> None:
        if self._bridge is None:
            return
        if time.monotonic() - self._decision_s > self.parameters['decision_timeout_s']:
            self._bridge.set_tx_rate_bps(0.0)
        snapshot = self._bridge.snapshot()
        radio = self._radio.update(snapshot.sent_bytes - self._sent_bytes)
        self._sent_bytes = snapshot.sent_bytes
        self._link = msg.LinkState(
            header=make_header(self.get_clock().now().nanoseconds),
            uptime_s=time.monotonic() - self._activated_s,
            radio_energy_j=radio.energy_j,
            radio_power_w=radio.power_w,
            **{name: self.parameters[name] for name in RADIO_PARAMETERS},
            **dataclasses.asdict(snapshot),
        )
        self._state_publisher.publish(self._link)
        self._tell(snapshot.reachable)

    _told: bool | None = None

    def _tell(self, reachable: bool) -> None:
        """Say once when the server comes or goes."""
        if reachable == self._told:
            return
        self._told = reachable
        server = self.parameters['server']
        if reachable:
            self.get_logger().info(f'edge server {server} answers')
        else:
            self.get_logger().warning(
                f'edge server {server} does not answer: frames run on the robot until it does'
            )


def main() -> None:
    """Run the node until it is told to stop."""
    run_nodes(EdgeBridgeNode)


if __name__ == '__main__':
    main()
