"""Carries offloaded frames to the edge server and their results back."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any

from sensor_msgs.msg import CompressedImage

from visionscaling_ros import msg
from visionscaling_ros.edge.bridge.bridge import EdgeBridge
from visionscaling_ros.edge.bridge.route import NOT_REACHED, ServerStatus
from visionscaling_ros.edge.wire.offload import FailureReason, OffloadFrame, OffloadOutcome
from visionscaling_ros.errors import ImageFormatError, InvalidValueError
from visionscaling_ros.hardware.power.radio_power import RadioEnergyMeter, RadioPowerModel
from visionscaling_ros.message_reading import slot_duration_s, stamp_to_ns
from visionscaling_ros.nodes import topics
from visionscaling_ros.nodes.conversions import detections_to_msgs, make_header
from visionscaling_ros.nodes.edge_bridge_parameters import (
    CONNECTION_PARAMETERS,
    PARAMETERS,
    RADIO_PARAMETERS,
    check_connection,
    make_clients,
)
from visionscaling_ros.nodes.managed_node import OK, WARN, ManagedNode, run_nodes
from visionscaling_ros.nodes.offload_format import parse_offload_label

# Why a frame came back although its server is well: each is worth a word of its own.
FRAME_PROBLEMS = (FailureReason.REFUSED.value, FailureReason.BAD_REPLY.value)

class EdgeBridgeNode(ManagedNode):
    """EdgeBridge behind topics."""

    def __init__(self) -> None:
        super().__init__('edge_bridge_node', PARAMETERS)
        self._told: dict[str, str] = {}
        self._bridge: EdgeBridge | None = None
        self._decision_s = -math.inf

    def check_parameters(self, values: Mapping[str, Any]) -> None:
        """Servers and files must be usable."""
        check_connection(values)

    def on_parameters_changed(self, names: set[str]) -> None:
        """Go on with other servers; follow the radio model."""
        if self._bridge is None:
            return
        if names.intersection(CONNECTION_PARAMETERS):
            try:
                self._bridge.set_clients(*make_clients(self.parameters, self.get_namespace()))
            except InvalidValueError as error:  # a file that was well a moment ago
                self.get_logger().error(f'{error}; the servers stay as they were')
        if 'max_in_flight' in names:
            self._bridge.set_max_in_flight(self.parameters['max_in_flight'])
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
        for status in self._servers:
            values[f'server {status.address}'] = status.problem or 'usable'
            if status.tcp is not None:
                values[f'server {status.address} tcp_rtt_s'] = status.tcp.rtt_s
                values[f'server {status.address} retransmits'] = status.tcp.retransmits
        if not link.reachable:
            problems = '; '.join(status.problem for status in self._servers)
            return WARN, f'edge server {link.server} does not answer: {problems}', values
        if link.server_rank > 0:
            return WARN, f'{self._servers[0].problem}; {link.server} is used instead', values
        return OK, f'connected to {link.server}', values

    _link: msg.LinkState | None = None
    _servers: tuple[ServerStatus, ...] = ()

    def _make_bridge(self) -> EdgeBridge:
        return EdgeBridge(
            *make_clients(self.parameters, self.get_namespace()),
            on_outcome=self._publish_outcome,
            max_in_flight=self.parameters['max_in_flight'],
            probe_interval_s=self.parameters['probe_interval_s'],
            idle_probe_interval_s=self.parameters['idle_probe_interval_s'],
        )

    def _radio_model(self) -> RadioPowerModel:
        return RadioPowerModel(*(self.parameters[name] for name in RADIO_PARAMETERS))

    def _on_decision(self, message: msg.SlotDecision) -> None:
        self._decision_s = time.monotonic()
        if self._bridge is not None:
            try:
                self._bridge.set_tx_rate_bps(message.tx_rate_bps, slot_duration_s(message))
            except InvalidValueError as error:  # the ceiling before stays
                self.warn('decision', f'slot_decision: {error}')

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
                stamp_ns=stamp_to_ns(message.header.stamp),
                tensor_shape=label.shape,
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
            if outcome.reason in FRAME_PROBLEMS:
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
        self._servers = self._bridge.servers()
        self._tell()

    def _tell(self) -> None:
        """Say once when a server becomes usable or stops being so, and why."""
        for status in self._servers:
            said = self._told.get(status.address)
            if status.problem in (said, NOT_REACHED):
                continue
            self._told[status.address] = status.problem
            if not status.problem:
                self.get_logger().info(f'edge server {status.address} answers')
            elif said:  # another reason for the same
                self.warn(f'server {status.address}', f'edge server {status.problem}')
            else:
                self.get_logger().warning(
                    f'edge server {status.problem}: it gets no frames until that is over'
                )


def main() -> None:
    """Run the node until it is told to stop."""
    run_nodes(EdgeBridgeNode)


if __name__ == '__main__':
    main()
