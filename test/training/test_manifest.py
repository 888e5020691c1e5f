"""Lines of a manifest say what became of frames, whatever stands in them."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.extraction.manifest import (
    FILE_NAME,
    SETTINGS_FILE,
    FrameRecord,
    open_manifest,
    read_records,
)

texts = st.text(st.characters(codec='utf-8'), max_size=8)
times = st.integers(-(2**62), 2**62)
figures = st.none() | st.floats(0, 255)
records = st.builds(
    FrameRecord,
    *(texts, texts, texts, times, times, texts, texts),
    **dict.fromkeys(('brightness', 'white', 'sharpness', 'motion'), figures),
    **dict.fromkeys(('sha1', 'reason', 'detail', 'file'), texts),
    kept=st.booleans(),
    again=st.none(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(records, max_size=6))
def test_records_come_back_as_they_were(written: list[FrameRecord]) -> None:
    with TemporaryDirectory() as folder:
        with open_manifest(Path(folder), {}) as manifest:
            for record in written:
                manifest.append(record)
        assert list(read_records(Path(folder) / FILE_NAME)) == written


def test_a_line_has_every_field_that_is_known_in_order(tmp_path: Path) -> None:
    with open_manifest(tmp_path, {}) as manifest:
        manifest.append(FrameRecord('/bag', 'drive', '/camera', 7, 5, reason='every'))
    line = json.loads((tmp_path / FILE_NAME).read_text())
    unknown = ['brightness', 'white', 'sharpness', 'motion', 'change', 'again']
    assert list(line) == [name for name in FrameRecord._fields if name not in unknown]


def test_a_damaged_frame_is_known_though_its_stamp_could_not_be_read(tmp_path: Path) -> None:
    damaged = FrameRecord('/bag', 'drive', '/camera', 7, 0, reason='damaged')
    again = FrameRecord('/bag', 'drive', '/camera', 7, 5, kept=True, file='a.jpg', again=1)
    with open_manifest(tmp_path, {}) as manifest:
        manifest.append(damaged)
        manifest.append(FrameRecord('/bag', 'drive', '/camera', 8, 6, kept=True, file='b.jpg'))
    with open_manifest(tmp_path, {}) as manifest:
        assert manifest.known(again.key) == damaged._replace(again=1)
        assert manifest.known(again.key) is None
        manifest.append(again._replace(kept=False, file='', reason='damaged'))
        manifest.append(again)
    assert [record.file for record in read_records(tmp_path / FILE_NAME)] == ['a.jpg', 'b.jpg']
    with open_manifest(tmp_path, {}) as manifest:
        assert manifest.known(again.key) == again
        assert manifest.compared == {(*again.key[:2], 8, 6)}
        assert manifest.kept_ns == [7, 8]


def test_of_frames_with_equal_times_the_one_that_was_damaged_is_replaced(tmp_path: Path) -> None:
    first, second = (
        FrameRecord('/bag', 'drive', '/camera', 7, 5, reason='damaged', detail=detail)
        for detail in ('first', 'second')
    )
    with open_manifest(tmp_path, {}) as manifest:
        for record in (FrameRecord('/bag', 'drive', '/camera', 6, 4, kept=True), first, second):
            manifest.append(record)
    with open_manifest(tmp_path, {}) as manifest:
        known = [manifest.known(first.key) for _ in range(2)]
        assert known == [first._replace(again=1), second._replace(again=2)]
        manifest.append(second._replace(kept=True, reason='', file='b.jpg', again=2))
    records = list(read_records(tmp_path / FILE_NAME))
    assert [record.reason or record.file for record in records] == ['', 'damaged', 'b.jpg']


@pytest.mark.parametrize('change', [{'record_ns': 'x'}, {'kept': 'yes'}, {'file': None}])
def test_lines_with_values_of_another_kind_are_named(
    tmp_path: Path, change: dict[str, object]
) -> None:
    with open_manifest(tmp_path, {}) as manifest:
        manifest.append(FrameRecord('/bag', 'drive', '/camera', 7, 5, kept=True, file='a.jpg'))
    line = json.loads((tmp_path / FILE_NAME).read_text())
    (tmp_path / FILE_NAME).write_text(json.dumps(line | change) + '\n')
    with pytest.raises(ValueError, match=r'line 1 of .* is no frame record'):
        list(read_records(tmp_path / FILE_NAME))


@pytest.mark.parametrize('noted', ['{"every_ns": "x"}', '{"mask": 5}', '[]', 'nonsense'])
def test_damaged_settings_are_told(tmp_path: Path, noted: str) -> None:
    with open_manifest(tmp_path, {'max_frames': 3}) as manifest:
        manifest.append(FrameRecord('/bag', 'drive', '/camera', 7, 5, kept=True, file='a.jpg'))
    (tmp_path / SETTINGS_FILE).write_text(noted)
    with (
        pytest.raises(ValueError, match=r'other settings|is damaged'),
        open_manifest(tmp_path, {}),
    ):
        pass


def test_images_of_unknown_making_do_not_get_among_anonymous_ones(tmp_path: Path) -> None:
    (tmp_path / '1_000000000.jpg').write_bytes(b'a face')
    with open_manifest(tmp_path, {}):
        pass
    (tmp_path / SETTINGS_FILE).unlink()
    told = pytest.raises(ValueError, match='nobody knows what the frames')
    with told, open_manifest(tmp_path, {'anonymise': 'blur'}):
        pass


def test_images_without_lines_are_not_mixed_with_others(tmp_path: Path) -> None:
    with open_manifest(tmp_path, {}):
        (tmp_path / '1_000000000.jpg').write_bytes(b'a face')
    with (
        pytest.raises(ValueError, match='no --anonymise, now --anonymise blur'),
        open_manifest(tmp_path, {'anonymise': 'blur'}),
    ):
        pass
