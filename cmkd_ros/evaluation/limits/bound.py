# SPDX-License-Identifier: Apache-2.0
"""A lower bound of the objective that no controller can get below in an episode, even one that knows the future.

It is the value of a linear programme in which every true trajectory is feasible at no higher cost, by weak duality
(`programme.Programme.solve`). What is relaxed, and why each can only help:

* Means over a step of an hour stand for what happens within it. Constraints and costs are linear, or convex ones that
  means satisfy too (Jensen): import cost, peak (a mean of an hour is no higher than its highest quarter), excess.
* Import, export, charging and discharging of the same step may overlap: true ones that alternate are such a point.
* Battery: no taper with heat or charge, no trips through self-discharge, all of the capacity, energy may vanish. Wear
  is at least the least slope of Xu's depth curve, at an empty battery as cold as it can get, at the least that a unit
  of wear costs in this episode.
* Solar power may be curtailed at will. Ramp limit, minimum runs, starts, dead bands, envelope and loops are left out.
* Pump: as little energy as suits, no wear; the substrate always has water enough and is full at the end.
* Heat: the room's energy (air, vapour, mass) may hold whatever its temperatures allow. The heat pump works at the best
  performance that the hour allows, at any load, and never needs to dry. Vents open as it suits, at no more than what
  the compressor must do meanwhile (`relaxed_room._vents`), let out air as warm and as wet as it can get, and bring in
  as much as helps.
* CO2: vents take the least CO2 that goes with their opening (McCormick), the burner heats up at once and burns no more
  than the room gets. Without it plants live on the outside's CO2 for nothing, in proportion as CO2 sinks to it.
* Outages are left out: a site that has them is refused.
* Crop: photosynthesis below planes above its true function of light, CO2 and temperature (`envelopes`), on leaves as
  many as could have grown; growth and fresh mass likewise. Maintenance is below the true one (its convex envelope). No
  tipburn, no want of rest, no reserves that pile up.
* Violations other than hot, cold and import above the contract cost nothing.

Assumed, and held to the simulation by the tests: the room stays within `ceilings.Ceilings.celsius`, its CO2 below
`co2_ppm`; what a step of the physics sees at its beginning differs in the mean over an hour by at most
`relaxed_room.SEEN_K` and `SEEN_PPM` from the mean within.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.limits import relaxed_room, relaxing
from cmkd_ros.evaluation.limits.programme import Columns, Programme
from cmkd_ros.simulation.world import State

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Relaxation:
    """The programme of one farm and where its quantities stand in it, for whoever wants to look or to pin some."""

    programme: Programme
    hours: float  # of a step
    columns: dict[str, Columns]  # per step, means; kW, degC, ppm above the outside, g/m2 and g/m2/h
    ends: dict[str, Columns]  # at the steps' ends, from the start on


def bound(batch: Batch, start: State, *, step_h: float = 1.0, limit_s: float = 60.0) -> Array:
    """(B,) EUR: from `start`, no controller has a lower objective in these episodes."""
    return np.array([relax(batch, start, farm, step_h).programme.solve(limit_s).value for farm in range(len(batch))])


def relax(batch: Batch, start: State, farm: int, step_h: float = 1.0) -> Relaxation:
    """The programme of farm `farm`. Raises `ConfigurationError` where `step_h` does not fit, or outages are."""
    per = round(step_h * 3600.0 / batch.step_s)
    if batch.steps % per or abs(1.0 / step_h - round(1.0 / step_h)) > 1e-9:
        raise ConfigurationError("bound", [f"a step of {step_h} h does not divide the hour and {batch.hours} h"])
    if batch.site.grid.outages_per_year > 0.0:
        raise ConfigurationError("bound", ["it is not proven for a site with outages"])
    r = relaxing.Relaxing(batch, start, farm, per)
    relaxing.electricity(r)
    relaxing.store(r)
    relaxing.water(r)
    relaxed_room.canopy(r)
    relaxed_room.climate(r)
    relaxed_room.carbon(r)
    relaxed_room.crop(r)
    return Relaxation(r.lp, r.h, r.columns, r.ends)
