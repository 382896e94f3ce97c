# SPDX-License-Identifier: Apache-2.0
"""How samples become windows: the fusion node's settings, and the student's sizes (which come from its manifest)."""

from __future__ import annotations

from dataclasses import dataclass

from cmkd_ros.contract.quantities import check, quantity


@dataclass(frozen=True, kw_only=True)
class Options:
    """Ages and distances in time. Raises `ConfigurationError` when one is out of range."""

    guard_s: float = quantity(
        0.2, description="samples stamped after t - guard are not looked at", unit="s", low=0, high=5
    )
    sky_max_age_s: float = quantity(10.0, description="older newest frames are masked", unit="s", low=0.1, high=600)
    sky_gap_s: float = quantity(
        60.0, description="how long before the other the earlier frame is", unit="s", low=1, high=600
    )
    sky_gap_tolerance_s: float = quantity(
        10.0, description="how much longer before it may be", unit="s", low=0.1, high=600
    )
    audio_max_age_s: float = quantity(3.0, description="age of the sound's end", unit="s", low=0.1, high=600)
    audio_gap_s: float = quantity(
        0.02,
        description="chunks further apart than this (or overlapping by more) are not contiguous",
        unit="s",
        low=0,
        high=1,
    )
    telemetry_max_age_s: float = quantity(
        10.0, description="of readings of meters for which the site file gives no age", unit="s", low=0.1, high=86400
    )
    telemetry_span_s: float = quantity(
        60.0, description="readings this far back are interpolated", unit="s", low=2, high=3600
    )
    market_max_age_s: float = quantity(
        604800.0, description="of prices and carbon, which are facts about their hour", unit="s", low=1, high=2678400
    )
    age_scale: float = quantity(
        1.0,
        description="multiplies every allowed age, the meters' too: for a clock faster than the wall's",
        low=1,
        high=1000,
    )
    future_tolerance_s: float = quantity(
        1.0, description="samples stamped further ahead of now are refused", unit="s", low=0, high=3600
    )
    jump_back_s: float = quantity(
        10.0, description="time going back further than this forgets everything", unit="s", low=0, high=86400
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the student looks at and listens to. From its manifest; without a student, these defaults."""

    sky_height: int = quantity(112, description="of its sky frames", unit="px", low=1, high=1024)
    sky_width: int = quantity(112, description="of its sky frames", unit="px", low=1, high=1024)
    audio_samples: int = quantity(16000, description="of mono sound", low=1, high=480_000)
    audio_rate_hz: int = quantity(16000, description="of its sound", unit="Hz", low=1000, high=192_000)

    def __post_init__(self) -> None:
        check(self)
