"""A ROS domain of one's own, so that graphs on one machine do not meet."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from visionscaling_ros.errors import VisionScalingError
from visionscaling_ros.graph.environment import environment_set

DOMAINS = range(10, 100)  # above 101 a domain's ports overlap the kernel's ephemeral ones
VARIABLES = ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE')


@contextlib.contextmanager
def private_domain() -> Iterator[int]:
    """A ROS_DOMAIN_ID nobody else who asks here has meanwhile; raises VisionScalingError."""
    folder = Path(tempfile.gettempdir()) / f'visionscaling_ros-test-domains-{os.getuid()}'
    folder.mkdir(exist_ok=True)
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        with (folder / str(domain)).open('w') as lock_file:
            try:
                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            yield domain
            return
    raise VisionScalingError(f'every ROS domain from {DOMAINS[0]} to {DOMAINS[-1]} is taken')


@contextlib.contextmanager
def in_private_domain() -> Iterator[int]:
    """Put this process and what it starts into a domain of its own, on this machine only."""
    with (
        private_domain() as domain,
        environment_set(dict(zip(VARIABLES, (str(domain), 'LOCALHOST'), strict=True))),
    ):
        yield domain
