"""Frames are encoded and written by several threads, and nobody notices in the folder."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from extracting import SECOND_NS, manifest, tree

from hrda_core.image_codec import ImageDecodeError
from training.bags.writing import ImageBagWriter
from training.extraction import pictures
from training.extraction.drive import extract_topic
from training.extraction.drive_topic import DriveTopic
from training.extraction.frame_writer import StagedFrame
from training.extraction.helpers import Helpers
from training.extraction.settings import ChoiceSettings, ExtractionSettings, PictureSettings
from training.extraction.staging import Stager

TOPIC = '/camera/image_raw'
FRAMES = 12


@pytest.fixture
def raw_bag(tmp_path):
    """A recording of small raw images, each of its own grey."""
    with ImageBagWriter(tmp_path / 'drive') as bag:
        for number in range(FRAMES):
            bag.write_rgb(TOPIC, number * SECOND_NS, np.full((16, 24, 3), number * 20, np.uint8))
    return tmp_path / 'drive'


def extracted(bag, out, helpers, report=lambda count: None, **choice):
    settings = ExtractionSettings(out, ChoiceSettings(**choice), PictureSettings())
    return extract_topic(DriveTopic(bag, 'drive', TOPIC, 0), settings, report, helpers)


@pytest.mark.parametrize('helpers', [1, 3])
def test_helpers_write_what_one_thread_writes(raw_bag, tmp_path, helpers):
    extracted(raw_bag, tmp_path / 'alone', 0)
    extracted(raw_bag, tmp_path / 'helped', helpers)
    assert tree(tmp_path / 'helped') == tree(tmp_path / 'alone')
    assert manifest(tmp_path / 'helped') == manifest(tmp_path / 'alone')


@pytest.mark.parametrize('helpers', [1, 3])
@pytest.mark.parametrize(
    'choice',
    [
        {'min_brightness': 0.9},
        {'min_motion': 0.5, 'every_ns': 2 * SECOND_NS},
        {'max_frames': 4, 'min_brightness': 0.5},
    ],
)
def test_frames_are_chosen_as_one_thread_chooses(raw_bag, tmp_path, helpers, choice):
    alone = extracted(raw_bag, tmp_path / 'alone', 0, **choice)
    helped = extracted(raw_bag, tmp_path / 'helped', helpers, **choice)
    assert len(alone.counts) > 1  # some are kept, some are not
    assert helped.counts == alone.counts
    assert tree(tmp_path / 'helped') == tree(tmp_path / 'alone')
    assert manifest(tmp_path / 'helped') == manifest(tmp_path / 'alone')


@pytest.mark.parametrize('most_ahead', [2, 3, 4])
def test_frames_far_apart_are_what_one_thread_writes(raw_bag, tmp_path, monkeypatch, most_ahead):
    monkeypatch.setattr('training.extraction.output._AHEAD_RECORDS', most_ahead)
    extracted(raw_bag, tmp_path / 'alone', 0, every_ns=3 * SECOND_NS)
    extracted(raw_bag, tmp_path / 'helped', 1, every_ns=3 * SECOND_NS)
    assert tree(tmp_path / 'helped') == tree(tmp_path / 'alone')
    assert manifest(tmp_path / 'helped') == manifest(tmp_path / 'alone')


@pytest.mark.parametrize('helpers', [0, 2])
def test_a_frame_that_cannot_be_encoded_is_damaged_and_no_other(
    raw_bag, tmp_path, monkeypatch, helpers
):
    encode = pictures.encode

    def fails_for_the_fourth(bgr, image_format):
        if bgr[0, 0, 0] == 60:
            raise ImageDecodeError('no colour for this')
        return encode(bgr, image_format)

    monkeypatch.setattr(pictures, 'encode', fails_for_the_fourth)
    outcome = extracted(raw_bag, tmp_path / 'out', helpers)
    assert (outcome.counts['kept'], outcome.counts['damaged']) == (FRAMES - 1, 1)
    place = f'{raw_bag}: {TOPIC} at {3 * SECOND_NS} ns'
    assert outcome.damage == [f'{place}: no colour for this']
    assert [line['reason'] for line in manifest(tmp_path / 'out')][2:5] == ['', 'damaged', '']


def test_frames_among_many_that_are_refused_get_their_lines_soon(tmp_path, monkeypatch):
    jpeg = cv2.imencode('.jpg', np.zeros((16, 24, 3), np.uint8))[1].tobytes()
    with ImageBagWriter(tmp_path / 'drive') as bag:
        for number in range(FRAMES):
            bag.write_compressed(TOPIC, number * SECOND_NS, jpeg)
    monkeypatch.setattr('training.extraction.output._AHEAD_RECORDS', 3)
    monkeypatch.setattr('training.extraction.manifest._FLUSH_EVERY_S', 0.0)
    seen = []

    def look(_count):
        seen.append(len(manifest(tmp_path / 'out')))

    extracted(tmp_path / 'drive', tmp_path / 'out', 2, look, every_ns=3 * SECOND_NS)
    assert all(dealt_with - lines <= 4 for dealt_with, lines in enumerate(seen, 1))


def test_the_thread_that_asks_stages_what_no_other_has_begun():
    staged = StagedFrame('part', pictures.Picture(b'', '.jpg', 1, 1), 'sha1')
    with Helpers(1) as helpers:
        stager = Stager(lambda made, number: staged, helpers)
        staging = stager.begin(np.zeros((1, 1, 3), np.uint8), 3)
        assert not staging.group.done()
        assert stager.help()
        assert staging.group.result() == [staged]
        assert not stager.help()


def test_what_was_handed_over_is_staged_without_help():
    staged = StagedFrame('part', pictures.Picture(b'', '.jpg', 1, 1), 'sha1')
    with Helpers(1) as helpers:
        stager = Stager(lambda made, number: staged, helpers)
        staging = stager.begin(np.zeros((1, 1, 3), np.uint8), 3)
        stager.hand()
        assert staging.group.result(timeout=10) == [staged]
        assert not stager.help()
