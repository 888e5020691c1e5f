"""Encoding, hashing and writing frames, in threads where there are any."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple

from hrda_core.image_codec import ImageDecodeError
from training.extraction.frame_writer import StagedFrame
from training.extraction.helpers import Helpers
from training.extraction.pictures import Made

_GROUP_BYTES = 1 << 20
"""Frames of this size go to a thread together: handing one over costs as much as its hash."""
Staged = StagedFrame | ImageDecodeError
"""A frame, or why it cannot be encoded."""


class Staging(NamedTuple):
    """A frame that was begun: its place in its group, and what becomes of the whole group."""

    group: Future[list[Staged]]
    place: int


class _Group:
    """Frames that are staged together, and what becomes of them."""

    def __init__(self) -> None:
        self.members: list[tuple[Made, int]] = []
        self.bytes = 0
        self.done: Future[list[Staged]] = Future()


class Stager:
    """Stages frames in groups, in threads, and in the one that asks where it would have to wait.

    Args:
        stage: encodes, hashes and writes a frame, given its number.
        helpers: the threads; without any, each frame is staged at once.
    """

    def __init__(self, stage: Callable[[Made, int], StagedFrame], helpers: Helpers) -> None:
        self._stage = stage
        self._helpers = helpers
        self._numbers = itertools.count()
        self._open = _Group()

    def begin(self, made: Made, size: int) -> Staging:
        """Take a frame of so many bytes; a group's result raises what else its staging raises."""
        group = self._open
        staging = Staging(group.done, len(group.members))
        group.members.append((made, next(self._numbers)))
        group.bytes += size
        if group.bytes >= _GROUP_BYTES or not self._helpers.ahead:
            self.hand()
        return staging

    def hand(self) -> None:
        """Give what was begun to the threads without waiting for more."""
        if self._open.members:
            self._helpers.begin(partial(self._work, self._taken()))

    def help(self) -> bool:
        """Do what the threads would do next, or stage what they do not have yet; false if none."""
        if self._helpers.help():
            return True
        if not self._open.members:
            return False
        self._work(self._taken())
        return True

    def _taken(self) -> _Group:
        group, self._open = self._open, _Group()
        return group

    def _work(self, group: _Group) -> None:
        try:
            group.done.set_result([self._staged(made, number) for made, number in group.members])
        except BaseException as error:
            group.done.set_exception(error)

    def _staged(self, made: Made, number: int) -> Staged:
        try:
            return self._stage(made, number)
        except ImageDecodeError as error:
            return error
