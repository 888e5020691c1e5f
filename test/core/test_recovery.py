"""A segmenter whose memory runs out gets along with less."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hrda_core.architecture import Architecture
from hrda_core.classes import CITYSCAPES
from hrda_core.hrda import HRDA
from hrda_core.inference import InferenceSettings
from hrda_core.segmenter import Segmenter

IMAGE = np.zeros((128, 128, 3), np.uint8)
SMALL = Architecture('mit_b0', 8, 8, 8, context_size=128, detail_size=64)


def build(**options: int) -> Segmenter:
    return Segmenter(HRDA(SMALL, CITYSCAPES), InferenceSettings(device='cpu', **options))


def most_windows_of(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> int:
    """Windows that go through the network at once."""
    counts = []
    detail = segmenter._engine.detail
    monkeypatch.setattr(
        segmenter._engine, 'detail', lambda w: (counts.append(len(w)), detail(w))[1]
    )
    segmenter.segment(IMAGE)
    return max(counts)


def test_half_the_windows_go_through_at_once_after_each_failure(monkeypatch):
    segmenter = build(window_batch=1000)
    assert most_windows_of(segmenter, monkeypatch) == 9
    assert '4 windows' in segmenter.make_room(torch.OutOfMemoryError('CUDA out of memory'))
    assert most_windows_of(segmenter, monkeypatch) == 4
    assert '2 windows' in segmenter.make_room(MemoryError())
    assert most_windows_of(segmenter, monkeypatch) == 2


def test_one_window_is_the_least():
    segmenter = build(window_batch=1)
    segmenter.segment(IMAGE)
    assert segmenter.make_room(MemoryError()) == ''


def test_other_errors_change_nothing(monkeypatch):
    segmenter = build(window_batch=8)
    segmenter.segment(IMAGE)
    assert segmenter.make_room(RuntimeError('illegal memory access')) == ''
    assert most_windows_of(segmenter, monkeypatch) == 8


def test_what_the_failed_image_holds_is_let_go():
    segmenter = build()
    segmenter.segment(IMAGE)

    def fail() -> None:
        held = torch.zeros(5)
        raise MemoryError(f'after {held.shape}')

    try:
        fail()
    except MemoryError as error:
        segmenter.make_room(error)
        assert error.__traceback__.tb_next.tb_frame.f_locals == {}
