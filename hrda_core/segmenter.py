"""Segmenter: a uint8 image in, uint8 labels and confidence out."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from hrda_core.anytime import Anytime, Refinement
from hrda_core.checkpoints import load_model
from hrda_core.classes import ClassSet, Uint8Array
from hrda_core.decision import decide, full_size_strips, to_bytes
from hrda_core.engines import LiveEngine, PreparedEngine, build_engine
from hrda_core.fitted_plan import FittedPlan, fit_plan, shrunk_size
from hrda_core.heads import resize
from hrda_core.hrda import HRDA, CropPrediction
from hrda_core.inference import InferenceSettings
from hrda_core.mosaic import Mosaic
from hrda_core.preparation import check_images, check_size, padded, upload, windows_at_once
from hrda_core.resolutions import parts_of
from hrda_core.results import Explanation, Segmentation
from hrda_core.runtime import choose_runtime, is_out_of_memory
from hrda_core.temperature import temperature_of
from hrda_core.tuning import describe_limits, tuned_settings
from hrda_core.windows import Box, WindowPlan, padded_size, plan_windows, scaled_size

S = TypeVar('S', bound='Segmenter')


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
        most_images: most images that should go through the network at once; falls when memory
            runs out.

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
        self.most_images = sys.maxsize
        self._at_once, self._images = 1, 1
        self._anytime: Anytime | None = None
        if self.settings.mode == 'anytime':
            tuned = tuned_settings(self.settings, model)
            self._anytime = Anytime(self._engine, self.model, tuned)

    @classmethod
    def from_checkpoint(
        cls: type[S], path: str | Path, settings: InferenceSettings | None = None
    ) -> S:
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

    def check_size(self, height: int, width: int) -> None:
        """ValueError for a size of images [px] that cannot be segmented."""
        check_size(height, width)

    def scaled(self, size: Sequence[int]) -> tuple[int, int]:
        """Rows and columns of an image as the network sees it [px].

        Args:
            size: its rows and columns as it is [px].
        """
        height, width = size[:2]
        if self._anytime is None:
            return scaled_size(height, width, self.model.architecture)
        return shrunk_size(height, width, self.model.architecture, self.settings.shrink)

    @property
    def device(self) -> str:
        """Where it runs: cpu, cuda:0, ..."""
        return str(self._runtime.device)

    @property
    def precision(self) -> str:
        """Number format of the products: fp32, bf16 or fp16."""
        return self._runtime.precision

    def make_room(self, error: Exception) -> str:
        """Halve the images or windows at once from the next image on, if memory ran out.

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
        if self._images > 1:
            self.most_images = self._images // 2
            return f'at most {self.most_images} images go through the network at once'
        if self._at_once <= 1:
            return ''
        batch = self._at_once // 2
        self.settings = replace(self.settings, window_batch=batch)
        return f'at most {batch} windows go through the network at once'

    @torch.inference_mode()
    def warm_up(self, height: int, width: int, images: int = 1) -> float:
        """Prepare for images of a size, so that the first is no slower than those after it.

        In mode `anytime` the costs of windows are measured, for the deadlines to come.

        Args:
            height: rows of an image [px].
            width: its columns [px].
            images: how many there will be at once.

        Returns:
            The time of so many images afterwards [ms].
        """
        batch = [np.full((height, width, 3), 127, np.uint8)] * images
        streams = ['warm-up'] * images
        with self._engine.warming_up():
            prepared, plan = self._prepare(batch[:1])
            if self._anytime is not None and isinstance(plan, FittedPlan):
                self._anytime.measure(prepared, plan, self._batch(plan))
            self.segment_batch(batch, streams)
        if self._anytime is not None and isinstance(plan, FittedPlan):
            self._anytime.forget_tail(plan)  # memory was laid out meanwhile
        return self.segment_batch(batch, streams)[0].milliseconds

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
        return self.segment_batch([image], [stream])[0]

    @torch.inference_mode()
    def segment_batch(
        self, images: Sequence[Uint8Array], streams: Sequence[str]
    ) -> list[Segmentation]:
        """Segment images of one size, such as those of several cameras, in one go.

        Each result is that of `segment`, but for rounding, and its `milliseconds` are those of
        all. In mode `anytime` threshold and budget hold for each image; the deadline holds for
        all together, and their windows compete for what time there is.

        Args:
            images: at least one, each as of `segment`.
            streams: the camera of each.

        Raises:
            ValueError: not such images, or their sizes differ.
        """
        return self._segmentations(self._predict(images, streams, lambda crop: [crop.fused]))

    @torch.inference_mode()
    def probabilities(self, image: Uint8Array, stream: str = '') -> Iterator[Tensor]:
        """Class probabilities of one image in strips of rows, from top to bottom.

        All at once would take 160 MB for 2048x1024 px and 19 classes.

        Shape:
            image: as of `segment`, as are the errors; strips: float32 (C, rows, W).
        """
        [predicted] = self._predict([image], [stream], lambda crop: [crop.fused])
        for _, strip in self._strips(predicted.mosaics[0], predicted.size):
            yield strip.div_(self.temperature).softmax(dim=0)

    @torch.inference_mode()
    def explain(self, image: Uint8Array, stream: str = '') -> Explanation:
        """Segment one image and show what context, detail and attention say.

        For networks of one resolution, context and detail are the result itself and the
        attention is 0; where a window was left out, the detail is the context and the attention
        0. Shapes and errors are those of `segment`.
        """
        [predicted] = self._predict([image], [stream], parts_of)
        [segmentation] = self._segmentations([predicted])
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
        prepared, plan = self._prepare([image])
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
        self,
        images: Sequence[Uint8Array],
        streams: Sequence[str],
        take: Callable[[CropPrediction], list[Tensor]],
    ) -> list[_Predicted]:
        """Run the network; `take` says which maps of each context crop are wanted."""
        started_s = time.perf_counter()
        prepared, plan = self._prepare(images)
        if isinstance(plan, FittedPlan) and self._anytime and not self._anytime.is_ready(plan):
            # Times of a first image, in which memory is laid out, would judge all later ones.
            self.warm_up(images[0].shape[0], images[0].shape[1], len(images))
            started_s = time.perf_counter()
        batch = self._batch(plan, len(images))
        if isinstance(plan, FittedPlan):
            assert self._anytime is not None
            choice = self._anytime.predict(prepared, plan, batch, started_s, streams)
            whole = Box(0, plan.height, 0, plan.width)
            crops: Iterable[tuple[Box, CropPrediction]] = [(whole, choice.prediction)]
            computed, planned = [len(windows) for windows in choice.computed], len(plan.windows)
        else:
            crops = self.model.predict_crops(prepared, plan, batch, self._engine)
            computed, planned = [len(plan.windows)] * len(images), plan.planned
        found: list[list[Mosaic]] = [[] for _ in images]
        for box, crop in crops:
            maps = take(crop)
            for number, mosaics in enumerate(found):
                mosaics += [Mosaic(plan.height, plan.width) for _ in maps[len(mosaics) :]]
                for mosaic, part in zip(mosaics, maps, strict=True):
                    mosaic.add(part[number : number + 1], box)
        size = (images[0].shape[0], images[0].shape[1])
        refined_s = time.perf_counter()
        return [
            _Predicted(mosaics, plan, size, windows, planned, started_s, refined_s)
            for mosaics, windows in zip(found, computed, strict=True)
        ]

    def _segmentations(self, predicted: Sequence[_Predicted]) -> list[Segmentation]:
        decided = [self._decide(image.mosaics[0], image.size) for image in predicted]
        ended_s = time.perf_counter()
        first = predicted[0]
        if isinstance(first.plan, FittedPlan) and self._anytime is not None:
            tail_ms = (ended_s - first.refined_s) * 1e3 / len(predicted)
            self._anytime.note_tail(first.plan, tail_ms)
        milliseconds = (ended_s - first.started_s) * 1e3
        return [
            Segmentation(labels, confidence, image.computed, image.planned, milliseconds)
            for image, (labels, confidence) in zip(predicted, decided, strict=True)
        ]

    def _prepare(self, images: Sequence[Uint8Array]) -> tuple[Tensor, WindowPlan | FittedPlan]:
        """Upload, scale, normalise and pad images of one size, and plan their windows."""
        check_images(images)
        prepared = upload(images, self._runtime.device)
        size = self.scaled(images[0].shape)
        if prepared.shape[-2:] != size:
            prepared = resize(prepared, size)
        plan = self._plan(*size)
        return padded(self.model.normalise(prepared), plan), plan

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

    def _batch(self, plan: WindowPlan | FittedPlan, images: int = 1) -> int:
        """How many windows go at once: in mode exact of each image, in anytime of all images."""
        shares = 1 if isinstance(plan, FittedPlan) else images
        asked = self.settings.window_batch
        batch = (
            max(asked // shares, 1)
            if asked
            else windows_at_once(plan, self._runtime, self.model, shares)
        )
        self._at_once, self._images = min(batch, len(plan.windows)), images
        return batch

    def _strips(self, mosaic: Mosaic, size: tuple[int, int]) -> Iterator[tuple[int, Tensor]]:
        return full_size_strips(mosaic, self.scaled(size), size)

    def _decide(self, mosaic: Mosaic, size: tuple[int, int]) -> tuple[Uint8Array, Uint8Array]:
        return decide(mosaic, self.scaled(size), size, self.temperature)


class _Predicted(NamedTuple):
    """Maps of one image, and how they came to be."""

    mosaics: list[Mosaic]
    plan: WindowPlan | FittedPlan
    size: tuple[int, int]
    computed: int
    planned: int
    started_s: float
    refined_s: float
