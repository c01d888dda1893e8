"""Exit statuses that several commands share."""

from __future__ import annotations

INTERRUPTED = 130  # as shells tell of a program that Ctrl-C ended
PIPE_CLOSED = 141  # as shells tell of a program that SIGPIPE ended
