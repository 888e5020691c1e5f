"""Which layout a data set on the disk has, and the folders that its frames are in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training.data.kinds import FOLDERS, KINDS, DataKind, LabelFiles, Layout
from training.data.settings import LabelFileSettings, TargetSettings

DataSettings = LabelFileSettings | TargetSettings


@dataclass(frozen=True)
class FramePlace:
    """A folder of images and the folder of their labels.

    Attributes:
        images: searched with all folders below it.
        labels: has the same folders below it; None = there are no labels.
    """

    images: Path
    labels: Path | None

    def label_of(self, image: Path, image_suffix: str, label_suffix: str) -> Path:
        """The label file of an image below `images`."""
        if self.labels is None:
            raise ValueError(f'{self.images} has no labels')
        name = f'{image.stem.removesuffix(image_suffix)}{label_suffix}.png'
        return self.labels / image.relative_to(self.images).parent / name


def find_places(
    settings: DataSettings, root: Path, role: str
) -> tuple[Layout, tuple[FramePlace, ...]]:
    """Find out how a data set is laid out, and its folders for split and conditions.

    Args:
        settings: what to look for; what they leave open is as the kind has it.
        root: folder of the data set.
        role: 'source', 'target', ...: the name of the settings, for errors.

    Returns:
        The layout with the settings in it, and an existing place for every condition.

    Raises:
        ValueError: no layout of the kind is there, or split or conditions do not fit it.
    """
    kind = KINDS[settings.kind]
    conditions = _conditions(settings, kind, role)
    layouts = [_with_settings(layout, settings) for layout in kind.layouts]
    places = [_places(layout, settings, root, conditions, role) for layout in layouts]
    best = max(range(len(layouts)), key=lambda i: (_presence(places[i]), -i))
    _check_present(places, best, settings, role)
    _check_split(layouts[best], settings, role)
    return layouts[best], places[best]


def label_files(settings: LabelFileSettings, layout: Layout) -> tuple[LabelFiles, ...]:
    """The namings of label files to look for, the best one first."""
    options = layout.label_files
    if settings.label_suffix is not None:
        named = [files for files in options if files.suffix == settings.label_suffix]
        options = tuple(named) or (replace(options[0], suffix=settings.label_suffix),)
    if settings.label_ids is not None:
        trained = settings.label_ids == 'train'
        options = tuple(o for o in options if o.are_train_ids == trained) or options
    return options


def place_remedy(settings: DataSettings, role: str, *fields: str) -> str:
    """What to do about files that are not where they should be."""
    names = [f'{role}.{name}' for name in fields]
    text = f'check {", ".join(names[:-1])} and {names[-1]}' if names[1:] else f'check {names[0]}'
    if settings.kind == 'bag_images':
        return f'{text}, or take images out of a bag first: hrda extract BAG -o DIR'
    download = KINDS[settings.kind].download
    return f'{text}; kind {settings.kind} is {download}' if download else text


def _with_settings(layout: Layout, settings: DataSettings) -> Layout:
    images, suffix = settings.images, settings.image_suffix
    if images is None and isinstance(settings, TargetSettings) and settings.kind == 'folder':
        images = '.'  # nothing but images is expected in it
    labels = settings.labels if isinstance(settings, LabelFileSettings) else None
    return replace(
        layout,
        images=layout.images if images is None else images,
        labels=layout.labels if labels is None else labels,
        image_suffix=layout.image_suffix if suffix is None else suffix,
    )


def _places(
    layout: Layout,
    settings: DataSettings,
    root: Path,
    conditions: Iterable[str],
    role: str,
) -> tuple[FramePlace, ...]:
    split = settings.split or ('val' if role == 'validation' else 'train')
    folder = (KINDS[settings.kind].splits or FOLDERS)[split]
    names = dict.fromkeys(
        tuple(
            place and place.replace('{split}', folder).replace('{condition}', condition)
            for place in (layout.images, layout.labels)
        )
        for condition in conditions
    )
    return tuple(
        FramePlace(root / (images or '.'), None if labels is None else root / labels)
        for images, labels in names
    )


def _conditions(settings: DataSettings, kind: DataKind, role: str) -> Sequence[str]:
    for name in settings.conditions:
        if name not in kind.conditions:
            there = ', '.join(kind.conditions) or 'none'
            raise ValueError(
                f'{role}.conditions names {name!r}; the conditions of kind {settings.kind} are: '
                f'{there}'
            )
    return settings.conditions or kind.usual_conditions or ('',)


def _presence(places: Sequence[FramePlace]) -> int:
    """How much of a layout is there: its images count for more than its labels."""
    images = any(place.images.is_dir() for place in places)
    labels = any(place.labels is not None and place.labels.is_dir() for place in places)
    return 2 * images + (images and labels)


def _check_present(
    places: Sequence[Sequence[FramePlace]], best: int, settings: DataSettings, role: str
) -> None:
    missing = next((p.images for p in places[best] if not p.images.is_dir()), None)
    if missing is None:
        return
    others: dict[Path, None] = {}
    if not _presence(places[best]):
        others = dict.fromkeys(
            layout[0].images for layout in places if layout[0].images != missing
        )
    nor = f' (nor {", ".join(map(str, others))})' if others else ''
    fields = ['root', 'images']
    if KINDS[settings.kind].conditions and _presence(places[best]):
        fields = ['conditions']
    raise ValueError(f'there is no folder {missing}{nor}; {place_remedy(settings, role, *fields)}')


def _check_split(layout: Layout, settings: DataSettings, role: str) -> None:
    if settings.kind == 'bag_images':
        return  # its drives have parts, see training/extraction/splits.py
    if settings.split is not None and '{split}' not in f'{layout.images}{layout.labels}':
        raise ValueError(
            f'{role}.split is {settings.split}, but kind {settings.kind} has all its frames in '
            f'{layout.images}; leave split out, or name a folder of your own in {role}.images'
        )
