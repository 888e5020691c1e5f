"""The fast decoder head: its maps, what it costs, its checkpoints and its trace."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from hrda_core.architecture import Architecture
from hrda_core.checkpoints import load_model, save_model
from hrda_core.classes import CITYSCAPES
from hrda_core.fast_head import FastDAFormerHead, first_branch
from hrda_core.heads import DAFormerHead
from hrda_core.hrda import HRDA

MIT_B5 = (64, 128, 320, 512)
CHANNELS = (4, 6, 8, 10)
SMALL = Architecture('mit_b0', 16, 16, 16, context_size=128, detail_size=64, head='daformer_fast')


def _levels(height: int, width: int, channels: tuple[int, ...] = CHANNELS) -> list[Tensor]:
    """Encoder maps of a 4 * height x 4 * width image."""
    return [
        torch.randn(1, count, -(-height // step), -(-width // step))
        for count, step in zip(channels, (1, 2, 4, 8), strict=True)
    ]


@settings(max_examples=15, deadline=None)
@given(height=st.integers(1, 21), width=st.integers(1, 21), wide=st.integers(1, 13))
def test_logits_have_the_size_of_the_finest_map(height: int, width: int, wide: int) -> None:
    head = FastDAFormerHead(CHANNELS, 5, wide, wide, 0.1).eval()
    found = head(_levels(height, width))
    assert found.shape == (1, 5, height, width)
    assert found.isfinite().all()


def test_every_level_counts() -> None:
    head = FastDAFormerHead(CHANNELS, 5, 8, 8, 0.1).eval()
    levels = [level.requires_grad_() for level in _levels(12, 10)]
    head(levels).square().sum().backward()
    assert all(level.grad is not None and level.grad.abs().sum() > 0 for level in levels)


def test_it_can_begin_with_the_first_branch_of_daformer() -> None:
    exact, fast = (
        kind(CHANNELS, 5, 8, 8, 0.1).eval() for kind in (DAFormerHead, FastDAFormerHead)
    )
    for parameter in exact.fuse.branches[0].parameters():
        torch.nn.init.normal_(parameter)
    # Levels of one size, since the fast head enlarges them step by step.
    levels = [torch.randn(1, count, 6, 7) for count in CHANNELS]
    missing, unknown = fast.load_state_dict(first_branch(exact), strict=False)
    assert unknown == [] and all(name.startswith(('fuse.', 'classify.')) for name in missing)
    seen = []
    fast.fuse.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    fast(levels)
    embedded = [
        embed(level.movedim(1, 3)).movedim(3, 1)
        for embed, level in zip(exact.embed, levels, strict=True)
    ]
    assert torch.allclose(seen[0], exact.fuse.branches[0](embedded), atol=1e-5)


def _macs(head: torch.nn.Module) -> float:
    """Products [GMAC] of one window of 512x512 px, counted without computing them."""
    with torch.device('meta'):
        levels = _levels(128, 128, MIT_B5)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        head.to('meta').eval()(levels)
    return counter.get_total_flops() / 2e9


def test_it_needs_a_fifteenth_of_the_products_at_most() -> None:
    fast = _macs(FastDAFormerHead(MIT_B5, 19, 256, 256, 0.1))
    exact = _macs(DAFormerHead(MIT_B5, 19, 256, 256, 0.1))
    assert exact == pytest.approx(54.0, abs=0.2)
    assert fast < exact / 15


def test_a_checkpoint_keeps_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, images = HRDA(SMALL, CITYSCAPES).eval(), torch.randn(1, 3, 128, 128)
    save_model(tmp_path / 'm.safetensors', model, step=3)
    loaded = load_model(tmp_path / 'm.safetensors')
    assert loaded.architecture == SMALL
    assert isinstance(loaded.head, FastDAFormerHead)
    with torch.no_grad():
        assert torch.equal(loaded.predict(images), model.predict(images))


def test_a_trace_says_the_same() -> None:
    torch.manual_seed(0)
    model, windows = HRDA(SMALL, CITYSCAPES).eval(), torch.randn(2, 3, 64, 64)
    head, levels = model.head, model.encoder(windows)
    with torch.no_grad():
        traced = torch.jit.trace(head, (levels,))
        exported = torch.export.export(head, (levels,)).module()
        for other in (traced(levels), exported(levels)):
            assert torch.allclose(other, head(levels), atol=1e-5)
