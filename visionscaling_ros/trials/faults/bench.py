"""A whole robot with link and server, to be put through faults."""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from visionscaling_ros.edge.address import parse_address
from visionscaling_ros.edge.link.running_link import RunningLink
from visionscaling_ros.edge.link.shaped_link import ShapedLink
from visionscaling_ros.edge.link.trace import LinkTrace
from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.graph.graphs import EDGE_BRIDGE, EDGE_SERVER, robot_graph
from visionscaling_ros.graph.options import RobotOptions
from visionscaling_ros.graph.process_runner import ProcessRunner
from visionscaling_ros.trials.faults.garbage_server import GarbageServer
from visionscaling_ros.trials.faults.observer import EDGE_RESULT, RobotObserver
from visionscaling_ros.trials.faults.secrets import ROBOT_ID, CampaignSecrets, ServerPair
from visionscaling_ros.trials.faults.server_process import LOG, ServerProcess
from visionscaling_ros.trials.faults.small_disk import SmallDisk
from visionscaling_ros.trials.faulty_server import FaultyServer

LINK_RATE_BPS = 20e6
LINK_DELAY_S = 0.01
START_TIMEOUT_S = 120.0
ROUTE_TIMEOUT_S = 30.0
SLOT_S = 1.0
MODEL, SIZE_PX = 'vsdet_n', 192
# Every frame goes to the edge server; what it does not answer runs on the robot.
PARAMETERS: dict[str, dict[str, Any]] = {
    'camera_node': {'rate_fps': 10.0, 'width_px': 320, 'height_px': 240},
    'inference_node': {
        'models': [MODEL],
        'input_sizes_px': [SIZE_PX],
        'safe_model': MODEL,
        'safe_input_size_px': SIZE_PX,
    },
    'gpu_clock_node': {'backend': 'emulated'},
    'controller_node': {
        'slot_duration_s': SLOT_S,
        'policy': 'fixed',
        'fixed_model': MODEL,
        'fixed_input_size_px': SIZE_PX,
        'fixed_origin': 'edge',
    },
}


@dataclass(frozen=True)
class FaultBench:
    """What faults are injected into: robot -> link -> [faulty server ->] edge server."""

    observer: RobotObserver
    robot: ProcessRunner
    server: ServerProcess
    link: RunningLink
    faulty: FaultyServer
    garbage: GarbageServer
    disk: SmallDisk
    secrets: CampaignSecrets
    impostors: Mapping[str, FaultyServer]  # by what is wrong with their certificate

    def route(self, address: str) -> None:
        """Let another server be at the end of the link from now on."""
        self.link.redirect(parse_address(address))
        self.link.reset()

    def pids(self) -> Mapping[str, int]:
        """Process ids of the robot's processes and the server, by name."""
        robot = {name: self.robot.process(name).pid for name in self.robot.names}
        return {**robot, EDGE_SERVER: self.server.pid}

    def ended(self) -> list[str]:
        """Names of the processes that do not run."""
        ended = [name for name in self.robot.names if not self.robot.process(name).is_running]
        return ended if self.server.is_running else [*ended, EDGE_SERVER]

    def wait_for(self, event: str, timeout_s: float) -> float:
        """When an event came first after now; raises VisionScalingError when it does not."""
        came_s = self.observer.wait_for(event, time.monotonic(), timeout_s)
        if came_s is None:
            raise VisionScalingError(f'no {event} within {timeout_s:.0f} s')
        return came_s


@contextmanager
def running_bench(observer: RobotObserver, folder: Path) -> Iterator[FaultBench]:
    """Start everything and wait until frames are answered by the server; end all of it.

    :param folder: for parameters, certificates, ``robot.log`` and ``server.log``.
    """
    with ExitStack() as stack:
        disk = stack.enter_context(SmallDisk())
        stack.callback(_keep, disk.path / LOG, folder)
        secrets = CampaignSecrets(folder)
        server = ServerProcess(_free_port(), disk.path, ('--models', MODEL), secrets)
        stack.callback(server.close)
        server.start()
        trusted = secrets.client(ROBOT_ID).channel_credentials()

        def stand_in(pair: ServerPair) -> FaultyServer:
            return stack.enter_context(
                FaultyServer(
                    server.address, credentials=pair.credentials(), target_credentials=trusted
                )
            )

        faulty = stand_in(secrets.server)
        impostors = {spoiled: stand_in(pair) for spoiled, pair in secrets.spoiled.items()}
        garbage = stack.enter_context(GarbageServer())
        link = stack.enter_context(
            RunningLink(
                ShapedLink(
                    ('127.0.0.1', 0),
                    parse_address(server.address),
                    LinkTrace.constant(LINK_RATE_BPS),
                    delay_s=LINK_DELAY_S,
                )
            )
        )
        log = stack.enter_context((folder / 'robot.log').open('w', encoding='utf-8'))
        robot = ProcessRunner(
            robot_graph(_options(link.address, folder, secrets)),
            on_output=lambda name, line: print(f'[{name}] {line}', file=log, flush=True),
        )
        stack.callback(robot.stop)
        robot.start()
        bench = FaultBench(observer, robot, server, link, faulty, garbage, disk, secrets, impostors)
        bench.wait_for(EDGE_RESULT, START_TIMEOUT_S)
        yield bench


def _options(server: str, folder: Path, secrets: CampaignSecrets) -> RobotOptions:
    path = folder / 'robot.yaml'
    parameters = {**PARAMETERS, EDGE_BRIDGE: secrets.bridge_parameters()}
    path.write_text(
        yaml.safe_dump({f'/{name}': {'ros__parameters': v} for name, v in parameters.items()}),
        encoding='utf-8',
    )
    return RobotOptions(params_file=str(path), server=server, use_sim_time=True, use_respawn=True)


def _keep(log: Path, folder: Path) -> None:
    with contextlib.suppress(OSError):
        shutil.copy(log, folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])
