"""What came of an attack on an edge server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from visionscaling_ros.edge.server.server_limits import ServerLimits
from visionscaling_ros.trials.honest_robot import HonestRobot

MIB = 1 << 20
# What one robot may have under way by the server's limits, and half of it once more: gRPC still
# holds a message while Python copies it.
MEMORY_GROWTH_MIB = 1.5 * ServerLimits().requests_per_robot * ServerLimits().message_bytes / MIB


@dataclass(frozen=True)
class FuzzSettings:
    """What to attack and what is demanded of it.

    :param address: of a server that runs already, '' starts one.
    :param token: of a robot that server knows, for attackers and honest robots.
    :param memory_growth_mib: most by which the server's resident memory may grow.
    :param calm_s: before and after the attack.
    :param served_share: least part of the honest robots' frames that has to be served.
    """

    seconds: float
    seed: int = 0
    address: str = ''
    token: str = ''
    model: str = 'vsdet_n'
    input_size_px: int = 320
    memory_growth_mib: float = MEMORY_GROWTH_MIB
    served_share: float = 0.9
    calm_s: float = 3.0


@dataclass(frozen=True)
class RobotFigures:
    """What one honest robot got."""

    expected: int
    outcomes: dict[str, int]
    latency_p50_s: float | None
    latency_p99_s: float | None

    @property
    def served_share(self) -> float:
        """Part of its frames that was served."""
        return self.outcomes.get('served', 0) / self.expected if self.expected else 0.0


@dataclass
class ServerFigures:
    """The server's process over time; what it was at first, at most and in the end."""

    memory_mib: list[float] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    ended_early: bool = False
    exit_status: int | None = None

    def look(self, process: psutil.Process) -> None:
        """Add what it is now; raises psutil.Error when it is gone."""
        with process.oneshot():
            self.memory_mib.append(process.memory_info().rss / MIB)
            self.threads.append(process.num_threads())
            self.files.append(process.num_fds())

    @staticmethod
    def summary(values: list[Any]) -> dict[str, Any]:
        """First, most, last."""
        return {'start': values[0], 'max': max(values), 'end': values[-1]} if values else {}


@dataclass(frozen=True)
class FuzzReport:
    """What came of it; ``failures`` says in words what was not as demanded."""

    settings: FuzzSettings
    seconds: float
    attacks: dict[str, int]
    attack_errors: dict[str, int]
    robots: dict[str, RobotFigures]
    server: ServerFigures
    failures: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As JSON takes it; without the token."""
        server = self.server
        return {
            'settings': {k: v for k, v in asdict(self.settings).items() if k != 'token'},
            'seconds': self.seconds,
            'attacks': self.attacks,
            'attack_errors': self.attack_errors,
            'robots': {
                name: {**asdict(robot), 'served_share': robot.served_share}
                for name, robot in self.robots.items()
            },
            'memory_mib': server.summary(server.memory_mib),
            'memory_mib_over_time': server.memory_mib[:: max(1, len(server.memory_mib) // 20)],
            'threads': server.summary(server.threads),
            'files': server.summary(server.files),
            'exit_status': server.exit_status,
            'failures': list(self.failures),
        }


def robot_figures(robot: HonestRobot) -> RobotFigures:
    """The figures of a robot that was stopped."""
    times_s = sorted(robot.latencies_s)
    return RobotFigures(
        robot.expected, robot.outcomes, _quantile(times_s, 0.5), _quantile(times_s, 0.99)
    )


def failures(
    settings: FuzzSettings,
    robots: Mapping[str, RobotFigures],
    server: ServerFigures,
    attacks: Mapping[str, int],
) -> Iterator[str]:
    """What is not as demanded, in words."""
    if server.ended_early:
        yield 'the server ended'
    elif server.memory_mib and server.exit_status != 0:
        yield f'the server did not end cleanly: exit status {server.exit_status}'
    if server.memory_mib:
        growth_mib = max(server.memory_mib) - server.memory_mib[0]
        if growth_mib > settings.memory_growth_mib:
            yield f'memory grew by {growth_mib:.0f} MiB, allowed: {settings.memory_growth_mib:g}'
    for name, robot in robots.items():
        if robot.served_share < settings.served_share:
            yield (
                f'robot {name}: {robot.served_share:.1%} of its frames were served, '
                f'allowed: {settings.served_share:.0%} or more'
            )
    if not sum(attacks.values()):
        yield 'nothing was attacked'


def _quantile(sorted_values: Sequence[float], part: float) -> float | None:
    if not sorted_values:
        return None
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * part))]
