# SPDX-License-Identifier: Apache-2.0
"""Ten minutes in which the strainer clogs and the sump falls while the pump runs, decided every 5 s.

An episode of 72 h at 5 min says what a sound pump is worth; this one says how fast trouble is met that only an ear can
tell. The substrate is dry, so everybody wants water. How bad it gets is chosen by the physics, not by numbers: so bad
that the pump cavitates at the speed at which the site's rules run it; where that speed is too slow ever to cavitate,
the rules are asked to run it as fast as it takes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.controllers import FACTORIES, make
from cmkd_ros.evaluation.ears import hearing
from cmkd_ros.evaluation.episode import Start, run, warmed
from cmkd_ros.evaluation.knowing import CAVITATES, InformedRules
from cmkd_ros.evaluation.scenario import synthetic
from cmkd_ros.policy.interface import Policy
from cmkd_ros.policy.rules import Rules, RuleSettings, settings_for
from cmkd_ros.safety import EnvelopeOptions
from cmkd_ros.safety.pump import PumpLimits
from cmkd_ros.simulation.noise import hashed
from cmkd_ros.simulation.pump import LIFE_H
from cmkd_ros.simulation.world import State, World
from cmkd_ros.site import Site

Array = NDArray[np.float64]

MINUTES, PERIOD_S = 10.0, 5.0
FROM_S, SPAN_S = 120.0, 60.0  # trouble begins then or up to so much later
DRY_PERCENT = 12.0  # of the substrate: ten minutes do not fill it so far that anybody would let the pump rest
SLOWER = 3.0  # % of full speed less than when it began: a reaction
_WORST, _MILDEST = 0.6, 0.2  # cavitation at the usual speed, drawn between: 0 first bubbles, 1 the head has lost 3 %
_FULL_TANK, _LOW_TANK = 0.9, 0.15  # full, before and at its lowest: a little above what the level switch calls dry
_STEPS = 101
_CHANNEL = 7100
_PUMP = ACTION_INDEX["pump"]
_STUDENT = "student"


class Troubled(World):
    """A world whose strainers are at least so clogged and whose sumps at most so full, from a moment on; (B,) each."""

    def __init__(self, world: World, from_ns: NDArray[np.int64], clogging: Array, tank_m3: Array):
        super().__init__(world.site, world.seeds, world.faults, world.measured)
        self._from_ns, self._clogging, self._tank_m3 = from_ns, clogging, tank_m3

    def step(self, state: State, *arguments: Any, **named: Any) -> State:
        """As any world, in trouble from the beginning of the step on: no decision can foresee it."""
        begun = state.time_ns >= self._from_ns
        return self._troubled(super().step(self._troubled(state, begun), *arguments, **named), begun)

    def _troubled(self, state: State, begun: NDArray[np.bool_]) -> State:
        return dataclasses.replace(
            state,
            clogging=np.where(begun, np.maximum(state.clogging, self._clogging), state.clogging),
            tank_m3=np.where(begun, np.minimum(state.tank_m3, self._tank_m3), state.tank_m3),
        )


@dataclass(frozen=True)
class Trouble:
    """Farms that get into it, one a seed. `calm` are the same farms without."""

    batch: Batch
    calm: Batch
    start: Start
    from_s: Array  # (B,) when it begins, from the start of the episode on
    settings: RuleSettings  # of the site's rules, the pump's speed such that it cavitates then
    cavitation: Array  # (B,) at that speed


@dataclass(frozen=True)
class Reaction:
    """What a controller did in the ten minutes; (B,) each, NaN where there was none."""

    name: str
    inception_s: Array  # from the start of the episode to the first step, of those in trouble, that cavitates
    reaction_s: Array  # from there to the first decision that runs the pump slower
    cavitating_s: Array
    life_h: Array  # of the pump at full speed, used up
    water_l: Array
    wear_eur: Array

    def row(self) -> dict[str, Any]:
        """Means over the farms as plain numbers; None where there is none."""
        cavitated, reacted = np.isfinite(self.inception_s), np.isfinite(self.reaction_s)
        return {
            "controller": self.name,
            "farms": len(self.life_h),
            "cavitated": int(cavitated.sum()),
            "reacted": int(reacted.sum()),
            "reaction_s": float(self.reaction_s[reacted].mean()) if reacted.any() else None,
            "slowest_reaction_s": float(self.reaction_s[reacted].max()) if reacted.any() else None,
            "cavitating_min": float(self.cavitating_s.mean()) / 60.0,
            "life_h": float(self.life_h.mean()),
            "water_l": float(self.water_l.mean()),
            "wear_eur": float(self.wear_eur.mean()),
        }


def trouble(site: Site, site_name: str, split: str, seeds: range, season: str = "summer") -> Trouble:
    """The farms. Raises `ConfigurationError` where the pump cavitates at no speed that it may run at."""
    scenarios = [synthetic(site, site_name, season, split, seed, hours=MINUTES / 60.0) for seed in seeds]
    batch, calm = Batch(scenarios, PERIOD_S), Batch(scenarios, PERIOD_S)
    calm.__dict__["outside"] = batch.outside
    begin = warmed(Batch(scenarios))
    full = np.ones(len(batch))
    fields: dict[str, Any] = {
        "clogging": 0.0 * full,
        "tank_m3": _FULL_TANK * batch.world.tank_m3 * full,
    }  # a clean strainer, so far
    for field in dataclasses.fields(State):
        if field.name.endswith("moisture_percent"):
            fields[field.name] = DRY_PERCENT * full
    state = dataclasses.replace(begin.state, **fields)
    when, severity = hashed(batch.seeds[:, None], 0, _CHANNEL + np.arange(2)).T
    wanted = _MILDEST + (_WORST - _MILDEST) * severity
    speed = _speed(site, batch.world, state)
    cavitation, clogging, tank_m3 = _as_bad_as(batch.world, state, speed, wanted)
    from_s = PERIOD_S * np.round((FROM_S + SPAN_S * when) / PERIOD_S)
    from_ns = batch.start_ns + (from_s * NANOSECONDS).astype(np.int64)
    batch.world = Troubled(batch.world, from_ns, clogging, tank_m3)
    settings = dataclasses.replace(settings_for(site), pump_speed_percent=100.0 * speed)
    return Trouble(batch, calm, Start(state, begin.observer.moved(batch)), from_s, settings, cavitation)


def names() -> tuple[str, ...]:
    """Who can be judged by name."""
    return (*FACTORIES, _STUDENT)


def controller(name: str, found: Trouble) -> Policy:
    """The controller `name`; rules run the pump at the trouble's speed, who has ears hears it."""
    batch, settings = found.batch, found.settings
    if name == "rules":
        return Rules(batch.site, settings, period_s=PERIOD_S)
    if name == "rules_pump":
        return InformedRules(batch, PERIOD_S, sky=False, pump=True, name=name, settings=settings)
    if name == _STUDENT:
        return hearing(batch)
    return make(name, batch, PERIOD_S)


def reaction(found: Trouble, policy: Policy, *, calm: bool = False) -> Reaction:
    """`policy` through the ten minutes; `calm`: without the trouble, to compare with."""
    batch = found.calm if calm else found.batch
    result = run(batch, policy, period_s=PERIOD_S, start=found.start)
    cavitates = result.record["cavitation"] > CAVITATES  # (T, B), a step a decision
    asked = result.actions[:, :, _PUMP]
    steps, farms = np.arange(len(asked))[:, None], np.arange(len(batch))
    troubled = cavitates & (steps * PERIOD_S >= found.from_s)
    never = ~troubled.any(axis=0)
    first = troubled.argmax(axis=0)
    slower = (steps > first) & (asked < asked[first, farms] - SLOWER)
    deaf = never | ~slower.any(axis=0)
    return Reaction(
        policy.name,
        np.where(never, np.nan, first * PERIOD_S),
        np.where(deaf, np.nan, (slower.argmax(axis=0) - first) * PERIOD_S),
        cavitates.sum(axis=0) * PERIOD_S,
        result.account.pump_wear * LIFE_H,
        result.record["flow_m3_per_h"].sum(axis=0) * 1000.0 * PERIOD_S / 3600.0,
        result.terms["pump_wear"],
    )


def _speed(site: Site, world: World, state: State) -> float:
    """0..1: that of the site's rules, or the slowest one above at which the worst trouble is bad enough everywhere."""
    fastest = PumpLimits(site, EnvelopeOptions()).fastest / 100.0
    usual = min(float(settings_for(site).pump_speed_percent) / 100.0, fastest)
    for speed in np.append(np.arange(usual, fastest, 0.01), fastest):
        if (_as_bad_as(world, state, float(speed), np.full(len(state.clogging), _WORST))[0] >= _WORST).all():
            return float(speed)
    raise ConfigurationError("reaction", [f"no trouble makes the pump of {site.name!r} cavitate: it is too slow"])


def _as_bad_as(world: World, state: State, speed: float, wanted: Array) -> tuple[Array, Array, Array]:
    """The least trouble (B,) at which the pump cavitates as `wanted` at `speed`, else the worst there is.

    Returns cavitation, clogging, and water in the sump.
    """
    found = np.zeros_like(wanted)
    clogging, tank_m3 = state.clogging, state.tank_m3
    for share in np.linspace(0.0, 1.0, _STEPS):
        milder = found < wanted
        clogging = np.where(milder, np.maximum(state.clogging, share), clogging)
        low = state.tank_m3 + share * (np.minimum(_LOW_TANK * world.tank_m3, state.tank_m3) - state.tank_m3)
        tank_m3 = np.where(milder, low, tank_m3)
        troubled = dataclasses.replace(state, clogging=clogging, tank_m3=tank_m3)
        found = world.irrigation.operating_point(troubled, np.full(len(wanted), speed)).cavitation
    return found, clogging, tank_m3
