"""Write a network as ONNX files, for onnxruntime or TensorRT instead of torch.

Usage: hrda export X.safetensors [-o DIR] [--precision fp16]

Without -o the files go where backend=onnx and backend=tensorrt look for them: into X.onnx/ beside
X.safetensors. They take images of any number and size. context.onnx gives logits and attention
of a whole, shrunk image, detail.onnx logits of windows; export.json tells what they were made
from. Both are compared with torch before they appear.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from jsonargparse import ArgumentParser, Namespace

from hrda_core.checkpoints import load_model
from hrda_core.exported import (
    CONTEXT,
    MANIFEST,
    PRECISIONS,
    Export,
    digest,
    export_folder,
    files_of,
)
from hrda_core.hrda import HRDA
from hrda_core.onnx_engine import CPU_PROVIDER, OnnxFile
from training.benchmark.pictures import made_up_image
from training.deployment.onnx_files import compare, write_network
from training.versions import package_version
from training.whole_files import check_writable, whole_folder

PACKAGES = ('hrda_ros', 'torch', 'timm', 'onnx', 'onnxruntime')


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda export`."""
    parser.add_argument('checkpoint', type=str, help='the .safetensors file to export')
    parser.add_argument(
        '-o', '--output', metavar='DIR', help='folder for the files; X.onnx beside X.safetensors'
    )
    parser.add_argument(
        '--precision',
        choices=PRECISIONS,
        default='fp32',
        help='what products are computed in; fp16 is for GPUs',
    )


def run(args: Namespace) -> int:
    """Write the files and tell how near they come to torch."""
    _check_packages()
    model = load_model(args.checkpoint)
    target = export_folder(model, args.output or '')
    _check_target(target)
    with whole_folder(target) as folder:
        folder.mkdir()
        export = export_network(model, folder, args.precision)
    for name, agreement in export.agreement.items():
        print(f'{name}: {agreement}')
    print(f'wrote {target}' + (f'; licence: {export.licence}' if export.licence else ''))
    return 0


def export_network(model: HRDA, folder: Path, precision: str) -> Export:
    """Fill a folder with the files of a network.

    Args:
        model: the network, on the CPU.
        folder: exists.
        precision: fp32 or fp16.

    Raises:
        ValueError: it cannot be exported, or what came out computes something else.
    """
    agreement = {}
    for name in files_of(model):
        file = folder / name
        write_network(model, name, file, precision)
        computed = OnnxFile(file, torch.device('cpu'), [CPU_PROVIDER], 'onnx')
        found = compare(model, name, computed, made_up_image(0, (_side(model, name),) * 2))
        if not found.within(precision):
            raise ValueError(
                f'{name} in {precision} computes something else than torch: {found}; nothing was '
                'written'
            )
        agreement[name] = str(found)
    export = Export(
        digest(model),
        precision,
        agreement,
        json.loads(model.architecture.to_json()),
        model.classes.to_dict(),
        {name: package_version(name) for name in PACKAGES},
        model.metadata.get('licence'),
    )
    (folder / MANIFEST).write_text(export.to_json())
    return export


def _side(model: HRDA, name: str) -> int:
    """Side of a square as the network was trained on [px]."""
    architecture = model.architecture
    if name != CONTEXT:
        return architecture.detail_size
    scale = architecture.context_scale if architecture.multi_resolution else 1.0
    return int(architecture.context_size * scale)


def _check_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f'needs the Python packages onnx and onnxruntime ({error}): '
            'pip install "hrda_ros[onnx]"'
        ) from error


def _check_target(target: Path) -> None:
    """ValueError where something else than an earlier export would be replaced."""
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise ValueError(f'{target} holds other files, which stay; name a new folder with -o')
    check_writable(target, folder=True)
