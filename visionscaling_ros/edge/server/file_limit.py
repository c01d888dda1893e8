"""Room for a server's connections among the files its process may have open."""

from __future__ import annotations

import contextlib
import logging
import resource

_logger = logging.getLogger(__name__)

# Models, libraries, pipes and gRPC's own files.
OTHER_FILES = 128


def reserve_files(connections: int) -> None:
    """Raise the process's limit as far as it may be raised; warn where that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # refused where the hard limit is above what the kernel allows any process
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < connections + OTHER_FILES:
        _logger.warning(
            'this process may open %d files, %d connections need %d: raise ulimit -n, '
            'or allow fewer connections',
            hard,
            connections,
            connections + OTHER_FILES,
        )
