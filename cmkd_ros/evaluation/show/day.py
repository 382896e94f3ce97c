# SPDX-License-Identifier: Apache-2.0
"""One day of one simulated farm under the shipped rules, behind the safety envelope: all that a picture shows."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS, Market
from cmkd_ros.evaluation import tariffs
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.scenario import AFTER_H, BEFORE_H, Scenario, around
from cmkd_ros.evaluation.windows import Observer
from cmkd_ros.policy.rules import Rules, settings_for
from cmkd_ros.safety import Envelope, EnvelopeOptions, Meters
from cmkd_ros.simulation.measured import Measured
from cmkd_ros.simulation.sky import fisheye
from cmkd_ros.simulation.weather import Weather, exposure
from cmkd_ros.simulation.world import State, World
from cmkd_ros.site import Site
from cmkd_ros.site.market import HOUR_NS, at

Array = NDArray[np.float64]

WARM_UP_H = 12.0  # before the day, so that it begins as a day in the middle of others
_CHANGEABLE_EVERY_NS = 120 * NANOSECONDS


@dataclass(frozen=True)
class Day:
    """N steps from local midnight on. `states[k]` and `setpoints[k]` (5,) are those of the step that ended at k."""

    world: World
    time_ns: NDArray[np.int64]  # (N,)
    states: tuple[State, ...]
    setpoints: Array  # (N, 5) after the envelope
    weather: Weather  # fields (N,)
    market: Array  # (N, 3) import price, feed-in, carbon

    @property
    def site(self) -> Site:
        """The farm's."""
        return self.world.site

    @property
    def zone(self) -> ZoneInfo:
        """The farm's time zone."""
        return ZoneInfo(self.site.location.timezone)

    @property
    def place(self) -> str:
        """Whose day it is, for titles."""
        return f"farm “{self.site.name}”, seed {self.world.seeds[0]}"

    @property
    def date(self) -> str:
        """For titles: 16 May 2025, measured weather where it is."""
        noon = self.site.local_time(int(self.time_ns[len(self.time_ns) // 2]))
        return f"{noon.day} {noon:%B %Y}" + (", measured weather" if self.world.measured else "")

    def of(self, name: str) -> Array:
        """One field of the state over the day, (N,)."""
        return np.array([getattr(state, name)[0] for state in self.states])

    def asked(self, name: str) -> Array:
        """Setpoints of one actuator over the day, (N,)."""
        return np.asarray(self.setpoints[:, ACTION_INDEX[name]])


def midnight_ns(site: Site, date: datetime.date) -> int:
    """Local midnight at which `date` begins, UTC nanoseconds."""
    zone = ZoneInfo(site.location.timezone)
    return round(datetime.datetime.combine(date, datetime.time(), zone).timestamp()) * NANOSECONDS


def most_changeable(site: Site, seed: int, first: datetime.date, days: int) -> datetime.date:
    """That of `days` days whose clear-sky index changes most: broken clouds, where a farm has most to decide."""
    world = World(site, np.array([seed]))
    spread = []
    for day in range(days):
        start = midnight_ns(site, first + datetime.timedelta(days=day))
        times = start + np.arange(0, 24 * HOUR_NS, _CHANGEABLE_EVERY_NS)
        seen = many(world, times)
        up = seen.sun_elevation_deg > 10.0
        index = seen.irradiance[up] / np.maximum(seen.clear_irradiance[up], 1.0)
        spread.append(float(index.std()) if up.any() else 0.0)
    return first + datetime.timedelta(days=int(np.argmax(spread)))


def many(world: World, times_ns: NDArray[np.int64]) -> Weather:
    """The weather of a one-farm world at (N,) times."""
    seeds = np.repeat(world.seeds[:1], len(times_ns))
    return World(world.site, seeds, measured=world.measured).weather(np.asarray(times_ns, np.int64))


def quarters(day: Day, values: Array) -> Array:
    """The mean of each quarter of an hour, at each of its steps: (N,) of (N,)."""
    _, place = np.unique((day.time_ns - 1) // (900 * NANOSECONDS), return_inverse=True)
    return np.asarray((np.bincount(place, values) / np.bincount(place))[place])


def picture(world: World, stamp_ns: int, size: int) -> NDArray[np.uint8]:
    """The camera's frame (size, size, 3) RGB of a one-farm world at any time."""
    now = world.weather(np.array([stamp_ns], np.int64))
    return fisheye(size, size).render(
        now.sky, float(now.sun_elevation_deg[0]), float(now.sun_azimuth_deg[0]), float(exposure(now)[0])
    )


def live_through(
    site: Site,
    seed: int,
    date: datetime.date,
    step_s: int,
    measured: Measured | None = None,
    market: Market | None = None,
) -> Day:
    """Simulate `date`, 24 h from local midnight on, in steps of `step_s` that divide a quarter, with a decision each.

    `market` replaces the simulated prices. The same arguments, the same day.
    """
    start_ns = midnight_ns(site, date) // HOUR_NS * HOUR_NS
    prices = around(site, seed, start_ns, 24.0, market=True) if market is None else prices_of(market, start_ns)
    batch = Batch([Scenario(site, site.name, "", "test", seed, start_ns, 24.0, prices, measured)], step_s)
    settings = settings_for(site, batch.values.lettuce_eur_per_kg, batch.market)
    observer, world, rules = Observer(batch), batch.world, Rules(site, settings, period_s=float(step_s))
    warm = round(WARM_UP_H * 3600.0 / step_s)
    state, memory = world.initial(start_ns - warm * batch.step_ns), rules.reset(1)
    envelope = Envelope(site, EnvelopeOptions.for_period(step_s))
    guard, fresh = envelope.reset(1, state.time_ns / NANOSECONDS), np.zeros((1, 5))
    states, setpoints = [], []
    for step in range(-warm, batch.steps):
        elapsed_ns = step * batch.step_ns
        facts = observer.facts(world.readings(state, batch.weather_at(step - 1)), elapsed_ns)
        wanted, _, memory = rules.decide(observer.window(facts, elapsed_ns), memory)
        meters = Meters(facts, np.where(np.isnan(facts), np.inf, 0.0))
        applied, _, guard = envelope.step(meters, wanted, fresh, state.time_ns / NANOSECONDS, guard)
        state = world.step(state, applied, batch.step_ns, batch.weather_at(step))
        if step >= 0:
            states.append(state)
            setpoints.append(applied[0])
    times = np.array([state.time_ns[0] for state in states], np.int64)
    paid = batch.prices[0][:, (times - 1 - start_ns) // HOUR_NS].T
    return Day(world, times, tuple(states), np.array(setpoints), many(world, times), paid)


def prices_of(market: Market, start_ns: int) -> tariffs.Prices:
    """A file's prices as those of a day. Raises `ConfigurationError` where they do not hold it."""
    first_ns = start_ns - BEFORE_H * HOUR_NS
    hours = first_ns + np.arange(BEFORE_H + 24 + AFTER_H) * HOUR_NS
    series = np.stack([at(market, int(hour))[1][:, 0] for hour in hours], axis=1)
    if np.isnan(series[:2, BEFORE_H : BEFORE_H + 24]).any():
        raise ConfigurationError("prices", ["the file does not hold every hour of the day: name the --date it is of"])
    return tariffs.Prices(first_ns, series[0], series[1], series[2], day_ahead=True)
