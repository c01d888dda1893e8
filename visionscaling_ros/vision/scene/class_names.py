"""The classes of generated scenes."""

from __future__ import annotations

CLASS_NAMES: tuple[str, ...] = ('person', 'cyclist', 'car', 'truck')
