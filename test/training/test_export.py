"""`hrda export`: ONNX files that compute what torch computes, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_run
import torch

from hrda_core.architecture import Architecture
from hrda_core.checkpoints import load_model
from hrda_core.classes import CITYSCAPES
from hrda_core.exported import CONTEXT, DETAIL, digest
from hrda_core.hrda import HRDA
from hrda_core.onnx_engine import CPU_PROVIDER, OnnxFile
from training.benchmark.pictures import made_up_image
from training.cli import main
from training.deployment import export
from training.deployment.onnx_files import Agreement, compare, write_network

SMALL = {'context_size': 128, 'detail_size': 64}
PLAIN = Architecture('mit_b0', 8, 8, 8, **SMALL)
KINDS = {
    'padded windows': Architecture('tiny_vit_5m_224', 8, 8, 8, **SMALL),
    'dilated': Architecture('resnet50_v1c', head='deeplab_v2', **SMALL),
    'fast head': Architecture('mit_b0', 16, 8, head='daformer_fast', fixed_attention=0.5, **SMALL),
    'convolutions': Architecture('tf_efficientnet_lite0', 8, 8, 8, attention='single', **SMALL),
    'one resolution': Architecture('mit_b0', 8, 8, attention='none', **SMALL),
}


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With its exported files beside it."""
    path = tiny_run.write_checkpoint(tmp_path_factory.mktemp('model') / 'm.safetensors')
    assert main(['export', str(path)]) == 0
    return path


def test_files_lie_beside_the_checkpoint_and_tell_where_they_come_from(checkpoint: Path) -> None:
    folder = checkpoint.with_suffix('.onnx')
    names = sorted(path.name for path in folder.iterdir())
    told = json.loads((folder / 'export.json').read_text())
    assert names == [CONTEXT, DETAIL, 'export.json']
    assert told['weights'] == digest(load_model(checkpoint))
    assert told['classes']['classes'][0]['name'] == 'road'
    assert len(told['architecture']['mean']) == 3
    assert [path.name for path in checkpoint.parent.iterdir() if path.name.startswith('.')] == []


@pytest.mark.parametrize('kind', KINDS)
def test_context_of_another_number_and_size_than_traced(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = HRDA(KINDS[kind], CITYSCAPES).eval()
    file = tmp_path / CONTEXT
    write_network(model, CONTEXT, file, 'fp32')
    computed = OnnxFile(file, torch.device('cpu'), [CPU_PROVIDER], 'onnx')
    assert compare(model, CONTEXT, computed, made_up_image(0, (112, 224))).within('fp32')
    assert len(computed(torch.zeros(1, 3, 64, 64))) == (1 if kind == 'one resolution' else 2)


def test_float16_is_near_and_half_as_large(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'half'
    assert main(['export', str(checkpoint), '-o', str(folder), '--precision=fp16']) == 0
    full = checkpoint.with_suffix('.onnx') / DETAIL
    assert (folder / DETAIL).stat().st_size < 0.7 * full.stat().st_size


def test_what_computes_something_else_is_not_written(
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def write_another(model: HRDA, *arguments: object) -> None:
        model.head.classify.bias.data[3] += 1
        write_network(model, *arguments)  # type: ignore[arg-type]
        model.head.classify.bias.data[3] -= 1

    monkeypatch.setattr(export, 'write_network', write_another)
    assert main(['export', str(checkpoint), '-o', str(tmp_path / 'new')]) == 1
    assert 'computes something else than torch' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_none_do_not_agree() -> None:
    assert not Agreement(float('nan'), 10.0, 0.0, 1.0).within('fp16')


def test_an_encoder_of_fixed_size_is_refused(tmp_path: Path) -> None:
    model = HRDA(PLAIN, CITYSCAPES)
    model.encoder.forward = lambda images: torch._assert(False, 'wants 224x224')  # type: ignore
    with pytest.raises(ValueError, match=r'\(mit_b0, daformer\) cannot be exported: wants 224'):
        write_network(model, DETAIL, tmp_path / DETAIL, 'fp32')


def test_a_folder_of_other_things_stays(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'letter.txt').write_text('dear')
    assert main(['export', str(checkpoint), '-o', str(tmp_path)]) == 1
    assert main(['export', str(checkpoint), '-o', str(tmp_path / 'letter.txt')]) == 1
    error = capsys.readouterr().err
    assert 'holds other files, which stay' in error and 'letter.txt is a file' in error
    assert (tmp_path / 'letter.txt').read_text() == 'dear'


def test_an_earlier_export_is_replaced(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = export.Export('', 'fp32', {}, {}, {}, {})
    monkeypatch.setattr(export, 'export_network', lambda *_: told)
    (tmp_path / 'export.json').write_text('{}')
    (tmp_path / 'old.onnx').touch()
    assert main(['export', str(checkpoint), '-o', str(tmp_path)]) == 0
    assert list(tmp_path.iterdir()) == []


def test_predict_with_onnxruntime_gives_the_same_labels(checkpoint: Path, tmp_path: Path) -> None:
    tiny_run.write_frames(tmp_path / 'in', 2, 0)
    for backend in ('torch', 'onnx'):
        options = ['--checkpoint', str(checkpoint), '--device=cpu', f'--backend={backend}']
        inputs = str(tmp_path / 'in' / 'images')
        assert main(['predict', inputs, '-o', str(tmp_path / backend), *options]) == 0
    for name in ('00.png', '01.png'):
        one, other = (cv2.imread(str(tmp_path / b / 'labels' / name)) for b in ('torch', 'onnx'))
        assert np.mean(one == other) >= 0.9999


def test_eval_tells_that_onnxruntime_computed(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_run.write_frames(tmp_path, 1, 0)
    data = ['--images', str(tmp_path / 'images'), '--labels', str(tmp_path / 'labels')]
    assert main(['eval', str(checkpoint), *data, '--device=cpu', '--backend=onnx']) == 0
    shown = capsys.readouterr()
    assert 'CPUExecutionProvider' in ' '.join((shown.out + shown.err).split())
