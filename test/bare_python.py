"""A Python process in which packages are missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {hidden}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Hide())
from training.cli import main
sys.exit(main({argv}))
"""


def run_without(hidden: list[str], argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `hrda argv` in a Python that lacks packages."""
    return subprocess.run(
        [sys.executable, '-c', HIDE.format(hidden=hidden, argv=argv)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
