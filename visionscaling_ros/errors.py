"""The package's errors. Each message says what was wrong, with which value, and what is allowed."""

from __future__ import annotations


class VisionScalingError(Exception):
    """Base of every error this package raises on purpose."""


class InvalidValueError(VisionScalingError, ValueError):
    """A value outside what is allowed."""

    def __init__(self, name: str, value: object, allowed: object) -> None:
        super().__init__(f'{name} = {value!r} is not allowed; allowed: {allowed}')
        self.name = name
        self.value = value
        self.allowed = allowed

    def __reduce__(self) -> tuple[type[InvalidValueError], tuple[str, object, object]]:
        # what an exception is pickled as otherwise does not fit __init__
        return type(self), (self.name, self.value, self.allowed)


class ImageFormatError(VisionScalingError):
    """An image message or file that cannot be turned into an array."""


class SourceError(VisionScalingError):
    """A camera, video or folder that cannot be opened or read."""


class ModelError(VisionScalingError):
    """A model whose file cannot be used, or that answered something no detector may."""


class EdgeError(VisionScalingError):
    """The edge server could not be reached or answered something unusable."""


class HardwareError(VisionScalingError):
    """A clock or meter could not be read or set."""
