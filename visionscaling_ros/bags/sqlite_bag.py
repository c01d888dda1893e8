"""A SQLite file of a bag, as it is read."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rosbags.interfaces import MessageDefinition
from rosbags.rosbag2.metadata import parse_qos

from visionscaling_ros.bags.mcap_records import ENCODINGS
from visionscaling_ros.bags.skipped import Skipped
from visionscaling_ros.bags.stored import DAMAGED, NO_DEFINITION, BagMessage, BagTopic
from visionscaling_ros.errors import InvalidValueError

Row = tuple[int, int, int, bytes]  # id, topic, log time, message
LAST_ID = 2**63 - 1


class SqliteBag:
    """A file of rosbag2's storage ``sqlite3``, of any version of its schema.

    One that is damaged is read without its index, page by page, as far as it can be.

    :raises InvalidValueError: it is no such file, or nothing of it can be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.stat().st_size:
            raise InvalidValueError('bag', str(path), 'a rosbag2 SQLite file; it is empty')
        log = path.with_name(f'{path.name}-wal')
        # Immutable needs no right to write beside it, but overlooks what is only in the log.
        mode = 'mode=ro' if log.is_file() and log.stat().st_size else 'immutable=1'
        self._database = sqlite3.connect(f'{path.resolve().as_uri()}?{mode}', uri=True)
        try:
            self.damage = ''
            self.start_ns = self.end_ns = 0
            self._names: dict[int, BagTopic] = {}
            self._open()
        except (sqlite3.Error, KeyError, TypeError, ValueError) as error:
            self._database.close()
            raise InvalidValueError('bag', str(path), f'a rosbag2 SQLite file ({error})') from error
        self.topics = tuple(self._names.values())

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    def messages(
        self,
        topics: Collection[str] | None,
        start_ns: int | None,
        stop_ns: int | None,
        skipped: Skipped,
    ) -> Iterator[BagMessage]:
        """As ``Storage.messages``; a damaged file's in the order they were written."""
        if self.damage:
            skipped.add(self._path.name, f'{DAMAGED}: {self.damage}')
        start_ns = start_ns or 0
        wanted = {
            number: topic
            for number, topic in self._names.items()
            if topics is None or topic.name in topics
        }
        for _, number, log_ns, data in self._rows(wanted, start_ns, skipped):
            topic = wanted.get(number)
            if topic is None:
                continue
            if not isinstance(data, bytes) or not isinstance(log_ns, int):
                skipped.add(topic.name, DAMAGED)
            elif start_ns <= log_ns and (stop_ns is None or log_ns < stop_ns):
                yield BagMessage(topic.name, topic.message_type, log_ns, data)

    def _open(self) -> None:
        database = self._database
        try:
            self._names = dict(self._read_topics())
        except sqlite3.DatabaseError as error:
            # Shorter than its header says: SQLite then opens it only this way.
            self.damage = str(error)
            database.execute('PRAGMA writable_schema=ON')
            self._names = dict(self._read_topics())
        counts: Counter[int] = Counter()
        try:
            counts.update(
                dict(database.execute('SELECT topic_id, count(*) FROM messages GROUP BY 1'))
            )
            begin_ns, end_ns = database.execute(
                'SELECT min(timestamp), max(timestamp) FROM messages'
            ).fetchone()
        except sqlite3.DatabaseError as error:
            self.damage = self.damage or str(error)
            times = []
            for _, number, log_ns, _ in self._salvaged(0, Skipped()):
                counts[number] += 1
                times.append(log_ns)
            if not times:
                raise
            begin_ns, end_ns = min(times), max(times)
        if begin_ns is not None:
            self.start_ns, self.end_ns = int(begin_ns), int(end_ns) + 1
        self._names = {
            number: BagTopic(**{**vars(topic), 'count': counts[number]})
            for number, topic in self._names.items()
        }

    def _read_topics(self) -> Iterator[tuple[int, BagTopic]]:
        definitions = {}
        for row in self._table('message_definitions'):
            kind = ENCODINGS.get(row['encoding'])
            if kind:
                text = row['encoded_message_definition']
                definitions[row['topic_type']] = MessageDefinition(kind, text)
        for row in self._table('topics', needed=True):
            if not (isinstance(row['name'], str) and isinstance(row['type'], str)):
                continue
            try:
                qos = tuple(parse_qos(row.get('offered_qos_profiles', '')))
            except Exception:  # whatever is written there, the messages can be read
                qos = ()
            definition = definitions.get(row['type'], NO_DEFINITION)
            encoding = row['serialization_format']
            yield row['id'], BagTopic(row['name'], row['type'], 0, qos, definition, encoding)

    def _table(self, name: str, *, needed: bool = False) -> list[dict[str, Any]]:
        there = self._database.execute(
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)
        ).fetchone()[0]
        if not there and not needed:
            return []
        cursor = self._database.execute(f'SELECT * FROM {name}')
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def _rows(
        self, wanted: Collection[int], start_ns: int, skipped: Skipped
    ) -> Iterator[Row]:
        """Rows by time, of the topics wanted; of a damaged file of others too."""
        if self.damage:
            yield from self._salvaged(0, skipped)
            return
        last = -1
        try:
            for row in self._database.execute(
                'SELECT id, topic_id, timestamp, data FROM messages WHERE timestamp >= ?'
                f' AND topic_id IN ({", ".join("?" * len(wanted))}) ORDER BY timestamp',
                (start_ns, *wanted),
            ):
                last = row[0]
                yield row
        except sqlite3.DatabaseError as error:
            skipped.add(self._path.name, f'{DAMAGED}: {error}')
            yield from self._salvaged(last + 1, Skipped())

    def _salvaged(self, first: int, skipped: Skipped) -> Iterator[Row]:
        """Rows from a number on, without the index; beyond a bad page it looks further on."""
        step = 1
        while first < LAST_ID:
            try:
                for row in self._database.execute(
                    'SELECT id, topic_id, timestamp, data FROM messages NOT INDEXED'
                    ' WHERE id >= ? ORDER BY id',
                    (first,),
                ):
                    if row[0] < first:  # a bad page may point back
                        continue
                    first, step = row[0] + 1, 1
                    if isinstance(row[2], int) and row[2] > 0:  # SQLite reads what is cut off as 0
                        yield row
                    else:
                        skipped.add(self._path.name, f'{DAMAGED}: a message')
            except sqlite3.DatabaseError:
                skipped.add(self._path.name, f'{DAMAGED}: a page')
                first, step = first + step, 2 * step
            else:
                return
