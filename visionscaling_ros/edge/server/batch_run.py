"""Runs a batch so that nothing a model does ends the thread it runs in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from visionscaling_ros.edge.server.model_runner import ModelRunner, RunResult
from visionscaling_ros.edge.wire.protocol import InferCall
from visionscaling_ros.errors import ModelError


def run_batch(
    runner: ModelRunner, model: str, calls: Sequence[InferCall]
) -> list[RunResult | Exception]:
    """What the runner gives for each call; if it raises, each is tried alone."""
    try:
        results: list[RunResult | Exception] = list(runner.run(model, calls))
    except Exception as error:
        if len(calls) == 1:
            return [error]
        return [result for call in calls for result in run_batch(runner, model, [call])]
    if len(results) != len(calls):
        text = f'model {model}: {len(results)} results for {len(calls)} requests'
        return [ModelError(text) for _ in calls]
    return results


def resolve(results: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    """Hand results and errors to the event loop that waits for them, all at once."""

    def deliver() -> None:
        for future, result in results:
            if future.done():  # who asked has gone
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

    if results:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            results[0][0].get_loop().call_soon_threadsafe(deliver)
