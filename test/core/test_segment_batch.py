"""Images of several cameras in one batch: as if each came alone, under one deadline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_network import CLASSES, TINY, tiny_network

from hrda_core.costs import CostModel
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from hrda_core.results import Segmentation
from hrda_core.segmenter import Segmenter

STREAMS = ('front', 'rear', 'left')


@pytest.fixture(scope='module')
def model() -> HRDA:
    return tiny_network()


def build(model: HRDA, **options) -> Segmenter:
    return Segmenter(model, InferenceSettings('cpu', **options))


def pictures(height: int = 128, width: int = 192, count: int = 3) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def assert_alike(found: Sequence[Segmentation], expected: Sequence[Segmentation]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        # Products of another size may round differently where two classes are equally likely.
        assert (ours.labels == theirs.labels).mean() > 0.9999
        np.testing.assert_allclose(ours.confidence.astype(int), theirs.confidence, atol=1)
        assert ours[2:4] == theirs[2:4]


@pytest.mark.parametrize('size', [(128, 256), (100, 150)])
@pytest.mark.parametrize(
    'options',
    [
        {},
        {'window_batch': 1},
        {'window_batch': 7},
        {'mode': 'anytime'},
        {'mode': 'anytime', 'budget': 2},
        {'mode': 'anytime', 'threshold': 0.05, 'window_batch': 4},
        {'mode': 'anytime', 'context': 'fewest', 'budget': 1},
    ],
)
def test_a_batch_is_as_its_images_alone(model, size, options):
    images = pictures(*size)
    expected = [build(model, **options).segment(image) for image in images]
    assert_alike(build(model, **options).segment_batch(images, STREAMS), expected)


def test_one_resolution_is_batched_as_well():
    torch.manual_seed(0)
    network = HRDA(replace(TINY, attention='none'), CLASSES).eval()
    segmenter = build(network)
    images = pictures(128, 192)
    assert_alike(
        segmenter.segment_batch(images, STREAMS), [segmenter.segment(image) for image in images]
    )


def test_cameras_of_a_batch_age_on_their_own(model):
    options = {'mode': 'anytime', 'budget': 1, 'ageing': 100.0}
    alone, together = build(model, **options), build(model, **options)
    front, rear, _ = pictures()
    alone.segment(front, 'front')
    together.segment(front, 'front')
    expected = [alone.segment(front, 'front'), alone.segment(rear, 'rear')]
    assert_alike(together.segment_batch([front, rear], ['front', 'rear']), expected)


def test_images_share_a_deadline_and_the_best_windows_of_all_come_first(model, monkeypatch):
    segmenter = build(model, mode='anytime', deadline_ms=1e6, class_weights={})
    segmenter.warm_up(*pictures()[0].shape[:2], images=2)
    sizes = iter([1, 1, 0])
    for name in ('first_batch', 'largest_batch'):
        monkeypatch.setattr(CostModel, name, lambda *_: next(sizes))
    images = pictures(count=2)
    scores = [
        segmenter.refinement(image).scores('attention_uncertainty', torch.ones(1, 3, 1, 1))
        for image in images
    ]
    best = sorted(range(12), key=lambda n: -(scores[0] + scores[1])[n])[:2]
    results = segmenter.segment_batch(images, ['front', 'rear'])
    assert [r.windows_computed for r in results] == [
        sum(number < 6 for number in best),
        sum(number >= 6 for number in best),
    ]


def test_a_passed_deadline_leaves_every_image_its_context(model):
    results = build(model, mode='anytime', deadline_ms=1e-3).segment_batch(pictures(), STREAMS)
    assert [result.windows_computed for result in results] == [0, 0, 0]


@pytest.mark.parametrize('mode', ['exact', 'anytime'])
def test_warming_up_for_a_batch_gives_its_time(model, mode):
    assert build(model, mode=mode).warm_up(128, 192, images=2) > 0


def test_images_of_two_sizes_are_no_batch(model):
    images = [*pictures(count=1), *pictures(96, 192, count=1)]
    with pytest.raises(ValueError, match='must have one size, not 192x128, 192x96'):
        build(model).segment_batch(images, ['front', 'rear'])


def test_no_images_are_no_batch(model):
    with pytest.raises(ValueError, match='must have one size, not none'):
        build(model).segment_batch([], [])


def test_after_running_out_of_memory_half_the_images_go_at_once(model):
    segmenter = build(model)
    segmenter.segment_batch(pictures(), STREAMS)
    assert segmenter.make_room(MemoryError()) == 'at most 1 images go through the network at once'
    assert segmenter.most_images == 1
    segmenter.segment(pictures()[0])
    assert 'windows' in segmenter.make_room(MemoryError())


@pytest.mark.parametrize('size', [(15, 100), (100, 8193)])
def test_sizes_that_cannot_be_segmented_are_known_beforehand(model, size):
    with pytest.raises(ValueError, match=f'{size[1]}x{size[0]} is outside 16..8192 px a side'):
        build(model).check_size(*size)
