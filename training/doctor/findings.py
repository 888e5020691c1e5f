"""What the doctor found: every problem, none of them the last one looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Level = Literal['error', 'warning', 'note']
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Finding:
    """One thing to know.

    Attributes:
        level: error: training cannot or must not start so; warning: it starts, but is likely to
            learn less or say something untrue; note: good to know.
        area: the settings or the part that it is about, such as 'source'.
        what: what was found, a sentence.
        remedy: what to do about it; empty where there is nothing to do.
        files: all files that it is about.
    """

    level: Level
    area: str
    what: str
    remedy: str = ''
    files: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def amount(count: int, thing: str) -> str:
    """A number and what it counts: '1 image', '3 images'."""
    return f'{count} {thing}' if count == 1 else f'{count} {thing}s'


class Findings:
    """A growing list of findings."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

    def __iter__(self) -> Iterator[Finding]:
        """The worst first, else in the order of their discovery."""
        return iter(sorted(self._found, key=lambda finding: LEVELS.index(finding.level)))

    def count(self, level: Level) -> int:
        """How many there are of a level."""
        return sum(finding.level == level for finding in self._found)

    def error(self, area: str, what: str, remedy: str = '', files: Iterable[str] = ()) -> None:
        """Add what keeps training from starting."""
        self._found.append(Finding('error', area, what, remedy, tuple(files)))

    def warning(self, area: str, what: str, remedy: str = '', files: Iterable[str] = ()) -> None:
        """Add what is likely to spoil the result."""
        self._found.append(Finding('warning', area, what, remedy, tuple(files)))

    def note(self, area: str, what: str, remedy: str = '', files: Iterable[str] = ()) -> None:
        """Add what is good to know."""
        self._found.append(Finding('note', area, what, remedy, tuple(files)))

    @contextmanager
    def kept(self, area: str, remedy: str = '') -> Iterator[None]:
        """Turn an exception of the block into an error finding, and go on behind the block.

        Catches what users' files and settings cause: ValueError, OSError, KeyError, and
        RuntimeError, which is how torch complains.
        """
        try:
            yield
        except (ValueError, OSError, KeyError, RuntimeError) as error:
            text = ' '.join(str(error).split()) or type(error).__name__
            self.error(area, text, remedy)
