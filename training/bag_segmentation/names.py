"""What the result of each recording is called in an output folder, from run to run."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from training.bag_segmentation.settings import input_note
from training.bags.mcap_records import SUFFIX
from training.bags.mcap_recovery import read_notes
from training.bags.mcap_writer import NOTES
from training.bags.names import drive_folders, drive_names
from training.bags.reading import Bag


def result_names(output: Path, bags: Sequence[Bag]) -> list[str]:
    """A name for the result of each bag.

    Args:
        output: folder of the results. A bag that was segmented to it before, or begun with, keeps
            the name that it got then, whatever other bags stand beside it now.
        bags: the recordings.
    """
    new = drive_names(bags)
    names: list[str] = []
    for bag, name in zip(bags, new, strict=True):
        others = {*new, *names} - {name}
        names.append(_earlier_name(output, bag, name, others) or name)
    return names


def _earlier_name(output: Path, bag: Bag, name: str, others: Collection[str]) -> str:
    """The folder with an earlier result of a bag; '' if there is none.

    Copies of a recording are told apart by their new names alone, so theirs go first.
    """
    folders = [folder for folder in drive_folders(output, bag) if folder.name not in others]
    note = input_note(bag) if folders else ''
    for folder in sorted(folders, key=lambda folder: folder.name != name):
        if _holds_result(folder, note):
            return folder.name
    return ''


def _holds_result(folder: Path, note: str) -> bool:
    """Whether a folder holds what was made of the recording of a note, finished or not."""
    files = [*folder.glob(f'*{SUFFIX}'), *folder.glob(f'.*{SUFFIX}.part')]
    return any(read_notes(file, NOTES).get('input') == note for file in files)
