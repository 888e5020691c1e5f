"""What diagnostics tell of the model: which it is, where it runs, and in how much memory."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from hrda_ros.image_segmenter import ImageSegmenter

ID_DIGITS = 12
BLOCK_BYTES = 1 << 20


def checkpoint_id(path: str) -> str:
    """The first digits of what `sha256sum` says of a file; 'unknown' if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with Path(path).open('rb') as file:
            while block := file.read(BLOCK_BYTES):
                digest.update(block)
    except OSError:
        return 'unknown'
    return digest.hexdigest()[:ID_DIGITS]


class ModelFacts:
    """Facts of a loaded model; the file is read once, when this is made.

    Args:
        checkpoint: the file that the model was loaded from.
    """

    def __init__(self, checkpoint: str) -> None:
        self._id = checkpoint_id(checkpoint)

    def values(self, segmenter: ImageSegmenter) -> dict[str, str]:
        """The facts as they are now, for a diagnostic status."""
        return {
            'model': segmenter.description,
            'model_id': self._id,
            'device': segmenter.device,
            'precision': segmenter.precision,
            **_gpu_memory(segmenter.device),
        }


def _gpu_memory(device: str) -> dict[str, str]:
    """What torch holds of a GPU's memory, and the most it held [MiB]; nothing without a GPU."""
    torch = sys.modules.get('torch')
    if torch is None or not device.startswith('cuda'):
        return {}
    held = {
        'gpu_memory_mib': torch.cuda.memory_reserved(device),
        'gpu_memory_mib_max': torch.cuda.max_memory_reserved(device),
    }
    return {name: f'{size / 2**20:.0f}' for name, size in held.items()}
