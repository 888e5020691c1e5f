"""Which drives the frames of a set come from, and which drives are in more than one set."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.doctor.findings import Findings, amount
from training.doctor.frame_sets import FrameSet
from training.extraction.manifest import FILE_NAME, read_records

SEQUENCE = re.compile(r'(.*\d.*)[_-][a-z]?\d+')
"""Names of frames that are numbered within a recording that has a number itself."""


def drives_of(frames: FrameSet) -> dict[str, int]:
    """Frames per drive: as the manifest of an extraction beside them tells, else by their names.

    Names tell a drive where they are a text with a digit in it and a frame number behind that,
    as in 0016E5_07959; other frames belong to none.
    """
    drives: dict[Path, str] = {}
    for folder in {image.parent for image in frames.images}:
        if (folder / FILE_NAME).is_file():
            for record in read_records(folder / FILE_NAME):
                if record.kept:
                    drives[(folder / record.file).absolute()] = record.drive
    found = (drives.get(image.absolute()) or _by_name(image) for image in frames.images)
    return dict(Counter(drive for drive in found if drive))


def _by_name(image: Path) -> str:
    match = SEQUENCE.fullmatch(image.stem)
    return match[1] if match else ''


def report_drives(sets: Sequence[FrameSet], findings: Findings) -> dict[str, dict[str, int]]:
    """Frames per drive of every set, where they are known; a finding on drives in two of them."""
    drives: dict[str, dict[str, int]] = {}
    for each in sets:
        with findings.kept(each.role):
            found = drives_of(each)
            if found:
                drives[each.role] = found
    roles = list(drives)
    for number, first in enumerate(roles):
        for second in roles[number + 1 :]:
            _report_shared(first, second, drives, findings)
    return drives


def _report_shared(
    first: str, second: str, drives: Mapping[str, Mapping[str, int]], findings: Findings
) -> None:
    shared = sorted(set(drives[first]) & set(drives[second]))
    if not shared:
        return
    add = findings.warning if second == 'validation' else findings.note
    add(
        f'{first} / {second}',
        f'{amount(len(shared), "drive")} in both sets: '
        + ', '.join(
            f'{name} ({drives[first][name]} and {drives[second][name]} frames)'
            for name in shared[:8]
        ),
        'frames of one drive look alike: measure on drives of their own'
        if second == 'validation'
        else '',
    )
