"""A command whose process ends with the one that started it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence

# Runs in the new process. What subprocess can call between fork and exec (preexec_fn) would need a
# real fork, and that wakes gRPC's threads in the child: now and then they abort it before its exec.
_TIE = """
import ctypes, os, sys
pr_set_pdeathsig = 1  # linux/prctl.h
ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(sys.argv[2]))
if os.getppid() != int(sys.argv[1]):  # it died before this call
    sys.exit(1)
try:
    os.execvp(sys.argv[3], sys.argv[3:])
except OSError as error:
    sys.exit(f'{sys.argv[3]}: {error.strerror}')
"""


def tied_command(
    command: Sequence[str], environment: Mapping[str, str], number: int = signal.SIGTERM
) -> list[str]:
    """``command`` so that its process gets ``number`` when the thread that starts it ends.

    Raises FileNotFoundError for a program that is not there or may not be run.
    """
    if shutil.which(command[0], path=environment.get('PATH')) is None:
        raise FileNotFoundError(f'{command[0]} is no program that can be run')
    tie = (sys.executable, '-I', '-S', '-c', _TIE)
    return [*tie, str(os.getpid()), str(int(number)), *command]
