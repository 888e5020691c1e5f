"""Label images and videos: class ids, confidence and overlays, by the network of the node.

Usage: hrda predict IMAGE_FOLDER_OR_VIDEO... -o DIR --checkpoint X.safetensors [--frames]
       [--attention] [--video overlay.mp4]

Images become labels/, confidence/ and overlay/ below DIR. A video becomes a video of overlays,
overlay/NAME.mp4, and with --frames labels and confidence of every frame as PNG as well.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from hrda_core.classes import Uint8Array
from hrda_core.image_codec import decode_bytes
from hrda_core.overlay import blend
from hrda_core.segmenter import Segmenter
from training.deployment.arguments import add_inference_arguments, inference_settings
from training.deployment.effort import Effort
from training.deployment.predict_files import InputFile, check_output, find_inputs, write_pictures
from training.progress import Display, displayed
from training.video import DEFAULT_RATE_HZ, VideoReader, VideoWriter, check_video_name
from training.whole_files import check_writable

SOME_UNREADABLE = 3
"""Exit code when images or parts of videos were left out, as of `hrda extract`."""


class Predictor:
    """Segments pictures and makes pictures of the result.

    Args:
        segmenter: the network.
        alpha: weight of the colours in overlays, 0..1.
        attention: also show where the network trusts the detail.

    Attributes:
        effort: what it took.
    """

    def __init__(self, segmenter: Segmenter, alpha: float, attention: bool) -> None:
        self._segmenter, self._alpha, self._attention = segmenter, alpha, attention
        self.effort = Effort()

    def pictures(self, image: Uint8Array) -> dict[str, Uint8Array]:
        """Results by kind: labels, confidence, overlay and, if asked for, attention.

        Shape:
            image: uint8 (H, W, 3) RGB; overlay: the same; the others: uint8 (H, W).

        Raises:
            ValueError: as of `Segmenter.segment`.
        """
        attention: dict[str, Uint8Array] = {}
        if self._attention:
            explained = self._segmenter.explain(image)
            result, attention = explained.segmentation, {'attention': explained.attention}
        else:
            result = self._segmenter.segment(image)
        self.effort.add(result)
        overlay = blend(image, result.labels, self._segmenter.classes.palette, self._alpha)
        found = {'labels': result.labels, 'confidence': result.confidence, 'overlay': overlay}
        return found | attention


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda predict`."""
    parser.add_argument(
        'inputs', nargs='+', type=str, help='image files, folders of them, video files'
    )
    parser.add_argument(
        '-o', '--output', required=True, help='folder for labels/, confidence/ and overlay/'
    )
    parser.add_argument('--checkpoint', required=True, help='the .safetensors file to use')
    parser.add_argument(
        '--alpha', type=float, default=0.5, help='weight of the colours in the overlay, 0..1'
    )
    parser.add_argument(
        '--attention',
        action='store_true',
        help='also write attention/: 0 where the context decides, 255 where the detail does',
    )
    parser.add_argument(
        '--frames',
        action='store_true',
        help='of videos, also write labels and confidence of every frame as PNG',
    )
    parser.add_argument(
        '--video',
        metavar='FILE',
        help='make this video (.mp4, .mov, .mkv, .avi) of the overlays of all images, in the '
        'size of the first, or of one video instead of overlay/NAME.mp4',
    )
    parser.add_argument(
        '--rate', type=float, default=10.0, help='frame rate of a video made of images [Hz]'
    )
    add_inference_arguments(parser)


def run(args: Namespace) -> int:
    """Label every image and video."""
    folder, files = Path(args.output), find_inputs(args.inputs)
    check_output(args.inputs, folder)
    check_writable(folder, folder=True)
    if not 0 <= args.alpha <= 1:
        raise ValueError(f'--alpha {args.alpha} is outside 0..1')
    images = [file for file in files if not file.is_video]
    videos = [file for file in files if file.is_video]
    films = _films(args.video, images, videos, folder)
    segmenter = Segmenter.from_checkpoint(args.checkpoint, inference_settings(args))
    if args.attention and not segmenter.model.architecture.multi_resolution:
        raise ValueError(f'--attention: {args.checkpoint} has one resolution only')
    predictor = Predictor(segmenter, args.alpha, args.attention)
    whole = True
    with displayed() as display:
        display.say(f'{args.checkpoint} on {segmenter.description}')
        if images:
            film = Path(args.video) if args.video else None
            whole &= predict_images(predictor, images, folder, display, film, args.rate)
        kinds = ('labels', 'confidence', 'attention') if args.frames else ('attention',)
        for video, film in films.items():
            whole &= predict_video(predictor, video, folder, kinds, film, display)
        display.say(predictor.effort.summary(segmenter.settings))
    return 0 if whole else SOME_UNREADABLE


def _films(
    name: str | None, images: Sequence[InputFile], videos: Sequence[InputFile], folder: Path
) -> dict[InputFile, Path]:
    """Where the overlays of each video go; ValueError where --video cannot be meant so."""
    films = {video: folder / 'overlay' / f'{video.name}.mp4' for video in videos}
    if name is not None:
        check_video_name(Path(name))
        check_writable(name)
        if len(videos) > 1 or (videos and images):
            raise ValueError('--video makes one video: of images, or of a single video')
        films = dict.fromkeys(videos, Path(name))
    for video, film in films.items():
        if film.resolve() == video.path.resolve():
            raise ValueError(f'{film} is the input itself; choose another --output or --video')
    return films


def predict_images(
    predictor: Predictor,
    images: Sequence[InputFile],
    folder: Path,
    display: Display,
    film: Path | None = None,
    rate_hz: float = 10.0,
) -> bool:
    """Label images; returns whether all could be read.

    Args:
        predictor: makes the results.
        images: what to read, and the names of the results.
        folder: where they go.
        display: told of progress and of images that are left out.
        film: video of the overlays, one frame per image, of the size of the first; None for
            none.
        rate_hz: its frame rate.
    """
    skipped, fitted, kinds = 0, 0, ''
    with VideoWriter(film, rate_hz) if film else contextlib.nullcontext() as video:
        for path, name in display.track(images, 'predicting', len(images)):
            try:
                pictures = predictor.pictures(decode_bytes(path.read_bytes()))
            except ValueError as error:
                skipped += 1
                display.say(f'left out {path}: {error}')
                continue
            write_pictures(folder, name, pictures)
            if video is not None:
                fitted += video.add_fitted(pictures['overlay'])
            kinds = ', '.join(pictures)
    if kinds:
        display.say(f'wrote {len(images) - skipped} x {kinds} to {folder}')
    if film and kinds:
        display.say(f'wrote {film} at {rate_hz:g} Hz')
    if fitted:
        display.say(
            f'{fitted} of {len(images)} images are of another size than the first; in {film} they '
            'are made to fit, with black borders'
        )
    return not skipped


def predict_video(
    predictor: Predictor,
    video: InputFile,
    folder: Path,
    kinds: Iterable[str],
    film: Path,
    display: Display,
) -> bool:
    """Label a video; returns whether all of it could be read.

    Args:
        predictor: makes the results.
        video: what to read, and the name of the results.
        folder: where pictures of frames go, as KIND/NAME/NUMBER.png.
        kinds: which pictures to write, of those that there are.
        film: the video of overlays.
        display: told of progress and of what is missing.
    """
    try:
        reader = VideoReader(video.path)
    except ValueError as error:
        display.say(f'left out {error}')
        return False
    unknown = math.isnan(reader.rate_hz)
    rate_hz = DEFAULT_RATE_HZ if unknown else reader.rate_hz
    wanted = set(kinds)
    with VideoWriter(film, rate_hz) as writer:
        for image in display.track(reader, f'predicting {video.path.name}', reader.promised):
            pictures = predictor.pictures(image)
            writer.add(pictures['overlay'])
            frame = video.name / f'{reader.read - 1:06d}'
            shown = {kind: picture for kind, picture in pictures.items() if kind in wanted}
            write_pictures(folder, frame, shown)
    if unknown:
        display.say(f'{video.path} does not tell its frame rate; {film} has {rate_hz:g} Hz')
    if reader.uneven:
        display.say(
            f'{video.path} has a variable frame rate; {film} has its mean, {rate_hz:g} Hz, so '
            'that moments shift'
        )
    if reader.read:
        display.say(f'wrote {film}: {reader.read} frames at {rate_hz:g} Hz')
    if reader.cut_off:
        display.say(
            f'{video.path} is cut off or damaged: {reader.read} of {reader.promised} frames '
            'could be read'
        )
    return not reader.cut_off
