"""What a benchmark leaves behind: tables that can be pasted into a page, and all figures."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from rich import box
from rich.markup import escape
from rich.table import Table

from training.versions import versions
from training.whole_files import write_text

WIDTH = 200
"""Of printed tables, which are to be pasted and therefore not folded [characters]."""


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table in Markdown, numbers to the right."""
    table = Table(escape(columns[0]), box=box.MARKDOWN)
    for column in columns[1:]:
        table.add_column(escape(column), justify='right')
    for row in rows:
        table.add_row(*row)
    return table


def plain_figure(value: float) -> str:
    """Four digits, or all of those before the point; never an exponent for large numbers."""
    return f'{value:.0f}' if abs(value) >= 1000 else f'{value:.4g}'


def write_figures(path: Path, args: Namespace, values: Mapping[str, Any]) -> None:
    """Write figures as JSON, with the arguments, the machine and the versions of packages."""
    known = {'arguments': vars(args), 'machine': machine(), 'versions': versions()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(known | dict(values), indent=2))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write rows as CSV, whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerows([columns, *rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())


def machine() -> dict[str, Any]:
    """The processor's name, how many of its threads this process may use, and the memory."""
    file = Path('/proc/cpuinfo')
    match = re.search(r'model name\s*:\s*(.+)', file.read_text()) if file.exists() else None
    return {
        'processor': match[1] if match else None,
        'threads': len(os.sched_getaffinity(0)),
        'memory_bytes': os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE'),
    }
