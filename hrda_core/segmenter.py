"""Segmenter: a uint8 image in, uint8 labels and confidence out."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hrda_core.anytime import Anytime, Refinement
from hrda_core.checkpoints import load_model
from hrda_core.classes import ClassSet, Uint8Array
from hrda_core.decision import decide, full_size_strips, to_bytes
from hrda_core.engines import LiveEngine, PreparedEngine, build_engine
from hrda_core.fitted_plan import FittedPlan, fit_plan
from hrda_core.heads import resize
from hrda_core.hrda import HRDA, CropPrediction
from hrda_core.inference import InferenceSettings
from hrda_core.mosaic import Mosaic
from hrda_core.resolutions import parts_of
from hrda_core.results import Explanation, Segmentation
from hrda_core.runtime import Runtime, choose_runtime, is_out_of_memory
from hrda_core.temperature import temperature_of
from hrda_core.tuning import describe_limits, tuned_settings
from hrda_core.windows import Box, WindowPlan, padded_size, plan_windows

SMALLEST_IMAGE = 16
LARGEST_IMAGE = 8192


@torch.no_grad()
def batch_logits(model: HRDA, images: Tensor) -> Tensor:
    """Fused logits of a batch, from the windows that the architecture plans for one image.

    Shape:
        images: normalised float (B, 3, H, W) at the scale of the network; result: float32
        (B, C, H, W).
    """
    count, _, height, width = images.shape
    plan = plan_windows(*padded_size(height, width, model.architecture), model.architecture)
    runtime = Runtime(images.device, torch.float32, '')
    batch = _windows_at_once(plan, runtime, model, count)
    mosaic = Mosaic(plan.height, plan.width)
    for box, crop in model.predict_crops(_padded(images, plan), plan, batch):
        mosaic.add(crop.fused, box)
    return mosaic.rows(0, height)[..., :width]


def _padded(images: Tensor, plan: WindowPlan | FittedPlan) -> Tensor:
    """Fill up to the size of the plan; repeating the border invents no edge, unlike a constant."""
    padding = (0, plan.width - images.shape[-1], 0, plan.height - images.shape[-2])
    return F.pad(images, padding, mode='replicate')


def _windows_at_once(
    plan: WindowPlan | FittedPlan, runtime: Runtime, model: HRDA, images: int = 1
) -> int:
    box = plan.windows[0] if plan.windows else plan.contexts[0]
    a = model.architecture
    # The widest maps are those of the decoder: levels and branches side by side, some twice.
    values = 8 * (a.embed_channels + a.head_channels) / model.stride**2
    pixels = runtime.pixels_at_once(values * runtime.dtype.itemsize)
    return max(pixels // (box.height * box.width * images), 1)


class Segmenter:
    """Runs a network on images: preparation, window plan, precision and outputs.

    Args:
        model: the network; what computes it holds weights of its own.
        settings: how it is run; None for the defaults.
        live: its weights may change between images: they are used as they are, not copied into
            a faster form. It is set to eval mode, and moved to the device.

    Attributes:
        model: the network; without weights, unless it is live.
        classes: what it tells apart.
        settings: as given, with the limits as they are now.
        temperature: what logits are divided by for confidence and probabilities; 1 unless the
            checkpoint is calibrated.

    Raises:
        ValueError: the device or precision is not to be had, or the mode needs a detail branch.
    """

    def __init__(
        self, model: HRDA, settings: InferenceSettings | None = None, *, live: bool = False
    ) -> None:
        self.settings = settings or InferenceSettings()
        self._runtime = choose_runtime(self.settings.device, self.settings.precision)
        self.classes: ClassSet = model.classes
        self._engine: PreparedEngine
        if live:
            self.model = model.to(self._runtime.device).eval()
            self._engine = LiveEngine(model, self._runtime)
        else:
            self.model = model.without_weights(self._runtime.device)
            self._engine = build_engine(model, self.settings, self._runtime)
        self.temperature = 1.0 if live else temperature_of(model)
        self._at_once = 1
        self._anytime: Anytime | None = None
        if self.settings.mode == 'anytime':
            tuned = tuned_settings(self.settings, model)
            self._anytime = Anytime(self._engine, self.model, tuned)

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, settings: InferenceSettings | None = None
    ) -> Segmenter:
        """Load a checkpoint and make a segmenter of it; errors as `load_model` and `Segmenter`."""
        return cls(load_model(path), settings)

    @property
    def description(self) -> str:
        """Backend, device, precision and mode in words, each with its reason."""
        if self._anytime is None:
            return self._engine.description
        return f'{self._engine.description}; anytime: {describe_limits(self._anytime.settings)}'

    def set_limits(
        self, threshold: float | None, budget: int | None, deadline_ms: float | None
    ) -> None:
        """Change the limits of mode `anytime` from the next image on; from any thread.

        They mean what they mean in `InferenceSettings`, and have no effect in mode `exact`.

        Raises:
            ValueError: a limit is outside its range; the old ones stay.
        """
        settings = replace(
            self.settings, threshold=threshold, budget=budget, deadline_ms=deadline_ms
        )
        if self._anytime is not None:
            self._anytime.settings = tuned_settings(settings, self.model)
        self.settings = settings

    @property
    def device(self) -> str:
        """Where it runs: cpu, cuda:0, ..."""
        return str(self._runtime.device)

    @property
    def precision(self) -> str:
        """Number format of the products: fp32, bf16 or fp16."""
        return self._runtime.precision

    def make_room(self, error: Exception) -> str:
        """Halve the windows at once from the next image on, if memory ran out.

        Args:
            error: what an image failed with; what it holds of that image is let go.

        Returns:
            What was done, in words; '' if memory is not the matter, or nothing is left to halve.
        """
        if not is_out_of_memory(error):
            return ''
        traceback.clear_frames(error.__traceback__)
        if self._runtime.device.type == 'cuda':
            torch.cuda.empty_cache()
        if self._at_once <= 1:
            return ''
        batch = self._at_once // 2
        self.settings = replace(self.settings, window_batch=batch)
        return f'at most {batch} windows go through the network at once'

    @torch.inference_mode()
    def warm_up(self, height: int, width: int) -> float:
        """Prepare for images of a size, so that the first is no slower than those after it.

        In mode `anytime` the costs of windows are measured, for the deadlines to come.

        Returns:
            The time of an image afterwards [ms].
        """
        image = np.full((height, width, 3), 127, np.uint8)
        with self._engine.warming_up():
            if self._anytime is not None:
                prepared, plan = self._prepare(image)
                assert isinstance(plan, FittedPlan)
                self._anytime.measure(prepared, plan, self._batch(plan))
            self.segment(image, stream='warm-up')
        return self.segment(image, stream='warm-up').milliseconds

    @torch.inference_mode()
    def segment(self, image: Uint8Array, stream: str = '') -> Segmentation:
        """Segment one image.

        In mode `exact`, overlapping context crops share their detail windows: each is computed
        once, with a result equal to the published plan, which repeats them.

        Args:
            image: see below.
            stream: name of the camera; in mode `anytime`, each has windows that age.

        Shape:
            image: uint8 (H, W, 3) RGB, 16x16 to 8192x8192.

        Raises:
            ValueError: not such an image.
        """
        return self._segmentation(self._predict(image, stream, lambda crop: [crop.fused]))

    @torch.inference_mode()
    def probabilities(self, image: Uint8Array, stream: str = '') -> Iterator[Tensor]:
        """Class probabilities of one image in strips of rows, from top to bottom.

        All at once would take 160 MB for 2048x1024 px and 19 classes.

        Shape:
            image: as of `segment`, as are the errors; strips: float32 (C, rows, W).
        """
        predicted = self._predict(image, stream, lambda crop: [crop.fused])
        for _, strip in self._strips(predicted.mosaics[0], predicted.size):
            yield strip.div_(self.temperature).softmax(dim=0)

    @torch.inference_mode()
    def explain(self, image: Uint8Array, stream: str = '') -> Explanation:
        """Segment one image and show what context, detail and attention say.

        For networks of one resolution, context and detail are the result itself and the
        attention is 0; where a window was left out, the detail is the context and the attention
        0. Shapes and errors are those of `segment`.
        """
        predicted = self._predict(image, stream, parts_of)
        segmentation = self._segmentation(predicted)
        _, context, detail, attention = predicted.mosaics
        shown = [strip[0] for _, strip in self._strips(attention, predicted.size)]
        return Explanation(
            segmentation,
            self._decide(context, predicted.size)[0],
            self._decide(detail, predicted.size)[0],
            to_bytes(torch.cat(shown)).cpu().numpy(),
        )

    @torch.inference_mode()
    def refinement(self, image: Uint8Array) -> Refinement:
        """The context of one image in mode `anytime`; windows are then added by hand.

        For tuning and measurements that try many choices of windows. Shapes and errors are
        those of `segment`.

        Raises:
            ValueError: the mode is exact.
        """
        if self._anytime is None:
            raise ValueError('only mode anytime has windows to choose; set mode to anytime')
        prepared, plan = self._prepare(image)
        assert isinstance(plan, FittedPlan)
        return Refinement(self._engine, self.model, prepared, plan)

    @torch.inference_mode()
    def labels_of(self, refinement: Refinement, size: tuple[int, int]) -> Uint8Array:
        """Labels, uint8 (H, W), of an image of that size with the windows added so far."""
        plan = refinement.plan
        mosaic = Mosaic(plan.height, plan.width)
        mosaic.add(refinement.prediction().fused, Box(0, plan.height, 0, plan.width))
        return self._decide(mosaic, size)[0]

    def _predict(
        self, image: Uint8Array, stream: str, take: Callable[[CropPrediction], list[Tensor]]
    ) -> _Predicted:
        """Run the network; `take` says which maps of each context crop are wanted."""
        started_s = time.perf_counter()
        prepared, plan = self._prepare(image)
        batch = self._batch(plan)
        if isinstance(plan, FittedPlan):
            assert self._anytime is not None
            choice = self._anytime.predict(prepared, plan, batch, started_s, stream)
            whole = Box(0, plan.height, 0, plan.width)
            crops: Iterable[tuple[Box, CropPrediction]] = [(whole, choice.prediction)]
            computed, planned = len(choice.computed), len(plan.windows)
        else:
            crops = self.model.predict_crops(prepared, plan, batch, self._engine)
            computed, planned = len(plan.windows), plan.planned
        mosaics: list[Mosaic] = []
        for box, crop in crops:
            maps = take(crop)
            mosaics = mosaics or [Mosaic(plan.height, plan.width) for _ in maps]
            for mosaic, part in zip(mosaics, maps, strict=True):
                mosaic.add(part, box)
        size = (image.shape[0], image.shape[1])
        return _Predicted(mosaics, plan, size, computed, planned, started_s, time.perf_counter())

    def _segmentation(self, predicted: _Predicted) -> Segmentation:
        labels, confidence = self._decide(predicted.mosaics[0], predicted.size)
        ended_s = time.perf_counter()
        if isinstance(predicted.plan, FittedPlan) and self._anytime is not None:
            self._anytime.note_tail(predicted.plan, (ended_s - predicted.refined_s) * 1e3)
        milliseconds = (ended_s - predicted.started_s) * 1e3
        return Segmentation(
            labels, confidence, predicted.computed, predicted.planned, milliseconds
        )

    def _prepare(self, image: Uint8Array) -> tuple[Tensor, WindowPlan | FittedPlan]:
        """Upload, scale, normalise and pad an image, and plan its windows."""
        _check_image(image)
        # torch warns of read-only memory, such as that of a message or a PIL image.
        pixels = torch.from_numpy(np.require(image, requirements=['C', 'W']))
        if self._runtime.device.type == 'cuda':
            pixels = pixels.pin_memory().to(self._runtime.device, non_blocking=True)
        prepared = pixels.permute(2, 0, 1)[None].float()
        if self.model.architecture.image_scale != 1:
            prepared = resize(prepared, self._scaled(image.shape))
        plan = self._plan(prepared.shape[-2], prepared.shape[-1])
        return _padded(self.model.normalise(prepared), plan), plan

    def _plan(self, height: int, width: int) -> WindowPlan | FittedPlan:
        architecture = self.model.architecture
        if self._anytime is None:
            return plan_windows(*padded_size(height, width, architecture), architecture)
        tuned = self._anytime.settings
        return fit_plan(
            height,
            width,
            architecture,
            self.model.stride,
            contexts=tuned.context,
            window_size=tuned.window_size,
            overlap=tuned.window_overlap,
        )

    def _batch(self, plan: WindowPlan | FittedPlan) -> int:
        batch = self.settings.window_batch or _windows_at_once(plan, self._runtime, self.model)
        self._at_once = min(batch, len(plan.windows))
        return batch

    def _strips(self, mosaic: Mosaic, size: tuple[int, int]) -> Iterator[tuple[int, Tensor]]:
        return full_size_strips(mosaic, self._scaled(size), size)

    def _decide(self, mosaic: Mosaic, size: tuple[int, int]) -> tuple[Uint8Array, Uint8Array]:
        return decide(mosaic, self._scaled(size), size, self.temperature)

    def _scaled(self, size: Sequence[int]) -> tuple[int, int]:
        """Rows and columns of an image at the scale of the network."""
        scale = self.model.architecture.image_scale
        return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


class _Predicted(NamedTuple):
    """Maps of one image, and how they came to be."""

    mosaics: list[Mosaic]
    plan: WindowPlan | FittedPlan
    size: tuple[int, int]
    computed: int
    planned: int
    started_s: float
    refined_s: float


def _check_image(image: Uint8Array) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, 'dtype', type(image).__name__)
        raise ValueError(f'an image must be a uint8 numpy array of RGB, not {kind}')
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f'an image must have shape (height, width, 3), not {image.shape}')
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_IMAGE or max(height, width) > LARGEST_IMAGE:
        raise ValueError(
            f'an image of {width}x{height} is outside {SMALLEST_IMAGE}..{LARGEST_IMAGE} px a side'
        )
