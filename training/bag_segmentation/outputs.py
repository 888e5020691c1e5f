"""Where results go: one .mcap file, or a folder with a rosbag2 folder for each recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.bag_segmentation.settings import Part
from training.bags.mcap_records import SUFFIX
from training.bags.reading import Bag
from training.bags.rosbag2_metadata import FILE_NAME, file_facts, metadata_text
from training.whole_files import check_writable, write_text

_STORAGES = (SUFFIX, '.db3', '.zstd')


@dataclass(frozen=True)
class Output:
    """The result of a recording, or of a part of it.

    Args:
        bag: the recording.
        files: all files of the whole result, in order.
        part: which of them is made.
        is_folder: whether they are a rosbag2 folder, with its metadata.yaml.
    """

    bag: Bag
    files: Sequence[Path]
    part: Part
    is_folder: bool

    @property
    def file(self) -> Path:
        """The file that is made."""
        return self.files[self.part.index]

    def check(self) -> None:
        """Raise ValueError where the result cannot be, or would mix with something else."""
        self.bag.check_outside(self.file)
        check_writable(self.file)
        if not self.is_folder or not self.file.parent.is_dir():
            return
        for path in sorted(self.file.parent.iterdir()):
            hidden = path.name.startswith('.')
            if not hidden and path.suffix in _STORAGES and path not in self.files:
                raise ValueError(
                    f'{path} does not belong to the result; delete it or choose another --output'
                )

    def complete(self) -> None:
        """Write metadata.yaml once all files are there."""
        if not self.is_folder or not all(file.exists() for file in self.files):
            return
        text = metadata_text([file_facts(file) for file in self.files])
        place = self.file.parent / FILE_NAME
        if not place.exists() or place.read_text() != text:
            write_text(place, text)


def plan_outputs(
    bags: Sequence[Bag], names: Sequence[str], output: Path, part: Part
) -> list[Output]:
    """The results that this part has to make.

    Args:
        bags: all recordings.
        names: a name for each.
        output: NAME.mcap for one file, else a folder that gets a rosbag2 folder per recording.
        part: of the recordings in turn, or of the only one by time.

    Raises:
        ValueError: the output does not fit the recordings.
    """
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise ValueError(
            f'several recordings would become {output / twins[0]}; segment them in turn, to '
            'different folders'
        )
    if output.suffix == SUFFIX:
        if len(bags) > 1 or part.count > 1:
            many = f'{len(bags)} recordings' if len(bags) > 1 else 'parts of a recording'
            raise ValueError(
                f'--output {output} is one file for {many}; give a folder, which gets a rosbag2 '
                'folder for each recording'
            )
        return [Output(bags[0], [output], part, False)]
    if output.exists() and not output.is_dir():
        raise ValueError(f'--output {output} is a file; give a folder or a name like X.mcap')
    if len(bags) == 1:
        numbers = [f'_{n}' for n in range(part.count)] if part.count > 1 else ['']
        files = [output / names[0] / f'{names[0]}{n}{SUFFIX}' for n in numbers]
        return [Output(bags[0], files, part, True)]
    return [
        Output(bag, [output / name / f'{name}{SUFFIX}'], Part(), True)
        for bag, name in list(zip(bags, names, strict=True))[part.index :: part.count]
    ]
