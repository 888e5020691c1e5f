"""Where files are kept that can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """This project's folder in the cache of the user: $XDG_CACHE_HOME/hrda_ros or in ~/.cache."""
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(home) / 'hrda_ros'
