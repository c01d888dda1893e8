"""The edge server's models as replicas of a Ray Serve application.

The embedded server stays in front: wire, TLS, tokens, admission, batches, fair shares and
statistics are its own and the same as ever, over all replicas; Ray Serve starts, stops, places and
watches the replicas and chooses one for each batch. Ray's own gRPC proxy is not used: it listens on
every interface without encryption and knows no deadline.
"""

from __future__ import annotations

import importlib
import logging
import os
import socket
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from visionscaling_ros.edge.server.computed import OverloadedError
from visionscaling_ros.edge.server.model_runner import RunResult, Workload
from visionscaling_ros.edge.wire.protocol import InferCall
from visionscaling_ros.edge.wire.tensor_model import TensorSpec
from visionscaling_ros.errors import EdgeError, ModelError, VisionScalingError
from visionscaling_ros.serving.ray_options import LOCAL, RayOptions
from visionscaling_ros.serving.ray_replica import DetectorReplica

DEPLOYMENT = 'detectors'
# Ray keeps payloads of more than 100 kB there; it takes 30 % of the memory unless told otherwise.
OBJECT_STORE_BYTES = 256 << 20
CONNECT_TIMEOUT_S = 5.0
# A request without a deadline is given up after this.
MAX_WAIT_S = 30.0
# Ray waits half a minute before it adds a replica, which robots would spend refused.
SCALING = {
    'metrics_interval_s': 1.0,
    'look_back_period_s': 4.0,
    'upscale_delay_s': 2.0,
    'downscale_delay_s': 60.0,
}
# A batch whose replica dies is tried once more while it has time.
ATTEMPTS = 2
ENVIRONMENT = {
    'RAY_USAGE_STATS_ENABLED': '0',
    # Ray's ports are open on every interface; without this whoever reaches them may run anything.
    'RAY_AUTH_MODE': 'token',
}


class RayRunner:
    """A ModelRunner over the replicas; ``run`` may be called from several threads at once.

    Used as a context manager, in the main thread: Ray's processes end with the thread that started
    them. Entering it starts or joins Ray and waits until ``min_replicas`` are warm (seconds).
    Raises EdgeError where Ray is not installed, cannot be reached or cannot start the replicas.
    """

    def __init__(self, options: RayOptions) -> None:
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self._ray = _import('ray')
        self._serve = _import('ray.serve')
        self._refusals = _import('ray.serve.exceptions')
        self._options = options
        self._manifests = options.runner()  # never warmed up: it only reads manifests and headers
        self._times_s: Mapping[Workload, float] = {}
        self._handle: Any = None

    @property
    def concurrency(self) -> int:
        """How many batches should be under way at once, so that every replica is kept busy."""
        return self._options.concurrency

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models it has."""
        return self._manifests.model_names

    def class_names(self, model: str) -> tuple[str, ...]:
        """Names of the classes of ``model``."""
        return self._manifests.class_names(model)

    def input_sizes_px(self, model: str) -> tuple[int, ...]:
        """The input sizes of ``model``."""
        return self._manifests.input_sizes_px(model)

    def tensor_spec(self, model: str) -> TensorSpec | None:
        """Input and outputs of the network of ``model``, None if it takes JPEG only."""
        return self._manifests.tensor_spec(model)

    def workload(self, call: InferCall) -> Workload:
        """By the JPEG's header or the tensor's shape; ImageFormatError, InvalidValueError."""
        return self._manifests.workload(call)

    def warm_up(self) -> Mapping[Workload, float]:
        """What one request of each workload took a replica when it warmed up [s]."""
        return self._times_s

    def run(self, model: str, calls: Sequence[InferCall]) -> list[RunResult]:
        """Run one batch on a replica, and on another one if that dies.

        OverloadedError for each where no replica answers in time, ModelError where they die.
        """
        try:
            return self._run(model, list(calls))
        except VisionScalingError as error:
            # Raised, it would have the scheduler try each of them again.
            return [error for _ in calls]

    def _run(self, model: str, calls: list[InferCall]) -> list[RunResult]:
        end_s = time.monotonic() + min(MAX_WAIT_S, max(call.deadline_s for call in calls))
        attempt = 1
        while True:
            response = self._handle.run.remote(model, calls)
            try:
                results: list[RunResult] = response.result(
                    timeout_s=max(0.0, end_s - time.monotonic())
                )
            except TimeoutError as error:
                response.cancel()
                raise OverloadedError('no replica answered in time') from error
            except self._refusals.BackPressureError as error:
                raise OverloadedError('every replica has enough to do') from error
            except self._ray.exceptions.RayActorError as error:
                if attempt == ATTEMPTS:
                    raise ModelError(f'its replica ended: {_first_line(error)}') from error
                attempt += 1
            else:
                return results

    def __enter__(self) -> RayRunner:
        """Start or join Ray, deploy, wait until the replicas are warm."""
        try:
            self._connect()
            self._deploy()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the application down and leave Ray; a Ray of our own ends."""
        if not self._ray.is_initialized():
            return
        if self._options.address != LOCAL and self._handle is not None:
            self._serve.delete(self._options.application)
        self._ray.shutdown()

    def _connect(self) -> None:
        options = self._options
        logging.getLogger('ray.serve').setLevel(logging.WARNING)
        own: dict[str, Any] = {}
        if options.address == LOCAL:
            own = {'include_dashboard': False, 'object_store_memory': OBJECT_STORE_BYTES}
        try:
            _check_answers(options.address)
            self._ray.init(
                address=options.address, logging_level='WARNING', log_to_driver=False, **own
            )
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            raise EdgeError(f'Ray at {options.address}: {_first_line(error)}') from error
        cpus = self._ray.cluster_resources().get('CPU', 0.0)
        if options.address == LOCAL and options.min_replicas * options.threads > cpus:
            raise EdgeError(
                f'{options.min_replicas} replicas of {options.threads} threads do not fit '
                f'into {cpus:.0f} CPUs'
            )

    def _deploy(self) -> None:
        options, serve = self._options, self._serve
        quiet = {'log_level': 'WARNING', 'enable_access_log': False}
        serve.start(proxy_location='Disabled', logging_config=quiet)
        deployment = serve.deployment(
            DetectorReplica,
            name=DEPLOYMENT,
            max_ongoing_requests=options.max_ongoing,
            ray_actor_options={
                'num_cpus': options.threads,
                'num_gpus': options.gpus_per_replica,
            },
            autoscaling_config={
                'min_replicas': options.min_replicas,
                'max_replicas': options.max_replicas,
                'target_ongoing_requests': options.ongoing_per_replica,
                **SCALING,
            },
            logging_config=quiet,
        )
        application = deployment.bind(options)
        try:
            self._handle = serve.run(application, name=options.application, route_prefix=None)
        except RuntimeError as error:
            raise EdgeError(f'Ray Serve could not start the replicas: {error}') from error
        try:
            self._times_s = self._handle.times_s.remote().result(timeout_s=MAX_WAIT_S)
        except TimeoutError as error:
            text = f'Ray at {options.address}: no replica answered within {MAX_WAIT_S:g} s'
            raise EdgeError(text) from error


def _check_answers(address: str) -> None:
    """Raise OSError if nothing listens at ``host:port``; Ray itself would try for minutes."""
    host, separator, port = address.removeprefix('ray://').rpartition(':')
    if separator and port.isdecimal():
        socket.create_connection((host.strip('[]'), int(port)), CONNECT_TIMEOUT_S).close()


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EdgeError(
            f'{module} is not installed (pip install visionscaling_ros[ray])'
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [repr(error)])[0]
