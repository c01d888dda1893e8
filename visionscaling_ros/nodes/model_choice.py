"""Checks of the parameters that name models and input sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from visionscaling_ros.errors import InvalidValueError
from visionscaling_ros.nodes.inference_files import catalog_of, profile_of
from visionscaling_ros.vision.catalog import Catalog


def check_inference_parameters(values: Mapping[str, Any]) -> None:
    """Raise InvalidValueError for models, sizes or files there are not."""
    catalog = catalog_of(values['model_manifests'])
    check_models(catalog, values['models'], sizes_to_offer_px(values))
    check_safe_point(
        catalog, values['models'], safe_model(values), values['safe_input_size_px']
    )
    if values['teacher_model']:
        catalog.entry(values['teacher_model'])
    profile_of(values['profile_file'])
    check_memory_limit(catalog, values['memory_limit_mib'], safe_model(values))


def safe_model(values: Mapping[str, Any]) -> str:
    """The safe model, named or not."""
    model: str = values['safe_model'] or values['models'][0]
    return model


def sizes_to_offer_px(values: Mapping[str, Any]) -> list[int]:
    """The input sizes named; none: all."""
    return [size for size in values['input_sizes_px'] if size]


def check_models(catalog: Catalog, models: Sequence[str], sizes_px: Sequence[int]) -> None:
    """Raise InvalidValueError for a model or an input size there is not."""
    allowed = ', '.join(catalog.names())
    if not models:
        raise InvalidValueError('models', models, f'at least one of {allowed}')
    for model in models:
        if model in catalog.downloadable():
            raise InvalidValueError('models', model, f'{allowed}; this one is not downloaded yet')
        if model not in catalog.names():
            raise InvalidValueError('models', model, allowed)
    offered_px = sorted({size for model in models for size in catalog.entry(model).input_sizes_px})
    for size in sizes_px:
        if size not in offered_px:
            raise InvalidValueError('input_sizes_px', size, offered_px)


def check_safe_point(
    catalog: Catalog, models: Sequence[str], model: str, input_size_px: int
) -> None:
    """Raise InvalidValueError for a safe model that is not offered or lacks that size.

    :param input_size_px: 0 for the middle one it has.
    """
    if model not in models:
        raise InvalidValueError('safe_model', model, ', '.join(models))
    sizes_px = catalog.entry(model).input_sizes_px
    if input_size_px and input_size_px not in sizes_px:
        raise InvalidValueError('safe_input_size_px', input_size_px, sizes_px)


def check_memory_limit(catalog: Catalog, memory_limit_mib: float, model: str) -> None:
    """Raise InvalidValueError for a limit that the safe model does not fit in; 0 is none."""
    least_mib = catalog.entry(model).memory_bytes / 2**20
    if 0.0 < memory_limit_mib < least_mib:
        raise InvalidValueError(
            'memory_limit_mib',
            memory_limit_mib,
            f'0 (none), or {least_mib:.1f} MiB and more, which the safe model {model} takes',
        )
