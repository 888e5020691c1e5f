"""The `hrda` command: its table, lazy imports, and errors in one sentence."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from bare_python import run_without

from training import cli
from training.settings.names import setting_names


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['--help']) == 0
    text = capsys.readouterr().out
    rows = cli.COMMANDS.items()
    assert all(f'  {name} ' in text and sentence in text for name, (_, sentence) in rows)


@pytest.mark.parametrize(('chosen', 'kept'), [(None, 'AUTO,STRICT'), ('AVX2', 'AVX2')])
def test_matrix_products_are_the_same_in_every_run(
    monkeypatch: pytest.MonkeyPatch, chosen: str | None, kept: str
) -> None:
    monkeypatch.setenv('MKL_CBWR', chosen or '')
    if chosen is None:
        monkeypatch.delenv('MKL_CBWR')
    assert cli.main(['--help']) == 0
    assert os.environ['MKL_CBWR'] == kept


def test_unknown_command_names_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['trian']) == 1
    assert 'train' in capsys.readouterr().err


def test_train_help_needs_no_torch() -> None:
    result = run_without(['torch', 'timm'], ['train', '--help'])
    assert result.returncode == 0, result.stderr
    assert '--loop.iterations' in result.stdout


def test_train_help_shows_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(['train', '--help'])
    text = capsys.readouterr().out
    # Those of further sources are those of source.
    names = [name for name in setting_names() if not name.startswith('extra_sources.')]
    assert not [name for name in names if f'--{name}' not in text]
    assert 'bonnet' in text, 'with what each is for'


def test_train_without_torch_is_one_sentence(tmp_path: Path) -> None:
    options = [f'--source.root={tmp_path}', f'--output={tmp_path}/run', '--method=source_only']
    result = run_without(['torch'], ['train', *options])
    assert result.returncode == 1
    assert 'needs the Python package torch' in result.stderr
    assert 'Traceback' not in result.stderr


NO_ROOM = 'make room there, or name another place, and give the command again'


@pytest.mark.parametrize(
    ('error', 'code', 'text'),
    [
        (ValueError('too small'), 1, 'too small'),
        (FileNotFoundError('x.yaml: no such file'), 1, 'x.yaml: no such file'),
        (PermissionError(13, 'Permission denied', 'x'), 1, 'x: Permission denied'),
        (OSError(28, 'No space left', 'x'), 1, f'x: No space left; {NO_ROOM}'),
        (MemoryError('too much'), 1, 'out of memory: too much'),
        (KeyError('road'), 1, "no entry 'road'"),
        (KeyboardInterrupt(), 130, 'interrupted'),
    ],
)
def test_errors_become_a_sentence_and_a_code(
    error: BaseException,
    code: int,
    text: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(cli, '_run_command', fail)
    assert cli.main(['eval']) == code
    assert capsys.readouterr().err.strip() == f'hrda eval: {text}'


def test_missing_arguments_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(['predict', 'x.png']) == 1
    error = capsys.readouterr().err
    assert 'output' in error and error.count('\n') == 1


def test_import_command_reports_a_file_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'x.pth').write_bytes(b'nothing')
    code = cli.main(['import', str(tmp_path / 'x.pth'), '-o', str(tmp_path / 'y.safetensors')])
    assert code == 1
    assert 'x.pth' in capsys.readouterr().err
    assert not (tmp_path / 'y.safetensors').exists()


CONFIG = Path(__file__).parents[2] / 'config' / 'train' / 'robot.yaml'


@pytest.mark.parametrize(
    ('command', 'sentence'),
    [
        ('eval x --limit=a', "--limit is 'a', expected a whole number"),
        ('eval x --mode', '--mode needs a value'),
        ('extract x -o y --clean=maybe', "--clean takes no value; leave 'maybe' out"),
        ('eval x --mode=exct', "--mode is 'exct', expected exact or anytime; did you mean exact?"),
        ('eval x --kind=camvit', "--kind is 'camvit', expected folder, .*; did you mean camvid?"),
        ('eval x y', 'there is an argument too many: y'),
        ('predict a', 'what is missing: --output, --checkpoint'),
        (
            'predict a -o b --checkpoint c --modes=exact',
            'no argument --modes; did you mean --mode',
        ),
        ('predict a -o b --checkpoint c --threshold=x', "'x', expected a number or null"),
        ('import x --no_strict', 'no argument --no_strict; did you mean --no-strict'),
        ('bench', 'say what: train, inference, models'),
        ('bench models --heads x', "--heads is 'x', expected daformer, daformer_fast or"),
        ('bench anytime c --sizes a b', "--sizes is 'a', expected a whole number"),
        ('bench inference --contenders exact,budget=x', "--budget is 'x', expected a whole"),
        (
            f'train {CONFIG} --loop.devices=two',
            "loop.devices is 'two', expected a whole number or",
        ),
        (f'train {CONFIG} --optimiser.betas=3', 'expected a list of 2 values like'),
        (f'train {CONFIG} --method=self_trainig', 'did you mean self_training'),
        (f'train {CONFIG} --model=3', "model is '3', expected a group of settings"),
        (f'train {CONFIG} --target.size=[1]', r"target.size is '\[1\]', expected a list of 2"),
        (f'train {CONFIG} --target.kind=foldr', "target.kind is 'foldr'.*did you mean folder"),
        (f'train {CONFIG} --validation.merge=3', 'validation.merge is .3., expected names and'),
        (f'train {CONFIG} --loop.seed=99999999999999999999', 'loop.seed .* must be at most'),
        (f'train {CONFIG} --target.size=[0,0]', 'size 0x0 of the target is below 16 px'),
        ('bench train --encoder=mit_b55', 'did you mean mit_b5'),
        ('bench anytime x --threads=0', '--threads 0 must be at least 1'),
        (f'train {CONFIG} --crop_size=1000000', 'crop_size 1000000 must be at most 8192 px'),
        (f'train {CONFIG} --optimiser.lr=.inf', 'optimiser.lr inf must be above 0, and finite'),
        (f'train {CONFIG} --optimiser.betas=[0.9,1]', r'optimiser.betas .* must be in 0..1'),
        (f'train {CONFIG} --extra_sources=[3]', "extra_sources is '3', expected a list, each a"),
    ],
)
def test_wrong_arguments_are_told_in_the_words_of_the_command_line(
    command: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command.split()) == 1
    error = capsys.readouterr().err
    assert re.search(sentence, error), error
    assert error.count('\n') == 1
    assert not re.search(r'<class|typing|Union|Parser key|NestedArg', error)


def test_wrong_values_in_a_settings_file_are_told_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / 'c.yaml'
    file.write_text('target: {root: x, size: big}\nsource: null\n')
    assert cli.main(['train', str(file)]) == 1
    assert "target.size is 'big', expected a list of 2 values" in capsys.readouterr().err


def test_a_broken_settings_file_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'c.yaml').write_text('a: [\n')
    assert cli.main(['train', str(tmp_path / 'c.yaml')]) == 1
    error = capsys.readouterr().err
    assert 'c.yaml: no settings file' in error and 'line 2' in error and error.count('\n') == 1
