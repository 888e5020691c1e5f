"""The folder of a training run: what it holds, and how it is written whole or not at all."""

from __future__ import annotations

import csv
import errno
import fcntl
import io
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import yaml

from hrda_core.classes import Uint8Array
from training.versions import versions
from training.whole_files import check_writable, write_picture, write_text


class RunFolder:
    """Paths and files of one run.

    Layout:
        config.yaml: the resolved settings.  versions.json: software, hardware and git state.
        checkpoints/last.pt: everything needed to go on.  checkpoints/nonfinite.pt: the state
        before a step whose loss was no number.  model.safetensors: the student.
        best.safetensors: the student when it scored best, on validation frames or, without
        them, by the stand-in on target frames; its metadata say by which value.
        teacher.safetensors: the teacher, where the method has one.
        metrics.csv, tensorboard/: figures by step.  plots/: the same as curves.
        scores/step_N.json: every evaluation.  panels/step_N.png: pictures of what goes on.
        log.txt: what was said.  progress.json: how far the run is.  .lock: see `claim`.

    Args:
        path: the folder; it need not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config = self.path / 'config.yaml'
        self.state = self.path / 'checkpoints' / 'last.pt'
        self.failed_state = self.path / 'checkpoints' / 'nonfinite.pt'
        self.model = self.path / 'model.safetensors'
        self.teacher = self.path / 'teacher.safetensors'
        self.best = self.path / 'best.safetensors'
        self.metrics = self.path / 'metrics.csv'
        self.tensorboard = self.path / 'tensorboard'
        self.scores = self.path / 'scores'
        self.panels = self.path / 'panels'
        self.plots = self.path / 'plots'
        self.log_file = self.path / 'log.txt'
        self.progress = self.path / 'progress.json'
        self.lock = self.path / '.lock'
        self._claim: IO[str] | None = None

    def is_run(self) -> bool:
        """Whether a run was started here."""
        return self.config.is_file()

    def steps_done(self) -> int:
        """Steps in the saved state; 0 where none was saved."""
        if not self.progress.is_file() or not self.state.is_file():
            return 0
        return int(json.loads(self.progress.read_text())['step'])

    def read_config(self) -> dict[str, Any]:
        """The settings that the run was started with.

        Raises:
            ValueError: no run was started here.
        """
        if not self.is_run():
            raise ValueError(f'{self.path} is no run folder: it has no config.yaml')
        return dict(yaml.safe_load(self.config.read_text(encoding='utf-8')))

    def check_free(self, overwrite: bool = False) -> None:
        """Refuse a folder that a new run cannot have.

        Args:
            overwrite: whether a run may be in it, which `remove` will delete.

        Raises:
            ValueError: it holds a run already, or other files, or cannot be written to.
        """
        if self.is_run():
            if overwrite:
                return
            raise ValueError(
                f'{self.path} holds a run already, with {self.steps_done()} steps saved: go on '
                f'with `hrda train --resume {self.path}` (and --loop.iterations=N to lengthen '
                'it), start anew with --overwrite, or choose another --output'
            )
        if self.path.exists() and not self._is_empty():
            raise ValueError(
                f'{self.path} exists, is not empty and is no run folder; choose another --output'
            )
        check_writable(self.path, folder=True)

    def _is_empty(self) -> bool:
        # A run killed at its start leaves these, and nothing of worth.
        return self.path.is_dir() and all(
            p.name.endswith('.part') or p.name == 'versions.json' for p in self.path.iterdir()
        )

    def start(self, config: str) -> None:
        """Make the folder; write the resolved settings and the versions they run on.

        What a killed run was writing is removed.

        Args:
            config: the settings as YAML.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for pattern in ('.*.part', '.*.tmp'):
            for leftover in self.path.rglob(pattern):
                leftover.unlink(missing_ok=True)
        found = versions()
        found['earlier_commands'] = self._earlier_commands()
        write_text(self.path / 'versions.json', json.dumps(found, indent=2))
        write_text(self.config, config)

    def claim(self) -> None:
        """Keep other processes from training in this folder for as long as this one lives.

        Raises:
            ValueError: another process does.
        """
        # Kept open: closing it would give the claim up. Loading processes do not inherit it.
        self._claim = self.lock.open('w')
        try:
            fcntl.lockf(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network disks know no locks.
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise ValueError(
                    f'{self.path}: another process is training in this folder; wait for its end '
                    'or stop it first'
                ) from error

    def _earlier_commands(self) -> list[list[str]]:
        """The commands of the run's earlier parts, oldest first."""
        try:
            last = json.loads((self.path / 'versions.json').read_text(encoding='utf-8'))
            return [*last.get('earlier_commands', []), last['command']]
        except (OSError, ValueError, KeyError):
            return []

    def remove(self) -> None:
        """Delete a run's own files; whatever else lies in the folder stays."""
        if not self.is_run():
            return
        for folder in (self.state.parent, self.tensorboard, self.scores, self.panels, self.plots):
            shutil.rmtree(folder, ignore_errors=True)
        files = (self.model, self.teacher, self.best, self.metrics, self.log_file, self.progress)
        for file in (*files, self.path / 'versions.json', self.lock, self.config):
            file.unlink(missing_ok=True)

    def log(self, text: str) -> None:
        """Add a line with the time to log.txt."""
        with self.log_file.open('a', encoding='utf-8') as file:
            file.write(f'{time.strftime("%Y-%m-%d %H:%M:%S")} {text}\n')

    def write_progress(self, step: int, iterations: int) -> None:
        """Note how far the saved state is."""
        write_text(self.progress, json.dumps({'step': step, 'iterations': iterations}))

    def write_scores(self, step: int, scores: Mapping[str, Any]) -> None:
        """Keep the scores of a step as JSON."""
        self.scores.mkdir(exist_ok=True)
        text = json.dumps({'step': step, **scores}, indent=2)
        write_text(self.scores / f'step_{step:06d}.json', text)

    def write_panels(self, step: int, sheet: Uint8Array) -> None:
        """Keep the pictures of a step, uint8 (H, W, 3) RGB, as PNG."""
        self.panels.mkdir(exist_ok=True)
        write_picture(self.panels / f'step_{step:06d}.png', sheet)


class MetricsTable:
    """A CSV file with a row per logged step; a row with new columns widens the whole table.

    Args:
        path: the file; rows of an earlier part of the run are kept.
        last_step: rows after this step are dropped: they belong to work that a killed run did
            beyond its saved state, and are written again.
    """

    def __init__(self, path: Path, last_step: int) -> None:
        self.path = path
        self.columns: list[str] = ['step']
        rows: list[dict[str, Any]] = []
        if path.is_file():
            rows, self.columns = _read_rows(path, last_step)
        self._rewrite(rows)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; columns that it does not name stay empty."""
        new = [name for name in row if name not in self.columns]
        if new:
            rows, _ = _read_rows(self.path, None)
            self.columns += new
            self._rewrite([*rows, dict(row)])
            return
        with self.path.open('a', newline='') as file:
            csv.DictWriter(file, self.columns, restval='', lineterminator='\n').writerow(row)

    def _rewrite(self, rows: list[dict[str, Any]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, restval='', lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path, text.getvalue())


def _read_rows(path: Path, last_step: int | None) -> tuple[list[dict[str, Any]], list[str]]:
    text = path.read_text()
    # A line without its end was cut off when the run was killed.
    reader = csv.DictReader(io.StringIO(text[: text.rfind('\n') + 1]))
    rows = [dict(row) for row in reader if last_step is None or int(row['step']) <= last_step]
    return rows, list(reader.fieldnames or ['step'])
