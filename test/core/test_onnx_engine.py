"""Segmenting by the files of `hrda export`, and by torch where they cannot be used."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hrda_core.architecture import Architecture
from hrda_core.classes import ClassSet
from hrda_core.exported import CONTEXT, DETAIL, EngineError, export_folder
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from hrda_core.onnx_engine import CPU_PROVIDER, OnnxEngine, OnnxFile
from hrda_core.runtime import Runtime, choose_runtime
from hrda_core.segmenter import Segmenter
from hrda_core.tensorrt_engine import TensorRTEngine, engine_folder
from training.deployment.export import export_network

CLASSES = ClassSet('trio', ('a', 'b', 'c'), ((1, 1, 1),) * 3, ((0,), (1,), (2,)))
TINY = Architecture('mit_b0', 8, 8, 8, context_size=128, detail_size=64)
CPU = choose_runtime('cpu', 'fp32')
GPU = Runtime(torch.device('cuda', 0), torch.float16, '')
IMAGE = np.random.default_rng(0).integers(0, 256, (100, 150, 3), np.uint8)


def build(seed: int = 0) -> HRDA:
    torch.manual_seed(seed)
    return HRDA(TINY, CLASSES).eval()


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of `build()`; do not change them."""
    path = tmp_path_factory.mktemp('exported')
    export_network(build(), path, 'fp32')
    return path


def settings(folder: Path, **values: object) -> InferenceSettings:
    return InferenceSettings('cpu', backend='onnx', export_dir=str(folder), **values)  # type: ignore


@pytest.mark.parametrize(
    'mode',
    [{'mode': 'exact'}, {'mode': 'anytime', 'budget': 3, 'window_overlap': 16}],
    ids=['exact', 'anytime'],
)
def test_labels_equal_those_of_torch(folder: Path, mode: dict[str, object]) -> None:
    segmenter = Segmenter(build(), settings(folder, **mode))
    expected = Segmenter(build(), InferenceSettings('cpu', **mode)).segment(IMAGE)  # type: ignore
    segmenter.warm_up(100, 150)
    found = segmenter.segment(IMAGE)
    assert 'CPUExecutionProvider' in segmenter.description
    assert found.windows_computed == expected.windows_computed
    assert np.mean(found.labels == expected.labels) >= 0.9999


def test_results_stay_when_the_next_of_their_shape_are_computed(folder: Path) -> None:
    engine = OnnxEngine(build(), CPU, folder)
    images = torch.randn(2, 1, 3, 64, 96)
    engine.detail(images[0])
    first = engine.detail(images[0])
    kept = first.clone()
    engine.detail(images[1])
    assert torch.equal(first, kept)
    torch.testing.assert_close(first, build().detail(images[0]), rtol=0, atol=1e-5)


def test_a_file_for_one_shape_computes_the_same(folder: Path) -> None:
    shape = (2, 3, 64, 96)
    fixed = OnnxFile(folder / DETAIL, CPU.device, [CPU_PROVIDER], 'onnx', shape)
    images = torch.randn(shape)
    torch.testing.assert_close(fixed(images)[0], build().detail(images), rtol=0, atol=1e-5)


def instead(model: HRDA, how: InferenceSettings) -> str:
    """What the segmenter says, which must do what torch does."""
    segmenter = Segmenter(model, how)
    expected = Segmenter(model, InferenceSettings('cpu')).segment(IMAGE)
    np.testing.assert_array_equal(segmenter.segment(IMAGE).labels, expected.labels)
    assert segmenter.description.startswith('torch on cpu')
    return segmenter.description.partition('because there is no backend onnx: ')[2]


def test_other_weights_are_noticed(folder: Path) -> None:
    assert 'made from other weights' in instead(build(seed=1), settings(folder))


def test_another_precision_is_noticed(folder: Path) -> None:
    with pytest.raises(EngineError, match='run `hrda export --precision=fp16`'):
        OnnxEngine(build(), CPU, folder, 'fp16')
    with pytest.raises(EngineError, match='no bf16; set precision to fp32'):
        OnnxEngine(build(), CPU, folder, 'bf16')


def test_float16_is_not_for_a_cpu(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    told = json.loads((folder / 'export.json').read_text())
    (tmp_path / 'export.json').write_text(json.dumps(told | {'precision': 'fp16'}))
    assert 'computes in fp16, not in fp32' in instead(build(), settings(tmp_path))


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        (CONTEXT, None, 'lacks context.onnx; run `hrda export` again'),
        (CONTEXT, b'\x08\x07\x12', 'cannot be loaded'),
        ('export.json', None, 'holds no exported network; write one with `hrda export`'),
        ('export.json', b'{', 'export.json cannot be used'),
        ('export.json', b'[]', 'export.json cannot be used'),
        ('export.json', b'{"format": "hrda_ros export 1"}', 'export.json cannot be used'),
    ],
)
def test_files_that_are_damaged(
    folder: Path, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    assert words in instead(build(), settings(tmp_path))


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    assert 'pip install "hrda_ros[onnx]"' in instead(build(), settings(folder))


def test_an_onnxruntime_without_cuda_is_named(folder: Path) -> None:
    with pytest.raises(EngineError, match='has no CUDAExecutionProvider: pip uninstall'):
        OnnxEngine(build(), GPU, folder)


def test_files_are_looked_for_beside_the_checkpoint() -> None:
    model = build()
    with pytest.raises(EngineError, match='export_dir names no folder'):
        export_folder(model)
    model.checkpoint = Path('runs/night/best.safetensors')
    assert export_folder(model) == Path('runs/night/best.onnx')
    assert export_folder(model, '/srv/nets') == Path('/srv/nets')


def test_tensorrt_needs_a_gpu_and_its_provider(folder: Path) -> None:
    with pytest.raises(EngineError, match='needs a GPU'):
        TensorRTEngine(build(), CPU, folder)
    with pytest.raises(EngineError, match='has no TensorrtExecutionProvider'):
        TensorRTEngine(build(), GPU, folder)


@pytest.mark.filterwarnings('ignore:Specified provider')
def test_tensorrt_that_fails_leaves_the_network_to_onnxruntime(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(TensorRTEngine, '_choose_provider', lambda _: CPU_PROVIDER)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda _: 'NVIDIA Orin (nvgpu)')
    engine = TensorRTEngine(build(), CPU, folder)
    windows = torch.randn(1, 3, 64, 64)
    with engine.warming_up():
        engine.detail(windows)
    torch.testing.assert_close(engine.detail(windows), build().detail(windows), rtol=0, atol=1e-5)
    assert 'without TensorRT, which failed: Tensorrt' in engine.description
    assert [path.name for path in tmp_path.glob('hrda_ros/tensorrt/*/*')] == ['detail-1x3x64x64']


def test_tensorrt_engines_are_kept_apart() -> None:
    names = {
        engine_folder(weights, gpu, precision).name
        for weights in ('a' * 64, 'b' * 64)
        for gpu in ('NVIDIA Orin (nvgpu)', 'NVIDIA H200')
        for precision in ('fp32', 'fp16')
    }
    assert len(names) == 8 and 'a' * 16 + '-NVIDIA-Orin-nvgpu-fp16' in names
