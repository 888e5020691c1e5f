"""The demo's steps are done once, again when their inputs change, and go on when interrupted."""

from __future__ import annotations

import pytest

from training.demo.steps import Steps, fingerprint


@pytest.fixture
def calls() -> list[bool]:
    return []


@pytest.fixture(autouse=True)
def made(tmp_path):
    path = tmp_path / 'made'
    path.mkdir()
    return path


def test_an_output_that_was_deleted_is_made_again(tmp_path, calls, made):
    Steps(tmp_path / 's.json').once('a', 'x', made, calls.append)
    made.rmdir()
    assert Steps(tmp_path / 's.json').once('a', 'x', made, calls.append)


def test_a_finished_step_is_passed_over_in_the_next_run(tmp_path, calls):
    assert Steps(tmp_path / 's.json').once('a', 'x', tmp_path / 'made', calls.append)
    assert not Steps(tmp_path / 's.json').once('a', 'x', tmp_path / 'made', calls.append)
    assert calls == [False]


def test_other_inputs_do_it_again_from_the_start(tmp_path, calls):
    steps = Steps(tmp_path / 's.json')
    steps.once('a', 'x', tmp_path / 'made', calls.append)
    steps.once('a', 'y', tmp_path / 'made', calls.append)
    assert calls == [False, False]


def test_an_interrupted_step_is_told_so(tmp_path, calls):
    def fail(_: bool) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Steps(tmp_path / 's.json').once('a', 'x', tmp_path / 'made', fail)
    Steps(tmp_path / 's.json').once('a', 'x', tmp_path / 'made', calls.append)
    assert calls == [True]


def test_a_damaged_memory_is_no_memory(tmp_path, calls):
    (tmp_path / 's.json').write_text('{"a": {"inp')
    assert Steps(tmp_path / 's.json').once('a', 'x', tmp_path / 'made', calls.append)


def test_fingerprints_follow_values_and_file_contents(tmp_path):
    file = tmp_path / 'f'
    file.write_text('one')
    before = fingerprint(1, file)
    assert before == fingerprint(1, file) and before != fingerprint(2, file)
    file.write_text('two')
    assert before != fingerprint(1, file)
