"""Manifests: what there is to know about a model of one's own, as a YAML file.

docs/models.md explains every field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.fields import Fields, read_fields
from visionscaling_ros.vision.accuracy_table import load_accuracy_table
from visionscaling_ros.vision.class_sets import CLASS_SETS
from visionscaling_ros.vision.decoders.output_format import OutputFormat, read_output_format
from visionscaling_ros.vision.input_format import InputFormat, read_input_format
from visionscaling_ros.vision.letterbox import STRIDE_PX
from visionscaling_ros.vision.upload_format import UploadFormat, read_upload_format
from visionscaling_ros.vision.user_folders import data_folder

FORMATS = ('vsdet', 'torchscript', 'torch_export', 'onnx')
MAX_SIZE_PX = 4096
_SHA256 = re.compile('[0-9a-f]{64}')
_NAME = re.compile('[A-Za-z0-9][A-Za-z0-9_.-]*')


@dataclass(frozen=True)
class Download:
    """Where a public model's file is, and how large."""

    url: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """A model (for vsdet: a network of several widths, each a model of its own).

    :param path: the manifest's own file.
    :param file: the network's file; it need not be there.
    :param widths: share of the channels of each model by name; (None,) where there is one width.
    :param accuracies_map: mAP 50:95 by model name and input size [px], where measured.
    """

    path: Path
    name: str
    format: str
    file: Path
    sha256: str | None
    download: Download | None
    input_sizes_px: tuple[int, ...]
    input: InputFormat
    output: OutputFormat
    upload: UploadFormat
    score_threshold: float
    iou_threshold: float
    max_detections: int
    class_names: tuple[str, ...]
    widths: Mapping[str, float | None]
    accuracies_map: Mapping[str, Mapping[int, float]]


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest.

    :raises InvalidValueError: naming the file, the field, its value and what is allowed.
    """
    top = read_fields(path, 'manifest')
    name = _name(top.text('name'), top.name_of('name'))
    network_format = top.choice('format', FORMATS)
    download = _download(top.mapping('download')) if top.has('download') else None
    file = Path(top.text('file'))
    sizes_px = _input_sizes_px(top)
    widths = _widths(top, name, network_format)
    accuracies_map = _accuracies(top, path, tuple(widths), sizes_px)
    output = read_output_format(top.mapping('output'))
    manifest = Manifest(
        path=path,
        name=name,
        format=network_format,
        # beside the manifest, or where downloads are put
        file=(data_folder() / 'models' if download else path.parent) / file,
        sha256=_sha256(top) if top.has('sha256') else None,
        download=download,
        input_sizes_px=sizes_px,
        input=read_input_format(top.mapping('input')),
        output=output,
        upload=read_upload_format(top.mapping('offload', optional=True), network_format, output),
        score_threshold=top.number('score_threshold', 0.001, 0.999, 0.05),
        iou_threshold=top.number('iou_threshold', 0.0, 1.0, 0.55),
        max_detections=top.whole('max_detections', 1, 1000, 100),
        class_names=_class_names(top),
        widths=widths,
        accuracies_map=accuracies_map,
    )
    top.done()
    if manifest.format == 'vsdet' and manifest.output.name != 'vsdet':
        raise InvalidValueError(
            f'{path}: output.decoder', manifest.output.name, 'vsdet with format vsdet'
        )
    return manifest


def _name(text: str, field: str) -> str:
    if not _NAME.fullmatch(text):
        raise InvalidValueError(field, text, 'letters, digits, _ . -, the first a letter or digit')
    return text


def _input_sizes_px(top: Fields) -> tuple[int, ...]:
    sizes_px = top.wholes('input_sizes_px', STRIDE_PX, MAX_SIZE_PX)
    ascending = list(sizes_px) == sorted(set(sizes_px))
    if not ascending or any(size_px % STRIDE_PX for size_px in sizes_px):
        raise InvalidValueError(
            top.name_of('input_sizes_px'), list(sizes_px), f'ascending multiples of {STRIDE_PX}'
        )
    return sizes_px


def _sha256(top: Fields) -> str:
    text = top.text('sha256')
    if not _SHA256.fullmatch(text):
        raise InvalidValueError(top.name_of('sha256'), text, '64 hexadecimal digits, lower case')
    return text


def _download(fields: Fields) -> Download:
    url = fields.text('url')
    if not url.startswith(('https://', 'http://')):
        raise InvalidValueError(fields.name_of('url'), url, 'an address with https:// or http://')
    size_bytes = fields.whole('size_bytes', 1, 10**11)
    fields.done()
    return Download(url, size_bytes)


def _class_names(top: Fields) -> tuple[str, ...]:
    """A list, or the name of one that many models share."""
    if isinstance(top.value('classes'), str):
        return CLASS_SETS[top.choice('classes', CLASS_SETS)]
    return top.texts('classes')


def _widths(top: Fields, name: str, network_format: str) -> Mapping[str, float | None]:
    if not top.has('widths'):
        return {name: None}
    if network_format != 'vsdet':
        raise InvalidValueError(top.name_of('widths'), network_format, 'only with format vsdet')
    fields = top.mapping('widths')
    models = fields.keys()
    if not models:
        raise InvalidValueError(top.name_of('widths'), {}, 'at least one model and its width')
    return {_name(str(m), fields.name_of('key')): fields.number(m, 0.01, 1.0) for m in models}


def _accuracies(
    top: Fields, path: Path, models: tuple[str, ...], sizes_px: tuple[int, ...]
) -> Mapping[str, Mapping[int, float]]:
    """Accuracies by model and size, from the file named or the manifest.

    What was not measured yet is not in it: `visionscaling evaluate` can only measure a model that
    the catalog knows.
    """
    unknown: dict[str, dict[int, float]] = {model: {} for model in models}
    if not top.has('accuracy'):
        return unknown
    fields = top.mapping('accuracy')
    if fields.has('file'):
        file = path.parent / fields.text('file')
        fields.done()
        if not file.exists():
            return unknown
        table = load_accuracy_table(file)
        return {
            model: {size_px: value.map_50_95 for size_px, value in table.get(model, {}).items()}
            for model in models
        }
    where = fields.name_of('map_50_95')
    content = fields.mapping('map_50_95')
    given = content.keys()
    for size_px in given:
        if size_px not in sizes_px:
            raise InvalidValueError(f'{where}: input size', size_px, list(sizes_px))
    if len(models) > 1:
        raise InvalidValueError(where, given, 'accuracy.file, where there are several widths')
    values = {size_px: content.number(size_px, 0.0, 1.0) for size_px in given}
    fields.text('source')  # nobody asks for it, but figures without one are worth nothing
    fields.done()
    return {models[0]: values}
