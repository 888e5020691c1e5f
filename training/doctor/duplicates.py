"""Frames that occur twice: exactly, by their bytes, or nearly, by difference hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.doctor.findings import Findings
from training.doctor.frame_facts import FrameFacts, hashes, readable
from training.doctor.frame_sets import FrameSet

NEAR_BITS = 12
"""Of 256 bits, the most in which two pictures of one moment differ: the same frame with new
noise differs in about 8, one moved by 10 px of 1920 in about 37."""
BLOCK = 512
"""Hashes that are compared with all others at once; with 20000 others that takes 40 MB."""
MANY = 0.3
"""Share of near repetitions in a set from which on they are worth a warning."""

Facts = dict[str, tuple[FrameFacts, ...]]


@dataclass(frozen=True)
class Overlap:
    """Frames of one set that are in another, or earlier in the same.

    Attributes:
        first: role of the set whose frames are counted.
        second: role of the set they are looked for in.
        exact: pairs of positions (in first, in second) with equal bytes.
        near: pairs of positions that look the same, equal bytes left out.
    """

    first: str
    second: str
    exact: tuple[tuple[int, int], ...]
    near: tuple[tuple[int, int], ...]


def nearest(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], earlier: bool = False
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """For each hash the nearest one of another list, and in how many bits they differ.

    Shape:
        first: uint8 (N, bytes); second: uint8 (M, bytes), M at least 1. Results: (N,).

    Args:
        first: hashes that are looked up.
        second: hashes they are looked up in.
        earlier: whether both lists are one, in which only earlier positions count; the first
            hash then has the distance of all bits and one.
    """
    bits = first.shape[1] * 8
    # Equal bits minus unequal ones is a matrix product, which is the fastest thing there is.
    columns = _signs(second).T
    places, distances = [], []
    for start in range(0, len(first), BLOCK):
        end = min(start + BLOCK, len(first))
        agreement = _signs(first[start:end]) @ (columns[:, :end] if earlier else columns)
        if earlier:
            own = agreement[:, start:]
            own[np.triu_indices(len(own))] = -bits - 2
        place = agreement.argmax(axis=1)
        best = np.take_along_axis(agreement, place[:, None], axis=1)[:, 0]
        places.append(place)
        distances.append(((bits - best) / 2).astype(np.intp))
    empty = np.zeros(0, np.intp)
    return np.concatenate([empty, *places]), np.concatenate([empty, *distances])


def _signs(packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1


def find_overlap(first: str, second: str, facts: Facts) -> Overlap:
    """Frames of `first` that are in `second` too; of equal roles: that are there earlier."""
    same = first == second
    a, b = facts[first], facts[second]
    here, there = readable(a), readable(b)
    exact = _exact(a, b, same)
    if not here or not there:
        return Overlap(first, second, exact, ())
    places, distances = nearest(hashes(a), hashes(b), earlier=same)
    known = {i for i, _ in exact}
    near = [
        (here[i], there[int(places[i])])
        for i in np.flatnonzero(distances <= NEAR_BITS)
        if here[i] not in known
    ]
    return Overlap(first, second, exact, tuple(near))


def _exact(
    a: Sequence[FrameFacts], b: Sequence[FrameFacts], same: bool
) -> tuple[tuple[int, int], ...]:
    seen: dict[str, int] = {}
    for position, each in enumerate(b):
        if each.pixels is not None:
            seen.setdefault(each.pixels.sha1, position)
    pairs = []
    for position, each in enumerate(a):
        if each.pixels is None or each.pixels.sha1 not in seen:
            continue
        other = seen[each.pixels.sha1]
        if not (same and other >= position):
            pairs.append((position, other))
    return tuple(pairs)


def find_overlaps(sets: Sequence[FrameSet], facts: Facts) -> tuple[Overlap, ...]:
    """Repetitions within every set, and between every two."""
    pairs = [(a, b) for i, a in enumerate(sets) for b in sets[i:]]
    found = [find_overlap(a.role, b.role, facts) for a, b in pairs]
    return tuple(each for each in found if each.exact or each.near)


def report_overlaps(
    overlaps: Sequence[Overlap], sets: Sequence[FrameSet], findings: Findings
) -> None:
    """Say what each overlap means."""
    by_role = {each.role: each for each in sets}
    for overlap in overlaps:
        first, second = by_role[overlap.first], by_role[overlap.second]
        if first is second:
            _report_repetitions(overlap, first, findings)
        else:
            _report_leak(overlap, first, second, findings)


def _report_repetitions(overlap: Overlap, frames: FrameSet, findings: Findings) -> None:
    if overlap.exact:
        findings.warning(
            frames.role,
            f'{len(overlap.exact)} of {len(frames)} files byte for byte equal to an earlier one',
            'delete the copies: they count twice in the statistics and in the draws',
            _pairs(overlap.exact, frames, frames),
        )
    if overlap.near:
        add = findings.warning if len(overlap.near) > MANY * len(frames) else findings.note
        add(
            frames.role,
            f'{len(overlap.near)} of {len(frames)} frames looking like an earlier one '
            f'(at most {NEAR_BITS} of 256 hash bits differ)',
            'a camera that stands still? hrda extract --every takes fewer frames, and every '
            'different one weighs more',
            _pairs(overlap.near, frames, frames),
        )


def _report_leak(overlap: Overlap, first: FrameSet, second: FrameSet, findings: Findings) -> None:
    area = f'{first.role} / {second.role}'
    # Scores on learnt labels say nothing; on frames seen unlabelled they say a little less.
    measured = second.role == 'validation'
    serious = measured and first.share > 0
    worst = findings.error if serious else findings.warning
    for pairs, how, add in (
        (overlap.exact, 'byte for byte', worst if measured else findings.note),
        (overlap.near, 'nearly', findings.warning if measured else findings.note),
    ):
        if not pairs:
            continue
        count = len({i for i, _ in pairs})
        what = f'{count} of {len(first)} frames of {first.role} {how} in {second.role} too'
        add(area, what, _leak_remedy(measured, serious), _pairs(pairs, first, second))


def _leak_remedy(measured: bool, serious: bool) -> str:
    if serious:
        return 'scores on frames whose labels were learnt say nothing: keep the sets apart'
    if measured:
        return (
            'adapting to validation frames without their labels is common, but say so beside '
            'the score, or measure on another drive'
        )
    return ''


def _pairs(pairs: Sequence[tuple[int, int]], first: FrameSet, second: FrameSet) -> list[str]:
    return [f'{first.name(i)} = {second.name(j)}' for i, j in pairs]
