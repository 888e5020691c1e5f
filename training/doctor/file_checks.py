"""What is wrong with image and label files, from the facts about each frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from training.doctor.findings import Findings, amount
from training.doctor.frame_facts import FrameFacts
from training.doctor.frame_sets import FrameSet

FLAT_DEVIATION = 2.0
"""Standard deviation of the brightest channel (0..255) below which a picture shows nothing."""
MUCH_IGNORED = 0.5
"""Share of ignored pixels of a set from which on something is likely to be wrong."""
FEW_SIZES = 8
"""So many sizes of a set are named one by one."""
LEFT_OUT_REMEDY = (
    'fine if these things are meant to be ignored; else name them in a label_map of your own'
)

Facts = Sequence[FrameFacts]


def report_files(frames: FrameSet, facts: Facts, findings: Findings) -> None:
    """All findings about the files of a set."""
    _report_unreadable(frames, facts, findings)
    _report_sizes(frames, facts, findings)
    _report_pictures(frames, facts, findings)
    if frames.labelled is not None:
        _report_labels(frames, facts, findings)
        _report_ids(frames, facts, findings)


def _select(
    frames: FrameSet, facts: Facts, chosen: Callable[[FrameFacts], bool], labels: bool = False
) -> list[str]:
    files = frames.images
    if labels and frames.labelled is not None:
        files = frames.labelled.labels
    return [str(files[i]) for i, each in enumerate(facts) if chosen(each)]


def _first(facts: Facts, field: str) -> str:
    return next(str(getattr(each, field)) for each in facts if getattr(each, field))


def _report_unreadable(frames: FrameSet, facts: Facts, findings: Findings) -> None:
    files = _select(frames, facts, lambda each: bool(each.image_error))
    if files:
        findings.error(
            frames.role,
            f'{len(files)} of {len(frames)} images cannot be read: {_first(facts, "image_error")}',
            'copy these files again, or remove them (and their labels)',
            files,
        )


def _report_sizes(frames: FrameSet, facts: Facts, findings: Findings) -> None:
    sizes = Counter(each.size for each in facts if each.size is not None)
    if len(sizes) > 1:
        usual, _ = sizes.most_common(1)[0]
        odd = _select(frames, facts, lambda each: each.size not in (None, usual))
        named = ', '.join(f'{n} of {w}x{h}' for (w, h), n in sizes.most_common(FEW_SIZES))
        more = f' and {len(sizes) - FEW_SIZES} other sizes' if len(sizes) > FEW_SIZES else ''
        findings.note(
            frames.role,
            f'images of {len(sizes)} sizes: {named}{more}',
            'the files are those that differ from the most frequent size',
            odd,
        )
    ratios = Counter(round(s[0] / s[1], 2) for s in sizes.elements())
    if len(ratios) > 1:
        usual_ratio, _ = ratios.most_common(1)[0]
        findings.warning(
            frames.role,
            'images of several aspect ratios (width / height): '
            + ', '.join(f'{n} of {ratio:g}' for ratio, n in ratios.most_common(FEW_SIZES)),
            'turned or cropped pictures, or several cameras? Things look differently large',
            _select(
                frames,
                facts,
                lambda e: e.size is not None and round(e.size[0] / e.size[1], 2) != usual_ratio,
            ),
        )


def _report_pictures(frames: FrameSet, facts: Facts, findings: Findings) -> None:
    role = frames.role
    turned = _select(frames, facts, lambda each: each.orientation != 1)
    if turned:
        findings.warning(
            role,
            f'{amount(len(turned), "image")} to be turned by a viewer (EXIF); training does not',
            'if they lie on their side in the contact sheet, turn their pixels first',
            turned,
        )
    deep = _select(frames, facts, lambda each: each.bits > 8)
    if deep:
        findings.warning(
            role,
            f'{amount(len(deep), "image")} with more than 8 bits per channel, of which 8 are used',
            'if they look black in the contact sheet, stretch their brightness to 8 bit first',
            deep,
        )
    flat = _select(frames, facts, _is_flat)
    if flat:
        findings.warning(
            role,
            f'{amount(len(flat), "image")} of a single colour',
            'remove them: a camera that started up, or a simulator that drew nothing',
            flat,
        )
    grey = _select(frames, facts, lambda e: _is_grey(e) and not _is_flat(e))
    if grey:
        findings.warning(
            role,
            f'{len(grey)} of {len(frames)} images grey: all three channels are equal',
            'if the other sets are coloured, the network cannot rely on colours here',
            grey,
        )


def _is_flat(facts: FrameFacts) -> bool:
    return facts.pixels is not None and facts.pixels.variance.max() < FLAT_DEVIATION**2


def _is_grey(facts: FrameFacts) -> bool:
    return facts.pixels is not None and facts.pixels.grey


def _report_labels(frames: FrameSet, facts: Facts, findings: Findings) -> None:
    role = frames.role
    broken = _select(frames, facts, lambda e: bool(e.label_error) and not e.strange_ids, True)
    if broken:
        reason = next(e.label_error for e in facts if e.label_error and not e.strange_ids)
        findings.error(
            role,
            f'{len(broken)} of {len(frames)} labels cannot be read: {reason}',
            'copy these files again, or remove them and their images',
            broken,
        )
    other = _select(frames, facts, _sizes_differ, True)
    if other:
        first = next(each for each in facts if _sizes_differ(each))
        findings.error(
            role,
            f'{amount(len(other), "label")} not as large as the image, such as label '
            f'{_size(first.label_size)} px, image {_size(first.size)} px',
            'take the labels that belong to these images; both must be of one size',
            other,
        )
    empty = _select(frames, facts, _is_all_ignored, True)
    if empty:
        findings.warning(
            role,
            f'{len(empty)} of {len(frames)} labels ignored as a whole: nothing to learn',
            f'check {role}.label_ids and the class set, or remove these frames',
            empty,
        )


def _sizes_differ(facts: FrameFacts) -> bool:
    known = facts.size is not None and facts.label_size is not None
    return known and facts.size != facts.label_size


def _is_all_ignored(facts: FrameFacts) -> bool:
    return facts.counts is not None and not facts.counts[:-1].any()


def _size(size: tuple[int, int] | None) -> str:
    return 'unknown' if size is None else f'{size[0]}x{size[1]}'


def _report_ids(frames: FrameSet, facts: Facts, findings: Findings) -> None:
    assert frames.labelled is not None
    pixels: Counter[int] = Counter()
    for each in facts:
        pixels.update(each.strange_ids)
    if pixels:
        total = sum(e.label_size[0] * e.label_size[1] for e in facts if e.label_size) or 1
        files = _select(frames, facts, lambda each: bool(each.strange_ids), True)
        codec = frames.labelled.codec
        add = findings.note if codec.tolerant else findings.error
        named = ', '.join(f'{codec.show(i)} ({n} px)' for i, n in pixels.most_common(12))
        add(
            frames.role,
            f'{amount(len(files), "label")} with ids that are no class of '
            f'{frames.labelled.classes.name}: '
            + named
            + (
                f'; they are ignored, {sum(pixels.values()) / total:.1%} of all'
                if codec.tolerant
                else ''
            ),
            f'fine if these things are meant to be ignored; else {codec.remedy}'
            if codec.tolerant
            else codec.remedy,
            files,
        )
    if left_out := frames.labelled.left_out():
        findings.note(frames.role, left_out, LEFT_OUT_REMEDY)
    share = ignored_share(facts)
    if share is not None and share > MUCH_IGNORED:
        findings.warning(
            frames.role,
            f'{share:.0%} of all labelled pixels are ignored',
            f'check {frames.role}.label_ids and the ids of the class set',
        )


def ignored_share(facts: Facts) -> float | None:
    """Share of label pixels that are ignored; None where no label was read."""
    counts = [each.counts for each in facts if each.counts is not None]
    if not counts:
        return None
    total = np.sum(counts, axis=0)
    return float(total[-1] / max(int(total.sum()), 1))
