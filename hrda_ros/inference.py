"""Inference as the node needs it; imported late, because it needs torch."""

from __future__ import annotations

from hrda_core.domain_shift import DomainShift, FeatureDomain
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings, parse_class_weights
from hrda_core.segmenter import Segmenter
from hrda_ros.domain_watch import DomainScores
from hrda_ros.settings import Settings, anytime_limits

SCORE_PERIOD_S = 1.0
NO_DOMAIN = (
    'the checkpoint does not say which images it is for; hrda domain-shift CHECKPOINT IMAGES '
    '--store writes that, then call ~/reload'
)


class WatchedSegmenter(Segmenter):
    """A segmenter that can tell how far images are from those that its network was made for.

    Args:
        model: the network.
        settings: how it is run.

    Attributes:
        domain: scores images, at 1 Hz; None if the checkpoint says nothing of its domain.
        no_domain: why there are no scores, and the remedy; '' otherwise.
    """

    def __init__(self, model: HRDA, settings: InferenceSettings | None = None) -> None:
        super().__init__(model, settings)
        self.domain: DomainScores | None = None
        self.no_domain = ''
        if FeatureDomain.key not in model.metadata:
            self.no_domain = NO_DOMAIN
            return
        try:
            self.domain = DomainShift(model.to(self.device), SCORE_PERIOD_S)
        except (ValueError, RuntimeError) as error:
            self.no_domain = str(error)


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
        shrink=settings.shrink,
        window_size=settings.window_size,
        window_overlap=settings.window_overlap,
        class_weights=parse_class_weights(settings.class_weights),
        ageing=settings.ageing,
        **anytime_limits(settings),
    )
