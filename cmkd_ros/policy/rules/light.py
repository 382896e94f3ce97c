# SPDX-License-Identifier: Apache-2.0
"""LED intensity: reach the day's light sum in the cheapest light, and no more.

The rest of the local day is split into pieces of energy: in each hour that part which PV surplus would feed at the
feed-in price, and the rest at the import price. The cheapest pieces are lit, and pieces of about the same price share
equally, so that light is spread over many hours (which a crop uses better) and the import peak stays low. The first
`min_dark_h` hours of the local day are dark.
"""

from __future__ import annotations

import numpy as np

from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.contract.student import HISTORY_STEP_S, HISTORY_STEPS
from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.interface import State
from cmkd_ros.policy.rules.outlook import Outlook
from cmkd_ros.policy.rules.reading import Reading, Values, first_known, full_light
from cmkd_ros.site import Site

SAME_PRICE = 0.02  # EUR/kWh: closer prices count as equal
DIMMEST = 3.0  # %: below, lights off
LONGEST_STEP_S = HISTORY_STEP_S  # a longer gap between decisions is filled from the history instead


def first_light_state(batch: int) -> State:
    """No day begun yet."""
    return {
        "light_sum": np.zeros(batch),  # mol/m2 since local midnight
        "light_day": np.zeros(batch),  # local day of the year that it counts
        "light_time_ns": np.zeros(batch, np.int64),  # until when it counts
        "led": np.zeros(batch),  # % last proposed, which stands in for a missing light meter
    }


def count_light(window: Window, reading: Reading, state: State, site: Site) -> State:
    """Add the light since the last decision to the day's sum. A new day, a restart or a gap counts from the history."""
    percent = np.asarray(state["led"], np.float64)
    light = first_known(reading.light, percent / 100.0 * full_light(site))
    step_s = (window.time_ns - np.asarray(state["light_time_ns"], np.int64)) / NANOSECONDS
    goes_on = (state["light_day"] == window.day_of_year) & (step_s >= 0) & (step_s <= LONGEST_STEP_S)
    grown = np.asarray(state["light_sum"], np.float64) + light * np.where(goes_on, step_s, 0.0) * 1e-6
    return {
        **state,
        "light_sum": np.where(goes_on, grown, _light_from_history(window, reading, site)),
        "light_day": window.day_of_year.astype(np.float64),
        "light_time_ns": window.time_ns.astype(np.int64),
    }


def light(window: Window, reading: Reading, outlook: Outlook, light_sum: Values, site: Site) -> tuple[Values, Values]:
    """LED intensity (B,) in %, and the lights' expected power in the next 24 hours, (B, 24) kW."""
    led = site.led
    begins = led.min_dark_h - window.local_hour[:, None]  # hours from now
    midnight = 24.0 - window.local_hour[:, None]
    hours = np.maximum(
        np.minimum(outlook.end_h, midnight) - np.maximum(np.maximum(outlook.start_h, begins), 0.0), 0.0
    )  # (B, 24) lit hours allowed in each hour of the outlook
    needed_kwh = np.maximum(led.light_sum_target_mol_per_m2 - light_sum, 0.0) / _mol_per_kwh(site)

    # What each hour may draw under the guard, unless the day's light then falls short: then up to the hard guard. The
    # running hour takes what the meters say this second, so that the lights are shed before the limit is passed.
    own = first_known(reading.led_kw, np.minimum(reading.light / full_light(site), 1.0) * led.power_kw, 0.0)
    others = np.where(np.isnan(reading.net_kw), outlook.base_kw[:, 0] - outlook.pv_kw[:, 0], reading.net_kw - own)
    rest = outlook.base_kw - outlook.pv_kw
    rest[:, 0] = others
    draw = np.clip(reading.guard_kw[:, None] - rest, 0.0, led.power_kw)
    short = (draw * hours).sum(axis=1) < needed_kwh
    ceiling = np.where(short, reading.hard_guard_kw, reading.guard_kw)
    draw = np.where(short[:, None], np.clip(ceiling[:, None] - rest, 0.0, led.power_kw), draw)

    surplus = np.clip(-rest, 0.0, draw)
    power = np.concatenate([surplus, draw - surplus], axis=1)  # (B, 48) kW
    energy = power * np.tile(hours, 2)
    price = np.round(np.concatenate([outlook.feed_in_price, outlook.import_price], axis=1) / SAME_PRICE)
    cheaper = (energy[:, None, :] * (price[:, None, :] < price[:, :, None])).sum(axis=2)
    equal = (energy[:, None, :] * (price[:, None, :] == price[:, :, None])).sum(axis=2)
    share = np.clip((needed_kwh[:, None] - cheaper) / np.maximum(equal, 1e-9), 0.0, 1.0)
    plan = (share * power).reshape(-1, 2, 24).sum(axis=1)

    # Tomorrow is planned as an even day.
    dark = window.local_hour < led.min_dark_h
    percent = np.minimum(plan[:, 0] / led.power_kw * 100.0, 100.0)
    percent = np.where(dark | (percent < DIMMEST), 0.0, percent)
    even = led.light_sum_target_mol_per_m2 / _mol_per_kwh(site) / max(24.0 - led.min_dark_h, 1.0)
    tomorrow = outlook.start_h >= midnight + led.min_dark_h
    return percent, np.where(hours > 0, plan, 0.0) + np.where(tomorrow, min(even, led.power_kw), 0.0)


def _mol_per_kwh(site: Site) -> float:
    return 3.6 * site.led.efficacy_umol_per_j / site.led.canopy_area_m2


def _light_from_history(window: Window, reading: Reading, site: Site) -> Values:
    """The sum since local midnight from the quarters of an hour before now, mol/m2; what is unknown counts as dark."""
    past = first_known(
        reading.past("canopy_light_umol_per_m2_s"),
        reading.past("led_power_kw") / site.led.power_kw * full_light(site),
        0.0,
    )
    guard_ns = round(window.guard_s * NANOSECONDS)  # the last row is the last quarter that ended before it
    since_ns = (window.time_ns - guard_ns) % round(HISTORY_STEP_S * NANOSECONDS) + guard_ns
    since_quarter_h = since_ns / NANOSECONDS / 3600.0
    ages_h = since_quarter_h[:, None] + np.arange(HISTORY_STEPS, 0, -1) * HISTORY_STEP_S / 3600.0  # start of each
    today = np.clip(window.local_hour[:, None] - (ages_h - HISTORY_STEP_S / 3600.0), 0.0, HISTORY_STEP_S / 3600.0)
    return (past * today * 3600.0).sum(axis=1) * 1e-6
