"""The node's parameters as settings of inference; imported late, because it needs torch."""

from __future__ import annotations

from hrda_core.inference import InferenceSettings, parse_class_weights
from hrda_ros.settings import Settings, anytime_limits


def inference_settings(settings: Settings) -> InferenceSettings:
    """Settings for the segmenter.

    Raises:
        ValueError: a value is outside its range, or class weights cannot be read.
    """
    return InferenceSettings(
        device=settings.device,
        precision=settings.precision,
        backend=settings.backend,  # type: ignore[arg-type]
        export_dir=settings.export_dir,
        compile=settings.compile,
        mode=settings.mode,  # type: ignore[arg-type]
        context=settings.context,  # type: ignore[arg-type]
        window_size=settings.window_size,
        window_overlap=settings.window_overlap,
        class_weights=parse_class_weights(settings.class_weights),
        ageing=settings.ageing,
        **anytime_limits(settings),  # type: ignore[arg-type]
    )
