# SPDX-License-Identifier: Apache-2.0
"""What the envelope did, in plain sentences with numbers. Made outside the step, from what went in and came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_NAMES, ACTIONS
from cmkd_ros.contract.telemetry import CHANNEL, CHANNEL_NAMES
from cmkd_ros.safety.envelope import Envelope, Interventions
from cmkd_ros.safety.limits import LIMITS
from cmkd_ros.safety.meters import Meters
from cmkd_ros.safety.pump import HOUR_S
from cmkd_ros.safety.state import EnvelopeState

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reason:
    """One limit on one actuator. `actuator` is empty where a limit is unmet and moved no actuator."""

    actuator: str
    limit: str
    proposed: float  # NaN where it was no number, or concerns no single actuator
    admitted: float
    unmet: float
    text: str


@dataclass(frozen=True)
class _Scene:
    """One farm in one step."""

    envelope: Envelope
    values: Floats  # (C,)
    ages_s: Floats  # (C,)
    proposal_age_s: float
    state: EnvelopeState  # after the step
    row: int

    def reading(self, channel: str) -> str:
        """The meter's reading in words, or that it is not known."""
        index, meter = CHANNEL_NAMES.index(channel), self.envelope.site.meters.get(channel)
        value, age, name = self.values[index], self.ages_s[index], CHANNEL[channel].description
        oldest = max(meter.max_age_s if meter else 0.0, self.envelope.options.meter_age_floor_s)
        if not (np.isfinite(value) and np.isfinite(age)) or not CHANNEL[channel].low <= value <= CHANNEL[channel].high:
            return f"{name} is not known"
        if not -self.envelope.options.future_tolerance_s <= age <= oldest:
            return f"{name} was read {age:.0f} s ago (at most {oldest:g} s)"
        return f"{name} is {value:.4g} {CHANNEL[channel].unit}".removesuffix(" 1")

    def since(self, moments: Floats) -> float:
        """Seconds from `moments[row]` to now."""
        return float(self.state.now_s[self.row] - moments[self.row])


def explain(
    envelope: Envelope,
    meters: Meters,
    proposals: Floats,
    ages_s: Floats,
    setpoints: Floats,
    interventions: Interventions,
    state: EnvelopeState,
    row: int = 0,
) -> list[Reason]:
    """Why farm `row` got these setpoints: arguments and outcome of `Envelope.step`, with the state that it returned."""
    reasons = []
    active, unmet = interventions.active[row], interventions.unmet[row]
    for index in np.flatnonzero(active.any(axis=0) | (unmet > 0.0)):
        limit = LIMITS[index]
        late = f"; unmet by {unmet[index]:.4g} {limit.unit}".rstrip() if unmet[index] > 0.0 else ""
        for actuator in np.flatnonzero(active[:, index]):
            scene = _Scene(envelope, meters.values[row], meters.ages_s[row], float(ages_s[row, actuator]), state, row)
            text = _TEXTS[limit.name](scene) + _outcome(scene, int(actuator), setpoints[row, actuator]) + late
            proposed = float(proposals[row, actuator])
            proposed = proposed if np.isfinite(proposed) else float("nan")
            name, admitted = ACTION_NAMES[actuator], float(setpoints[row, actuator])
            reasons.append(Reason(name, limit.name, proposed, admitted, float(unmet[index]), text))
        if not active[:, index].any():
            scene = _Scene(envelope, meters.values[row], meters.ages_s[row], 0.0, state, row)
            text = _TEXTS[limit.name](scene) + late
            reasons.append(Reason("", limit.name, float("nan"), float("nan"), float(unmet[index]), text))
    return reasons


def binding(interventions: Interventions, row: int = 0) -> dict[str, str]:
    """The limit that set each actuator's value; empty where it is as proposed."""
    indices = interventions.binding[row]
    return {name: LIMITS[index].name if index >= 0 else "" for name, index in zip(ACTION_NAMES, indices)}


def _outcome(scene: _Scene, actuator: int, admitted: float) -> str:
    return f": {ACTION_NAMES[actuator]} {admitted:.4g} {ACTIONS[actuator].unit}"


def _stale(scene: _Scene) -> str:
    if not np.isfinite(scene.proposal_age_s):
        return "no proposal that counts, so the safe programme runs"
    oldest = scene.envelope.options.proposal_max_age_s
    return f"the proposal is {scene.proposal_age_s:.1f} s old (at most {oldest:g} s), so the safe programme runs"


def _future(scene: _Scene) -> str:
    most = scene.envelope.options.future_tolerance_s
    return (
        f"the proposal is stamped {-scene.proposal_age_s:.1f} s ahead (at most {most:g} s), so the safe programme runs"
    )


def _heat(scene: _Scene) -> str:
    return f"{scene.reading('air_temperature_celsius')} (hot from {scene.envelope.site.hvac.hot_temperature_celsius:g})"


def _dry_run(scene: _Scene) -> str:
    pump, meters = scene.envelope.site.pump, scene.envelope.site.meters
    if "pump_flow_m3_per_h" in meters:
        return f"{scene.reading('pump_flow_m3_per_h')} (dry below {pump.min_flow_m3_per_h:g})" + _lockout(scene, 1)
    share = f"(dry below {100 * pump.dry_run_power_fraction:g} % of {pump.rated_power_kw:g} kW x speed cubed)"
    return f"{scene.reading('pump_power_kw')} {share}" + _lockout(scene, 1)


def _lockout(scene: _Scene, trip: int) -> str:
    left = scene.envelope.site.pump.dry_run_lockout_s - scene.since(scene.state.pump_lockout_s[:, trip])
    return f"; tripped, {left:.0f} s of the pause left" if left > 0.0 else ""


def _charge(scene: _Scene) -> str:
    battery = scene.envelope.site.battery
    window = f"{battery.min_state_of_charge_percent:g} to {battery.max_state_of_charge_percent:g} %"
    return f"{scene.reading('battery_state_of_charge_percent')} (kept within {window})"


def _starts(scene: _Scene, starts_s: Floats, most: int) -> str:
    count = int(np.count_nonzero(scene.state.now_s[scene.row] - starts_s[scene.row] < HOUR_S))
    return f"{count} starts in the last hour (at most {most})"


def _grid(scene: _Scene, limit: str) -> str:
    channels = ("load_power_kw", "pv_power_kw")
    if not set(channels) <= set(scene.envelope.site.meters):
        channels = ("grid_power_kw", "battery_power_kw")
    return f"{' and '.join(scene.reading(channel) for channel in channels)}; {limit}"


def _compressor(scene: _Scene) -> str:
    hvac = scene.envelope.site.hvac
    since = scene.since(scene.state.hvac_moved_s)
    return f"the setpoint last went on {since:.0f} s ago; it turns back after {max(hvac.min_on_s, hvac.min_off_s):g} s"


_TEXTS: dict[str, Callable[[_Scene], str]] = {
    "stale": _stale,
    "future_stamp": _future,
    "not_finite": lambda scene: "the proposal is no number, so the safe programme runs",
    "co2": lambda scene: f"{scene.reading('co2_ppm')} (valve closed above {scene.envelope.site.co2.max_ppm:g})",
    "co2_alarm": lambda scene: f"{scene.reading('co2_ppm')} (alarm above {scene.envelope.site.co2.alarm_ppm:g})",
    "heat": _heat,
    "range": lambda scene: "outside the range of this site",
    "ramp": lambda scene: "moves away from the safe side are slow",
    "tank_level": lambda scene: f"{scene.reading('tank_level_switch')} (0 is dry){_lockout(scene, 0)}",
    "dry_run": _dry_run,
    "cavitation": lambda scene: (
        f"{scene.reading('pump_suction_pressure_bar')} "
        f"(at least {scene.envelope.site.pump.min_suction_pressure_bar:g}){_lockout(scene, 2)}"
    ),
    "unmetered_speed": lambda scene: "neither flow nor suction pressure is metered, so the top speed is lower",
    "battery_temperature": lambda scene: (
        f"{scene.reading('battery_temperature_celsius')} (no power above "
        f"{scene.envelope.site.battery.max_temperature_celsius:g})"
    ),
    "state_of_charge": _charge,
    "inverter": lambda scene: (
        f"{scene.reading('pv_power_kw')}; the shared inverter takes {scene.envelope.site.grid.inverter_power_kw:g} kW"
    ),
    "pump_min_on": lambda scene: (
        f"started {scene.since(scene.state.pump_switch_s):.0f} s ago; "
        f"the pump runs for {scene.envelope.site.pump.min_on_s:g} s at least"
    ),
    "pump_min_off": lambda scene: (
        f"stopped {scene.since(scene.state.pump_switch_s):.0f} s ago; "
        f"the pump rests for {scene.envelope.site.pump.min_off_s:g} s at least"
    ),
    "pump_starts": lambda scene: (
        _starts(scene, scene.state.pump_starts_s, scene.envelope.site.pump.max_starts_per_hour)
        + f", {scene.envelope.pump.kept_starts} of them for the minimum irrigation"
    ),
    "compressor": _compressor,
    "compressor_starts": lambda scene: _starts(
        scene, scene.state.hvac_starts_s, scene.envelope.site.hvac.max_starts_per_hour
    ),
    "grid_import": lambda scene: _grid(scene, f"import limit {scene.envelope.site.grid.import_limit_kw:g} kW"),
    "grid_export": lambda scene: _grid(scene, f"export limit {scene.envelope.site.grid.export_limit_kw:g} kW"),
    "irrigation": lambda scene: (
        f"minimum irrigation was complete {scene.since(scene.state.irrigated_s):.0f} s ago "
        f"(every {scene.envelope.site.pump.irrigation_every_s:g} s)"
    ),
}
