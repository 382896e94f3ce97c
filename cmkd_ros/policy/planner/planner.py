# SPDX-License-Identifier: Apache-2.0
"""The receding-horizon planner as a `Policy`: each decision plans two days, and does the first step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.fusion.window import Window
from cmkd_ros.physics import greenhouse
from cmkd_ros.policy import agronomy
from cmkd_ros.policy.interface import Insight, State
from cmkd_ros.policy.objective import Values
from cmkd_ros.policy.planner import climate, growth, health, room, store
from cmkd_ros.policy.planner.dosing import Dosing
from cmkd_ros.policy.planner.estimate import NAMES, Estimate
from cmkd_ros.policy.planner.forecast import Ahead, Forecaster, Persistence, filled, known
from cmkd_ros.policy.planner.growth import Light
from cmkd_ros.policy.planner.horizon import edges_h, lit_share
from cmkd_ros.policy.planner.problem import LAYERS, Facts, Plan, Plant
from cmkd_ros.policy.planner.programme import Programme
from cmkd_ros.policy.planner.water import Water, Watering
from cmkd_ros.site import Site

Array = NDArray[np.float64]

SOLVED, LAST_PLAN, SAFE = 0, 1, 2  # how a decision came about
_ROWS = (
    "battery_kw",
    "led_kw",
    "air",
    "import_kw",
    "hvac_kw",
    "heating_kw",
)  # of a plan, kept for the day on which there is none
_LED, _AIR, _HVAC = (_ROWS.index(name) for name in ("led_kw", "air", "hvac_kw"))
_LEAD = 2  # the step whose temperature is asked for: a room follows in a quarter of an hour
_LIT_PPM, _DARK_PPM = 945.0, 700.0
# In the light, heating instead of drying costs CO2 that goes out with the damp air.
_VENTED_EUR = 0.3
_RAMP_SHARE = 0.5  # of the ramp limit, that the lights may take at a decision


class Planner:
    """Plans with a linear programme (`programme.Programme`); pump and CO2 valve follow rules of their own.

    Deterministic in (window, state): the solver starts from the basis that the state holds. When the programme cannot
    be solved the last plan's step for now is done, or, without one, the site's safe values; `explain` says so.
    """

    def __init__(
        self,
        site: Site,
        values: Values,
        forecaster: Forecaster | None = None,
        *,
        period_s: float = 300.0,
        demand_share: float = 1.0,
        knows: health.Health = health.usual,
        hours: float = 48.0,
        tipburn_days: float = 3.0,
        history: bool = True,
        name: str = "mpc",
    ):
        """`demand_share`: how much of a month's demand charge a kilowatt of peak costs (0.1 in 72 h, 1 in a season).

        `knows` says how the pump is, `tipburn_days` for how long a spoilt plant counts, `history` False forgets the
        window's. Raises `PolicyError` where highspy is missing.
        """
        self.name, self.site, self.values = name, site, values
        self.edges, self.period_s = edges_h(hours), period_s
        self.steps, self._lengths = len(self.edges) - 1, np.diff(self.edges)
        self.forecaster = forecaster or Persistence(site, history=history)
        self._knows, self._tipburn_days = knows, tipburn_days
        self._estimate = Estimate(site, history)
        self._per_kw = self._estimate.per_kw
        percents = site.battery.min_state_of_charge_percent, site.battery.max_state_of_charge_percent
        self._usable = tuple(percent / 100.0 * site.battery.capacity_kwh for percent in percents)
        self._lamp = Light(self._per_kw, site.led.power_kw, site.led.canopy_area_m2)
        gram = greenhouse.BURNER_KWH_PER_G * values.gas_eur_per_kwh + 1e-3 * values.carbon_eur_per_kg
        self._gram_eur = gram
        self._drying = room.drying(site, *climate.held_kw(site))
        self.programme = Programme(self._plant(demand_share), self.edges)
        self._water = Water(site, values.pump_eur, period_s)
        self._dosing = Dosing(site, agronomy.MOST_CO2_PPM, gram, values.lettuce_eur_per_kg, period_s)
        self._wear_eur, self._holding_eur = store.wear_eur(site, values)

    def _plant(self, demand_share: float) -> Plant:
        site = self.site
        air, mass, between, losses = room.capacities(site)
        return Plant(
            site.battery.power_kw,
            float(np.sqrt(site.battery.round_trip_efficiency)),
            site.grid.import_limit_kw,
            site.grid.export_limit_kw,
            site.grid.inverter_power_kw,
            site.led.power_kw,
            site.hvac.power_kw,
            1.0 - room.BOUND_BY_CROP,
            self._drying.per_led,
            air,
            mass,
            between,
            losses,
            site.led.canopy_area_m2,
            site.tariff.demand_charge_eur_per_kw_month * demand_share,
        )

    def reset(self, batch: int) -> State:
        """Nothing seen yet; every entry has a leading batch axis."""
        return {
            **self._estimate.reset(batch),
            "led_kw": np.zeros(batch),
            "irrigated_ns": np.zeros(batch, np.int64),
            "fast_since_ns": np.zeros(batch, np.int64),
            "pump": np.zeros(batch),
            "burner_ns": np.zeros(batch, np.int64),
            "stored_kwh": np.full(batch, np.nan),
            "layers": np.zeros((batch, len(LAYERS))),
            "basis": np.tile(self.programme.no_basis(), (batch, 1)),
            "plan": np.full((batch, self.steps, len(_ROWS)), np.nan),
            "planned_ns": np.zeros(batch, np.int64),
            "peak_kw": np.zeros(batch),
            "how": np.full(batch, SAFE, np.int64),
        }

    def decide(self, window: Window, state: State) -> tuple[Array, Insight, State]:
        """Actions (B, 5), no opinion, and the next state. Finite whatever the window holds."""
        state = self._estimate.follow(window, state, np.asarray(state["led_kw"], np.float64))
        state |= self._charged(window, state)
        new = np.asarray(state["irrigated_ns"], np.int64) == 0
        state["irrigated_ns"] = np.where(new, window.time_ns, state["irrigated_ns"])
        ahead = self.forecaster(window, self.edges)
        lit = lit_share(window.local_hour, self.edges, self.site.led.min_dark_h)
        last = np.array([_shifted(state["plan"][b], self.edges, _age_h(window, state, b)) for b in range(window.batch)])
        plans, bases, how = last.copy(), state["basis"].copy(), np.zeros(window.batch, np.int64)
        peaks = np.zeros(window.batch)
        for farm in range(window.batch):
            try:
                plan = self.plan(window, state, ahead, lit[farm], last[farm], farm)
                plans[farm] = np.stack([getattr(plan, name) for name in _ROWS], axis=-1)
                bases[farm], peaks[farm] = plan.basis, plan.peak_kw
            except PolicyError:
                bases[farm] = self.programme.no_basis()
                how[farm] = SAFE if np.isnan(plans[farm, 0]).any() else LAST_PLAN
        state = {**state, "basis": bases, "how": how, "peak_kw": peaks}
        solved = how == SOLVED
        state["plan"] = np.where(solved[:, None, None], plans, state["plan"])
        state["planned_ns"] = np.where(solved, window.time_ns, state["planned_ns"])
        return self._acted(window, state, ahead, plans)

    def _charged(self, window: Window, state: State) -> State:
        """The battery's content, by its meter or else as it was, and the layers that it has come to be in."""
        (lowest, highest), capacity = self._usable, self.site.battery.capacity_kwh
        metered = known(window, "battery_state_of_charge_percent") * (capacity / 100.0)
        stored = filled(metered, np.asarray(state["stored_kwh"], np.float64), 0.5 * (lowest + highest))
        layers = store.moved(np.asarray(state["layers"], np.float64), stored - lowest, highest - lowest)
        return {"stored_kwh": stored, "layers": layers}

    def plan(self, window: Window, state: State, ahead: Ahead, lit: Array, last: Array, farm: int) -> Plan:
        """One farm's plan. Raises `PolicyError` where there is none."""
        basis = np.asarray(state["basis"][farm], np.int64)
        return self.programme.solve(self.facts(window, state, ahead, lit, last, farm), basis)

    def facts(self, window: Window, state: State, ahead: Ahead, lit: Array, last: Array, farm: int) -> Facts:
        """What the programme is told about one farm. `last` (S, 5) is the last plan, moved to now."""
        site, values = self.site, self.values
        sun_kw = 1e-3 * site.greenhouse.daylit_transmission * ahead.irradiance[farm]  # per m2
        sun = 1000.0 * room.SUN_UMOL_PER_J * sun_kw
        led_kw = np.where(np.isnan(last[:, _LED]), 0.7 * site.led.power_kw, last[:, _LED]) * (lit > 0.0)
        celsius = np.clip(np.where(np.isnan(last[:, _AIR]), room.ABOUT_CELSIUS, last[:, _AIR]), 10.0, 35.0)
        ppm = np.where((lit > 0.0) | (sun > 30.0), _LIT_PPM, _DARK_PPM)
        canopy = tuple(float(state[name][farm]) for name in NAMES)
        worth = growth.worth(
            canopy,  # type: ignore[arg-type]
            self._lamp,
            led_kw,
            sun,
            celsius,
            ppm,
            self._lengths,
            values.lettuce_eur_per_kg,
            self._tipburn_days,
        )
        outdoor = ahead.outdoor_celsius[farm]
        heating, cooling = room.performance(outdoor)
        vent_kw, vent_eur = room.vents(site, outdoor, self._gram_eur, ppm)
        lowest, highest = self._usable
        air = float(filled(known(window, "air_temperature_celsius"), room.ABOUT_CELSIUS)[farm])
        mass = float(state["mass_celsius"][farm])
        price = ahead.import_price[farm] + values.carbon_eur_per_kg * ahead.carbon[farm]
        late = slice(-24, None)
        absorbed = room.SUN_ABSORBED * sun_kw / room.LED_ABSORBED_KW_PER_UMOL / self._per_kw
        most = site.led.power_kw * lit
        if site.grid.ramp_limit_percent_per_min > 0.0:
            most = np.minimum(most, self._ramped(float(state["led_kw"][farm]), lit))
        return Facts(
            pv_kw=ahead.pv_kw[farm],
            base_kw=ahead.base_kw[farm] + float(state["pump"][farm] > 0.0) * 0.1 * site.pump.rated_power_kw,
            import_eur=price,
            feed_in_eur=ahead.feed_in_price[farm],
            led_kw=most,
            led_eur=worth.led_eur,
            outdoor=outdoor,
            heat_kw=room.MACHINES_INSIDE * ahead.base_kw[farm] + site.led.canopy_area_m2 * sun_kw,
            dry_kw=np.minimum(self._drying.kw(outdoor, absorbed), 0.8 * site.hvac.power_kw),
            heating=heating,
            cooling=cooling,
            heat_eur=_VENTED_EUR * np.minimum((led_kw * self._per_kw + sun) / 50.0, 1.0),
            warm_eur=worth.warm_eur,
            lowest=lowest,
            highest=highest,
            stored=float(state["stored_kwh"][farm]),
            stored_eur=self.programme.plant.one_way_efficiency * float(price[late].mean()),
            holding_eur=self._holding_eur,
            wear_eur=self._wear_eur,
            air=air,
            mass=air if np.isnan(mass) else mass,
            peak_kw=float(filled(known(window, "grid_peak_power_kw"), 0.0)[farm]),
            vent_kw=vent_kw,
            vent_eur=2.0 * vent_eur + 0.02,
            layers=np.asarray(state["layers"][farm], np.float64),
        )

    def _ramped(self, led_kw: float, lit: Array) -> Array:
        """(S,) what the lights may reach, and from where they must come down, within the connection's ramp limit."""
        grid = self.site.grid
        step = _RAMP_SHARE * grid.ramp_limit_percent_per_min / 100.0 * grid.import_limit_kw
        decisions = (self.edges[:-1] * 3600.0) / self.period_s
        up = led_kw + step * (1.0 + np.floor(decisions))
        ends = np.flatnonzero(lit <= 0.0)
        until = decisions[ends[0]] if len(ends) else np.inf
        down = step * np.maximum(np.ceil(until - decisions), 0.0)
        return np.where(decisions < until, np.minimum(up, down), np.inf) if until < 24 else up

    def _acted(self, window: Window, state: State, ahead: Ahead, plans: Array) -> tuple[Array, Insight, State]:
        site, how = self.site, state["how"]
        safe = how == SAFE
        programme = site.safe
        led_kw = np.where(safe, programme.led_intensity_percent / 100.0 * site.led.power_kw, plans[:, 0, _LED])
        hour = window.local_hour
        led_kw = np.where(safe & ((hour < programme.led_on_hour) | (hour >= programme.led_off_hour)), 0.0, led_kw)
        led_kw = np.where(hour < site.led.min_dark_h, 0.0, led_kw)
        if site.grid.ramp_limit_percent_per_min > 0.0:
            step = _RAMP_SHARE * site.grid.ramp_limit_percent_per_min / 100.0 * site.grid.import_limit_kw
            slow = np.maximum(led_kw, np.asarray(state["led_kw"], np.float64) - step)
            led_kw = np.where(hour < site.led.min_dark_h, led_kw, slow)
        battery = np.where(safe, 0.0, plans[:, 0, 0])
        wanted = np.where(safe, programme.hvac_setpoint_celsius, plans[:, _LEAD, _AIR])
        sun = 1e-3 * site.greenhouse.daylit_transmission * ahead.irradiance[:, 0]  # kW/m2
        light = led_kw * self._per_kw + 1000.0 * room.SUN_UMOL_PER_J * sun
        load = np.where(safe, 0.0, plans[:, _LEAD, _HVAC] / site.hvac.power_kw)
        setpoint = np.where(safe, programme.hvac_setpoint_celsius, climate.setpoint(wanted, load))
        valve, burner = self._dosing.decide(
            window.time_ns,
            np.asarray(state["burner_ns"], np.int64),
            known(window, "co2_ppm"),
            light,
            known(window, "air_temperature_celsius"),
            known(window, "relative_humidity_percent"),
            ahead.outdoor_celsius[:, 0],
            setpoint,
            np.asarray(state["leaf_area"], np.float64),
        )
        pump, watering = self._water.decide(
            window.time_ns,
            Watering(
                np.asarray(state["irrigated_ns"], np.int64),
                np.asarray(state["fast_since_ns"], np.int64),
                np.asarray(state["pump"], np.float64),
            ),
            known(window, "soil_moisture_percent"),
            known(window, "tank_level_switch"),
            self._knows(window, self._water.speeds),
            ahead.import_price[:, 0],
        )
        actions = np.stack([battery, pump, 100.0 * led_kw / site.led.power_kw, setpoint, valve], axis=1)
        bounds = site.action_bounds()
        actions = np.clip(np.round(actions, 6), bounds[:, 0], bounds[:, 1])
        after: State = {
            **state,
            "led_kw": led_kw,
            "irrigated_ns": watering.irrigated_ns,
            "fast_since_ns": watering.fast_since_ns,
            "pump": watering.speed,
            "burner_ns": burner,
        }
        return actions, Insight.unknown(window.batch), after

    def explain(self, window: Window, actions: Array, state: State) -> list[str]:
        """What was planned, in one sentence a farm; `state` is that after the decision."""
        return [self._sentence(window, state, farm) for farm in range(window.batch)]

    def _sentence(self, window: Window, state: State, farm: int) -> str:
        how = int(state["how"][farm])
        if how == SAFE:
            return "no plan could be made and there is none from before: the site's safe values"
        plan = state["plan"][farm]
        day = self.edges[:-1] < 24.0
        hours = self._lengths[day]
        text = (
            f"next 24 h: import {plan[day, 3] @ hours:.0f} kWh, lights {plan[day, _LED] @ hours:.0f} kWh, heat pump "
            f"{plan[day, 4] @ hours:.0f} kWh, peak {state['peak_kw'][farm]:.1f} kW; now battery {plan[0, 0]:+.1f} kW, "
            f"lights {plan[0, _LED]:.1f} kW, air {plan[_LEAD, _AIR]:.1f} degC"
        )
        return (
            text
            if how == SOLVED
            else f"no plan could be made, so that of {_age_h(window, state, farm):.1f} h ago: {text}"
        )


def _age_h(window: Window, state: State, farm: int) -> float:
    return float((window.time_ns[farm] - state["planned_ns"][farm]) / 3.6e12)


def _shifted(plan: Array, edges: Array, age_h: float) -> Array:
    """A plan (S, K) of `age_h` ago as a plan from now on; NaN where it is none, or too old."""
    if not 0.0 <= age_h < 24.0:
        return np.full_like(plan, np.nan)
    middle = 0.5 * (edges[1:] + edges[:-1]) + age_h
    return np.asarray(plan[np.minimum(np.searchsorted(edges, middle, side="right") - 1, len(plan) - 1)])
