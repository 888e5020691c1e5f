"""The services of the segmentation node: `~/enable` and `~/reload`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Thread

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

JOIN_TIMEOUT_S = 1.0


def offer_enable(node: Node) -> None:
    """Offer `~/enable`, which sets the parameter `enabled`."""

    def enable(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        result = node.set_parameters([Parameter('enabled', value=request.data)])[0]
        response.success = result.successful
        response.message = result.reason or f'enabled is {str(request.data).lower()}'
        return response

    node.create_service(SetBool, '~/enable', enable)


class ReloadService:
    """Offers `~/reload` in a thread of its own, because an answer takes seconds.

    A callback of the main executor would keep frames, parameters and diagnostics waiting, so
    the service belongs to a hidden node beside the main one.

    Args:
        node: what the service is named after.
        reload: does it and says what is in use afterwards; whatever it raises is the reason
            why everything stays as it was.
    """

    def __init__(self, node: Node, reload: Callable[[], str]) -> None:
        self._logger = node.get_logger()
        self._reload = reload
        self._hidden = Node(
            f'_{node.get_name()}_reload',
            context=node.context,
            namespace=node.get_namespace(),
            use_global_arguments=False,
            enable_rosout=False,
            start_parameter_services=False,
        )
        name = node.resolve_service_name('~/reload')
        self._hidden.create_service(Trigger, name, self._answer)
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._hidden)
        # A daemon, because the loading of a model cannot be stopped when the process ends.
        self._thread = Thread(target=self._spin, name='reload', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, unless it is still loading."""
        self._executor.shutdown(timeout_sec=JOIN_TIMEOUT_S)
        self._thread.join(JOIN_TIMEOUT_S)
        if not self._thread.is_alive():
            self._hidden.destroy_node()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def _answer(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message = self._reload()
            response.success = True
            self._logger.info(f'reloaded: {response.message}')
        except Exception as error:
            reason = str(error).partition('\n')[0] or type(error).__name__
            response.message = f'the old model stays: {reason}'
            self._logger.error(response.message)
        return response
