# SPDX-License-Identifier: Apache-2.0
"""One day of one simulated farm under the shipped rules, behind the safety envelope: all that a picture shows."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.contract.samples import NANOSECONDS, Market
from cmkd_ros.contract.student import HISTORY_STEP_S, HISTORY_STEPS
from cmkd_ros.contract.telemetry import CHANNEL_NAMES, MARKET_CHANNELS
from cmkd_ros.fusion.future import clear_sky, known_future
from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.rules import Rules
from cmkd_ros.safety import Envelope, EnvelopeOptions, Meters
from cmkd_ros.simulation import prices
from cmkd_ros.simulation.measured import MeasuredDay
from cmkd_ros.simulation.sky import fisheye
from cmkd_ros.simulation.weather import Weather, exposure
from cmkd_ros.simulation.world import State, World
from cmkd_ros.site import Site
from cmkd_ros.site.market import HOUR_NS, at

Array = NDArray[np.float64]

WARM_UP_NS = 12 * HOUR_NS  # before the day, so that it begins as a day in the middle of others
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
        return f"{noon.day} {noon:%B %Y}" + (", measured sunlight" if self.world.measured else "")

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
    measured: MeasuredDay | None = None,
    market: Callable[[int], Market] | None = None,
) -> Day:
    """Simulate `date` (24 h from local midnight) in steps of `step_s` that divide an hour, a decision each.

    `market` gives prices known at a time; default: the simulated market of `seed`. The same arguments, the same day.
    """
    world = World(site, np.array([seed]), measured=measured)
    start_ns = midnight_ns(site, date)
    known = market or (lambda now_ns: prices.market(site, seed, now_ns))
    driver = _Driver(world, start_ns - WARM_UP_NS, step_s, known)
    while driver.state.time_ns[0] < start_ns:
        driver.step()
    states, setpoints, paid = [], [], []
    for _ in range(86_400 // step_s):
        setpoints.append(driver.step())
        states.append(driver.state)
        paid.append(driver.prices)
    times = np.array([state.time_ns[0] for state in states], np.int64)
    return Day(world, times, tuple(states), np.array(setpoints), many(world, times), np.array(paid))


class _Driver:
    """Meters, window, rules, envelope and world, a step at a time: a farm of one, without pictures and sound."""

    def __init__(self, world: World, start_ns: int, step_s: int, market: Callable[[int], Market]):
        site = world.site
        self._world, self._market, self._step_ns = world, market, step_s * NANOSECONDS
        self._rules = Rules(site)
        self._memory = self._rules.reset(1)
        self.state = world.initial(start_ns)
        self._envelope = Envelope(site, EnvelopeOptions.for_period(float(step_s)))
        self._guard = self._envelope.reset(1, start_ns / NANOSECONDS)
        listed = {channel for device in site.modbus.devices for channel in device.telemetry} or set(site.meters)
        self._metered = np.array([name in listed for name in CHANNEL_NAMES])
        self._history = np.full((1, HISTORY_STEPS, len(CHANNEL_NAMES)), np.nan)
        self._quarter: list[Array] = []
        self.prices = np.full(3, np.nan)

    def step(self) -> Array:
        """One decision and the step that follows it. The setpoints (5,)."""
        now_ns = int(self.state.time_ns[0])
        self.prices, ahead = at(self._market(now_ns), now_ns)
        readings = self._world.readings(self.state)
        facts = np.array([float(readings[name][0]) if name in readings else np.nan for name in CHANNEL_NAMES])
        facts = np.where(self._metered, facts, np.nan)
        facts[[CHANNEL_NAMES.index(name) for name in MARKET_CHANNELS]] = self.prices
        meters = facts[None]
        proposals, _, self._memory = self._rules.decide(self._window(now_ns, meters, ahead), self._memory)
        ages = np.where(np.isnan(meters), np.inf, 0.0)
        setpoints, _, self._guard = self._envelope.step(
            Meters(meters, ages), proposals, np.zeros((1, 5)), now_ns / NANOSECONDS, self._guard
        )
        self.state = self._world.step(self.state, setpoints, self._step_ns)
        self._quarter.append(facts)
        if int(self.state.time_ns[0]) % (round(HISTORY_STEP_S) * NANOSECONDS) == 0:
            mean = np.mean(self._quarter, axis=0)
            self._history = np.concatenate([self._history[:, 1:], mean[None, None]], axis=1)
            self._quarter = []
        return np.asarray(setpoints[0])

    def _window(self, now_ns: int, facts: Array, ahead: Array) -> Window:
        site = self._world.site
        local = site.local_time(now_ns)
        future, known = known_future(
            site.location, site.safe.led_on_hour, site.safe.led_off_hour, now_ns, ahead, now_ns
        )
        stamps = np.array([now_ns], np.int64)
        return Window(
            time_ns=stamps,
            local_hour=np.array([local.hour + local.minute / 60 + local.second / 3600]),
            day_of_year=np.array([float(local.timetuple().tm_yday)]),
            sky=np.zeros((1, 2, 1, 1, 3), np.uint8),
            sky_mask=np.zeros((1, 2), bool),
            sky_stamps_ns=np.zeros((1, 2), np.int64),
            audio=np.zeros((1, 1), np.int16),
            audio_rate_hz=16_000,
            audio_mask=np.zeros(1, bool),
            audio_stamps_ns=np.zeros(1, np.int64),
            now=facts,
            now_mask=~np.isnan(facts),
            latest=facts,
            telemetry_stamps_ns=stamps,
            history=self._history,
            history_mask=~np.isnan(self._history),
            future=future[None],
            future_mask=known[None],
            irradiance_clear_w_per_m2=clear_sky(site.location, stamps),
            ages_s=np.zeros((1, 4)),
            guard_s=0.0,
        )
