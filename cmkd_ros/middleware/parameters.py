# SPDX-License-Identifier: Apache-2.0
"""ROS parameters from a dataclass of `contract.quantities`: declared, described, checked, rebuilt on every change."""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException, ParameterUninitializedException
from rclpy.node import Node
from rclpy.parameter import Parameter

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.quantities import check, quantity

T = TypeVar("T")
_TYPES = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
}


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    """What every node of the farm can be told."""

    autostart: bool = quantity(
        True,
        description="true: configures and activates itself, again and again until it succeeds; "
        "false: a lifecycle manager such as nav2's does it",
        read_only=True,
    )
    site: str = quantity("demo", description="site file, or the name of a shipped one", read_only=True)
    modbus_port: int = quantity(
        0,
        description="moves a simulated site's buses and sensors to ports from here on; 0: as the site file says",
        low=0,
        high=65535,
        read_only=True,
    )
    speed: float = quantity(
        1.0,
        description="seconds of ROS time that pass in a second; wall-clock deadlines follow it",
        low=0.01,
        high=1e4,
        read_only=True,
    )

    def __post_init__(self) -> None:
        check(self)


class Parameters(Generic[T]):
    """The parameters of one node. `values` is the dataclass as it stands now; `changed` is called after every change.

    Raises `ConfigurationError` where a value given at start has the wrong type or is out of range.
    """

    def __init__(self, node: Node, cls: type[T], changed: Callable[[], None] = lambda: None):
        self._node, self._changed = node, changed
        types = typing.get_type_hints(cls)
        self._types = {field.name: types[field.name] for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        given, faults = {}, []
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            try:
                given[field.name] = _declare(node, field, self._types[field.name])
            except ParameterUninitializedException:
                faults.append(f"{field.name}: missing ({field.metadata.get('description', '')})")
            except (ParameterException, ValueError) as error:
                faults.append(f"{field.name}: {error}")
        if faults:
            raise ConfigurationError(f"parameters of {node.get_fully_qualified_name()}", faults)
        self.values: T = cls(**given)
        node.add_pre_set_parameters_callback(self._whole_numbers_are_numbers)
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._take)

    def _whole_numbers_are_numbers(self, parameters: list[Parameter]) -> list[Parameter]:
        # `ros2 param set /farm/camera rate_hz 10` sends an integer.
        return [
            Parameter(item.name, Parameter.Type.DOUBLE, float(item.value))
            if self._types.get(item.name) is float and item.type_ == Parameter.Type.INTEGER
            else item
            for item in parameters
        ]

    def _replaced(self, parameters: list[Parameter]) -> T:
        known = {item.name: item.value for item in parameters if item.name in self._types}
        return dataclasses.replace(self.values, **known)  # type: ignore[type-var]

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        try:
            self._replaced(parameters)
        except ConfigurationError as error:
            return SetParametersResult(successful=False, reason="; ".join(error.faults))
        return SetParametersResult(successful=True)

    def _take(self, parameters: list[Parameter]) -> None:
        self.values = self._replaced(parameters)
        self._changed()


def _declare(node: Node, field: dataclasses.Field[Any], kind: Any) -> Any:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    descriptor = _descriptor(field, kind)
    if node.has_parameter(field.name):
        pass  # rclpy's own use_sim_time
    elif default is dataclasses.MISSING:
        node.declare_parameter(field.name, _TYPES[kind], descriptor)
    else:
        node.declare_parameter(field.name, default, descriptor)
    value = node.get_parameter(field.name).value
    return list(value) if typing.get_origin(kind) is list else value


def _descriptor(field: dataclasses.Field[Any], kind: Any) -> ParameterDescriptor:
    facts = field.metadata
    description = facts.get("description", "")
    if facts.get("unit"):
        description += f" [{facts['unit']}]"
    if facts.get("choices"):
        description += f"; one of {', '.join(facts['choices'])}"
    descriptor = ParameterDescriptor(
        name=field.name, description=description, read_only=bool(facts.get("read_only", False))
    )
    low, high = facts.get("low"), facts.get("high")
    if kind is float and (low is not None or high is not None):
        limit = sys.float_info.max
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=-limit if low is None else float(low), to_value=limit if high is None else float(high)
            )
        ]
    if kind is int and (low is not None or high is not None):
        descriptor.integer_range = [
            IntegerRange(
                from_value=-(2**63) if low is None else int(low), to_value=2**63 - 1 if high is None else int(high)
            )
        ]
    return descriptor
