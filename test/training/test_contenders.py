"""Processes that take turns: what is said of one that could not go on."""

from __future__ import annotations

import multiprocessing

import pytest
import torch

from training.benchmark.contenders import Contender


def test_one_that_was_killed_is_told_from_one_that_failed() -> None:
    contender = Contender('big', list, torch.device('cpu'), 1, 'take smaller images')
    for process in multiprocessing.active_children():
        process.kill()
    with pytest.raises(ValueError, match=r'big was killed, as systems do.*take smaller images'):
        contender.ask(1, int)
