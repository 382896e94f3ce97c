# SPDX-License-Identifier: Apache-2.0
"""The student's inputs and outputs. Names are final; shapes, rates and normalisation live in the model's manifest.

All tensors are float32 with a leading batch axis B. A masked-out modality is zeros with mask 0.
"""

# name: (axes, meaning)
INPUTS = {
    "sky": ("B, 2, H, W, 3", "two RGB frames scaled to 0..1, the earlier (about a minute before) first"),
    "sky_mask": ("B, 2", "1 where the frame is there and fresh"),
    "audio": ("B, N", "about 1 s of mono pump sound scaled to -1..1"),
    "audio_mask": ("B, 1", "1 where the sound is there and fresh"),
    "now": ("B, C", "newest telemetry, interpolated to the newest frame's stamp, normalised"),
    "now_mask": ("B, C", "1 where known"),
    "history": ("B, 96, C", "means over 15 min of the last 24 h, oldest first, normalised"),
    "history_mask": ("B, 96, C", "1 where known"),
    "future": ("B, 24, K", "the known future, one row an hour from the running hour on, normalised"),
    "future_mask": ("B, 24, K", "1 where known"),
    "clock": ("B, 4", "sine and cosine of the local time of day and of the day of the year"),
}
FUTURE_CHANNELS = (
    "import_price_eur_per_kwh",
    "feed_in_price_eur_per_kwh",
    "grid_carbon_kg_per_kwh",
    "clear_sky_irradiance_w_per_m2",
    "photoperiod",
)
HISTORY_STEPS = 96
HISTORY_STEP_S = 900.0

OUTPUTS = {
    "actions": ("B, 5", "the five actions, scaled to 0..1 over the site's action bounds"),
    "irradiance": ("B, 1", "global horizontal irradiance now, W/m2"),
    "irradiance_ahead": ("B, H1, Q", "the same over the manifest's horizons and quantiles, W/m2"),
    "cavitation": ("B, 1", "probability that the pump cavitates"),
    "remaining_life": ("B, Q", "remaining useful life of the pump, h, over the quantiles"),
    "price_ahead": ("B, H2, Q", "import price, EUR/kWh"),
    "load_ahead": ("B, H2, Q", "load, kW"),
    "state_of_charge_ahead": ("B, H2, Q", "battery state of charge, %"),
    "soil_moisture_ahead": ("B, H2, Q", "substrate volumetric water content, %"),
    "weights": ("B, 4", "weight of sky, audio, telemetry and market in this decision, summing to 1"),
}
MODALITIES = ("sky", "audio", "telemetry", "market")
