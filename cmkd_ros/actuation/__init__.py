# SPDX-License-Identifier: Apache-2.0
"""One actuator's logic: units, ramp, staleness, safe programme, read-back. One class, five configurations."""

from cmkd_ros.actuation.actuator import Actuator, ActuatorOptions, Answer, Proposal, Status
from cmkd_ros.actuation.watchdog import Watchdog

__all__ = ["Actuator", "ActuatorOptions", "Answer", "Proposal", "Status", "Watchdog"]
