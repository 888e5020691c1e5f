"""torch as an engine: precision, shapes made ready at warm-up, and what it says of itself."""

from __future__ import annotations

import pytest
import torch

from hrda_core.architecture import Architecture
from hrda_core.classes import ClassSet
from hrda_core.hrda import HRDA
from hrda_core.prepared_shapes import Function, Maps, PreparedShapes
from hrda_core.runtime import choose_runtime
from hrda_core.torch_engine import TorchEngine

CLASSES = ClassSet('trio', ('a', 'b', 'c'), ((1, 1, 1),) * 3, ((0,), (1,), (2,)))
TINY = Architecture('mit_b0', 8, 8, 8, context_size=128, detail_size=64)
ONE_SCALE = Architecture('mit_b0', 8, 8, 8, context_size=128, detail_size=64, attention='none')
DEEPLAB = Architecture('resnet50_v1c', head='deeplab_v2', context_size=128, detail_size=64)


def build(architecture: Architecture = TINY) -> HRDA:
    torch.manual_seed(0)
    return HRDA(architecture, CLASSES).eval()


@pytest.mark.parametrize('batch', [1, 3])
def test_float32_equals_the_network(batch: int) -> None:
    model = build()
    engine = TorchEngine(model, choose_runtime('cpu', 'fp32'))
    images = torch.randn(batch, 3, 64, 96)
    with torch.no_grad():
        expected, detail = model.context(images), model.detail(images)
    found = engine.context(images)
    assert found.attention is not None and expected.attention is not None
    torch.testing.assert_close(found.logits, expected.logits, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.attention, expected.attention, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(engine.detail(images), detail, rtol=1e-4, atol=1e-6)


def test_one_resolution_has_no_attention() -> None:
    engine = TorchEngine(build(ONE_SCALE), choose_runtime('cpu', 'fp32'))
    assert engine.context(torch.randn(1, 3, 64, 64)).attention is None


@pytest.mark.parametrize('architecture', [TINY, DEEPLAB], ids=['mit', 'deeplab'])
def test_bfloat16_is_near_and_answers_in_float32(architecture: Architecture) -> None:
    model = build(architecture)
    engine = TorchEngine(model, choose_runtime('cpu', 'bf16'))
    images = torch.randn(2, 3, 64, 64)
    found = engine.context(images)
    with torch.no_grad():
        expected = model.context(images)
    assert found.attention is not None and expected.attention is not None
    assert found.logits.dtype == found.attention.dtype == torch.float32
    scale = expected.logits.abs().max().item()
    torch.testing.assert_close(found.logits, expected.logits, rtol=0, atol=0.05 * scale)
    torch.testing.assert_close(found.attention, expected.attention, rtol=0, atol=0.05)
    assert model.encoder.body is not None
    assert all(p.dtype == torch.float32 for p in model.parameters())


def test_failing_to_compile_is_told_and_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError('no C++ compiler\nmore')

    monkeypatch.setattr(torch, 'compile', refuse)
    engine = TorchEngine(build(), choose_runtime('cpu', 'fp32'), compile=True)
    images = torch.randn(1, 3, 64, 64)
    with engine.warming_up():
        engine.detail(images)
    assert engine.detail(images).shape == (1, 3, 16, 16)
    assert engine.description.endswith('plain, because compiling failed: no C++ compiler')


def test_compiled_shapes_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, 'compile', lambda function, **_: function)
    engine = TorchEngine(build(), choose_runtime('cpu', 'fp32'), compile=True)
    with engine.warming_up():
        engine.context(torch.randn(1, 3, 64, 64))
        engine.detail(torch.randn(1, 3, 64, 64))
    engine.detail(torch.randn(2, 3, 64, 64))
    assert engine.description.endswith('compiled for 2 shapes')


def double(maps: torch.Tensor) -> Maps:
    return (maps * 2,)


class Recorder:
    """Stands for a compiler: notes for which shapes it was asked."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, example: torch.Tensor) -> Function:
        self.shapes.append(tuple(example.shape))
        return lambda maps: (maps * 2 + 1,)


def test_shapes_are_made_ready_at_warm_up_alone() -> None:
    recorder = Recorder()
    prepared = PreparedShapes(double, recorder)
    assert prepared(torch.ones(2))[0].tolist() == [2, 2]
    prepared.warming = True
    assert prepared(torch.ones(2))[0].tolist() == [3, 3]
    prepared(torch.ones(2))
    prepared.warming = False
    assert prepared(torch.ones(2))[0].tolist() == [3, 3]
    assert prepared(torch.ones(3))[0].tolist() == [2, 2, 2]
    assert recorder.shapes == [(2,)]


def test_the_number_of_shapes_is_bounded() -> None:
    prepared = PreparedShapes(double, Recorder(), most=2)
    prepared.warming = True
    for size in (1, 2, 3):
        prepared(torch.ones(size))
    assert len(prepared) == 2
    assert prepared(torch.ones(3))[0].tolist() == [2, 2, 2]
