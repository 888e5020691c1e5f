"""`hrda bench node`: what the notes of its processes say."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.benchmark.node_figures import figures_of, memory_growth
from training.benchmark.node_plots import plot_soak
from training.benchmark.node_runs import MemorySample, NodeRun, Noted, read_lines
from training.cli import main

MS = 10**6
FRAMES = 101
PERIOD_MS = 50


def noted(lost: int = 0, every: int = 1) -> Noted:
    """Five seconds at 20 Hz: 3 ms to the node, 12 ms in it, 10 of them inference.

    Args:
        lost: images of the label that the reader did not get.
        every: only so many-th frames go, the others are replaced.
    """
    node, reader = [], []
    for number in range(FRAMES):
        stamp_ns = 10**18 + number * PERIOD_MS * MS
        node.append({'what': 'came', 'stamp_ns': stamp_ns, 'now_ns': stamp_ns + 3 * MS})
        if number % every:
            continue
        went = {'what': 'went', 'stamp_ns': stamp_ns, 'now_ns': stamp_ns + 15 * MS}
        node.append(went | {'spent_ms': 12.0, 'inference_ms': 10.0})
        for topic in ('/label', '/confidence'):
            if topic == '/confidence' or not 50 <= number < 50 + lost:
                read = {'stamp_ns': stamp_ns, 'now_ns': stamp_ns + 20 * MS}
                reader.append({'topic': topic} | read)
    memory = [MemorySample(10**18 + n * 10**8, 100.0 + (n > 25)) for n in range(50)]
    run = NodeRun('a run', ('/label', '/confidence'), 5.0)
    return Noted(run, 1000 / PERIOD_MS, node, reader, memory)


def test_figures_of_a_run_without_loss():
    figures = figures_of(noted())
    assert figures.overhead_ms == figures.overhead_p95_ms == 2.0
    assert (figures.inference_ms, figures.age_ms) == (10.0, 15.0)
    assert (figures.late_ms, figures.late_p95_ms, figures.late_most_ms) == (5.0, 5.0, 5.0)
    assert figures.read_age_ms == 20.0
    assert figures.delivered == {'/label': 1.0, '/confidence': 1.0}
    assert figures.came == pytest.approx(1.0)
    assert figures.out_hz == pytest.approx(20.0)
    assert figures.replaced == 0
    assert (figures.rss_mb, figures.rss_growth) == (101.0, pytest.approx(0.01))


def test_images_that_the_reader_missed_are_counted_by_topic():
    counted = 61  # without the first and the last second
    delivered = figures_of(noted(lost=3)).delivered
    assert delivered == {'/label': pytest.approx(1 - 3 / counted), '/confidence': 1.0}


def test_frames_that_a_newer_one_replaced_are_counted():
    figures = figures_of(noted(every=2))
    assert figures.replaced == pytest.approx(30, abs=11)
    assert figures.out_hz == pytest.approx(10.0)
    assert figures.came == pytest.approx(1.0)


def test_a_run_in_which_nothing_went_is_an_error():
    empty = noted()._replace(node=[])
    with pytest.raises(ValueError, match='a run: 0 frames came to the node and 0 went'):
        figures_of(empty)


def test_memory_growth_leaves_the_warm_up_out():
    assert memory_growth([10.0] + [100.0] * 9) == (100.0, 0.0)


def test_the_plot_is_written(tmp_path: Path):
    plot_soak(noted(every=3), tmp_path / 'node.png')
    assert (tmp_path / 'node.png').read_bytes().startswith(b'\x89PNG')


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path):
    (tmp_path / 'x.jsonl').write_text('{"a": 1}\n{"a": 2}\n{"a"')
    assert read_lines(tmp_path / 'x.jsonl') == [{'a': 1}, {'a': 2}]


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--minutes', '0'], '--minutes 0'),
        (['--hz', '-1'], '--hz -1'),
        (['--size', 'big'], "'big' is no size"),
        (['--checkpoint', 'none.safetensors'], 'none.safetensors is no file'),
        (['--ros-python', '/none/python'], '/none/python'),
    ],
)
def test_impossible_wishes_are_one_sentence(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    small = [] if '--size' in options else ['--size', '64x48']
    assert main(['bench', 'node', *options, *small]) == 1
    assert words in capsys.readouterr().err
