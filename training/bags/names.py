"""What recordings are called in a folder of what was made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from training.bags.reading import Bag


def drive_names(bags: Sequence[Bag]) -> list[str]:
    """A name for each bag: its own, with folders above it in front as far as names are equal."""
    paths = [(*bag.path.resolve().parent.parts[1:], bag.name) for bag in bags]
    names = ['_'.join(path[-1:]) for path in paths]
    for depth in range(2, 1 + max(map(len, paths), default=0)):
        counts = Counter(names)
        names = [
            name if counts[name] == 1 else '_'.join(path[-depth:])
            for name, path in zip(names, paths, strict=True)
        ]
    return names


def drive_folders(root: Path, bag: Bag) -> list[Path]:
    """Folders in an output folder with a name that `drive_names` may have given to a bag."""
    folders = sorted(root.iterdir()) if root.is_dir() else []
    return [f for f in folders if f.name == bag.name or f.name.endswith(f'_{bag.name}')]
