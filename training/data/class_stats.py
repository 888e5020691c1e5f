"""How many pixels of each class every source frame has: counted once, kept in a cache file."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hrda_core.cache import cache_folder
from training.data.frames import LabelledFrames
from training.data.transforms import count_labels
from training.image_files import thread_count

FORMAT = 2
NAMED = 3
"""Frames that an error names besides the first."""
MAX_REFUSED = 20
"""Frames that cannot be used after which the others are not looked at any more."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ClassStatistics:
    """Pixels per frame and class.

    Attributes:
        counts: int64 (frames, classes), pixels of the stored labels.
    """

    counts: npt.NDArray[np.int64]

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Share of every class in all labelled pixels, (classes,), sums to 1."""
        totals = self.counts.sum(axis=0)
        shares: npt.NDArray[np.float64] = totals / max(int(totals.sum()), 1)
        return shares


def class_statistics(
    frames: LabelledFrames, cache_dir: Path | None = None, progress: Progress | None = None
) -> ClassStatistics:
    """Count the classes of every frame, or read the counts of an earlier run.

    Counting reads every label and every image's header, so it also finds what is unreadable,
    of another size, or labelled with an unknown id. The cache file is used only while names,
    sizes and times of all files, the class set and the meaning of the ids are the same.

    Args:
        frames: the data set.
        cache_dir: folder of the cache file; None = `cache_folder()`.
        progress: called with (frames done, all frames) while counting.

    Raises:
        ValueError: a file is missing, unreadable, of another size, or holds an unknown id.
    """
    fingerprint = _fingerprint(frames)
    path = _cache_path(frames, cache_dir)
    counts = _read_cache(path, fingerprint)
    if counts is None:
        counts = _count(frames, progress)
        _write_cache(path, fingerprint, frames, counts)
    return ClassStatistics(counts)


def keep_statistics(
    frames: LabelledFrames, statistics: ClassStatistics, cache_dir: Path | None = None
) -> None:
    """Store what someone else has counted, so that `class_statistics` finds it.

    Args:
        frames: the data set; every file must have been found readable and of fitting size.
        statistics: a row per frame, in their order.
        cache_dir: as for `class_statistics`.
    """
    path = _cache_path(frames, cache_dir)
    _write_cache(path, _fingerprint(frames), frames, statistics.counts)


def _cache_path(frames: LabelledFrames, cache_dir: Path | None) -> Path:
    place = hashlib.sha256(str(frames.labels[0].parent.absolute()).encode()).hexdigest()[:16]
    return (cache_dir or cache_folder()) / f'class_counts_{place}.json'


def _fingerprint(frames: LabelledFrames) -> str:
    digest = hashlib.sha256(json.dumps([FORMAT, frames.codec.key()]).encode())
    digest.update(json.dumps(frames.classes.to_dict(), sort_keys=True).encode())
    for path in (*frames.images, *frames.labels):
        status = path.stat()
        digest.update(f'{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\n'.encode())
    return digest.hexdigest()


def _count(frames: LabelledFrames, progress: Progress | None) -> npt.NDArray[np.int64]:
    rows: list[npt.NDArray[np.int64]] = []
    refused: dict[int, ValueError] = {}
    with ThreadPoolExecutor(thread_count()) as pool:
        try:
            for index, row in enumerate(pool.map(partial(_try_frame, frames), range(len(frames)))):
                if isinstance(row, ValueError):
                    refused[index] = row
                    if len(refused) >= MAX_REFUSED:
                        break
                    continue
                rows.append(row)
                if progress is not None:
                    progress(index + 1, len(frames))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if refused:
        raise ValueError(_complaint(frames, refused))
    return np.stack(rows)


def _complaint(frames: LabelledFrames, refused: dict[int, ValueError]) -> str:
    first, *others = refused
    if not others:
        return str(refused[first])
    least = 'at least ' if len(refused) >= MAX_REFUSED else ''
    names = ', '.join(map(frames.name, others[:NAMED])) + (', ...' if others[NAMED:] else '')
    return (
        f'{refused[first]} ({least}{len(others)} more frames cannot be used: {names}; '
        'hrda doctor names them all)'
    )


def _try_frame(frames: LabelledFrames, index: int) -> npt.NDArray[np.int64] | ValueError:
    try:
        return _count_frame(frames, index)
    except ValueError as error:
        return error


def _count_frame(frames: LabelledFrames, index: int) -> npt.NDArray[np.int64]:
    frames.check_header(index)
    return count_labels(frames.read_label(index))[: len(frames.classes)]


def _read_cache(path: Path, fingerprint: str) -> npt.NDArray[np.int64] | None:
    try:
        stored = json.loads(path.read_text())
        if stored['fingerprint'] != fingerprint:
            return None
        return np.asarray(stored['counts'], np.int64)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a missing or damaged cache is counted anew


def _write_cache(
    path: Path, fingerprint: str, frames: LabelledFrames, counts: npt.NDArray[np.int64]
) -> None:
    content = {
        'root': str(frames.root.absolute()),
        'classes': list(frames.classes.names),
        'fingerprint': fingerprint,
        'counts': counts.tolist(),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            'w', dir=path.parent, prefix=path.name, suffix='.tmp', delete=False
        ) as file:
            json.dump(content, file)
        Path(file.name).replace(path)
    except OSError:
        pass  # without a writable cache the next run counts again
