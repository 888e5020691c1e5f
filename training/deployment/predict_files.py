"""What `hrda predict` reads and writes: names of inputs, and of the pictures made from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hrda_core.classes import Uint8Array
from training.image_files import IMAGE_SUFFIXES, is_beside_frames
from training.video import VIDEO_SUFFIXES
from training.whole_files import write_picture


class InputFile(NamedTuple):
    """An image or video, and the name without suffix that its results get below the output.

    Attributes:
        path: the file.
        name: below labels/, overlay/ and the like.
    """

    path: Path
    name: Path

    @property
    def is_video(self) -> bool:
        """Whether it is a video."""
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def find_inputs(inputs: Sequence[str]) -> list[InputFile]:
    """List images and videos; folders are searched recursively for images, and keep their shape.

    Raises:
        FileNotFoundError: an input does not exist.
        ValueError: a folder without images, a file of another kind, or two files whose results
            would get the same name.
    """
    found: dict[Path, InputFile] = {}
    for text in inputs:
        for file in _expand(Path(text)):
            if file.name in found:
                raise ValueError(
                    f'{found[file.name].path} and {file.path} would both become {file.name}; '
                    'predict them into different folders'
                )
            found[file.name] = file
    return list(found.values())


def _expand(path: Path) -> list[InputFile]:
    if not path.exists():
        raise FileNotFoundError(f'{path}: no such file or folder')
    if path.is_dir():
        pictures = sorted(p for p in path.rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES)
        files = [picture for picture in pictures if not is_beside_frames(picture)]
        if not files:
            kinds = ', '.join(IMAGE_SUFFIXES)
            raise ValueError(
                f'{path}: no images in it ({kinds}); {_recording_hint(path)}videos are named one '
                'by one'
            )
        return [InputFile(file, file.relative_to(path).with_suffix('')) for file in files]
    if path.suffix.lower() not in IMAGE_SUFFIXES + VIDEO_SUFFIXES:
        kinds = ', '.join(IMAGE_SUFFIXES + VIDEO_SUFFIXES)
        raise ValueError(
            f'{path}: {_recording_hint(path)}expected an image or a video ({kinds}) or a folder '
            'of images'
        )
    return [InputFile(path, Path(path.stem))]


def _recording_hint(path: Path) -> str:
    from training.bags.reading import holds_bags

    if not holds_bags(path):
        return ''
    return 'recordings are for hrda segment-bag, and hrda extract takes images out of them; '


def check_output(inputs: Iterable[str], output: Path) -> None:
    """Refuse an output folder in an input folder, whose results would be inputs next time.

    Raises:
        ValueError: naming both folders.
    """
    for folder in map(Path, inputs):
        if folder.is_dir() and output.resolve().is_relative_to(folder.resolve()):
            raise ValueError(
                f'--output {output} is in the input folder {folder}, so that the results would '
                'be taken for images the next time; choose a folder outside'
            )


def write_pictures(folder: Path, name: Path, pictures: Mapping[str, Uint8Array]) -> None:
    """Write pictures of one image, each whole or not at all, to folder/KIND/NAME.

    Args:
        folder: of all results.
        name: of the image, without a suffix.
        pictures: kind to uint8 (H, W) or (H, W, 3) RGB; 'overlay' becomes a .jpg, what holds
            numbers a .png.
    """
    for kind, picture in pictures.items():
        suffix = '.jpg' if kind == 'overlay' else '.png'
        path = folder / kind / name.with_name(name.name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(path, picture)
