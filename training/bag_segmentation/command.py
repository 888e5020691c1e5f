"""Label every image of recordings (.mcap, .db3, folders), and write recordings, without ROS.

    hrda segment-bag DRIVE -o labelled.mcap --checkpoint model.safetensors
    hrda segment-bag DRIVES/* -o labelled --checkpoint X --topic /left/image_raw --copy none
    hrda segment-bag DRIVES/* -o labelled --checkpoint X --shard 3/16

Images on TOPIC get TOPIC/label, TOPIC/confidence and TOPIC/label_info beside them, at the same
record times and with the same headers. The same command again goes on where the last one ended,
and skips what is finished.

Exit codes: 0 done, 1 an error that is told, 2 nothing labelled, 3 something could not be read,
130 stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from hrda_core.segmenter import Segmenter
from training.bag_segmentation.film import make_film
from training.bag_segmentation.jobs import count_results, losses, plan_job
from training.bag_segmentation.names import result_names
from training.bag_segmentation.outputs import Output, plan_outputs
from training.bag_segmentation.segmentation import Job, Tally, segment_bag
from training.bag_segmentation.settings import (
    COPIES,
    Making,
    check_repeatable,
    describe,
    parse_part,
)
from training.bags.endings import DAMAGED, NOTHING, STOPPED, no_images, stopped
from training.bags.image_topics import ImageTopic, choose_topics, list_image_topics
from training.bags.mcap_writer import is_finished
from training.bags.reading import Bag, find_bags
from training.deployment.arguments import add_inference_arguments, inference_settings
from training.extraction.rate import parse_interval
from training.progress import Display, displayed
from training.run.stop_signals import StopSignals
from training.scratch import clear_abandoned_scratch
from training.video import check_video_name
from training.whole_files import check_writable, named_path

_MOST_SENTENCES = 10


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        'bags', nargs='+', metavar='BAG', help='recordings: folders, files, patterns with *'
    )
    parser.add_argument(
        '-o',
        '--output',
        required=True,
        metavar='OUT',
        help='X.mcap, or a folder that gets a rosbag2 folder for each recording',
    )
    parser.add_argument('--checkpoint', required=True, help='the .safetensors file to use')
    parser.add_argument(
        '--topic', action='append', metavar='NAME', help='image topic; can be given several times'
    )
    parser.add_argument(
        '--every', metavar='TIME', help='label one frame per 0.5s, 500ms or at 2Hz; default: all'
    )
    parser.add_argument(
        '--copy',
        choices=COPIES,
        default='all',
        help='recorded messages beside the results: all, only the images labelled, or none',
    )
    parser.add_argument(
        '--overlay', action='store_true', help='also write TOPIC/overlay/compressed'
    )
    parser.add_argument(
        '--alpha', type=float, default=0.5, help='weight of the colours in overlays, 0..1'
    )
    parser.add_argument(
        '--min-confidence',
        type=float,
        default=0.0,
        metavar='P',
        help='pixels of lower confidence become 255, unlabelled, 0..1',
    )
    parser.add_argument(
        '--compression', choices=['zstd', 'none'], default='zstd', help='of the chunks of files'
    )
    parser.add_argument(
        '--video', metavar='FILE', help='also make this video (.mp4, ...) of one camera'
    )
    parser.add_argument(
        '--shard',
        metavar='I/N',
        help='do the I-th of N parts: of the recordings in turn, or of a single one by time',
    )
    add_inference_arguments(parser)


def run(args: Any) -> int:
    """Label, and tell what was done.

    Raises:
        ValueError: wrong usage: no recording, no such topic, an output made otherwise.
    """
    making = Making(
        0 if args.every is None else parse_interval(args.every),
        args.copy,
        args.overlay,
        args.alpha,
        args.min_confidence,
        args.compression,
    )
    check_repeatable(args)
    settings, part = inference_settings(args), parse_part(args.shard)
    clear_abandoned_scratch()
    bags, root = find_bags([Path(path) for path in args.bags]), named_path(args.output, '--output')
    outputs = plan_outputs(bags, result_names(root, bags), root, part)
    film = Path(args.video) if args.video else None
    tally = Tally()
    with displayed() as display, StopSignals() as stop:
        listed = list_image_topics(bags)
        cameras = choose_topics(listed, args.topic or [], display.say) if listed else []
        _check_film(film, bags, cameras, part.count)
        if not cameras:
            return _report_no_images(bags)
        for output in outputs:
            output.check()
        segmenter = Segmenter.from_checkpoint(args.checkpoint, settings)
        display.say(f'{args.checkpoint} on {segmenter.description}')
        notes = describe(Path(args.checkpoint), settings, making, segmenter.classes)
        jobs = [plan_job(output, listed, cameras, making, notes, display) for output in outputs]
        tally.damage += [
            text
            for job, output in zip(jobs, outputs, strict=True)
            if job is None
            for text in output.bag.damage
        ]
        todo = [(job, output) for job, output in zip(jobs, outputs, strict=True) if job]
        # What stands in the way is better known before the first than before the last.
        done = [_is_done(job, film) for job, _ in todo]
        for (job, output), is_done in zip(todo, done, strict=True):
            if not tally.stopped:
                _make(job, output, is_done, segmenter, film, tally, display, stop)
    return _report(tally, part.count > 1)


def _report_no_images(bags: Sequence[Bag]) -> int:
    print(no_images(bags))
    for text in (damage := [text for bag in bags for text in bag.damage]):
        print(f'  {text}')
    return DAMAGED if damage else NOTHING


def _report(tally: Tally, is_part: bool) -> int:
    """Print what was done; the exit code. A part may have nothing to do."""
    print(
        f'{tally.labelled} images labelled, {tally.known} were there already, '
        f'{tally.left_out} left out by --every, {tally.refused} could not be labelled'
    )
    for text in tally.damage[:_MOST_SENTENCES]:
        print(f'  {text}')
    if len(tally.damage) > _MOST_SENTENCES:
        print(f'  and {len(tally.damage) - _MOST_SENTENCES} more')
    if tally.stopped:
        print(stopped(tally.stopped))
        return STOPPED
    if tally.damage:
        return DAMAGED
    return 0 if tally.frames or is_part else NOTHING


def _check_film(
    film: Path | None, bags: Sequence[Bag], cameras: Sequence[ImageTopic], parts: int
) -> None:
    if film is None:
        return
    check_video_name(film)
    check_writable(film)
    if len(bags) > 1 or len(cameras) > 1 or parts > 1:
        raise ValueError(
            '--video makes one video of one camera in one whole recording; leave it out, or run '
            'the command once for each'
        )


def _is_done(job: Job, film: Path | None) -> bool:
    is_done = is_finished(job.output, job.topics.channels, job.notes)
    if film is not None and film.exists() and not is_done:
        raise ValueError(f'{film} exists already; delete it or choose another --video')
    return is_done


def _make(
    job: Job,
    output: Output,
    is_done: bool,
    segmenter: Segmenter,
    film: Path | None,
    tally: Tally,
    display: Display,
    stop: StopSignals,
) -> None:
    before = replace(tally)
    bag = job.reading.bag
    if is_done:
        display.say(f'{job.output} is there already')
        count_results(job, tally)
    elif not segment_bag(job, segmenter, tally, display, stop):
        return
    output.complete()
    tally.damage += losses(job)
    done = tally.labelled - before.labelled
    if done:
        rate = done / max(tally.seconds - before.seconds, 1e-9)
        display.say(f'{bag.path}: {done} images labelled at {rate:.3g} images/s: {job.output}')
    if film is not None and not film.exists():
        count = make_film(job, segmenter.classes.palette, film, display)
        display.say(f'wrote {film}: {count} frames')
