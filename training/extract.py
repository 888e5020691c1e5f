"""Take the images of a camera out of rosbag2 recordings (.mcap, .db3, folders), without ROS.

    hrda extract DRIVE1 DRIVE2.mcap -o images --every 0.5s
    hrda extract DRIVE1 -o images --topic /camera/image_raw/compressed

JPEG and PNG messages are copied unchanged, raw images are encoded. Files are called
images/DRIVE/TOPIC/SEC_NSEC.jpg after the stamp in the message; images/manifest.jsonl has a line
for every chosen frame. The same command again goes on where the last one ended.

Exit codes: 0 done, 1 wrong usage, 2 nothing extracted, 3 something could not be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from training.bags import Bag, BagDamageError, RawMessage, decode_message, find_bags
from training.camera_info import FILE_NAME as CAMERA_INFO_FILE
from training.camera_info import calibration_yaml, info_topics
from training.frame_writer import FrameWriter, ImageFormat, write_whole
from training.image_topics import ImageTopic, choose_topic, list_image_topics
from training.manifest import FrameRecord, Manifest, open_manifest
from training.progress import Display, displayed
from training.rate import FrameClock, parse_interval

NOTHING, DAMAGED = 2, 3


@dataclass
class Tally:
    """What happened so far: frames written now, known before, left out by --every, unreadable."""

    written: int = 0
    known: int = 0
    left_out: int = 0
    refused: int = 0
    damage: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Extraction:
    """What to extract, and where to.

    Args:
        root: output folder.
        topic: image topic.
        interval_ns: distance between frames [ns]; 0 takes all.
        image_format: of images that cannot be copied.
    """

    root: Path
    topic: ImageTopic
    interval_ns: int
    image_format: ImageFormat


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument('bags', nargs='+', metavar='BAG', help='rosbag2 folders or files')
    parser.add_argument('-o', '--output', required=True, metavar='DIR', help='output folder')
    parser.add_argument('--topic', default=None, help='image topic; needed if there are several')
    parser.add_argument(
        '--every', default=None, metavar='TIME', help='one frame per 0.5s, 500ms or at 2Hz'
    )
    parser.add_argument(
        '--format', choices=['jpg', 'png'], default='jpg', help='of images that are not copied'
    )


def run(args: Any) -> int:
    """Extract, and tell what was done.

    Raises:
        ValueError: wrong usage: no bag, no such topic, several cameras, a busy output folder.
    """
    interval_ns = parse_interval(args.every) if args.every else 0
    root = Path(args.output)
    if root.exists() and not root.is_dir():
        raise ValueError(f'--output {root} is a file; give a folder')
    bags = find_bags([Path(path) for path in args.bags])
    tally = Tally()
    with displayed() as display:
        topics = list_image_topics(bags)
        if topics:
            topic = choose_topic(topics, args.topic, display.say)
            root.mkdir(parents=True, exist_ok=True)
            extraction = Extraction(root, topic, interval_ns, args.format)
            extract(extraction, bags, tally, display)
    tally.damage += [text for bag in bags for text in bag.damage]
    return _report(tally, root, topics, bags)


def extract(extraction: Extraction, bags: Sequence[Bag], tally: Tally, display: Display) -> None:
    """Extract one topic of some bags; what happens is counted in `tally`.

    Raises:
        ValueError: another process writes to the output folder.
    """
    with open_manifest(extraction.root) as manifest:
        for bag, drive in zip(bags, drive_names(bags), strict=True):
            _extract_bag(extraction, bag, drive, manifest, tally, display)


def drive_names(bags: Sequence[Bag]) -> list[str]:
    """A name for each bag: its own, with the folder above it in front where names are equal."""
    names = [bag.name for bag in bags]
    return [
        name if names.count(name) == 1 else f'{bag.path.resolve().parent.name}_{name}'
        for name, bag in zip(names, bags, strict=True)
    ]


def _extract_bag(
    extraction: Extraction,
    bag: Bag,
    drive: str,
    manifest: Manifest,
    tally: Tally,
    display: Display,
) -> None:
    topic = extraction.topic.name
    writer = FrameWriter(extraction.root, manifest, drive, topic, extraction.image_format)
    clock = FrameClock(extraction.interval_ns)
    counts = {found.name: found.count for found in bag.topics()}
    if not counts.get(topic):
        display.say(f'{bag.path} has no images on {topic}')
    seen = 0
    messages = _images(bag, topic, writer.folder)
    for message in display.track(messages, drive, counts.get(topic, 0)):
        seen += 1
        _extract_frame(message, str(bag.path), drive, clock, writer, manifest, tally)
    if seen < bag.expected.get(topic, 0):
        tally.damage.append(
            f'{bag.path}: {seen} of the {bag.expected[topic]} messages on {topic} that its '
            'metadata.yaml promises could be read'
        )


def _images(bag: Bag, topic: str, folder: Path) -> Iterator[RawMessage]:
    """The image messages; the camera's calibration is written on the way."""
    wanted = () if (folder / CAMERA_INFO_FILE).exists() else info_topics(topic)
    written = not wanted
    for message in bag.messages([topic, *wanted]):
        if message.topic == topic:
            yield message
        elif not written:
            written = _write_calibration(message, folder)


def _write_calibration(message: RawMessage, folder: Path) -> bool:
    try:
        info = decode_message(message)
        text = calibration_yaml(info, folder.name)
    except (BagDamageError, AttributeError):
        return False
    write_whole(folder / CAMERA_INFO_FILE, text.encode())
    return True


def _extract_frame(
    message: RawMessage,
    bag: str,
    drive: str,
    clock: FrameClock,
    writer: FrameWriter,
    manifest: Manifest,
    tally: Tally,
) -> None:
    try:
        stamp_ns = message.header_stamp_ns()
    except BagDamageError:
        stamp_ns = 0
    if not clock.takes(stamp_ns or message.record_ns):
        tally.left_out += 1
        return
    record = FrameRecord(bag, drive, message.topic, message.record_ns, stamp_ns)
    before = manifest.known(record.key)
    if before is not None:
        tally.known += before.kept
        tally.refused += not before.kept
        return
    stored = writer.store(message, record)
    tally.written += stored.kept
    tally.refused += not stored.kept
    if not stored.kept:
        tally.damage.append(f'{bag}: frame at {message.record_ns} ns: {stored.reason}')


def _report(tally: Tally, root: Path, topics: Sequence[ImageTopic], bags: Sequence[Bag]) -> int:
    """Print what was done; the exit code."""
    if not topics:
        names = sorted({f'{t.name} ({t.msgtype})' for bag in bags for t in bag.topics()})
        print(f'No image messages in these bags; their topics: {", ".join(names) or "none"}')
    else:
        print(
            f'{tally.written} images written to {root}, {tally.known} were there already, '
            f'{tally.left_out} left out by --every, {tally.refused} could not be read'
        )
    for text in tally.damage[:10]:
        print(f'  {text}')
    if len(tally.damage) > 10:
        print(f'  and {len(tally.damage) - 10} more, see {root / "manifest.jsonl"}')
    if tally.damage or tally.refused:
        return DAMAGED
    return 0 if tally.written + tally.known else NOTHING
