# SPDX-License-Identifier: Apache-2.0
"""Whatever comes in (garbage meters, proposals, ages and times, on any site), the outcome is admissible."""

import dataclasses

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmkd_ros.contract.telemetry import CHANNEL_NAMES, CHANNELS
from cmkd_ros.safety import LIMIT_INDEX, LIMITS, Envelope, EnvelopeState, Meters
from cmkd_ros.safety.explain import explain
from cmkd_ros.site import Site
from cmkd_ros.site.sections import Battery, Co2, Grid, Hvac, Led, Location, Meter, Pump, SafeProgramme

BATTERY, PUMP, LED, HVAC, VALVE = range(5)
GARBAGE = np.array([np.nan, np.inf, -np.inf, 1e9, -1e9, 1e300, -0.0, 5e-324])
INTERLOCKS = [
    "pv_power_kw",
    "load_power_kw",
    "grid_power_kw",
    "battery_power_kw",
    "battery_state_of_charge_percent",
    "battery_temperature_celsius",
    "led_power_kw",
    "hvac_power_kw",
    "pump_power_kw",
    "pump_flow_m3_per_h",
    "pump_suction_pressure_bar",
    "tank_level_switch",
    "air_temperature_celsius",
    "co2_ppm",
]
ALWAYS_MET = [index for index, limit in enumerate(LIMITS) if not limit.unit]
BATCH, STEPS = 16, 6


@st.composite
def sites(draw: st.DrawFn) -> Site:
    number = st.floats
    slowest = draw(number(0.0, 60.0))
    low = draw(number(0.0, 60.0))
    return Site(
        name="any",
        location=Location(latitude_deg=0, longitude_deg=0, timezone=draw(st.sampled_from(["UTC", "Europe/Amsterdam"]))),
        battery=Battery(
            power_kw=draw(number(0.0, 1e3)),
            capacity_kwh=draw(number(0.1, 1e4)),
            min_state_of_charge_percent=low,
            max_state_of_charge_percent=draw(number(low + 1.0, 100.0)),
            ramp_kw_per_s=draw(number(0.001, 100.0)),
        ),
        grid=Grid(
            import_limit_kw=draw(number(0.0, 50.0)),
            export_limit_kw=draw(number(0.0, 50.0)),
            inverter_power_kw=draw(number(0.1, 40.0)),
        ),
        pump=Pump(
            min_speed_percent=slowest,
            max_speed_percent=draw(number(max(slowest, 1.0), 100.0)),
            max_speed_unmetered_percent=draw(number(1.0, 100.0)),
            ramp_percent_per_s=draw(number(0.01, 100.0)),
            min_on_s=draw(number(0.0, 100.0)),
            min_off_s=draw(number(0.0, 100.0)),
            max_starts_per_hour=draw(st.integers(1, 30)),
            irrigation_on_s=draw(number(0.0, 50.0)),
            irrigation_every_s=draw(number(60.0, 3600.0)),
            irrigation_speed_percent=draw(number(0.0, 100.0)),
        ),
        led=Led(power_kw=draw(number(0.01, 100.0))),
        hvac=Hvac(hot_led_percent=draw(number(0.0, 100.0)), max_starts_per_hour=draw(st.integers(1, 10))),
        co2=Co2(),
        safe=SafeProgramme(hvac_setpoint_celsius=draw(number(15.0, 30.0)), pump_speed_percent=draw(number(0.0, 100.0))),
        meters={name: Meter(max_age_s=15.0) for name in INTERLOCKS if draw(st.booleans())},
    )


def anything(random: np.random.Generator, envelope: Envelope, now: np.ndarray) -> tuple[Meters, np.ndarray, np.ndarray]:
    """Meters, proposals and ages: mostly plausible, else garbage."""
    low, high = (np.array([getattr(channel, end) for channel in CHANNELS]) for end in ("low", "high"))
    high = np.minimum(high, 120.0)  # most readings near the limits, not in the thousands
    high[CHANNEL_NAMES.index("co2_ppm")] = 8000.0
    shape = (BATCH, len(CHANNELS))
    values = np.where(random.random(shape) < 0.1, random.choice(GARBAGE, shape), random.uniform(low, high, shape))
    ages = np.where(random.random(shape) < 0.1, random.choice(GARBAGE, shape), random.uniform(0.0, 16.0, shape))
    span = envelope.high - envelope.low
    proposals = random.uniform(envelope.low - 0.2 * span, envelope.high + 0.2 * span, (BATCH, 5))
    proposals = np.where(random.random((BATCH, 5)) < 0.2, random.choice(GARBAGE, (BATCH, 5)), proposals)
    proposal_ages = random.choice([0.0, 1.0, 4.9, 5.1, -0.5, -2.0, np.inf, np.nan, -np.inf, 1e9], (BATCH, 5))
    return Meters(values, ages), proposals, proposal_ages


def trusted(site: Site, meters: Meters, channel: str) -> tuple[np.ndarray, np.ndarray]:
    """Written anew from the words, not the code: value and whether it counts."""
    index = CHANNEL_NAMES.index(channel)
    value, age = meters.values[:, index], meters.ages_s[:, index]
    fresh = (age >= -1.0) & (age <= site.meters[channel].max_age_s)
    return value, fresh & (value >= CHANNELS[index].low) & (value <= CHANNELS[index].high)


def check_interlocks(site: Site, meters: Meters, setpoints: np.ndarray, unmet: np.ndarray) -> None:
    battery = setpoints[:, BATTERY]
    if "battery_state_of_charge_percent" in site.meters:
        charge, known = trusted(site, meters, "battery_state_of_charge_percent")
        assert (battery[known & (charge >= site.battery.max_state_of_charge_percent)] <= 0.0).all()
        assert (battery[known & (charge <= site.battery.min_state_of_charge_percent)] >= 0.0).all()
        assert (battery[~known] == 0.0).all()
    if "battery_temperature_celsius" in site.meters:
        temperature, known = trusted(site, meters, "battery_temperature_celsius")
        assert (battery[~known | (temperature > site.battery.max_temperature_celsius)] == 0.0).all()
    if "pv_power_kw" in site.meters:
        pv, known = trusted(site, meters, "pv_power_kw")
        excess = np.maximum(np.abs(pv - battery) - site.grid.inverter_power_kw, 0.0)
        # What is not kept is reported, exactly: the battery does all it may.
        np.testing.assert_allclose(excess[known], unmet[known, LIMIT_INDEX["inverter"]], atol=1e-9)
    if "air_temperature_celsius" in site.meters:
        air, known = trusted(site, meters, "air_temperature_celsius")
        hot = ~known | (air > site.hvac.hot_temperature_celsius)
        assert (setpoints[hot, VALVE] == 0.0).all() and (setpoints[hot, LED] <= site.hvac.hot_led_percent).all()
        assert (setpoints[hot, HVAC] <= site.safe.hvac_setpoint_celsius).all()
    if "co2_ppm" in site.meters:
        ppm, known = trusted(site, meters, "co2_ppm")
        assert (setpoints[~known | (ppm > site.co2.max_ppm), VALVE] == 0.0).all()
        assert (setpoints[~known | (ppm > site.co2.alarm_ppm), LED] <= site.hvac.hot_led_percent).all()
    for channel in ("tank_level_switch", "pump_flow_m3_per_h", "pump_suction_pressure_bar"):
        if channel in site.meters:
            assert (setpoints[~trusted(site, meters, channel)[1], PUMP] == 0.0).all()


def check_admissible(envelope: Envelope, setpoints: np.ndarray, before: np.ndarray, dt: np.ndarray) -> None:
    site = envelope.site
    assert setpoints.shape == (BATCH, 5) and np.isfinite(setpoints).all()
    bounds = site.action_bounds()
    assert (setpoints >= bounds[:, 0]).all() and (setpoints <= bounds[:, 1]).all()
    pump = setpoints[:, PUMP]
    top = site.pump.max_speed_percent
    if not {"pump_flow_m3_per_h", "pump_suction_pressure_bar"} & set(site.meters):
        top = min(top, site.pump.max_speed_unmetered_percent)
    assert ((pump == 0.0) | ((pump >= site.pump.min_speed_percent) & (pump <= top))).all()
    # Ramps: no further from the safe side than before, but for the ramp (and a pump's start at its slowest speed).
    rates = [
        site.battery.ramp_kw_per_s,
        site.pump.ramp_percent_per_s,
        site.led.ramp_percent_per_s,
        site.hvac.ramp_celsius_per_s,
        site.co2.ramp_percent_per_s,
    ]
    safe = [0.0, 0.0, 0.0, site.safe.hvac_setpoint_celsius, 0.0]
    for index, (rate, rest) in enumerate(zip(rates, safe)):
        now, then, step = setpoints[:, index] - rest, before[:, index] - rest, rate * dt
        furthest = np.where(now * then >= 0.0, np.abs(then), 0.0) + step
        if index == PUMP:
            furthest = np.maximum(furthest, max(site.pump.min_speed_percent, 1.0))
        assert (np.abs(now) <= furthest + 1e-9).all()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(site=sites(), seed=st.integers(0, 2**32 - 1), start=st.floats(0.0, 4.0e9))
def test_the_outcome_is_admissible_whatever_comes_in(site: Site, seed: int, start: float) -> None:
    random = np.random.default_rng(seed)
    envelope = Envelope(site)
    now = np.full(BATCH, start)
    applied = random.choice([np.nan, np.inf, -50.0, 0.0, 20.0, 90.0, 1e9], (BATCH, 5))
    state = envelope.reset(BATCH, now, applied)
    for _ in range(STEPS):
        meters, proposals, ages = anything(random, envelope, now)
        moment = now + random.choice([0.0, 0.2, 1.0, 5.0, 30.0, 4000.0, -0.5, -1e4, np.nan, np.inf], BATCH)
        is_time = (moment >= 0.0) & (moment <= 4102444800.0)
        dt = np.clip(np.where(is_time, moment, now) - now, 0.0, envelope.options.max_step_s)
        inputs = [array.copy() for array in (meters.values, meters.ages_s, proposals, ages)]
        previous = {name: array.copy() for name, array in state.to_arrays().items()}
        with np.errstate(invalid="raise", divide="raise"):
            setpoints, interventions, new = envelope.step(meters, proposals, ages, moment, state)

        check_admissible(envelope, setpoints, state.setpoints, dt)
        check_interlocks(site, meters, setpoints, interventions.unmet)
        assert np.isfinite(interventions.unmet).all() and (interventions.unmet >= 0.0).all()
        assert not interventions.unmet[:, ALWAYS_MET].any()
        touched = interventions.active.any(axis=2)
        assert ((interventions.binding >= 0) == touched).all()
        # Nothing touched: exactly what was proposed.
        assert (setpoints[~touched] == proposals[~touched]).all()
        for index in range(BATCH):
            for reason in explain(envelope, meters, proposals, ages, setpoints, interventions, new, index):
                assert reason.text and "nan" not in reason.text
        # Pure: neither arguments nor the old state were changed.
        for array, copy in zip((meters.values, meters.ages_s, proposals, ages), inputs):
            np.testing.assert_array_equal(array, copy)
        for name, array in state.to_arrays().items():
            np.testing.assert_array_equal(array, previous[name])
            assert not np.isnan(array).any()
        state, now = EnvelopeState.from_arrays(new.to_arrays()), np.where(is_time, moment, now)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(site=sites(), seed=st.integers(0, 2**32 - 1))
def test_a_batch_equals_its_farms_one_by_one_to_the_bit(site: Site, seed: int) -> None:
    random = np.random.default_rng(seed)
    envelope = Envelope(site)
    now = 1.78e9 + random.uniform(0.0, 1e6, BATCH)
    states = [envelope.reset(1, now[index : index + 1]) for index in range(BATCH)]
    state = envelope.reset(BATCH, now)
    for _ in range(STEPS):
        meters, proposals, ages = anything(random, envelope, now)
        now = now + random.choice([0.0, 1.0, 5.0, 100.0], BATCH)
        setpoints, interventions, state = envelope.step(meters, proposals, ages, now, state)
        for index in range(BATCH):
            row = slice(index, index + 1)
            one = Meters(meters.values[row], meters.ages_s[row])
            alone, alone_interventions, states[index] = envelope.step(
                one, proposals[row], ages[row], now[row], states[index]
            )
            assert alone.tobytes() == setpoints[row].tobytes()
            for field in dataclasses.fields(interventions):
                mine, theirs = getattr(alone_interventions, field.name), getattr(interventions, field.name)[row]
                np.testing.assert_array_equal(mine, theirs)
            for name, array in states[index].to_arrays().items():
                np.testing.assert_array_equal(array, state.to_arrays()[name][row])
