"""How networks are computed changes neither gradients nor statistics nor names of weights."""

from __future__ import annotations

import copy
import ctypes
import functools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from hrda_core.windows import Box
from training.memory.freed import keep_freed_memory
from training.methods.settings import SelfTrainingSettings
from training.methods.source_only import SourceOnly
from training.run.execution import check_compiler, prepare, recomputable
from training.settings.run import LoopSettings


@pytest.fixture
def norm_model(tiny_model: HRDA) -> HRDA:
    """An encoder full of batch norms, with stochastic depth."""
    torch.manual_seed(0)
    architecture = replace(tiny_model.architecture, encoder='tiny_vit_5m_224', drop_path=0.5)
    return HRDA(architecture, CITYSCAPES)


def _step(model: HRDA, **changes: Any) -> tuple[dict[str, Tensor], HRDA]:
    method = SourceOnly(copy.deepcopy(model), SelfTrainingSettings(), seed=0)
    prepare(method, LoopSettings(**changes))
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, 3, 128, 128), generator=generator).to(torch.uint8)
    label = torch.randint(0, 19, (2, 128, 128), generator=generator).to(torch.uint8)
    torch.manual_seed(0)  # dropout and drop path
    batch = {'source': {'image': image, 'label': label}}
    return method.step(batch, 0, Tensor.backward, box=Box(8, 72, 16, 80)), method.student


def _assert_alike(a: HRDA, b: HRDA, **tolerances: float) -> None:
    for (name, one), other in zip(a.named_parameters(), b.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        torch.testing.assert_close(one.grad, other.grad, msg=name, **tolerances)
    for (name, one), other in zip(a.named_buffers(), b.buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=name, **tolerances)


@pytest.mark.parametrize('model', ['tiny_model', 'norm_model'])
def test_recomputed_blocks_have_the_same_gradients_and_statistics(
    model: str, request: pytest.FixtureRequest
) -> None:
    network: HRDA = request.getfixturevalue(model)
    plain, kept = _step(network)
    again, recomputed = _step(network, gradient_checkpointing=True)
    assert plain['loss'] == again['loss']
    _assert_alike(kept, recomputed, rtol=0, atol=0)


def test_blocks_of_the_encoder_and_branches_of_the_head_are_computed_again(
    tiny_model: HRDA,
) -> None:
    kinds = [type(module).__name__ for module in recomputable(tiny_model)]
    assert kinds == [
        *['Block'] * 8,
        'LevelsConvNormReLU',
        *['SeparableConv'] * 3,
    ]


def test_an_encoder_without_blocks_is_computed_again_as_a_whole(tiny_model: HRDA) -> None:
    tiny_model.encoder.body = nn.Sequential(nn.Conv2d(3, 4, 1))
    assert tiny_model.encoder.body in recomputable(tiny_model)


def test_channels_last_changes_rounding_alone(tiny_model: HRDA) -> None:
    plain, rows = _step(tiny_model)
    other, pixels = _step(tiny_model, channels_last=True)
    assert plain['loss'].item() == pytest.approx(other['loss'].item(), rel=1e-5)
    assert pixels.head.classify.weight.stride() == (8, 1, 8, 8)
    _assert_alike(rows, pixels, rtol=1e-3, atol=1e-4)


def test_compiled_networks_keep_the_names_of_their_weights(
    tiny_model: HRDA, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Wrapped as always, but graphs are neither made nor compiled, which would take a minute.
    disabled = functools.partial(torch.compile, disable=True)
    monkeypatch.setattr(torch, 'compile', disabled)
    plain, before = _step(tiny_model)
    compiled, after = _step(tiny_model, compile=True)
    assert after.encoder._compiled_call_impl is not None
    assert before.state_dict().keys() == after.state_dict().keys()
    assert plain['loss'] == compiled['loss']


def test_a_machine_that_cannot_compile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError('no C++ compiler\nand a long trace')

    monkeypatch.setattr(torch, 'compile', fail)
    with pytest.raises(ValueError, match=r'does not work on this machine \(no C\+\+ compiler\)'):
        check_compiler(torch.device('cpu'))


def test_compilation_and_recomputation_exclude_each_other() -> None:
    with pytest.raises(ValueError, match='exclude each other'):
        LoopSettings(compile=True, gradient_checkpointing=True)


def test_a_c_library_without_the_settings_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_freed_memory()
    monkeypatch.setattr(ctypes, 'CDLL', lambda _: object())
    keep_freed_memory()
