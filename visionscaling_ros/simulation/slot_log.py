"""A run as a CSV file that grows slot by slot."""

from __future__ import annotations

from typing import TextIO

from visionscaling_ros.control.forecast import Forecast
from visionscaling_ros.control.policy import Policy
from visionscaling_ros.datatypes import Origin, SlotDecision, SlotState
from visionscaling_ros.simulation.wrapped_policy import WrappedPolicy

COLUMNS = (
    'slot', 'arrival_fps', 'processed_local_fps', 'processed_edge_fps', 'dropped_fps',
    'gpu_frequency_hz', 'gpu_utilization', 'gpu_temperature_c', 'power_w', 'energy_j',
    'uplink_throughput_bps', 'uplink_capacity_bps', 'server_share', 'latency_local_mean_s',
    'latency_edge_mean_s', 'achieved_map', 'cost', 'constraint', 'cumulative_fit',
)  # fmt: skip
HEADER = (*COLUMNS, 'edge_reachable', 'multiplier', 'processed')
PLACES = {Origin.LOCAL: 'local', Origin.EDGE: 'edge', Origin.SPLIT: 'split'}


class SlotLog(WrappedPolicy):
    """A policy that decides as ``inner`` does and writes every slot it observes as a line.

    Column names are those of ``SlotState``; ``processed`` lists ``model@size place frames/s``
    apart by semicolons. What was not measured is ``nan``.
    """

    def __init__(self, inner: Policy, file: TextIO) -> None:
        super().__init__(inner)
        self.slots = 0
        self._file = file
        self._multiplier = 0.0
        self._decided = False
        file.write(','.join(HEADER) + '\n')

    def decide(self, forecast: Forecast) -> SlotDecision:
        """What the inner policy decides."""
        decision = self._inner.decide(forecast)
        self._multiplier = decision.multiplier
        self._decided = True
        return decision

    def observe(self, state: SlotState) -> None:
        """Pass it on, and write it down if it was decided."""
        self._inner.observe(state)
        if not self._decided:
            return  # what was known before the first slot
        cells = [f'{getattr(state, name):.9g}' for name in COLUMNS]
        processed = ';'.join([
            f'{a.model}@{a.input_size_px} {PLACES[a.origin]} {a.rate_fps:.4f}'
            for a in state.processed
        ])
        cells += [str(int(state.edge_reachable)), f'{self._multiplier:.9g}', processed]
        self._file.write(','.join(cells) + '\n')
        self.slots += 1
