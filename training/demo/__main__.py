"""The demo: `python -m training.demo --output demo --ros-python .venv-ros/bin/python`."""

from __future__ import annotations

import sys
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from dataclasses import fields
from pathlib import Path

from training.demo.run import CommandFailed, Demo, DemoSettings
from training.ros_processes import LiveError


def main() -> int:
    """Run the demo; 0, or 1 after an error and 130 after Ctrl-C, told in one sentence."""
    parser = ArgumentParser('training.demo', formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument('--output', type=Path, default=Path('demo'), help='folder for all of it')
    parser.add_argument(
        '--ros-python', type=Path, default=Path(sys.executable), help='finds rclpy and torch'
    )
    for field in fields(DemoSettings):
        kind = type(field.default)
        parser.add_argument(f'--{field.name.replace("_", "-")}', type=kind, default=field.default)
    options = vars(parser.parse_args())
    output, ros_python = options.pop('output'), options.pop('ros_python')
    try:
        Demo(output, ros_python, DemoSettings(**options)).run()
    except (LiveError, CommandFailed, ValueError, OSError) as error:
        print(f'demo: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('demo: interrupted; the same command goes on from here', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
