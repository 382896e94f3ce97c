# SPDX-License-Identifier: Apache-2.0
"""Worth of light and warmth: the gradient of what the crop's physics then does; layers of the battery."""

import numpy as np
import pytest

from cmkd_ros.physics import battery, crop
from cmkd_ros.physics.crop import ALL_AGES, Crop
from cmkd_ros.policy.objective import FRESH_PER_RESERVE, Values
from cmkd_ros.policy.planner import growth, store
from cmkd_ros.policy.planner.estimate import REMOVAL_PER_S
from cmkd_ros.policy.planner.problem import LAYERS, SEGMENTS
from cmkd_ros.site import load_site

LAMP = growth.Light(per_kw=28.0, led_kw=12.0, area_m2=100.0)
HOURS = np.ones(24)
CANOPY = (24.0, 125.0, 7.0, 8.0, 0.0)


def harvested(led_kw, celsius, reserve=CANOPY[0]):
    """EUR at 1 EUR/kg: what grows in a day of these (24,), and what the reserves at its end are worth."""
    state = Crop(*(np.array([value]) for value in (reserve, *CANOPY[1:])))
    grown = 0.0
    for light, air in zip(LAMP.per_kw * led_kw, celsius):
        deficit = 0.16 * 0.6108 * np.exp(17.27 * air / (air + 237.3))
        for _ in range(6):
            one = np.array([1.0])
            state, exchange = crop.grow(
                state, light * one, air * one, 900.0 * one, deficit * one, one, 600.0, REMOVAL_PER_S, ALL_AGES
            )
            grown += 600.0 * float(exchange.fresh[0])
    return (grown + FRESH_PER_RESERVE * float(state.reserve[0])) * LAMP.area_m2 / 1000.0


@pytest.mark.parametrize("hour", [2, 8, 20])
def test_the_worth_of_light_is_what_a_little_more_of_it_grows(hour):
    led, air = np.full(24, 6.0), np.full(24, 22.0)
    found = growth.worth(CANOPY, LAMP, led, np.zeros(24), air, np.full(24, 900.0), HOURS, 1.0, 3.0)
    more, less = led.copy(), led.copy()
    more[hour], less[hour] = led[hour] + 1.0, led[hour] - 1.0
    true = (harvested(more, air) - harvested(less, air)) / 2.0
    at_six = 0.5 * (found.led_eur[hour, 1] + found.led_eur[hour, 2])
    assert at_six == pytest.approx(true, rel=0.06)


@pytest.mark.parametrize("reserve", [20.0, 60.0])
def test_the_worth_of_warmth_is_what_a_warmer_hour_grows(reserve):
    led, air = np.full(24, 9.0), np.full(24, 21.5)
    canopy = (reserve, *CANOPY[1:])
    found = growth.worth(canopy, LAMP, led, np.zeros(24), air, np.full(24, 900.0), HOURS, 1.0, 0.0)
    warm, cool = air.copy(), air.copy()
    warm[6:10], cool[6:10] = 23.0, 20.0
    true = (harvested(led, warm, reserve) - harvested(led, cool, reserve)) / 12.0
    assert found.warm_eur[6:10, 1].mean() == pytest.approx(true, abs=0.012)


def test_full_reserves_make_light_worthless_and_warmth_dear():
    led, air, ppm = np.full(24, 9.0), np.full(24, 21.5), np.full(24, 900.0)
    hungry, full = (
        growth.worth((reserve, *CANOPY[1:]), LAMP, led, np.zeros(24), air, ppm, HOURS, 1.0, 3.0)
        for reserve in (20.0, 80.0)
    )
    assert (full.led_eur[:6] < 0.4 * hungry.led_eur[:6]).all()
    assert full.warm_eur[:6, 0].mean() > hungry.warm_eur[:6, 0].mean()
    assert (np.diff(full.led_eur, axis=1) <= 0.0).all() and (np.diff(full.warm_eur, axis=1) <= 0.0).all()
    assert hungry.led_eur.shape == (24, SEGMENTS)


def test_deep_cycles_cost_more_than_shallow_ones_as_the_battery_says():
    site, values = load_site("demo"), Values()
    out, held = store.wear_eur(site, values)
    assert out[0] < out[1] < out[2] and held > 0.0
    half = float(battery.half_cycle(np.array(0.3))), float(battery.half_cycle(np.array(0.85)))
    usable = 0.85 * site.battery.capacity_kwh
    whole = out @ (LAYERS * usable)
    assert whole / (out[0] * LAYERS[0] * usable) > 0.8 * half[1] / half[0]


def test_layers_fill_and_empty_the_cheapest_first_and_add_up():
    layers = np.zeros((1, 3))
    for content in (4.0, 12.0, 20.0, 17.0, 19.0, 3.0, 9.0, 0.0, 25.0):
        layers = store.moved(layers, np.array([content]), 20.0)
        assert layers.sum() == pytest.approx(min(content, 20.0))
        assert (layers >= 0.0).all() and (layers <= LAYERS * 20.0 + 1e-9).all()
    after = store.moved(np.array([[7.0, 7.0, 0.0]]), np.array([13.0]), 20.0)
    assert after[0] == pytest.approx([6.0, 7.0, 0.0])
