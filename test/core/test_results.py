"""What is known of an image once it is segmented."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hrda_core.results import certain_labels


@given(
    confidence=arrays(np.uint8, (3, 5)),
    least=st.one_of(st.floats(0, 1), st.integers(0, 255).map(lambda c: c / 255)),
)
def test_labels_below_the_least_confidence_are_255(
    confidence: npt.NDArray[np.uint8], least: float
) -> None:
    labels = np.arange(15, dtype=np.uint8).reshape(3, 5)
    found = certain_labels(labels, confidence, least)
    expected = np.where(confidence < round(least * 255, 6), 255, labels)
    assert np.array_equal(found, expected)
    assert np.array_equal(labels, np.arange(15).reshape(3, 5))
