"""The node's parameters as settings of inference; imported late, because it needs torch."""

from __future__ import annotations

from hrda_core.inference import InferenceSettings
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


def parse_class_weights(text: str) -> dict[str, float]:
    """Read 'person=4, traffic sign=2'.

    Raises:
        ValueError: a part is no NAME=NUMBER.
    """
    weights = {}
    for part in filter(None, (part.strip() for part in text.split(','))):
        name, equals, number = part.rpartition('=')
        try:
            if not equals:
                raise ValueError
            weights[name.strip()] = float(number)
        except ValueError:
            raise ValueError(
                f'class_weights: {part!r} is not NAME=NUMBER; write person=4, rider=2'
            ) from None
    return weights
