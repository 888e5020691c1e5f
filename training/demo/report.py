"""The demo's report: scores, pictures and live figures as HTML, PNG and text."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hrda_core.classes import Uint8Array
from hrda_core.overlay import blend
from hrda_core.segmenter import Segmenter
from training.data.settings import ValidationSettings
from training.data.validation_frames import ValidationFrames
from training.demo.wire import TopicFigures, last_image, topic_figures
from training.evaluation.command import evaluate_folder
from training.evaluation.scores import Scores
from training.progress import Display
from training.whole_files import write_text

SCORED_FRAMES = 12
SHOWN_FRAMES = 3
ALPHA = 0.65
PANEL_IN, BARS_IN, DPI = 4.0, 2.6, 100
"""Width of a picture and height of the bars [inches], and pixels per inch."""
COLUMNS = (
    'camera image',
    'true labels',
    'source-only',
    'context alone',
    'detail alone',
    'scale attention',
    'adapted (fused)',
    'confidence',
)

Panels = list[Uint8Array]


@dataclass(frozen=True)
class ReportInputs:
    """What the report is made from.

    Attributes:
        models: title to checkpoint, source-only first, adapted second.
        images: folder of the evaluation drive's frames.
        labels: folder of their true labels.
        recording: bag of what came back over the wire.
        camera_hz: rate at which the camera was played [Hz].
        start_steps: training steps that both models have in common.
    """

    models: dict[str, Path]
    images: Path
    labels: Path
    recording: Path
    camera_hz: float
    start_steps: int


@dataclass(frozen=True)
class Findings:
    """Everything that the report says.

    Attributes:
        scores: title to scores.
        steps: title to training steps.
        rows: one list of pictures per shown frame, in the order of COLUMNS.
        topics: figures of the recorded topics.
        wire: the last overlay that came over the wire.
        camera_hz: rate of the camera [Hz].
        start_steps: training steps that both models have in common.
    """

    scores: dict[str, Scores]
    steps: dict[str, int]
    rows: list[Panels]
    topics: list[TopicFigures]
    wire: Uint8Array
    camera_hz: float
    start_steps: int


def write_report(output: Path, inputs: ReportInputs, display: Display) -> None:
    """Write report.html, report.png and report.txt into a folder, each whole or not at all."""
    found = _find(inputs, display)
    picture = _png(found)
    temporary = output / '.report.png.tmp'
    temporary.write_bytes(picture)
    temporary.replace(output / 'report.png')
    write_text(output / 'report.html', _page(found, picture))
    write_text(output / 'report.txt', _text(found))


def _find(inputs: ReportInputs, display: Display) -> Findings:
    segmenters = {title: Segmenter.from_checkpoint(p) for title, p in inputs.models.items()}
    frames = ValidationSettings(
        '.', images=str(inputs.images), labels=str(inputs.labels), limit=SCORED_FRAMES
    )
    scores = {}
    for title, segmenter in segmenters.items():
        display.say(f'scoring {title} on {segmenter.description}')
        scores[title] = evaluate_folder(segmenter, frames, display)
    source_only, adapted = segmenters.values()
    shown = ValidationFrames(frames, adapted.classes)
    positions = [(2 * i + 1) * len(shown) // (2 * SHOWN_FRAMES) for i in range(SHOWN_FRAMES)]
    rows = [
        _panels(source_only, adapted, shown[i].image, shown[i].label)
        for i in display.track(positions, 'pictures', SHOWN_FRAMES)
    ]
    return Findings(
        scores=scores,
        steps={title: segmenter.model.step for title, segmenter in segmenters.items()},
        rows=rows,
        topics=topic_figures(inputs.recording),
        wire=last_image(inputs.recording, '/segmentation/overlay'),
        camera_hz=inputs.camera_hz,
        start_steps=inputs.start_steps,
    )


def _panels(
    source_only: Segmenter, adapted: Segmenter, image: Uint8Array, labels: Uint8Array
) -> Panels:
    def paint(train_ids: Uint8Array) -> Uint8Array:
        return blend(image, train_ids, adapted.classes.palette, ALPHA)

    explained = adapted.explain(image)
    return [
        image,
        paint(labels),
        paint(source_only.segment(image).labels),
        paint(explained.context),
        paint(explained.detail),
        _heat(explained.attention, 'magma'),
        paint(explained.segmentation.labels),
        _heat(explained.segmentation.confidence, 'viridis'),
    ]


def _heat(values: Uint8Array, colormap: str) -> Uint8Array:
    colored: Uint8Array = matplotlib.colormaps[colormap](values, bytes=True)[..., :3]
    return colored


def _png(found: Findings) -> bytes:
    """The figure: bars per class on top, then one column of pictures per shown frame."""
    count = len(COLUMNS)
    panel = found.rows[0][0]
    heights = (BARS_IN, count * PANEL_IN * panel.shape[0] / panel.shape[1])
    figure = plt.figure(figsize=(SHOWN_FRAMES * PANEL_IN, sum(heights)), dpi=DPI)
    grid = figure.add_gridspec(2, 1, height_ratios=heights, hspace=0.04)
    _bars(figure, grid[0], found)
    pictures = grid[1].subgridspec(count, SHOWN_FRAMES, hspace=0.02, wspace=0.01)
    for column, panels in enumerate(found.rows):
        for row, (title, panel) in enumerate(zip(COLUMNS, panels, strict=True)):
            axes = figure.add_subplot(pictures[row, column])
            axes.imshow(panel, aspect='auto')
            axes.set_xticks([])
            axes.set_yticks([])
            if column == 0:
                axes.set_ylabel(title, fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, bbox_inches='tight')
    plt.close(figure)
    return buffer.getvalue()


def _bars(figure: Figure, place: object, found: Findings) -> None:
    axes = figure.add_subplot(place)  # type: ignore[call-overload]
    names = next(iter(found.scores.values())).names
    width = 0.8 / len(found.scores)
    for number, (title, scores) in enumerate(found.scores.items()):
        positions = [i + number * width for i in range(len(names))]
        heights = [0.0 if iou != iou else iou * 100 for iou in scores.iou]
        label = f'{title}: mIoU {scores.miou * 100:.1f}'
        axes.bar(positions, heights, width, label=label, color=('#9aa5b1', '#2f6fdf')[number])
    axes.set_xticks([i + width / 2 for i in range(len(names))], names, fontsize=9)
    axes.set_ylabel('IoU [%]')
    axes.set_ylim(0, 100)
    axes.legend(loc='lower left', bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    axes.spines[['top', 'right']].set_visible(False)


def _score_rows(found: Findings) -> list[list[str]]:
    all_scores = list(found.scores.values())
    rows = [
        [name, *(_percent(s.iou[i]) for s in all_scores), f'{all_scores[0].pixels[i]:,}']
        for i, name in enumerate(all_scores[0].names)
    ]
    means = [_percent(s.miou) for s in all_scores]
    return [*rows, ['mean (mIoU)', *means, f'{sum(all_scores[0].pixels):,}']]


def _topic_rows(found: Findings) -> list[list[str]]:
    return [
        [
            t.topic,
            str(t.messages),
            f'{t.rate_hz:.2f}',
            f'{t.latency_ms:.0f}',
            f'{t.latency_p95_ms:.0f}',
        ]
        for t in found.topics
    ]


def _score_columns(found: Findings) -> list[str]:
    trained = [f'{title} IoU %' for title in found.scores]
    return ['class', *trained, 'labelled px']


TOPIC_COLUMNS = ['topic', 'received', 'rate [Hz]', 'latency [ms]', 'p95 [ms]']


def _sentences(found: Findings) -> list[str]:
    (_, before), (_, after) = found.scores.items()
    steps = ', '.join(f'{title} {count}' for title, count in found.steps.items())
    return [
        f'{after.images} frames of a drive on another street, used for nothing but these scores.',
        f'mIoU {before.miou * 100:.1f} source-only, {after.miou * 100:.1f} adapted '
        f'({(after.miou - before.miou) * 100:+.1f}).',
        f'Both start from the same {found.start_steps} steps on the simulator; steps after that: '
        f'{steps}.',
        f'The camera played at {found.camera_hz:g} Hz; the node takes the newest frame and drops '
        'those it has no time for. Latency: from the camera stamp to the receipt.',
    ]


def _text(found: Findings) -> str:
    console = Console(file=io.StringIO(), width=100)
    for columns, rows in (
        (_score_columns(found), _score_rows(found)),
        (TOPIC_COLUMNS, _topic_rows(found)),
    ):
        table = Table(columns[0])
        for column in columns[1:]:
            table.add_column(escape(column), justify='right')
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for sentence in _sentences(found):
        console.print(sentence)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def _page(found: Findings, picture: bytes) -> str:
    wire = io.BytesIO()
    plt.imsave(wire, found.wire)
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>hrda_ros demo</title>',
        '<style>body{font:16px/1.5 sans-serif;max-width:1200px;margin:2em auto;padding:0 1em}'
        'table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;text-align:right;'
        'border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}'
        'img{max-width:100%}</style><h1>From simulator and bag to a live topic</h1>',
        *(f'<p>{html.escape(sentence)}</p>' for sentence in _sentences(found)),
        _table(_score_columns(found), _score_rows(found)),
        f'<img alt="scores and pictures" src="{_embedded(picture)}">',
        '<h2>Over the wire</h2>',
        _table(TOPIC_COLUMNS, _topic_rows(found)),
        f'<img alt="last overlay received" src="{_embedded(wire.getvalue())}">',
    ]
    return '\n'.join(parts) + '</html>\n'


def _table(columns: list[str], rows: list[list[str]]) -> str:
    head = ''.join(f'<th>{html.escape(column)}</th>' for column in columns)
    body = ''.join(
        '<tr>' + ''.join(f'<td>{html.escape(cell)}</td>' for cell in row) + '</tr>' for row in rows
    )
    return f'<table><tr>{head}</tr>{body}</table>'


def _embedded(png: bytes) -> str:
    return 'data:image/png;base64,' + base64.b64encode(png).decode()


def _percent(value: float) -> str:
    return '-' if value != value else f'{value * 100:.1f}'
