# SPDX-License-Identifier: Apache-2.0
"""The fast loops that any inverter and controller has, under every policy alike, at each step of the physics.

A study decides every 5 min and the farm every 5 s; these loops do in between what costs no thought:
* self-consumption trim: a battery that was told to balance the grid goes on balancing it, within `TRIM` of its power
  around the decision; one that discharges for the farm does not export by accident;
* peak guard: the running 15 min mean stays below what the decision meant to import, or the peak so far: first the
  battery gives up to `TRIM` more, then the lights dim by up to `SHED`;
* ramp: where the connection has a limit, the battery smooths within `TRIM`;
* CO2: the valve shuts above the agronomy's limit;
* charge: neither they nor a decision take the battery below the site's least state of charge or above its most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.physics.battery import remaining
from cmkd_ros.policy.agronomy import MOST_CO2_PPM
from cmkd_ros.simulation.grid import QUARTER_NS
from cmkd_ros.simulation.world import State
from cmkd_ros.site import Site

Array = NDArray[np.float64]

TRIM = 0.5  # share of the battery's power that a loop may add to or take from a decision
SHED = 0.3  # share of the lights' power that the guard may take from a decision
_BALANCED_KW_SHARE = 0.02  # of the import limit: so near to 0 at the grid counts as balancing
_HORIZON = 1.2  # steps for which what the battery may still give or take must last, losses included
_MARGIN = 0.02  # of the import limit, that the guard leaves to a decision
_LED, _VALVE = ACTION_INDEX["led"], ACTION_INDEX["valve"]


@dataclass(frozen=True)
class Aim:
    """What a decision meant, (B,)."""

    balances: NDArray[np.bool_]  # grid power near 0 by means of the battery
    exports: NDArray[np.bool_]  # on purpose
    import_kw: Array  # highest import that it accepts


def aim_of(site: Site, state: State, setpoints: Array) -> Aim:
    """Read the aim from the setpoints (B, 5) and the meters at the decision."""
    led_kw = setpoints[:, _LED] / 100.0 * site.led.power_kw
    net = state.load_kw - state.led_kw + led_kw - state.pv_kw
    grid = net + setpoints[:, 0]
    near = _BALANCED_KW_SHARE * site.grid.import_limit_kw
    # A battery at its limit still balances what it can.
    power = site.battery.power_kw
    balancing = np.minimum(np.maximum(-net, -power), power)
    return Aim(
        np.abs(setpoints[:, 0] - balancing) <= near,
        grid < -near,
        np.maximum(grid, 0.0) + _MARGIN * site.grid.import_limit_kw,
    )


def quick(site: Site, state: State, setpoints: Array, aim: Aim, sun_kw: Array, step_s: float) -> Array:
    """The setpoints (B, 5) for the next step, from the meters of the last one and what the array gives now, `sun_kw`.

    An inverter follows its array within a second, so what it gives now is not known late.
    """
    after = setpoints.copy()
    power = site.battery.power_kw
    least, most = _charge_kw(site, state, step_s)
    low = np.minimum(np.maximum(np.maximum(setpoints[:, 0] - TRIM * power, -power), least), most)
    high = np.minimum(np.maximum(np.minimum(setpoints[:, 0] + TRIM * power, power), least), most)
    battery = np.minimum(np.maximum(setpoints[:, 0], low), high)
    led_kw = setpoints[:, _LED] * (site.led.power_kw / 100.0)
    net = state.load_kw - state.led_kw + led_kw - sun_kw
    trimmed = np.minimum(np.maximum(-net, low), high)
    accident = (battery < 0.0) & ~aim.exports & (net + battery < 0.0)
    after[:, 0] = np.where(aim.balances | accident, trimmed, battery)

    limit = site.grid.ramp_limit_percent_per_min
    if limit > 0.0:
        slack = 0.9 * limit / 100.0 * site.grid.import_limit_kw
        smooth = np.minimum(np.maximum(after[:, 0], state.grid_mean_kw - slack - net), state.grid_mean_kw + slack - net)
        after[:, 0] = np.minimum(np.maximum(smooth, low), high)

    # What may still be imported in the running quarter, spread over the rest of it.
    guard = np.minimum(np.maximum(state.peak_kw, aim.import_kw), site.grid.import_limit_kw)
    left_h = np.maximum((QUARTER_NS - state.time_ns % QUARTER_NS) / 3.6e12, step_s / 3600.0)
    allowed = np.maximum(guard * 0.25 - state.quarter_kwh, 0.0) / left_h
    excess = np.maximum(net + after[:, 0] - allowed, 0.0)
    if excess.any():
        given = np.minimum(excess, np.maximum(after[:, 0] - low, 0.0))
        after[:, 0] -= given
        dimmed = np.minimum(np.minimum(excess - given, SHED * site.led.power_kw), led_kw)
        after[:, _LED] -= dimmed * (100.0 / site.led.power_kw)
    after[:, _VALVE] = np.where(state.co2_ppm > MOST_CO2_PPM, 0.0, setpoints[:, _VALVE])
    return after


def _charge_kw(site: Site, state: State, step_s: float) -> tuple[Array, Array]:
    """Lowest and highest power (B,) that keep the charge within the site's limits, as the envelope reckons it."""
    usable_kwh = site.battery.capacity_kwh * remaining(state.battery_wear)
    lowest = site.battery.min_state_of_charge_percent / 100.0 * usable_kwh
    highest = site.battery.max_state_of_charge_percent / 100.0 * usable_kwh
    hours = _HORIZON * step_s / 3600.0
    least = -np.maximum(state.stored_kwh - lowest, 0.0) / hours
    return least, np.maximum(highest - state.stored_kwh, 0.0) / hours
