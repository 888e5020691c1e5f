"""What the node needs of a model, and where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hrda_core.classes import ClassSet
from hrda_ros.outputs import Result
from hrda_ros.process import StartError, explain_missing
from hrda_ros.settings import Settings


class ImageSegmenter(Protocol):
    """What the node needs of hrda_core's Segmenter; tests bring a smaller one."""

    classes: ClassSet

    @property
    def description(self) -> str:
        """Device, precision and mode in words."""

    @property
    def device(self) -> str:
        """Where it runs: cpu, cuda:0, ..."""

    @property
    def precision(self) -> str:
        """Number format: fp32, bf16, ..."""

    def segment(self, image: npt.NDArray[np.uint8], stream: str) -> Result:
        """Label an image, uint8 (H, W, 3) RGB, of the camera of that name."""

    def set_limits(
        self, threshold: float | None, budget: int | None, deadline_ms: float | None
    ) -> None:
        """Change the limits of mode anytime from the next image on; None: no limit."""

    def warm_up(self, height: int, width: int) -> float:
        """Prepare for images of a size; returns the time of one [ms]."""

    def make_room(self, error: Exception) -> str:
        """Need less memory after that error, if memory is what it is about; says how, or ''."""


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
        from hrda_core.segmenter import Segmenter
        from hrda_ros.inference import inference_settings

        return Segmenter.from_checkpoint(settings.checkpoint, inference_settings(settings))
    except ImportError as error:
        raise StartError(explain_missing(error)) from error
    except (ValueError, OSError, RuntimeError) as error:
        raise StartError(str(error).partition('\n')[0]) from error
