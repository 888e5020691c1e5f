"""Class statistics and rare class sampling."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hrda_core.classes import CITYSCAPES
from training.data.class_stats import ClassStatistics, class_statistics
from training.data.frames import LabelledFrames, find_labelled
from training.data.sampling import RareClassSampler, rare_class_probabilities
from training.data.settings import SourceSettings
from training.methods.settings import SelfTrainingSettings

WriteFrames = Callable[..., Path]


@pytest.mark.parametrize('temperature', ['0.01', '0.1', '0.5'])
def test_probabilities_equal_published(figures: dict[str, Any], temperature: str) -> None:
    counts = np.zeros((3, 19), np.int64)
    for row, frame in zip(counts, figures['rcs']['stats'], strict=True):
        for train_id, pixels in frame.items():
            if train_id != 'file':
                row[int(train_id)] = pixels
    shares = ClassStatistics(counts).shares
    probabilities = rare_class_probabilities(shares, float(temperature))
    expected = figures['rcs'][temperature]
    assert np.allclose(probabilities[expected['classes']], expected['probs'], rtol=2e-4)
    assert probabilities.sum() == pytest.approx(1)


def test_probabilities_without_any_label_say_so() -> None:
    with pytest.raises(ValueError, match='hold no class'):
        rare_class_probabilities(np.zeros(19), 0.01)


def test_frames_are_drawn_for_classes_they_have() -> None:
    counts = np.array([[90_000, 4_000, 0], [90_000, 0, 3_000], [90_000, 0, 5_000]])
    sampler = RareClassSampler(ClassStatistics(counts), SelfTrainingSettings())
    generator = np.random.default_rng(0)
    frames = {0: set(), 1: set(), 2: set()}
    for _ in range(200):
        drawn = sampler.draw(generator)
        frames[drawn.train_id].add(drawn.frame)
        assert drawn.min_pixels == 6_000
    assert frames[1] == {0}
    assert frames[2] == {2}


def test_rarity_counts_over_everything_that_is_learnt() -> None:
    statistics = ClassStatistics(np.array([[50_000, 50_000, 0]]))
    rarity = np.array([0.3, 0.1, 0.6])
    sampler = RareClassSampler(statistics, SelfTrainingSettings(), rarity)
    assert sampler.probabilities[1] > 0.99, 'alike in these frames, rare in all of them'
    assert sampler.probabilities[2] == 0, 'no frame here has it'


def test_a_class_below_the_limit_everywhere_still_comes_up() -> None:
    counts = np.array([[90_000, 100], [90_000, 40]])
    sampler = RareClassSampler(ClassStatistics(counts), SelfTrainingSettings())
    drawn = [sampler.draw(np.random.default_rng(seed)) for seed in range(20)]
    assert {d.frame for d in drawn if d.train_id == 1} == {0}
    assert {d.min_pixels for d in drawn if d.train_id == 1} == {100}


def _frames(root: Path) -> LabelledFrames:
    return find_labelled(SourceSettings(str(root)), CITYSCAPES, 'source')


def _two_frames() -> list[tuple[np.ndarray, np.ndarray]]:
    image = np.zeros((8, 8, 3), np.uint8)
    label = np.full((8, 8), 255, np.uint8)
    label[0] = 3
    return [(image, label), (image, np.zeros((8, 8), np.uint8))]


def test_counts_and_progress(write_frames: WriteFrames, tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    statistics = class_statistics(
        _frames(write_frames(_two_frames())),
        tmp_path / 'cache',
        lambda done, total: calls.append((done, total)),
    )
    assert statistics.counts[:, [0, 3]].tolist() == [[0, 8], [64, 0]]
    assert statistics.counts.sum() == 72
    assert calls == [(1, 2), (2, 2)]


def test_counts_come_from_the_cache_until_data_change(
    write_frames: WriteFrames, tmp_path: Path
) -> None:
    root, cache = write_frames(_two_frames()), tmp_path / 'cache'
    class_statistics(_frames(root), cache)
    calls: list[int] = []
    class_statistics(_frames(root), cache, lambda done, _: calls.append(done))
    assert calls == []
    path = root / 'labels' / '001.png'
    Image.fromarray(np.full((8, 8), 5, np.uint8)).save(path)
    os.utime(path, ns=(1, 1))
    statistics = class_statistics(_frames(root), cache, lambda done, _: calls.append(done))
    assert calls == [1, 2]
    assert statistics.counts[1, 5] == 64
    assert [file.suffix for file in cache.iterdir()] == ['.json']


def test_a_damaged_cache_is_counted_anew(write_frames: WriteFrames, tmp_path: Path) -> None:
    root, cache = write_frames(_two_frames()), tmp_path / 'cache'
    first = class_statistics(_frames(root), cache)
    (file,) = cache.iterdir()
    file.write_text(json.dumps({'fingerprint': None})[:-3])
    assert np.array_equal(class_statistics(_frames(root), cache).counts, first.counts)


def test_an_unwritable_cache_does_not_stop_the_count(
    write_frames: WriteFrames, tmp_path: Path
) -> None:
    blocked = tmp_path / 'file'
    blocked.write_text('')
    statistics = class_statistics(_frames(write_frames(_two_frames())), blocked)
    assert statistics.counts.sum() == 72


def test_all_frames_that_cannot_be_used_are_named_at_once(
    write_frames: WriteFrames, tmp_path: Path
) -> None:
    root = write_frames([*_two_frames(), *_two_frames()])
    for number in (1, 3):
        path = root / 'labels' / f'{number:03}.png'
        Image.fromarray(np.zeros((4, 8), np.uint8)).save(path)
    frames = _frames(root)
    with pytest.raises(
        ValueError, match=r'001\.png is 8x4 px, .*source\.exclude.*1 more frames .*images/003\.png'
    ):
        class_statistics(frames, tmp_path / 'cache')


def test_counts_of_another_label_map_are_not_reused(
    write_frames: WriteFrames, tmp_path: Path
) -> None:
    root, counted = write_frames(_two_frames()), []
    for others in ('car', 'road'):
        table = root / 'map.yaml'
        table.write_text(f'others: ignore\nlabels: [{{id: 0, class: {others}}}]')
        settings = SourceSettings(str(root), label_map=str(table))
        frames = find_labelled(settings, CITYSCAPES, 'source')
        counted.append(class_statistics(frames, tmp_path / 'cache').counts[1])
    assert [row.argmax() for row in counted] == [13, 0]
