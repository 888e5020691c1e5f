"""Commands in processes of their own that start quickly: forked from one that imported all."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path

CONTEXT = multiprocessing.get_context('forkserver')
CONTEXT.set_forkserver_preload(['training.run.assembly', 'training.run.command', 'training.cli'])


def start(argv: list[str], log: Path, **environment: str) -> ForkServerProcess:
    """Start `hrda ARGV...`; what it prints goes to a file."""
    cache = {'XDG_CACHE_HOME': os.environ['XDG_CACHE_HOME']}
    process = CONTEXT.Process(target=_run, args=(argv, log, cache | environment))
    process.start()
    return process


def start_together(argv: list[str], log: Path, count: int) -> list[ForkServerProcess]:
    """Start a command in several processes, as torchrun does; logs are LOG.0, LOG.1, ..."""
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    common = {
        'TORCHELASTIC_RUN_ID': 'test',
        'MASTER_ADDR': 'localhost',
        'MASTER_PORT': str(port),
        'WORLD_SIZE': str(count),
        'LOCAL_WORLD_SIZE': str(count),
        'GROUP_RANK': '0',
    }
    return [
        start(argv, log.with_suffix(f'.{rank}'), RANK=str(rank), LOCAL_RANK=str(rank), **common)
        for rank in range(count)
    ]


def finish(*processes: ForkServerProcess, timeout_s: float = 120) -> list[int | None]:
    """Wait for processes; their exit codes, None for one that is still running."""
    for process in processes:
        process.join(timeout_s)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


def _run(argv: list[str], log: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    with log.open('wb') as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    from training.cli import main

    sys.exit(main(argv))
