"""What an extraction gave, on one page: counts, reasons over time, and a look at the frames."""

from __future__ import annotations

import base64
import html
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hrda_core.image_codec import ImageDecodeError, decode_bytes
from training.contact_sheet import COLUMNS, Row, Tile, draw_sheet
from training.extraction.manifest import FILE_NAME as MANIFEST
from training.extraction.manifest import read_records
from training.extraction.splits import FILE_NAME as SPLITS_FILE
from training.extraction.splits import read_splits
from training.extraction.timeline import KEPT, colour_of, draw_timeline
from training.image_files import EXTRACTED, Uint8Array
from training.whole_files import write_picture, write_text

FILE_NAME = 'summary.html'
MOST_PICTURED = 40
"""Folders that are shown with pictures; the others of a large fleet have their counts only."""
_SHOWN_WIDTH = 320
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1e22; background: #fafaf8;
  max-width: 1100px; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; } td, th { padding: .2em .9em .2em 0; text-align: right; }
td:first-child, th:first-child { text-align: left; } th { font-weight: 600; }
h2 { margin: 1.6em 0 .2em; font-size: 1.1em; } .faint { color: #787c82; }
.strip { display: flex; gap: 6px; margin: .4em 0; } .strip img { width: 16.2%; }
.key span { display: inline-block; margin-right: 1.2em; }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .35em; }
svg { width: 100%; height: 44px; display: block; }
"""


@dataclass(frozen=True)
class TopicSummary:
    """The frames of a DRIVE/TOPIC folder.

    Attributes:
        drive: name of the recording.
        topic: name of the topic.
        part: train, val or test.
        counts: frames by 'kept' or the reason why not.
        timeline: SVG of the counts over time.
        shown: some of the files, evenly spread.
    """

    drive: str
    topic: str
    part: str
    counts: Counter[str]
    timeline: str
    shown: tuple[Path, ...]


def write_summary(root: Path) -> None:
    """Write summary.html and contact_sheet.jpg from the manifests below a folder."""
    parts = read_splits(root)
    topics = list(_summaries(root, parts))
    pictures = [[_small(path) for path in t.shown] for t in topics[:MOST_PICTURED]]
    rows = [
        Row(f'{topic.drive} {topic.topic}', _sentence(topic.counts), _tiles(topic, shown))
        for topic, shown in zip(topics, pictures, strict=False)
    ]
    write_picture(root / EXTRACTED[SPLITS_FILE], draw_sheet(f'hrda extract: {root.name}', rows))
    write_text(root / FILE_NAME, _page(root, topics, pictures))


def delete_summary(root: Path) -> None:
    """Delete what an earlier run may have written."""
    for name in (FILE_NAME, EXTRACTED[SPLITS_FILE]):
        (root / name).unlink(missing_ok=True)


def _summaries(root: Path, parts: dict[str, str]) -> Iterator[TopicSummary]:
    for path in sorted(root.glob(f'*/*/{MANIFEST}')):
        summary = _summary(path, parts)
        if summary is not None:
            yield summary


def _summary(path: Path, parts: dict[str, str]) -> TopicSummary | None:
    """What a manifest tells, in little memory however long the drive was; None if nothing."""
    times, names, files = [], [], []
    record = None
    for record in read_records(path):
        times.append(record.stamp_ns or record.record_ns)
        names.append(KEPT if record.kept else sys.intern(record.reason))
        if record.kept:
            files.append(record.file)
    if record is None:
        return None
    count = min(COLUMNS, len(files))
    return TopicSummary(
        record.drive,
        record.topic,
        parts.get(record.drive, ''),
        Counter(names),
        draw_timeline(times, names),
        tuple(path.parent / files[i * len(files) // count] for i in range(count)),
    )


def _small(path: Path) -> Uint8Array | None:
    """A frame at the width of the page's pictures; None when it is gone or unreadable."""
    try:
        image = decode_bytes(path.read_bytes())
    except (OSError, ImageDecodeError):
        return None
    height = max(1, round(image.shape[0] * _SHOWN_WIDTH / image.shape[1]))
    size = (_SHOWN_WIDTH, height)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _tiles(topic: TopicSummary, shown: Sequence[Uint8Array | None]) -> tuple[Tile, ...]:
    pairs = zip(topic.shown, shown, strict=True)
    return tuple(Tile(picture, (path.stem,)) for path, picture in pairs)


def _sentence(counts: Counter[str]) -> str:
    left = sum(counts.values()) - counts[KEPT]
    return f'{counts[KEPT]} of {counts.total()} frames kept, {left} not'


def _page(
    root: Path, topics: Sequence[TopicSummary], pictures: Sequence[Sequence[Uint8Array | None]]
) -> str:
    total = sum((topic.counts for topic in topics), Counter[str]())
    reasons = [KEPT, *(name for name, _ in total.most_common() if name != KEPT)]
    sections = [
        _section(topic, pictures[number] if number < len(pictures) else ())
        for number, topic in enumerate(topics)
    ]
    title = html.escape(f'Frames in {root.name}')
    keys = ''.join(
        f'<span><i style="background:{colour_of(name)}"></i>{html.escape(name)}</span>'
        for name in reasons
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<style>{_STYLE}</style><body><h1>{title}</h1><p>{_sentence(total)}.</p>'
        f'{_table(topics, reasons, total)}<p class="key">{keys}</p>'
        f'{"".join(sections)}</body></html>'
    )


def _table(topics: Sequence[TopicSummary], reasons: Sequence[str], total: Counter[str]) -> str:
    head = ''.join(f'<th>{html.escape(name)}</th>' for name in ('frames', *reasons))
    rows = [_row(f'{t.drive} {t.topic}', t.part, t.counts, reasons) for t in topics]
    rows.append(_row('all', '', total, reasons))
    return f'<table><tr><th>drive and topic</th><th></th>{head}</tr>{"".join(rows)}</table>'


def _row(name: str, part: str, counts: Counter[str], reasons: Sequence[str]) -> str:
    cells = ''.join(f'<td>{counts[reason] or "-"}</td>' for reason in reasons)
    return f'<tr><td>{html.escape(name)}</td><td>{part}</td><td>{counts.total()}</td>{cells}</tr>'


def _section(topic: TopicSummary, pictures: Sequence[Uint8Array | None]) -> str:
    images = ''.join(_image(picture) for picture in pictures if picture is not None)
    return (
        f'<h2>{html.escape(topic.drive)} <span class="faint">{html.escape(topic.topic)}</span>'
        f'</h2><div>{_sentence(topic.counts)}</div>{topic.timeline}'
        f'<div class="strip">{images}</div>'
    )


def _image(picture: Uint8Array) -> str:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return f'<img src="data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}">'
