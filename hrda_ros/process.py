"""How every program of this package starts and ends: signals, memory, one-sentence errors."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
MMAP_THRESHOLD_BYTES = 32 << 20
TRIM_THRESHOLD_BYTES = 256 << 20

ROS_PACKAGES = (
    'rclpy',
    'rcl_interfaces',
    'sensor_msgs',
    'std_msgs',
    'std_srvs',
    'diagnostic_msgs',
)


class StartError(Exception):
    """A start that cannot go on; its text is the one sentence that the user needs."""


def run(module: str) -> NoReturn:
    """Import a module, call its `main() -> int` and end the process with that exit code.

    SIGINT and SIGTERM at any moment, also during imports, end it with 0; a StartError or a
    missing module with 1 and one sentence.
    """
    try:
        # Both, because a shell starts background jobs with SIGINT ignored.
        signal.signal(signal.SIGINT, _interrupt)
        signal.signal(signal.SIGTERM, _interrupt)
        pin_malloc()
        code = _call_main(module)
    except KeyboardInterrupt:
        code = 0
    _end(code)


def own_arguments() -> list[str]:
    """Arguments of the command line that are not for ROS.

    Raises:
        StartError: those for ROS are not well formed, or name a file that cannot be read.
    """
    # Not at the top: a missing rclpy must get to its one sentence.
    from rclpy.utilities import remove_ros_args

    try:
        return list(remove_ros_args(sys.argv)[1:])
    except RuntimeError as error:
        raise StartError(f'ROS arguments: {error}'.partition(', at /')[0]) from error


def _call_main(module: str) -> int:
    try:
        return int(importlib.import_module(module).main())
    except StartError as error:
        reason = str(error)
    except ModuleNotFoundError as error:
        reason = explain_missing(error)
    print(f'{module.rpartition(".")[2]}: {reason}', file=sys.stderr, flush=True)
    return 1


def explain_missing(error: ImportError) -> str:
    """Say in one sentence which module this interpreter lacks and where it comes from."""
    name = (error.name or str(error)).partition('.')[0]
    if name in (
        'rclpy',
        'sensor_msgs',
        'std_msgs',
        'diagnostic_msgs',
        'rcl_interfaces',
        'std_srvs',
    ):
        remedy = 'source the setup file of a ROS 2 installation first'
    else:
        remedy = (
            'install hrda_ros with pip into a virtual environment and activate it, or launch '
            'with python:=/path/to/venv/bin/python3'
        )
    return f'{name} cannot be imported by {sys.executable} ({error}); {remedy}'


def pin_malloc() -> bool:
    """Keep freed image buffers in the process instead of faulting them in again every frame.

    Sets glibc's mmap threshold to 32 MiB and its trim threshold to 256 MiB; one alone has no
    effect. Leaves everything as it is when the user's environment tunes malloc, and off glibc.

    Returns:
        Whether both thresholds were set.
    """
    tuned = 'MALLOC_MMAP_THRESHOLD_', 'MALLOC_TRIM_THRESHOLD_'
    if any(name in os.environ for name in tuned) or 'malloc' in os.environ.get(
        'GLIBC_TUNABLES', ''
    ):
        return False
    try:
        mallopt = ctypes.CDLL('libc.so.6').mallopt
    except (OSError, AttributeError):
        return False
    return bool(
        mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)
        and mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES)
    )


def quiet_signals() -> None:
    """Ignore further SIGINT and SIGTERM: Ctrl-C under `ros2 launch` arrives twice."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _end(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything of ROS is already shut down here. An inference cannot be interrupted, and torch
    # takes seconds to be torn down; `ros2 launch` waits for 5 s and then complains.
    os._exit(code)
