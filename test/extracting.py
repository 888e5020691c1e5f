"""What the tests of `hrda extract` share: the command, and what it has written."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from training.cli import main

COMPRESSED = '/camera/image_raw/compressed'
FOLDER = 'drive/camera__image_raw__compressed'
SECOND_NS = 1_000_000_000
ROOT = Path(__file__).parents[2]


def extract(*arguments):
    return main(['extract', *map(str, arguments)])


def manifest(root):
    """The lines of the manifests of all drives."""
    files = sorted(root.glob('*/*/manifest.jsonl'))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def tree(root):
    """Every image below a folder with its bytes."""
    files = (path for path in root.rglob('*.*') if path.suffix in ('.jpg', '.png'))
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
    return {name: data for name, data in found.items() if name != 'contact_sheet.jpg'}


def scene(number, height=120, width=160):
    """A smooth picture that differs from those of other numbers."""
    rough = np.random.default_rng(number).integers(60, 190, (9, 16, 3), np.uint8)
    smooth = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
    texture = np.random.default_rng(7).integers(0, 40, (height, width, 1), np.uint8)
    return smooth + texture
