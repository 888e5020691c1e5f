"""Writes what the demo starts from: a labelled simulator data set, and camera bags."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.bags.writing import ImageBagWriter
from training.demo.folders import is_current, source_digest, whole_folder
from training.demo.street.drive import Drive, snapshot
from training.demo.street.labels import CLASSES_FILE
from training.demo.street.looks import CAMERA, SIMULATOR

IMAGE_TOPIC = '/camera/image_raw'
COMPRESSED_TOPIC = '/camera/image_raw/compressed'
INFO_TOPIC = '/camera/camera_info'
EPOCH_NS = 1_750_000_000 * 10**9
JITTER_NS = 2_000_000  # the camera's clock against its rate
FRAME_ID = 'camera_optical_frame'
CAMERA_QUALITY, SIMULATOR_QUALITY = 92, 95  # of their JPEGs

Progress = Callable[[int, int], None]  # done, total


@dataclass(frozen=True)
class DriveSettings:
    """One drive of the camera.

    Attributes:
        seed: picks the street; give the evaluation drive another one.
        frames: how many.
        rate_hz: frames per second.
        speed: of the car [m/s].
        raw_every: every n-th frame is also written as a raw Image; 1 = all, 0 = none.
        size: width and height of the image [px].
    """

    seed: int
    frames: int
    rate_hz: float = 10.0
    speed: float = 8.0
    raw_every: int = 1
    size: tuple[int, int] = (1024, 512)

    def __post_init__(self) -> None:
        if self.raw_every < 0:
            raise ValueError(
                f'raw_every is {self.raw_every}; use 0 for no raw images, n >= 1 for every n-th'
            )


def write_simulator_dataset(
    root: Path,
    count: int,
    seed: int,
    progress: Progress | None = None,
    size: tuple[int, int] = (1024, 512),
) -> bool:
    """Write a labelled data set of the simulator: images/*.jpg, labels/*.png, classes.yaml.

    Labels are train ids of the written classes.yaml, image and label have the same name. The
    folder appears whole or not at all.

    Args:
        root: the data set's folder; replaced if it was made from something else.
        count: number of images.
        seed: of every choice in the images.
        progress: called with (done, total) after each image.
        size: width and height [px].

    Returns:
        Whether it was written; False if it stood there already.

    Raises:
        ValueError: count is below 1.
    """
    if count < 1:
        raise ValueError(f'a data set of {count} images is empty: ask for at least 1')
    origin = _origin(kind='simulator', count=count, seed=seed, size=list(size))
    if is_current(root, origin):
        return False
    with whole_folder(root, origin) as folder:
        for name in ('images', 'labels'):
            (folder / name).mkdir(parents=True)
        shutil.copyfile(CLASSES_FILE, folder / 'classes.yaml')
        for index in range(count):
            image, labels = snapshot(SIMULATOR, seed, index, size)
            name, picture = f'{index:05d}', jpeg_bytes(image, SIMULATOR_QUALITY)
            (folder / 'images' / f'{name}.jpg').write_bytes(picture)
            _write_labels(folder / 'labels' / f'{name}.png', labels)
            if progress:
                progress(index + 1, count)
    return True


def record_camera_bag(
    bag: Path, labels: Path, settings: DriveSettings, progress: Progress | None = None
) -> bool:
    """Record a drive of the camera into a rosbag2 (mcap), its labels into a folder aside.

    Topics: IMAGE_TOPIC (Image, rgb8), COMPRESSED_TOPIC (CompressedImage, JPEG), INFO_TOPIC
    (CameraInfo, plumb_bob). Labels are PNGs of train ids, named SEC_NSEC.png after the header's
    stamp (nine digits of nanoseconds). Both folders appear whole or not at all.

    Args:
        bag: folder of the bag.
        labels: folder of the labels; must not lie in the bag's folder.
        settings: of the drive.
        progress: called with (done, total) after each frame.

    Returns:
        Whether it was recorded; False if both stood there already.
    """
    origin = _origin(kind='camera', **{**asdict(settings), 'size': list(settings.size)})
    if is_current(bag, origin) and is_current(labels, origin):
        return False
    with whole_folder(labels, origin) as label_folder, whole_folder(bag, origin) as bag_folder:
        label_folder.mkdir()
        _record(bag_folder, label_folder, settings, progress)
    return True


def stamps_ns(settings: DriveSettings) -> list[int]:
    """Header stamps of a drive's frames, at its rate with a little jitter [ns]."""
    rng = np.random.default_rng([settings.seed, 3])
    jitter = rng.integers(-JITTER_NS, JITTER_NS, settings.frames).tolist()
    start = EPOCH_NS + settings.seed % 1000 * 1000 * 10**9 + 10**8
    return [start + round(i * 10**9 / settings.rate_hz) + j for i, j in enumerate(jitter)]


def stamp_name(stamp_ns: int) -> str:
    """File name of a frame, without ending: SEC_NSEC, nine digits of nanoseconds."""
    return f'{stamp_ns // 10**9}_{stamp_ns % 10**9:09d}'


def _record(
    bag_folder: Path, label_folder: Path, settings: DriveSettings, progress: Progress | None
) -> None:
    drive = Drive(
        CAMERA, settings.seed, settings.frames, settings.rate_hz, settings.size, settings.speed
    )
    camera = drive.camera
    with ImageBagWriter(bag_folder, FRAME_ID) as writer:
        for index, stamp in enumerate(stamps_ns(settings)):
            image, labels = drive.frame(index)
            writer.write_camera_info(
                INFO_TOPIC, stamp, settings.size, camera.matrix, camera.distortion
            )
            if settings.raw_every and index % settings.raw_every == 0:
                writer.write_rgb(IMAGE_TOPIC, stamp, image)
            writer.write_compressed(COMPRESSED_TOPIC, stamp, jpeg_bytes(image, CAMERA_QUALITY))
            _write_labels(label_folder / f'{stamp_name(stamp)}.png', labels)
            if progress:
                progress(index + 1, settings.frames)


def jpeg_bytes(image: NDArray[np.uint8], quality: int) -> bytes:
    """JPEG file of an RGB image uint8 (H, W, 3)."""
    _, data = cv2.imencode(
        '.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return data.tobytes()


def _write_labels(path: Path, labels: NDArray[np.uint8]) -> None:
    _, data = cv2.imencode('.png', labels)
    path.write_bytes(data.tobytes())


def _origin(**settings: Any) -> dict[str, Any]:
    here = Path(__file__)
    return {**settings, 'source': source_digest(here.parent / 'street', CLASSES_FILE, here)}
