"""Lines of a manifest say what became of frames, whatever stands in them."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from training.extraction.manifest import FILE_NAME, FrameRecord, open_manifest, read_records

texts = st.text(st.characters(codec='utf-8'), max_size=8)
times = st.integers(-(2**62), 2**62)
figures = st.none() | st.floats(0, 255)
records = st.builds(
    FrameRecord,
    *(texts, texts, texts, times, times, texts, texts),
    **dict.fromkeys(('brightness', 'white', 'sharpness', 'motion'), figures),
    **dict.fromkeys(('sha1', 'reason', 'detail', 'file'), texts),
    kept=st.booleans(),
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
