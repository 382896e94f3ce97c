# SPDX-License-Identifier: Apache-2.0
"""A home with solar power and a battery, by the hour: what others measured, its bill, and its best schedule.

The data are building 1 of the CityLearn Challenge 2022 (github.com/intelligent-environments-lab/CityLearn, MIT: load,
PV and carbon of a home in Fontana, California, August 2016 to July 2017, and a time-of-use tariff in $). Battery and
array as that challenge's schema gives them: 6.4 kWh, 5 kW, efficiency 0.9 there and back, empty at the start; 4 kW of
PV. `Store` is the plain battery that planners assume; `CityLearnStore` the challenge's, which loses more at part load
and has less power when nearly full. No schedule of the latter is cheaper than the best one of the former.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.simulation.measured_year import CITYLEARN_START

Array = NDArray[np.float64]

PV_KW = 4.0
QUARTERS = 4


@dataclass(frozen=True)
class Store:
    """The battery. Energies in kWh, power in kW at the terminals; losses half on the way in, half on the way out."""

    capacity_kwh: float = 6.4
    power_kw: float = 5.0
    round_trip: float = 0.9

    @property
    def one_way(self) -> float:
        """Efficiency of charging, and of discharging."""
        return float(np.sqrt(self.round_trip))

    def step(self, stored: Array, wanted_kw: Array, hours: float) -> tuple[Array, Array]:
        """(power that was possible, content after it), (B,) each; charging positive."""
        most = np.minimum((self.capacity_kwh - stored) / (self.one_way * hours), self.power_kw)
        least = -np.minimum(stored * self.one_way / hours, self.power_kw)
        power = np.minimum(np.maximum(wanted_kw, least), most)
        moved = np.where(power > 0.0, power * self.one_way, power / self.one_way) * hours
        return power, np.clip(stored + moved, 0.0, self.capacity_kwh)


class CityLearnStore(Store):
    """The battery of CityLearn 2.1.2 (`citylearn.energy_model.Battery`), by the hour; this one does not fade.

    Efficiency there and back over |power| / rated power, and power over state of charge, are CityLearn's defaults.
    """

    def step(self, stored: Array, wanted_kw: Array, hours: float) -> tuple[Array, Array]:
        """See `Store`."""
        most = self.power_kw * np.interp(stored / self.capacity_kwh, [0.0, 0.8, 1.0], [1.0, 1.0, 0.2])
        energy = (
            np.minimum(np.maximum(wanted_kw, -most), np.minimum(most, (self.capacity_kwh - stored) / hours)) * hours
        )
        share = np.abs(energy) / hours / self.power_kw
        eta = np.sqrt(np.interp(share, [0.0, 0.3, 0.7, 0.8, 1.0], [0.83, 0.83, 0.9, 0.9, 0.85]))
        after = np.clip(np.where(energy > 0.0, stored + energy * eta, stored + energy / eta), 0.0, self.capacity_kwh)
        moved = after - stored
        return np.where(moved > 0.0, moved / eta, moved * eta) / hours, after


@dataclass(frozen=True)
class Home:
    """B spans of N hours from (B,) `start_ns` on, (B, N): kW means, $/kWh, kg/kWh; `hour` as the data count, 1..24."""

    start_ns: NDArray[np.int64]
    load_kw: Array
    pv_kw: Array
    price: Array
    carbon: Array
    hour: NDArray[np.int64]

    @property
    def net_kw(self) -> Array:
        """Load less PV."""
        return self.load_kw - self.pv_kw

    def span(self, first: int, hours: int) -> Home:
        """Hours `first` .. `first + hours` of each span."""
        cut = slice(first, first + hours)
        return Home(
            self.start_ns + first * 3600 * 10**9,
            self.load_kw[:, cut],
            self.pv_kw[:, cut],
            self.price[:, cut],
            self.carbon[:, cut],
            self.hour[:, cut],
        )


class HomeController(Protocol):
    """Whoever decides about the battery. It knows load and sun of now (it could decide again at any moment)."""

    steps_per_hour: int

    def __call__(self, home: Home, hour: int, part: int, stored: Array) -> Array:
        """Battery power (B,) for part `part` of `hour`, charging positive. It may look at hours up to `hour`, and at
        all prices: they are a tariff."""


@dataclass(frozen=True)
class Bill:
    """Of each span, (B,): $, kWh, kg; what exports earn is nothing, as in the challenge.

    `cost` has the energy that is left in the battery taken off at its worth (see `worth_left`).
    """

    cost: Array
    import_kwh: Array
    export_kwh: Array
    carbon_kg: Array
    stored_kwh: Array  # left at the end


def read_home(data: Path) -> Home:
    """The year in four quarters of 2,190 h. Raises `ConfigurationError` when a file is missing or not as expected."""
    files = {
        "load/citylearn_2022_building_1.csv": ("hour", "non_shiftable_load", "solar_generation"),
        "prices/citylearn_2022_pricing.csv": ("electricity_pricing",),
        "carbon/citylearn_2022_carbon_intensity.csv": ("carbon_intensity",),
    }
    found = []
    for name, wanted in files.items():
        try:
            with (data / name).open(encoding="utf-8-sig") as file:
                header = file.readline().strip().split(",")
                places = [header.index(column) for column in wanted]
                found += list(np.loadtxt(file, delimiter=",", usecols=places, ndmin=2).T)
        except (OSError, ValueError) as error:
            raise ConfigurationError(str(data / name), [f"is not CityLearn's file ({error})"]) from error
    hour, load, generation, price, carbon = (series.reshape(QUARTERS, -1) for series in found)
    first = int(CITYLEARN_START.timestamp()) * 10**9
    starts = first + 3600 * 10**9 * hour.shape[1] * np.arange(QUARTERS, dtype=np.int64)
    return Home(starts, load, PV_KW * generation / 1000.0, price, carbon, hour.astype(np.int64))


def run(home: Home, store: Store, controller: HomeController) -> Bill:
    """Live through the spans, the battery empty at the start."""
    spans, hours = home.load_kw.shape
    stored, power = np.zeros(spans), np.zeros((spans, hours, controller.steps_per_hour))
    for hour in range(hours):
        for part in range(controller.steps_per_hour):
            wanted = controller(home, hour, part, stored)
            power[:, hour, part], stored = store.step(stored, wanted, 1.0 / controller.steps_per_hour)
    return bill(home, store, power, stored)


def worth_left(home: Home, store: Store) -> Array:
    """(B,) $ a kWh in the battery is worth at the end: it saves import in a span's cheapest hour."""
    return home.price.min(axis=1) * store.one_way


def bill(home: Home, store: Store, battery_kw: Array, stored: Array) -> Bill:
    """What (B, N, P) of battery power costs, P equal parts of an hour, with `stored` (B,) left at the end.

    Import and export are counted hour by hour, as CityLearn does.
    """
    grid = home.net_kw + battery_kw.mean(axis=2)
    imported = np.maximum(grid, 0.0)
    return Bill(
        (imported * home.price).sum(axis=1) - worth_left(home, store) * stored,
        imported.sum(axis=1),
        np.maximum(-grid, 0.0).sum(axis=1),
        (imported * home.carbon).sum(axis=1),
        stored,
    )


class Idle:
    """No control."""

    steps_per_hour = 1

    def __call__(self, home: Home, hour: int, part: int, stored: Array) -> Array:
        return np.zeros_like(stored)


class Greedy:
    """Self-consumption: keep what is left over, give what is lacking."""

    steps_per_hour = 1

    def __call__(self, home: Home, hour: int, part: int, stored: Array) -> Array:
        return -home.net_kw[:, hour]


class Planned:
    """Power (B, N) that was planned before."""

    steps_per_hour = 1

    def __init__(self, power: Array):
        self._power = power

    def __call__(self, home: Home, hour: int, part: int, stored: Array) -> Array:
        return self._power[:, hour]


class CityLearnRules:
    """CityLearn's `BasicBatteryRBC`: 11 % of capacity in from hour 6 to 14, 6.7 % out in every other hour; there an
    action comes into force in the hour after the one that the agent sees."""

    steps_per_hour = 1

    def __init__(self, store: Store):
        self._capacity = store.capacity_kwh

    def __call__(self, home: Home, hour: int, part: int, stored: Array) -> Array:
        clock = home.hour[:, hour - 1] if hour else np.zeros(len(stored), np.int64)
        share = np.where((clock >= 6) & (clock <= 14), 0.11, -0.067)
        return np.where(clock > 0, share, 0.0) * self._capacity


def best_schedule(
    home: Home, store: Store, stored: Array | float = 0.0, worth: Array | float = 0.0
) -> tuple[Array, Array]:
    """(B, N) power of a plain battery that is cheapest when everything is known, and its cost (B,).

    Cost: $ less `worth` $/kWh x content at the end. `stored` and `worth` (B,) or the same for all.

    Written by itself, to check the planner's programme against: grid power is eliminated, so that only charge c,
    discharge d, export x (or curtailing, which earns as little) and content e remain; by an interior point method.
    Raises `RuntimeError` when there is no solution, and ImportError without SciPy.
    """
    from scipy.optimize import linprog
    from scipy.sparse import bmat, csr_matrix, diags, identity

    spans, hours = home.load_kw.shape
    before, left = (np.broadcast_to(np.asarray(value, np.float64), (spans,)) for value in (stored, worth))
    one = identity(hours, format="csr")
    # Content e through its differences: e_k - e_k-1 = eta c_k - d_k / eta, four unknowns an hour.
    differences = diags([np.ones(hours), -np.ones(hours - 1)], [0, -1], format="csr")
    zero = csr_matrix((hours, hours))
    balance = bmat([[-store.one_way * one, one / store.one_way, zero, differences]], format="csr")
    imports = bmat([[-one, one, -one, zero]], format="csr")  # -(import - net)
    power, costs = np.empty((spans, hours)), np.empty(spans)
    for span in range(spans):
        price, net = home.price[span], home.net_kw[span]
        last = np.zeros(hours)
        last[-1] = left[span]
        begin = np.zeros(hours)
        begin[0] = before[span]
        limits = [(0.0, store.power_kw)] * (2 * hours) + [(0.0, None)] * hours + [(0.0, store.capacity_kwh)] * hours
        solved = linprog(
            np.concatenate([price, -price, price, -last]), imports, net, balance, begin, limits, method="highs-ipm"
        )
        if solved.status != 0:
            raise RuntimeError(f"span {span}: {solved.message}")
        power[span] = solved.x[:hours] - solved.x[hours : 2 * hours]
        costs[span] = solved.fun + float(price @ net)
    return power, costs
