"""The settings files that come with the project, wherever it is installed; needs no torch."""

from __future__ import annotations

import difflib
from functools import lru_cache
from pathlib import Path

SHIPPED = Path('config', 'train')
SHARE = Path('share', 'hrda_ros')


@lru_cache(maxsize=1)
def shipped_folder() -> Path:
    """The folder config/train of the project: in the checkout, or where pip or colcon put it.

    Raises:
        FileNotFoundError: it is at none of the usual places; they are named.
    """
    return find_shipped_folder(Path(__file__))


def find_shipped_folder(module: Path) -> Path:
    """Look for config/train beside and above the package that a module belongs to.

    An editable installation imports the checkout (colcon's by links to it). Other ones put
    share/hrda_ros under the prefix that also holds lib/python3.*/site-packages.

    Args:
        module: file of a module in the package `training`.

    Raises:
        FileNotFoundError: it is at none of these places; they are named.
    """
    places: dict[Path, None] = {}
    for file in (module.absolute(), module.resolve()):
        package = file.parent
        places |= {package.parent / SHIPPED: None}
        places |= {prefix / SHARE / SHIPPED: None for prefix in package.parents}
    for place in places:
        if (place / 'robot.yaml').is_file():
            return place
    raise FileNotFoundError(
        f'the settings files that come with the project are missing; looked for robot.yaml in '
        f'{", ".join(map(str, places))}; install the project again'
    )


def shipped_files() -> dict[str, Path]:
    """The experiments that come with the project: bare name -> settings file.

    Files in a folder `base` are parts of others and left out.
    """
    files = sorted(shipped_folder().rglob('*.yaml'))
    return {path.stem: path for path in files if path.parent.name != 'base'}


def shipped_experiment(name: str) -> Path:
    """The settings file of an experiment that comes with the project.

    Raises:
        FileNotFoundError: there is none of this name; the nearest is given.
    """
    files = shipped_files()
    if name in files:
        return files[name]
    near = difflib.get_close_matches(name, files, 1, 0.5)
    hint = f'did you mean {near[0]}?' if near else 'hrda experiments lists those that come along'
    raise FileNotFoundError(f'{name}: no such settings file or experiment; {hint}')


def find_settings(name: str) -> Path:
    """A settings file by its path, or one that comes with the project by its bare name.

    Raises:
        FileNotFoundError: neither exists; the nearest name is given.
    """
    path = Path(name).expanduser()
    if path.is_file() or path.name != name or path.suffix:
        return path
    return shipped_experiment(name)
