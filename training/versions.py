"""What a run ran on: packages, machine, device and the state of the source code."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    'hrda_ros',
    'torch',
    'torchvision',
    'timm',
    'numpy',
    'lightning-fabric',
    'safetensors',
    'opencv-python-headless',
    'jsonargparse',
)


def versions() -> dict[str, Any]:
    """Plain values for versions.json; `git` is null outside a git checkout."""
    import torch  # late, so that `hrda train --help` needs no torch

    cuda = torch.cuda.is_available()
    return {
        'python': platform.python_version(),
        'platform': platform.platform(),
        'command': sys.argv,
        'packages': {name: package_version(name) for name in _PACKAGES},
        'cuda': torch.version.cuda,
        'gpu': torch.cuda.get_device_name() if cuda else None,
        'threads': torch.get_num_threads(),
        'git': git_state(Path(__file__).parent),
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the checkout that holds a folder, and the files that differ from it."""
    commit = _git(folder, 'rev-parse', 'HEAD')
    if commit is None:
        return None
    changed = _git(folder, 'status', '--porcelain') or ''
    return {'commit': commit, 'changed': changed.splitlines()}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ['git', '-C', str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.rstrip()


def package_version(package: str) -> str | None:
    """The version that is installed; None if there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
