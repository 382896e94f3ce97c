# SPDX-License-Identifier: Apache-2.0
"""The receding-horizon planner: forecasts, a linear programme of the next two days, and the policy that does its first
step. `programme` holds the mathematics, `growth` and `room` the straight lines through the farm's physics."""

from cmkd_ros.policy.planner.forecast import Ahead, Forecaster, Persistence
from cmkd_ros.policy.planner.health import Health, Running
from cmkd_ros.policy.planner.planner import Planner

__all__ = ["Ahead", "Forecaster", "Health", "Persistence", "Planner", "Running"]
