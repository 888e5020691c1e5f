"""What the notes of a run say: overhead, ages, drops, delivery and memory of the node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.benchmark.node_runs import Noted

EDGE_NS = 10**9
"""Frames of the first and the last second are not counted: processes are still meeting."""
ENDS = 0.2
"""Share of the run at its begin and end whose memory is compared."""
WARM = 0.1
"""Share of the run at its begin that is left out of that."""

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NodeFigures:
    """Figures of a run.

    Attributes:
        name: of the run.
        camera_hz: rate of the camera [Hz].
        came: share of the camera's frames that came to the node, 0..1.
        out_hz: rate of the frames that went [Hz].
        replaced: frames that came and that a newer one replaced.
        overhead_ms: from the callback to the end of publishing, less the inference: median.
        overhead_p95_ms: the same, 95th percentile.
        inference_ms: median.
        age_ms: from the stamp to the end of publishing: median.
        late_ms: the same, less the inference: median.
        late_p95_ms: the same, less the inference: 95th percentile.
        late_most_ms: the same, less the inference: largest.
        read_age_ms: from the stamp to the reader: median.
        delivered: topic -> share of the published images that were read, 0..1.
        rss_mb: resident memory at the end [MB].
        rss_growth: from the begin, after a warm-up, to the end, as a share.
    """

    name: str
    camera_hz: float
    came: float
    out_hz: float
    replaced: int
    overhead_ms: float
    overhead_p95_ms: float
    inference_ms: float
    age_ms: float
    late_ms: float
    late_p95_ms: float
    late_most_ms: float
    read_age_ms: float
    delivered: dict[str, float]
    rss_mb: float
    rss_growth: float


def figures_of(noted: Noted) -> NodeFigures:
    """Compute the figures of a run.

    Raises:
        ValueError: nothing went through the node.
    """
    came, went = (frames(noted, what) for what in ('came', 'went'))
    if len(went) < 2:
        raise ValueError(
            f'{noted.run.name}: {len(came)} frames came to the node and {len(went)} went; see the '
            'logs beside the figures, or give it more --seconds'
        )
    inference = np.array([line['inference_ms'] for line in went])
    overhead = np.array([line['spent_ms'] for line in went]) - inference
    ages = ages_ms(went)
    span_s = (came[-1]['stamp_ns'] - came[0]['stamp_ns']) / 1e9
    stamps = {line['stamp_ns'] for line in went}
    read = [line for line in noted.reader if line['stamp_ns'] in stamps]
    delivered = {
        topic: len({line['stamp_ns'] for line in read if line['topic'] == topic}) / len(stamps)
        for topic in noted.run.topics
    }
    rss_mb, growth = memory_growth([sample.rss_mb for sample in noted.memory])
    return NodeFigures(
        noted.run.name,
        noted.hz,
        min((len(came) - 1) / (span_s * noted.hz), 1.0),
        (len(went) - 1) / ((went[-1]['stamp_ns'] - went[0]['stamp_ns']) / 1e9),
        len(came) - len(went),
        *_percentiles(overhead, 50, 95),
        float(np.median(inference)),
        float(np.median(ages)),
        *_percentiles(ages - inference, 50, 95, 100),
        float(np.median(ages_ms(read))) if read else float('nan'),
        delivered,
        rss_mb,
        growth,
    )


def frames(noted: Noted, what: str) -> list[dict[str, int]]:
    """Lines of frames that came or went, in the order of their stamps, without the edges."""
    lines = sorted(
        (line for line in noted.node if line['what'] == what), key=lambda line: line['stamp_ns']
    )
    if not lines:
        return []
    first, last = lines[0]['stamp_ns'] + EDGE_NS, lines[-1]['stamp_ns'] - EDGE_NS
    return [line for line in lines if first <= line['stamp_ns'] <= last]


def ages_ms(lines: Sequence[dict[str, int]]) -> Times:
    """From the stamp to the line [ms]."""
    return np.array([(line['now_ns'] - line['stamp_ns']) / 1e6 for line in lines])


def memory_growth(rss_mb: Sequence[float]) -> tuple[float, float]:
    """Median of the last samples [MB], and its growth over the first ones as a share."""
    warm = rss_mb[round(WARM * len(rss_mb)) :]
    count = max(round(ENDS * len(warm)), 1)
    begin, end = float(np.median(warm[:count])), float(np.median(warm[-count:]))
    return end, end / begin - 1


def _percentiles(values: Times, *which: float) -> list[float]:
    return [float(value) for value in np.percentile(values, which)]
