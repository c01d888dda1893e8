"""Writes a bag as rosbag2 has it, so that what is in it stays readable whatever happens."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType

from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from visionscaling_ros.bags.message_definitions import MessageDefinition
from visionscaling_ros.bags.storages import McapStorage, Sqlite3Storage
from visionscaling_ros.errors import InvalidValueError, VisionScalingError

STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
FLUSH_MESSAGES = 400
RESERVE_BYTES = 512 * 1024  # for what a bag ends with, should the disk be full by then
RESERVE = '.reserve'


class _Writer(Writer):
    STORAGE_PLUGINS = MappingProxyType(
        {StoragePlugin.MCAP: McapStorage, StoragePlugin.SQLITE3: Sqlite3Storage}
    )

class BagWriter:
    """A new bag. As a context manager it is finished at the end, also by an exception.

    :param path: its folder, which must not exist.
    :param storage: ``mcap`` or ``sqlite3``.
    :param compress: by zstd: chunks in mcap, messages in sqlite3.
    :raises InvalidValueError: a folder that cannot be made, or a storage there is not.
    """

    def __init__(
        self,
        path: str | Path,
        storage: str = 'mcap',
        *,
        compress: bool = False,
    ) -> None:
        if storage not in STORAGES:
            raise InvalidValueError('storage', storage, ', '.join(STORAGES))
        self.path = Path(path)
        if self.path.exists():
            raise InvalidValueError('out', str(path), 'a folder that does not exist yet')
        # 8: the last metadata Humble reads; 9 has QoS in a form it refuses
        self._writer = _Writer(self.path, version=8, storage_plugin=STORAGES[storage])
        if compress:
            mode = CompressionMode.STORAGE if storage == 'mcap' else CompressionMode.MESSAGE
            self._writer.set_compression(mode, CompressionFormat.ZSTD)
        try:
            self._writer.open()
            # random: some file systems keep no zeros
            (self.path / RESERVE).write_bytes(os.urandom(RESERVE_BYTES))
        except (OSError, sqlite3.OperationalError) as error:
            raise InvalidValueError('out', str(path), f'a folder to write ({error})') from error
        self._pending_bytes = self._pending_messages = 0
        self._kept_counts: dict[int, int] = {}
        self._kept_times_ns = self._writer.min_timestamp, self._writer.max_timestamp
        self._failure = ''
        self.closed = False

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def size(self) -> int:
        """What is on the disk [B]."""
        return 0 if self._writer.storage is None else self._storage.size

    @property
    def counts(self) -> dict[str, int]:
        """Messages by topic."""
        return {c.topic: self._writer.counts[c.id] for c in self._writer.connections}

    def add_topic(
        self,
        topic: str,
        message_type: str,
        definition: MessageDefinition,
        qos: Sequence[Qos] = (),
    ) -> Connection:
        """What ``write`` takes for the topic; raises as it does.

        :param qos: as its publishers offer it.
        """
        self._check()
        try:
            connection = self._writer.add_connection(
                topic,
                message_type,
                msgdef=definition.text,
                rihs01=definition.hash,
                offered_qos_profiles=qos,
            )
        except (OSError, sqlite3.OperationalError) as error:
            raise self._failed(error) from error
        self._kept_counts[connection.id] = 0
        self.flush()
        return connection

    def write(self, topic: Connection, log_ns: int, data: bytes | memoryview) -> None:
        """A message as it is serialised (CDR), received at ``log_ns`` [ns].

        Its data must not change until the next ``flush``. Raises VisionScalingError when the bag
        cannot grow any more; what it holds stays.
        """
        self._check()
        try:
            self._writer.write(topic, log_ns, data)
        except (OSError, sqlite3.OperationalError) as error:
            raise self._failed(error) from error
        self._pending_bytes += len(data)
        self._pending_messages += 1
        full = self._pending_bytes >= self._storage.FLUSH_BYTES
        if full or self._pending_messages >= FLUSH_MESSAGES:
            self.flush()

    def flush(self) -> None:
        """From here on what was written survives the end of this process; raises as ``write``."""
        self._check()
        try:
            self._storage.flush()
        except (OSError, sqlite3.OperationalError) as error:
            raise self._failed(error) from error
        self._pending_bytes = self._pending_messages = 0
        self._kept_counts = dict(self._writer.counts)
        self._kept_times_ns = self._writer.min_timestamp, self._writer.max_timestamp

    def close(self) -> None:
        """Write what a bag ends with; raises VisionScalingError when there is no room even for it.

        On a full disk the newest messages may have to go for it.
        """
        if self.closed:
            return
        self.closed = True
        if not (told := bool(self._failure)):
            with contextlib.suppress(VisionScalingError):
                self.flush()
        (self.path / RESERVE).unlink(missing_ok=True)
        if not sum(self._writer.counts.values()):
            self._writer.min_timestamp = self._writer.max_timestamp = 0
        try:
            self._finish()
        except (OSError, sqlite3.OperationalError) as error:
            self._writer.abort()
            raise VisionScalingError(f'{self.path} has no metadata.yaml: {error}') from error
        if not told:
            self._check()

    def _finish(self) -> None:
        while self._writer.storage is not None:
            try:
                self._writer.close()
            except OSError:
                if self._writer.storage is None:
                    raise
                for number, count in self._storage.shed().items():
                    self._writer.counts[number] -= count

    @property
    def _storage(self) -> McapStorage | Sqlite3Storage:
        storage = self._writer.storage
        assert isinstance(storage, McapStorage | Sqlite3Storage)
        return storage

    def _check(self) -> None:
        if self._failure:
            raise VisionScalingError(self._failure)

    def _failed(self, error: Exception) -> VisionScalingError:
        self._writer.counts.update(self._kept_counts)
        self._writer.min_timestamp, self._writer.max_timestamp = self._kept_times_ns
        self._failure = f'{self.path} cannot grow any more ({error}); what it holds is kept'
        return VisionScalingError(self._failure)
