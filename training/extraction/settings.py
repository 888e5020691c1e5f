"""What `hrda extract` is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

ImageFormat = Literal['jpg', 'png']


@dataclass(frozen=True)
class ChoiceSettings:
    """Which frames to keep; with all defaults, every one.

    Attributes:
        every_ns: distance between frames by header stamp [ns]; 0 takes all.
        max_frames: most frames of a drive, spread evenly over its time; 0 has no limit.
        min_motion: mean difference to the last kept frame [grey levels of 255]; below it the
            vehicle stands; 0 does not look.
        min_change: bits of 256 that the difference hash must differ in from the last kept frame;
            0 does not look.
        min_brightness: share of the drive's median brightness below which a frame is dark; 0
            does not look.
        max_white: over-exposed is a frame whose share of white pixels is above the drive's
            median share by more than this, 0..1; 1 does not look.
        min_sharpness: share of the drive's median sharpness below which a frame is blurred; 0
            does not look.

    Raises:
        ValueError: a value outside its range.
    """

    every_ns: int = 0
    max_frames: int = 0
    min_motion: float = 0.0
    min_change: int = 0
    min_brightness: float = 0.0
    max_white: float = 1.0
    min_sharpness: float = 0.0

    def __post_init__(self) -> None:
        limits = {
            'max_frames': 10**9,
            'min_motion': 255,
            'min_change': 256,
            'min_brightness': 1,
            'max_white': 1,
            'min_sharpness': 1,
        }
        for name, most in limits.items():
            value = getattr(self, name)
            if not 0 <= value <= most:
                option = name.replace('_', '-')
                raise ValueError(f'--{option} {value} must be a number from 0 to {most}')

    @cached_property
    def compares_with_median(self) -> bool:
        """Whether the drive has to be looked at before the first frame is chosen."""
        return self.min_brightness > 0 or self.max_white < 1 or self.min_sharpness > 0

    @cached_property
    def looks_at_pixels(self) -> bool:
        """Whether frames have to be decoded to choose among them."""
        return self.compares_with_median or self.min_motion > 0 or self.min_change > 0


@dataclass(frozen=True)
class PictureSettings:
    """What is done to a frame; with all defaults its bytes are copied where that is possible.

    Attributes:
        image_format: of images that cannot be copied.
        undistort: take the lens distortion out, by the CameraInfo of the recording.
        crop: (left, top, width, height) of the part to keep [px of the recorded, or if asked
            for, undistorted frame]; None keeps all.
        resize: (width, height) that the part is made smaller to fit into [px], aspect kept; None
            keeps its size.
        mask: picture of the size of the recorded frames that is black where nothing is to be
            learnt from the camera (bonnet, border); None has no such place.
        anonymise: a command with {input} and {output}, or 'module:function'; None changes nothing.
    """

    image_format: ImageFormat = 'jpg'
    undistort: bool = False
    crop: tuple[int, int, int, int] | None = None
    resize: tuple[int, int] | None = None
    mask: Path | None = None
    anonymise: str | None = None

    @cached_property
    def changes_geometry(self) -> bool:
        """Whether pixels move."""
        return self.undistort or self.crop is not None or self.resize is not None

    @cached_property
    def copies(self) -> bool:
        """Whether nothing has to change the bytes of a JPEG or PNG message."""
        return not self.changes_geometry and self.anonymise is None


@dataclass(frozen=True)
class ExtractionSettings:
    """How to extract, and where to.

    Attributes:
        root: output folder.
        choice: which frames.
        picture: what is done to them.
        dry_run: write nothing, only count.
    """

    root: Path
    choice: ChoiceSettings
    picture: PictureSettings
    dry_run: bool = False

    def recorded(self) -> Mapping[str, Any]:
        """What makes the frames of a folder what they are: all that is not as by default.

        Plain values for JSON; a mask is known by its content.
        """
        given = asdict(self.choice) | asdict(self.picture)
        usual = asdict(ChoiceSettings()) | asdict(PictureSettings())
        values = {name: value for name, value in given.items() if value != usual[name]}
        if self.picture.mask is not None:
            values['mask'] = hashlib.sha1(self.picture.mask.read_bytes()).hexdigest()
        return {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}
