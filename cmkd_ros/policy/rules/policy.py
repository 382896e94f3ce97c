# SPDX-License-Identifier: Apache-2.0
"""The five rules as a `Policy`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.interface import Insight, State
from cmkd_ros.policy.objective import Values
from cmkd_ros.policy.rules.battery import battery
from cmkd_ros.policy.rules.climate import climate
from cmkd_ros.policy.rules.co2 import dosing, valve
from cmkd_ros.policy.rules.light import count_light, first_light_state, light, ramped
from cmkd_ros.policy.rules.outlook import look_ahead
from cmkd_ros.policy.rules.reading import first_known, full_light, read
from cmkd_ros.policy.rules.settings import DEFAULTS, RuleSettings
from cmkd_ros.policy.rules.truth import Truth
from cmkd_ros.policy.rules.water import share_of_time, water, watering
from cmkd_ros.site import Site


class Rules:
    """Five simple rules. They need no model, stand in for every policy that fails, and are what a learner must beat.

    `period_s` is how often they are asked: pulses and last energies last no shorter. `lettuce_eur_per_kg` is what light
    is bought for. With a `truth` they are a variant that knows more than a farm can: for comparison, never to act.
    """

    def __init__(
        self,
        site: Site,
        settings: RuleSettings | None = None,
        *,
        period_s: float = 5.0,
        lettuce_eur_per_kg: float = Values().lettuce_eur_per_kg,
        truth: Truth | None = None,
        name: str = "rules",
    ):
        self.site, self.settings = site, settings or DEFAULTS
        self.period_s, self.lettuce_eur_per_kg, self.truth, self.name = period_s, lettuce_eur_per_kg, truth, name

    def reset(self, batch: int) -> State:
        """`light_sum` mol/m2, `light_day`, `light_time_ns`, `led` %, `watering` 0 to 2, `dosing` 0 or 1; each (B,)."""
        zero = np.zeros(batch, np.int64)
        return {**first_light_state(batch), "watering": zero, "dosing": zero.copy()}

    def decide(self, window: Window, state: State) -> tuple[NDArray[np.float64], Insight, State]:
        """Actions (B, 5), no opinion, and the next state. Finite whatever the window holds."""
        site, settings, truth = self.site, self.settings, self.truth
        reading = read(window, site, settings)
        pv_kw = truth.pv_kw(window.time_ns) if truth else None
        outlook = look_ahead(window, reading, site, settings, pv_kw)
        state = count_light(window, reading, state, site)
        light_sum = np.asarray(state["light_sum"], np.float64)
        led, led_kw = light(window, reading, outlook, light_sum, site, settings, self.lettuce_eur_per_kg)
        led = ramped(led, np.asarray(state["led"], np.float64), window.local_hour, site, settings, self.period_s)
        lit = first_known(reading.light, led / 100.0 * full_light(site))
        filling = watering(reading, np.asarray(state["watering"], np.int64), settings)
        share = share_of_time(reading, filling, site, settings)
        cavitates = truth.cavitates(window.time_ns) if truth else None
        doses = dosing(reading, np.asarray(state["dosing"], np.int64), site, settings)
        actions = np.stack(
            [
                battery(reading, outlook, led_kw, site, settings, self.period_s),
                water(reading, share, window.local_hour, site, settings, self.period_s, cavitates),
                led,
                climate(reading, outlook, lit, site, settings),
                valve(reading, lit, doses, site, settings),
            ],
            axis=1,
        )
        bounds = site.action_bounds()
        actions = np.clip(actions, bounds[:, 0], bounds[:, 1])
        return actions, Insight.unknown(window.batch), {**state, "led": led, "watering": filling, "dosing": doses}

    def explain(self, window: Window, actions: NDArray[np.float64], state: State) -> list[str]:
        """What the rules looked at, in one sentence a farm; `state` is that after the decision."""
        reading = read(window, self.site, self.settings)
        outlook = look_ahead(window, reading, self.site, self.settings)
        dearness = self.settings.light_sum(outlook.cost, self.lettuce_eur_per_kg)
        targets = self.site.led.light_sum_target_mol_per_m2 * dearness.mean(axis=1)
        return [
            f"grid {_text(reading.net_kw[b], 'kW')} before the battery ({_text(reading.state_of_charge[b], '%')}) at "
            f"{outlook.import_price[b, 0]:.3f} EUR/kWh, {outlook.import_price[b].min():.3f} to "
            f"{outlook.import_price[b].max():.3f} ahead; light {state['light_sum'][b]:.1f} of {targets[b]:.3g} mol/m2; "
            f"air {_text(reading.air_temperature[b], 'degC')}, {_text(reading.humidity[b], '%')}; "
            f"substrate {_text(reading.soil_moisture[b], '%')}{', filling' if state['watering'][b] else ''}; "
            f"CO2 {_text(reading.co2[b], 'ppm')}"
            for b in range(window.batch)
        ]


def _text(value: float, unit: str) -> str:
    return "unknown" if np.isnan(value) else f"{value:.1f} {unit}"
