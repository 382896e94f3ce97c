# SPDX-License-Identifier: Apache-2.0
"""Settings of the envelope that are no farm facts: freshness, margins against chatter, and the rhythm of writing."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cmkd_ros.contract.quantities import check, quantity


@dataclass(frozen=True, kw_only=True)
class EnvelopeOptions:
    """Defaults fit a gateway that steps at least once a second of ROS time; `for_period` fits a slower one."""

    proposal_max_age_s: float = quantity(
        5.0, description="an older proposal does not count", unit="s", low=0.1, high=86400
    )
    future_tolerance_s: float = quantity(1.0, description="how far ahead a stamp may be", unit="s", low=0, high=60)
    meter_age_floor_s: float = quantity(
        0.0, description="a meter's max_age_s in the site file counts as at least this", unit="s", low=0, high=86400
    )
    max_step_s: float = quantity(10.0, description="a longer step allows no wider ramp", unit="s", low=0.1, high=86400)
    charge_horizon_s: float = quantity(
        60.0,
        description="battery power is such that full or empty is at least this far away",
        unit="s",
        low=1,
        high=86400,
    )
    charge_margin_percent: float = quantity(0.5, description="hysteresis of full and empty", unit="%", low=0, high=10)
    heat_margin_celsius: float = quantity(1.0, description="hysteresis of too hot", unit="degC", low=0, high=10)
    co2_margin: float = quantity(0.05, description="hysteresis of the CO2 limits, share of the limit", low=0, high=0.5)
    grid_margin: float = quantity(
        0.02, description="kept free below the grid limits, share of the limit", low=0, high=0.5
    )
    led_release_percent: float = quantity(
        5.0, description="dimmed LEDs wait for this much room", unit="%", low=0, high=50
    )
    setpoint_deadband_celsius: float = quantity(
        0.3, description="a setpoint that turns back by less does not switch a compressor", unit="degC", low=0, high=5
    )
    silence_s: float = quantity(
        5.0,
        description="no proposal, or a clock that stands still, for this long of monotonic time",
        unit="s",
        low=0.1,
        high=3600,
    )
    write_period_s: float = quantity(1.0, description="shortest time between two writes", unit="s", low=0, high=3600)
    heartbeat_s: float = quantity(
        5.0, description="an unchanged setpoint is written again", unit="s", low=0.1, high=3600
    )

    def __post_init__(self) -> None:
        check(self)

    @classmethod
    def for_period(cls, period_s: float) -> EnvelopeOptions:
        """Options for a gateway that polls and steps once every `period_s` seconds of ROS time.

        Whoever knows the period builds the options with it: the gateway at `--speed 60` passes 5.0, a roll-out its
        step. A proposal and a reading may miss two steps (3 periods); ramps and the battery's horizon follow. Up to 1 s
        nothing differs from the defaults.
        """
        base = cls()
        return replace(
            base,
            proposal_max_age_s=max(base.proposal_max_age_s, 3.0 * period_s),
            meter_age_floor_s=3.0 * period_s,
            max_step_s=max(base.max_step_s, 2.0 * period_s),
            charge_horizon_s=max(base.charge_horizon_s, 12.0 * period_s),
            heartbeat_s=max(base.heartbeat_s, period_s),
        )
