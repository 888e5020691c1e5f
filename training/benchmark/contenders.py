"""Work in processes of its own, done when asked, so that several can take turns.

Each contender has its own memory, so peaks are its own; and since it works only when asked,
whatever else the machine does falls on all alike.
"""

from __future__ import annotations

import multiprocessing
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from training.run.stop_signals import withheld

T = TypeVar('T')


@dataclass(frozen=True)
class Peak:
    """The most memory that a contender had.

    Attributes:
        total: on a GPU all that torch allocated, on a CPU the process's resident memory [bytes].
        before: the same before there were any networks [bytes].
    """

    total: int
    before: int

    @property
    def used(self) -> int:
        """What networks and the work on them took [bytes]."""
        return self.total - self.before


class Requests:
    """What a contender is asked for, one after the other until it is told to end."""

    def __init__(self, connection: Connection, device: torch.device) -> None:
        self._connection, self._device = connection, device
        self._before = peak_memory(device)
        self.peak: Peak | None = None

    def __iter__(self) -> Iterator[Any]:
        while (message := self._connection.recv()) is not None:
            yield message[0]
        self.peak = Peak(peak_memory(self._device), self._before)

    def answer(self, value: object) -> None:
        """Answer the request at hand."""
        self._connection.send(value)


Work = Callable[[Requests], object]
"""Answers every request, and returns what is to be told at the end."""


class Ended(NamedTuple):
    """What a contender leaves behind.

    Attributes:
        peak: the most memory it had while it answered.
        summary: what its work returned.
    """

    peak: Peak
    summary: Any


class Contender:
    """A process that works when it is asked.

    Args:
        name: of the contender.
        work: what it does; can be pickled.
        device: whose memory is watched.
        threads: of torch on a CPU.
        remedy: what to do about too little memory, for the error.
    """

    def __init__(
        self, name: str, work: Work, device: torch.device, threads: int, remedy: str
    ) -> None:
        context = multiprocessing.get_context('spawn')
        self.name, self._remedy = name, remedy
        self._connection, theirs = context.Pipe()
        arguments = (theirs, work, device, threads)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        with withheld([signal.SIGINT]):  # Ctrl-C is for the one that asks, and ends the others
            self._process.start()
        theirs.close()

    def ask(self, request: object, kind: type[T]) -> T:
        """Have it do something.

        Args:
            request: anything that can be pickled.
            kind: of the answer.

        Raises:
            ValueError: it could not; its own error is on stderr.
        """
        return self._exchange((request,), kind)

    def end(self) -> Ended:
        """Have it end; errors as of `ask`."""
        ended = self._exchange(None, Ended)
        self._process.join()
        return ended

    def _exchange(self, message: object, kind: type[T]) -> T:
        try:
            self._connection.send(message)
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            answer = None
        if not isinstance(answer, kind):
            raise ValueError(
                f'the contender {self.name} could not go on, its error stands above; '
                f'{self._remedy}'
            )
        return answer


def _serve(connection: Connection, work: Work, device: torch.device, threads: int) -> None:
    torch.set_num_threads(threads)
    requests = Requests(connection, device)
    summary = work(requests)
    assert requests.peak is not None
    connection.send(Ended(requests.peak, summary))


def peak_memory(device: torch.device) -> int:
    """The most memory so far [bytes], see `Peak`."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    # Not getrusage: it counts what the parent had before it started this program.
    status = Path('/proc/self/status').read_text()
    match = re.search(r'VmHWM:\s+(\d+) kB', status)
    return int(match[1]) * 1024 if match else 0
