"""The doctor's report: tables on the terminal, and the same as files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from training.doctor.class_table import ClassRow
from training.doctor.colours import Colours
from training.doctor.duplicates import Facts, Overlap
from training.doctor.file_checks import ignored_share
from training.doctor.findings import Finding, Findings, amount
from training.doctor.frame_sets import FrameSet
from training.doctor.scale import fitted, usual_size
from training.doctor.sheet import Uint8Array
from training.doctor.speed import Speed
from training.settings.plain import to_dict
from training.settings.run import TrainSettings
from training.whole_files import write_picture, write_text

STYLES = {'error': 'bold red', 'warning': 'yellow', 'note': 'cyan'}
SHOWN_FILES = 4
"""Files of a finding that the terminal shows; doctor.json has all."""
WIDTH = 120
"""Columns of the report where it does not go to a terminal."""
LEAST_WIDTH = 80


@dataclass
class Diagnosis:
    """Everything that was found out.

    Attributes:
        settings: of the run.
        findings: problems and notes.
        sets: the sets of frames that could be listed.
        facts: of each frame, by role.
        classes: a row per class; empty where no label was read.
        colours: of each set, by role.
        overlaps: repetitions within and between sets.
        drives: frames per drive, by role, where a manifest or their names tell.
        estimates: memory, disk and time, in words, by name.
        speed: None where no step was timed.
        sheet: the contact sheet; None where there was nothing to show.
    """

    settings: TrainSettings
    findings: Findings
    sets: tuple[FrameSet, ...] = ()
    facts: Facts = field(default_factory=dict)
    classes: tuple[ClassRow, ...] = ()
    colours: dict[str, Colours] = field(default_factory=dict)
    overlaps: tuple[Overlap, ...] = ()
    drives: dict[str, dict[str, int]] = field(default_factory=dict)
    estimates: dict[str, str] = field(default_factory=dict)
    speed: Speed | None = None
    sheet: Uint8Array | None = None


def make_console() -> Console:
    """Prints to stdout and remembers it for the page."""
    console = Console(record=True, highlight=False)
    if not console.is_terminal:
        console = Console(record=True, highlight=False, width=WIDTH)
    return console


def print_report(diagnosis: Diagnosis, console: Console) -> None:
    """Print all tables, and what was found at the end, where it is read."""
    if diagnosis.sets:
        console.print(_set_table(diagnosis))
    if diagnosis.classes:
        console.print(_class_table(diagnosis.classes))
    if diagnosis.colours:
        console.print(_colour_table(diagnosis.colours))
    if diagnosis.overlaps:
        console.print(_overlap_table(diagnosis.overlaps))
    if diagnosis.estimates:
        console.print(_estimate_table(diagnosis.estimates))
    for finding in diagnosis.findings:
        _print_finding(finding, console)
    console.print(_verdict(diagnosis.findings))


def _table(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(title=title, title_justify='left', title_style='bold', header_style='dim')
    for number, name in enumerate(columns):
        table.add_column(name, justify='left' if number < left else 'right')
    return table


def _set_table(diagnosis: Diagnosis) -> Table:
    columns = ('set', 'frames', 'unreadable', 'size', 'resized', 'sizes', 'ignored')
    table = _table('Frames', *columns)
    for each in diagnosis.sets:
        facts = diagnosis.facts[each.role]
        sizes = Counter(frame.size for frame in facts if frame.size is not None)
        usual, ignored = usual_size(facts), ignored_share(facts)
        broken = sum(bool(frame.image_error or frame.label_error) for frame in facts)
        table.add_row(
            each.role,
            str(len(each)),
            str(broken or '-'),
            '-' if usual is None else '{}x{}'.format(*usual),
            '-' if usual is None else '{}x{}'.format(*fitted(each, usual)),
            str(len(sizes)),
            '-' if ignored is None else f'{ignored:.1%}',
        )
    return table


def _class_table(rows: Sequence[ClassRow]) -> Table:
    roles = list(rows[0].shares)
    columns = ['class', *(f'{role} %' for role in roles), 'frames', 'enough', 'drawn %']
    table = _table('Classes: share of labelled pixels, frames to learn from, draws', *columns)
    table.caption = 'enough: frames that stand for the class in rare class sampling'
    for row in rows:
        drawn = '-' if row.drawn is None else f'{row.drawn * 100:.1f}'
        shares = [f'{row.shares[role] * 100:.2f}' for role in roles]
        style = '' if row.frames else 'dim'
        table.add_row(row.name, *shares, str(row.frames), str(row.enough), drawn, style=style)
    return table


def _colour_table(colours: Mapping[str, Colours]) -> Table:
    table = _table('Colours: mean ± standard deviation', 'set', 'red', 'green', 'blue')
    for role, own in colours.items():
        pairs = zip(own.mean, own.deviation, strict=True)
        table.add_row(role, *(f'{mean:.0f} ± {deviation:.0f}' for mean, deviation in pairs))
    return table


def _overlap_table(overlaps: Sequence[Overlap]) -> Table:
    table = _table('The same frames again', 'frames of', 'in', 'equal bytes', 'look alike', left=2)
    for each in overlaps:
        where = 'itself, earlier' if each.first == each.second else each.second
        table.add_row(each.first, where, str(len(each.exact)), str(len(each.near)))
    return table


def _estimate_table(estimates: Mapping[str, str]) -> Table:
    table = _table('Estimates', 'of', 'is', left=2)
    for name, text in estimates.items():
        table.add_row(name, text)
    return table


def _print_finding(finding: Finding, console: Console) -> None:
    style = STYLES[finding.level]
    head = Text.assemble((finding.level, style), ' ', (finding.area, 'bold'), f': {finding.what}')
    console.print(head, soft_wrap=True)
    for file in finding.files[:SHOWN_FILES]:
        console.print(Text(f'    {file}', style='dim'), soft_wrap=True)
    if len(finding.files) > SHOWN_FILES:
        more = len(finding.files) - SHOWN_FILES
        console.print(Text(f'    and {more} more, see doctor.json', style='dim'))
    if finding.remedy:
        console.print(Text(f'    → {finding.remedy}'), soft_wrap=True)


def _verdict(findings: Findings) -> Text:
    errors, warnings = findings.count('error'), amount(findings.count('warning'), 'warning')
    if errors:
        return Text(f'{amount(errors, "error")}, {warnings}: not ready', style='bold red')
    return Text(f'no errors, {warnings}: training can start', style='bold green')


def write_report(diagnosis: Diagnosis, folder: Path, console: Console) -> None:
    """Write doctor.json, contact_sheet.png and report.html, each whole or not at all.

    Args:
        diagnosis: what was found.
        folder: is made where it is missing.
        console: on which the report was printed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / 'doctor.json', json.dumps(to_json(diagnosis), indent=2))
    picture = ''
    if diagnosis.sheet is not None:
        write_picture(folder / 'contact_sheet.png', diagnosis.sheet)
        picture = '<p><img src="contact_sheet.png" style="max-width: 100%"></p></body>'
    page = console.export_html(clear=False)
    write_text(folder / 'report.html', page.replace('</body>', picture or '</body>'))


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The whole diagnosis as plain values."""
    findings = diagnosis.findings
    return {
        'errors': findings.count('error'),
        'warnings': findings.count('warning'),
        'findings': [finding.to_dict() for finding in findings],
        'sets': {each.role: _set_values(diagnosis, each) for each in diagnosis.sets},
        'classes': [row.to_dict() for row in diagnosis.classes],
        'overlaps': [asdict(each) for each in diagnosis.overlaps],
        'drives': diagnosis.drives,
        'estimates': diagnosis.estimates,
        'speed': None if diagnosis.speed is None else asdict(diagnosis.speed),
        'settings': to_dict(diagnosis.settings),
    }


def _set_values(diagnosis: Diagnosis, frames: FrameSet) -> dict[str, Any]:
    facts = diagnosis.facts[frames.role]
    sizes = Counter('{}x{}'.format(*each.size) for each in facts if each.size is not None)
    colours = diagnosis.colours.get(frames.role)
    return {
        'root': str(frames.root),
        'frames': len(frames),
        'sizes': dict(sizes.most_common()),
        'ignored_share': ignored_share(facts),
        'colours': None if colours is None else asdict(colours),
    }
