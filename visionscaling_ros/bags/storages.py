"""The two storages of rosbag2, behind the writer of rosbags, that keep what a crash leaves."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

from rosbags.interfaces import Connection, MessageDefinitionFormat
from rosbags.rosbag2.enums import CompressionMode
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer

from visionscaling_ros.bags.mcap_storage import McapFile
from visionscaling_ros.errors import InvalidValueError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# As rosbag2's own defaults: a crash of the program loses nothing committed, one of the machine
# may. Large pages, kept in memory until the commit, make few writes of an image.
SETTINGS = """
    PRAGMA page_size = 65536;
    PRAGMA synchronous = OFF;
    PRAGMA cache_spill = OFF;
"""


class McapStorage:
    """MCAP; with ``CompressionMode.STORAGE`` its chunks are compressed by zstd."""

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        self.path = path / f'{path.name}.mcap'
        compressed = compression == CompressionMode.STORAGE
        self._file = McapFile(
            self.path, zstd.compress if compressed else None, 'zstd' if compressed else ''
        )

    FLUSH_BYTES = 4 * 2**20  # what a reader has to hold at once

    @property
    def size(self) -> int:
        """What is in the file [B]."""
        return self._file.size

    def shed(self) -> dict[int, int]:
        """As ``McapFile.shed``."""
        return self._file.shed()

    def add_msgtype(self, connection: Connection) -> None:
        """A message type."""
        definition = connection.msgdef
        encoding = 'ros2msg' if definition.format == MessageDefinitionFormat.MSG else 'ros2idl'
        self._file.add_schema(connection.msgtype, encoding, definition.data)

    def add_connection(self, connection: Connection, offered_qos_profiles: str) -> None:
        """A topic."""
        metadata = {'offered_qos_profiles': offered_qos_profiles}
        self._file.add_channel(
            connection.id, connection.topic, connection.msgtype, 'cdr', metadata
        )

    def write(self, connection: Connection, timestamp: int, data: bytes | memoryview) -> None:
        """A message; ``data`` must not change until the next ``flush``."""
        self._file.write(connection.id, timestamp, data)

    def flush(self) -> None:
        """What was written so far survives the end of this process."""
        self._file.flush()

    def close(self, version: int, metadata: str) -> None:
        """Write the index and close."""
        self._file.finish(metadata)

    def abort(self) -> None:
        """Close as it is."""
        self._file.close()


class Sqlite3Storage(Sqlite3Writer):
    """SQLite 3, committed now and then instead of once at the end."""

    FLUSH_BYTES = 8 * 2**20

    def __init__(self, path: Path, compression: CompressionMode) -> None:
        if compression == CompressionMode.STORAGE:
            raise InvalidValueError('compression', compression.name, 'by message')
        self.path = path / f'{path.name}.db3'
        # one thread opens the bag, another writes it
        self.conn = sqlite3.connect(self.path, check_same_thread=False)
        self.conn.executescript(SETTINGS + self.SQLITE_SCHEMA)
        self.cursor = self.conn.cursor()

    @property
    def size(self) -> int:
        """What is in the file [B]."""
        return self.path.stat().st_size

    def shed(self) -> dict[int, int]:
        """What was not committed when it failed is gone; no message committed has to go."""
        self.conn.rollback()
        return {}

    def flush(self) -> None:
        """Everything so far survives the end of this process; all of it, or nothing."""
        try:
            self.conn.commit()
        except sqlite3.OperationalError:
            self.conn.rollback()
            raise

    def close(self, version: int, metadata: str) -> None:
        """Close; without a copy of the metadata where there is no room for it."""
        try:
            super().close(version, metadata)
        except sqlite3.OperationalError:
            self.abort()
