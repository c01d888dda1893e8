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
    check_safe_point(catalog, values['models'], values['safe_model'], values['safe_input_size_px'])
    if values['teacher_model']:
        catalog.entry(values['teacher_model'])
    profile_of(values['profile_file'])


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

    :param model: empty for the first of ``models``.
    :param input_size_px: 0 for the middle one it has.
    """
    model = model or models[0]
    if model not in models:
        raise InvalidValueError('safe_model', model, ', '.join(models))
    sizes_px = catalog.entry(model).input_sizes_px
    if input_size_px and input_size_px not in sizes_px:
        raise InvalidValueError('safe_input_size_px', input_size_px, sizes_px)
