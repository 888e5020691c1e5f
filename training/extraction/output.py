"""Where frames of one topic of one drive go: a folder, or nowhere on a dry run."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from training.camera_info import FILE_NAME as CAMERA_INFO_FILE
from training.camera_info import calibration_yaml
from training.extraction.frame import Frame
from training.extraction.geometry import Size, read_mask
from training.extraction.pictures import Picture, PictureMaker
from training.extraction.settings import PictureSettings
from training.frame_masks import MASK_FILE
from training.frame_writer import FrameWriter, write_whole
from training.manifest import FrameKey, FrameRecord, Manifest


class Output(Protocol):
    """Takes what was decided about each frame."""

    def known(self, key: FrameKey) -> FrameRecord | None:
        """What an earlier run made of a frame."""
        ...

    def is_last_kept(self, record: FrameRecord) -> bool:
        """Whether this is the newest frame that earlier runs kept."""
        ...

    def keep(self, frame: Frame, record: FrameRecord) -> None:
        """Take a frame; errors as of `PictureMaker.prepare`."""
        ...

    def refuse(self, record: FrameRecord) -> None:
        """Note a frame that is not kept."""
        ...

    def close(self) -> None:
        """Finish what was begun."""
        ...


class FolderOutput:
    """Images, mask, calibration and manifest in a folder.

    While one frame is encoded in a thread, the next is read and decoded; lines and files come in
    the order of the frames all the same.

    Args:
        folder: DRIVE/TOPIC below the output folder.
        manifest: of the folder, open.
        maker: makes the images.
        settings: what is done to the images.
        info: CameraInfo of the recording, if it has one.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        maker: PictureMaker,
        settings: PictureSettings,
        info: Any | None,
    ) -> None:
        self._manifest = manifest
        self._folder = folder
        self._writer = FrameWriter(folder, manifest)
        self._maker = maker
        self._settings = settings
        self._info = info
        self._sizes: set[Size] = set()
        self._encoder = ThreadPoolExecutor(1)
        self._encoding: tuple[Future[Picture], FrameRecord] | None = None
        self._refused: list[FrameRecord] = []

    def known(self, key: FrameKey) -> FrameRecord | None:
        """What an earlier run made of a frame."""
        return self._manifest.known(key)

    def is_last_kept(self, record: FrameRecord) -> bool:
        """Whether this is the newest frame that earlier runs kept."""
        return record is self._manifest.last_kept

    def keep(self, frame: Frame, record: FrameRecord) -> None:
        """Write a frame; before the first one of a size, what goes with all of them."""
        made = self._maker.prepare(frame)
        if frame.size not in self._sizes:
            self._write_mask(frame.size)
            self._write_calibration(frame.size)
            self._sizes.add(frame.size)
        self._finish()
        if isinstance(made, Picture):
            self._writer.store(made, record)
        else:
            self._encoding = (self._encoder.submit(self._maker.encode, made), record)

    def refuse(self, record: FrameRecord) -> None:
        """Note a frame that is not kept, behind the one that is being encoded."""
        self._refused.append(record)
        if self._encoding is None or self._encoding[0].done():
            self._finish()

    def close(self) -> None:
        """Finish what was begun."""
        try:
            self._finish()
        finally:
            self._encoder.shutdown()

    def _finish(self) -> None:
        """Write the frame that was being encoded, and the lines behind it."""
        if self._encoding is not None:
            (encoding, record), self._encoding = self._encoding, None
            self._writer.store(encoding.result(), record)
        for refused in self._refused:
            self._manifest.append(refused)
        self._refused.clear()

    def _write_mask(self, size: Size) -> None:
        if self._settings.mask is None and not self._settings.undistort:
            return
        mask = self._settings.mask
        given = None if mask is None else read_mask(mask.read_bytes(), str(mask))
        valid = self._maker.geometry(size).valid(given)
        path = self._folder / MASK_FILE
        if not valid.any():
            raise ValueError(f'--mask {mask} leaves nothing of the frames; white is what to use')
        if not path.exists() and not valid.all():
            _, data = cv2.imencode('.png', valid * np.uint8(255))
            write_whole(path, data.tobytes())

    def _write_calibration(self, size: Size) -> None:
        path = self._folder / CAMERA_INFO_FILE
        if self._info is None or path.exists():
            return
        info = self._info
        if self._settings.changes_geometry:
            info = self._maker.geometry(size).calibration(info)
        write_whole(path, calibration_yaml(info, self._folder.name).encode())


class NoOutput:
    """A dry run: nothing is known, nothing is written."""

    def known(self, key: FrameKey) -> FrameRecord | None:
        """Nothing."""

    def is_last_kept(self, record: FrameRecord) -> bool:
        """Nothing was kept."""
        return False

    def keep(self, frame: Frame, record: FrameRecord) -> None:
        """Nothing."""

    def refuse(self, record: FrameRecord) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
