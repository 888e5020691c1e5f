"""Starting and ending of programs, without ROS."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hrda_ros.process import explain_missing, pin_malloc

ROOT = Path(__file__).resolve().parents[2]


def run_program(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Write a module with this main and run it as a program of the package."""
    lines = ''.join(f'    {line}\n' for line in body.splitlines())
    imports = 'import os, signal, threading, time\nfrom hrda_ros.process import StartError\n'
    (folder / 'program.py').write_text(f'{imports}def main():\n{lines}')
    start = "from hrda_ros import process; process.run('program')"
    return subprocess.run(
        [sys.executable, '-c', start],
        env={'PYTHONPATH': f'{ROOT}:{folder}'},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ('body', 'code', 'error'),
    [
        ('return 0', 0, ''),
        ('return 3', 3, ''),
        ("raise StartError('no such file')", 1, 'program: no such file\n'),
        ('os.kill(os.getpid(), signal.SIGINT); time.sleep(9)', 0, ''),
        ('os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)', 0, ''),
        ('threading.Thread(target=time.sleep, args=(60,)).start()\nreturn 0', 0, ''),
    ],
)
def test_exit_code_and_output(tmp_path: Path, body: str, code: int, error: str) -> None:
    result = run_program(tmp_path, body)
    assert (result.returncode, result.stderr) == (code, error)


def test_a_defect_keeps_its_traceback(tmp_path: Path) -> None:
    result = run_program(tmp_path, "raise KeyError('defect')")
    assert result.returncode == 1
    assert 'Traceback' in result.stderr


@pytest.mark.parametrize(
    ('module', 'remedy'),
    [('rclpy', 'source the setup file'), ('torch', 'virtual environment'), ('timm', 'python:=')],
)
def test_a_missing_module_names_its_remedy(module: str, remedy: str) -> None:
    text = explain_missing(ModuleNotFoundError(f'No module named {module!r}', name=module))
    assert text.startswith(f'{module} cannot be imported by {sys.executable}')
    assert remedy in text


def test_malloc_is_left_to_the_user_who_tunes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('MALLOC_TRIM_THRESHOLD_', '1')
    assert not pin_malloc()
