"""Parameters as plain values, first the segmentation node's: meanings, checks. No ROS."""

from __future__ import annotations

import re
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from typing import Any

Value = str | float | bool | int | tuple[str, ...]
KINDS = {str: 'a text', float: 'a number', bool: 'true or false', int: 'a whole number'}
CAMERA_NAME = re.compile('[A-Za-z][A-Za-z0-9_]*')


def setting(
    default: Value,
    description: str,
    *,
    choices: tuple[str, ...] = (),
    bounds: tuple[float, float] | None = None,
    live: bool = False,
) -> Any:
    """A field that is a parameter: what it means, which values it takes, and whether live."""
    details = {'description': description, 'choices': choices, 'bounds': bounds, 'live': live}
    return field(default=default, metadata=details)


@dataclass(frozen=True)
class Settings:
    """Values of the node's parameters; those not marked `live` need a restart."""

    checkpoint: str = setting(
        '',
        'Model file (.safetensors) written by `hrda train` or import; one that is set later is '
        'used from the service ~/reload on',
        live=True,
    )
    device: str = setting('auto', 'Where the model runs: auto, cpu, cuda, cuda:1, ...')
    precision: str = setting(
        'auto', 'Number format of the model', choices=('auto', 'fp32', 'bf16', 'fp16')
    )
    compile: bool = setting(False, 'Have torch.compile fuse the network; slow to start')
    backend: str = setting(
        'torch',
        'What computes the network: torch, or files of `hrda export` by onnx or tensorrt',
        choices=('torch', 'onnx', 'tensorrt'),
    )
    export_dir: str = setting(
        '', 'Folder of `hrda export`; empty for model.onnx/ beside model.safetensors'
    )
    mode: str = setting(
        'exact',
        'exact: the published windows; anytime: the windows that matter, until a limit is met',
        choices=('exact', 'anytime'),
    )
    threshold: float = setting(
        -1.0,
        'Mode anytime: least score of a window; -1 takes what `hrda tune-windows` found, or 0',
        bounds=(-1.0, 1.0),
        live=True,
    )
    budget: int = setting(
        -1,
        'Mode anytime: most windows per frame; -1 means no limit',
        bounds=(-1, 10000),
        live=True,
    )
    deadline_ms: float = setting(
        0.0,
        'Mode anytime: time for one frame [ms]; 0 means no limit',
        bounds=(0.0, 60000.0),
        live=True,
    )
    context: str = setting(
        'whole',
        'Mode anytime: one context over the whole image, or the fewest of the trained size',
        choices=('whole', 'fewest'),
    )
    shrink: float = setting(
        0.0625,
        'Mode anytime: share of its sides that an image may lose to have the trained size of a '
        'context, as 1080 rows do to become 1024; 0: none',
        bounds=(0.0, 0.5),
    )
    window_size: int = setting(
        0, 'Mode anytime: about the side of a window [px]; 0: tuned or trained', bounds=(0, 8192)
    )
    window_overlap: int = setting(
        0, 'Mode anytime: how far neighbouring windows overlap [px]', bounds=(0, 4096)
    )
    class_weights: str = setting(
        '',
        'Mode anytime: weights of classes in the score of a window: person=4, rider=2; in a '
        'parameter file a map will do, too',
    )
    ageing: float = setting(
        0.0,
        'Mode anytime: growth of the score of a window that is left out, per frame',
        bounds=(0.0, 1000.0),
    )
    cameras: tuple[str, ...] = setting(
        ('',),
        'Names of several cameras that share the model, e.g. [front, rear]: front/image comes '
        'in, ~/front/label goes out; [""] is one camera on `image`',
    )
    batch_cameras: bool = setting(
        False,
        'Whether frames of several cameras that wait and have one size go through the network '
        'together; worth it on a GPU, where each frame alone leaves it idle',
        live=True,
    )
    image_transport: str = setting(
        'raw',
        'raw subscribes to `image`, compressed to `image`/compressed',
        choices=('raw', 'compressed'),
    )
    reliability: str = setting(
        'auto',
        'Reliability asked of the camera; auto matches the publishers that are found',
        choices=('auto', 'reliable', 'best_effort'),
    )
    overlay_alpha: float = setting(
        0.5, 'Weight of the class colours in the overlay', bounds=(0.0, 1.0), live=True
    )
    enabled: bool = setting(True, 'Whether frames are segmented', live=True)
    max_rate: float = setting(
        0.0,
        'Most frames segmented per second [Hz]; 0 means no limit',
        bounds=(0.0, 1000.0),
        live=True,
    )
    wait_for_newer_ms: float = setting(
        30.0,
        'One camera: a frame that waited while the one before it was segmented is left for the '
        'next, if that is due within so many ms; 0 takes it at once',
        bounds=(0.0, 1000.0),
        live=True,
    )
    min_confidence: float = setting(
        0.0, 'Pixels of lower confidence become 255, unlabelled', bounds=(0.0, 1.0), live=True
    )
    confidence_encoding: str = setting(
        'mono8',
        'Pixels of ~/confidence: mono8 is 0..255, 32FC1 is 0..1',
        choices=('mono8', '32FC1'),
    )
    max_age_ms: float = setting(
        0.0,
        'Frames that are older when their turn comes are dropped [ms]; 0 means no limit',
        bounds=(0.0, 600000.0),
        live=True,
    )
    lazy: bool = setting(True, 'Segment only while somebody listens to an output image', live=True)
    camera_info: bool = setting(
        False, "Whether ~/camera_info repeats the camera's, with the header of each label image"
    )

    @property
    def limited(self) -> bool:
        """Whether a limit of mode anytime is set."""
        return self.threshold >= 0 or self.budget >= 0 or self.deadline_ms > 0


Table = dict[str, Field[Any]]


def table_of(kind: type[Any]) -> Table:
    """The fields of a dataclass of settings by their names."""
    return {item.name: item for item in fields(kind)}


SETTINGS = table_of(Settings)


def coerce(name: str, value: Any, table: Table = SETTINGS) -> Value:
    """Turn a parameter's value into the type of its setting, or say why it cannot be.

    An integer is taken where a float is expected (`-p overlay_alpha:=1`).

    Raises:
        ValueError: wrong type, outside the range or not one of the choices; names all three.
    """
    item = table[name]
    wanted: type[Any] = type(item.default)
    if wanted is tuple:
        return camera_names(value)
    if wanted is float and type(value) is int:
        value = float(value)
    if type(value) is not wanted:
        raise ValueError(f'{name} must be {KINDS[wanted]}, not {value!r}')
    choices, bounds = item.metadata['choices'], item.metadata['bounds']
    if choices and value not in choices:
        raise ValueError(f'{name} must be one of {", ".join(choices)}, not {value!r}')
    if bounds and not bounds[0] <= value <= bounds[1]:
        raise ValueError(f'{name} must lie in {bounds[0]:g}..{bounds[1]:g}, not {value:g}')
    checked: Value = value
    return checked


def camera_names(value: Any) -> tuple[str, ...]:
    """Names of cameras from a list of texts, or from one text with commas.

    Returns:
        The names; ('',) for the one camera without a name.

    Raises:
        ValueError: not texts, not usable in topics, or given twice.
    """
    names = value.split(',') if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
        raise ValueError(f'cameras must be a list of texts such as [front, rear], not {value!r}')
    names = tuple(name.strip() for name in names)
    if not any(names):
        return ('',)
    for name in names:
        if not CAMERA_NAME.fullmatch(name):
            raise ValueError(
                f'cameras: {name!r} cannot be part of a topic; use letters, digits and _, and '
                'begin with a letter'
            )
    if len(set(names)) < len(names):
        raise ValueError(f'cameras must differ in their names, not {", ".join(names)}')
    return names


def anytime_limits(settings: Settings) -> dict[str, Any]:
    """Limits of mode anytime; ROS parameters cannot be null, so some values stand for it."""
    return {
        'threshold': None if settings.threshold < 0 else settings.threshold,
        'budget': None if settings.budget < 0 else settings.budget,
        'deadline_ms': settings.deadline_ms or None,
    }


def nearest(name: str, table: Table = SETTINGS) -> str:
    """The setting whose name is most like the one given, as ' (did you mean X?)', or ''."""
    close = get_close_matches(name, table, n=1)
    return f' (did you mean {close[0]}?)' if close else ''


def describe(table: Table = SETTINGS) -> str:
    """Every parameter with its default and meaning, one a line."""
    return '\n'.join(
        f'  {name} ({item.default!r}): {item.metadata["description"]}'
        + (f' [{", ".join(item.metadata["choices"])}]' if item.metadata['choices'] else '')
        for name, item in table.items()
    )
