"""Which codec the settings of a data set ask for."""

from __future__ import annotations

from hrda_core.classes import IGNORE, ClassSet
from training.data.kinds import LabelFiles, Pixels
from training.data.label_maps.codecs import LabelCodec, MappedLabels, RawIds, TrainIds
from training.data.label_maps.label_map import LabelMap, built_in_label_map, resolve_label_map
from training.data.label_maps.pixels import color_code
from training.data.settings import LabelFileSettings

BLACK = 0


def choose_codec(
    settings: LabelFileSettings, files: LabelFiles, classes: ClassSet, role: str
) -> LabelCodec:
    """What reads the label files of a data set.

    Args:
        settings: the settings; `label_map` and `label_ids` win over the kind.
        files: how the kind has its labels.
        classes: the class set of the train ids.
        role: name of the settings, for errors.

    Raises:
        ValueError: the label map cannot be used, or contradicts `label_ids`.
    """
    ids = settings.label_ids
    if settings.label_map is not None:
        if ids == 'train':
            raise ValueError(
                f'{role}.label_map is {settings.label_map}, which {role}.label_ids: train leaves '
                'no use for; name one of the two'
            )
        table = resolve_label_map(settings.label_map)
        return table.codec(classes, _pixels(table, ids))
    if ids == 'train' or (ids is None and files.label_map is None):
        return TrainIds(classes)
    own = None if files.label_map is None else built_in_label_map(files.label_map)
    if ids == 'raw':
        return RawIds(classes, 'id' if own is None else _pixels(own, ids))
    if own is None:
        return _class_colors(classes)
    return own.codec(classes, files.pixels if ids is None else 'color')


def _pixels(table: LabelMap, ids: str | None) -> Pixels:
    if ids is None:
        return table.pixels
    if ids == 'color':
        return 'color'
    return 'red' if table.pixels == 'red' else 'id'


def _class_colors(classes: ClassSet) -> MappedLabels:
    """The class set's own colours; black, in which unlabelled pixels are drawn, is ignored."""
    entries = {BLACK: IGNORE}
    for train_id, color in enumerate(classes.colors):
        code = color_code(color)
        if code != BLACK and code in entries:
            raise ValueError(
                f'label_ids is color, but two classes of {classes.name!r} have the colour {color}'
            )
        entries[code] = train_id
    remedy = 'name it in a label_map, where class: null ignores it'
    return MappedLabels(classes.name, 'color', tuple(sorted(entries.items())), remedy)
