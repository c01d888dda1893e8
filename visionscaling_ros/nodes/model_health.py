"""The state of frames and models, for diagnostics."""

from __future__ import annotations

from collections.abc import Mapping

from visionscaling_ros.nodes.managed_node import ERROR, WARN
from visionscaling_ros.nodes.model_shelf import ModelShelf
from visionscaling_ros.pipeline.frame_books import BooksSnapshot


def describe_books(books: BooksSnapshot) -> dict[str, object]:
    """What became of the frames."""
    return {
        'arrived': books.arrived,
        'processed_local': books.processed_local,
        'processed_edge': books.processed_edge,
        'dropped': books.dropped,
        'in_flight': books.in_flight,
        **{f'dropped_{reason}': count for reason, count in books.drop_counts.items()},
    }


def describe_models(shelf: ModelShelf) -> dict[str, object]:
    """What is on offer, and what of it is in memory."""
    return {
        'models_offered': ', '.join(shelf.offered),
        'models_in_memory': ', '.join(shelf.in_memory),
        'models_memory_mib': shelf.memory_bytes / 2**20,
    }


def model_trouble(
    shelf: ModelShelf, out_of_service: Mapping[str, str]
) -> tuple[bytes, str] | None:
    """Level and words where a model cannot run; None while all can.

    :param out_of_service: models that failed while running, and how.
    """
    words = [f'{model} is out of service: {cause}' for model, cause in out_of_service.items()]
    if words and not shelf.costs.points():
        return ERROR, f'no model is left: {"; ".join(words)}; trying again'
    words += shelf.troubles.values()
    return (WARN, '; '.join(words)) if words else None
