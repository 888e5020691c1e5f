"""The training forward, its losses and gradients equal the published code."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from official_recipe import GOLDEN
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hrda_core.heads import resize
from hrda_core.hrda import HRDA, TrainingOutput
from hrda_core.published import local_name
from hrda_core.windows import Box

NUMBERS = json.loads((GOLDEN / 'b0_train.json').read_text())
BOX = Box(*NUMBERS['box'])
# With batch statistics these have no gradient, only rounding noise.
NOISE = ('attn.kv.bias', 'scale_attention.embed_layers')


@pytest.fixture(scope='module')
def batch() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / 'b0_train.npz') as file:
        return dict(file)


def pixel_loss(logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
    """Cross entropy, mean over all pixels, written out (spec section 2.2)."""
    logits = resize(logits, (labels.shape[-2], labels.shape[-1]))
    loss = cross_entropy(logits, labels.long(), ignore_index=255, reduction='none')
    return (loss if weights is None else loss * weights).mean()


class Run:
    """One training forward and backward of a copy of the student."""

    def __init__(self, student: HRDA, batch: dict[str, np.ndarray], tag: str) -> None:
        self.model = copy.deepcopy(student).train(tag.startswith('bntrain'))
        for module in self.model.modules():
            if 'Drop' in type(module).__name__:
                module.eval()
        labels = torch.from_numpy(batch['label'])
        weights = torch.from_numpy(batch['weight']) if tag.endswith('_w') else None
        self.output: TrainingOutput = self.model(torch.from_numpy(batch['image']), BOX)
        in_box = (..., slice(BOX.y1, BOX.y2), slice(BOX.x1, BOX.x2))
        self.fused = 0.9 * pixel_loss(self.output.fused, labels, weights)
        inner = None if weights is None else weights[in_box]
        self.detail = 0.1 * pixel_loss(self.output.detail, labels[in_box], inner)
        (self.fused + self.detail).backward()

    def gradient(self, published: str) -> Tensor:
        return dict(self.model.named_parameters())[local_name(published)].grad


@pytest.fixture(scope='module', params=['bntrain_w', 'bntrain_now', 'bneval_w'])
def tagged_run(request, student, batch):
    return request.param, Run(student, batch, request.param)


def test_losses(tagged_run):
    tag, run = tagged_run
    assert run.fused.item() == pytest.approx(NUMBERS[tag]['fused'], rel=1e-5)
    assert run.detail.item() == pytest.approx(NUMBERS[tag]['detail'], rel=1e-5)


def test_gradient_norms(tagged_run):
    tag, run = tagged_run
    largest = max(NUMBERS[tag]['grad_norm'].values())
    for name, norm in NUMBERS[tag]['grad_norm'].items():
        if any(part in name for part in NOISE):
            continue
        assert run.gradient(name).norm().item() == pytest.approx(
            norm, rel=1e-3, abs=1e-6 * largest
        ), name


@pytest.mark.parametrize('tag', ['bntrain_w', 'bneval_w'])
def test_logits_and_gradients_themselves(student, batch, tag):
    run = Run(student, batch, tag)
    for name, mine in [
        ('fused', run.output.fused),
        ('lr_weighted', run.output.weighted_context),
        ('hr_logits', run.output.detail),
    ]:
        theirs = batch[f'{tag}/{name}']
        error = np.linalg.norm(mine.detach()[..., ::2, ::2].numpy() - theirs)
        assert error <= 1e-5 * np.linalg.norm(theirs), name
    for key, theirs in batch.items():
        if key.startswith(f'{tag}/grad/') and not any(part in key for part in NOISE):
            mine = run.gradient(key.removeprefix(f'{tag}/grad/')).numpy()
            assert np.linalg.norm(mine - theirs) <= 1e-3 * np.linalg.norm(theirs), key


def test_running_statistics_see_context_then_detail(student, batch):
    state = Run(student, batch, 'bntrain_w').model.state_dict()
    for key in (key for key in batch if key.startswith('bn_after/')):
        mine = state[local_name(key.removeprefix('bn_after/'))]
        np.testing.assert_allclose(mine, batch[key], rtol=1e-4, atol=1e-5, err_msg=key)


def test_seg_head_norms_update_twice_and_attention_once(student, batch):
    model = Run(student, batch, 'bntrain_w').model

    def updates(module: nn.Module, path: str) -> int:
        before = dict(student.named_buffers())[f'{path}.num_batches_tracked']
        return int(dict(model.named_buffers())[f'{path}.num_batches_tracked'] - before)

    assert updates(model, 'head.fuse.bottleneck.norm') == 2
    assert updates(model, 'attention_head.fuse.norm') == 1
