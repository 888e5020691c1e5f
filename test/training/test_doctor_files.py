"""The doctor names every file that is wrong, and does not stop at the first one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hrda_core.classes import CITYSCAPES, ClassSet
from training.data.settings import SourceSettings, TargetSettings
from training.doctor.file_checks import ignored_share, report_files
from training.doctor.findings import Finding, Findings
from training.doctor.frame_facts import examine_set
from training.doctor.frame_sets import FrameSet, find_sets
from training.progress import make_display
from training.settings.run import TrainSettings

WriteFrames = Callable[..., Path]


@pytest.fixture
def root(write_frames: WriteFrames) -> Path:
    """Three frames of noise with three classes."""
    rng = np.random.default_rng(0)
    label = np.repeat(np.array([0, 2, 255], np.uint8), 16)[:, None].repeat(64, axis=1)
    return write_frames([(rng.integers(0, 255, (48, 64, 3), np.uint8), label) for _ in range(3)])


def _found(
    root: Path, classes: ClassSet = CITYSCAPES, quick: bool = False, **changes: str
) -> list[Finding]:
    findings = Findings()
    settings = TrainSettings(SourceSettings(str(root), **changes), 'run', method='source_only')  # type: ignore[arg-type]
    for frames in find_sets(settings, classes, findings):
        report_files(frames, examine_set(frames, quick, make_display()), findings)
    return list(findings)


def test_good_files_have_no_findings(root: Path) -> None:
    assert _found(root) == []


def _cut_off(root: Path) -> Path:
    path = root / 'images' / '001.png'
    path.write_bytes(path.read_bytes()[:-500])
    return path


def _cut_off_jpeg(root: Path) -> Path:
    (root / 'images' / '001.png').unlink()
    path = root / 'images' / '001.jpg'
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-500])
    return path


def _no_label(root: Path) -> Path:
    path = root / 'labels' / '001.png'
    path.write_bytes(b'nothing')
    return path


def _label_size(root: Path) -> Path:
    path = root / 'labels' / '001.png'
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(path)
    return path


def _label_id(root: Path) -> Path:
    path = root / 'labels' / '001.png'
    Image.fromarray(np.full((48, 64), 33, np.uint8)).save(path)
    return path


def _ignored(root: Path) -> Path:
    path = root / 'labels' / '001.png'
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(path)
    return path


def _flat(root: Path) -> Path:
    path = root / 'images' / '001.png'
    Image.fromarray(np.full((48, 64, 3), 7, np.uint8)).save(path)
    return path


def _grey(root: Path) -> Path:
    path = root / 'images' / '001.png'
    Image.open(path).convert('L').convert('RGB').save(path)
    return path


def _deep(root: Path) -> Path:
    path = root / 'images' / '001.png'
    Image.fromarray(np.random.default_rng(1).integers(0, 65535, (48, 64)).astype('uint16')).save(
        path
    )
    return path


def _turned(root: Path) -> Path:
    path = root / 'images' / '001.png'
    image = Image.open(path)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path, exif=exif)
    return path


def _sideways(root: Path) -> Path:
    for name in ('labels', 'images'):
        path = root / name / '001.png'
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    return path


@pytest.mark.parametrize(
    ('damage', 'level', 'text'),
    [
        (_cut_off, 'error', '1 of 3 images cannot be read'),
        (_cut_off_jpeg, 'error', 'cut off'),
        (_no_label, 'error', '1 of 3 labels cannot be read'),
        (_label_size, 'error', 'label 32x24 px, image 64x48 px'),
        (_label_id, 'error', '33 (3072 px)'),
        (_ignored, 'warning', '1 of 3 labels ignored as a whole'),
        (_flat, 'warning', '1 image of a single colour'),
        (_grey, 'warning', '1 of 3 images grey'),
        (_deep, 'warning', 'more than 8 bits'),
        (_turned, 'warning', 'EXIF'),
        (_sideways, 'warning', '2 of 1.33, 1 of 0.75'),
        (_sideways, 'note', '2 of 64x48, 1 of 48x64'),
    ],
)
def test_a_damaged_file_is_named(
    root: Path, damage: Callable[[Path], Path], level: str, text: str
) -> None:
    path = damage(root)
    found = [finding for finding in _found(root) if text in finding.what]
    assert [(each.level, each.files) for each in found] == [(level, (str(path),))]


def test_all_damages_are_found_at_once(root: Path) -> None:
    _cut_off(root)
    _label_id(root)
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(root / 'labels' / '002.png')
    assert sum(finding.level == 'error' for finding in _found(root)) == 3


def test_headers_alone_show_sizes(root: Path) -> None:
    _label_size(root)
    _label_id(root)
    assert [f.what for f in _found(root, quick=True)] == []
    _label_size(root)
    assert 'label 32x24 px' in _found(root, quick=True)[0].what


def test_a_quick_look_finds_what_is_cut_off(root: Path) -> None:
    path = _cut_off(root)
    assert [(f.level, f.files) for f in _found(root, quick=True)] == [('error', (str(path),))]


def test_raw_ids_without_a_class_are_a_note(root: Path) -> None:
    found = _found(root, label_ids='raw')
    strange = next(f for f in found if 'no class of' in f.what)
    assert strange.level == 'note' and len(strange.files) == 3
    # 0 is unlabelled, 2 the ego vehicle, 255 nothing at all: raw ids of Cityscapes.
    assert {'0 (3072 px)', '2 (3072 px)'} <= set(strange.what.partition(': ')[2].split(', '))


def test_much_ignored_is_a_warning(root: Path) -> None:
    assert any('100% of all labelled pixels' in f.what for f in _found(root, label_ids='raw'))


def test_a_missing_set_does_not_hide_another(root: Path, tmp_path: Path) -> None:
    findings = Findings()
    settings = TrainSettings(
        SourceSettings(str(root)), 'run', target=TargetSettings(str(tmp_path / 'nothing'))
    )
    sets = find_sets(settings, CITYSCAPES, findings)
    assert [each.role for each in sets] == ['source']
    assert [(f.level, f.area) for f in findings] == [('error', 'target')]


def test_target_needs_no_labels(root: Path) -> None:
    images = tuple(sorted((root / 'images').iterdir()))
    facts = examine_set(FrameSet('target', root, images), False, make_display())
    assert ignored_share(facts) is None
    assert all(each.pixels is not None and not each.label_error for each in facts)


def test_ignored_share(root: Path) -> None:
    settings = TrainSettings(SourceSettings(str(root)), 'run', method='source_only')
    (frames,) = find_sets(settings, CITYSCAPES, Findings())
    assert ignored_share(examine_set(frames, False, make_display())) == pytest.approx(1 / 3)


def test_findings_keep_what_a_block_raises() -> None:
    findings = Findings()
    findings.note('a', 'first')
    with findings.kept('b', 'mend it'):
        raise ValueError('two\nlines')
    assert [(f.level, f.area, f.what) for f in findings] == [
        ('error', 'b', 'two lines'),
        ('note', 'a', 'first'),
    ]
