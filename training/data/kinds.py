"""The data sets that are read as downloaded: where their images and labels lie, as data.

A place may hold {split} and {condition}. Where several layouts are named, the first one that is
there counts; where several label files are named, the first that every image has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Kind = Literal[
    'folder',
    'gta',
    'synthia',
    'cityscapes',
    'acdc',
    'dark_zurich',
    'bdd100k',
    'mapillary',
    'mapillary_v2',
    'camvid',
    'bag_images',
]
Split = Literal['train', 'val', 'test']
Pixels = Literal['id', 'color', 'red']
"""What a label file's pixels are. 'id': one number each (grey of 8 or 16 bit, palette index);
'color': RGB, also of a palette; 'red': the number stands in the red channel, as CARLA and SYNTHIA
store it."""
TRAIN_IDS = 'cityscapes_train'
"""Built-in table of the 19 class indices that most street data sets come with."""
NO_FOLDERS: Mapping[str, str] = MappingProxyType({})
FOLDERS: Mapping[str, str] = MappingProxyType({'train': 'train', 'val': 'val', 'test': 'test'})


@dataclass(frozen=True)
class LabelFiles:
    """Label files of one naming.

    Attributes:
        suffix: between an image's name and .png in its label's name.
        label_map: the built-in table of their values; None = class indices.
        pixels: what their pixels are; None = as the table says.
    """

    suffix: str
    label_map: str | None
    pixels: Pixels | None = None

    @property
    def are_train_ids(self) -> bool:
        """Whether the files hold class indices."""
        return self.label_map in (None, TRAIN_IDS)


@dataclass(frozen=True)
class Layout:
    """Where images and labels lie below the root.

    Attributes:
        images: image folder.
        labels: label folder; None = there are none. Folders below the image folder are the same
            below it.
        label_files: the namings of label files that there may be.
        image_suffix: end of the names of images that labels do not share; others are left out.
    """

    images: str
    labels: str | None = None
    label_files: tuple[LabelFiles, ...] = (LabelFiles('', None),)
    image_suffix: str = ''


@dataclass(frozen=True)
class DataKind:
    """A kind of data set.

    Attributes:
        layouts: the layouts that there are copies of.
        splits: name of a split → its folder; empty where the layouts have no {split}.
        conditions: the folders that {condition} stands for.
        usual_conditions: those that are taken unless the settings name some.
        download: what it is downloaded as, for errors.
    """

    layouts: tuple[Layout, ...]
    splits: Mapping[str, str] = field(default_factory=lambda: NO_FOLDERS)
    conditions: tuple[str, ...] = ()
    usual_conditions: tuple[str, ...] = ()
    download: str = ''


def _below(folders: tuple[str, ...], layout: Layout) -> tuple[Layout, ...]:
    """A layout, also below folders that archives are often unpacked into."""
    return tuple(
        Layout(
            folder + layout.images,
            None if layout.labels is None else folder + layout.labels,
            layout.label_files,
            layout.image_suffix,
        )
        for folder in folders
    )


_CITYSCAPES = (
    LabelFiles('_gtFine_labelIds', 'cityscapes'),
    LabelFiles('_gtFine_labelTrainIds', TRAIN_IDS),
)
_ZURICH = (LabelFiles('_gt_labelIds', 'cityscapes'), LabelFiles('_gt_labelTrainIds', TRAIN_IDS))
_BDD_MASKS = (LabelFiles('', TRAIN_IDS), LabelFiles('_train_id', TRAIN_IDS))
_CAMVID_COLORS = LabelFiles('_L', 'camvid')
_CONVERTED = LabelFiles('_labelTrainIds', TRAIN_IDS)  # what other projects write beside the labels

KINDS: Mapping[str, DataKind] = {
    'folder': DataKind((Layout('images', 'labels'),)),
    'bag_images': DataKind((Layout('.'),), download='what hrda extract wrote'),
    'gta': DataKind(
        (Layout('images', 'labels', (LabelFiles('', 'cityscapes'), _CONVERTED)),),
        download='the ten parts of GTA5, unpacked into images/ and labels/',
    ),
    'synthia': DataKind(
        _below(
            ('', 'RAND_CITYSCAPES/'),
            Layout('RGB', 'GT/LABELS', (LabelFiles('', 'synthia'), _CONVERTED)),
        ),
        download='SYNTHIA_RAND_CITYSCAPES.rar with RGB/ and GT/LABELS/',
    ),
    'cityscapes': DataKind(
        (
            Layout('leftImg8bit/{split}', 'gtFine/{split}', _CITYSCAPES, '_leftImg8bit'),
            Layout(
                'leftImg8bit_trainvaltest/leftImg8bit/{split}',
                'gtFine_trainvaltest/gtFine/{split}',
                _CITYSCAPES,
                '_leftImg8bit',
            ),
        ),
        splits=FOLDERS,
        download='leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip',
    ),
    'acdc': DataKind(
        (
            Layout('rgb_anon/{condition}/{split}', 'gt/{condition}/{split}', _ZURICH, '_rgb_anon'),
            Layout(
                'rgb_anon_trainvaltest/rgb_anon/{condition}/{split}',
                'gt_trainval/gt/{condition}/{split}',
                _ZURICH,
                '_rgb_anon',
            ),
        ),
        splits=FOLDERS,
        conditions=('fog', 'night', 'rain', 'snow'),
        usual_conditions=('fog', 'night', 'rain', 'snow'),
        download='rgb_anon_trainvaltest.zip and gt_trainval.zip',
    ),
    'dark_zurich': DataKind(
        _below(
            ('', '{split}/', 'Dark_Zurich_{split}_anon/'),
            Layout('rgb_anon/{split}/{condition}', 'gt/{split}/{condition}', _ZURICH, '_rgb_anon'),
        ),
        splits=FOLDERS,
        conditions=('night', 'twilight', 'day'),
        usual_conditions=('night',),
        download='Dark_Zurich_{train,val}_anon.zip with rgb_anon/ and gt/',
    ),
    'bdd100k': DataKind(
        (
            *_below(
                ('', 'bdd100k/'),
                Layout('images/10k/{split}', 'labels/sem_seg/masks/{split}', _BDD_MASKS),
            ),
            *_below(
                ('', 'seg/', 'bdd100k/seg/'),
                Layout('images/{split}', 'labels/{split}', _BDD_MASKS),
            ),
        ),
        splits=FOLDERS,
        download='"10K Images" and "Segmentation", with images/10k/ and labels/sem_seg/masks/',
    ),
    'mapillary': DataKind(
        (
            Layout('{split}/images', '{split}/v1.2/labels', (LabelFiles('', 'mapillary_v1.2'),)),
            Layout('{split}/images', '{split}/labels', (LabelFiles('', 'mapillary_v1.2'),)),
        ),
        splits={'train': 'training', 'val': 'validation', 'test': 'testing'},
        download='Mapillary Vistas 1.x or 2.0 with training/images/ and training/v1.2/labels/',
    ),
    'mapillary_v2': DataKind(
        (Layout('{split}/images', '{split}/v2.0/labels', (LabelFiles('', 'mapillary_v2.0'),)),),
        splits={'train': 'training', 'val': 'validation', 'test': 'testing'},
        download='Mapillary Vistas 2.0 with training/images/ and training/v2.0/labels/',
    ),
    'camvid': DataKind(
        (
            Layout('{split}', '{split}annot', (LabelFiles('', 'camvid_11'),)),
            Layout('{split}', '{split}_labels', (_CAMVID_COLORS,)),
            Layout('701_StillsRaw_full', 'LabeledApproved_full', (_CAMVID_COLORS,)),
            Layout('images', 'labels', (LabelFiles('_P', 'camvid', 'id'), _CAMVID_COLORS)),
        ),
        splits=FOLDERS,
        download=(
            'train/ and trainannot/ as the SegNet tutorial has it, or 701_StillsRaw_full/ and '
            'LabeledApproved_full/'
        ),
    ),
}
"""Every kind by its name."""
