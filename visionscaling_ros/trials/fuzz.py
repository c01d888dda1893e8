"""Attacks an edge server for a while, and looks whether honest robots notice."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil

from visionscaling_ros.edge.address import parse_address
from visionscaling_ros.edge.wire.offload import OffloadFrame
from visionscaling_ros.trials.fuzz_attackers import Attackers, attackers
from visionscaling_ros.trials.fuzz_report import (
    FuzzReport,
    FuzzSettings,
    ServerFigures,
    failures,
    robot_figures,
)
from visionscaling_ros.trials.fuzz_target import Target
from visionscaling_ros.trials.fuzz_tokens import new_token, write_tokens
from visionscaling_ros.trials.honest_robot import HonestRobot
from visionscaling_ros.trials.running_server import RunningServer, running_server
from visionscaling_ros.vision.jpeg import encode_jpeg, resize_for_upload
from visionscaling_ros.vision.sources.synthetic_source import SyntheticSource

ATTACKER = 'mallory'
HONEST = ('steady', 'second', 'newcomer')
NEWCOMER_RATE_FPS = 1.0
PERIOD_S = 0.5

OnProgress = Callable[[float, str], None]


def fuzz(settings: FuzzSettings, on_progress: OnProgress) -> FuzzReport:
    """Run the trial; ``on_progress`` gets the seconds that passed and a line of words.

    Raises EdgeError where the server cannot be started; KeyboardInterrupt passes.
    """
    frame = _frame(settings)
    names = (ATTACKER, *HONEST)
    with tempfile.TemporaryDirectory(prefix='visionscaling-fuzz-') as folder:
        if settings.address:
            tokens = dict.fromkeys(names, settings.token)
            running: contextlib.AbstractContextManager[RunningServer | None]
            running = contextlib.nullcontext()
        else:
            tokens = {name: new_token() for name in names}
            robots_file = Path(folder) / 'robots.yaml'
            write_tokens(robots_file, tokens)
            running = running_server([settings.model], '--tokens', str(robots_file))
        with running as server:
            address = settings.address if server is None else server.address
            host, port = parse_address(address)
            target = Target(
                host=host,
                port=port,
                model=settings.model,
                input_size_px=settings.input_size_px,
                frame=frame.payload,
                token=tokens[ATTACKER],
                metrics_port=0 if server is None else server.metrics_port,
            )
            watch = _Watch(server, _robots(address, frame, tokens), on_progress)
            attacked = watch.run(settings, target)
            if server is not None:
                watch.server.exit_status = server.stop()
    robots = {name: robot_figures(robot) for name, robot in watch.robots.items()}
    attacks = dict(sorted(attacked.counts.items()))
    found = tuple(failures(settings, robots, watch.server, attacks))
    return FuzzReport(
        settings, watch.seconds, attacks, dict(attacked.errors), robots, watch.server, found
    )


class _Watch:
    """Lets honest robots work and looks at the server meanwhile."""

    def __init__(
        self,
        server: RunningServer | None,
        robots: dict[str, HonestRobot],
        on_progress: OnProgress,
    ) -> None:
        self._process = None if server is None else psutil.Process(server.process.pid)
        self._on_progress = on_progress
        self._started_s = time.monotonic()
        self.robots = robots
        self.server = ServerFigures()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started_s

    def run(self, settings: FuzzSettings, target: Target) -> Attackers:
        """Calm, attack, calm again."""
        with self._working():
            self._look(settings.calm_s)
            with attackers(target, settings.seed) as attacked:
                end_s = time.monotonic() + settings.seconds
                while time.monotonic() < end_s and not self.server.ended_early:
                    self._look(PERIOD_S)
                    attacked.collect()
            self._look(settings.calm_s)
        return attacked

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        for robot in self.robots.values():
            robot.start()
        try:
            yield
        finally:
            for robot in self.robots.values():
                robot.stop()

    def _look(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and not self.server.ended_early:
            if self._process is not None:
                try:
                    self.server.look(self._process)
                except psutil.Error:
                    self.server.ended_early = True
            served = sum(robot.outcomes.get('served', 0) for robot in self.robots.values())
            expected = sum(robot.expected for robot in self.robots.values())
            sizes = self.server.memory_mib
            memory = f', {sizes[-1]:.0f} MiB' if sizes else ''
            self._on_progress(self.seconds, f'{served} of {expected} served{memory}')
            time.sleep(PERIOD_S)


def _robots(address: str, frame: OffloadFrame, tokens: Mapping[str, str]) -> dict[str, HonestRobot]:
    newcomer = HONEST[-1]
    robots = {name: HonestRobot(address, frame, token=tokens[name]) for name in HONEST[:-1]}
    robots[newcomer] = HonestRobot(
        address, frame, token=tokens[newcomer], rate_fps=NEWCOMER_RATE_FPS, reconnect=True
    )
    return robots


def _frame(settings: FuzzSettings) -> OffloadFrame:
    picture = SyntheticSource(settings.seed, 640, 480, 30.0).read().image_bgr
    jpeg = encode_jpeg(resize_for_upload(picture, settings.input_size_px))
    return OffloadFrame(1, 1, settings.model, settings.input_size_px, jpeg, 640, 480, 0.0)
