# SPDX-License-Identifier: Apache-2.0
"""HVAC setpoint: warm in the light, cool in the dark, moved by the air's dryness and, a little, by the price."""

from __future__ import annotations

import numpy as np

from cmkd_ros.physics.air import vapour_pressure_deficit_kpa
from cmkd_ros.policy.rules.outlook import Outlook
from cmkd_ros.policy.rules.reading import Reading, Values, first_known
from cmkd_ros.policy.rules.settings import RuleSettings
from cmkd_ros.site import Site

NEAR_HOT_CELSIUS = 2.0

# A heat pump that heats near its setpoint runs at its lowest load and dries nothing; then vents let damp air out, which
# takes less than drying it where the air outside is cold. It starts to heat well below a setpoint only.
LOWEST_LOAD = 0.25  # of its power
DRIES_ABOVE, RUNS_ABOVE = 1.35, 0.8  # of its lowest power: what the meter shows
STARTS_K, HOLDS_K = 0.9, 0.1
DAMP_PERCENT = 78.0


def climate(reading: Reading, outlook: Outlook, lit: Values, site: Site, settings: RuleSettings) -> Values:
    """Air temperature setpoint (B,) in degC. `lit` is the light at the canopy, umol/m2/s, always known.

    Damp air is warmed and dry air cooled a little; unknown humidity moves nothing. In the dearest hours the setpoint
    gives way to where the room drifts anyway: up while lamps heat it, down on cold nights.
    """
    dark, shift = settings.dark_celsius, settings.moist_shift_celsius
    share = np.clip(lit / settings.fully_lit, 0.0, 1.0)
    setpoint = dark + (settings.lit_celsius - dark) * share

    deficit = vapour_pressure_deficit_kpa(reading.air_temperature, reading.humidity)
    damp, dry = deficit < settings.damp_kpa, deficit > settings.dry_kpa
    setpoint = setpoint + np.where(damp, shift, 0.0) - np.where(dry, shift, 0.0)

    low, high = outlook.import_price.min(axis=1), outlook.import_price.max(axis=1)
    dearness = np.clip((outlook.import_price[:, 0] - low) / np.maximum(high - low, 0.02) * 2.0 - 1.0, 0.0, 1.0)
    heating = first_known(reading.outdoor_temperature, settings.mild_celsius) < settings.mild_celsius
    drift = np.where(share > 0.5, 1.0, np.where(heating, -1.0, 0.0))
    setpoint = setpoint + settings.price_shift_celsius * dearness * drift

    setpoint = _aired(reading, setpoint, share, site, settings)
    near_hot = reading.air_temperature > site.hvac.hot_temperature_celsius - NEAR_HOT_CELSIUS
    return np.where(near_hot, dark, setpoint)


def _aired(reading: Reading, setpoint: Values, share: Values, site: Site, settings: RuleSettings) -> Values:
    """The setpoint that makes the heat pump heat, in damp dark rooms with cold air outside; unknown: as it is."""
    air = reading.air_temperature
    lowest_kw = LOWEST_LOAD * site.hvac.power_kw
    wanted = (
        (settings.airing > 0.5)
        & (share == 0.0)
        & (reading.humidity > DAMP_PERCENT)
        & (reading.outdoor_temperature < settings.airing_outdoor_celsius)
        & (air < settings.dark_celsius + settings.airing_span_celsius)
    )
    heats = (reading.hvac_kw > RUNS_ABOVE * lowest_kw) & (reading.hvac_kw < DRIES_ABOVE * lowest_kw)
    held = np.minimum(np.maximum(setpoint, air - HOLDS_K), air + HOLDS_K)
    return np.where(
        wanted, np.where(heats, held, np.where(np.isnan(reading.hvac_kw), setpoint, air + STARTS_K)), setpoint
    )
