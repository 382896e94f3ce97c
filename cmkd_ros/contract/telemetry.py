# SPDX-License-Identifier: Apache-2.0
"""Telemetry channels: what a farm's meters can say. A site lists those it has; the others are NaN (not known).

The order is that of msg/Telemetry.msg, and of every array of channels. Signs: the battery charges at positive power,
the grid imports at positive power. Deviations from REP 103 (kW, kWh, degC, %, ppm, bar, m3/h) are those that meters,
tariffs and growers use; msg/Telemetry.msg lists them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Channel:
    """One telemetry channel with the inclusive range outside which a reading is a fault, not a fact."""

    name: str
    unit: str
    low: float
    high: float
    description: str


CHANNELS = (
    # prices and carbon, copied by the gateway from `market`
    Channel("import_price_eur_per_kwh", "EUR/kWh", -5.0, 10.0, "price of imported energy now"),
    Channel("feed_in_price_eur_per_kwh", "EUR/kWh", -5.0, 10.0, "revenue of exported energy now"),
    Channel("grid_carbon_kg_per_kwh", "kg/kWh", 0.0, 3.0, "carbon intensity of the grid now"),
    # electricity
    Channel("pv_power_kw", "kW", -10.0, 10_000.0, "photovoltaic power, production positive"),
    Channel("load_power_kw", "kW", -1.0, 10_000.0, "consumption of the whole site without the battery"),
    Channel("grid_power_kw", "kW", -10_000.0, 10_000.0, "power at the grid connection, import positive"),
    Channel("grid_import_energy_kwh", "kWh", 0.0, 1e9, "import counter"),
    Channel("grid_export_energy_kwh", "kWh", 0.0, 1e9, "export counter"),
    Channel("grid_peak_power_kw", "kW", 0.0, 10_000.0, "highest 15 min mean import of the calendar month so far"),
    Channel("battery_power_kw", "kW", -10_000.0, 10_000.0, "battery power, charging positive"),
    Channel("battery_state_of_charge_percent", "%", 0.0, 100.0, "battery state of charge"),
    Channel("battery_temperature_celsius", "degC", -40.0, 100.0, "battery temperature"),
    Channel("led_power_kw", "kW", 0.0, 10_000.0, "electrical power of the grow lights"),
    Channel("hvac_power_kw", "kW", 0.0, 10_000.0, "electrical power of the heat pump"),
    # irrigation
    Channel("pump_power_kw", "kW", 0.0, 1_000.0, "electrical power of the irrigation pump"),
    Channel("pump_flow_m3_per_h", "m3/h", -1.0, 10_000.0, "flow of the irrigation pump"),
    Channel("pump_suction_pressure_bar", "bar", -1.0, 100.0, "gauge pressure at the pump's inlet"),
    Channel("pump_discharge_pressure_bar", "bar", -1.0, 1_000.0, "gauge pressure at the pump's outlet"),
    Channel("tank_level_percent", "%", 0.0, 100.0, "level of the nutrient tank"),
    Channel("tank_level_switch", "1", 0.0, 1.0, "level switch of the nutrient tank: 1 wet, 0 dry"),
    Channel("soil_moisture_percent", "%", 0.0, 100.0, "volumetric water content of the substrate"),
    Channel("substrate_temperature_celsius", "degC", -20.0, 60.0, "temperature of the substrate"),
    # climate
    Channel("air_temperature_celsius", "degC", -40.0, 80.0, "air temperature in the growing room"),
    Channel("relative_humidity_percent", "%", 0.0, 100.0, "relative humidity in the growing room"),
    Channel("co2_ppm", "ppm", 0.0, 50_000.0, "CO2 mole fraction in the growing room"),
    Channel(
        "canopy_light_umol_per_m2_s", "umol/m2/s", 0.0, 5_000.0, "photosynthetic photon flux density at the canopy"
    ),
    Channel("outdoor_temperature_celsius", "degC", -60.0, 70.0, "outdoor air temperature"),
    Channel("outdoor_humidity_percent", "%", 0.0, 100.0, "outdoor relative humidity"),
    Channel("wind_speed_m_per_s", "m/s", 0.0, 100.0, "wind speed"),
    Channel("irradiance_w_per_m2", "W/m2", -20.0, 2_000.0, "measured global horizontal irradiance"),
)
CHANNEL_NAMES = tuple(channel.name for channel in CHANNELS)
CHANNEL = {channel.name: channel for channel in CHANNELS}

# The channels that come from `market`, never from a register.
MARKET_CHANNELS = ("import_price_eur_per_kwh", "feed_in_price_eur_per_kwh", "grid_carbon_kg_per_kwh")

# The known (or forecast) future in every telemetry message: one value an hour, the first for the running hour.
HOURS_AHEAD = 24
