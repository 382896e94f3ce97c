# SPDX-License-Identifier: Apache-2.0
"""Forecasts from the truth: perfect is the truth, the service errs as sources say, and nobody else sees a thing."""

import dataclasses

import numpy as np
import pytest

from cmkd_ros.evaluation import accounts, controllers
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.episode import run, warmed
from cmkd_ros.evaluation.foresight import BEYOND_H, Informed, Perfect, Service, TruePump, Truth, demand_share, planner
from cmkd_ros.evaluation.scenario import synthetic
from cmkd_ros.policy.planner.forecast import means
from cmkd_ros.policy.planner.horizon import edges_h
from cmkd_ros.site import load_site
from cmkd_ros.site.market import HOUR_NS

EDGES = edges_h(48.0)


@pytest.fixture(scope="module")
def batch():
    site = load_site("demo")
    return Batch([synthetic(site, "demo", "spring", "train", seed, hours=6.0) for seed in (3, 4)])


@pytest.fixture(scope="module")
def window(batch):
    """The window that the planner gets at the episode's start."""
    start = warmed(batch)
    facts = start.observer.copy().facts(batch.world.readings(start.state, batch.weather_at(-1)), 0)
    return start.observer.copy().window(facts, 0)


def test_perfect_is_what_then_happens(batch, window):
    ahead = Perfect(batch)(window, EDGES)
    for step in (0, 5, 20):
        first, last = (round(EDGES[step + i] * 60) for i in (0, 1))
        outside = [batch.weather_at(minute) for minute in range(first, last)]
        power = np.mean([batch.world.pv_kw(weather) for weather in outside], axis=0)
        air = np.mean([weather.outdoor_temperature_celsius for weather in outside], axis=0)
        assert ahead.pv_kw[:, step] == pytest.approx(power, abs=1.0)
        assert ahead.outdoor_celsius[:, step] == pytest.approx(air, abs=0.05)
    late = np.flatnonzero(EDGES[:-1] == 20.0)[0]  # not published yet
    assert ahead.import_price[:, late] == pytest.approx([batch.series(farm)[0, 24 + 20] for farm in range(2)])
    assert np.isfinite(ahead.import_price).all() and ahead.pv_kw.shape == (2, len(EDGES) - 1)


def test_the_truth_reaches_beyond_the_episode_as_far_as_a_plan_looks(batch):
    truth = Truth(batch)
    assert truth.series["pv_kw"].shape[1] * 5 / 60 >= batch.hours + 72.0
    assert BEYOND_H >= 72.0


def test_without_the_sky_only_the_sky_persists(batch, window):
    full, blind = Perfect(batch)(window, EDGES), Perfect(batch, sky=False)(window, EDGES)
    assert not np.allclose(full.pv_kw, blind.pv_kw)
    for field in ("base_kw", "outdoor_celsius", "import_price"):
        assert np.array_equal(getattr(full, field), getattr(blind, field))


def test_the_service_errs_as_much_as_its_sources_say():
    site = load_site("demo")
    seasons = ("winter", "spring", "summer", "autumn")
    batch = Batch(
        [synthetic(site, "demo", season, "train", seed, hours=72.0) for season in seasons for seed in range(12)]
    )
    service, errors, light = Service(batch), {1.0: [], 24.0: [], 60.0: []}, []
    warmth = []
    for hour in range(72):
        start_h = np.full(len(batch), -float(hour))
        sun, clear = (
            means(service.truth.series[name], start_h, 1 / 12, np.array([0.0, 1.0]))[:, 0]
            for name in ("irradiance", "clear")
        )
        day = clear > 20.0
        light.append(sun[day])
        for lead, found in errors.items():
            issued = batch.start_ns + round((hour + 0.5 - lead) * HOUR_NS)
            cloud, warm = service.errors(issued, np.array([lead]))
            erring = np.clip(sun + cloud[:, 0] * clear, 0.03 * clear, 1.05 * clear)
            found.append((erring - sun)[day])
            if lead == 24.0:
                warmth.append(warm[:, 0])
    mean = np.concatenate(light).mean()
    relative = {lead: np.sqrt(np.mean(np.concatenate(found) ** 2)) / mean for lead, found in errors.items()}
    assert relative[24.0] == pytest.approx(0.40, abs=0.02)
    assert relative[1.0] < 0.6 * relative[24.0] < 0.6 * relative[60.0]
    assert abs(np.concatenate(errors[24.0]).mean()) / mean < 0.1
    assert np.std(np.concatenate(warmth)) == pytest.approx(1.5, abs=0.25)


def test_the_service_says_the_same_to_whoever_asks(batch):
    service, other = Service(batch), Service(batch)
    valid, lead = batch.start_ns + 30 * HOUR_NS, 12.0
    alone = service.errors(valid - round(lead * HOUR_NS), np.array([lead]))[0][:, 0]
    among = other.errors(valid - round(lead * HOUR_NS), np.array([1.0, lead, 40.0]))[0][:, 1]
    assert np.array_equal(alone, among)
    same = service.errors(np.full(2, valid[0]), np.array([lead]))[0][:, 0]
    assert same[0] != same[1], "farms with different seeds share an error"
    near = service.errors(valid - round(0.1 * HOUR_NS), np.array([0.1]))[0][:, 0]
    assert (np.abs(near) < np.abs(alone)).all()


def test_only_those_whose_name_says_so_get_the_truth(batch):
    for name in ("mpc", "mpc_service", "mpc_perfect"):
        forecaster = controllers.make(name, batch, 300.0).forecaster
        assert hasattr(forecaster, "truth") == (name in controllers.FORESEEING), name


def test_the_planner_sees_the_pump_only_when_it_is_shown(batch, window):
    health = TruePump(batch)
    with pytest.raises(ValueError, match="not shown"):
        health(window, np.array([0.5]))
    state = warmed(batch).state
    health.see(dataclasses.replace(state, clogging=np.zeros(2)))
    running = health(window, np.array([0.3, 0.9]))
    assert running.flow.shape == (2, 2) and (running.flow[:, 1] > running.flow[:, 0]).all()
    clogged = TruePump(batch)
    clogged.see(dataclasses.replace(state, clogging=np.ones(2)))
    worse = clogged(window, np.array([0.3, 0.9]))
    assert (worse.wear_per_h[:, 1] > 2.0 * running.wear_per_h[:, 1]).all()


@pytest.mark.parametrize("knows", [{}, {"sky": False}, {"pump": False}, {"history": False}])
def test_an_informed_planner_runs_with_each_thing_left_out(batch, knows):
    result = run(batch, Informed(batch, **knows))
    assert np.isfinite(result.objective_eur).all()


def test_the_future_matters_only_to_those_who_see_it(batch):
    """The same farms with another tomorrow: whoever sees windows only does the same at first, who foresees does not."""
    other = Batch(batch.scenarios)
    other.world.seeds = batch.seeds.copy()
    truth = Perfect(other)
    for name in ("pv_kw", "irradiance"):
        late = truth.truth.series[name]
        late[:, 24:] = 0.0
    start = warmed(batch)
    facts = start.observer.copy().facts(batch.world.readings(start.state, batch.weather_at(-1)), 0)
    window = start.observer.copy().window(facts, 0)
    blind = planner(batch, 300.0)
    ahead, changed = Perfect(batch)(window, EDGES), truth(window, EDGES)
    assert not np.allclose(ahead.pv_kw, changed.pv_kw)
    assert np.array_equal(blind.forecaster(window, EDGES).pv_kw, planner(other, 300.0).forecaster(window, EDGES).pv_kw)


@pytest.mark.parametrize("hours", [24.0, 72.0, 480.0, 960.0])
def test_a_peak_costs_the_planner_what_it_costs_the_account(hours):
    """Pro rata in days; in a season, which begins before a whole month is over, the whole month's charge."""
    site = load_site("demo")
    batch = Batch([synthetic(site, "demo", "spring", "train", 3, hours=hours)])
    lower, higher = np.zeros((2, round(hours * 4), 1))
    lower[:8], higher[:8] = 5.0, 6.0  # in the first two hours, and so in the month that the meter speaks of
    due = [accounts._demand(batch, kw, kw.max(axis=0))[0] for kw in (lower, higher)]
    assert demand_share(batch) == pytest.approx(due[1] - due[0])
    charge = planner(batch, 300.0).programme.plant.peak_eur_per_kw
    assert charge == pytest.approx(site.tariff.demand_charge_eur_per_kw_month * (due[1] - due[0]))
