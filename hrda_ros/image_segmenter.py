"""What the node needs of a model, and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from hrda_core.classes import ClassSet, Uint8Array
from hrda_ros.domain_watch import DomainScores
from hrda_ros.process import StartError, explain_missing
from hrda_ros.settings import Settings


class Result(Protocol):
    """The part of a Segmentation that is told."""

    @property
    def labels(self) -> Uint8Array:
        """Train ids, uint8 (H, W)."""

    @property
    def confidence(self) -> Uint8Array:
        """Confidence of the labels, uint8 (H, W), 0..255."""

    @property
    def windows_computed(self) -> int:
        """Detail windows that went through the network."""

    @property
    def windows_planned(self) -> int:
        """Detail windows there would be without limits."""

    @property
    def milliseconds(self) -> float:
        """Time of the model for this image, and those that went with it [ms]."""


class ImageSegmenter(Protocol):
    """What the node needs of hrda_core's Segmenter; tests bring a smaller one."""

    classes: ClassSet
    most_images: int
    """Most images that should come at once; falls when memory runs out."""
    domain: DomainScores | None
    """Of its network; None if it does not know the images that it was made for."""
    no_domain: str
    """Why it does not, and what to do about it; '' otherwise."""

    @property
    def description(self) -> str:
        """Device, precision and mode in words."""

    @property
    def device(self) -> str:
        """Where it runs: cpu, cuda:0, ..."""

    @property
    def precision(self) -> str:
        """Number format: fp32, bf16, ..."""

    def check_size(self, height: int, width: int) -> None:
        """ValueError for a size of images that it cannot segment."""

    def segment_batch(
        self, images: Sequence[Uint8Array], streams: Sequence[str]
    ) -> Sequence[Result]:
        """Label images of one size, uint8 (H, W, 3) RGB, of the cameras of these names."""

    def set_limits(
        self, threshold: float | None, budget: int | None, deadline_ms: float | None
    ) -> None:
        """Change the limits of mode anytime from the next image on; None: no limit."""

    def warm_up(self, height: int, width: int, images: int = 1) -> float:
        """Prepare for so many images of a size at once; returns their time [ms]."""

    def make_room(self, error: Exception) -> str:
        """Need less memory after that error, if memory is what it is about; says how, or ''."""


def check_checkpoint(path: str) -> None:
    """ValueError unless a file is there and says that it is a checkpoint; no weights are read."""
    # Here, because an interpreter without torch must still get to its one sentence.
    from hrda_core.checkpoints import read_model_metadata

    read_model_metadata(path)


def load_segmenter(settings: Settings) -> ImageSegmenter:
    """Load the checkpoint that the parameters name.

    Raises:
        StartError: no checkpoint is named, it cannot be used, or torch is missing.
    """
    if not settings.checkpoint:
        raise StartError(
            'no checkpoint given; add checkpoint:=/path/to/model.safetensors to ros2 launch, '
            'or --ros-args -p checkpoint:=/path/to/model.safetensors to ros2 run'
        )
    if not Path(settings.checkpoint).is_file():
        raise StartError(f'checkpoint {settings.checkpoint} is not a file')
    try:
        # Here, because an interpreter without torch must still get to its one sentence.
        from hrda_ros.inference import WatchedSegmenter, inference_settings

        return WatchedSegmenter.from_checkpoint(settings.checkpoint, inference_settings(settings))
    except ImportError as error:
        raise StartError(explain_missing(error)) from error
    except (ValueError, OSError, RuntimeError) as error:
        raise StartError(str(error).partition('\n')[0]) from error
