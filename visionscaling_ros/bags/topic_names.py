"""Names of topics."""

from __future__ import annotations


def absolute(name: str) -> str:
    """A name or pattern from the root: some leave the first slash out."""
    return name if name.startswith(('/', '*')) else f'/{name}'


def namespace_of(topic: str) -> str:
    """The namespace a topic is in, such as ``/`` or ``/drone1``."""
    return topic.rpartition('/')[0] or '/'
