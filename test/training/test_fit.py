"""Settings that fit into a memory, and what is said when it ran out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_run
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hrda_core.runtime import Runtime, is_out_of_memory
from training.cli import main
from training.data.settings import SourceSettings
from training.memory import fit as fitting
from training.memory.estimate import MemoryEstimate
from training.memory.fit import available_memory, fit, ladder, parse_size
from training.methods.source_only import SourceOnly
from training.run.folder import RunFolder
from training.settings.run import LoopSettings, ModelSettings, TrainSettings

RUN = TrainSettings(
    SourceSettings('s'), 'run', method='source_only', loop=LoopSettings(device='cpu')
)


def needs(settings: TrainSettings) -> MemoryEstimate:
    """8 GB per image of 1024 px in fp32; half of it in bf16, and half when recomputed."""
    loop = settings.loop
    size = 8 * loop.batch_size * (settings.model.context_size / 1024) ** 2
    size /= (1 + (loop.precision != 'fp32')) * (1 + loop.gradient_checkpointing)
    return MemoryEstimate('cpu', 0, 0, 0, 0, 0, int(size * 1e9), 0, 0)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, 'estimate', needs)


@given(st.integers(1, 10**6), st.sampled_from([('KB', 10**3), ('gb', 10**9), ('MiB', 2**20)]))
def test_sizes_are_read(number: int, unit: tuple[str, int]) -> None:
    assert parse_size(f'{number} {unit[0]}') == number * unit[1]


@pytest.mark.parametrize('text', ['12', 'much', '-1GB', '0GB', '12 gigs', ''])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match='no size of memory'):
        parse_size(text)


@pytest.mark.parametrize(
    ('size', 'changes'),
    [
        ('16GB', ()),
        ('8GB', ('--loop.gradient_checkpointing=true',)),
        (
            '4GB',
            (
                '--loop.gradient_checkpointing=true',
                '--loop.batch_size=1',
                '--loop.accumulate=2',
            ),
        ),
    ],
)
def test_the_least_costly_settings_that_fit_are_chosen(size: str, changes: tuple[str]) -> None:
    fitted = fit(RUN, size)
    assert fitted.changes == changes
    assert fitted.needed.total <= parse_size(size)
    assert fitted.settings.loop.batch_size * fitted.settings.loop.accumulate == 2


def test_a_gpu_with_bf16_is_used_first(monkeypatch: pytest.MonkeyPatch) -> None:
    bf16 = Runtime(torch.device('cpu'), torch.bfloat16, 'a stand-in')
    monkeypatch.setattr(fitting, 'choose_runtime', lambda *_: bf16)
    assert fit(RUN, '8GB').changes == ('--loop.precision=bf16',)
    assert fit(RUN, '4GB').settings.loop.gradient_checkpointing


def test_smaller_crops_come_last_and_not_to_a_run_that_goes_on() -> None:
    fitted = fit(RUN, '2.5GB')
    assert fitted.settings.model.context_size == 768
    assert fitted.settings.model.detail_size == 384
    assert fitted.settings.self_training.rare_class_min_crop_ratio == 1.125
    with pytest.raises(ValueError, match=r'even with .*batch_size=1.* needs about 4\.00 GB'):
        fit(RUN, '2.5GB', resumed=True)


def test_every_rung_is_a_run_that_can_be() -> None:
    compiled = replace(RUN, loop=replace(RUN.loop, compile=True, batch_size=3))
    small = ModelSettings(context_size=128, detail_size=64)
    for run in (RUN, compiled, replace(RUN, model=small)):
        rungs = [rung for _, rung in ladder(run)]
        assert all(later != earlier for later, earlier in zip(rungs[1:], rungs, strict=False))
        assert all(rung.model.context_size % 16 == 0 for rung in rungs)


def test_memory_of_this_machine_is_known() -> None:
    assert 10**8 < available_memory(torch.device('cpu')) < 10**14


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        (torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB'), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"), True),
        (RuntimeError('[enforce fail] alloc_cpu.cpp: not enough memory: you tried'), True),
        (RuntimeError('shapes cannot be multiplied'), False),
    ],
)
def test_errors_of_memory_are_told_from_others(error: RuntimeError, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    tiny_run.write_data(tmp_path / 'data')
    settings = tiny_run.tiny_settings(
        tmp_path / 'data',
        tmp_path / 'run',
        method='source_only',
        validation=None,
        loop__iterations=3,
        loop__checkpoint_every=1,
    )
    return tiny_run.write_config(tmp_path / 'c.yaml', settings)


def test_memory_that_runs_out_names_what_fits_and_leaves_the_state(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = SourceOnly.step

    def hungry(method: SourceOnly, batch: Any, number: int, *args: Any, **kwargs: Any) -> Any:
        if number == 1:
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB\nmore')
        return step(method, batch, number, *args, **kwargs)

    monkeypatch.setattr(SourceOnly, 'step', hungry)
    monkeypatch.setattr(fitting, 'available_memory', lambda _: 10**10)
    assert main(['train', str(config)]) == 1
    folder = RunFolder(config.parent / 'run')
    error = capsys.readouterr().err
    assert 'step 2: out of memory (CUDA out of memory. Tried to allocate 2.00 GiB)' in error
    assert '--loop.gradient_checkpointing=true would fit' in error
    assert (
        f'the state saved after step 1 is untouched: go on with hrda train --resume {folder.path}'
        in error
    )
    assert 'out of memory' in folder.log_file.read_text()
    assert folder.steps_done() == 1
    monkeypatch.undo()
    assert main(['train', '--resume', str(folder.path), '--loop.gradient_checkpointing=true']) == 0
    assert folder.steps_done() == 3


def test_fitted_settings_go_into_the_run(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # 2 images of 64 px are 0.0625 GB in the stand-in.
    assert main(['train', str(config), '--fit=0.04GB', '--loop.iterations=1']) == 0
    kept = yaml.safe_load((config.parent / 'run' / 'config.yaml').read_text())
    assert kept['loop']['gradient_checkpointing'] is True and kept['loop']['batch_size'] == 2
    assert 'fit' not in kept
    assert '--fit 0.04GB takes --loop.gradient_checkpointing=true' in capsys.readouterr().err
