# SPDX-License-Identifier: Apache-2.0
"""LED intensity: as much light as a day is worth at its prices, in the cheapest light.

The rest of the local day is split into pieces of energy: in each hour that part which PV surplus would feed at the
feed-in price, and the rest at the import price. The cheapest pieces are lit, and pieces of about the same price share
equally, so that light is spread over many hours (which a crop uses better) and the import peak stays low. The first
`min_dark_h` hours of the local day are dark.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.contract.student import HISTORY_STEP_S, HISTORY_STEPS
from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.interface import State
from cmkd_ros.policy.rules.outlook import Outlook
from cmkd_ros.policy.rules.reading import Reading, Values, first_known, full_light
from cmkd_ros.policy.rules.settings import RuleSettings, column
from cmkd_ros.site import Site

LEVELS = np.linspace(0.0, 1.0, 5)  # of the lights' power: where brightness begins to count as the next level
CEILINGS = np.linspace(0.0, 1.0, 9)[1:]  # tried between guard and hard guard
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


def light(
    window: Window,
    reading: Reading,
    outlook: Outlook,
    light_sum: Values,
    site: Site,
    settings: RuleSettings,
    lettuce_eur_per_kg: float,
) -> tuple[Values, Values]:
    """LED intensity (B,) in %, and the lights' expected power in the next 24 hours, (B, 24) kW."""
    led = site.led
    dark_h = np.maximum(settings.dark_h, led.min_dark_h) + np.zeros(window.batch)
    midnight = 24.0 - window.local_hour[:, None]  # hours from now
    hours = _overlap(outlook, dark_h[:, None] - window.local_hour[:, None], midnight)  # (B, 24) lit hours allowed
    rest = outlook.base_kw - outlook.pv_kw
    # The running hour takes what the meters say this second, so that lights are shed before the limit is passed.
    own = first_known(reading.led_kw, np.minimum(reading.light / full_light(site), 1.0) * led.power_kw, 0.0)
    rest[:, 0] = np.where(np.isnan(reading.net_kw), rest[:, 0], reading.net_kw - own)
    sun = _sunlight(reading, outlook, own, site)
    left_h = np.maximum(np.minimum(outlook.end_h, midnight) - outlook.start_h, 0.0)
    daylight = settings.daylight_trust * (sun * left_h).sum(axis=1) * 3600.0 * 1e-6

    def wanted_kwh(price: Values) -> Values:
        target = led.light_sum_target_mol_per_m2 * settings.light_sum(price, lettuce_eur_per_kg)
        return np.maximum(target - column(light_sum + daylight), 0.0) / _mol_per_kwh(site)

    plan = _cheapest(reading, outlook, rest, sun, hours, wanted_kwh, site, settings)
    percent = np.minimum(plan[:, 0] / led.power_kw * 100.0, 100.0)
    percent = np.where((window.local_hour < dark_h) | (percent < settings.led_least_percent), 0.0, percent)

    even = settings.light_sum_factor * led.light_sum_target_mol_per_m2 / _mol_per_kwh(site)
    even = even / np.maximum(24.0 - dark_h, 1.0)
    tomorrow = np.where(
        outlook.start_h >= midnight + dark_h[:, None],
        column(np.minimum(even, led.power_kw) * np.ones(window.batch)),
        0.0,
    )
    if np.any(settings.plan_tomorrow > 0.0):
        tomorrow = tomorrow + column(settings.plan_tomorrow) * (
            _tomorrow(reading, outlook, rest, sun, midnight, dark_h, site, settings, lettuce_eur_per_kg) - tomorrow
        )
    return percent, np.where(hours > 0, plan, 0.0) + tomorrow


def ramped(
    percent: Values, before: Values, hour: Values, site: Site, settings: RuleSettings, period_s: float
) -> Values:
    """LED intensity (B,) in %, changed from `before` no faster than the lights' share of the connection's ramp limit.

    Before the dark at local midnight (`hour` is local) the lights are low enough to be out in time.
    """
    limit_kw = site.grid.ramp_limit_percent_per_min / 100.0 * site.grid.import_limit_kw  # a minute
    if limit_kw <= 0.0:
        return percent
    step = settings.ramp_share * limit_kw * min(period_s / 60.0, 1.0) * 100.0 / site.led.power_kw
    until_dark = step * np.floor((24.0 - hour) * 3600.0 / period_s)
    after = np.minimum(np.maximum(percent, before - step), np.minimum(before + step, until_dark))
    return np.where(hour < site.led.min_dark_h, 0.0, np.maximum(after, 0.0))


def _overlap(outlook: Outlook, begin_h: Values, end_h: Values) -> Values:
    """Hours of each hour of the outlook (B, 24) between two times (B, 1), hours from now."""
    return np.maximum(np.minimum(outlook.end_h, end_h) - np.maximum(np.maximum(outlook.start_h, begin_h), 0.0), 0.0)


def _cheapest(
    reading: Reading,
    outlook: Outlook,
    rest: Values,
    sun: Values,
    hours: Values,
    wanted_kwh: Callable[[Values], Values],
    site: Site,
    settings: RuleSettings,
) -> Values:
    """Mean power (B, 24) in kW in the `hours` (B, 24) for the cheapest light. `rest` is net power without
    lights, `sun` the light that comes by itself, umol/m2/s.

    An hour may draw what stays under the guard. Where the light then falls short, the guard rises until it does not, or
    to the hard guard.
    `wanted_kwh` says for prices (B, N) how much light is wanted in all where it costs that much. Brightness adds to the
    price, evenly from dark to full power, and sunlight is brightness too.
    """
    power_kw = site.led.power_kw
    most = column(power_kw * settings.led_most_percent / 100.0)
    draw = np.clip(reading.guard_kw[:, None] - rest, 0.0, most)
    bright = column(settings.light_spread) * (sun / full_light(site))
    dearest = wanted_kwh(outlook.cost + bright + column(settings.light_spread)).min(axis=1)
    for share in CEILINGS:
        short = (draw * hours).sum(axis=1) < dearest
        if not short.any():
            break
        ceiling = reading.guard_kw + share * (reading.hard_guard_kw - reading.guard_kw)
        draw = np.where(short[:, None], np.clip(ceiling[:, None] - rest, 0.0, most), draw)
    surplus = np.clip(-rest, 0.0, draw) * column(settings.pv_following)

    pieces, prices = [], []
    for low, high in itertools.pairwise(LEVELS * power_kw):
        upto = np.minimum(np.maximum(draw - low, 0.0), high - low)
        free = np.minimum(np.maximum(surplus - low, 0.0), high - low)
        brightness = bright + column(settings.light_spread) * (0.5 * (low + high) / power_kw)
        pieces += [free, upto - free]
        prices += [outlook.feed_in_price + brightness, outlook.cost + brightness]
    power, price = np.concatenate(pieces, axis=1), np.concatenate(prices, axis=1)  # (B, 192)
    energy = power * np.tile(hours, len(pieces))
    cheaper, equal = _merit_order(np.round(price / column(settings.light_price_step)), energy)
    share = np.clip((wanted_kwh(price) - cheaper) / np.maximum(equal, 1e-9), 0.0, 1.0)
    return (share * power).reshape(-1, len(pieces), 24).sum(axis=1)


def _merit_order(price: Values, energy: Values) -> tuple[Values, Values]:
    """Of each piece (B, N): the energy that is cheaper, and that which costs the same, itself included."""
    order = price.argsort(axis=1, kind="stable")
    price, sorted_energy = np.take_along_axis(price, order, 1), np.take_along_axis(energy, order, 1)
    until = sorted_energy.cumsum(axis=1)
    dearer = price[:, 1:] > price[:, :-1]
    edge = np.ones((len(price), 1), np.bool_)
    cheaper = np.maximum.accumulate(np.where(np.concatenate([edge, dearer], 1), until - sorted_energy, 0.0), axis=1)
    last = np.where(np.concatenate([dearer, edge], 1), until, np.inf)
    upto = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    back = order.argsort(axis=1, kind="stable")
    return np.take_along_axis(cheaper, back, 1), np.take_along_axis(upto - cheaper, back, 1)


def _tomorrow(
    reading: Reading,
    outlook: Outlook,
    rest: Values,
    sun: Values,
    midnight: Values,
    dark_h: Values,
    site: Site,
    settings: RuleSettings,
    lettuce_eur_per_kg: float,
) -> Values:
    """The lights' mean power (B, 24) in tomorrow's hours of the outlook, which get their share of a day's light."""
    hours = _overlap(outlook, midnight + dark_h[:, None], midnight + 24.0)
    part = hours.sum(axis=1) / np.maximum(24.0 - dark_h, 1.0)
    target = site.led.light_sum_target_mol_per_m2 / _mol_per_kwh(site)

    def wanted_kwh(price: Values) -> Values:
        return target * part[:, None] * settings.light_sum(price, lettuce_eur_per_kg)

    length = np.maximum(outlook.end_h - outlook.start_h, 1e-9)
    return _cheapest(reading, outlook, rest, sun, hours, wanted_kwh, site, settings) * hours / length


def _sunlight(reading: Reading, outlook: Outlook, own_kw: Values, site: Site) -> Values:
    """Sunlight (B, 24) to be expected at the canopy, umol/m2/s; 0 in a closed room, or where not known.

    Now, what the light meter shows above the lamps' `own_kw` (B,); later as PV says, in proportion to the last 24 h.
    """
    per_lamp_kw = full_light(site) / site.led.power_kw
    past = np.maximum(reading.past("canopy_light_umol_per_m2_s") - reading.past("led_power_kw") * per_lamp_kw, 0.0)
    pv = reading.past("pv_power_kw")
    known = ~np.isnan(past + pv)
    made = np.where(known, pv, 0.0).sum(axis=1)
    per_kw = np.where(known, past, 0.0).sum(axis=1) / np.maximum(made, max(0.5 * site.pv.peak_power_kw, 1e-9))
    sun = per_kw[:, None] * outlook.pv_kw
    sun[:, 0] = first_known(np.maximum(reading.light - own_kw * per_lamp_kw, 0.0), sun[:, 0])
    return sun


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
