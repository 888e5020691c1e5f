"""Approximate time synchronisation, without ROS."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from hrda_ros.pairing import Pairing

stamps = st.lists(st.integers(0, 1000), max_size=30).map(sorted)


@given(stamps, stamps, st.integers(0, 100), st.randoms())
def test_every_pair_is_the_nearest_whatever_the_order_of_arrival(
    items: list[int], references: list[int], tolerance: int, random: Random
) -> None:
    pairing: Pairing[int, int] = Pairing(tolerance, waiting=100)
    events = [('item', stamp) for stamp in items] + [('reference', s) for s in references]
    random.shuffle(events)
    queues = {'item': list(items), 'reference': list(references)}
    pairs = []
    for kind, _ in events:
        stamp = queues[kind].pop(0)
        add = pairing.add_item if kind == 'item' else pairing.add_reference
        pairs += add(stamp, stamp)
    newest = max(references, default=-1)
    expected = [
        item
        for item in items
        if item <= newest and min(abs(item - r) for r in references) <= tolerance
    ]
    assert sorted(item for item, _ in pairs) == expected
    assert all(abs(i - r) == min(abs(i - other) for other in references) for i, r in pairs)


def test_an_item_waits_for_a_late_reference() -> None:
    pairing: Pairing[str, str] = Pairing(10)
    assert pairing.add_reference(80, 'old') == []
    assert pairing.add_item(100, 'cloud') == []
    assert pairing.add_reference(103, 'new') == [('cloud', 'new')]


def test_what_has_no_reference_in_time_is_counted() -> None:
    pairing: Pairing[str, str] = Pairing(10)
    pairing.add_item(100, 'cloud')
    assert pairing.add_reference(200, 'late') == []
    assert pairing.unpaired == 1


def test_no_more_items_wait_than_are_allowed() -> None:
    pairing: Pairing[int, str] = Pairing(10, waiting=2)
    for stamp in (1, 2, 3):
        pairing.add_item(stamp, stamp)
    assert pairing.unpaired == 1
    assert [item for item, _ in pairing.add_reference(3, 'r')] == [2, 3]


def test_a_recording_that_starts_again_is_paired_anew() -> None:
    pairing: Pairing[str, str] = Pairing(10)
    pairing.add_reference(1000, 'end')
    pairing.add_item(1001, 'end')
    assert pairing.add_reference(5, 'start') == []
    assert pairing.add_item(4, 'cloud') == [('cloud', 'start')]
