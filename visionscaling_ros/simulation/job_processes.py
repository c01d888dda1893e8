"""Jobs in processes of their own, as many at a time as there are cores to use."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

JobT = TypeVar('JobT')
Emit = Callable[[Any], None]
Work = Callable[[JobT, Emit], None]

# Each process has one core to itself: the threads of a linear algebra library would only fight.
ONE_THREAD = dict.fromkeys(('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'), '1')


@dataclass(frozen=True)
class Emitted:
    """Something job number ``index`` handed out."""

    index: int
    value: Any


@dataclass(frozen=True)
class Ended:
    """Job number ``index`` is over; ``error`` is empty if it did all of its work."""

    index: int
    error: str = ''


def run_in_processes(
    work: Work[JobT], jobs: Sequence[JobT], processes: int
) -> Generator[Emitted | Ended, None, None]:
    """Run ``work(job, emit)`` for every job and yield what each emits, then that it ended.

    A job that raises, or whose process dies, ends with an error and the others go on. Processes
    still at work when the caller stops iterating, or is interrupted, are ended at once.

    :param work: a function of a module, as each process imports it anew.
    """
    context = multiprocessing.get_context('spawn')
    waiting = deque(range(len(jobs)))
    running: dict[Connection, tuple[int, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                index = waiting.popleft()
                receiver, sender = context.Pipe(duplex=False)
                process: BaseProcess = context.Process(
                    target=_run_job, args=(work, jobs[index], index, sender), daemon=True
                )
                with _child_surroundings():
                    process.start()
                sender.close()  # so that the end of the process ends what there is to receive
                running[receiver] = (index, process)
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                index, process = running[ready]
                event = _receive(ready, index, process)
                if isinstance(event, Ended):
                    del running[ready]
                    ready.close()
                    process.join()
                yield event
    finally:
        for _, process in running.values():
            process.terminate()
        for receiver, (_, process) in running.items():
            process.join()
            receiver.close()


def _receive(receiver: Connection, index: int, process: BaseProcess) -> Emitted | Ended:
    try:
        event = receiver.recv()
    except EOFError:
        process.join()
        return Ended(index, f'its process ended with status {process.exitcode}')
    assert isinstance(event, (Emitted, Ended))
    return event


def _run_job(work: Work[JobT], job: JobT, index: int, sender: Connection) -> None:
    error = ''
    with suppress(BrokenPipeError):  # nobody is left to tell
        try:
            work(job, lambda value: sender.send(Emitted(index, value)))
        except BrokenPipeError:
            raise
        except Exception as raised:  # whatever it is, the other jobs go on
            error = describe_error(raised)
        sender.send(Ended(index, error))


def describe_error(error: BaseException) -> str:
    """What was raised and where, in one line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = ' '.join(str(error).split())
    return f'{type(error).__name__}: {text} ({os.path.basename(last.filename)}:{last.lineno})'


@contextmanager
def _child_surroundings() -> Iterator[None]:
    """What a process started within inherits: one thread, and Ctrl-C left to its parent."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
