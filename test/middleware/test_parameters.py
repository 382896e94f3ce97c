# SPDX-License-Identifier: Apache-2.0
"""One dataclass declaration becomes ROS parameters that describe themselves and refuse what cannot be used."""

import math
from dataclasses import dataclass

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")

import rclpy
from rclpy.parameter import Parameter

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.quantities import check, quantity
from cmkd_ros.middleware.bringup import FarmOptions
from cmkd_ros.middleware.parameters import Parameters


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One of each kind."""

    rate_hz: float = quantity(1.0, description="frames a second", unit="Hz", low=0.1, high=30)
    width: int = quantity(640, description="of a frame", unit="px", low=1, high=8192)
    top: float = quantity(0.0, description="no lower bound", high=5.0)
    mode: str = quantity("a", description="how", choices=("a", "b"))
    fixed: bool = quantity(True, description="not while running", read_only=True)
    hours: list[int] = quantity([7, 8], description="of the day")

    def __post_init__(self) -> None:
        check(self)
        if self.mode == "b" and self.width > 1000:
            raise ConfigurationError("Settings", ["mode b takes a width of 1000 px at most"])


@dataclass(frozen=True, kw_only=True)
class Needy:
    """Has a field without a default."""

    actuator: str = quantity(description="which one", choices=("pump", "led"))


@pytest.fixture
def node(ros):
    return ros.node("subject")


def test_defaults_and_descriptions(node):
    parameters = Parameters(node, Settings)
    assert parameters.values == Settings()
    rate, width, top = (node.describe_parameter(name) for name in ("rate_hz", "width", "top"))
    assert rate.description == "frames a second [Hz]"
    assert (rate.floating_point_range[0].from_value, rate.floating_point_range[0].to_value) == (0.1, 30.0)
    assert (width.integer_range[0].from_value, width.integer_range[0].to_value) == (1, 8192)
    assert top.floating_point_range[0].from_value < -1e300 and top.floating_point_range[0].to_value == 5.0
    assert node.describe_parameter("mode").description.endswith("one of a, b")
    assert node.describe_parameter("fixed").read_only


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("rate_hz", 31.0, "range"),
        ("rate_hz", math.nan, "nan"),
        ("rate_hz", "fast", "type"),
        ("width", 0, "range"),
        ("width", 1.5, "type"),
        ("mode", "c", "one of a, b"),
        ("fixed", False, "read-only"),
    ],
)
def test_a_change_that_cannot_be_used_is_refused_and_nothing_changes(node, name, value, says):
    parameters = Parameters(node, Settings)
    result = node.set_parameters([Parameter(name, value=value)])[0]
    assert not result.successful and says in result.reason
    assert parameters.values == Settings()


def test_a_change_is_taken_at_once_and_whole_numbers_will_do(node):
    changes = []
    parameters = Parameters(node, Settings, lambda: changes.append(parameters.values.rate_hz))
    assert node.set_parameters([Parameter("rate_hz", value=10)])[0].successful
    assert parameters.values == Settings(rate_hz=10.0) and changes == [10.0]


def test_fields_that_only_contradict_together_are_judged_together(node):
    parameters = Parameters(node, Settings)
    both = [Parameter("mode", value="b"), Parameter("width", value=2000)]
    assert "1000 px" in node.set_parameters_atomically(both).reason
    assert parameters.values == Settings()


def test_all_faults_at_start_are_told_at_once(ros):
    overrides = [Parameter("rate_hz", value=100.0), Parameter("width", value="wide")]
    node = rclpy.create_node("subject", context=ros.context, parameter_overrides=overrides)
    with pytest.raises(ConfigurationError) as caught:
        Parameters(node, Settings)
    node.destroy_node()
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["rate_hz", "width"]


def test_a_value_that_must_be_given(ros, node):
    with pytest.raises(ConfigurationError, match="actuator: missing"):
        Parameters(node, Needy)
    given = ros.node("given", parameter_overrides=[Parameter("actuator", value="led")])
    assert Parameters(given, Needy).values.actuator == "led"


def test_rclpy_s_own_use_sim_time_may_be_a_field(ros):
    node = ros.node("farm", parameter_overrides=[Parameter("use_sim_time", value=True)])
    assert Parameters(node, FarmOptions).values.use_sim_time
