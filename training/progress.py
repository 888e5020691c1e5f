"""Progress on a terminal (live) or in a log (plain lines), for every command."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol, TypeVar

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar('T')
LINE_EVERY_S = 10.0
"""Seconds between plain lines of `track`."""


class Display(Protocol):
    """Where a long job shows how far it is."""

    def say(self, text: str) -> None:
        """Show a line that stays."""
        ...

    def begin(self, title: str, total: int, done: int = 0) -> None:
        """Start a stretch of `total` steps of which `done` are behind us."""
        ...

    def advance(self, done: int) -> None:
        """Tell how many steps are done."""
        ...

    def figures(self, done: int, total: int, values: Mapping[str, float], left_s: float) -> None:
        """Show the newest figures of a training run and the time left [s]."""
        ...

    def track(self, items: Iterable[T], title: str, total: int) -> Iterator[T]:
        """Hand the items on and show how many are through."""
        ...

    def end(self) -> None:
        """Stop showing; can be called twice."""
        ...


def make_display(console: Console | None = None) -> Display:
    """Live bars on a terminal, plain lines elsewhere (a file, a pipe, CI)."""
    console = console or Console(stderr=True, highlight=False)
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


@contextmanager
def displayed() -> Iterator[Display]:
    """A display that ends with the block, so that errors come after it and not within."""
    display = make_display()
    try:
        yield display
    finally:
        display.end()


def describe(values: Mapping[str, float]) -> str:
    """Figures as text: `loss 1.2345  mIoU 43.21`."""
    return '  '.join(f'{name} {_short(value)}' for name, value in values.items())


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    return str(timedelta(seconds=round(max(0.0, seconds))))


def _short(value: float) -> str:
    if value == 0 or 0.001 <= abs(value) < 1000:
        return f'{value:.4g}'
    return f'{value:.2e}'


class PlainDisplay:
    """Plain lines, one per logged row.

    Args:
        console: where the lines go.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, soft_wrap=True)

    def begin(self, title: str, total: int, done: int = 0) -> None:
        """Print how many steps there are."""
        self.say(f'{title}: {done} of {total} done')

    def advance(self, done: int) -> None:
        """Say nothing: lines come with the figures."""

    def figures(self, done: int, total: int, values: Mapping[str, float], left_s: float) -> None:
        """Print a line with all figures."""
        self.say(f'step {done}/{total}  {describe(values)}  {duration(left_s)} left')

    def track(self, items: Iterable[T], title: str, total: int) -> Iterator[T]:
        """Print a line now and then."""
        last = time.monotonic()
        for number, item in enumerate(items, 1):
            yield item
            if time.monotonic() - last >= LINE_EVERY_S or number == total:
                last = time.monotonic()
                self.say(f'{title}: {number} of {total}')

    def end(self) -> None:
        """Nothing to stop."""


class SilentDisplay:
    """Shows nothing: for processes beside the one that shows it all."""

    def say(self, text: str) -> None:
        """Nothing."""

    def begin(self, title: str, total: int, done: int = 0) -> None:
        """Nothing."""

    def advance(self, done: int) -> None:
        """Nothing."""

    def figures(self, done: int, total: int, values: Mapping[str, float], left_s: float) -> None:
        """Nothing."""

    def track(self, items: Iterable[T], title: str, total: int) -> Iterator[T]:
        """The items."""
        return iter(items)

    def end(self) -> None:
        """Nothing."""


class _Bars(Progress):
    """Progress bars with a line of figures below them."""

    footer = ''

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.footer:
            yield Text(self.footer, style='dim')


class LiveDisplay:
    """Bars that move, with the newest figures below.

    Args:
        console: a terminal.
    """

    def __init__(self, console: Console) -> None:
        self._bars = _Bars(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn('left'),
            TimeRemainingColumn(),
            console=console,
        )
        self._task: TaskID | None = None

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(text, markup=False, soft_wrap=True)

    def begin(self, title: str, total: int, done: int = 0) -> None:
        """Show a bar in place of the last one."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(title, total=total, completed=done)
        self._bars.start()

    def advance(self, done: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.update(self._task, completed=done)

    def figures(self, done: int, total: int, values: Mapping[str, float], left_s: float) -> None:
        """Show the figures below the bar; the bar itself knows the time left."""
        self._bars.footer = describe(values)
        self.advance(done)

    def track(self, items: Iterable[T], title: str, total: int) -> Iterator[T]:
        """Show a bar of its own for as long as there are items."""
        task = self._bars.add_task(title, total=total)
        self._bars.start()
        try:
            for item in items:
                yield item
                self._bars.advance(task)
        finally:
            self._bars.remove_task(task)
            if not self._bars.tasks:
                self._bars.stop()

    def end(self) -> None:
        """Take the bars away."""
        self._bars.stop()
