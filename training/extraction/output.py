"""Where frames of one topic of one drive go: a folder, or nowhere on a dry run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from training.data.frame_masks import MASK_FILE
from training.extraction.camera_info import FILE_NAME as CAMERA_INFO_FILE
from training.extraction.camera_info import calibration_yaml
from training.extraction.frame import Frame
from training.extraction.frame_writer import FrameWriter, StagedFrame
from training.extraction.geometry import Size, read_mask
from training.extraction.helpers import Helpers
from training.extraction.manifest import DAMAGED, FrameKey, FrameRecord, Manifest
from training.extraction.picture_errors import FrameSizeError
from training.extraction.pictures import Made, Picture, PictureMaker
from training.extraction.settings import PictureSettings
from training.extraction.staging import Stager, Staging
from training.whole_files import naming, write_bytes

_AHEAD_BYTES = 10 << 20
"""Frames of this size together may wait for their names, or as many as keep all helpers busy."""
_AHEAD_RECORDS = 400
"""So many frames, kept or not, wait for their lines at most: a kill loses what waits."""


class Output(Protocol):
    """Takes what was decided about each frame.

    Attributes:
        kept_before: record times of the frames that earlier runs kept [ns].
        failed: frames that were to be kept and could not be encoded.
    """

    kept_before: Sequence[int]
    failed: list[FrameRecord]

    def known(self, key: FrameKey) -> FrameRecord | None:
        """What an earlier run made of a frame."""
        ...

    def is_compared(self, record: FrameRecord) -> bool:
        """Whether an unknown frame will be compared with one that earlier runs kept."""
        ...

    def making(self, frame: Frame) -> Callable[[], Made] | None:
        """What can be done in another thread before a frame is kept; None if nothing pays."""
        ...

    def check(self, frame: Frame, made: Made | None) -> None:
        """Raise what `keep` would raise of a frame."""
        ...

    def keep(self, frame: Frame, record: FrameRecord, made: Made | None) -> None:
        """Take a frame and what `making` gave, if it was done.

        Errors are those of `PictureMaker.prepare`, also of `making`.
        """
        ...

    def refuse(self, record: FrameRecord) -> None:
        """Note a frame that is not kept."""
        ...

    def close(self) -> None:
        """Finish what was begun."""
        ...


class FolderOutput:
    """Images, mask, calibration and manifest in a folder.

    Threads encode, hash and write frames while the next ones are read; files and lines get their
    names and places in the order of the frames all the same.

    Args:
        folder: DRIVE/TOPIC below the output folder.
        manifest: of the folder, open.
        maker: makes the images.
        settings: what is done to the images.
        info: CameraInfo of the recording, if it has one.
        helpers: threads beside the one that reads.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        maker: PictureMaker,
        settings: PictureSettings,
        info: Any | None,
        helpers: Helpers,
    ) -> None:
        self._manifest = manifest
        self._folder = folder
        self._writer = FrameWriter(folder, manifest)
        self._maker = maker
        self._settings = settings
        self._info = info
        self._sizes: set[Size] = set()
        self.kept_before: Sequence[int] = manifest.kept_ns
        self.failed: list[FrameRecord] = []
        self._stager = Stager(self._stage, helpers)
        self._helpers = helpers
        self._ahead: deque[tuple[Staging | None, FrameRecord, int]] = deque()
        self._begun = self._bytes = 0

    def known(self, key: FrameKey) -> FrameRecord | None:
        """What an earlier run made of a frame."""
        return self._manifest.known(key)

    def is_compared(self, record: FrameRecord) -> bool:
        """Whether an unknown frame will be compared with one that earlier runs kept."""
        return record.key in self._manifest.compared

    def making(self, frame: Frame) -> Callable[[], Made] | None:
        """What can be done in another thread before a frame is kept; None if nothing pays."""
        return partial(self._maker.prepare, frame) if self._maker.can_work_ahead(frame) else None

    def check(self, frame: Frame, made: Made | None) -> None:
        """Raise what `keep` would raise of a frame."""
        self._fitted(frame, made)

    def keep(self, frame: Frame, record: FrameRecord, made: Made | None) -> None:
        """Write a frame."""
        made = self._fitted(frame, made)
        size = len(made.data) if isinstance(made, Picture) else made.nbytes
        self._ahead.append((self._stager.begin(made, size), record, size))
        self._begun += 1
        self._bytes += size
        self._settle()

    def _fitted(self, frame: Frame, made: Made | None) -> Made:
        """A frame as it is kept; before the first one of a size, write what goes with all."""
        made = self._maker.prepare(frame) if made is None else made
        if frame.size not in self._sizes:
            self._write_mask(frame.size)
            self._write_calibration(frame.size)
            self._sizes.add(frame.size)
        return made

    def refuse(self, record: FrameRecord) -> None:
        """Note a frame that is not kept."""
        self._ahead.append((None, record, 0))
        self._settle()

    def close(self) -> None:
        """Finish what was begun."""
        try:
            self._publish()
        finally:
            self._helpers.rest()
            self._writer.delete_parts()

    def _stage(self, made: Made, number: int) -> StagedFrame:
        """Encode, hash and write a frame; several threads do so at once."""
        picture = made if isinstance(made, Picture) else self._maker.encode(made)
        return self._writer.stage(picture, number)

    def _settle(self) -> None:
        """Publish once so much was begun that it pays: one by one, nothing of it is cached."""
        records = len(self._ahead)
        if records % (_AHEAD_RECORDS // 2) == 0:  # done by the time that its turn comes
            self._stager.hand()
        if not self._helpers.ahead:
            self._publish()
        elif records > _AHEAD_RECORDS:
            self._publish(most_records=_AHEAD_RECORDS // 2)
        elif self._bytes > _AHEAD_BYTES and self._begun > self._helpers.ahead:
            self._publish(_AHEAD_BYTES // 2, self._helpers.ahead)

    def _publish(self, most_bytes: int = 0, most_frames: int = 0, most_records: int = 0) -> None:
        """Publish what is done, and wait until no more bytes, frames or records are not."""
        with naming(self._folder):
            while self._ahead:
                staging, record, size = self._ahead[0]
                if staging is not None and not staging.group.done():
                    is_little = self._bytes <= most_bytes or self._begun <= most_frames
                    if is_little or len(self._ahead) <= most_records:
                        return
                    if self._stager.help():
                        continue
                self._ahead.popleft()
                if staging is None:
                    self._manifest.append(record)
                    continue
                self._begun -= 1
                self._bytes -= size
                staged = staging.group.result()[staging.place]
                if isinstance(staged, StagedFrame):
                    self._writer.publish(staged, record)
                    continue
                self.failed.append(record._replace(reason=DAMAGED, detail=str(staged)))
                self._manifest.append(self.failed[-1])

    def _write_mask(self, size: Size) -> None:
        if self._settings.mask is None and not self._settings.undistort:
            return
        mask = self._settings.mask
        valid = self._maker.geometry(size).valid(self._mask)
        path = self._folder / MASK_FILE
        if not valid.any():
            raise FrameSizeError(
                f'--undistort leaves nothing of a frame of {size[0]}x{size[1]} px: the CameraInfo '
                'of the recording is wrong; leave --undistort out, or calibrate the camera again'
                if mask is None
                else f'--mask {mask} leaves nothing of the frames; white is what to use'
            )
        if not path.exists() and not valid.all():
            _, data = cv2.imencode('.png', valid * np.uint8(255))
            write_bytes(path, data.tobytes())

    @cached_property
    def _mask(self) -> npt.NDArray[np.bool_] | None:
        """Where the recorded frames may be used, as the user has drawn it."""
        mask = self._settings.mask
        return None if mask is None else read_mask(mask.read_bytes(), str(mask))

    def _write_calibration(self, size: Size) -> None:
        path = self._folder / CAMERA_INFO_FILE
        if self._info is None or path.exists():
            return
        info = self._info
        if self._settings.changes_geometry or (info.width, info.height) not in ((0, 0), size):
            info = self._maker.geometry(size).calibration(info)
        write_bytes(path, calibration_yaml(info, self._folder.name).encode())


class NoOutput:
    """A dry run: nothing is known, nothing is written."""

    def __init__(self) -> None:
        self.kept_before: Sequence[int] = ()
        self.failed: list[FrameRecord] = []

    def known(self, key: FrameKey) -> FrameRecord | None:
        """Nothing."""

    def is_compared(self, record: FrameRecord) -> bool:
        """Nothing was kept."""
        return False

    def making(self, frame: Frame) -> Callable[[], Made] | None:
        """Nothing."""

    def check(self, frame: Frame, made: Made | None) -> None:
        """Nothing."""

    def keep(self, frame: Frame, record: FrameRecord, made: Made | None) -> None:
        """Nothing."""

    def refuse(self, record: FrameRecord) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
