"""A robot for tests of what watches one: a real controller and clock, no camera, no model."""

from __future__ import annotations

from typing import Any

from visionscaling_ros.msg import Allocation, InferenceState, OperatingPoint

from visionscaling_ros.nodes import topics

FRAMES_PER_MESSAGE = 2
PERIOD_S = 0.2


class Robot:
    """A real controller and clock; what inference_node would tell comes from the test.

    :param with_clock: it has a gpu_clock_node.
    :param parameters: of its controller.
    """

    def __init__(
        self, graph: Any, namespace: str, *, with_clock: bool = True, **parameters: Any
    ) -> None:
        self.graph = graph
        self.namespace = namespace
        self.parameters = parameters
        self.arrived = 0
        self.fallback = False
        self.publisher = graph.observer.advertise(
            InferenceState, f'{namespace}/{topics.INFERENCE_STATE}', topics.STATE_QOS
        )
        self.speak()
        self.clocks = []
        if with_clock:
            clock = {'backend': 'emulated'}
            self.clocks.append(graph.start('gpu_clock_node', parameters=clock, namespace=namespace))
        self.start_controller()

    @property
    def nodes(self) -> list[Any]:
        """The processes of its nodes."""
        return [*self.clocks, self.controller]

    def start_controller(self) -> None:
        self.controller = self.graph.start(
            'controller_node',
            parameters={'slot_duration_s': 0.5, **self.parameters},
            namespace=self.namespace,
        )

    def speak(self) -> None:
        """What inference_node would tell is told from now on."""
        self.timer = self.graph.observer.every(PERIOD_S, self.tell)

    def tell(self) -> None:
        self.arrived += FRAMES_PER_MESSAGE
        message = InferenceState(
            uptime_s=self.arrived / FRAMES_PER_MESSAGE * PERIOD_S,
            fallback=self.fallback,
            arrived=self.arrived,
            processed_local=self.arrived,
            allocations=[Allocation(model='vsdet_n', input_size_px=320, rate_fps=10.0)],
            operating_points=[
                OperatingPoint(
                    model=model,
                    input_size_px=320,
                    accuracy_map=accuracy_map,
                    gpu_work_ghz_s=0.01,
                    serial_s=0.002,
                    upload_bits=2e5,
                )
                for model, accuracy_map in (('vsdet_n', 0.3), ('vsdet_s', 0.4))
            ],
        )
        self.publisher.publish(message)

    def fall_silent(self) -> None:
        """Everything of it stops at once, as when its radio is gone; its nodes stay."""
        self.graph.observer.stop(self.timer)
