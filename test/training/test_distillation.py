"""Distillation: its loss, what the tutor is shown, its command, and runs that stop and go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_run
import torch
from torch import Tensor

from hrda_core.architecture import Architecture
from hrda_core.batch_logits import batch_logits
from hrda_core.checkpoints import load_model, read_metadata, save_model
from hrda_core.classes import CITYSCAPES, ClassSet
from hrda_core.hrda import HRDA
from training.cli import main
from training.data.settings import TargetSettings
from training.memory.estimate import estimate
from training.methods.distillation import Distillation
from training.methods.losses import distillation_loss
from training.methods.settings import DistillationSettings, SelfTrainingSettings
from training.run.folder import RunFolder
from training.run.state_file import read_state
from training.settings.run import ModelSettings, TrainSettings

SMALL = {'head_channels': 8, 'embed_channels': 8, 'attention_embed_channels': 8}
STILL = SelfTrainingSettings(jitter_probability=0.0, blur_probability=0.0)


def _network(seed: int, classes: ClassSet = CITYSCAPES, **changes: Any) -> HRDA:
    torch.manual_seed(seed)
    options = {'context_size': 64, 'detail_size': 64, 'attention': 'none', **SMALL, **changes}
    return HRDA(Architecture('mit_b0', **options), classes).eval()


@pytest.fixture(scope='module')
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a two-resolution teacher."""
    path = tmp_path_factory.mktemp('teacher') / 'big.safetensors'
    network = _network(1, attention='classwise', context_size=128)
    with torch.no_grad():
        network.head.classify.weight.mul_(100)
    save_model(path, network, step=7, extra={'licence': 'research only'})
    return path


def _batch(size: int = 64) -> dict[str, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (2, 3, size, size), generator=generator).byte()
    label = torch.randint(0, 19, (2, size, size), generator=generator).byte()
    valid = torch.ones(2, size, size, dtype=torch.uint8)
    return {'source': {'image': image, 'label': label}, 'target': {'image': image, 'valid': valid}}


def _method(teacher: Path, student: HRDA | None = None, **changes: Any) -> Distillation:
    settings = DistillationSettings(str(teacher), **changes)
    return Distillation(student or _network(2), STILL, settings, seed=3)


def _target_only() -> dict[str, dict[str, Tensor]]:
    return {'target': _batch()['target']}


@pytest.mark.parametrize('temperature', [1.0, 3.0])
def test_the_loss_is_zero_where_the_student_agrees(temperature: float) -> None:
    logits = torch.randn(2, 5, 8, 8)
    probabilities = (logits / temperature).softmax(dim=1)
    weights = torch.ones(2, 8, 8)
    found = distillation_loss(logits, probabilities, weights, temperature)
    assert found.item() == pytest.approx(0, abs=1e-6)
    other = distillation_loss(logits.roll(1, 1), probabilities, weights, temperature)
    assert other.item() > 0.01


def test_pixels_without_weight_teach_nothing_and_count_in_the_mean() -> None:
    logits, probabilities = torch.randn(1, 5, 8, 8), torch.randn(1, 5, 8, 8).softmax(dim=1)
    weights = torch.ones(1, 8, 8)
    whole = distillation_loss(logits, probabilities, weights, 1.0)
    left = torch.where(torch.arange(8) < 4, weights, 0)
    right = distillation_loss(logits, probabilities, weights - left, 1.0)
    found = distillation_loss(logits, probabilities, left, 1.0)
    assert (found + right).item() == pytest.approx(whole.item(), rel=1e-5)


def test_the_lesson_is_what_the_teacher_says_through_its_own_windows(teacher: Path) -> None:
    method, images = _method(teacher, temperature=2.0), _batch(160)['target']['image']
    lesson = method.lesson(images, torch.ones(2, 160, 160))
    network = load_model(teacher)
    one_by_one = [batch_logits(network, network.normalise(image[None])) for image in images]
    expected = torch.cat(one_by_one)
    assert torch.allclose(lesson.probabilities, (expected / 2).softmax(dim=1), atol=1e-5)
    assert torch.equal(lesson.labels, expected.argmax(dim=1).byte())
    assert not method.tutor.training


def test_the_teacher_can_see_larger_frames(teacher: Path) -> None:
    method = _method(teacher, teacher_scale=2.0)
    sizes: list[int] = []
    method.tutor.encoder.register_forward_pre_hook(
        lambda _, inputs: sizes.append(inputs[0].shape[-1])
    )
    lesson = method.lesson(_batch()['target']['image'], torch.ones(2, 64, 64))
    assert lesson.probabilities.shape == (2, 19, 64, 64)
    # A frame of 128 px: the context at half of it, and detail windows of 64 px.
    assert set(sizes) == {64}


def test_confidence_weights_what_the_margins_leave(teacher: Path) -> None:
    images, valid = _batch()['target']['image'], torch.ones(2, 64, 64)
    valid[:, :10] = 0
    plain = _method(teacher).lesson(images, valid)
    weighted = _method(teacher, confidence_weighting=True).lesson(images, valid)
    assert torch.equal(plain.weights, valid)
    assert (weighted.weights[:, :10] == 0).all()
    assert torch.allclose(weighted.weights[:, 10:], plain.probabilities.amax(1)[:, 10:])


def test_losses_add_up_and_leave_the_teacher_alone(teacher: Path) -> None:
    student = _network(2, attention='classwise', context_size=128)
    method = _method(teacher, student, source_weight=0.5, hard_weight=0.3)
    found = method.step(_batch(128), 0, Tensor.backward)
    parts = {'source_fused', 'source_detail', 'distilled_fused', 'distilled_detail'}
    assert set(found) == {*parts, 'loss', 'teacher_agreement'}
    total = sum(found[name].item() for name in parts)
    assert found['loss'].item() == pytest.approx(total, rel=1e-5)
    assert 0 <= found['teacher_agreement'] <= 1
    assert all(p.grad is None for p in method.tutor.parameters())
    assert set(method.panels()) == {'target', 'target_recoloured', 'teacher_label'}


@pytest.mark.parametrize('hard_weight', [0.0, 1.0])
def test_the_student_comes_to_agree(teacher: Path, hard_weight: float) -> None:
    method = _method(teacher, hard_weight=hard_weight)
    optimiser = torch.optim.AdamW(method.student.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        losses.append(method.step(_target_only(), 0, Tensor.backward)['loss'].item())
        optimiser.step()
    assert losses[-1] < 0.95 * losses[0]


def test_other_classes_are_refused(teacher: Path) -> None:
    names = tuple(f'{name} or so' for name in CITYSCAPES.names)
    other = replace(CITYSCAPES, name='mine', names=names, things=())
    with pytest.raises(ValueError, match=r'big\.safetensors tells other classes apart'):
        _method(teacher, _network(2, other))


def test_a_teacher_that_is_not_there_is_told_before_weights_and_data_that_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = f'--model.encoder_weights={tmp_path / "none.pth"}'
    assert _distill(tmp_path / 'big.safetensors', tmp_path, tmp_path / 'run', weights) == 1
    assert 'big.safetensors: no such file' in capsys.readouterr().err


@pytest.mark.parametrize(
    'change',
    [{'temperature': 0.0}, {'hard_weight': 1.5}, {'teacher_scale': 99.0}, {'source_weight': 0.0}],
)
def test_impossible_settings_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f'distillation.{next(iter(change))}'):
        DistillationSettings('t', **change)


def _distill(teacher: Path, folder: Path, run: Path, *options: str) -> int:
    settings = tiny_run.tiny_settings(folder, run, source=None, optimiser__schedule='constant')
    settings['model'] |= {'attention': 'none'}
    settings['loop'] |= {'checkpoint_every': 1}
    config = tiny_run.write_config(folder / 'c.yaml', settings)
    return main(['distill', str(teacher), str(config), *options])


def test_a_run_without_a_source_that_stops_goes_on_the_same(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_run.write_data(tmp_path)
    whole, split = tmp_path / 'whole', tmp_path / 'split'
    assert _distill(teacher, tmp_path, whole, '--loop.iterations=3') == 0
    assert _distill(teacher, tmp_path, split, '--loop.iterations=2') == 0
    assert 'learning from' in RunFolder(split).log_file.read_text()
    other = tmp_path / 'other.safetensors'
    save_model(other, load_model(teacher), step=8)
    resume = ['distill', '--resume', str(split), '--loop.iterations=3']
    assert main([*resume, f'--distillation.teacher={other}']) == 1
    assert 'is another file than the teacher' in capsys.readouterr().err
    assert main(resume) == 0
    first, second = (read_state(RunFolder(run).state)['method'] for run in (whole, split))
    assert first.keys() == {'student', 'teacher_sha256'}, 'the teacher is not stored again'
    for name, value in first['student'].items():
        assert torch.equal(value, second['student'][name]), name
    metadata = read_metadata(RunFolder(whole).model)
    assert metadata['teacher'] == 'big.safetensors' and metadata['teacher_step'] == '7'
    assert metadata['licence'] == 'research only'
    assert json.loads(metadata['architecture'])['attention'] == 'none'


def _distill_fast_head(teacher: Path, folder: Path, run: Path, *options: str) -> int:
    settings = tiny_run.tiny_settings(folder, run, source=None, optimiser__schedule='constant')
    settings['model'] = {'encoder': 'mit_b1', 'pretrained': True}
    settings['loop'] |= {'checkpoint_every': 1}
    config = tiny_run.write_config(folder / 'c.yaml', settings)
    return main(['distill', str(teacher), str(config), '--fast-head', *options])


def test_one_word_gives_the_teachers_network_the_fast_head(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_run.write_data(tmp_path)
    whole, split = tmp_path / 'whole', tmp_path / 'split'
    still = '--optimiser.lr=1e-12'
    assert _distill_fast_head(teacher, tmp_path, whole, '--loop.iterations=2', still) == 0
    told = RunFolder(whole).log_file.read_text()
    assert 'the student takes' in told and 'random weights' not in told
    student, tutor = load_model(RunFolder(whole).model), load_model(teacher)
    assert student.architecture == replace(tutor.architecture, head='daformer_fast')
    for part in ('encoder', 'attention_head'):
        taken = dict(getattr(student, part).named_parameters())
        for name, weight in getattr(tutor, part).named_parameters():
            assert torch.equal(taken[name], weight), name
    assert _distill_fast_head(teacher, tmp_path, split, '--loop.iterations=1', still) == 0
    assert main(['distill', '--resume', str(split), '--loop.iterations=2']) == 0
    first, second = (read_state(RunFolder(run).state)['method'] for run in (whole, split))
    for name, value in first['student'].items():
        assert torch.equal(value, second['student'][name]), name
    assert main(['distill', str(RunFolder(whole).model), 'c.yaml', '--fast-head']) == 1
    assert 'has the head daformer_fast' in capsys.readouterr().err


def test_settings_of_ones_own_win_over_the_teachers(teacher: Path, tmp_path: Path) -> None:
    run = tmp_path / 'run'
    tiny_run.write_data(tmp_path)
    options = ('--loop.iterations=1', '--model.head_channels=12', '--model.attention=none')
    whole = '--distillation.head_only=false'
    assert _distill_fast_head(teacher, tmp_path, run, *options, whole) == 0
    architecture = load_model(RunFolder(run).model).architecture
    assert (architecture.head_channels, architecture.attention) == (12, 'none')
    assert (architecture.encoder, architecture.embed_channels) == ('mit_b0', 8)


@pytest.mark.parametrize(
    ('whole', 'words'),
    [
        ('--distillation.head_only=true', 'another encoder than the teacher'),
        ('--distillation.head_only=false', 'no weight of encoder resnet18 is in the checkpoint'),
    ],
)
def test_another_encoder_cannot_start_from_the_teacher(
    teacher: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], whole: str, words: str
) -> None:
    tiny_run.write_data(tmp_path)
    other = '--model.encoder=resnet18'
    assert _distill_fast_head(teacher, tmp_path, tmp_path / 'run', other, whole) == 1
    assert words in capsys.readouterr().err


def test_the_memory_of_a_step_can_be_estimated(teacher: Path) -> None:
    settings = TrainSettings(
        source=None,
        output='run',
        target=TargetSettings('camera'),
        method='distillation',
        model=ModelSettings('mit_b0', context_size=64, attention='none', **SMALL),
        distillation=DistillationSettings(str(teacher)),
    )
    assert estimate(settings).activations > 0


@pytest.mark.parametrize(
    ('option', 'words'), [('--help', 'teacher_scale'), ('--few_labels.help', 'few_labels.share')]
)
def test_help_needs_no_teacher(
    option: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(['distill', option])
    assert stop.value.code in (0, None)
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ([], 'name a checkpoint and a settings file'),
        (
            ['config/train/distill.yaml', '--target.root=x'],
            'name a checkpoint and a settings file',
        ),
        (['none.safetensors', 'config/train/distill.yaml', '--target.rot=x'], 'target.root'),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['distill', *arguments]) == 1
    error = capsys.readouterr().err
    assert words in error and error.count('\n') == 1
