"""Settings as parameters of a node: described, checked, read-only where a restart is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from hrda_ros.process import StartError
from hrda_ros.settings import coerce, nearest, table_of

Kind = TypeVar('Kind')
OWNED_BY_ROS = ('use_sim_time', 'start_type_description_service', 'qos_overrides.')


class NodeParameters(Generic[Kind]):
    """Declares every setting on a node and reads them back.

    The node must have been made with automatically_declare_parameters_from_overrides=True: only
    so can a value of a neighbouring type (1 for 1.0) be mended instead of ending the process,
    and a misspelt name be reported instead of ignored.

    Args:
        node: gets the parameters.
        kind: dataclass of settings, whose fields are made by `setting`.
        checks: by name, what raises ValueError for a new value that passes all other checks.

    Raises:
        StartError: a value from the command line or a parameter file is refused.
    """

    def __init__(
        self,
        node: Node,
        kind: type[Kind],
        checks: Mapping[str, Callable[[Any], None]] = MappingProxyType({}),
    ) -> None:
        self._node, self._kind, self._checks = node, kind, checks
        self._table = table = table_of(kind)
        maps = {name: text for name in table if (text := _withdraw_map(node, name))}
        given = {name: _withdraw(node, name) for name in table if node.has_parameter(name)}
        given |= {name: text for name, text in maps.items() if given.get(name, '') == ''}
        for name, item in table.items():
            try:
                value = coerce(name, given.get(name, item.default), table)
            except ValueError as error:
                raise StartError(f'parameter {error}') from error
            plain = list(value) if isinstance(value, tuple) else value
            node.declare_parameter(name, plain, _descriptor(item), ignore_override=True)
        self._warn_of_unknown()
        if hasattr(node, 'add_pre_set_parameters_callback'):  # not in Humble
            node.add_pre_set_parameters_callback(self._mend_types)
        node.add_on_set_parameters_callback(self._check)

    def read(self) -> Kind:
        """The values as they are now; safe from any thread."""
        values = {name: self._node.get_parameter(name).value for name in self._table}
        return self._kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def _warn_of_unknown(self) -> None:
        for name in self._node.get_parameters_by_prefix(''):
            if name not in self._table and not name.startswith(OWNED_BY_ROS):
                self._node.get_logger().warning(
                    f'parameter {name} is unknown and has no effect{nearest(name, self._table)}'
                )

    def _mend_types(self, parameters: list[Parameter]) -> list[Parameter]:
        """Let `ros2 param set ... overlay_alpha 1` mean 1.0; everything else stays as it came."""
        return [
            Parameter(item.name, value=float(item.value))
            if item.type_ is Parameter.Type.INTEGER
            and item.name in self._table
            and isinstance(self._table[item.name].default, float)
            else item
            for item in parameters
        ]

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        for item in parameters:
            if item.name in self._table:
                try:
                    value = coerce(item.name, item.value, self._table)
                    if item.name in self._checks:
                        self._checks[item.name](value)
                except ValueError as error:
                    return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


@contextmanager
def values_explained() -> Iterator[None]:
    """Within, a node may be made: StartError where rclpy has no type for a parameter's value."""
    try:
        yield
    except ValueError as error:
        if 'PARAMETER_NOT_SET' not in str(error):
            raise
        raise StartError(
            'a parameter is an empty list, which has no type in ROS 2: leave it out, or write '
            "[''] (cameras: [''] is one camera)"
        ) from error


def _withdraw(node: Node, name: str) -> Any:
    value = node.get_parameter(name).value
    node.undeclare_parameter(name)
    return value


def _withdraw_map(node: Node, name: str) -> str:
    """What a parameter file gives as a map, which ROS takes for parameters `name.key`, as text.

    Returns:
        'key=value, key=value'; '' if there is no map.
    """
    items = node.get_parameters_by_prefix(name)
    for key in items:
        node.undeclare_parameter(f'{name}.{key}')
    return ', '.join(f'{key}={item.value}' for key, item in items.items())


def _descriptor(item: Field[Any]) -> ParameterDescriptor:
    details = item.metadata
    descriptor = ParameterDescriptor(
        description=details['description'], read_only=not details['live']
    )
    if details['choices']:
        descriptor.additional_constraints = 'one of ' + ', '.join(details['choices'])
    if details['bounds']:
        low, high = details['bounds']
        if isinstance(item.default, int):
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
            return descriptor
        # A step other than 0 makes sliders send values that are then refused (rqt#264).
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=low, to_value=high, step=0.0)
        ]
    return descriptor
