"""Approximate time synchronisation: each item with the reference nearest in time. No ROS."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar('Item')
Reference = TypeVar('Reference')


class Pairing(Generic[Item, Reference]):
    """Pairs items (clouds) with references (label images) by their stamps.

    An item waits until a reference that is not older has come: only then is the nearest known.
    References may be as late as an inference takes. A reference may serve several items.

    Args:
        tolerance_ns: largest difference of the stamps of a pair [ns].
        waiting: most items that wait; the oldest goes first.
        kept: most references that are remembered.

    Attributes:
        unpaired: items that went without a reference.
    """

    def __init__(self, tolerance_ns: int, waiting: int = 20, kept: int = 60) -> None:
        self._tolerance_ns = tolerance_ns
        self._most_waiting = waiting
        self._items: deque[tuple[int, Item]] = deque()
        self._references: deque[tuple[int, Reference]] = deque(maxlen=kept)
        self.unpaired = 0

    def add_reference(self, stamp_ns: int, reference: Reference) -> list[tuple[Item, Reference]]:
        """Take a reference; the pairs that it decides. A stamp that goes back starts anew."""
        if self._references and stamp_ns < self._references[-1][0]:
            self.unpaired += len(self._items)
            self._items.clear()
            self._references.clear()
        self._references.append((stamp_ns, reference))
        return self._decide()

    def add_item(self, stamp_ns: int, item: Item) -> list[tuple[Item, Reference]]:
        """Take an item; the pairs that are decided now."""
        self._items.append((stamp_ns, item))
        if len(self._items) > self._most_waiting:
            self._items.popleft()
            self.unpaired += 1
        return self._decide()

    def _decide(self) -> list[tuple[Item, Reference]]:
        newest_ns = self._references[-1][0] if self._references else None
        pairs, waiting = [], deque[tuple[int, Item]]()
        for stamp_ns, item in self._items:
            if newest_ns is None or stamp_ns > newest_ns:
                waiting.append((stamp_ns, item))
                continue
            nearest_ns, reference = min(self._references, key=lambda r: abs(r[0] - stamp_ns))
            if abs(nearest_ns - stamp_ns) <= self._tolerance_ns:
                pairs.append((item, reference))
            else:
                self.unpaired += 1
        self._items = waiting
        return pairs
