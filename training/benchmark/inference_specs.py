"""What takes part in the benchmark of inference: networks, and ways to run them, as text."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import yaml

from hrda_core.architecture import Architecture, HeadName
from hrda_core.checkpoints import load_model
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from hrda_core.inference import MODES, InferenceSettings, parse_class_weights
from hrda_core.runtime import choose_runtime
from training.cli import CommandParser

PUBLISHED = 'published'
FAST = 'fast'


class Network(NamedTuple):
    """Where a network comes from.

    Attributes:
        encoder: of a network of the published sizes with random weights.
        checkpoint: a file to load instead; None for random weights.
        head: of a network with random weights.
    """

    encoder: str
    checkpoint: str | None = None
    head: HeadName = 'daformer'

    def load(self, device: str = 'cpu') -> HRDA:
        """The network; random weights are the same every time.

        Args:
            device: cpu, or meta for shapes without weights.

        Raises:
            ValueError: the checkpoint cannot be used, or the encoder is unknown.
        """
        if self.checkpoint is not None:
            return load_model(self.checkpoint).to(device).eval()
        torch.manual_seed(0)
        with torch.device(device):
            return HRDA(Architecture(self.encoder, head=self.head), CITYSCAPES).eval()

    @property
    def title(self) -> str:
        """Its name in tables."""
        if self.checkpoint is None:
            return f'{self.encoder} (random weights)'
        return '/'.join(Path(self.checkpoint).parts[-2:])


@dataclass(frozen=True)
class Spec:
    """A contender.

    Attributes:
        name: the text that it was made from.
        settings: how the network is run; None for the published order of work.
        share: part of the windows of its plan that it may compute, 0..1, instead of a budget.
    """

    name: str
    settings: InferenceSettings | None
    share: float | None = None

    def for_plan(self, windows: int) -> InferenceSettings:
        """The settings for a plan of so many windows; a share above 0 is at least one of them."""
        assert self.settings is not None
        if self.share is None:
            return self.settings
        budget = max(round(self.share * windows), int(self.share > 0))
        return dataclasses.replace(self.settings, budget=budget)

    def without_limits(self) -> InferenceSettings | None:
        """The same plan with all its windows; None if this contender has no choice."""
        if self.settings is None or self.settings.mode != 'anytime':
            return None
        return dataclasses.replace(self.settings, threshold=0.0, budget=None, deadline_ms=None)


def parse_spec(text: str, device: str) -> Spec:
    """Read `published`, or a mode with changes such as `anytime,precision=fast,budget=25%`.

    Args:
        text: a mode, and settings of inference as name=value; a budget may be a share of the
            windows, and the precision may be `fast`, whatever the device is fastest in.
        device: auto, cpu, cuda or cuda:N.

    Raises:
        ValueError: anything else.
    """
    mode, *changes = (part.strip() for part in text.split(','))
    if text == PUBLISHED:
        return Spec(text, None)
    if mode not in MODES:
        raise ValueError(f'contender {text!r} must begin with {PUBLISHED}, {" or ".join(MODES)}')
    values: dict[str, object] = {'device': device, 'mode': mode}
    share = None
    for change in changes:
        name, equals, value = change.partition('=')
        if not equals:
            raise ValueError(f'contender {text!r}: {change!r} is not NAME=VALUE')
        if name == 'budget' and value.endswith('%'):
            share = parse_share(value)
        elif name == 'class_weights':
            values[name] = parse_class_weights(value)
        else:
            values[name] = yaml.safe_load(value)
    if values.get('precision') == FAST:
        values['precision'] = fastest_precision(device)
    parser = CommandParser(prog=f'contender {text}')
    parser.add_class_arguments(InferenceSettings)
    try:
        parsed = parser.parse_object(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f'contender {text!r}: {error}') from error
    return Spec(text, InferenceSettings(**vars(parsed)), share)


def parse_share(text: str) -> float:
    """Read '25%' as 0.25; ValueError for anything else, or outside 0..100 %."""
    try:
        share = float(text.removesuffix('%')) / 100
    except ValueError:
        share = -1.0
    if not text.endswith('%') or not 0 <= share <= 1:
        raise ValueError(f'{text!r} is no share of the windows; expected such as 25%')
    return share


def fastest_precision(device: str) -> str:
    """The precision that a device multiplies matrices fastest in: fp32, bf16 or fp16."""
    runtime = choose_runtime(device)
    if runtime.device.type == 'cpu':
        return 'bf16' if _cpu_multiplies_bf16() else 'fp32'
    return 'bf16' if runtime.dtype == torch.bfloat16 else 'fp16'


def _cpu_multiplies_bf16() -> bool:
    # torch tells of it in names that begin with _, and not in all versions.
    checks = ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
    return any(getattr(torch.cpu, check, bool)() for check in checks)


def default_specs(share: str, device: str, *, tuned: bool) -> list[str]:
    """Published, exact in fp32 and fastest, anytime with all windows and with a choice.

    Args:
        share: of the windows that the choice may compute, such as 25%.
        device: auto, cpu, cuda or cuda:N.
        tuned: the checkpoint has a threshold of its own, which then makes the choice.
    """
    exact = ['exact,precision=fp32', f'exact,precision={FAST}']
    if fastest_precision(device) == 'fp32':
        exact.pop()
    anytime = f'anytime,precision={FAST}'
    choice = anytime if tuned else f'{anytime},budget={share}'
    return [PUBLISHED, *exact, f'{anytime},threshold=0', choice]
