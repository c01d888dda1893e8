"""One replica of the Ray Serve application: this package's detectors in a process of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from visionscaling_ros.edge.server.model_runner import RunResult, Workload
from visionscaling_ros.edge.wire.protocol import InferCall
from visionscaling_ros.serving.ray_options import RayOptions


class DetectorReplica:
    """A runner behind Ray Serve. It is made when the replica starts, and takes calls once warm.

    Its one thread computes, so that its event loop stays free to answer Ray's health checks.
    """

    def __init__(self, options: RayOptions) -> None:
        self._runner = options.runner()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix='edge-compute')
        self._times_s = self._executor.submit(self._runner.warm_up).result()

    async def times_s(self) -> Mapping[Workload, float]:
        """What one request of each workload took when it warmed up [s]."""
        return self._times_s

    async def run(self, model: str, calls: Sequence[InferCall]) -> list[RunResult]:
        """Run a batch, as ``ModelRunner.run`` says."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._runner.run, model, calls)
