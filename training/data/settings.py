"""Settings of the data sets: simulator (source), camera (target), few labels and validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from training.data.kinds import Kind, Split

SMALLEST_SIDE = 16
"""Of resized frames [px]."""


@dataclass(frozen=True)
class LabelFileSettings:
    """Where images and their labels are, and what the labels' pixels mean."""

    root: str
    """Folder of the data set."""
    kind: Kind = 'folder'
    """'folder': images and labels as the fields below say; others: that data set as downloaded
    (gta, synthia, cityscapes, acdc, dark_zurich, bdd100k, mapillary = Vistas 1.2, mapillary_v2,
    camvid). The fields below then need no values, but those that are given win."""
    images: str | None = None
    """Image folder below root, searched recursively for .jpg, .jpeg and .png; null = as the kind
    has it ('folder': images). {split} and {condition} stand for the folders of these."""
    labels: str | None = None
    """Label folder below root; the label of images/A/B.jpg is labels/A/B{label_suffix}.png; null
    = as the kind has it ('folder': labels)."""
    label_suffix: str | None = None
    """Text between an image's name and .png in its label's name, such as '_labelTrainIds'; null
    = as the kind has it ('folder': none)."""
    label_ids: Literal['train', 'raw', 'color'] | None = None
    """'train': pixels are class indices, 255 = ignored; 'raw': ids, 'color': RGB colours, of the
    label_map or, without one, of the class set (unlisted ids and black are then ignored); null =
    as label_map or kind has it ('folder': train)."""
    label_map: str | None = None
    """Table from ids or colours to class names: a YAML file, or one of carla, carla_0.9.13,
    cityscapes, synthia, mapillary_v1.2, mapillary_v2.0, camvid, camvid_11; null = the kind's."""
    image_suffix: str | None = None
    """End of the images' names that their labels do not share, such as '_leftImg8bit'; other
    images are left out; null = as the kind has it ('folder': none)."""
    split: Split | None = None
    """Part of the data set; null = val for validation, else train. Kinds without such parts (gta,
    synthia, folder) have all frames in one."""
    conditions: list[str] = field(default_factory=list)
    """acdc: some of fog, night, rain, snow; dark_zurich: of night, twilight, day; empty = all of
    acdc, night of dark_zurich."""
    exclude: list[str] = field(default_factory=list)
    """Images to leave out, by name or path below root; * stands for any text."""


@dataclass(frozen=True)
class LabelledSettings(LabelFileSettings):
    """Labelled frames to learn from, and how they are cropped."""

    size: tuple[int, int] | None = None
    """Frames are resized to fit into (width, height) [px], aspect kept; null = not resized."""
    max_class_share: float = 0.75
    """Crops where one class covers this share of the labelled pixels are redrawn; 1.0 = off."""
    photometric: bool = False
    """Random brightness, contrast, saturation and hue (for training without self-training)."""


@dataclass(frozen=True)
class SourceSettings(LabelledSettings):
    """The labelled simulator frames that training learns the classes from."""

    weight: float = 1.0
    """How often this source is drawn, relative to the weights of the others (extra_sources);
    above 0. With one source it does nothing."""

    def __post_init__(self) -> None:
        """Check weight and size; raises ValueError."""
        _check_size(self.size, f'of the source {self.root}')
        if not 0 < self.weight < float('inf'):
            raise ValueError(
                f'weight {self.weight} of the source {self.root} must be above 0; leave the '
                'source out to draw nothing from it'
            )


@dataclass(frozen=True)
class FewLabelsSettings(LabelledSettings):
    """A few labelled camera frames that are learnt from like source frames."""

    size: tuple[int, int] | None = None
    """Frames are resized to fit into (width, height) [px], aspect kept; null = as target.size."""
    share: float = 0.5
    """Share of the labelled images of the run that come from these frames, above 0, below 1."""

    def __post_init__(self) -> None:
        """Check share and size; raises ValueError."""
        _check_size(self.size, 'of few_labels')
        if not 0 < self.share < 1:
            raise ValueError(
                f'few_labels.share {self.share} must be above 0 and below 1; to learn from these '
                'frames alone, name them as source'
            )


@dataclass(frozen=True)
class TargetSettings:
    """The unlabelled camera frames that the network adapts to."""

    root: str
    """Folder of the frames: what `hrda extract` wrote, or any folder of images."""
    kind: Kind = 'bag_images'
    """'bag_images': the folder that `hrda extract` wrote; 'folder': any other folder; others:
    the images of that data set as downloaded, see source.kind. Labels are never looked at."""
    images: str | None = None
    """Image folder below root, searched recursively for .jpg, .jpeg and .png; null = as the kind
    has it (bag_images and folder: the root itself). {split} and {condition} stand for the
    folders of these."""
    size: tuple[int, int] | None = None
    """Frames are resized to fit into (width, height) [px], aspect kept; null = not resized."""
    margins: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Top, bottom, left, right [px of the resized frame] where pseudo labels do not count:
    the bonnet, the ego vehicle, the border (Cityscapes at 2048x1024: 30, 240, 30, 30). The mask
    that `hrda extract --mask` writes beside frames counts as well, without being named."""
    image_suffix: str | None = None
    """End of the images' names; others are left out; null = as the kind has it."""
    split: Split | None = None
    """Part of the data set; null = train, or all frames where there are no parts."""
    conditions: list[str] = field(default_factory=list)
    """acdc: some of fog, night, rain, snow; dark_zurich: of night, twilight, day; empty = all of
    acdc, night of dark_zurich."""
    exclude: list[str] = field(default_factory=list)
    """Images to leave out, by name or path below root; * stands for any text."""

    def __post_init__(self) -> None:
        """Check the size; raises ValueError."""
        _check_size(self.size, 'of the target')


@dataclass(frozen=True)
class ValidationSettings(LabelFileSettings):
    """Labelled frames that only measure; nothing is learnt from them."""

    limit: int | None = None
    """Score this many frames, evenly spread over the data set; null = all."""
    merge: dict[str, str] = field(default_factory=dict)
    """Class name → class name it is scored as, in predictions and labels ({truck: car})."""
    score: list[str] = field(default_factory=list)
    """Class names in the mean; empty = all that occur in labels or predictions."""


def _check_size(size: tuple[int, int] | None, whose: str) -> None:
    if size is not None and min(size) < SMALLEST_SIDE:
        raise ValueError(
            f'the size {size[0]}x{size[1]} {whose} is below {SMALLEST_SIDE} px; name (width, '
            'height) that frames fit into, or null'
        )
