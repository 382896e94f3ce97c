# SPDX-License-Identifier: Apache-2.0
"""Simulated days of many farms under the rules: windows as the farm sees them, and what was true behind them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.contract.student import HISTORY_STEPS
from cmkd_ros.contract.telemetry import CHANNEL_NAMES, HOURS_AHEAD, MARKET_CHANNELS
from cmkd_ros.fusion.future import clear_sky, known_future
from cmkd_ros.fusion.options import Sizes
from cmkd_ros.fusion.pictures import fit
from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.rules import Rules
from cmkd_ros.policy.rules.reading import read
from cmkd_ros.policy.rules.water import share_of_time, water
from cmkd_ros.simulation import prices
from cmkd_ros.simulation.sky import fisheye
from cmkd_ros.simulation.sound import pump_sound
from cmkd_ros.simulation.weather import exposure, weather
from cmkd_ros.simulation.world import STEP_NS, State, World
from cmkd_ros.site import Site

PUMP = ACTION_INDEX["pump"]
MINUTE_NS = 60 * NANOSECONDS
SAMPLE_MINUTES = 5
YEAR_START_NS = 1_767_225_600 * NANOSECONDS  # 2026-01-01
PERTURBED_SHARE = 0.15  # of the hours: actions are then somebody else's, so that the rules are seen to recover
SEEN_SHARE = 0.25  # of the samples have pictures and sound; they cost the most to make


@dataclass(frozen=True)
class Sample:
    """B farms at one time. Arrays are (B, ...)."""

    window: Window
    actions: NDArray[np.float64]  # (B, 5) of the rules
    pump_share: NDArray[np.float64]  # (B,) of the time that the rules let the pump run
    irradiance: NDArray[np.float64]  # (B, 1 + H1) true, now and at the horizons, W/m2
    meters: NDArray[np.float64]  # (B, 3) load kW, state of charge %, soil moisture %


def channels_of(site: Site) -> tuple[str, ...]:
    """The channels that a site's devices and its market give, in the telemetry's order, without the energy counters."""
    read_here = {name for device in site.modbus.devices for name in device.telemetry} | set(MARKET_CHANNELS)
    return tuple(name for name in CHANNEL_NAMES if name in read_here and "energy" not in name)


def simulate(
    site: Site, seed: int, farms: int, hours: int, sizes: Sizes, horizons_s: tuple[float, ...]
) -> Iterator[Sample]:
    """Farms on random days of 2026 under the rules, one sample every `SAMPLE_MINUTES`; the same seed, the same samples.

    Every second farm buys at the site's tariff, the others at the made-up day-ahead market.
    """
    rng = np.random.default_rng(seed)
    world, rules = World(site, seed * 1000 + np.arange(farms)), Rules(site)
    state, memory = _started(world, rng), rules.reset(farms)
    hidden = np.array([name not in channels_of(site) for name in CHANNEL_NAMES])
    history = np.full((farms, HISTORY_STEPS, len(CHANNEL_NAMES)), np.nan)
    ahead = np.full((farms, len(MARKET_CHANNELS), HOURS_AHEAD), np.nan)
    quarter: list[NDArray[np.float64]] = []
    perturbed = np.zeros(farms, bool)
    strange = np.zeros((farms, 5))
    bounds = site.action_bounds()
    for minute in range(hours * 60):
        new_hour = state.time_ns % prices.HOUR_NS < MINUTE_NS
        for farm in np.flatnonzero(new_hour | (minute == 0)):
            hour = int(state.time_ns[farm]) // prices.HOUR_NS
            ahead[farm] = _ahead(site, int(world.seeds[farm]), hour, tariff=farm % 2 == 0)
        facts = _telemetry(world, state, ahead, hidden)
        window = _window(site, state.time_ns, facts, ahead, history, sizes)
        if minute % 60 == 0:
            perturbed = rng.random(farms) < PERTURBED_SHARE
            strange = rng.uniform(bounds[:, 0], bounds[:, 1], (farms, 5))
        actions, _, memory = rules.decide(window, memory)
        reading = read(window, site)
        share = share_of_time(reading, np.asarray(memory["watering"], np.int64), site)
        if minute % SAMPLE_MINUTES == 2:  # never on a quarter of an hour
            yield Sample(
                _with_senses(world, state, window, rng.random(farms) < SEEN_SHARE, sizes),
                actions,
                share,
                _irradiance(world, state.time_ns, horizons_s),
                facts[:, [CHANNEL_NAMES.index(name) for name in _METERS]],
            )
        applied = np.where(perturbed[:, None], strange, actions)
        for second in range(MINUTE_NS // STEP_NS):
            if second % 5 == 0:  # the pump's pulses are shorter than a minute
                pump = water(reading, share, window.local_hour + second / 3600.0, site)
                applied[:, PUMP] = np.where(perturbed, strange[:, PUMP], pump)
            state = world.step(state, applied)
        quarter.append(facts)
        if (minute + 1) % 15 == 0:  # farms start on a quarter of an hour
            history = np.concatenate([history[:, 1:], np.mean(quarter, axis=0)[:, None]], axis=1)
            quarter = []


def pump_sounds(site: Site, seed: int, count: int, sizes: Sizes) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Sounds (count, N) of pumps at random speeds, inlets more or less clogged, and how much each cavitates, 0..1.

    A fifth stand still. Whether a pump cavitates follows the simulated pump's own curve.
    """
    rng = np.random.default_rng([seed, 1])
    world = World(site, np.arange(count))
    state = dataclasses.replace(
        world.initial(YEAR_START_NS),
        clogging=rng.random(count),
        tank_m3=rng.uniform(0.1, 1.0, count) * world.tank_m3,
    )
    still = rng.random(count) < 0.2
    speed = np.where(still, 0.0, rng.uniform(site.pump.min_speed_percent / 100.0, 1.0, count))
    point = world.irrigation.operating_point(state, speed)
    stamps_ns = YEAR_START_NS + rng.integers(365 * 86_400, size=count) * NANOSECONDS
    sounds = [
        pump_sound(index, int(stamp), sizes.audio_samples, sizes.audio_rate_hz, *running)
        for index, (stamp, *running) in enumerate(zip(stamps_ns, speed, point.x, point.cavitation, state.pump_wear))
    ]
    return np.stack(sounds), point.cavitation


_METERS = ("load_power_kw", "battery_state_of_charge_percent", "soil_moisture_percent")


def _started(world: World, rng: np.random.Generator) -> State:
    farms = len(world.seeds)
    quarters = rng.integers(0, 365 * 96, farms)
    start_ns = YEAR_START_NS + quarters * 15 * MINUTE_NS
    state, moisture = world.initial(YEAR_START_NS), rng.uniform(48.0, 72.0, farms)
    months = np.array([world.site.local_time(int(stamp)).month for stamp in start_ns], np.int64)
    return dataclasses.replace(
        state,
        time_ns=start_ns.astype(np.int64),
        month=months,
        stored_kwh=rng.uniform(0.1, 0.95, farms) * world.site.battery.capacity_kwh,
        moisture_percent=moisture,
        far_moisture_percent=moisture - rng.uniform(0.0, 12.0, farms),
        peak_kw=rng.uniform(0.0, 0.8, farms) * world.site.grid.import_limit_kw,
    )


def _telemetry(
    world: World, state: State, ahead: NDArray[np.float64], hidden: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Newest values (B, C); the running hour of `ahead` (B, 3, 24) is the market's."""
    readings = world.readings(state)
    now = dict(zip(MARKET_CHANNELS, ahead[:, :, 0].T))
    unknown = np.full(len(world.seeds), np.nan)
    facts = np.stack([now.get(name, readings.get(name, unknown)) for name in CHANNEL_NAMES], axis=1)
    return np.where(hidden, np.nan, facts)


def _ahead(site: Site, seed: int, hour: int, tariff: bool) -> NDArray[np.float64]:
    """(3, 24) import price, feed-in and carbon from an hour since 1970 on."""
    start_ns = hour * prices.HOUR_NS
    if not tariff:
        market = prices.market(site, seed, start_ns)
        series = (
            market.import_price_eur_per_kwh,
            market.feed_in_price_eur_per_kwh,
            market.grid_carbon_kg_per_kwh,
        )
        return np.stack([values[:HOURS_AHEAD] for values in series])
    local = [site.local_time(start_ns + h * prices.HOUR_NS).hour for h in range(HOURS_AHEAD)]
    dear = np.isin(local, site.tariff.peak_hours)
    price = np.where(dear, site.tariff.peak_price_eur_per_kwh, site.tariff.import_price_eur_per_kwh)
    rest = (site.tariff.feed_in_price_eur_per_kwh, site.tariff.grid_carbon_kg_per_kwh)
    return np.stack([price, *(np.full(HOURS_AHEAD, value) for value in rest)])


def _window(
    site: Site,
    time_ns: NDArray[np.int64],
    facts: NDArray[np.float64],
    ahead: NDArray[np.float64],
    history: NDArray[np.float64],
    sizes: Sizes,
) -> Window:
    farms = len(time_ns)
    local = [site.local_time(int(stamp)) for stamp in time_ns]
    safe = site.safe
    futures = [
        known_future(site.location, safe.led_on_hour, safe.led_off_hour, int(stamp), series, int(stamp))
        for stamp, series in zip(time_ns, ahead)
    ]
    return Window(
        time_ns=time_ns,
        local_hour=np.array([t.hour + t.minute / 60 + t.second / 3600 for t in local]),
        day_of_year=np.array([float(t.timetuple().tm_yday) for t in local]),
        sky=np.broadcast_to(np.uint8(0), (farms, 2, sizes.sky_height, sizes.sky_width, 3)),
        sky_mask=np.zeros((farms, 2), bool),
        sky_stamps_ns=np.zeros((farms, 2), np.int64),
        audio=np.broadcast_to(np.int16(0), (farms, sizes.audio_samples)),
        audio_rate_hz=sizes.audio_rate_hz,
        audio_mask=np.zeros(farms, bool),
        audio_stamps_ns=np.zeros(farms, np.int64),
        now=facts,
        now_mask=~np.isnan(facts),
        latest=facts,
        telemetry_stamps_ns=time_ns,
        history=history,
        history_mask=~np.isnan(history),
        future=np.stack([values for values, _ in futures]),
        future_mask=np.stack([mask for _, mask in futures]),
        irradiance_clear_w_per_m2=clear_sky(site.location, time_ns),
        ages_s=np.zeros((farms, 4)),
        guard_s=0.0,
    )


def _with_senses(world: World, state: State, window: Window, seen: NDArray[np.bool_], sizes: Sizes) -> Window:
    """The same window with pictures and sound for the farms in `seen`."""
    farms = len(seen)
    sky = np.zeros((farms, 2, sizes.sky_height, sizes.sky_width, 3), np.uint8)
    audio = np.zeros((farms, sizes.audio_samples), np.int16)
    full_flow = world.full_flow_m3_per_h
    camera = fisheye(2 * sizes.sky_width, 2 * sizes.sky_height)
    for farm in np.flatnonzero(seen):
        seed, stamp = world.seeds[farm : farm + 1], int(state.time_ns[farm])
        for index, stamp_ns in enumerate((stamp - MINUTE_NS, stamp)):
            outside = weather(world.site, seed, np.array([stamp_ns]))
            picture = camera.render(
                outside.sky,
                float(outside.sun_elevation_deg[0]),
                float(outside.sun_azimuth_deg[0]),
                float(exposure(outside)[0]),
            )
            sky[farm, index] = fit(picture, sizes.sky_height, sizes.sky_width)
        speed, flow = float(state.pump_speed[farm]), float(state.flow_m3_per_h[farm]) / full_flow
        cavitation = float(state.cavitation[farm])
        audio[farm] = pump_sound(int(seed[0]), stamp, sizes.audio_samples, sizes.audio_rate_hz, speed, flow, cavitation)
    return dataclasses.replace(
        window, sky=sky, sky_mask=np.repeat(seen[:, None], 2, axis=1), audio=audio, audio_mask=seen
    )


def _irradiance(world: World, time_ns: NDArray[np.int64], horizons_s: tuple[float, ...]) -> NDArray[np.float64]:
    ahead = [time_ns + round(horizon * NANOSECONDS) for horizon in (0.0, *horizons_s)]
    return np.stack([world.weather(stamps).irradiance for stamps in ahead], axis=1)
