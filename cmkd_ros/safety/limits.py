# SPDX-License-Identifier: Apache-2.0
"""The limits by name, in their order: where two conflict, the earlier class holds. docs/safety.md has the same list."""

from dataclasses import dataclass

# Which class gives way to which: an earlier one is never given up for a later one.
ORDER = ("proposal", "people", "equipment", "grid", "crop")


@dataclass(frozen=True)
class Limit:
    """One limit: its class in `ORDER`, the unit of its `unmet` (empty: it can always be met), and what it does."""

    name: str
    order: str
    unit: str
    description: str


LIMITS = (
    Limit("stale", "proposal", "", "no proposal, or an old one: that actuator's safe programme runs"),
    Limit("future_stamp", "proposal", "", "a proposal from the future: that actuator's safe programme runs"),
    Limit("not_finite", "proposal", "", "a proposal that is no number: that actuator's safe programme runs"),
    Limit("co2", "people", "ppm", "much CO2 in the room, or its meter is stale: the CO2 valve is closed"),
    Limit("co2_alarm", "people", "ppm", "dangerous CO2, or its meter is stale: the LEDs are capped too"),
    Limit(
        "heat",
        "people",
        "degC",
        "too hot, or the thermometer is stale: valve closed, LEDs and setpoint capped",
    ),
    Limit("range", "equipment", "", "lowest and highest value; a pump below its slowest speed is off"),
    Limit("ramp", "equipment", "", "fastest change away from the safe side; towards it is immediate"),
    Limit("tank_level", "equipment", "", "the tank is empty, or its level switch is stale: the pump is off"),
    Limit("dry_run", "equipment", "", "flow (or electrical power) too low for the speed, or stale: the pump is off"),
    Limit("cavitation", "equipment", "", "suction pressure too low, or stale: the pump is off"),
    Limit("unmetered_speed", "equipment", "", "neither flow nor pressure is metered: the pump's top speed is lower"),
    Limit("battery_temperature", "equipment", "degC", "battery too hot, or its thermometer is stale: no power"),
    Limit("state_of_charge", "equipment", "", "no charge when full, no discharge when empty, neither when stale"),
    Limit("inverter", "equipment", "kW", "|PV - battery charge| within the shared inverter; PV stale: battery 0 kW"),
    Limit("pump_min_on", "equipment", "s", "shortest run of the pump"),
    Limit("pump_min_off", "equipment", "", "shortest pause of the pump"),
    Limit("pump_starts", "equipment", "", "starts of the pump in any hour"),
    Limit("compressor", "equipment", "degC", "shortest run and pause: the setpoint does not turn back yet"),
    Limit(
        "compressor_starts",
        "equipment",
        "degC",
        "starts in any hour: the setpoint does not turn back yet",
    ),
    Limit("grid_import", "grid", "kW", "contracted import: the battery helps first, then the LEDs are dimmed"),
    Limit("grid_export", "grid", "kW", "export cap: the battery discharges less or charges"),
    Limit("irrigation", "crop", "s", "minimum irrigation: the pump runs when it is due"),
)
LIMIT_NAMES = tuple(limit.name for limit in LIMITS)
LIMIT_INDEX = {name: index for index, name in enumerate(LIMIT_NAMES)}
