"""``visionscaling train``: train a zoo model on generated scenes."""

from __future__ import annotations

import argparse
from pathlib import Path

from visionscaling_ros.vision.model_zoo import available_models

HELP = 'train a detector of the zoo on generated street scenes (CPU, minutes)'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument('--model', required=True, choices=available_models())
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument('--minutes', type=float, help='stop after this long')
    length.add_argument('--steps', type=int, help='stop after this many steps of 16 pictures')
    parser.add_argument('--out', type=Path, required=True, help='weights to write (.safetensors)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=int, default=1, help='CPU threads for the network')


def run(arguments: argparse.Namespace) -> int:
    """Train, showing progress; goes on from the checkpoint beside ``--out`` if there is one."""
    import torch  # noqa: PLC0415 (only this command needs it)
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    from visionscaling_ros.vision.training import trainer  # noqa: PLC0415

    torch.set_num_threads(arguments.threads)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    training = trainer.Trainer(
        arguments.model,
        arguments.out,
        steps=arguments.steps,
        minutes=arguments.minutes,
        seed=arguments.seed,
    )
    columns = (
        TextColumn('{task.description}'), BarColumn(), TextColumn('{task.percentage:.0f} %'),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns) as bar:
        task = bar.add_task(arguments.model, total=1.0)

        def report(progress: trainer.Progress) -> None:
            description = f'{arguments.model} step {progress.step} loss {progress.loss:.3f}'
            bar.update(task, completed=progress.share, description=description)

        training.run(report)
    print(f'wrote {arguments.out}')
    return 0
