# SPDX-License-Identifier: Apache-2.0
"""A check on data of others: the project's planner and rules on CityLearn's home, beside no control and the best there
is. `python -m cmkd_ros.evaluation.external ../shared/data` prints the table."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.telemetry import CHANNEL_NAMES, HOURS_AHEAD
from cmkd_ros.evaluation.home import (
    PV_KW,
    Bill,
    CityLearnRules,
    CityLearnStore,
    Greedy,
    Home,
    HomeController,
    Idle,
    Planned,
    Store,
    best_schedule,
    read_home,
    run,
    worth_left,
)
from cmkd_ros.fusion.future import HOUR_NS, clear_sky, known_future
from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.interface import Policy, State
from cmkd_ros.policy.planner.problem import Facts, Plant
from cmkd_ros.policy.planner.programme import Programme
from cmkd_ros.policy.rules import Rules
from cmkd_ros.simulation.measured_year import FONTANA
from cmkd_ros.site import Site, sections

Array = NDArray[np.float64]

HORIZON_H = 36
BEST = "plain battery, all known"


class Receding:
    """The planner's linear programme, hour by hour, with yesterday's load and sun as the forecast (`perfect`: the
    truth), and the worth of a cheap hour for what is left at the end."""

    steps_per_hour = 1

    def __init__(self, store: Store, *, perfect: bool = False, hours: int = HORIZON_H):
        self.store, self._perfect, self._hours = store, perfect, hours
        self._programme = programme(store, hours)

    def __call__(self, home: Home, hour: int, part: int, stored: Array) -> Array:
        ahead, last = np.arange(hour, hour + self._hours), home.load_kw.shape[1] - 1
        beyond = ahead - last - 1  # where the data end, their last day comes again
        real = np.where(beyond < 0, ahead, np.maximum(last - 23 + beyond % 24, 0))
        prices = home.price[:, real]
        known = real if self._perfect else _same_hour_before(ahead, hour)
        power = np.empty(len(stored))
        for span in range(len(stored)):
            load, pv = home.load_kw[span, known], home.pv_kw[span, known]
            worth = float(prices[span].min()) * self.store.one_way
            facts = facts_of(self.store, load, pv, prices[span], float(stored[span]), worth)
            power[span] = self._programme.solve(facts).battery_kw[0]
        return power


def _same_hour_before(ahead: NDArray[np.int_], now: int) -> NDArray[np.int_]:
    """The newest hour that is known at the same time of day; on a span's first day the hour of now."""
    days = -(-(ahead - now) // 24)
    return np.where(ahead - 24 * days >= 0, ahead - 24 * days, now)


def programme(store: Store, hours: int) -> Programme:
    """The planner's programme as it stands, on an hourly grid, for a home: no lights, no heat pump, no peak charge."""
    plenty = 1e3
    plant = Plant(
        battery_kw=store.power_kw,
        one_way_efficiency=store.one_way,
        import_kw=plenty,
        export_kw=plenty,
        inverter_kw=plenty,
        led_kw=0.0,
        hvac_kw=0.0,
        led_heat=1.0,
        dry_per_led=0.0,
        air_kwh_per_k=1.0,
        mass_kwh_per_k=1.0,
        mass_kw_per_k=1.0,
        loss_kw_per_k=1.0,
        area_m2=1.0,
        peak_eur_per_kw=0.0,
    )
    return Programme(plant, np.arange(hours + 1.0), most_iterations=1_000_000)


def facts_of(store: Store, load: Array, pv: Array, price: Array, stored: float, worth: float) -> Facts:
    """What the programme needs of a home; a room at rest, whose cost is the same whatever the battery does."""
    zero = np.zeros_like(load)
    return Facts(
        pv_kw=pv,
        base_kw=load,
        import_eur=price,
        feed_in_eur=zero,
        led_kw=zero,
        led_eur=np.zeros((len(load), 4)),
        outdoor=zero + 20.0,
        heat_kw=zero,
        dry_kw=zero,
        heating=zero + 3.0,
        cooling=zero + 3.0,
        heat_eur=zero,
        warm_eur=np.zeros((len(load), 4)),
        lowest=0.0,
        highest=store.capacity_kwh,
        stored=stored,
        stored_eur=worth,
        holding_eur=0.0,
        wear_eur=np.zeros(3),
        air=20.0,
        mass=20.0,
        peak_kw=0.0,
    )


def home_site(store: Store) -> Site:
    """The home as a farm whose lights, heat pump and pump are next to nothing: what the project's policies are told."""
    tariff = sections.Tariff(
        import_price_eur_per_kwh=0.22,
        peak_price_eur_per_kwh=0.5,
        peak_hours=[15, 16, 17, 18, 19],
        feed_in_price_eur_per_kwh=0.0,
        demand_charge_eur_per_kw_month=0.0,
    )
    return Site(
        name="home",
        location=FONTANA,
        simulated=True,
        pv=sections.Photovoltaics(peak_power_kw=PV_KW),
        battery=sections.Battery(
            power_kw=store.power_kw,
            capacity_kwh=store.capacity_kwh,
            round_trip_efficiency=store.round_trip,
            min_state_of_charge_percent=0.0,
            max_state_of_charge_percent=100.0,
        ),
        grid=sections.Grid(import_limit_kw=100.0, export_limit_kw=100.0, inverter_power_kw=100.0),
        led=sections.Led(power_kw=0.01, canopy_area_m2=0.1),
        hvac=sections.Hvac(power_kw=0.01),
        pump=sections.Pump(rated_power_kw=0.01),
        tariff=tariff,
    )


class Through:
    """A policy of the project, unchanged, through the window that it sees on a farm; only its battery action counts.

    It decides every quarter of an hour. Load and sun are the hour's mean at each of them; the next day's prices and
    the grid's carbon are published.
    """

    steps_per_hour = 4

    def __init__(self, policy: Policy, site: Site, store: Store):
        self.policy, self.site, self.store = policy, site, store
        self._state: State | None = None
        self._future: tuple[int, Array, NDArray[np.bool_]] | None = None
        self._battery: Array | None = None

    def __call__(self, home: Home, hour: int, part: int, stored: Array) -> Array:
        if self._state is None or (hour, part) == (0, 0):
            self._state, self._battery = self.policy.reset(len(stored)), np.zeros(len(stored))
        actions, _, self._state = self.policy.decide(self.window(home, hour, part, stored), self._state)
        self._battery = actions[:, 0].copy()
        return self._battery

    def window(self, home: Home, hour: int, part: int, stored: Array) -> Window:
        """What the meters say, (B, ...)."""
        spans = len(stored)
        time_ns = home.start_ns + HOUR_NS * hour + (HOUR_NS // 4) * part
        local = [self.site.local_time(int(stamp)) for stamp in time_ns]
        latest = self._facts(home, np.array([hour]), stored)[:, 0]
        if self._battery is not None:
            latest[:, CHANNEL_NAMES.index("grid_power_kw")] += self._battery
            latest[:, CHANNEL_NAMES.index("battery_power_kw")] = self._battery
        past = (4 * hour + part - 96 + np.arange(96)) // 4
        history = self._facts(home, np.maximum(past, 0), np.full(spans, np.nan))
        history[:, past < 0] = np.nan
        future, mask = self._ahead(home, hour)
        return Window(
            time_ns=time_ns,
            local_hour=np.array([clock.hour + clock.minute / 60.0 for clock in local]),
            day_of_year=np.array([float(clock.timetuple().tm_yday) for clock in local]),
            now=latest,
            now_mask=~np.isnan(latest),
            latest=latest,
            telemetry_stamps_ns=time_ns,
            history=history,
            history_mask=~np.isnan(history),
            future=future,
            future_mask=mask,
            irradiance_clear_w_per_m2=clear_sky(self.site.location, time_ns),
            **_blank(spans),
        )

    def _facts(self, home: Home, hours: NDArray[np.int_], stored: Array) -> Array:
        """(B, H, C) readings of hours; the battery is at rest in them."""
        facts = np.full((len(stored), len(hours), len(CHANNEL_NAMES)), np.nan)
        zero = np.zeros((len(stored), len(hours)))
        for name, values in {
            "load_power_kw": home.load_kw[:, hours],
            "pv_power_kw": home.pv_kw[:, hours],
            "grid_power_kw": home.net_kw[:, hours],
            "battery_state_of_charge_percent": zero + 100.0 * stored[:, None] / self.store.capacity_kwh,
            "battery_temperature_celsius": zero + 25.0,
            "led_power_kw": zero,
            "hvac_power_kw": zero,
            "pump_power_kw": zero,
            "import_price_eur_per_kwh": home.price[:, hours],
            "feed_in_price_eur_per_kwh": zero,
            "grid_carbon_kg_per_kwh": home.carbon[:, hours],
            "tank_level_switch": zero + 1.0,
            "soil_moisture_percent": zero + 60.0,
        }.items():
            facts[:, :, CHANNEL_NAMES.index(name)] = values
        return facts

    def _ahead(self, home: Home, hour: int) -> tuple[Array, NDArray[np.bool_]]:
        if self._future is None or self._future[0] != hour:
            hours = np.minimum(hour + np.arange(HOURS_AHEAD), home.price.shape[1] - 1)
            made = []
            for span, start in enumerate(home.start_ns):
                series = np.stack([home.price[span, hours], np.zeros(HOURS_AHEAD), home.carbon[span, hours]])
                stamp = int(start) + HOUR_NS * hour
                made.append(known_future(self.site.location, 0.0, 24.0, stamp, series, stamp))
            self._future = hour, np.stack([one for one, _ in made]), np.stack([one for _, one in made])
        return self._future[1], self._future[2]


def _blank(spans: int) -> dict[str, Any]:
    """No pictures, no sound."""
    return {
        "sky": np.zeros((spans, 2, 1, 1, 3), np.uint8),
        "sky_mask": np.zeros((spans, 2), np.bool_),
        "sky_stamps_ns": np.zeros((spans, 2), np.int64),
        "audio": np.zeros((spans, 1), np.int16),
        "audio_rate_hz": 16_000,
        "audio_mask": np.zeros(spans, np.bool_),
        "audio_stamps_ns": np.zeros(spans, np.int64),
        "ages_s": np.zeros((spans, 4)),
        "guard_s": 0.0,
    }


@dataclass(frozen=True)
class Row:
    """A controller's bill and how long it took."""

    name: str
    bill: Bill
    seconds: float


def compare(home: Home, store: Store | None = None) -> list[Row]:
    """Every controller on the same spans; the last row is the best schedule of a plain battery."""
    store = store or Store()
    site = home_site(store)
    controllers: dict[str, HomeController] = {
        "no control": Idle(),
        "CityLearn's rules": CityLearnRules(store),
        "greedy": Greedy(),
        "our rules": Through(Rules(site), site, store),
        "our mpc, persistence": Receding(store),
        "our mpc, perfect 36 h": Receding(store, perfect=True),
    }
    rows = []
    for name, controller in controllers.items():
        begin = time.perf_counter()
        rows.append(Row(name, run(home, store, controller), time.perf_counter() - begin))
    begin = time.perf_counter()
    power, _ = best_schedule(home, store, worth=worth_left(home, store))
    plain = Store(store.capacity_kwh, store.power_kw, store.round_trip)
    rows.append(Row(BEST, run(home, plain, Planned(power)), time.perf_counter() - begin))
    return rows


def table(rows: list[Row]) -> str:
    """The year in text: $ by quarter and together, and shares of what the best saves."""
    none, best = rows[0].bill.cost.sum(), rows[-1].bill.cost.sum()
    head = f"{'':25}" + "".join(f"{f'Q{q + 1} $':>9}" for q in range(len(rows[0].bill.cost)))
    lines = [head + f"{'year $':>10}{'to none':>9}{'of best':>9}{'import kWh':>12}{'export':>8}{'CO2 kg':>8}{'s':>7}"]
    for row in rows:
        year = row.bill.cost.sum()
        lines.append(
            f"{row.name:25}"
            + "".join(f"{cost:9.1f}" for cost in row.bill.cost)
            + f"{year:10.1f}{year / none:9.3f}{(none - year) / (none - best):9.1%}{row.bill.import_kwh.sum():12.0f}"
            + f"{row.bill.export_kwh.sum():8.0f}{row.bill.carbon_kg.sum():8.0f}{row.seconds:7.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    year = read_home(Path(sys.argv[1]))
    for battery in (CityLearnStore(), Store()):
        print(f"{type(battery).__name__}:\n{table(compare(year, battery))}\n")
