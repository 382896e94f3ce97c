# SPDX-License-Identifier: Apache-2.0
"""Forecasts made from the truth, for judged controllers whose names say so: the perfect one, and one as a weather
service gives it; and a planner that is told all or some of what is hidden, to see what each is worth."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.evaluation.accounts import LONG_H
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.scenario import BEFORE_H
from cmkd_ros.fusion.window import Window
from cmkd_ros.physics import pump as physics
from cmkd_ros.policy.planner import Ahead, Forecaster, Persistence, Planner, Running
from cmkd_ros.policy.planner.forecast import known, means
from cmkd_ros.policy.planner.health import usual
from cmkd_ros.simulation import pump as irrigation
from cmkd_ros.simulation.ahead import weather_ahead
from cmkd_ros.simulation.noise import smooth
from cmkd_ros.simulation.world import State
from cmkd_ros.site.market import HOUR_NS

Array = NDArray[np.float64]

BEYOND_H = 73.0  # the truth reaches so far beyond the episode
_STEP_NS = 300_000_000_000
_STEP_H = 1.0 / 12.0
_A_DAY = 288

# Errors of a weather service. Irradiance: relative root mean square errors of 40 to 60 % at Central European stations,
# 20 to 35 % at Spanish ones, says the abstract of a benchmark of forecasts at the 24th European Photovoltaic Solar
# Energy Conference, Hamburg 2009 (core.ac.uk/works/63531431). The best of the former, 40 %, is taken for a day ahead.
# Chosen, from no source: how much more later days err, that half of it is there after a few hours, how errors hang
# together in time, and the temperature's errors: 1.5 K a day ahead, 2 K three days ahead.
_DAY_AHEAD, _LATER_PER_DAY, _RISE_H = 0.40, 0.05, 4.0
_PER_RELATIVE = 0.685  # error in shares of the clear sky per relative error, as the climate of the Netherlands has it
_WARMTH_K, _WARMTH_LATER_K, _WARMTH_RISE_H = 1.2, 0.25, 8.0
_CHANNELS, _PERIODS_S = np.array([90, 91, 92]), np.array([10_800.0, 43_200.0, 28_800.0])
_SPREAD = 0.245  # standard deviation of `noise.smooth`


class Truth:
    """Sun, air and load of a batch as they will be, 5 min values (B, N) from its start on; and its prices."""

    def __init__(self, batch: Batch):
        self.batch = batch
        world, measured = batch.world, batch.measured
        count = wanted = int((batch.hours + BEYOND_H) / _STEP_H)
        begin = batch.start_ns - _STEP_NS // 2  # values stand for the middle of their 5 min
        if measured is not None and not getattr(measured, "repeats", False):
            count = min(count, int((measured.end_ns - begin.max()) // _STEP_NS))
        rows: dict[str, list[Array]] = {}
        ahead = weather_ahead(batch.site, batch.seeds, begin, _STEP_NS, count, measured)
        for step, outside in enumerate(ahead):
            values = {
                "pv_kw": world.pv_kw(outside),
                "base_kw": world.base_kw(outside, begin + (step + 1) * _STEP_NS),
                "outdoor_celsius": outside.outdoor_temperature_celsius,
                "irradiance": outside.irradiance,
                "clear": outside.clear_irradiance,
            }
            for name, value in values.items():
                rows.setdefault(name, []).append(value)
        # Where what was measured ends, its last day comes again.
        again = [min(i, count - _A_DAY + (i - count) % _A_DAY) if i >= count else i for i in range(wanted)]
        self.series = {name: np.array(values)[again].T for name, values in rows.items()}
        self.prices = [np.stack([batch.series(farm)[i, BEFORE_H:] for farm in range(len(batch))]) for i in range(3)]

    def means(self, name: str, window: Window, edges_h: Array) -> Array:
        """(B, S) means of a series over a window's planning steps."""
        return means(self.series[name], (self.batch.start_ns - window.time_ns) / HOUR_NS, _STEP_H, edges_h)


class Perfect:
    """Everything as it will be, prices included; but for the sky where `sky` is False, which then persists, and for
    what memory would help with where `history` is False."""

    def __init__(self, batch: Batch, *, sky: bool = True, history: bool = True):
        self.truth, self._sky, self._history = Truth(batch), sky, history
        self._persistence = Persistence(batch.site, history=history)

    def __call__(self, window: Window, edges_h: Array) -> Ahead:
        """The truth's means."""
        truth, start_h = self.truth, (self.truth.batch.start_ns - window.time_ns) / HOUR_NS
        guess = self._persistence(window, edges_h)
        names = ("pv_kw", "base_kw", "outdoor_celsius", "irradiance")
        made = {name: truth.means(name, window, edges_h) for name in names}
        if not self._sky:
            made |= {"pv_kw": guess.pv_kw, "irradiance": guess.irradiance}
        if not self._history:
            made["base_kw"] = guess.base_kw
        return Ahead(**made, **dict(zip(_MARKET, (means(price, start_h, 1.0, edges_h) for price in truth.prices))))


class Service:
    """As a weather service: sun and air with errors that grow with lead time, the rest as persistence has it.

    An error is a function of seed, time and lead time alone: whoever asks for the same gets the same. It shrinks as the
    time comes near, and hangs together over hours.
    """

    def __init__(self, batch: Batch):
        self.truth, self._persistence = Truth(batch), Persistence(batch.site)

    def __call__(self, window: Window, edges_h: Array) -> Ahead:
        """Forecasts; the sun of the running step is the meter's."""
        guess, truth = self._persistence(window, edges_h), self.truth
        middle = 0.5 * (edges_h[1:] + edges_h[:-1])
        cloud, warmth = self.errors(window.time_ns, middle)
        pv, sun, clear = (truth.means(name, window, edges_h) for name in ("pv_kw", "irradiance", "clear"))
        erring = np.clip(sun + cloud * clear, 0.03 * clear, 1.05 * clear)
        power = pv * erring / np.maximum(sun, 1.0)
        power[:, 0] = np.where(np.isnan(known(window, "pv_power_kw")), power[:, 0], guess.pv_kw[:, 0])
        outdoor = truth.means("outdoor_celsius", window, edges_h) + warmth
        market = (guess.import_price, guess.feed_in_price, guess.carbon)
        return Ahead(np.minimum(power, truth.batch.site.pv.peak_power_kw), guess.base_kw, outdoor, erring, *market)

    def errors(self, time_ns: NDArray[np.int64], lead_h: Array) -> tuple[Array, Array]:
        """(of irradiance in shares of the clear sky, of temperature in K), (B, S), for (B,) times and (S,) leads."""
        seeds = np.repeat(self.truth.batch.seeds, len(lead_h))
        time_s = (time_ns[:, None] / 1e9 + 3600.0 * lead_h).ravel()
        noise = (smooth(seeds, _CHANNELS, _PERIODS_S, time_s) - 0.5) / _SPREAD  # (B*S, 3)
        quick, slow, warm = noise.T.reshape(3, len(time_ns), len(lead_h))
        relative = _DAY_AHEAD + _LATER_PER_DAY * (lead_h / 24.0 - 1.0)
        size = _PER_RELATIVE * relative * np.sqrt(-np.expm1(-lead_h / _RISE_H))
        kelvin = (_WARMTH_K + _WARMTH_LATER_K * lead_h / 24.0) * np.sqrt(-np.expm1(-lead_h / _WARMTH_RISE_H))
        return size * (0.6 * quick + 0.8 * slow), kelvin * warm


_MARKET = ("import_price", "feed_in_price", "carbon")


class TruePump:
    """The pump's health from the farm's hidden state."""

    def __init__(self, batch: Batch):
        self._irrigation = batch.world.irrigation
        self._state: State | None = None

    def see(self, state: State) -> None:
        """The farm as it is now: to be shown before each decision."""
        self._state = state

    def __call__(self, window: Window, speeds: Array) -> Running:
        """Flow and wear at (N,) speeds, at the back pressure in between. Raises `ValueError` where nobody showed it."""
        state = self._state
        if state is None or not np.array_equal(state.time_ns, window.time_ns):
            raise ValueError("the farm's state at this decision was not shown")
        points = [self._irrigation.operating_point(state, np.full(window.batch, speed)) for speed in speeds]
        wear = [
            speed / irrigation.LIFE_H
            + physics.erosion(point.cavitation, point.npsh_available_m, point.npshi_m)
            * (speed**6 / irrigation.CAVITATION_LIFE_H)
            for speed, point in zip(speeds, points)
        ]
        far = [2.0 * point.x * (1.0 - irrigation.near_share(point.x)) for point in points]
        return Running(np.stack(far, axis=1), np.stack(wear, axis=1))


class Informed(Planner):
    """A planner that is told what no farm's meters say. `run` shows it the farm's state before each decision."""

    def __init__(
        self,
        batch: Batch,
        *,
        sky: bool = True,
        pump: bool = True,
        history: bool = True,
        period_s: float = 300.0,
        name: str = "mpc_informed",
    ):
        """All but the sky's future without `sky`, but the pump's health without `pump`, and with no memory of the last
        day without `history`."""
        truth = TruePump(batch)
        super().__init__(
            batch.site,
            batch.values,
            Perfect(batch, sky=sky, history=history),
            period_s=period_s,
            demand_share=demand_share(batch),
            knows=truth if pump else usual,
            history=history,
            name=name,
        )
        self.see = truth.see


def demand_share(batch: Batch) -> float:
    """How much of a month's demand charge a kilowatt of peak costs in a batch's episodes, as in their accounts."""
    return 1.0 if batch.hours >= LONG_H else batch.hours / 720.0


def planner(
    batch: Batch, period_s: float, name: str = "mpc", make: type[Perfect] | type[Service] | None = None
) -> Planner:
    """The planner for a batch, with a forecast of the given kind; with none, it sees windows only."""
    forecaster: Forecaster = Persistence(batch.site) if make is None else make(batch)
    return Planner(batch.site, batch.values, forecaster, period_s=period_s, demand_share=demand_share(batch), name=name)


#: name: factory(batch, period_s)
PLANNERS: dict[str, Callable[[Batch, float], Planner]] = {
    "mpc": planner,
    "mpc_service": functools.partial(planner, name="mpc_service", make=Service),
    "mpc_perfect": functools.partial(planner, name="mpc_perfect", make=Perfect),
}
