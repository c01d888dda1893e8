"""Writes a model repository for Triton Inference Server from manifests.

Layout: https://github.com/triton-inference-server/server (docs/user_guide/model_repository.md).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import read_fields
from visionscaling_ros.serving.repository_code import write_step_code
from visionscaling_ros.serving.repository_config import (
    as_text,
    ensemble_config,
    network_config,
    postprocess_config,
    preprocess_config,
)
from visionscaling_ros.serving.repository_network import (
    NetworkTensors,
    backend_for,
    write_network,
)
from visionscaling_ros.serving.repository_options import RepositoryOptions
from visionscaling_ros.serving.triton_steps import SETTINGS_FILE
from visionscaling_ros.vision.model_entry import ModelEntry

VERSION = '1'


def write_repository(
    entries: Sequence[ModelEntry],
    folder: Path,
    options: RepositoryOptions,
    on_model: Callable[[str], None] = lambda name: None,
) -> None:
    """Write the models, each whole or not at all.

    A model whose manifest sends a JPEG becomes pre-processing, network, post-processing, and under
    its own name an ensemble of the three; one that sends the tensor is the network alone.

    :param on_model: told every model's name once it is written.
    :raises InvalidValueError: a model that is there already or that the backend cannot run.
    :raises ModelError: a network's file that cannot be used; an extra that is not installed.
    :raises OSError: it cannot be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        backend = backend_for(entry, options.backend)
        for name in _names(entry):
            if (folder / name).exists():
                raise InvalidValueError('out', str(folder / name), 'a folder without this model')
        with tempfile.TemporaryDirectory(prefix='.partial-', dir=folder) as partial:
            _write_model(entry, backend, Path(partial), options)
            for name in _names(entry):
                (Path(partial) / name).rename(folder / name)
        on_model(entry.name)


def _names(entry: ModelEntry) -> tuple[str, ...]:
    """The folders of a model; its own name last, as servers may look while it is written."""
    if entry.manifest.upload.sends_tensor:
        return (entry.name,)
    return (*_step_names(entry), entry.name)


def _step_names(entry: ModelEntry) -> tuple[str, str, str]:
    return (f'{entry.name}_preprocess', f'{entry.name}_network', f'{entry.name}_postprocess')


def _write_model(
    entry: ModelEntry, backend: str, folder: Path, options: RepositoryOptions
) -> None:
    preprocess, network, postprocess = _step_names(entry)
    if entry.manifest.upload.sends_tensor:
        _write_network_model(entry, entry.name, backend, folder, options)
        return
    tensors = _write_network_model(entry, network, backend, folder, options)
    for name, model_class, config in (
        (preprocess, 'PreprocessModel', preprocess_config(preprocess, tensors, options)),
        (postprocess, 'PostprocessModel', postprocess_config(postprocess, tensors, options)),
    ):
        version = _start_model(folder / name, config)
        write_step_code(version, model_class)
        (version / SETTINGS_FILE).write_text(_settings(entry), encoding='utf-8')
    _start_model(folder / entry.name, ensemble_config(entry, tensors, _step_names(entry)))


def _write_network_model(
    entry: ModelEntry, name: str, backend: str, folder: Path, options: RepositoryOptions
) -> NetworkTensors:
    version = folder / name / VERSION
    version.mkdir(parents=True)
    tensors = write_network(entry, backend, version)
    _start_model(folder / name, network_config(name, backend, tensors, options))
    if backend == 'python':
        write_step_code(version, 'NetworkModel')
    return tensors


def _start_model(folder: Path, config: Any) -> Path:
    """Write the configuration; returns the folder of its one version, which has to be there."""
    version = folder / VERSION
    version.mkdir(parents=True, exist_ok=True)
    (folder / 'config.pbtxt').write_text(as_text(config), encoding='utf-8')
    return version


def _settings(entry: ModelEntry) -> str:
    """The part of the manifest that says how to make the input and read the output."""
    manifest = entry.manifest
    top = read_fields(manifest.path, 'manifest')
    settings = {
        'name': entry.name,
        'input': top.value('input'),
        'output': top.value('output'),
        'input_sizes_px': manifest.input_sizes_px,
        'score_threshold': manifest.score_threshold,
        'iou_threshold': manifest.iou_threshold,
        'max_detections': manifest.max_detections,
        'classes': manifest.class_names,
    }
    return json.dumps(settings, indent=1)
