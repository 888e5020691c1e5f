"""Segmenter: a uint8 image in, uint8 labels and confidence out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hrda_core.checkpoints import load_model
from hrda_core.classes import ClassSet, Uint8Array
from hrda_core.heads import resize
from hrda_core.hrda import HRDA, CropPrediction
from hrda_core.runtime import choose_runtime
from hrda_core.windows import Box, WindowPlan, padded_size, plan_windows

SMALLEST_IMAGE = 16
LARGEST_IMAGE = 8192
BATCH_PIXELS = {'cpu': 512 * 512, 'cuda': 16 * 512 * 512}
"""Pixels that go through the network at once: bounds memory, larger is no faster on a CPU."""
STRIP_ROWS = 256
"""Rows that become probabilities at once, so that memory stays bounded on large images."""


class Segmentation(NamedTuple):
    """What the network says of one image.

    Attributes:
        labels: uint8 (H, W) train ids.
        confidence: uint8 (H, W), largest softmax probability of the fused logits, 0..255.
        windows_computed: detail windows that went through the network.
        windows_planned: detail windows of the published plan, repeated ones counted.
        milliseconds: wall time of the call [ms].
    """

    labels: Uint8Array
    confidence: Uint8Array
    windows_computed: int
    windows_planned: int
    milliseconds: float


class Explanation(NamedTuple):
    """A segmentation and what each resolution contributed, all at the size of the image.

    Attributes:
        segmentation: the fused result.
        context: uint8 (H, W) labels of the context branch alone.
        detail: uint8 (H, W) labels of the detail windows alone.
        attention: uint8 (H, W), attention of the predicted classes (spec section 2.3), 0
            (context) to 255 (detail).
    """

    segmentation: Segmentation
    context: Uint8Array
    detail: Uint8Array
    attention: Uint8Array


class _Mean:
    """Sum of overlapping maps on a canvas, and their mean."""

    def __init__(
        self, channels: int, plan: WindowPlan, device: torch.device, images: int = 1
    ) -> None:
        self._sum = torch.zeros(images, channels, plan.height, plan.width, device=device)
        self._count = torch.zeros(1, 1, plan.height, plan.width, device=device)

    def add(self, maps: Tensor, box: Box) -> None:
        """Enlarge maps to the box (before averaging, trap 14) and add them."""
        where = (..., slice(box.y1, box.y2), slice(box.x1, box.x2))
        self._sum[where] += resize(maps.float(), (box.height, box.width))
        self._count[where] += 1

    def result(self) -> Tensor:
        """The mean, (images, channels, H, W)."""
        return self._sum.div_(self._count)


@torch.no_grad()
def batch_logits(model: HRDA, images: Tensor) -> Tensor:
    """Fused logits of a batch, from the windows that the architecture plans for one image.

    Shape:
        images: normalised float (B, 3, H, W) at the scale of the network; result: float32
        (B, C, H, W).
    """
    count, _, height, width = images.shape
    plan = plan_windows(*padded_size(height, width, model.architecture), model.architecture)
    mean = _Mean(len(model.classes), plan, images.device, count)
    batch = _windows_at_once(plan, images.device, count)
    for box, crop in model.predict_crops(_padded(images, plan), plan, batch):
        mean.add(crop.fused, box)
    return mean.result()[..., :height, :width]


def _padded(images: Tensor, plan: WindowPlan) -> Tensor:
    """Fill up to the size of the plan; repeating the border invents no edge, unlike a constant."""
    padding = (0, plan.width - images.shape[-1], 0, plan.height - images.shape[-2])
    return F.pad(images, padding, mode='replicate')


def _windows_at_once(plan: WindowPlan, device: torch.device, images: int = 1) -> int:
    box = plan.windows[0] if plan.windows else plan.contexts[0]
    limit = BATCH_PIXELS.get(device.type, BATCH_PIXELS['cuda'])
    return max(limit // (box.height * box.width * images), 1)


class Segmenter:
    """Runs a model on images: preparation, window plan, precision and outputs.

    Args:
        model: the network; it is moved to the device and set to eval mode.
        device: auto, cpu, cuda or cuda:N.
        precision: auto, fp32, bf16 or fp16.

    Raises:
        ValueError: the device or precision is not to be had.
    """

    def __init__(self, model: HRDA, device: str = 'auto', precision: str = 'auto') -> None:
        self._runtime = choose_runtime(device, precision)
        self.model = model.to(self._runtime.device).eval()
        self.classes: ClassSet = model.classes
        self.description = self._runtime.reason

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, device: str = 'auto', precision: str = 'auto'
    ) -> Segmenter:
        """Load a checkpoint and make a segmenter of it; errors as `load_model` and `Segmenter`."""
        return cls(load_model(path), device, precision)

    def warm_up(self, height: int, width: int) -> float:
        """Segment a grey image of the expected size once; returns its time [ms]."""
        return self.segment(np.full((height, width, 3), 127, np.uint8)).milliseconds

    @torch.inference_mode()
    def segment(self, image: Uint8Array) -> Segmentation:
        """Segment one image.

        Overlapping context crops share their detail windows: each is computed once, with a
        result equal to the published plan, which repeats them.

        Shape:
            image: uint8 (H, W, 3) RGB, 16x16 to 8192x8192.

        Raises:
            ValueError: not such an image.
        """
        start = time.perf_counter()
        logits, plan = self._fused(image)
        return self._segmentation(logits, plan, image, start)

    @torch.inference_mode()
    def probabilities(self, image: Uint8Array) -> Iterator[Tensor]:
        """Class probabilities of one image in strips of rows, from top to bottom.

        All at once would take 160 MB for 2048x1024 px and 19 classes.

        Shape:
            image: as of `segment`, as are the errors; strips: float32 (C, rows, W).
        """
        logits, plan = self._fused(image)
        yield from self._strips(logits.result(), plan, image)

    @torch.inference_mode()
    def explain(self, image: Uint8Array) -> Explanation:
        """Segment one image and show what context, detail and attention say.

        For networks of one resolution, context and detail are the result itself and the
        attention is 0. Shapes and errors are those of `segment`.
        """
        start = time.perf_counter()
        prepared, plan = self._prepare(image)
        count = len(self.classes)
        fused = _Mean(count, plan, prepared.device)
        context = _Mean(count, plan, prepared.device)
        detail = _Mean(count, plan, prepared.device)
        attention = _Mean(1, plan, prepared.device)
        for box, crop in self._crops(prepared, plan):
            fused.add(crop.fused, box)
            # In two steps, as the fusion enlarges it.
            enlarged = resize(crop.context, (crop.fused.shape[-2], crop.fused.shape[-1]))
            context.add(enlarged, box)
            detail.add(enlarged if crop.detail is None else crop.detail, box)
            attention.add(attention_of_prediction(crop), box)
        shown = self._to_image(attention.result(), plan, (image.shape[0], image.shape[1]))
        return Explanation(
            self._segmentation(fused, plan, image, start),
            self._outputs(context.result(), plan, image)[0],
            self._outputs(detail.result(), plan, image)[0],
            _to_bytes(shown[0, 0]),
        )

    def _fused(self, image: Uint8Array) -> tuple[_Mean, WindowPlan]:
        prepared, plan = self._prepare(image)
        logits = _Mean(len(self.classes), plan, prepared.device)
        for box, crop in self._crops(prepared, plan):
            logits.add(crop.fused, box)
        return logits, plan

    def _segmentation(
        self, logits: _Mean, plan: WindowPlan, image: Uint8Array, start: float
    ) -> Segmentation:
        labels, confidence = self._outputs(logits.result(), plan, image)
        milliseconds = (time.perf_counter() - start) * 1e3
        return Segmentation(labels, confidence, len(plan.windows), plan.planned, milliseconds)

    def _prepare(self, image: Uint8Array) -> tuple[Tensor, WindowPlan]:
        """Upload, scale, normalise and pad an image, and plan its windows."""
        _check_image(image)
        architecture = self.model.architecture
        # torch warns of read-only memory, such as that of a message or a PIL image.
        image = np.require(image, requirements=['C', 'W'])
        pixels = torch.from_numpy(image).to(self._runtime.device)
        prepared = pixels.permute(2, 0, 1)[None].float()
        scale = architecture.image_scale
        if scale != 1:
            size = [max(round(side * scale), 1) for side in image.shape[:2]]
            prepared = resize(prepared, (size[0], size[1]))
        height, width = prepared.shape[-2:]
        plan = plan_windows(*padded_size(height, width, architecture), architecture)
        return _padded(self.model.normalise(prepared), plan), plan

    def _crops(self, prepared: Tensor, plan: WindowPlan) -> Iterator[tuple[Box, CropPrediction]]:
        batch = _windows_at_once(plan, self._runtime.device)
        with self._runtime.autocast():
            yield from self.model.predict_crops(prepared, plan, batch)

    def _to_image(self, maps: Tensor, plan: WindowPlan, size: tuple[int, int]) -> Tensor:
        """Cut the padding off and scale back to the size of the image."""
        scale = self.model.architecture.image_scale
        height, width = (max(round(side * scale), 1) for side in size)
        return resize(maps[..., :height, :width], size)

    def _outputs(
        self, logits: Tensor, plan: WindowPlan, image: Uint8Array
    ) -> tuple[Uint8Array, Uint8Array]:
        labels, confidence = [], []
        for strip in self._strips(logits, plan, image):
            probability, label = strip.max(dim=0)
            labels.append(label.to(torch.uint8))
            confidence.append(probability)
        return torch.cat(labels).cpu().numpy(), _to_bytes(torch.cat(confidence))

    def _strips(self, logits: Tensor, plan: WindowPlan, image: Uint8Array) -> Iterator[Tensor]:
        height, width = image.shape[:2]
        logits = self._to_image(logits, plan, (height, width))
        for strip in torch.split(logits[0], STRIP_ROWS, dim=1):
            yield strip.softmax(dim=0)


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


def attention_of_prediction(crop: CropPrediction) -> Tensor:
    """Attention weighted by the predicted probabilities: sum over classes of A * softmax.

    0 says context, 1 detail (spec section 2.3); 0 everywhere with one resolution.

    Shape:
        result: (B, 1, H / s, W / s), the size of the fused logits.
    """
    if crop.attention is None:
        return torch.zeros_like(crop.fused[:, :1])
    height, width = crop.fused.shape[-2:]
    enlarged = resize(crop.attention, (height, width)).float()
    return (enlarged * crop.fused.float().softmax(dim=1)).sum(dim=1, keepdim=True)


def _to_bytes(values: Tensor) -> Uint8Array:
    """Values of 0..1 as uint8 0..255, rounded."""
    scaled: Uint8Array = values.mul(255).round_().clamp_(0, 255).to(torch.uint8).cpu().numpy()
    return scaled
