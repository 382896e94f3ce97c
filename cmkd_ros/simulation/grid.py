# SPDX-License-Identifier: Apache-2.0
"""The grid connection: what inverter and export cap let through, counters, month's peak, ramps, outages, bill."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics.choose import anywhere, either, larger, smaller
from cmkd_ros.simulation.noise import hashed
from cmkd_ros.site import Site

if TYPE_CHECKING:
    from cmkd_ros.simulation.world import State

Array = NDArray[np.float64]

QUARTER_NS = 900_000_000_000
_BLOCK_H, _BLOCK_NS = 4.0, 14_400_000_000_000  # at most one outage in a block, and none longer
_MEAN_OUTAGE_H = 0.75
_CHANNEL = 60


def outage(site: Site, seeds: NDArray[np.int64], time_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Is the grid away? (B,). A pure function of (seed, time).

    Outages come at any hour, as many a year as the site says, and last 45 min on average (exponential; assumed).
    """
    if site.grid.outages_per_year == 0.0:
        return np.zeros(len(seeds), np.bool_)
    block, within_h = time_ns // _BLOCK_NS, (time_ns % _BLOCK_NS) / 3.6e12
    draws = hashed(seeds[:, None], block[:, None], _CHANNEL + np.arange(3))  # (B, 3)
    start = draws[:, 1] * _BLOCK_H
    end = start - _MEAN_OUTAGE_H * np.log(1.0 - draws[:, 2])
    chance = site.grid.outages_per_year * _BLOCK_H / 8766.0
    return (draws[:, 0] < chance) & (within_h >= start) & (within_h < end)


def most_discharge(site: Site, load_kw: Array, away: NDArray[np.bool_]) -> Array:
    """What a battery may give, kW: no more than the inverter carries, and the site and the export cap take."""
    return smaller(load_kw + site.grid.export_limit_kw * (1.0 - away), site.grid.inverter_power_kw)


def curtailed(site: Site, pv_kw: Array, load_kw: Array, battery_kw: Array, away: NDArray[np.bool_]) -> Array:
    """What remains of `pv_kw` behind the shared inverter and the export cap, which is 0 while the grid is away."""
    return larger(smaller(pv_kw, most_discharge(site, load_kw, away) + battery_kw), 0.0)


def initial(month: NDArray[np.int64]) -> dict[str, Any]:
    """Counters at zero, in the local months (B,)."""
    names = ("import_kwh", "export_kwh", "pv_kwh", "quarter_kwh", "peak_kw", "grid_mean_kw", "ramp_s", "lost_kwh")
    return {**dict.fromkeys(names, np.zeros(len(month))), "month": month}


def counted(
    site: Site, state: State, grid_kw: Array, pv_kw: Array, time_ns: NDArray[np.int64], hours: float
) -> dict[str, Any]:
    """Counters after `hours` at `grid_kw` (import positive) and `pv_kw`, up to `time_ns`. (B,) each.

    `peak_kw` is the highest mean import of a quarter of an hour in the local month: what the demand charge is on.
    `ramp_s` counts seconds in which power is further from its mean of the last minute than the site's limit.
    """
    energy = grid_kw * hours
    imported = larger(energy, 0.0)
    quarter, peak, month = state.quarter_kwh + imported, state.peak_kw, state.month
    ended = time_ns // QUARTER_NS != state.time_ns // QUARTER_NS
    if anywhere(ended):
        peak = either(ended, larger(peak, quarter * 4.0), peak)
        quarter = either(ended, 0.0, quarter)
        now = months(site, time_ns)
        peak, month = either(now != month, 0.0, peak), now
    counters = {
        "import_kwh": state.import_kwh + imported,
        "export_kwh": state.export_kwh + (imported - energy),
        "pv_kwh": state.pv_kwh + pv_kw * hours,
        "quarter_kwh": quarter,
        "peak_kw": peak,
        "month": month,
        "grid_mean_kw": state.grid_mean_kw,
        "ramp_s": state.ramp_s,
    }
    if site.grid.ramp_limit_percent_per_min > 0.0:
        limit = site.grid.ramp_limit_percent_per_min / 100.0 * site.grid.import_limit_kw
        counters["ramp_s"] = state.ramp_s + either(np.abs(grid_kw - state.grid_mean_kw) > limit, 3600.0 * hours, 0.0)
        counters["grid_mean_kw"] = grid_kw + (state.grid_mean_kw - grid_kw) * math.exp(-60.0 * hours)
    return counters


def months(site: Site, time_ns: Any) -> Any:
    """The local month, 1..12, (B,) int64 or an int."""
    if isinstance(time_ns, np.ndarray):
        return np.array([site.local_time(int(t)).month for t in time_ns], np.int64)
    return site.local_time(int(time_ns)).month


def bill_eur(
    imported_kwh: Array,
    exported_kwh: Array,
    import_price: Array,
    feed_in_price: Array,
    peak_kw: Array,
    demand_charge: float,
    days: float,
) -> Array:
    """Energy (time on the first axis) at its prices, less feed-in, plus `days` of 30 of the month's demand charge."""
    energy: Array = (imported_kwh * import_price - exported_kwh * feed_in_price).sum(axis=0)
    return energy + demand_charge * peak_kw * (days / 30.0)
