"""The life of a process that is one node: arguments, spinning, a clean end."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn, Protocol

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from hrda_ros.parameters import values_explained
from hrda_ros.process import own_arguments, quiet_signals

SIGNAL_POLL_S = 0.1


class ClosableNode(Protocol):
    """A node that ends its threads and itself."""

    def close(self) -> None:
        """End everything."""


def run_node(
    make_node: Callable[[], ClosableNode], prog: str, description: str, parameters: str
) -> int:
    """Run a node until SIGINT or SIGTERM.

    Args:
        make_node: makes it, once ROS is there.
        prog: name of the program.
        description: what it does, for --help.
        parameters: one per line, for --help.

    Returns:
        The exit code of the process.
    """
    ArgumentParser(
        prog=prog,
        description=description,
        epilog='parameters:\n' + parameters,
        formatter_class=RawDescriptionHelpFormatter,
    ).parse_args(own_arguments())
    with ros_running(), suppress(KeyboardInterrupt):
        with values_explained():
            node = make_node()
        try:
            spin(node)
        finally:
            quiet_signals()
            node.close()
    return 0


@contextmanager
def ros_running() -> Iterator[None]:
    """ROS within, and its end afterwards, which no further signal disturbs."""
    # The handlers of rclpy end the context from a thread of their own, which at times collides
    # with our ending it; those of `process` raise KeyboardInterrupt within.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        yield
    finally:
        quiet_signals()
        rclpy.try_shutdown()


def spin(node: Node) -> NoReturn:
    """Serve a node until a signal is raised as KeyboardInterrupt."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while True:
        executor.spin_once(timeout_sec=SIGNAL_POLL_S)
