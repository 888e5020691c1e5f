"""How far an image is from those that a network was made for, by statistics of early features.

Mean and deviation of every channel of the encoder's first map, computed on a small copy of the
image, change with light, weather, blur, noise and colours long before anybody notices wrong
labels. How much they vary over images of the network's own domain is stored in its checkpoint.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hrda_core.architecture import SMALLEST_SEEN
from hrda_core.classes import Uint8Array
from hrda_core.encoders import Encoder
from hrda_core.hrda import HRDA
from hrda_core.metadata import MetadataEntry

COMMAND = 'hrda domain-shift --store'
LONGER_SIDE, MULTIPLE = 256, 32
"""Size of the small copy: its longer side, and what both sides are multiples of [px]."""
FEWEST_IMAGES = 20
LEAST_VARIATION = 0.02
"""Channels that hardly differ between images count as if they did so by this share."""
USUAL = 95
"""Percentile of the domain's own images that gets the score 1."""

Statistics = npt.NDArray[np.float64]
"""Of one image, (2, C): mean, and logarithm of the deviation, of every channel."""


@dataclass(frozen=True)
class FeatureDomain(MetadataEntry):
    """Early features of the images that a network was made for.

    Attributes:
        mean: over the images, of the mean of each channel.
        mean_spread: how far it differs from image to image.
        log_deviation: over the images, of the logarithm of each channel's deviation.
        log_spread: how far that differs from image to image.
        scale: distance that 95 % of the images stay below, at least 1.
        images: how many there were.
    """

    mean: tuple[float, ...]
    mean_spread: tuple[float, ...]
    log_deviation: tuple[float, ...]
    log_spread: tuple[float, ...]
    scale: float
    images: int

    key: ClassVar[str] = 'domain'
    command: ClassVar[str] = COMMAND

    def __post_init__(self) -> None:
        lengths = set(map(len, (self.mean_spread, self.log_deviation, self.log_spread)))
        if lengths != {len(self.mean)} or not self.scale > 0:
            raise ValueError('its lists differ in length, or its scale is not above 0')

    @classmethod
    def fit(cls, statistics: Sequence[Statistics]) -> FeatureDomain:
        """Describe the images that these statistics are of.

        Raises:
            ValueError: they are too few.
        """
        if len(statistics) < FEWEST_IMAGES:
            raise ValueError(
                f'{len(statistics)} images are too few to know a domain; give at least '
                f'{FEWEST_IMAGES}, better 100, of different drives'
            )
        found = np.stack(statistics)
        (mean, log), (mean_off, log_off) = found.mean(axis=0), found.std(axis=0)
        mean_off = np.maximum(mean_off, LEAST_VARIATION * np.exp(log))
        log_off = np.maximum(log_off, LEAST_VARIATION)
        parts = [tuple(_rounded(part)) for part in (mean, mean_off, log, log_off)]
        unscaled = cls(parts[0], parts[1], parts[2], parts[3], 1.0, len(statistics))
        distances = [unscaled.distance(image) for image in statistics]
        # At least one deviation, so that images that are all alike do not make all others far.
        scale = max(float(np.percentile(distances, USUAL)), 1.0)
        return cls(parts[0], parts[1], parts[2], parts[3], scale, len(statistics))

    def distance(self, statistics: Statistics) -> float:
        """Score of an image: 1.0 where 95 % of the domain's images are nearer.

        It is the root mean square, over all channels, of how many deviations mean and log
        deviation are off.
        """
        usual = np.array([self.mean, self.log_deviation])
        deviation = np.array([self.mean_spread, self.log_spread])
        off = (statistics - usual) / deviation
        return float(np.sqrt((off**2).mean())) / self.scale

    @classmethod
    def of(cls, model: HRDA) -> FeatureDomain | None:
        """What the checkpoint of a network says; None if it says nothing.

        Raises:
            ValueError: what it says cannot be understood, or is of another encoder.
        """
        domain = super().of(model)
        if domain is not None and len(domain.mean) != model.encoder.channels[0]:
            raise ValueError(
                f'the metadata {cls.key!r} of the checkpoint is of another encoder; run '
                f'`{COMMAND}` again'
            )
        return domain


def _rounded(values: Statistics) -> list[float]:
    return [float(f'{value:.5g}') for value in values]


class EarlyFeatures:
    """Computes the statistics of images; the rest of the encoder is neither run nor kept.

    Args:
        model: on the device where it stays; the weights that are needed are shared with it.
    """

    def __init__(self, model: HRDA) -> None:
        self._outline = model.without_weights(model.mean.device)
        self._body = _until_first_map(model.encoder)

    @torch.inference_mode()
    def statistics(self, image: Uint8Array) -> Statistics:
        """Mean and log deviation of every channel of the first map.

        Shape:
            image: uint8 (H, W, 3) RGB; result: float64 (2, C).
        """
        pixels = torch.from_numpy(np.require(image, requirements=['C', 'W'])).permute(2, 0, 1)
        size = _small_size(image.shape[0], image.shape[1])
        # Bytes: twenty times faster than numbers, and only a CPU can.
        small = F.interpolate(pixels[None], size=size, mode='bilinear', antialias=True)
        features = self._first_map(self._outline.normalise(small)).float().flatten(1)
        deviation = features.std(dim=1).clamp_min(1e-6).log()
        return torch.stack([features.mean(dim=1), deviation]).double().cpu().numpy()

    def _first_map(self, images: Tensor) -> Tensor:
        """The first map of one image, (C, h, w)."""
        channels = self._outline.encoder.channels[0]
        try:
            level: Tensor = self._body(images)[0]
        except _Reached as reached:
            level = reached.level
        # Some timm families (Swin) hand out channels-last maps.
        return level[0] if level.shape[1] == channels else level[0].permute(2, 0, 1)


class DomainShift:
    """Scores images, now and then: about 1 or less is the domain of the network, 2 is far away.

    Args:
        model: of a checkpoint that knows its domain.
        period_s: images that come sooner after the last scored one are not looked at [s].

    Raises:
        ValueError: the checkpoint does not know its domain.
    """

    def __init__(self, model: HRDA, period_s: float = 0.0) -> None:
        domain = FeatureDomain.of(model)
        if domain is None:
            raise ValueError(
                'the checkpoint does not know the images that it was made for; tell it with '
                f'`{COMMAND} CHECKPOINT IMAGES`'
            )
        self._domain, self._features = domain, EarlyFeatures(model)
        self._period_s = period_s
        self._due_s: dict[str, float] = {}
        self._latest: dict[str, float] = {}

    def look(self, image: Uint8Array, stream: str = '') -> float:
        """Score of an image, or of the last one of its camera where that is recent enough.

        Args:
            image: uint8 (H, W, 3) RGB.
            stream: name of the camera.
        """
        now_s = time.monotonic()
        if now_s >= self._due_s.get(stream, now_s):
            self._due_s[stream] = now_s + self._period_s
            self._latest[stream] = self._domain.distance(self._features.statistics(image))
        return self._latest[stream]

    def latest(self, stream: str = '') -> float | None:
        """Score of the last image of a camera that was looked at; None before the first."""
        return self._latest.get(stream)


def _small_size(height: int, width: int) -> tuple[int, int]:
    scale = LONGER_SIDE / max(height, width) / MULTIPLE
    return max(round(height * scale), 1) * MULTIPLE, max(round(width * scale), 1) * MULTIPLE


class _Reached(Exception):
    """Carries the first map out of an encoder that would go on."""

    def __init__(self, level: Tensor) -> None:
        super().__init__()
        self.level = level


class _Last(nn.Module):
    """A module after which nothing else is computed."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor:
        raise _Reached(self.module(*inputs))


def _until_first_map(encoder: Encoder) -> nn.Module:
    """The encoder's body up to its first map; its weights are shared, not copied.

    The module that makes the map is found by running it; without one the whole body is used.
    """
    shared = [*encoder.body.parameters(), *encoder.body.buffers()]
    body = copy.deepcopy(encoder.body, {id(tensor): tensor for tensor in shared}).eval()
    outputs: list[tuple[str, object]] = []
    hooks = [
        module.register_forward_hook(
            lambda module, inputs, output, name=name: outputs.append((name, output))
        )
        for name, module in body.named_modules()
        if name
    ]
    side = 2 * SMALLEST_SEEN
    with torch.no_grad():
        maps = body(torch.zeros(1, 3, side, side, device=next(iter(shared)).device))
    for hook in hooks:
        hook.remove()
    makers = [number for number, (_, output) in enumerate(outputs) if output is maps[0]]
    if makers:
        # The outermost ends last, when the map will not be changed in place any more.
        end = min(makers, key=lambda number: outputs[number][0].count('.'))
        _drop_unused(body, [name for name, _ in outputs[: end + 1]])
        last = outputs[end][0]
        body.set_submodule(last, _Last(body.get_submodule(last)))
    return body


def _drop_unused(body: nn.Module, used: Sequence[str]) -> None:
    """Let go of the weights of modules that come later; what ran to its end stays whole."""
    around = {name[:end] for name in used for end in _ends(name)} | {''}
    for name, _ in list(body.named_modules()):
        parent = name.rpartition('.')[0]
        if name not in around and parent in around.difference(used):
            body.set_submodule(name, nn.Identity())


def _ends(name: str) -> list[int]:
    """Where the names of a module and of all around it end, within its own name."""
    return [end for end in range(1, len(name) + 1) if name[end : end + 1] in ('', '.')]
