"""Programs of hrda_ros as processes of their own, under the Python that finds ROS."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.2
PR_SET_PDEATHSIG = 1


class LiveError(RuntimeError):
    """A process of the live part failed; the message holds the end of its output."""


class Process:
    """A program of hrda_ros, started from the source tree, its output in a log file.

    Args:
        python: interpreter that finds rclpy.
        script: name of a file in scripts/.
        arguments: of the program.
        log: gets its output.
        environment: see `ros_environment`, which is the default.
    """

    def __init__(
        self,
        python: Path,
        script: str,
        arguments: tuple[str, ...],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._name, self._log = script, log
        with log.open('wb') as file:
            self._process = subprocess.Popen(
                [str(python), '-u', str(ROOT / 'scripts' / script), *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment or ros_environment(),
                preexec_fn=_die_with_parent,
            )

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def wait_for(self, text: str, also_alive: Process | None = None) -> None:
        """Wait until the output has a text; LiveError when the process ends before."""
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while text not in self._log.read_text(errors='replace'):
            self._check(self._process.poll() is None, f'ended before it said {text!r}')
            self._check(time.monotonic() < deadline_s, f'never said {text!r}')
            if also_alive is not None:
                also_alive.check_alive()
            time.sleep(POLL_S)

    def wait_for_end(self, also_alive: Process) -> None:
        """Wait until the process ends with code 0 while another one must go on."""
        while self._process.poll() is None:
            also_alive.check_alive()
            time.sleep(POLL_S)
        self._check(self._process.returncode == 0, f'ended with {self._process.returncode}')

    def check_alive(self) -> None:
        """LiveError when the process has ended."""
        self._check(self._process.poll() is None, f'ended with {self._process.returncode}')

    def stop(self) -> None:
        """Interrupt the process, as Ctrl-C does; it must end with code 0."""
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            code = None
        self._check(code == 0, f'ended with {code} when interrupted')

    def kill(self) -> None:
        """End the process whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _check(self, fine: bool, what: str) -> None:
        if not fine:
            last = ' | '.join(self._log.read_text(errors='replace').splitlines()[-5:])
            raise LiveError(f'{self._name} {what}; {self._log}: {last}')


def _die_with_parent() -> None:
    # A demo that is killed must not leave a node that answers the next demo's camera.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
"""Older and newer name of the variable that names Fast DDS's profile."""


def ros_environment() -> dict[str, str]:
    """Environment of the processes: this host alone, and room for whole images in memory."""
    # Writers of images need the larger segment; 41 keeps away from a robot's domain 0.
    profile = str(ROOT / 'config' / 'fastdds.xml')
    defaults = {
        'ROS_DOMAIN_ID': '41',
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        **dict.fromkeys(PROFILE_VARIABLES, profile),
    }
    paths = [str(ROOT), os.environ.get('PYTHONPATH', '')]
    return {**defaults, **os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, paths))}


@contextmanager
def ros_process(
    python: Path,
    script: str,
    arguments: tuple[str, ...],
    log: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """A `Process` that ends with the block at the latest."""
    process = Process(python, script, arguments, log, environment)
    try:
        yield process
    finally:
        process.kill()
