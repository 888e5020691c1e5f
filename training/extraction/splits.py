"""Which drives to train on, validate on, test on: whole drives, drawn once and written down."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from training.whole_files import write_text

FILE_NAME = 'splits.json'
TRAIN, VAL, TEST = 'train', 'val', 'test'


def read_splits(root: Path) -> dict[str, str]:
    """The part that each drive of an extraction belongs to; empty where none is noted.

    Raises:
        ValueError: the file is damaged.
    """
    return dict(_read(root)['drives'])


def assign_splits(
    root: Path, drives: Iterable[str], val: float, test: float, seed: int
) -> dict[str, str]:
    """Draw a part for every drive that has none yet, and write all of them down.

    Frames of one drive look alike, so that a drive is never divided. A drive keeps its part for
    good: drives that come later are drawn so that the shares are met as well as they can be, and
    a part that is asked for gets at least one drive where there are enough.

    Args:
        root: output folder.
        drives: names of the drives in it.
        val: share of the drives to validate on, 0..1.
        test: share of the drives to test on, 0..1.
        seed: of the draw.

    Returns:
        Part of every drive.

    Raises:
        ValueError: the shares are no shares, or the file there is damaged.
    """
    check_shares(val, test)
    known = read_splits(root)
    new = sorted(set(drives) - set(known), key=lambda drive: _drawn(seed, drive))
    total = len(known) + len(new)
    held = {part: max(1, round(s * total)) for part, s in ((VAL, val), (TEST, test)) if s > 0}
    wanted = {TRAIN: max(1, total - sum(held.values())), **held}
    counts = Counter(known.values())
    for drive in new:
        # max takes the first of equals, so that one drive alone is for training.
        part = max(wanted, key=lambda part: wanted[part] - counts[part])
        known[drive] = part
        counts[part] += 1
    content = {'seed': seed, VAL: val, TEST: test, 'drives': dict(sorted(known.items()))}
    write_text(root / FILE_NAME, json.dumps(content, indent=2) + '\n')
    return known


def without_drives(parts: Mapping[str, str], val: float, test: float) -> str:
    """Which parts were asked for and yet have no drive, with the remedy; '' if none."""
    empty = [p for p, share in ((VAL, val), (TEST, test)) if share and p not in parts.values()]
    if not empty:
        return ''
    names = ' and '.join(f'--{part}' for part in empty)
    wanted = 1 + bool(val) + bool(test)
    if len(parts) < wanted:
        drives = 'is 1 drive' if len(parts) == 1 else f'are {len(parts)} drives'
        return f'no drive is left for {names}: there {drives}, it takes {wanted}; add recordings'
    return (
        f'no drive is left for {names}: the {len(parts)} in {FILE_NAME} keep the part that they '
        'have; add recordings, or delete that file to have the parts drawn anew'
    )


def check_shares(val: float, test: float) -> None:
    """Raise ValueError unless both are shares that leave something to train on."""
    if val < 0 or test < 0 or val + test >= 1:
        raise ValueError(
            f'--val {val} and --test {test} must be shares from 0 that are together below 1'
        )


def _read(root: Path) -> Mapping[str, Any]:
    path = root / FILE_NAME
    if not path.exists():
        return {'drives': {}}
    try:
        content = json.loads(path.read_text())
        if all(part in (TRAIN, VAL, TEST) for part in content['drives'].values()):
            return dict(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise ValueError(
        f'{path} is damaged; expected {{"drives": {{NAME: "train", "val" or "test"}}}}; mend it, '
        'or delete it to have the parts drawn anew'
    )


def _drawn(seed: int, drive: str) -> bytes:
    return hashlib.sha256(f'{seed}/{drive}'.encode()).digest()
