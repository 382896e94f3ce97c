# SPDX-License-Identifier: Apache-2.0
"""Irrigation: sump, suction pipe, pump, gutters; what troubles them comes and goes with (seed, time).

Part of the world's state (`world.State`), kept here: nothing changes in place, all arrays are (B,). Trouble has three
causes, and the demo farm meters none: roots and algae before the strainer, a low sump, warm water.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.physics import pump as physics
from cmkd_ros.physics.choose import anywhere, between, either, larger, smaller
from cmkd_ros.physics.drippers import near_and_far
from cmkd_ros.physics.pump import BC98, OperatingPoint, in_series
from cmkd_ros.physics.substrate import flows, water_stress
from cmkd_ros.simulation.noise import ends, hashed
from cmkd_ros.site import Site

if TYPE_CHECKING:
    from cmkd_ros.simulation.world import State

Array = NDArray[np.float64]

# Sizes that the site file does not give, per m2 of canopy.
SUBSTRATE_M3 = 0.0125
TANK_M3 = 0.02
TANK_DRY = 0.05  # of the tank: the level switch; a little below it the suction pipe draws air
AIR_FROM, AIR_ONLY = 0.05, 0.03
SUMP_DEPTH_M, SUMP_BELOW_M = 1.2, 2.4  # depth of water; how far a full sump lies below the pump
NEAR_ABOVE_M, FAR_ABOVE_M = 0.9, 2.5  # lower and upper tiers of the racks above the pump, each a half of the drippers
STRAINER_M = 1.5  # loss of the clean suction pipe, foot valve and strainer at the pump's best flow
CLOGGED = 25.0  # times more with a clogged strainer, quadratic: half as clogged, a quarter of that
DRIVE_UP_PER_S, DRIVE_DOWN_PER_S = 0.2, 0.5  # the drive's own ramps, of full speed
POWER_PER_DROP = 0.35  # of the head that cavitation takes, this share shows in shaft power (an estimate)
REFILL_PER_H, REFILL_BELOW = 0.15, 0.9  # of the tank
CLOG_H, CLEAR_H = 0.3, 1.0  # how fast debris settles on the strainer while pumping, and falls off at rest

# Drippers and their filters want up to three bar, so two of the small wheels in series.
CURVE = in_series(BC98, 2)

# Drippers that hold their flow and do not drain. Theirs open at 0.8 bar (makers' close at 0.3, 0.5, 0.8 or 1.2 bar) and
# give their nominal flow from 1.03 to 4.1 bar (Netafim PCJ: 15 to 60 psi); in between they are a narrow passage.
DRIPPERS_OPEN_M, DRIPPERS_FULL_M = 8.2, 10.5
# The nutrients' venturi stands beside a spring-loaded valve that holds the difference it needs, a fifth of the pressure
# before it, at any flow.
INJECTOR_M = 3.6
PIPES_M = 8.0  # loss in filter, valves and lines at the sector's nominal flow, to the far half (chosen)
LINES_M = 0.7  # ... of it between the near half and the far half, at the far half's nominal flow (chosen)
NOMINAL_X = 0.9  # nominal flow of the usual sector, as a share of the pump's best
_SPAN_M = DRIPPERS_FULL_M - DRIPPERS_OPEN_M
_RISE, _FRICTION = (FAR_ABOVE_M - NEAR_ABOVE_M) / _SPAN_M, LINES_M / _SPAN_M
_SECTORS = 0.85, 1.1  # sectors have fewer or more drippers than the usual one

# Life. Bearings and seal: 20,000 h at full speed. The others are orders of magnitude, chosen: a brass impeller lasts
# 400 h of the worst cavitation, a dry seal 2 h, a start costs what 12 min do.
LIFE_H, CAVITATION_LIFE_H, DRY_LIFE_H, STARTS = 20_000.0, 400.0, 2.0, 100_000.0

# What comes by chance: noise channel, how long each draw counts, and whether it changes smoothly. Debris, mains voltage
# with friction, and the load meter do; the sector that the valves let it water, and whether another tap takes water
# from the sump, do not.
_CHANNELS = tuple(
    (channel, period_s * 1_000_000_000, smooth)
    for channel, period_s, smooth in ((40, 9000, 1), (41, 10_800, 1), (42, 20, 1), (43, 1200, 0), (44, 5400, 0))
)
_RINSED, _RINSE_PER_H, _RINSE_DOWN_TO = 0.06, 0.4, 0.2


class Irrigation:
    """The water side of a site, one farm per seed. What does not change lives here."""

    def __init__(self, site: Site, seeds: NDArray[np.int64]):
        self.site, self.seeds = site, seeds
        self.tank_m3 = TANK_M3 * site.led.canopy_area_m2
        self.substrate_m3 = SUBSTRATE_M3 * site.led.canopy_area_m2
        # At full speed and the usual sector's flow it draws its rated power.
        self._shaft_kw = float(physics.shaft_kw(CURVE, np.array(NOMINAL_X), np.array(1.0)))
        # Wider impellers of the same diameter: flow and power grow together, heads stay.
        size = site.pump.rated_power_kw / (self._shaft_kw * physics.RATED_PER_SHAFT)
        self.full_flow_m3_per_h = CURVE.best_flow_m3_per_h * size
        # Some pumps live twice as long as others.
        self._strength = 0.7 + 0.7 * hashed(seeds, 46)

    def initial(self, time_ns: NDArray[np.int64]) -> dict[str, Any]:
        """A pump at rest, new to half worn; sump and substrate in ordinary shape."""
        zero = np.zeros(len(self.seeds))
        return {
            **dict.fromkeys(("pump_speed", "pump_kw", "flow_m3_per_h", "cavitation"), zero),
            **dict.fromkeys(("supplied_m3", "transpired_m3", "spilt_m3"), zero),
            "pump_wear": 0.5 * hashed(self.seeds, 47),
            "clogging": _debris(self._chance(time_ns)[0]),
            "tank_m3": zero + 0.8 * self.tank_m3,
            "water_celsius": zero + 20.0,
            "moisture_percent": zero + 60.0,
            "far_moisture_percent": zero + 60.0,
            "substrate_celsius": zero + 20.0,
        }

    def operating_point(self, state: State, speed: Array, sector: Array | float = 1.0) -> OperatingPoint:
        """Where the pump would work in this state at `speed` 0..1, (B,); full of water.

        `sector` says how many drippers are open, 1 in the usual one. Below the near half's opening pressure nothing
        flows, above the far half's nominal pressure no more than nominal; one quadratic in between.
        """
        lift, nominal = self._lift_m(state), NOMINAL_X * sector
        still = physics.static_npsh_m(lift, state.water_celsius, self.site.location.altitude_m)
        return physics.operating_point(
            CURVE,
            speed,
            lift + NEAR_ABOVE_M + INJECTOR_M + DRIPPERS_OPEN_M,
            (PIPES_M + FAR_ABOVE_M - NEAR_ABOVE_M + _SPAN_M) / (nominal * nominal),
            STRAINER_M * (1.0 + CLOGGED * state.clogging * state.clogging),
            still,
            state.pump_wear,
            nominal,
        )

    def step(
        self, state: State, asked_percent: Array, demand_kg_per_h: Array, time_ns: NDArray[np.int64], hours: float
    ) -> dict[str, Array]:
        """The irrigation's part of the state, `hours` later at `time_ns`.

        `asked_percent` is the pump's setpoint, `demand_kg_per_h` what the canopy transpires. Power and flow are means
        over the step; their ramps at a start are in them.
        """
        pump, seconds = self.site.pump, 3600.0 * hours
        debris, slow, quick, sector, rinse = self._chance(time_ns)
        alive = state.pump_wear < 1.0
        wanted = either((asked_percent >= pump.min_speed_percent) & alive, asked_percent / 100.0, 0.0)
        change = between(wanted - state.pump_speed, -DRIVE_DOWN_PER_S * seconds, DRIVE_UP_PER_S * seconds)
        speed = either(alive, state.pump_speed + change, 0.0)
        fields = {"pump_speed": speed, "pump_wear": state.pump_wear}
        flow = power = cavitation = 0.0 * speed
        near = flow + 0.5
        turns = speed > 0.0
        if anywhere(turns):
            level = state.tank_m3 / self.tank_m3
            wet = between((level - AIR_ONLY) / (AIR_FROM - AIR_ONLY), 0.0, 1.0)
            least, most = _SECTORS
            drippers = least + (most - least) * sector
            point = self.operating_point(state, speed, drippers)
            near = near_share(point.x, drippers)
            shaft = physics.shaft_kw(CURVE, point.x, speed) / self._shaft_kw * (1.0 - POWER_PER_DROP * point.head_drop)
            shaft = wet * shaft + (1.0 - wet) * physics.DRY_SHAFT * speed * speed
            # A meter of class 1, a mains that wanders: together they hide a few per cent.
            doubt = 1.0 + 0.03 * (slow - 0.5) + 0.02 * (quick - 0.5)
            rising = between(change / (DRIVE_UP_PER_S * seconds), 0.0, 1.0)
            before = smaller(state.pump_speed / larger(speed, 1e-9), 1.0)
            cubed = 0.25 * (1.0 + before) * (1.0 + before * before)
            power = (
                pump.rated_power_kw * physics.electrical_share(shaft, speed) * doubt * (1.0 - rising * (1.0 - cubed))
            )
            flow = self.full_flow_m3_per_h * wet * point.x * (1.0 - 0.5 * rising * (1.0 - before))
            flow = smaller(flow, state.tank_m3 / hours)
            cavitation = wet * point.cavitation
            worst = physics.erosion(cavitation, point.npsh_available_m, point.npshi_m) * np.power(speed, 6.0)
            rate = speed / LIFE_H + worst / CAVITATION_LIFE_H + (1.0 - wet) * speed / DRY_LIFE_H
            start = turns & (state.pump_speed == 0.0)
            strength = self._strength if isinstance(time_ns, np.ndarray) else self._strength[0]
            wear = state.pump_wear + (hours * rate + start / STARTS) / strength
            fields["pump_wear"] = smaller(wear, 1.0)
        settled = either(turns, math.exp(-hours / CLOG_H), math.exp(-hours / CLEAR_H))
        target = _debris(debris) * either(turns, 1.0, 0.5)
        fields |= {
            "pump_kw": power,
            "flow_m3_per_h": flow,
            "cavitation": cavitation,
            "clogging": target + (state.clogging - target) * settled,
        }
        return fields | self._water(state, flow, near, power, demand_kg_per_h, rinse < _RINSED, hours)

    def remaining_life_h(self, state: State) -> Array:
        """Hours at full speed until it fails, if nothing but bearings and seal wear any more, (B,)."""
        return (1.0 - state.pump_wear) * LIFE_H * self._strength

    def pressures_bar(self, state: State) -> tuple[Array, Array]:
        """Gauge pressure before and behind the pump [bar], (B,): what meters there would show."""
        x, n = state.flow_m3_per_h / self.full_flow_m3_per_h, state.pump_speed
        lift = self._lift_m(state)
        suction = lift + STRAINER_M * (1.0 + CLOGGED * state.clogging * state.clogging) * x * x
        still = physics.static_npsh_m(lift, state.water_celsius, self.site.location.altitude_m)
        drop = physics.head_drop(still + lift - suction, physics.npsh3_m(CURVE, x, n))
        discharge = physics.head_m(CURVE, x, n, state.pump_wear) * (1.0 - drop) - suction
        running = state.flow_m3_per_h > 0.0
        per_bar = 100.0 * physics.M_PER_KPA
        return either(running, -suction / per_bar, 0.0), either(running, discharge / per_bar, 0.0)

    def _lift_m(self, state: State) -> Array:
        return SUMP_BELOW_M + SUMP_DEPTH_M * (1.0 - between(state.tank_m3 / self.tank_m3, 0.0, 1.0))

    def _water(
        self,
        state: State,
        flow: Array,
        near: Array,
        power: Array,
        demand: Array,
        rinse: NDArray[np.bool_],
        hours: float,
    ) -> dict[str, Array]:
        per_percent = 0.5 * self.substrate_m3 / 100.0  # of a half
        given, asked = flow * hours, demand * hours / 1000.0 / per_percent
        # Plants that wilt ask for less: by how much, the canopy's sum has been told already.
        moist, dry = (larger(water_stress(m), 0.02) for m in (state.moisture_percent, state.far_moisture_percent))
        asked = asked / (moist + dry)
        gone = flows(state.moisture_percent, given * near / per_percent, asked * moist, hours)
        far = flows(state.far_moisture_percent, given * (1.0 - near) / per_percent, asked * dry, hours)
        drained, taken = gone.drained_percent + far.drained_percent, gone.taken_percent + far.taken_percent
        level = state.tank_m3 / self.tank_m3
        tap = either(rinse & (level > _RINSE_DOWN_TO), _RINSE_PER_H * self.tank_m3 * hours, 0.0)
        tap = smaller(tap, state.tank_m3 - given)
        refill = either(rinse, 0.0, either(level < REFILL_BELOW, REFILL_PER_H * self.tank_m3 * hours, 0.0))
        tank = state.tank_m3 - given + drained * per_percent + refill - tap
        over = larger(tank - self.tank_m3, 0.0)
        # Water follows the room in ten hours; what the pump loses warms it.
        pumped = power * hours / (1.163 * larger(state.tank_m3, 0.05 * self.tank_m3))
        cool = math.exp(-hours / 10.0)
        return {
            "tank_m3": tank - over,
            "moisture_percent": gone.moisture_percent,
            "far_moisture_percent": far.moisture_percent,
            "supplied_m3": state.supplied_m3 + refill,
            "transpired_m3": state.transpired_m3 + taken * per_percent,
            "spilt_m3": state.spilt_m3 + over + tap,
            "water_celsius": state.air_celsius + (state.water_celsius - state.air_celsius) * cool + pumped,
            "substrate_celsius": state.air_celsius
            + (state.substrate_celsius - state.air_celsius) * math.exp(-hours / 4.0),
        }

    def _chance(self, time_ns: NDArray[np.int64]) -> Any:
        """(5, B) in 0..1, or 5 of one farm, in the order of `_CHANNELS`; as `noise.smooth`, with one call for all."""
        if not isinstance(time_ns, np.ndarray):
            seed, time = int(self.seeds[0]), int(time_ns)
            return [_drawn(seed, time, *channel) for channel in _CHANNELS]
        channels, periods_ns, smooth = np.array(_CHANNELS).T
        knot = time_ns[:, None] // periods_ns
        share = (time_ns[:, None] - knot * periods_ns) / periods_ns
        drawn = hashed(self.seeds[:, None, None], channels[:, None], np.stack([knot, knot + 1], -1))  # (B, 5, 2)
        share = share * share * (3.0 - 2.0 * share) * smooth
        return (drawn[..., 0] + share * (drawn[..., 1] - drawn[..., 0])).T


def near_share(x: Array, sector: Array | float = 1.0) -> Array:
    """Share of the water that the near half gets, (B,) 0.5..1, when the pump gives `x` of its best flow to `sector`."""
    near, far = near_and_far(x / (NOMINAL_X * sector), _RISE, _FRICTION)
    return either(x > 0.0, near / larger(near + far, 1e-9), 0.5)


def _drawn(seed: int, time_ns: int, channel: int, period_ns: int, smooth: int) -> Any:
    knot, rest = divmod(time_ns, period_ns)
    first, second = ends(seed, channel, knot)
    if not smooth:
        return first
    share = rest / period_ns
    return first + share * share * (3.0 - 2.0 * share) * (second - first)


def _debris(noise: Array) -> Array:
    return between(2.5 * noise - 1.25, 0.0, 1.0)
