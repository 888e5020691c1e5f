"""Settings of the data sets: simulator (source), camera (target), few labels and validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LabelledSettings:
    """Labelled frames to learn from, and how they are cropped."""

    root: str
    """Folder of the data set."""
    kind: Literal['folder', 'gta'] = 'folder'
    """'folder': images and labels as the fields below say; 'gta': GTA5 as downloaded (raw ids)."""
    images: str = 'images'
    """Image folder below root, searched recursively for .jpg, .jpeg and .png."""
    labels: str = 'labels'
    """Label folder below root; the label of images/A/B.jpg is labels/A/B{label_suffix}.png."""
    label_suffix: str = ''
    """Text between an image's name and .png in its label's name, such as '_labelTrainIds'."""
    label_ids: Literal['train', 'raw'] = 'train'
    """'train': pixels are class indices, 255 = ignored; 'raw': mapped by the class set's ids."""
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
        """Check the weight; raises ValueError."""
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
        """Check the share; raises ValueError."""
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
    kind: Literal['folder', 'bag_images'] = 'bag_images'
    """'bag_images': the folder that `hrda extract` wrote; 'folder': any other folder."""
    images: str = '.'
    """Image folder below root, searched recursively for .jpg, .jpeg and .png."""
    size: tuple[int, int] | None = None
    """Frames are resized to fit into (width, height) [px], aspect kept; null = not resized."""
    margins: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Top, bottom, left, right [px of the resized frame] where pseudo labels do not count:
    the bonnet, the ego vehicle, the border (Cityscapes at 2048x1024: 30, 240, 30, 30)."""


@dataclass(frozen=True)
class ValidationSettings:
    """Labelled frames that only measure; nothing is learnt from them."""

    root: str
    """Folder of the data set."""
    images: str = 'images'
    """Image folder below root, searched recursively for .jpg, .jpeg and .png."""
    labels: str = 'labels'
    """Label folder below root; the label of images/A/B.jpg is labels/A/B{label_suffix}.png."""
    label_suffix: str = ''
    """Text between an image's name and .png in its label's name, such as '_labelTrainIds'."""
    label_ids: Literal['train', 'raw'] = 'train'
    """'train': pixels are class indices, 255 = ignored; 'raw': mapped by the class set's ids."""
    limit: int | None = None
    """Score this many frames, evenly spread over the data set; null = all."""
    merge: dict[str, str] = field(default_factory=dict)
    """Class name → class name it is scored as, in predictions and labels ({truck: car})."""
    score: list[str] = field(default_factory=list)
    """Class names in the mean; empty = all that occur in labels or predictions."""
