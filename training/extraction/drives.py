"""What each recording is called in an output folder, and which of its topics go there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from training.bags.image_topics import ImageTopic, topics_in
from training.bags.names import drive_folders, drive_names
from training.bags.reading import CAMERA_INFO, Bag
from training.extraction.camera_info import info_topics
from training.extraction.drive_topic import DriveTopic
from training.extraction.manifest import FILE_NAME, first_record


def drive_topics(
    root: Path,
    bags: Sequence[Bag],
    listed: Sequence[ImageTopic],
    chosen: Sequence[ImageTopic],
    say: Callable[[str], None],
) -> list[DriveTopic]:
    """What there is to extract: the chosen cameras of every bag.

    Args:
        root: output folder. A bag that was extracted to it before keeps the name that it got
            then, whatever other bags stand beside it now.
        bags: the recordings.
        listed: their image topics, as `list_image_topics` gives them.
        chosen: as `choose_topics` gives them.
        say: gets a sentence about each camera that a bag lacks.
    """
    parts = []
    for bag, new_name in zip(bags, drive_names(bags), strict=True):
        drive = _earlier_name(root, bag) or new_name
        topics = bag.promised_topics()
        counts = {topic.name: topic.count for topic in topics}
        infos = {t.name for t in topics if t.msgtype == CAMERA_INFO and t.count}
        for name in topics_in(bag, topics, listed, chosen, say):
            beside = [info for info in info_topics(name) if info in infos]
            info = beside[0] if beside else ''
            parts.append(DriveTopic(bag.path, drive, name, counts[name], info))
    return parts


def _earlier_name(root: Path, bag: Bag) -> str:
    """The drive that an earlier run made of a bag; '' if there is none."""
    for folder in drive_folders(root, bag):
        for manifest in folder.glob(f'*/{FILE_NAME}'):
            first = first_record(manifest)
            if first is not None and Path(first.bag).resolve() == bag.path.resolve():
                return folder.name
    return ''
