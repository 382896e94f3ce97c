# SPDX-License-Identifier: Apache-2.0
"""Settings of the rules: ranges, files, many in one batch, other decision periods, and the price of lettuce."""

import dataclasses

import numpy as np
import pytest

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.fusion.window import stack
from cmkd_ros.policy.rules import Rules, RuleSettings, load_settings, save_settings, settings_for
from cmkd_ros.policy.rules.reading import read
from cmkd_ros.policy.rules.settings import ranges, stacked
from cmkd_ros.policy.rules.water import cycle_s, share_of_time, water

BATTERY, PUMP, LED, HVAC, VALVE = range(5)
HOUR_NS = 3600 * 10**9
NAMES = [field.name for field in dataclasses.fields(RuleSettings)]
FACTS = {
    "grid_power_kw": 3.0,
    "battery_power_kw": 0.0,
    "pv_power_kw": 0.0,
    "load_power_kw": 3.0,
    "led_power_kw": 0.0,
    "battery_state_of_charge_percent": 50.0,
    "grid_peak_power_kw": 15.0,
    "soil_moisture_percent": 62.0,
    "air_temperature_celsius": 21.0,
    "relative_humidity_percent": 70.0,
    "co2_ppm": 700.0,
    "canopy_light_umol_per_m2_s": 0.0,
    "tank_level_switch": 1.0,
    "outdoor_temperature_celsius": 12.0,
}
PAST = {"load_power_kw": 3.0, "led_power_kw": 0.0, "pv_power_kw": 0.0, "canopy_light_umol_per_m2_s": 0.0}
EVENING = np.where((np.arange(24) >= 5) & (np.arange(24) < 9), 0.40, 0.24)


def any_settings(rng):
    bounds = ranges(NAMES)
    return RuleSettings(**dict(zip(NAMES, rng.uniform(bounds[:, 0], bounds[:, 1]).tolist())))


def test_what_is_out_of_range_is_named_in_numbers_and_in_arrays():
    with pytest.raises(ConfigurationError, match="dark_celsius is 40"):
        RuleSettings(dark_celsius=40.0)
    with pytest.raises(ConfigurationError, match="co2_factor is 9"):
        RuleSettings(co2_factor=np.array([1.0, 9.0]))
    with pytest.raises(ConfigurationError, match="holding"):
        RuleSettings(holding=np.array([1.0, np.nan]))
    with pytest.raises(ConfigurationError, match="shape"):
        RuleSettings(holding=np.ones((2, 2)))


def test_settings_survive_their_file_and_a_wrong_file_says_what_is_wrong(tmp_path):
    path, rng = tmp_path / "s.yaml", np.random.default_rng(1)
    for settings in (RuleSettings(), any_settings(rng)):
        save_settings(settings, path, "training weeks\nand a budget")
        assert load_settings(path) == settings
        assert "# and a budget\n" in path.read_text()
    path.write_text("lit_celsius: warm\nlamp: 1\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path)
    assert "lamp: unknown" in str(caught.value) and "lit_celsius: needs a number" in str(caught.value)
    path.write_text("lit_celsius: 90\n")
    with pytest.raises(ConfigurationError, match=r"(?s)s\.yaml.*lit_celsius is 90"):
        load_settings(path)


def test_many_settings_in_one_batch_are_those_settings_one_by_one_to_the_bit(site, window_of, at):
    rng = np.random.default_rng(2)
    tried = [any_settings(rng) for _ in range(12)]
    windows = [
        window_of(at(int(hour)), {k: v * rng.uniform(0.3, 1.5) for k, v in FACTS.items()}, EVENING, PAST)
        for hour in rng.integers(0, 24, 24)
    ]
    batch = Rules(site, stacked(tried, 2), period_s=300.0)
    actions, _, after = batch.decide(stack(windows), batch.reset(24))
    for index, window in enumerate(windows):
        alone = Rules(site, tried[index // 2], period_s=300.0)
        expected, _, state = alone.decide(window, alone.reset(1))
        assert np.array_equal(actions[index], expected[0])
        assert all(np.array_equal(after[name][index : index + 1], state[name]) for name in state)


@pytest.mark.parametrize("seed", range(5))
def test_any_settings_give_finite_actions_in_range(site, window_of, at, seed):
    rng, bounds = np.random.default_rng(seed), site.action_bounds()
    for _ in range(20):
        rules = Rules(site, any_settings(rng), period_s=300.0)
        facts = {k: v * rng.uniform(0.0, 2.0) for k, v in FACTS.items() if rng.random() > 0.2}
        window = window_of(at(int(rng.integers(24))), facts, EVENING, PAST)
        actions, _, _ = rules.decide(window, rules.reset(1))
        assert np.isfinite(actions).all() and (actions >= bounds[:, 0]).all() and (actions <= bounds[:, 1]).all()


def test_a_site_takes_its_own_settings_or_the_reference_sites_at_its_price_of_lettuce(site, tmp_path, monkeypatch):
    folder = tmp_path / "config" / "rules"
    folder.mkdir(parents=True)
    monkeypatch.setattr("cmkd_ros.policy.rules.settings.share", lambda *parts: found(tmp_path.joinpath(*parts)))

    def found(path):
        if not path.exists():
            raise ConfigurationError(str(path), ["not found"])
        return path

    other = dataclasses.replace(site, name="barn")
    assert settings_for(other) == RuleSettings()
    for name, celsius in (("demo", 20.0), ("demo-0.5", 18.0), ("demo-2", 24.0), ("demo-other", 26.0)):
        save_settings(RuleSettings(lit_celsius=celsius), folder / f"{name}.yaml", "test")
    assert settings_for(other).lit_celsius == 20.0
    for price, celsius in ((0.1, 18.0), (0.5, 18.0), (0.5**0.5, 19.0), (1.0, 20.0), (2.0**0.5, 22.0), (9.0, 24.0)):
        assert settings_for(site, price).lit_celsius == pytest.approx(celsius)
    save_settings(RuleSettings(lit_celsius=17.0), folder / "barn.yaml", "test")
    assert settings_for(other, 2.0).lit_celsius == 17.0
    save_settings(RuleSettings(lit_celsius=21.0), folder / "demo-market.yaml", "test")
    assert settings_for(site, market=True).lit_celsius == 21.0 and settings_for(site).lit_celsius == 20.0
    assert settings_for(other, market=True).lit_celsius == 17.0, "its own before another site's"


def test_shipped_settings_can_be_read(site):
    for name in ("demo", "small", "large", "daylit", "nobody"):
        assert settings_for(dataclasses.replace(site, name=name)) != RuleSettings()


# --- decision periods ---


def pump_share(site, window_of, at, moisture, period_s, **settings):
    """Share of a day that the pump runs, and its starts."""
    chosen = RuleSettings(**settings)
    start, runs = at(0), []
    reading = read(window_of(start, FACTS | {"soil_moisture_percent": moisture}), site, chosen)
    for step in range(round(86_400 / period_s)):
        hour = np.array([step * period_s / 3600.0])
        share = share_of_time(reading, np.array([int(moisture < chosen.low_moisture)]), site, chosen)
        runs.append(water(reading, share, hour, site, chosen, period_s)[0] > 0)
    runs = np.array(runs)
    return runs.mean(), np.count_nonzero(np.diff(runs.astype(int)) == 1)


@pytest.mark.parametrize("moisture", [62.0, 50.0])
def test_rare_decisions_pump_about_as_much_as_frequent_ones(site, window_of, at, moisture):
    quick = RuleSettings(cycle_s=300.0)
    often, _ = pump_share(site, window_of, at, moisture, 5.0, cycle_s=300.0)
    for period_s in (60.0, 300.0):
        rare, starts = pump_share(site, window_of, at, moisture, period_s, cycle_s=300.0)
        least = period_s / float(cycle_s(site, quick, period_s))
        assert abs(rare - max(often, least)) <= 0.5 * least + 1e-9
        assert rare < 0.6 and starts <= 24 * site.pump.max_starts_per_hour
    assert float(cycle_s(site, quick, 300.0)) == 1500.0  # and not a pulse that never ends


def test_a_pulse_is_whole_periods_long(site, window_of, at):
    quick = RuleSettings(cycle_s=300.0)
    reading = read(window_of(at(0), FACTS), site, quick)
    hours = np.arange(0.0, 24.0, 1.0 / 12.0)
    runs = np.array([water(reading, np.array([0.4]), np.array([h]), site, quick, 300.0)[0] > 0 for h in hours])
    assert runs[:285].reshape(-1, 5).sum(axis=1).tolist() == [2] * 57  # whatever the last bit of the hour says


@pytest.mark.parametrize("period_s", [5.0, 60.0, 300.0])
def test_a_long_cycles_pulse_counts_as_the_minimum_irrigation(site, window_of, at, period_s):
    """The envelope counts each step that ran fast enough, less the drive's ramp; else it adds a run of its own."""
    settings = RuleSettings(cycle_s=3600.0)
    reading = read(window_of(at(0), FACTS), site, settings)
    hours = np.arange(0.0, 3600.0, period_s) / 3600.0
    runs = np.array([water(reading, np.array([0.04]), np.array([h]), site, settings, period_s)[0] > 0 for h in hours])
    ramp_s = site.pump.irrigation_speed_percent / site.pump.ramp_percent_per_s
    assert runs.sum() * period_s - ramp_s >= site.pump.irrigation_on_s
    assert runs.sum() * period_s <= site.pump.irrigation_on_s + ramp_s + period_s
    assert np.count_nonzero(np.diff(runs.astype(int)) == 1) == 0


def test_the_last_energy_of_the_battery_lasts_a_period(site, window_of, at):
    dear = np.where(np.arange(24) < 4, 0.40, 0.24)
    window = window_of(at(20), FACTS | {"battery_state_of_charge_percent": 17.0, "grid_power_kw": 9.0}, dear, PAST)
    settings = RuleSettings(peak_reserve_percent=0.0)
    for period_s in (300.0, 900.0):
        rules = Rules(site, settings, period_s=period_s)
        kwh = -rules.decide(window, rules.reset(1))[0][0, BATTERY] * period_s / 3600.0
        assert 0.0 < kwh <= 7.0 * 25.0 / 100.0


# --- light and its price ---


def led_kwh(site, window_of, at, prices, lettuce=1.0, **settings):
    """Energy that the lights take in a day of these prices (24,), asked every hour."""
    rules, start, total = Rules(site, RuleSettings(**settings), period_s=3600.0, lettuce_eur_per_kg=lettuce), at(0), 0.0
    state, led = rules.reset(1), 0.0
    for hour in range(24):
        facts = FACTS | {"canopy_light_umol_per_m2_s": led * 3.36, "led_power_kw": led * 0.12}
        facts |= {"load_power_kw": 3.0 + led * 0.12, "grid_power_kw": 3.0 + led * 0.12}
        window = window_of(start + hour * HOUR_NS, facts, np.roll(prices, -hour), PAST)
        if hour:
            state = {**state, "light_sum": state["light_sum"] + led * 3.36 * 3600e-6, "light_time_ns": window.time_ns}
        actions, _, state = rules.decide(window, state)
        led = actions[0, LED]
        total += led * 0.12
    return total


def test_without_elasticity_the_light_sum_is_met_at_any_price_and_with_it_dear_light_is_not_bought(site, window_of, at):
    flat = np.full(24, 0.25)
    day = 14.0 / (3.6 * 2.8 / 100.0)
    for price in (0.05, 0.25, 1.0):
        assert led_kwh(site, window_of, at, flat * 0 + price) == pytest.approx(day, rel=0.02)
    cheap, even, dear = (led_kwh(site, window_of, at, flat * 0 + p, light_elasticity=0.5) for p in (0.15, 0.25, 0.35))
    assert even == pytest.approx(day, rel=0.02)
    assert cheap == pytest.approx(1.2 * day, rel=0.02) and dear == pytest.approx(0.8 * day, rel=0.02)


def test_dearer_lettuce_buys_more_light_and_the_bounds_hold(site, window_of, at):
    flat = np.full(24, 0.25)
    sums = [led_kwh(site, window_of, at, flat, lettuce, light_elasticity=0.6) for lettuce in (0.5, 0.8, 1.0, 2.0)]
    assert np.all(np.diff(sums) > 0)
    day = 14.0 / (3.6 * 2.8 / 100.0)
    assert led_kwh(site, window_of, at, flat, 0.01, light_elasticity=2.0, light_least_factor=0.5) == pytest.approx(
        0.5 * day, rel=0.02
    )


def test_only_the_dear_hours_are_given_up(site, window_of, at):
    """In a day with a dear evening, elastic light leaves out the evening and takes the rest."""
    dear = np.where(np.arange(24) >= 17, 0.9, 0.2)
    less = led_kwh(site, window_of, at, dear, light_elasticity=0.5, led_most_percent=50.0, light_least_factor=0.2)
    without_evening = 13 * 6.0
    assert less <= min(without_evening, 1.2 * 139.0) + 6.0


def test_lamps_beside_the_sun_count_as_dear_and_stay_dimmer(site, window_of, at):
    settings = RuleSettings(light_spread=0.2, light_elasticity=1.0, light_price_step=0.005)
    rules = Rules(site, settings, period_s=300.0)

    def led(sun, **settled):
        facts = FACTS | {"canopy_light_umol_per_m2_s": sun, "pv_power_kw": 3.0, "load_power_kw": 6.0}
        window = window_of(at(12), facts, np.full(24, 0.2), PAST | {"pv_power_kw": 3.0} | settled)
        return rules.decide(window, rules.reset(1))[0][0, LED]

    dark, sunny = led(0.0), led(150.0, canopy_light_umol_per_m2_s=30.0)
    assert 0.0 < sunny < dark - 10.0


def test_co2_is_dosed_with_a_gap_and_never_below_the_burners_lowest_fire(site, window_of, at):
    rules = Rules(site, RuleSettings(co2_gap=0.1, co2_least_valve_percent=30.0, co2_band=0.5))
    state, opened = rules.reset(1), []
    for ppm in (850.0, 820.0, 800.0, 850.0, 890.0, 905.0, 850.0):
        window = window_of(at(), FACTS | {"co2_ppm": ppm, "canopy_light_umol_per_m2_s": 200.0}, EVENING, PAST)
        actions, _, state = rules.decide(window, state)
        opened.append(actions[0, VALVE])
    assert [value > 0 for value in opened] == [False, False, True, True, True, False, False]
    assert min(value for value in opened if value > 0) == 30.0


def test_damp_nights_are_heated_and_aired_and_the_setpoint_holds_the_heat_pump_at_its_lowest(site, window_of, at):
    rules = Rules(site, RuleSettings(airing=1.0, dark_celsius=21.0, moist_shift_celsius=0.0), period_s=300.0)

    def setpoint(**facts):
        night = {"relative_humidity_percent": 86.0, "outdoor_temperature_celsius": 5.0, "hvac_power_kw": 1.77}
        window = window_of(at(2), FACTS | night | facts, np.full(24, 0.25), PAST)
        return rules.decide(window, rules.reset(1))[0][0, HVAC]

    assert setpoint() == pytest.approx(21.9)  # it dries: start to heat
    assert setpoint(hvac_power_kw=1.2) == pytest.approx(21.0)  # it heats: hold it near its setpoint
    assert setpoint(hvac_power_kw=1.2, air_temperature_celsius=21.8) == pytest.approx(21.7)
    usual = pytest.approx(21.0)
    assert setpoint(air_temperature_celsius=23.5) == usual  # warm enough
    assert setpoint(outdoor_temperature_celsius=14.0) == usual  # the air outside dries nothing
    assert setpoint(relative_humidity_percent=70.0) == usual
    assert setpoint(hvac_power_kw=np.nan) == usual
    assert setpoint(outdoor_temperature_celsius=np.nan) == usual


# --- variants that know more ---


class Clairvoyant:
    def __init__(self, pv_kw, cavitates):
        self.pv, self.noise = pv_kw, cavitates

    def pv_kw(self, time_ns):
        return self.pv

    def cavitates(self, time_ns):
        return self.noise


def test_a_variant_may_know_the_sun_and_the_pump(site, window_of, at):
    """Known sun in the afternoon spares the grid now; known cavitation slows the pump."""
    prices = np.full(24, 0.25)
    window = window_of(at(6), FACTS | {"soil_moisture_percent": 30.0}, prices, PAST)
    sunny = np.zeros((1, 24))
    sunny[0, 4:10] = 20.0
    plain = Rules(site)
    blind = plain.decide(window, plain.reset(1))[0][0]
    knows = Rules(site, truth=Clairvoyant(sunny, np.array([True])), name="rules_truth")
    seen = knows.decide(window, knows.reset(1))[0][0]
    assert seen[LED] < 0.75 * blind[LED]
    assert seen[PUMP] == 80.0 and blind[PUMP] == 85.0
    mute = Rules(site, truth=Clairvoyant(None, None))
    assert np.array_equal(mute.decide(window, mute.reset(1))[0][0], blind)
