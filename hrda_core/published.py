"""Import of published checkpoints: HRDA, DAFormer and MIC models, and mit_b*.pth backbones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from torch import Tensor

from hrda_core.architecture import Architecture
from hrda_core.checkpoints import (
    ENCODER_FORMAT,
    CheckpointError,
    KeyReport,
    read_state_dict,
    save_model,
    write_safetensors,
)
from hrda_core.classes import CITYSCAPES, ClassSet
from hrda_core.encoders import Encoder
from hrda_core.heads import DEEPLAB_DILATIONS
from hrda_core.hrda import HRDA

_PARAMETERS = ('weight', 'bias')
LICENCE = 'research only: derived from published weights under non-commercial terms'
PREFIXES = {'student': 'model.', 'teacher': 'ema_model.'}
MIT_DEPTHS: dict[tuple[int, tuple[int, ...]], str] = {
    (32, (2, 2, 2, 2)): 'mit_b0',
    (64, (2, 2, 2, 2)): 'mit_b1',
    (64, (3, 4, 6, 3)): 'mit_b2',
    (64, (3, 4, 18, 3)): 'mit_b3',
    (64, (3, 8, 27, 3)): 'mit_b4',
    (64, (3, 6, 40, 3)): 'mit_b5',
}
"""First embedding width and blocks per stage of each encoder (spec section 1.1)."""

RESNET_BLOCKS = {6: 'resnet50_v1c', 23: 'resnet101_v1c'}
"""Blocks in the third stage of each dilated ResNet (spec section 1.4)."""

# Published name -> name here; applied in order, all that match.
_Rules = tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]
_ENCODER_RULES: _Rules = (
    (r'^patch_embed1\.', r'patch_embed.'),
    (r'^patch_embed([2-4])\.', lambda m: f'stages_{int(m[1]) - 1}.downsample.'),
    (r'^block([1-4])\.', lambda m: f'stages_{int(m[1]) - 1}.blocks.'),
    (r'^norm([1-4])\.', lambda m: f'stages_{int(m[1]) - 1}.norm.'),
    (r'\.dwconv\.dwconv\.', r'.dwconv.'),
    (r'^stem\.7\.', r'bn1.'),
    (r'^stem\.', r'conv1.'),
)
_HEAD_RULES: _Rules = (
    (r'^aspp_modules\.(\d)\.conv\.', r'branches.\1.'),
    (r'^conv_seg\.', r'classify.'),
    (r'^embed_layers\.(\d)\.proj\.', r'embed.\1.'),
    (r'^fuse_layer\.aspp_modules\.', r'fuse.branches.'),
    (r'^fuse_layer\.', r'fuse.'),
    (r'\.(depthwise|pointwise)_conv\.', r'.\1.'),
    (r'\.bn\.', r'.norm.'),
)


def import_published(
    path: str | Path,
    output: str | Path,
    *,
    role: Literal['student', 'teacher'] = 'student',
    classes: ClassSet = CITYSCAPES,
    strict: bool = True,
) -> KeyReport:
    """Convert a published checkpoint into one of this project.

    A file with a decoder becomes a model for `load_model`; a bare backbone (mit_b*.pth)
    becomes encoder weights for training.

    Args:
        path: published .pth (read with weights_only=True) or .safetensors file.
        output: the .safetensors file to write, whole or not at all.
        role: which network of a self-training checkpoint; evaluation uses the student.
        classes: what the outputs mean.
        strict: refuse when a tensor is missing or left over.

    Returns:
        Which names matched, were missing and were unexpected.

    Raises:
        CheckpointError: the file cannot be read, is neither a MiT network with a DAFormer head
            nor a ResNet with a DeepLabV2 head, or its names do not match in strict mode.
    """
    if role not in PREFIXES:
        raise ValueError(f'role {role!r}: expected student or teacher')
    tensors = _select(read_state_dict(path), role, path)
    encoder_name = _encoder_name(tensors, path)
    if not any(name.startswith('decode_head.') for name in tensors):
        return _import_encoder(path, output, tensors, encoder_name, strict)
    model = HRDA(_architecture(tensors, encoder_name, classes, path), classes)
    renamed = {local_name(name): name for name in tensors}
    report = _load(model, {new: tensors[old] for new, old in renamed.items()}, renamed)
    _check(report, path, strict)
    save_model(output, model, step=0, extra={'licence': LICENCE, 'imported_from': role})
    return report


def _select(tensors: dict[str, Tensor], role: str, path: str | Path) -> dict[str, Tensor]:
    """Take one network out of a self-training checkpoint, or all of a plain one."""
    if not any(name.startswith(tuple(PREFIXES.values())) for name in tensors):
        if role == 'teacher':
            raise CheckpointError(f'{path}: has one network only; import it as the student')
        chosen = tensors
    else:
        prefix = PREFIXES[role]
        chosen = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        if not chosen:
            raise CheckpointError(f'{path}: holds no {role} (no names start with {prefix!r})')
    if any(name.startswith('backbone.') for name in chosen):
        return chosen
    return {f'backbone.{name}': tensor for name, tensor in chosen.items()}


def _encoder_name(tensors: Mapping[str, Tensor], path: str | Path) -> str:
    depths = tuple(
        len({m[1] for n in tensors if (m := re.match(rf'backbone\.block{s}\.(\d+)\.', n))})
        for s in range(1, 5)
    )
    blocks = {m[1] for n in tensors if (m := re.match(r'backbone\.layer3\.(\d+)\.', n))}
    if 'backbone.stem.0.weight' in tensors and len(blocks) in RESNET_BLOCKS:
        return RESNET_BLOCKS[len(blocks)]
    stem = tensors.get('backbone.patch_embed1.proj.weight')
    name = None if stem is None else MIT_DEPTHS.get((stem.shape[0], depths))
    if name is None:
        raise CheckpointError(
            f'{path}: no MiT-B0..B5 encoder in it (blocks per stage {depths}), nor a ResNet-V1c; '
            'importable are HRDA, DAFormer and MIC checkpoints with these, and mit_b*.pth'
        )
    return name


def _architecture(
    tensors: Mapping[str, Tensor], encoder: str, classes: ClassSet, path: str | Path
) -> Architecture:
    """Read the sizes off the tensors."""
    multi = any(name.startswith('decode_head.scale_attention.') for name in tensors)
    head = 'decode_head.head.' if multi else 'decode_head.'
    if encoder in RESNET_BLOCKS.values():
        return _dilated_architecture(tensors, encoder, head, classes, path)
    try:
        outputs, width = tensors[f'{head}conv_seg.weight'].shape[:2]
        embed = tensors[f'{head}embed_layers.0.proj.weight'].shape[0]
        if f'{head}fuse_layer.aspp_modules.1.depthwise_conv.conv.weight' not in tensors:
            raise CheckpointError(f'{path}: its decoder is not the separable-ASPP DAFormer head')
        attention: Literal['classwise', 'single', 'none'] = 'none'
        attention_embed = embed
        if multi:
            prefix = 'decode_head.scale_attention.'
            rows = tensors[f'{prefix}conv_seg.weight'].shape[0]
            attention = 'classwise' if rows == outputs else 'single'
            attention_embed = tensors[f'{prefix}embed_layers.0.proj.weight'].shape[0]
    except KeyError as error:
        raise CheckpointError(f'{path}: its decoder lacks {error}') from error
    _check_outputs(outputs, classes, path)
    architecture = Architecture(encoder, width, embed, attention_embed, attention)
    if multi:
        return architecture
    # DAFormer was trained and tested on images of half the size, each seen as a whole.
    return replace(architecture, context_size=512, mode='whole', image_scale=0.5)


def _dilated_architecture(
    tensors: Mapping[str, Tensor], encoder: str, head: str, classes: ClassSet, path: str | Path
) -> Architecture:
    """A ResNet with the two-dilation DeepLabV2 head, tested on whole images (spec 2.4)."""
    branches = sorted(n for n in tensors if re.match(rf'{head}aspp_modules\.\d\.conv\.weight', n))
    if len(branches) != len(DEEPLAB_DILATIONS):
        raise CheckpointError(
            f'{path}: its decoder is not the DeepLabV2 head with {len(DEEPLAB_DILATIONS)} '
            f'dilations (it has {len(branches)} dilated convolutions)'
        )
    _check_outputs(tensors[branches[0]].shape[0], classes, path)
    attention = tensors.get('decode_head.scale_attention.aspp_modules.0.conv.weight')
    architecture = Architecture(encoder, head='deeplab_v2', mode='whole')
    if attention is None:
        return replace(architecture, attention='none', context_size=512, image_scale=0.5)
    rows = attention.shape[0]
    return replace(architecture, attention='classwise' if rows == len(classes) else 'single')


def _check_outputs(outputs: int, classes: ClassSet, path: str | Path) -> None:
    if outputs != len(classes):
        raise CheckpointError(
            f'{path}: predicts {outputs} classes, class set {classes.name!r} has {len(classes)}; '
            'name the right one with --classes'
        )


def _rename(name: str, rules: _Rules) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _encoder_tensor(published: str) -> str:
    return 'body.' + _rename(published, _ENCODER_RULES)


def local_name(published: str) -> str:
    """Name here of a published model tensor, such as decode_head.head.conv_seg.weight."""
    if published.startswith('backbone.'):
        return 'encoder.' + _encoder_tensor(published.removeprefix('backbone.'))
    if published.startswith('decode_head.scale_attention.'):
        name = published.removeprefix('decode_head.scale_attention.')
        return 'attention_head.' + _rename(name, _HEAD_RULES)
    name = published.removeprefix('decode_head.').removeprefix('head.')
    return 'head.' + _rename(name, _HEAD_RULES)


def _import_encoder(
    path: str | Path, output: str | Path, tensors: dict[str, Tensor], name: str, strict: bool
) -> KeyReport:
    classifier = tuple(f'backbone.{n}.{kind}' for n in ('head', 'fc') for kind in _PARAMETERS)
    encoder = Encoder(name)
    plain = {n.removeprefix('backbone.'): t for n, t in tensors.items() if n not in classifier}
    renamed = {_encoder_tensor(n): n for n in plain}
    report = _load(encoder, {new: plain[old] for new, old in renamed.items()}, renamed)
    _check(report, path, strict)
    metadata = {'format': ENCODER_FORMAT, 'encoder': name, 'licence': LICENCE}
    write_safetensors(output, encoder.state_dict(), metadata)
    return report


def _load(model: HRDA | Encoder, tensors: dict[str, Tensor], origin: dict[str, str]) -> KeyReport:
    """Load what fits; names in the report are those of the file, where it has them."""
    own = model.state_dict()
    fitting = {n: t for n, t in tensors.items() if n in own and own[n].shape == t.shape}
    model.load_state_dict(fitting, strict=False)
    return KeyReport(
        matched=tuple(origin[name] for name in fitting),
        missing=tuple(name for name in own if name not in fitting),
        unexpected=tuple(origin[name] for name in tensors if name not in fitting),
        notes=(f'These weights are for research only: {LICENCE.partition(": ")[2]}.',),
    )


def _check(report: KeyReport, path: str | Path, strict: bool) -> None:
    if strict and (report.missing or report.unexpected):
        raise CheckpointError(f'{path}: does not match.\n{report}\nTake what fits: --no-strict')
