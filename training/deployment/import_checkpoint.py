"""Turn a published HRDA, DAFormer or MIC checkpoint into one that this project reads.

Usage: hrda import OFFICIAL.pth -o X.safetensors [--teacher]
"""

from __future__ import annotations

import sys

from jsonargparse import ArgumentParser, Namespace


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `hrda import`."""
    parser.add_argument('checkpoint', type=str, help='published .pth or .safetensors file')
    parser.add_argument('-o', '--output', required=True, help='the .safetensors file to write')
    role = parser.add_mutually_exclusive_group()
    role.add_argument(
        '--student', action='store_true', help='take the evaluated network (this is the default)'
    )
    role.add_argument('--teacher', action='store_true', help='take the averaged teacher instead')
    parser.add_argument(
        '--classes', default='cityscapes', help='cityscapes, synthia, or a class file (YAML)'
    )
    parser.add_argument(
        '--no-strict',
        action='store_true',
        help='write what matched even when tensors are missing or left over',
    )


def run(args: Namespace) -> int:
    """Convert the file and print what became of its tensors."""
    from hrda_core.classes import resolve_classes
    from hrda_core.published import import_published
    from training.whole_files import check_writable

    check_writable(args.output)
    report = import_published(
        args.checkpoint,
        args.output,
        role='teacher' if args.teacher else 'student',
        classes=resolve_classes(args.classes),
        strict=not args.no_strict,
    )
    print(report)
    print(f'wrote {args.output}', file=sys.stderr)
    return 0
