"""What the doctor says about classes, scale, colours, weights, speed and the machine."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from settings_parser import parse
from tiny_run import tiny_settings, write_config

from hrda_core.classes import CITYSCAPES
from hrda_core.runtime import choose_runtime
from training.data.class_stats import ClassStatistics
from training.data.settings import SourceSettings, TargetSettings, ValidationSettings
from training.doctor import memory
from training.doctor.class_table import ClassRow, class_table, report_classes
from training.doctor.colours import Colours, colour_gap, colours_of, report_colours
from training.doctor.evaluating import Evaluations, planned_evaluations
from training.doctor.findings import Finding, Findings
from training.doctor.frame_facts import FrameFacts, look_at_pixels
from training.doctor.frame_sets import FrameSet
from training.doctor.machine import report_disk, report_machine
from training.doctor.network import inspect_network
from training.doctor.scale import report_scale
from training.doctor.speed import Loaded, Speed, report_speed
from training.memory.estimate import MemoryEstimate
from training.run.meters import Clock
from training.settings.run import LoopSettings, TrainSettings


def _settings(tmp_path: Path, **changes: Any) -> TrainSettings:
    values = tiny_settings(tmp_path, tmp_path / 'run', **changes)
    return parse([str(write_config(tmp_path / 'c.yaml', values))])


def _statistics(*rows: dict[str, int]) -> ClassStatistics:
    counts = np.zeros((len(rows), len(CITYSCAPES)), np.int64)
    for row, values in zip(counts, rows, strict=True):
        for name, pixels in values.items():
            row[CITYSCAPES.index(name)] = pixels
    return ClassStatistics(counts)


def _sets(**shares: float) -> tuple[FrameSet, ...]:
    return tuple(FrameSet(role, Path(), (), share=share) for role, share in shares.items())


def _row(rows: tuple[ClassRow, ...], name: str) -> ClassRow:
    return next(row for row in rows if row.name == name)


def _areas(findings: Findings) -> list[tuple[str, str]]:
    return [(finding.level, finding.area) for finding in findings]


def test_class_table_counts_frames_and_draws(tmp_path: Path) -> None:
    statistics = {
        'source': _statistics({'road': 900, 'car': 99}, {'road': 1000, 'car': 1}),
        'validation': _statistics({'road': 10}),
    }
    sets = _sets(source=1.0, validation=0.0)
    rows = class_table(_settings(tmp_path), CITYSCAPES, sets, statistics)
    car = _row(rows, 'car')
    assert (car.frames, car.enough) == (2, 1)
    assert car.shares == {'source': pytest.approx(0.05), 'validation': 0.0}
    assert sum(row.drawn or 0 for row in rows) == pytest.approx(1)
    assert car.drawn is not None and car.drawn > 0.99


def test_uniform_draws_have_no_probabilities(tmp_path: Path) -> None:
    settings = _settings(tmp_path, method='source_only')
    statistics = {'source': _statistics({'road': 1})}
    rows = class_table(settings, CITYSCAPES, _sets(source=1.0), statistics)
    assert all(row.drawn is None for row in rows)


def test_draws_of_two_sets_follow_their_shares(tmp_path: Path) -> None:
    statistics = {
        'source': _statistics({'road': 1000}),
        'few_labels': _statistics({'sky': 1000}),
    }
    sets = _sets(source=0.75, few_labels=0.25)
    rows = class_table(_settings(tmp_path), CITYSCAPES, sets, statistics)
    assert _row(rows, 'road').drawn == pytest.approx(0.75)
    assert _row(rows, 'sky').drawn == pytest.approx(0.25)


def _class_findings(tmp_path: Path, source: dict[str, int], scored: dict[str, int]) -> str:
    statistics = {'source': _statistics(*[source] * 20), 'validation': _statistics(scored)}
    sets = _sets(source=1.0, validation=0.0)
    merge = {'truck': 'car'}
    settings = _settings(tmp_path, validation__merge=merge)
    findings = Findings()
    rows = class_table(settings, CITYSCAPES, sets, statistics)
    report_classes(settings, rows, ['source'], findings)
    return '\n'.join(f'{finding.level} {finding.what}' for finding in findings)


def test_scored_classes_that_are_never_learnt_are_named(tmp_path: Path) -> None:
    text = _class_findings(tmp_path, {'road': 900, 'car': 900}, {'road': 9, 'rider': 9})
    assert 'never in what is learnt from: rider\n' in text
    assert 'cannot be learnt' in text and 'sidewalk' in text


def test_merged_classes_are_looked_at_merged(tmp_path: Path) -> None:
    text = _class_findings(tmp_path, {'road': 900, 'car': 900}, {'truck': 9})
    assert 'in the validation labels' not in text


def test_histograms_are_compared(tmp_path: Path) -> None:
    text = _class_findings(tmp_path, {'road': 990, 'sky': 10}, {'road': 900, 'sky': 100})
    assert 'note 9% of the pixels' in text and 'sky 1.0% / 10.0%' in text


def _scale_findings(settings: TrainSettings, **sizes: tuple[int, int]) -> list[Finding]:
    sizes_of = {'source': settings.source.size, 'target': settings.target and settings.target.size}
    sets = tuple(
        FrameSet(role, Path(), (Path('a.png'),), sizes_of.get(role), share=float(role == 'source'))
        for role in sizes
    )
    facts = {role: (FrameFacts(size=size),) for role, size in sizes.items()}
    findings = Findings()
    report_scale(settings, sets, facts, findings)
    return list(findings)


@pytest.mark.parametrize(
    ('changes', 'sizes', 'expected'),
    [
        ({}, {'source': (64, 64), 'target': (64, 64)}, []),
        (
            {},
            {'source': (64, 32), 'target': (96, 64)},
            [('source', '50% of such a crop is padding'), ('source / target', '2.0 times')],
        ),
        (
            {'source__size': [128, 128]},
            {'source': (64, 32), 'target': (64, 64)},
            [],
        ),
        ({'crop_size': 128}, {'source': (128, 128)}, []),
        ({'crop_size': 128}, {'source': (64, 128)}, [('source', '50%')]),
        (
            {'target__margins': [40, 30, 0, 0]},
            {'target': (64, 64)},
            [('target.margins', '100%')],
        ),
        (
            {'target__margins': [0, 40, 0, 0]},
            {'target': (64, 64)},
            [('target.margins', '62%')],
        ),
        (
            {'target__size': [128, 128]},
            {'target': (64, 64)},
            [('model.image_scale', 'resized by 2.00 in training')],
        ),
        (
            {'target__size': [128, 128], 'model__image_scale': 2.0},
            {'target': (64, 64)},
            [],
        ),
    ],
)
def test_scale(
    tmp_path: Path,
    changes: dict[str, Any],
    sizes: dict[str, tuple[int, int]],
    expected: list[tuple[str, str]],
) -> None:
    settings = _settings(tmp_path, model__context_scale=1.0, **changes)
    found = _scale_findings(settings, **sizes)
    assert [finding.area for finding in found] == [area for area, _ in expected]
    for finding, (_, text) in zip(found, expected, strict=True):
        assert text in finding.what


def test_colours_add_up_over_frames() -> None:
    dark, bright = (look_at_pixels(np.full((8, 8, 3), v, np.uint8)) for v in (100, 200))
    colours = colours_of([FrameFacts(pixels=dark), FrameFacts(pixels=bright), FrameFacts()])
    assert colours == Colours((150.0,) * 3, (50.0,) * 3)
    assert colour_gap(colours, Colours((200.0,) * 3, (50.0,) * 3)) == pytest.approx((1, 1, 1))
    assert colours_of([FrameFacts()]) is None


def test_a_wide_colour_gap_is_a_note() -> None:
    findings = Findings()
    near, far = Colours((100.0,) * 3, (40.0,) * 3), Colours((160.0,) * 3, (40.0,) * 3)
    report_colours({'source': far, 'few_labels': near, 'target': near}, findings)
    assert _areas(findings) == [('note', 'source / target')]


def test_weights_that_do_not_fit_leave_the_rest_to_be_seen(tmp_path: Path) -> None:
    files = {'model__encoder_weights': str(tmp_path / 'e.pth'), 'model__start_from': 'm.pth'}
    findings = Findings()
    network = inspect_network(_settings(tmp_path, **files), CITYSCAPES, findings)
    assert network is not None and network.parameters > 1e6
    assert _areas(findings) == [('error', 'model.encoder_weights'), ('error', 'model.start_from')]
    assert 'e.pth: no such file' in next(iter(findings)).what


def test_random_and_downloaded_weights_are_told(tmp_path: Path) -> None:
    random, downloaded = Findings(), Findings()
    inspect_network(_settings(tmp_path), CITYSCAPES, random)
    inspect_network(_settings(tmp_path, model__pretrained=True), CITYSCAPES, downloaded)
    assert ('warning', 'model') in _areas(random)
    assert _areas(downloaded) == [('note', 'model.pretrained')]


def test_a_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, findings = _settings(tmp_path), Findings()
    network = inspect_network(settings, CITYSCAPES, Findings())
    assert network is not None
    assert report_disk(settings, network, findings) > network.state_bytes > 3 * 4e6
    assert not list(findings)
    larger = dataclasses.replace(network, state_bytes=10**18)
    report_disk(settings, larger, findings)
    assert _areas(findings) == [('error', 'output')]


def test_a_used_output_folder_and_a_missing_device_are_errors(tmp_path: Path) -> None:
    settings, findings = _settings(tmp_path, loop__precision='fp16'), Findings()
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'notes.txt').write_text('mine')
    assert report_machine(settings, findings) is None
    assert _areas(findings) == [('error', 'output'), ('error', 'loop.device')]


def test_more_loaders_than_cores_are_told(tmp_path: Path) -> None:
    findings = Findings()
    report_machine(_settings(tmp_path, loop__workers=500), findings)
    assert ('warning', 'loop.workers') in _areas(findings)


@pytest.mark.parametrize(('free', 'fits'), [(10**12, True), (10**6, False), (None, True)])
def test_memory_is_held_against_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int | None, fits: bool
) -> None:
    monkeypatch.setattr(memory, 'free_bytes', lambda _: free)
    parts = {field.name: 10**8 for field in dataclasses.fields(MemoryEstimate)}
    monkeypatch.setattr(memory, 'estimate', lambda _: MemoryEstimate(**parts | {'device': 'cpu'}))
    findings = Findings()
    text, fitted = memory.report_memory(_settings(tmp_path), choose_runtime('cpu'), findings)
    assert text.startswith('about ') and fitted == fits
    assert _areas(findings) == ([] if fits else [('warning', 'memory')])


def test_free_memory_of_this_machine_is_known() -> None:
    free = memory.free_bytes(torch.device('cpu'))
    assert free is None or free > 10**6


@pytest.mark.parametrize(
    ('load_s', 'workers', 'warned'), [(0.5, 4, False), (2.0, 4, True), (0.5, 0, True)]
)
def test_waiting_for_data_is_told(load_s: float, workers: int, warned: bool) -> None:
    settings = TrainSettings(SourceSettings(''), '', method='source_only')
    findings = Findings()
    speed = Speed(1.0, 3, load_s, workers, 100)
    report_speed(speed, settings, Loaded((), load_s), findings)
    assert bool(list(findings)) == warned


def test_time_of_a_run() -> None:
    assert Speed(1.0, 3, 0.5, 2, 3600).run_s == 3600
    assert Speed(1.0, 3, 0.5, 0, 3600).run_s == 5400
    assert '1:00:00' in Speed(1.0, 3, 0.5, 2, 3600).sentence()


def test_time_of_a_run_has_its_evaluations_in_it() -> None:
    speed = Speed(1.0, 3, 0.5, 2, 3600, evaluations=2, evaluation_s=90.0)
    assert speed.run_s == 3600 + 180
    assert '1:03:00 h:mm:ss for 3600 steps and 2 evaluations of 0:01:30' in speed.sentence()


@pytest.mark.parametrize(
    ('changes', 'planned'),
    [
        ({}, Evaluations(3, 10)),
        ({'validation': ValidationSettings('v', limit=4)}, Evaluations(3, 4)),
        ({'validation': None}, Evaluations(3, 6, 2)),
        ({'loop': LoopSettings(iterations=9, evaluate_every=0)}, Evaluations(1, 10)),
    ],
)
def test_evaluations_of_a_run_are_known(changes: dict[str, object], planned: Evaluations) -> None:
    loop = LoopSettings(iterations=9, evaluate_every=4, target_score_frames=6)
    settings = TrainSettings(
        SourceSettings(''), '', TargetSettings(''), validation=ValidationSettings('v'), loop=loop
    )
    found = planned_evaluations(dataclasses.replace(settings, **changes), 10, teacher=True)
    assert found == planned


def test_time_left_counts_the_pauses_between_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 2.0, 5.0, 6.0])
    monkeypatch.setattr(time, 'perf_counter', lambda: next(times))
    clock = Clock()
    clock.restart()
    clock.lap()
    clock.restart()
    clock.lap()
    assert clock.take_speed() == 1
    assert clock.left(10) == (2 + 3) / 2 * 10
