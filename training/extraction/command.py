"""Take the images of cameras out of ROS recordings (.mcap, .db3, .bag, folders), without ROS.

    hrda extract DRIVE1 DRIVE2.mcap 'season/*' -o images --every 0.5s
    hrda extract DRIVE1 -o images --topic /left/image_raw/compressed --topic /right/image_raw
    hrda extract DRIVE1 -o images --every 0.5s --clean --dry-run

JPEG and PNG messages are copied unchanged where nothing has to change them, others are encoded.
Files are called images/DRIVE/TOPIC/SEC_NSEC.jpg after the stamp in the message; manifest.jsonl
beside them has a line for every frame. The same command again goes on where the last one ended.

Exit codes: 0 done, 1 an error that is told, 2 nothing extracted, 3 something could not be read,
130 stopped.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from training.bags.endings import DAMAGED, NOTHING, STOPPED, no_images, stopped
from training.bags.image_topics import ImageTopic, choose_topics, list_image_topics
from training.bags.reading import Bag, find_bags
from training.extraction.anonymise import load_anonymiser
from training.extraction.arguments import (
    add_choice_arguments,
    add_picture_arguments,
    choice_settings,
    picture_settings,
)
from training.extraction.drive_topic import KEPT, KNOWN, DriveTopic, Outcome
from training.extraction.drives import drive_topics
from training.extraction.manifest import DAMAGED as UNREADABLE
from training.extraction.pool import extract_all
from training.extraction.settings import ExtractionSettings
from training.extraction.splits import (
    assign_splits,
    check_shares,
    read_splits,
    without_drives,
)
from training.extraction.summary import write_summary
from training.progress import Display, displayed
from training.run.stop_signals import Stopped, StopSignals, interrupting
from training.scratch import clear_abandoned_scratch
from training.whole_files import check_writable, named_path

_MOST_SENTENCES = 10


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        'bags', nargs='+', metavar='BAG', help='recordings: folders, files, patterns with *'
    )
    parser.add_argument('-o', '--output', required=True, metavar='DIR', help='output folder')
    parser.add_argument(
        '--topic', action='append', metavar='NAME', help='image topic; can be given several times'
    )
    add_choice_arguments(parser)
    add_picture_arguments(parser)
    parser.add_argument('--val', type=float, default=0.0, help='share of drives to validate on')
    parser.add_argument('--test', type=float, default=0.0, help='share of drives to test on')
    parser.add_argument('--seed', type=int, default=0, help='of the draw of these drives')
    parser.add_argument(
        '--processes',
        type=int,
        default=len(os.sched_getaffinity(0)),
        help='recordings or topics that are read at once',
    )
    parser.add_argument(
        '--dry-run', action='store_true', help='write nothing, say what would be kept and why not'
    )


def run(args: Any) -> int:
    """Extract, and tell what was done.

    Raises:
        ValueError: wrong usage: no bag, no such topic, several cameras, a busy output folder.
    """
    settings = _settings(args)
    clear_abandoned_scratch()
    bags = find_bags([Path(path).expanduser() for path in args.bags])
    for bag in bags if not args.dry_run else ():
        bag.check_outside(settings.root)
    with StopSignals() as stop:
        try:
            topics, outcomes = _extracted(bags, settings, args, stop)
        except Stopped as signal:
            print(stopped(signal, 'nothing was written') if args.dry_run else stopped(signal))
            return STOPPED
        unfit = [outcome.unfit for outcome in outcomes if outcome.unfit]
        if outcomes and len(unfit) == len(outcomes):
            raise ValueError(unfit[0])
        # A signal from here on changes nothing: the little that is left is finished.
        if outcomes and not args.dry_run:
            _finish(settings.root, {outcome.part.drive for outcome in outcomes}, args)
        return _report(outcomes, bags, settings, topics)


def _settings(args: Any) -> ExtractionSettings:
    """What the arguments ask for; all that can be found wrong with them is found here."""
    root = named_path(args.output, '--output')
    if not args.dry_run:
        check_writable(root, folder=True)
        read_splits(root)  # damage is better known before the work than behind it
    if args.processes < 1:
        raise ValueError(f'--processes {args.processes} must be at least 1')
    check_shares(args.val, args.test)
    picture = picture_settings(args)
    if picture.anonymise is not None:
        load_anonymiser(picture.anonymise)
    return ExtractionSettings(root, choice_settings(args), picture, args.dry_run)


def _extracted(
    bags: Sequence[Bag], settings: ExtractionSettings, args: Any, stop: StopSignals
) -> tuple[list[ImageTopic], list[Outcome]]:
    """The image topics of the recordings, and what became of those that were chosen."""
    with displayed() as display:
        with interrupting():
            topics = list_image_topics(bags)
            for topic in topics:
                display.say(str(topic))
            chosen = choose_topics(topics, args.topic or [], display.say) if topics else []
            parts = drive_topics(settings.root, bags, topics, chosen, display.say)
            _check(parts, bags, settings, display)
        return topics, extract_all(parts, settings, args.processes, display, stop)


def _check(
    parts: Sequence[DriveTopic],
    bags: Sequence[Bag],
    settings: ExtractionSettings,
    display: Display,
) -> None:
    """Tell or refuse what can be seen to fail before the work."""
    for part in parts if settings.picture.undistort else ():
        if not part.info_topic:
            display.say(f'{part.bag} has no CameraInfo beside {part.topic}: it is left out')
    for part in parts if not settings.dry_run else ():
        folder = part.folder(settings.root)
        for bag in bags:
            bag.check_outside(folder)
        check_writable(folder, folder=True)


def _finish(root: Path, drives: set[str], args: Any) -> None:
    """Write down what is to train on and what to validate on, and the summary."""
    split = assign_splits(root, drives, args.val, args.test, args.seed)
    if empty := without_drives(split, args.val, args.test):
        print(empty)
    write_summary(root)


def _report(
    outcomes: Sequence[Outcome],
    bags: Sequence[Bag],
    settings: ExtractionSettings,
    topics: Sequence[ImageTopic],
) -> int:
    """Print what was done; the exit code."""
    sentences = [text for bag in bags for text in bag.damage]
    for outcome in outcomes:
        sentences += [*outcome.damage, *filter(None, [outcome.unfit])]
    damage = list(dict.fromkeys(sentences))
    if not topics:
        print(no_images(bags))
    else:
        _print_counts(outcomes, settings)
    for text in damage[:_MOST_SENTENCES]:
        print(f'  {text}')
    if len(damage) > _MOST_SENTENCES:
        print('  and more: the manifest.jsonl of each drive has a line for every frame')
    counts = sum((outcome.counts for outcome in outcomes), Counter[str]())
    if damage or counts[UNREADABLE]:
        return DAMAGED
    return 0 if counts[KEPT] + counts[KNOWN] else NOTHING


def _print_counts(outcomes: Sequence[Outcome], settings: ExtractionSettings) -> None:
    for outcome in outcomes if len(outcomes) > 1 else ():
        print(f'{outcome.part.drive} {outcome.part.topic}: {_described(outcome.counts)}')
    counts = sum((outcome.counts for outcome in outcomes), Counter[str]())
    if settings.dry_run:
        print(f'Dry run, nothing written. Of {counts.total()} frames: {_described(counts)}')
        return
    print(
        f'{counts[KEPT]} images written to {settings.root}, {counts[KNOWN]} extracted before; '
        f'of {counts.total()} frames: {_described(counts)}'
    )
    print(f'See {settings.root / "summary.html"}')


def _described(counts: Counter[str]) -> str:
    """'12 kept, 3 dark, 30 every': what was kept first, then what was not, most frequent first."""
    kept = counts[KEPT] + counts[KNOWN]
    reasons = [(r, n) for r, n in counts.most_common() if r not in (KEPT, KNOWN) and n]
    return ', '.join([f'{kept} kept', *(f'{count} {reason}' for reason, count in reasons)])
