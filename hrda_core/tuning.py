"""What `hrda tune-windows` found out about a network, kept in its checkpoint's metadata."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from hrda_core.metadata import MetadataEntry


@dataclass(frozen=True)
class TunedWindows(MetadataEntry):
    """The cheapest windows that change few labels.

    Attributes:
        threshold: least score of a window that is computed, 0..1.
        window_size: about the side of a window [px of the scaled image].
        window_overlap: how far neighbours overlap [px of the scaled image].
        context: whole or fewest, as of `InferenceSettings`.
        window_score: what the threshold applies to.
        max_flips: share of the labels that may differ from all windows, 0..1.
        shrink: as of `InferenceSettings`; checkpoints that do not say it were tuned with the
            value here.
    """

    threshold: float
    window_size: int
    window_overlap: int
    context: str
    window_score: str
    max_flips: float
    shrink: float = 0.0625

    key: ClassVar[str] = 'anytime'
    command: ClassVar[str] = 'hrda tune-windows'


def tuned_settings(settings: InferenceSettings, model: HRDA) -> InferenceSettings:
    """Settings of mode `anytime` with nothing left open.

    A tuned threshold is for the windows and the score it was found with, and only for them.

    Raises:
        ValueError: the network has one resolution only, or its tuning cannot be understood.
    """
    architecture = model.architecture
    if not architecture.multi_resolution:
        raise ValueError(
            'mode anytime needs a network with a detail branch, and this one has a single '
            'resolution; use mode exact'
        )
    tuned = TunedWindows.of(model)
    size, overlap = settings.window_size, settings.window_overlap
    if not size and tuned is not None:
        size, overlap = tuned.window_size, overlap or tuned.window_overlap
    size = size or architecture.detail_size
    threshold = settings.threshold
    if threshold is None and tuned is not None:
        asked = replace(
            tuned,
            window_size=size,
            window_overlap=overlap,
            context=settings.context,
            window_score=settings.window_score,
            shrink=settings.shrink,
        )
        threshold = tuned.threshold if asked == tuned else None
    return replace(settings, window_size=size, window_overlap=overlap, threshold=threshold or 0.0)


def describe_limits(settings: InferenceSettings) -> str:
    """The limits of mode `anytime` in words."""
    limits = []
    if settings.threshold:
        limits.append(f'windows of score {settings.threshold:.3g} or more')
    if settings.budget is not None:
        limits.append(f'at most {settings.budget} windows')
    if settings.deadline_ms is not None:
        limits.append(f'within {settings.deadline_ms:g} ms')
    size = f'windows of about {settings.window_size} px'
    return f'{size}, {", ".join(limits) or "all of them"}'
