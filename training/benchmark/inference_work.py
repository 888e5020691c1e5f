"""Images segmented when asked for: in the published order of work, or by the `Segmenter`."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch

from hrda_core.classes import Uint8Array
from hrda_core.inference import InferenceSettings
from hrda_core.runtime import PRECISIONS, choose_runtime
from hrda_core.segmenter import Segmenter
from training.benchmark.contenders import Requests
from training.benchmark.inference_specs import Network
from training.benchmark.published_inference import PublishedInference, published_plan

MATRIX_SIDE = {'cpu': 2048, 'cuda': 8192}
MATRIX_PRODUCTS = 20


class Answer(NamedTuple):
    """One segmented image.

    Attributes:
        milliseconds: from the image in memory to its labels in memory [ms].
        labels: uint8 (H, W) train ids.
        computed: detail windows that went through the network.
        planned: detail windows of its plan.
    """

    milliseconds: float
    labels: Uint8Array
    computed: int
    planned: int


def work_as_published(
    network: Network, device: str, batch: int | None, requests: Requests
) -> float:
    """Segment images as published; returns the rate of float32 matrix products [FLOP/s]."""
    runtime = choose_runtime(device, 'fp32')
    model = network.load().to(runtime.device)
    published = PublishedInference(model, batch)
    for image in requests:
        start = time.perf_counter()
        labels = published.segment(image)
        milliseconds = (time.perf_counter() - start) * 1e3
        planned = published_plan(image.shape[0], image.shape[1], model).planned
        requests.answer(Answer(milliseconds, labels, planned, planned))
    return matrix_rate(runtime.device, torch.float32)


def work_with_settings(
    network: Network, settings: InferenceSettings, size: tuple[int, int], requests: Requests
) -> float:
    """Segment images by the `Segmenter`; returns the rate of matrix products [FLOP/s].

    Args:
        network: what is run.
        settings: how it is run.
        size: (width, height) of the images to come [px].
        requests: the images.
    """
    runtime = choose_runtime(settings.device, settings.precision)
    segmenter = Segmenter(network.load(), settings)
    if settings.backend != 'torch' and segmenter.description.startswith('torch'):
        raise ValueError(f'backend {settings.backend} is not to be had: {segmenter.description}')
    # Elsewhere the first turn is warm-up enough, and takes long enough.
    if runtime.device.type == 'cuda' or settings.compile or settings.deadline_ms is not None:
        segmenter.warm_up(size[1], size[0])
    for image in requests:
        found = segmenter.segment(image)
        answer = (found.milliseconds, found.labels, found.windows_computed, found.windows_planned)
        requests.answer(Answer(*answer))
    return matrix_rate(runtime.device, runtime.dtype)


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """The most floating-point operations per second in products of large square matrices."""
    side = MATRIX_SIDE[device.type]
    left, right = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    best = float('inf')
    for _ in range(MATRIX_PRODUCTS):
        start = time.perf_counter()
        torch.mm(left, right)
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def precision_name(settings: InferenceSettings | None) -> str:
    """What a contender computes in: fp32, bf16 or fp16."""
    if settings is None:
        return 'fp32'
    dtype = choose_runtime(settings.device, settings.precision).dtype
    return next(name for name, value in PRECISIONS.items() if value == dtype)
