"""How a model repository is to be written."""

from __future__ import annotations

from dataclasses import dataclass

from visionscaling_ros.errors import InvalidValueError

BACKENDS = ('onnxruntime', 'pytorch', 'python')
DEVICES = ('cpu', 'gpu')


@dataclass(frozen=True)
class RepositoryOptions:
    """What decides how a server runs the networks. Raises InvalidValueError.

    :param backend: one of ``BACKENDS``; ``auto``: the first that runs the model's format.
    :param device: one of ``DEVICES``.
    :param instances: copies of the network that run at a time.
    :param threads: CPU threads of each.
    :param max_batch: images that run together at most.
    :param batch_delay_us: how long an image may wait for others [us].
    """

    backend: str = 'auto'
    device: str = 'cpu'
    instances: int = 1
    threads: int = 1
    max_batch: int = 8
    batch_delay_us: int = 1000

    def __post_init__(self) -> None:
        if self.backend not in ('auto', *BACKENDS):
            raise InvalidValueError('backend', self.backend, ', '.join(('auto', *BACKENDS)))
        if self.device not in DEVICES:
            raise InvalidValueError('device', self.device, ', '.join(DEVICES))
        for name, low, high in (
            ('instances', 1, 256),
            ('threads', 1, 1024),
            ('max_batch', 1, 1024),
            ('batch_delay_us', 0, 10_000_000),
        ):
            if not low <= getattr(self, name) <= high:
                raise InvalidValueError(name, getattr(self, name), f'{low} to {high}')
