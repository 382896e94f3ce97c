# SPDX-License-Identifier: Apache-2.0
"""The five actions. Arrays of actions are (..., 5) in the order of `ACTIONS`, in the action's own unit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Action:
    """One action: `name` is the actuator's name (topics, services, files), `field` its name in messages and arrays.

    `low` and `high` are the reference site's range; another site's stands in its site file (`Site.action_bounds`).
    """

    name: str
    field: str
    unit: str
    low: float
    high: float
    description: str


BATTERY = Action("battery", "battery_power_kw", "kW", -10.0, 10.0, "battery power, charging positive")
PUMP = Action("pump", "pump_speed_percent", "%", 0.0, 100.0, "speed of the irrigation pump")
LED = Action("led", "led_intensity_percent", "%", 0.0, 100.0, "intensity of the grow lights")
HVAC = Action("hvac", "hvac_setpoint_celsius", "degC", 15.0, 30.0, "air temperature setpoint")
VALVE = Action("valve", "co2_valve_percent", "%", 0.0, 100.0, "CO2 valve, exhaust to greenhouse")

ACTIONS = (BATTERY, PUMP, LED, HVAC, VALVE)
ACTION_NAMES = tuple(action.name for action in ACTIONS)
ACTION_INDEX = {name: index for index, name in enumerate(ACTION_NAMES)}


# Who asked for a command. The numbers are those of msg/ActuatorCommand.msg.
SOURCES = ("UNKNOWN", "POLICY", "OVERRIDE", "SAFE_PROGRAMME", "OPERATOR")
