"""What fits into the time that is left, and what a moment of standstill does to it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hrda_core.costs import MOST_PATIENCE, PATIENCE, RECENT, CostModel


def test_costs_are_the_longest_of_recent_times():
    costs = CostModel()
    assert costs.expected('tail') is None
    for value in (9.0, *[5.0] * RECENT):
        costs.record('tail', value)
    assert costs.expected('tail') == 5


@settings(max_examples=200)
@given(left=st.floats(-5, 400), most=st.sampled_from([1, 2, 4, 8, 16]))
def test_a_batch_fits_into_the_time_that_is_left(left, most):
    costs = CostModel()
    for size, value in ((1, 10.0), (2, 15.0), (4, 24.0)):
        costs.record(size, value)
    times = {0: 0, 1: 10, 2: 15, 4: 24, 8: 48, 16: 96}
    batch = costs.largest_batch(left, most)
    assert batch <= most and times[batch] <= max(left, 0)
    larger = batch * 2 if batch else 1
    assert larger > most or times[larger] > left


def test_an_unmeasured_window_is_tried_while_time_is_left():
    assert CostModel().largest_batch(1.0, 1) == 1
    assert CostModel().largest_batch(0.0, 1) == 0


def learnt(**milliseconds: float) -> CostModel:
    costs = CostModel()
    for name, value in milliseconds.items():
        costs.record(int(name.removeprefix('of_')), value)
    return costs


def frames(costs: CostModel, left_ms: float, most: int, true_ms: float, count: int) -> list[int]:
    """First batches of so many images, on a machine where a window takes `true_ms`."""
    batches = []
    for _ in range(count):
        batches.append(costs.first_batch(left_ms, most))
        if batches[-1]:
            costs.record(batches[-1], batches[-1] * true_ms)
    return batches


def test_a_standstill_during_the_warm_up_is_overcome():
    costs = learnt(of_1=5000, of_2=5000, of_4=5000, of_8=5000)
    batches = frames(costs, left_ms=90, most=8, true_ms=10, count=PATIENCE + 4)
    assert batches == [0] * (PATIENCE - 1) + [1, 8, 8, 8, 8]


def test_a_deadline_that_leaves_no_time_for_a_window_is_seldom_tried():
    batches = frames(learnt(of_1=50), left_ms=30, most=8, true_ms=50, count=4 * MOST_PATIENCE)
    tried = [number for number, batch in enumerate(batches) if batch]
    assert 0 < len(tried) <= 10 and set(batches) == {0, 1}
    assert tried[-1] - tried[-2] == MOST_PATIENCE


def test_nothing_is_tried_when_the_time_is_over():
    costs = learnt(of_1=50)
    assert {costs.first_batch(0.0, 8) for _ in range(3 * PATIENCE)} == {0}


def test_a_large_batch_that_was_slow_once_comes_back():
    costs = learnt(of_1=10, of_2=20, of_4=900)
    batches = frames(costs, left_ms=50, most=4, true_ms=10, count=PATIENCE + 2)
    assert batches == [2] * (PATIENCE - 1) + [4, 4, 4]


def test_a_small_batch_takes_no_longer_than_a_larger_one():
    assert learnt(of_1=900, of_2=20).largest_batch(30, 2) == 2


def test_later_batches_of_an_image_are_not_tried_in_what_is_left():
    costs = learnt(of_1=50)
    assert {costs.largest_batch(20, 8) for _ in range(3 * PATIENCE)} == {0}
