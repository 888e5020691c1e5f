"""Reading .db3 files (rosbag2's sqlite3 storage): message by message, skipping for free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import apsw

from training.bags.mcap_records import Channel
from training.bags.raw_message import BagDamageError, RawMessage, Topic

_REMEDY = 'try `sqlite3 BROKEN.db3 .recover | sqlite3 REPAIRED.db3` and extract from that'


class SqliteFile:
    """A .db3 file, open for reading.

    Only the tables that every rosbag2 since Dashing writes are used, so that recordings without
    message definitions (Humble and older) read like all others.

    Args:
        path: the file.

    Raises:
        BagDamageError: it is no sqlite database, or one without rosbag2's tables.

    Attributes:
        damage: what could not be read so far, one sentence each.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: list[str] = []
        self._torn = False
        # A recorder that was killed leaves its newest messages in the -wal file, which sqlite
        # reads only when it may lock; everything else is read without touching the folder.
        wal = path.with_name(f'{path.name}-wal')
        mode = 'mode=ro' if wal.exists() and wal.stat().st_size else 'immutable=1'
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        try:
            self._base = apsw.Connection(f'file:{quote(str(path))}?{mode}', flags=flags)
            self._topics = self._read_topics()
        except apsw.Error as error:
            raise BagDamageError(f'{path} cannot be read: {error}; {_REMEDY}') from error

    def _read_topics(self) -> dict[int, tuple[str, str]]:
        # As bytes, because damage need not be text.
        query = 'SELECT id, CAST(name AS BLOB), CAST(type AS BLOB) FROM topics ORDER BY id'
        try:
            rows = list(self._base.execute(query))
        except apsw.CorruptError as error:
            # Without this sqlite refuses a file that is shorter than its first page says.
            self._base.execute('PRAGMA writable_schema=ON')
            self._torn = True
            rows = list(self._base.execute(query))
            self._tell(error)
        return {
            number: (_text(name), _text(msgtype))
            for number, name, msgtype in rows
            if isinstance(number, int)
        }

    def close(self) -> None:
        """Close the file; messages that were handed out cannot be read any more."""
        self._base.close()

    def topics(self) -> list[Topic]:
        """The topics and their numbers of messages; of a damaged file, the readable ones."""
        counts: Counter[int] = Counter()
        try:
            for (number,) in self._base.execute('SELECT topic_id FROM messages NOT INDEXED'):
                counts[number] += 1
        except (apsw.Error, UnicodeDecodeError) as error:
            self._tell(error)
        return [
            Topic(name, msgtype, counts[number])
            for number, (name, msgtype) in self._topics.items()
        ]

    def channels(self) -> list[Channel]:
        """What the file says of its topics; definitions and hashes came after Humble."""
        definitions = {
            str(row['topic_type']): (
                str(row.get('encoded_message_definition') or ''),
                str(row.get('encoding') or ''),
            )
            for row in self._rows('message_definitions')
        }
        return [
            Channel(
                str(row['name']),
                str(row['type']),
                *definitions.get(str(row['type']), ('', '')),
                str(row.get('offered_qos_profiles') or ''),
                str(row.get('type_description_hash') or ''),
            )
            for row in self._rows('topics')
        ]

    def _rows(self, table: str) -> list[dict[str, object]]:
        """All rows of a small table with the columns it has; empty where there is none."""
        try:
            cursor = self._base.execute(f'SELECT * FROM {table} ORDER BY id')
            return [
                dict(zip((column[0] for column in cursor.description), row, strict=True))
                for row in cursor
            ]
        except (apsw.Error, UnicodeDecodeError):
            return []

    def messages(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """The messages of some topics, in the order of their record times."""
        numbers = [number for number, (name, _) in self._topics.items() if name in topics]
        places = ','.join('?' * len(numbers))
        hint = 'NOT INDEXED' if self._torn else ''
        wanted = f'WHERE topic_id IN ({places})'
        order = 'ORDER BY id' if self._torn else 'ORDER BY timestamp, id'
        query = f'SELECT id, topic_id, timestamp FROM messages {hint} {wanted} {order}'
        try:
            for row, number, record_ns in self._base.execute(query, numbers):
                name, msgtype = self._topics[number]
                if isinstance(record_ns, int):  # anything else is damage
                    yield RawMessage(name, msgtype, record_ns, partial(self._read, row))
        except (apsw.Error, UnicodeDecodeError) as error:
            self._tell(error)

    def _read(self, row: int, size: int | None) -> bytes:
        """The first bytes of a message, without reading its other pages; or all of them."""
        try:
            with self._base.blob_open('main', 'messages', 'data', row, False) as blob:
                return blob.read(blob.length() if size is None else min(size, blob.length()))
        except apsw.Error as error:
            raise BagDamageError(
                f'message {row} of {self.path.name} cannot be read: {error}; {_REMEDY}'
            ) from error

    def _tell(self, error: Exception) -> None:
        text = f'{self.path.name} is damaged ({error}): what followed is lost; {_REMEDY}'
        if text not in self.damage:
            self.damage.append(text)


def _text(value: object) -> str:
    return value.decode(errors='replace') if isinstance(value, bytes) else ''
