"""`hrda domain-shift`, and the domain that a training leaves in its checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_run
import yaml

from hrda_core.checkpoints import load_model
from hrda_core.domain_shift import DomainShift, FeatureDomain
from training.cli import main
from training.image_files import read_image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_run.write_frames(tmp_path / 'camera', 24, 0)
    return tmp_path / 'camera' / 'images'


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tiny_run.write_checkpoint(tmp_path / 'm.safetensors')


def test_a_stored_domain_gives_scores(folder, checkpoint, capsys):
    before = load_model(checkpoint).state_dict()
    assert main(['domain-shift', str(checkpoint), str(folder), '--store']) == 0
    model = load_model(checkpoint)
    assert FeatureDomain.of(model).images == 24
    assert all((before[name] == tensor).all() for name, tensor in model.state_dict().items())
    assert main(['domain-shift', str(checkpoint), str(folder), str(folder / '00.png')]) == 0
    rows = [line.split('|') for line in capsys.readouterr().out.splitlines() if '|' in line]
    assert [row[2].strip() for row in rows if '/' in row[1]] == ['24', '1']
    assert 0 < DomainShift(model).look(read_image(folder / '00.png')) < 2


def test_output_leaves_the_checkpoint_as_it_is(folder, checkpoint, tmp_path):
    new = tmp_path / 'new.safetensors'
    assert main(['domain-shift', str(checkpoint), str(folder), '--store', '-o', str(new)]) == 0
    assert FeatureDomain.of(load_model(checkpoint)) is None
    assert FeatureDomain.of(load_model(new)) is not None


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ([], '--store'),
        (['--store', '--frames', '5'], '5 images are too few'),
        (['--frames', '-1'], '--frames -1'),
        (['-o', 'x.safetensors'], '--output is where --store writes'),
    ],
)
def test_impossible_wishes_are_one_sentence(folder, checkpoint, capsys, options, words):
    assert main(['domain-shift', str(checkpoint), str(folder), *options]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(('frames', 'known'), [(24, True), (3, False)])
def test_a_training_remembers_the_frames_of_its_camera(tmp_path, frames, known):
    for name, count in (('source', 3), ('target', frames), ('validation', 1)):
        tiny_run.write_frames(tmp_path / name, count, 0)
    run = tmp_path / 'run'
    settings = tiny_run.tiny_settings(tmp_path, run, loop__iterations=1)
    (tmp_path / 'run.yaml').write_text(yaml.safe_dump(settings))
    assert main(['train', str(tmp_path / 'run.yaml')]) == 0
    for name in ('model', 'teacher'):
        domain = FeatureDomain.of(load_model(run / f'{name}.safetensors'))
        assert (domain is not None) == known
    assert ('too few' in (run / 'log.txt').read_text()) != known
