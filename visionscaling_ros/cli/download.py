"""``visionscaling download``: fetch public models; the only command that uses the internet."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.vision.catalog import built_in_catalog

HELP = 'fetch public models (YOLOX) from their publishers'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('models', nargs='*', metavar='MODEL', help='none: list what there is')
    parser.add_argument(
        '--manifest', nargs='+', type=Path, default=[], metavar='FILE', help='models of your own'
    )


def run(arguments: argparse.Namespace) -> int:
    """Fetch the models that are not there yet, or list them."""
    from visionscaling_ros.vision.downloads import download_model  # noqa: PLC0415
    from visionscaling_ros.vision.model_loading import check_file  # noqa: PLC0415

    catalog = built_in_catalog().with_manifests(arguments.manifest)
    for name in arguments.models:
        entry = catalog.entry(name)
        if entry.manifest.download is None:
            known = [*catalog.names(), *catalog.downloadable()]
            public = [other for other in known if catalog.entry(other).manifest.download]
            raise InvalidValueError('model', name, f'one with a download: {", ".join(public)}')
    if not arguments.models:
        for name in catalog.downloadable():
            source = catalog.entry(name).manifest.download
            if source is not None:
                print(f'{name}  {source.size_bytes / 1e6:.1f} MB  {source.url}')
        return 0
    columns = (
        TextColumn('{task.description}'), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    for name in arguments.models:
        manifest = catalog.entry(name).manifest
        if manifest.file.is_file():
            check_file(manifest)
            print(f'{name}: {manifest.file} is there')
            continue
        size_bytes = manifest.download.size_bytes if manifest.download else None
        with Progress(*columns) as bar:
            task = bar.add_task(name, total=size_bytes)
            sha256 = download_model(manifest, partial(_show, bar, task))
        origin = 'as published' if manifest.sha256 else 'written down, no other is accepted now'
        print(f'{name}: {manifest.file}\n  sha256 {sha256} ({origin})')
    return 0


def _show(bar: Progress, task: TaskID, received_bytes: int) -> None:
    bar.update(task, completed=received_bytes)
