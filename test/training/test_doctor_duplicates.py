"""Repeated frames: exact copies, near ones, leaks between sets, shared drives."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.doctor import duplicates
from training.doctor.drives import drives_of, report_drives
from training.doctor.duplicates import find_overlaps, nearest, report_overlaps
from training.doctor.findings import Finding, Findings
from training.doctor.frame_facts import difference_hash, examine_set
from training.doctor.frame_sets import FrameSet
from training.progress import make_display


def _scene(number: int, height: int = 72, width: int = 128) -> np.ndarray:
    """A smooth picture that differs from those of other numbers."""
    rough = np.random.default_rng(number).integers(0, 255, (9, 16, 3), np.uint8)
    return cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def _set(role: str, root: Path, share: float = 0.0) -> FrameSet:
    images = tuple(sorted(p for p in root.rglob('*') if p.suffix in ('.png', '.jpg')))
    return FrameSet(role, root, images, share=share)


def _report(*sets: FrameSet) -> list[Finding]:
    findings = Findings()
    facts = {each.role: examine_set(each, False, make_display()) for each in sets}
    report_overlaps(find_overlaps(sets, facts), sets, findings)
    return list(findings)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.unpackbits(a[:, None] ^ b[None], axis=2).sum(axis=2)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_nearest_hash_is_the_nearest(count: int, others: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = (
        rng.integers(0, 256, (count, 32), np.uint8),
        rng.integers(0, 256, (others, 32), np.uint8),
    )
    places, distances = nearest(a, b)
    expected = _distances(a, b)
    assert np.array_equal(distances, expected.min(axis=1))
    assert np.array_equal(expected[np.arange(count), places], distances)


def test_nearest_looks_back_alone_and_beyond_its_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, 'BLOCK', 3)
    codes = np.random.default_rng(0).integers(0, 256, (8, 32), np.uint8)
    codes[7] = codes[1]
    places, distances = nearest(codes, codes, earlier=True)
    assert (places[7], distances[7]) == (1, 0)
    assert distances[0] == 257 and distances[1] > 0


def test_hash_survives_resizing_noise_and_brightness() -> None:
    image = _scene(0, 360, 640)
    noisy = image.astype(int) + np.random.default_rng(0).integers(-6, 7, image.shape) + 10
    for other in (cv2.resize(image, (320, 180)), np.clip(noisy, 0, 255).astype(np.uint8)):
        distance = _distances(difference_hash(image)[None], difference_hash(other)[None])
        assert distance <= duplicates.NEAR_BITS
    assert _distances(difference_hash(image)[None], difference_hash(_scene(1))[None]) > 60


def test_copies_within_a_set(tmp_path: Path) -> None:
    for number, scene in enumerate((0, 1, 0, 2)):
        _write(tmp_path / f'{number}.png', _scene(scene))
    _write(tmp_path / '4.jpg', _scene(1))
    found = _report(_set('source', tmp_path, 1.0))
    assert [(f.level, f.files) for f in found] == [
        ('warning', ('2.png = 0.png',)),
        ('note', ('4.jpg = 1.png',)),
    ]


@pytest.mark.parametrize(
    ('role', 'share', 'levels'),
    [
        ('source', 1.0, ['error', 'warning']),
        ('few_labels', 0.5, ['error', 'warning']),
        ('target', 0.0, ['warning', 'warning']),
    ],
)
def test_leaks_into_validation(tmp_path: Path, role: str, share: float, levels: list[str]) -> None:
    for number in range(6):
        _write(tmp_path / role / f'{number}.png', _scene(number))
    _write(tmp_path / 'validation' / 'a.png', _scene(3))
    _write(tmp_path / 'validation' / 'b.jpg', _scene(4))
    _write(tmp_path / 'validation' / 'c.png', _scene(9))
    found = _report(
        _set(role, tmp_path / role, share), _set('validation', tmp_path / 'validation')
    )
    assert [each.level for each in found] == levels
    assert [each.files for each in found] == [('3.png = a.png',), ('4.png = b.jpg',)]


def test_unreadable_frames_do_not_count(tmp_path: Path) -> None:
    for name in ('0.png', '1.png'):
        (tmp_path / name).write_bytes(b'')
    assert _report(_set('target', tmp_path)) == []


def test_drives_of_a_manifest_are_compared(tmp_path: Path) -> None:
    for role, drives in (('target', 'ab'), ('validation', 'bc')):
        for drive in drives:
            folder = tmp_path / role / drive / 'camera'
            _write(folder / '1.png', _scene(ord(drive)))
            record = {'bag': drive, 'drive': drive, 'topic': '/c', 'record_ns': 1, 'stamp_ns': 1}
            line = json.dumps(record | {'kept': True, 'file': '1.png'})
            # An extraction that is still running leaves half a line.
            (folder / 'manifest.jsonl').write_text(f'{line}\n{{"ba')
    findings = Findings()
    sets = [_set(role, tmp_path / role) for role in ('target', 'validation')]
    assert report_drives(sets, findings)['target'] == {'a': 1, 'b': 1}
    (found,) = findings
    assert found.level == 'warning' and '1 drive in both sets: b (1 and 1 frames)' in found.what
    assert (tmp_path / 'target/a/camera/manifest.jsonl').read_text().endswith('{"ba')


@pytest.mark.parametrize(
    ('name', 'drive'),
    [('0016E5_07959', '0016E5'), ('0006R0_f01830', '0006R0'), ('frame_0001', ''), ('00012', '')],
)
def test_names_of_numbered_recordings_tell_the_drive(
    tmp_path: Path, name: str, drive: str
) -> None:
    _write(tmp_path / f'{name}.png', _scene(0))
    assert drives_of(_set('target', tmp_path)) == ({drive: 1} if drive else {})
