"""How large things look to the network: frames against crops, source against camera."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from training.data.crop_padding import Size, crop_padding, resized
from training.data.frame_masks import MASK_FILE, frame_mask
from training.data.settings import TargetSettings
from training.doctor.findings import Findings
from training.doctor.frame_facts import FrameFacts
from training.doctor.frame_sets import FrameSet
from training.image_files import image_size
from training.settings.run import TrainSettings

OTHER_HEIGHT = 1.5
"""Frames whose heights differ by more than this factor show things at different scales."""
OTHER_SCALE = 0.1
"""Relative difference between the scale in training and that on the robot that matters."""
MUCH_MARGIN = 0.5
"""Margins that take more than this share of a frame are worth a warning."""

Facts = Mapping[str, Sequence[FrameFacts]]


def fitted(frames: FrameSet, size: Size) -> Size:
    """Size of an image as the network's crops are cut from it."""
    return resized(size, frames.size)


def usual_size(facts: Sequence[FrameFacts]) -> Size | None:
    """The most frequent (width, height) [px]; None where no image can be read."""
    sizes = Counter(each.size for each in facts if each.size is not None)
    return sizes.most_common(1)[0][0] if sizes else None


def report_scale(
    settings: TrainSettings, sets: Sequence[FrameSet], facts: Facts, findings: Findings
) -> None:
    """Findings about sizes and scales."""
    crop = settings.crop_size or settings.model.context_size
    seen: dict[str, Size] = {}
    for each in sets:
        usual = usual_size(facts[each.role])
        if usual is None:
            continue
        seen[each.role] = fitted(each, usual)
        if each.role != 'validation':
            _report_padding(each, facts[each.role], crop, findings)
    _report_heights(seen, findings)
    if settings.target is not None and 'target' in seen:
        _report_margins(settings.target, seen['target'], findings)
        report_masks(next(each for each in sets if each.role == 'target'), findings)
    _report_image_scale(settings, sets, facts, findings)
    _report_detail(settings, findings)


def _report_padding(
    frames: FrameSet, facts: Sequence[FrameFacts], crop: int, findings: Findings
) -> None:
    sizes = {i: each.size for i, each in enumerate(facts) if each.size is not None}
    found = crop_padding(frames.role, sizes, frames.size, crop)
    if found is not None:
        files = [str(frames.images[i]) for i in found.small]
        findings.warning(frames.role, found.what, found.remedy, files)


def _report_heights(seen: Mapping[str, Size], findings: Findings) -> None:
    if 'target' not in seen:
        return
    target = seen['target'][1]
    for role, (_, height) in seen.items():
        factor = max(height, target) / min(height, target)
        if role not in ('target', 'validation') and factor > OTHER_HEIGHT:
            larger = 'larger' if height > target else 'smaller'
            findings.warning(
                f'{role} / target',
                f'frames of {role} are {height} px high when resized, those of the camera '
                f'{target} px: with like lenses everything looks {factor:.1f} times {larger}',
                f'set {role}.size and target.size to like heights, unless the lenses make up '
                'for it: a car of some distance should be as many pixels high in both',
            )


def _report_margins(target: TargetSettings, size: Size, findings: Findings) -> None:
    top, bottom, left, right = target.margins
    width, height = max(size[0] - left - right, 0), max(size[1] - top - bottom, 0)
    lost = 1 - width * height / (size[0] * size[1])
    what = f'target.margins {list(target.margins)} take {lost:.0%} of a {size[0]}x{size[1]} frame'
    remedy = 'they are pixels of the resized frame: top, bottom, left, right'
    if min(target.margins) < 0:
        findings.error('target.margins', f'{list(target.margins)} must not be negative', remedy)
    elif lost >= 1:
        findings.error('target.margins', what, remedy)
    elif lost > MUCH_MARGIN:
        findings.warning('target.margins', what, remedy)


def report_masks(frames: FrameSet, findings: Findings) -> None:
    """Masks that `hrda extract` wrote beside frames: unreadable, of another size, or large."""
    first = {image.parent: image for image in reversed(frames.images)}
    for folder, image in sorted(first.items()):
        mask = folder / MASK_FILE
        if not mask.is_file():
            continue
        with findings.kept(frames.role):
            size, own = image_size(image), image_size(mask)
            valid = frame_mask(image, own)
            lost = 0.0 if valid is None else 1 - float(valid.mean())
            what = f'{mask} keeps {lost:.0%} of the frames beside it from being learnt from'
            if own != size:
                findings.error(
                    frames.role,
                    f'{mask} is {own[0]}x{own[1]} px, {image.name} is {size[0]}x{size[1]} px',
                    'extract the drive again, with its mask, to a new folder',
                )
            elif lost > MUCH_MARGIN:
                findings.warning(frames.role, what, 'white is what to learn from, black what not')
            else:
                findings.note(frames.role, what)


def _report_image_scale(
    settings: TrainSettings, sets: Sequence[FrameSet], facts: Facts, findings: Findings
) -> None:
    """The camera's frames must be enlarged alike in training and when they are segmented."""
    target = next((each for each in sets if each.role == 'target'), None)
    usual = usual_size(facts['target']) if target is not None else None
    if target is None or usual is None:
        return
    trained, used = fitted(target, usual)[1] / usual[1], settings.model.image_scale
    if abs(trained / used - 1) > OTHER_SCALE:
        findings.warning(
            'model.image_scale',
            f'target frames are resized by {trained:.2f} in training (target.size), but by '
            f'{used:g} when the camera is segmented and scored (model.image_scale)',
            f'set model.image_scale: {trained:.3g}, where the camera delivers '
            f'{usual[0]}x{usual[1]} px',
        )


def _report_detail(settings: TrainSettings, findings: Findings) -> None:
    model = settings.model
    if not model.multi_resolution:
        return
    if model.detail_size == model.context_size and model.context_scale < 1:
        findings.note(
            'model.detail_size',
            f'detail and context are both {model.context_size} px: every detail window covers a '
            'whole context crop, at full resolution and full cost',
            'half the context is published and usual',
        )
    elif model.detail_size * 4 < model.context_size:
        findings.note(
            'model.detail_size',
            f'{model.detail_size} px of a context of {model.context_size} px: details are '
            f'judged from {model.detail_size**2 / model.context_size**2:.0%} of the crop',
            'half the context is published and usual',
        )
