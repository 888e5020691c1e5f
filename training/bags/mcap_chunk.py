"""Messages of an .mcap file on their way into a chunk."""

from __future__ import annotations

from training.bags import mcap_records as mcap
from training.bags.mcap_records import ChunkPlace


class Chunk:
    """Messages that will be compressed together."""

    def __init__(self) -> None:
        self.size = 0
        self._records: list[bytes] = []
        self._entries: dict[int, list[tuple[int, int]]] = {}

    def add(self, channel: int, record_ns: int, record: bytes) -> None:
        """Add the record of a message."""
        self._entries.setdefault(channel, []).append((record_ns, self.size))
        self._records.append(record)
        self.size += len(record)

    def pack(self, compression: str) -> tuple[bytes, int]:
        """The chunk as a record, and the size of its compressed data."""
        return mcap.chunk(self._times(), b''.join(self._records), compression)

    def placed(
        self, offset: int, packed: bytes, packed_size: int, compression: str
    ) -> tuple[bytes, ChunkPlace]:
        """What is written at an offset: the packed chunk and its indexes; and where they lie."""
        parts, indexes, position = [packed], {}, offset + len(packed)
        for channel, entries in sorted(self._entries.items()):
            indexes[channel] = position
            parts.append(mcap.message_index(channel, entries))
            position += len(parts[-1])
        times = self._times()
        place = ChunkPlace(
            min(times),
            max(times),
            offset,
            len(packed),
            'zstd' if compression == 'zstd' else '',
            (packed_size, self.size),
            indexes,
            position - offset - len(packed),
            {channel: len(entries) for channel, entries in self._entries.items()},
        )
        return b''.join(parts), place

    def _times(self) -> list[int]:
        return [time for entries in self._entries.values() for time, _ in entries]
