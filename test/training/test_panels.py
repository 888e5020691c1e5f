"""Pictures and plots of a run."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny_run
import torch

from hrda_core.architecture import Architecture
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from training.cli import main
from training.run.folder import RunFolder
from training.run.panels import COLUMNS, TILE_WIDTH, paint, panel_sheet, student_panels
from training.run.plots import write_plots

SMALL = Architecture('mit_b0', 16, 16, 16, context_size=64, detail_size=64)


def test_labels_are_painted_in_the_colours_of_their_classes() -> None:
    painted = paint(torch.tensor([[0, 255]], dtype=torch.uint8), CITYSCAPES)
    assert painted.tolist() == [[list(CITYSCAPES.colors[0]), [0, 0, 0]]]


def test_maps_are_painted_from_dark_to_bright() -> None:
    painted = paint(torch.tensor([[0.0, 0.5, 1.0]]), CITYSCAPES).astype(int).sum(axis=2)
    assert painted[0, 0] < painted[0, 1] < painted[0, 2]


@pytest.mark.parametrize('attention', ['classwise', 'single', 'none'])
def test_the_student_shows_what_it_thinks(attention: str) -> None:
    torch.manual_seed(0)
    model = HRDA(Architecture('mit_b0', 16, 16, 16, attention, 64, 64), CITYSCAPES)  # type: ignore[arg-type]
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    shown = student_panels(model, image)
    names = {'prediction', 'confidence'} | (set() if attention == 'none' else {'attention'})
    assert set(shown) == names
    assert all(panel.shape == (64, 64, 3) for panel in shown.values())


def test_looking_leaves_weights_and_statistics_alone() -> None:
    model = HRDA(SMALL, CITYSCAPES)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    student_panels(model, np.zeros((64, 64, 3), np.uint8))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_sheet_holds_every_picture_and_the_legend() -> None:
    pictures = {f'p{i}': np.full((32, 32, 3), 40 * i, np.uint8) for i in range(COLUMNS + 1)}
    sheet = panel_sheet(pictures, CITYSCAPES)
    assert sheet.shape[1] == COLUMNS * TILE_WIDTH
    assert sheet.shape[0] > 2 * TILE_WIDTH
    packed = np.unique(sheet.astype(np.int64) @ [65536, 256, 1])
    present = {(p >> 16, p >> 8 & 255, p & 255) for p in packed.tolist()}
    assert {(40 * i,) * 3 for i in range(COLUMNS + 1)} <= present
    assert set(CITYSCAPES.colors) <= present, 'the legend'


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp('looks')
    tiny_run.write_data(folder)
    settings = tiny_run.tiny_settings(folder, folder / 'run', loop__iterations=2)
    assert main(['train', str(tiny_run.write_config(folder / 'run.yaml', settings))]) == 0
    return RunFolder(folder / 'run')


def test_a_run_leaves_panels_and_plots(run: RunFolder) -> None:
    assert [path.name for path in run.panels.iterdir()] == ['step_000002.png']
    plots = {path.stem: cv2.imread(str(path)) for path in run.plots.iterdir()}
    assert set(plots) == {'losses', 'scores', 'classes', 'learning_rate', 'pseudo'}
    assert all(plot.std() > 5 for plot in plots.values())


def test_plots_of_a_run_that_has_only_begun(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / 'run')
    folder.start('method: source_only\n')
    write_plots(folder)
    assert list(folder.plots.iterdir()) == []
    folder.metrics.write_text('step,loss,lr\n1,0.5,0.1\n2,nan,0.1\n3,0.4')
    write_plots(folder)
    assert {path.name for path in folder.plots.iterdir()} == {'losses.png', 'learning_rate.png'}


def test_a_run_outlives_plots_that_cannot_be_written(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = run.path.parent
    settings = tiny_run.tiny_settings(data, tmp_path / 'run', method='source_only')
    settings['loop']['iterations'] = 1
    config = tiny_run.write_config(tmp_path / 'run.yaml', settings | {'validation': None})
    blocked = tmp_path / 'run' / 'plots'

    def block(_: RunFolder) -> None:
        raise NotADirectoryError(f'{blocked} is a file')

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('training.run.plots.write_plots', block)
        assert main(['train', str(config)]) == 0
    assert 'no plots this time' in capsys.readouterr().err
    assert RunFolder(tmp_path / 'run').steps_done() == 1
