# SPDX-License-Identifier: Apache-2.0
"""What the meters say, and what may be believed: known, in range, fresh. And what a site does not meter, in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.telemetry import CHANNEL_NAMES, CHANNELS
from cmkd_ros.safety.options import EnvelopeOptions
from cmkd_ros.site import Site

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_INDEX = {name: index for index, name in enumerate(CHANNEL_NAMES)}


@dataclass(frozen=True)
class Meters:
    """Readings in the order of `contract.telemetry.CHANNEL_NAMES`. Not known: NaN value, or infinite age."""

    values: Floats  # (B, C) in the channels' units
    ages_s: Floats  # (B, C)

    @classmethod
    def unknown(cls, batch: int) -> Meters:
        """Nothing known."""
        return cls(np.full((batch, len(CHANNELS)), np.nan), np.full((batch, len(CHANNELS)), np.inf))

    @classmethod
    def of(cls, batch: int = 1, age_s: float = 0.0, **values: float) -> Meters:
        """The same known readings by channel name for every farm, all `age_s` old; the rest not known."""
        meters = cls.unknown(batch)
        for name, value in values.items():
            meters.values[:, _INDEX[name]] = value
            meters.ages_s[:, _INDEX[name]] = age_s
        return meters


class Trust:
    """Which readings of a site count. A channel that the site does not list never does."""

    def __init__(self, site: Site, options: EnvelopeOptions) -> None:
        self.listed = frozenset(site.meters)
        self._low = np.array([channel.low for channel in CHANNELS])
        self._high = np.array([channel.high for channel in CHANNELS])
        self._oldest = np.full(len(CHANNELS), -np.inf)
        for name, meter in site.meters.items():
            self._oldest[_INDEX[name]] = max(meter.max_age_s, options.meter_age_floor_s)
        self._newest = -options.future_tolerance_s

    def read(self, meters: Meters) -> Readings:
        """Judge every reading once. NaN compares false, so it is not known."""
        values = np.asarray(meters.values, dtype=np.float64)
        ages = np.asarray(meters.ages_s, dtype=np.float64)
        known = (values >= self._low) & (values <= self._high) & (ages <= self._oldest) & (ages >= self._newest)
        return Readings(self.listed, np.where(known, values, 0.0), np.where(known, np.maximum(ages, 0.0), 0.0), known)


class Readings:
    """Judged readings. Ask `lists` first: a channel that is listed and not known makes its interlock safe."""

    def __init__(self, listed: frozenset[str], values: Floats, ages_s: Floats, known: Bools) -> None:
        self._listed, self._values, self._ages_s, self._known = listed, values, ages_s, known

    def lists(self, *channels: str) -> bool:
        """Whether the site has all these meters."""
        return self._listed.issuperset(channels)

    def value(self, channel: str) -> Floats:
        """(B,), 0 where not known."""
        return self._values[:, _INDEX[channel]]

    def age_s(self, channel: str) -> Floats:
        """(B,), 0 where not known."""
        return self._ages_s[:, _INDEX[channel]]

    def known(self, channel: str) -> Bools:
        """(B,)."""
        return self._known[:, _INDEX[channel]]


def unmetered(site: Site) -> list[str]:
    """The protections that this site lacks for want of a listed meter, a plain sentence each, for /diagnostics."""
    missing = [
        (("co2_ppm",), "no CO2 meter: nothing closes the CO2 valve or dims the LEDs when CO2 is dangerous"),
        (("air_temperature_celsius",), "no air thermometer: nothing closes the CO2 valve or dims the LEDs in heat"),
        (
            ("battery_state_of_charge_percent",),
            "no state of charge: only the battery itself ends a charge or discharge",
        ),
        (("battery_temperature_celsius",), "no battery thermometer: only the battery itself stops when it is hot"),
        (("pv_power_kw",), "no PV meter: the shared inverter's limit is not kept here"),
        (("tank_level_switch",), "no level switch: an empty tank is noticed only after the pump has started"),
        (("pump_flow_m3_per_h",), "no flow meter at the pump"),
        (("pump_suction_pressure_bar",), "no suction pressure: cavitation is not noticed by the envelope"),
        (("hvac_power_kw",), "no heat pump power: starts of the compressor are bounded by setpoint reversals alone"),
    ]
    sentences = [sentence for channels, sentence in missing if not set(channels) <= set(site.meters)]
    if not {"pump_flow_m3_per_h", "pump_suction_pressure_bar"} & set(site.meters):
        top = min(site.pump.max_speed_unmetered_percent, site.pump.max_speed_percent)
        sentences.append(f"neither flow nor suction pressure: the pump runs at {top:g} % at most")
        if "pump_power_kw" not in site.meters:
            sentences.append("no pump power either: dry running is not noticed at all")
    pairs = ({"load_power_kw", "pv_power_kw"}, {"grid_power_kw", "battery_power_kw"})
    if not any(pair <= set(site.meters) for pair in pairs):
        sentences.append("neither load and PV nor grid and battery power: the grid limits are not kept here")
    return sentences
