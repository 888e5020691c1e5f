"""How many training crops loading gives per second, against what the steps use up."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from rich.console import Console

from hrda_core.classes import CITYSCAPES
from training.benchmark.pictures import photograph
from training.data.settings import SourceSettings, TargetSettings
from training.progress import PlainDisplay
from training.run.assembly import Batches
from training.settings.run import TrainSettings

SOURCE_STORED, SOURCE_SIZE = (1914, 1052), (2560, 1440)
TARGET_STORED = (2048, 1024)
FRAMES = 8


def loading_rate(settings: TrainSettings, steps: int) -> float:
    """Images per second from files as large as GTA5's and Cityscapes' (PNG, in the cache).

    Args:
        settings: crop size, batch size, workers and rare class sampling.
        steps: batches to time, after a first one in which the loading processes start.

    Returns:
        Source and target images together [1/s].
    """
    quiet = PlainDisplay(Console(quiet=True))
    with TemporaryDirectory(prefix='hrda_bench_data_') as folder:
        root = Path(folder)
        write_frames(root)
        data = dataclasses.replace(
            settings,
            source=SourceSettings(str(root / 'source'), size=SOURCE_SIZE),
            target=TargetSettings(str(root / 'target'), kind='folder'),
        )
        batches = iter(Batches(data, CITYSCAPES, False, quiet)(range(steps + 1)))
        next(batches)
        start = time.perf_counter()
        images = sum(len(part['image']) for batch in batches for part in batch.values())
        return images / (time.perf_counter() - start)


def write_frames(root: Path) -> None:
    """Frames that take about as long to decode as photographs: shapes, gradients, some noise."""
    generator = np.random.default_rng(0)
    for name in ('source/images', 'source/labels', 'target'):
        (root / name).mkdir(parents=True)
    for number in range(FRAMES):
        label = _blocks(generator, SOURCE_STORED, len(CITYSCAPES))
        image = photograph(generator, SOURCE_STORED)
        cv2.imwrite(str(root / 'source' / 'labels' / f'{number}.png'), label)
        cv2.imwrite(str(root / 'source' / 'images' / f'{number}.png'), image)
        cv2.imwrite(str(root / 'target' / f'{number}.png'), photograph(generator, TARGET_STORED))


def _blocks(generator: np.random.Generator, size: tuple[int, int], values: int) -> np.ndarray:
    coarse = generator.integers(0, values, (8, 16), np.uint8)
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_NEAREST))
