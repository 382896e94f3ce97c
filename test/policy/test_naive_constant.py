# SPDX-License-Identifier: Apache-2.0
"""The simple controllers: programmes by the clock that only look at what their definition names."""

import numpy as np
import pytest

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.telemetry import CHANNEL_NAMES
from cmkd_ros.fusion.window import stack
from cmkd_ros.policy.constant import Constant, load_actions, save_actions
from cmkd_ros.policy.naive import Naive, self_consumption

BATTERY, PUMP, LED, HVAC, VALVE = range(5)
FACTS = {
    "grid_power_kw": 3.0,
    "battery_power_kw": 0.0,
    "load_power_kw": 3.0,
    "pv_power_kw": 0.0,
    "battery_state_of_charge_percent": 50.0,
    "co2_ppm": 600.0,
    "tank_level_switch": 1.0,
    "soil_moisture_percent": 50.0,
}

FLAT = np.full(24, 0.24)


@pytest.fixture
def naive(site, window_of, at):
    def act(index, hour=12, minute=0, facts=None, prices=FLAT, period_s=300.0):
        window = window_of(at(hour, minute), FACTS | (facts or {}), prices)
        return float(Naive(site, period_s=period_s).decide(window, {})[0][0, index])

    return act


def test_lights_by_the_clock_at_three_quarters_and_nothing_else_moves_them(naive):
    assert [naive(LED, hour) for hour in (5, 6, 21, 22)] == [0.0, 75.0, 75.0, 0.0]
    assert naive(LED, 12, prices=np.linspace(0.9, 0.1, 24)) == 75.0
    assert naive(LED, 12, facts={"canopy_light_umol_per_m2_s": 900.0, "grid_power_kw": 24.0}) == 75.0


def test_co2_up_to_800_ppm_in_light_only(naive):
    assert naive(VALVE, 12) == 100.0
    assert naive(VALVE, 12, facts={"co2_ppm": 700.0}) == pytest.approx(50.0)
    assert naive(VALVE, 12, facts={"co2_ppm": 800.0}) == 0.0
    assert naive(VALVE, 23) == 0.0
    assert naive(VALVE, 12, facts={"co2_ppm": np.nan}) == 0.0


def test_the_battery_serves_self_consumption_only(naive):
    assert naive(BATTERY) == pytest.approx(-3.0)
    assert naive(BATTERY, facts={"grid_power_kw": -6.0}) == pytest.approx(6.0)
    cheap_now = np.where(np.arange(24) < 2, 0.01, 0.9)
    assert naive(BATTERY, prices=cheap_now) == pytest.approx(-3.0)  # a grid charger would buy here
    assert naive(BATTERY, facts={"battery_state_of_charge_percent": 10.0}) == 0.0
    assert naive(BATTERY, facts={"battery_state_of_charge_percent": 95.0, "grid_power_kw": -6.0}) == 0.0
    assert naive(BATTERY, facts={"battery_state_of_charge_percent": np.nan}) == 0.0


def test_the_last_energy_lasts_a_decision_period(site):
    """At five minutes a battery is never asked for more than it holds: that would be trimmed by the envelope."""
    kwh = self_consumption(np.array([9.0]), np.array([11.0]), site, 900.0) * 900.0 / 3600.0
    assert -0.25 <= kwh[0] <= -0.2  # 1 % of 25 kWh


def test_water_by_the_clock_whatever_the_substrate_says(naive, site):
    for period_s, steps in ((60.0, 60), (300.0, 12)):
        speeds = [naive(PUMP, 12, int(i * period_s // 60), period_s=period_s) for i in range(steps)]
        dry = [
            naive(PUMP, 12, int(i * period_s // 60), {"soil_moisture_percent": 20.0}, period_s=period_s)
            for i in range(steps)
        ]
        assert speeds == dry
        assert 0.1 <= np.count_nonzero(speeds) / steps <= 0.45
    assert naive(HVAC, 3) == naive(HVAC, 12) == 22.0


def test_naive_knows_nothing_and_still_gives_numbers(site, window_of, at):
    actions, _, state = Naive(site).decide(window_of(at()), {})
    assert np.isfinite(actions).all() and actions[0, BATTERY] == 0.0 and actions[0, VALVE] == 0.0 and state == {}


def test_constant_gives_each_farm_its_row_and_stays_in_range(site, window_of, at):
    windows = stack([window_of(at(hour), FACTS) for hour in (1, 12)])
    rows = np.array([[0.0, 50, 40, 20, 10], [99.0, 0, 80, 22, 0]])
    actions = Constant(site, rows).decide(windows, {})[0]
    assert actions[0].tolist() == rows[0].tolist() and actions[1, 0] == site.battery.power_kw
    alike = Constant(site, rows[0]).decide(windows, {})[0]
    assert alike.shape == (2, 5) and (alike == rows[0]).all()
    with pytest.raises(ConfigurationError):
        Constant(site, [1.0, 2.0])


def test_constant_actions_survive_their_file(tmp_path):
    save_actions([0.0, 50.5, 40.25, 20.1, 1e-3], tmp_path / "c.yaml", "what\nfor")
    assert load_actions(tmp_path / "c.yaml").tolist() == [0.0, 50.5, 40.25, 20.1, 1e-3]
    assert "# for\n" in (tmp_path / "c.yaml").read_text()
    (tmp_path / "c.yaml").write_text("battery: 1\nlamp: 2\nled: x\n")
    with pytest.raises(ConfigurationError) as caught:
        load_actions(tmp_path / "c.yaml")
    assert all(word in str(caught.value) for word in ("pump: missing", "lamp: unknown", "led: needs a number"))


def test_controllers_ignore_what_they_do_not_name(site, window_of, at):
    """A window with everything known gives naive the same actions as one with only its own channels."""
    full = {name: 1.0 for name in CHANNEL_NAMES if name not in FACTS and name != "led_power_kw"}
    one = Naive(site).decide(window_of(at(), FACTS), {})[0]
    other = Naive(site).decide(window_of(at(), full | FACTS), {})[0]
    assert np.array_equal(one, other)
