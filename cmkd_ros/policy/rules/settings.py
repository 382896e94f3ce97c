# SPDX-License-Identifier: Apache-2.0
"""What a tuner may choose about the rules: one dataclass, described and range-checked, and its file.

Each field is a number, or an array (B,) of one number a farm, so that a search tries many settings in one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.quantities import quantity
from cmkd_ros.policy.objective import Values
from cmkd_ros.site import Site
from cmkd_ros.site.files import read_yaml, share, write_atomically

Number = Any  # float, or an array (B,) of floats
REFERENCE = "demo"  # the site whose tuned settings stand in where a site has none of its own
_PRICED_AT = 0.25  # kg/kWh: 0.25 EUR/kWh at 1 EUR/kg; where the light sum is the target times its factor


@dataclass(frozen=True, kw_only=True)
class RuleSettings:
    """The defaults are those of a farm that nobody has tuned.

    Raises `ConfigurationError` with every value that is out of its range, be it in an array.
    """

    # light
    light_sum_factor: Number = quantity(1.0, description="of the site's daily light sum", low=0.2, high=2.0)
    light_elasticity: Number = quantity(
        0.0,
        description="how much of the target less (more) light is taken where energy costs twice (nothing of) "
        f"{_PRICED_AT:g} kg of lettuce a kWh",
        low=0.0,
        high=4.0,
    )
    light_least_factor: Number = quantity(0.2, description="of the target, at any price", low=0.0, high=2.0)
    light_most_factor: Number = quantity(2.0, description="of the target, at any price", low=0.2, high=2.5)
    light_price_step: Number = quantity(
        0.02, description="closer prices share the light equally", unit="EUR/kWh", low=0.001, high=0.3
    )
    light_spread: Number = quantity(
        0.0, description="bright light counts as so much dearer than dim light", unit="EUR/kWh", low=0.0, high=1.0
    )
    led_most_percent: Number = quantity(
        100.0, description="brightest; light spread over more hours grows more", unit="%", low=20.0, high=100.0
    )
    led_least_percent: Number = quantity(3.0, description="below, lights are off", unit="%", low=0.0, high=40.0)
    ramp_share: Number = quantity(
        0.15, description="of a connection's ramp limit, if any, that the lights may take", low=0.02, high=1.0
    )
    dark_h: Number = quantity(
        0.0, description="lights off until this local hour; the site's dark hours always", unit="h", low=0.0, high=14.0
    )
    pv_following: Number = quantity(
        1.0, description="share of expected PV surplus that the lights count at the feed-in price", low=0.0, high=1.0
    )
    daylight_trust: Number = quantity(
        0.0, description="share of the daylight to be expected that the lights leave room for", low=0.0, high=1.2
    )
    plan_tomorrow: Number = quantity(
        0.0, description="1: tomorrow's light is planned by its prices; 0: as an even day", low=0.0, high=1.0
    )
    carbon_eur_per_kg: Number = quantity(
        0.0, description="added to import prices for the grid's carbon", unit="EUR/kg", low=0.0, high=0.5
    )

    # the peak at the grid, shares of the contracted import
    peak_share: Number = quantity(0.6, description="import kept below at the start of a month", low=0.1, high=0.98)
    unknown_peak_share: Number = quantity(
        0.8, description="import kept below while the month's peak is not known", low=0.1, high=0.98
    )
    hard_share: Number = quantity(0.95, description="import that is never worth exceeding", low=0.3, high=0.98)

    # battery
    wear_eur_per_kwh: Number = quantity(
        0.02, description="of energy that leaves the battery", unit="EUR/kWh", low=0.0, high=0.4
    )
    same_price: Number = quantity(0.005, description="closer prices count as equal", unit="EUR/kWh", low=0.0, high=0.1)
    grid_charging: Number = quantity(
        1.0, description="share of what dearer hours will need that is bought in cheap ones", low=0.0, high=1.0
    )
    holding: Number = quantity(
        1.0, description="share of what dearer hours will need that is held back for them", low=0.0, high=1.0
    )
    peak_reserve_percent: Number = quantity(
        5.0, description="state of charge that only the peak guard may use", unit="%", low=0.0, high=50.0
    )
    charge_least_percent: Number = quantity(
        0.0, description="lowest state of charge but for the peak guard (the site's minimum stands)", unit="%",
        low=0.0, high=60.0,
    )  # fmt: skip
    charge_most_percent: Number = quantity(
        100.0, description="highest state of charge (the site's maximum stands)", unit="%", low=30.0, high=100.0
    )
    taper_h: Number = quantity(
        0.1, description="the last energy and room are used over at least this long", unit="h", low=0.02, high=3.0
    )
    smallest_kw: Number = quantity(
        0.05, description="less is not worth the inverter's losses", unit="kW", low=0.0, high=5.0
    )

    # climate
    dark_celsius: Number = quantity(18.5, description="setpoint in the dark", unit="degC", low=16.0, high=26.0)
    lit_celsius: Number = quantity(22.5, description="setpoint in full light", unit="degC", low=16.0, high=28.0)
    fully_lit: Number = quantity(
        150.0, description="light from which the day's setpoint holds", unit="umol/m2/s", low=30.0, high=600.0
    )
    damp_kpa: Number = quantity(0.5, description="vapour pressure deficit of damp air", unit="kPa", low=0.0, high=1.5)
    dry_kpa: Number = quantity(1.2, description="vapour pressure deficit of dry air", unit="kPa", low=0.3, high=4.0)
    moist_shift_celsius: Number = quantity(
        1.0, description="warmer in damp, cooler in dry air", unit="degC", low=0.0, high=3.0
    )
    price_shift_celsius: Number = quantity(
        1.0, description="towards where the room drifts anyway, in the dearest hours", unit="degC", low=-1.0, high=4.0
    )
    mild_celsius: Number = quantity(
        12.0, description="in the dark, heating is expected below this outdoors", unit="degC", low=-10.0, high=25.0
    )

    airing: Number = quantity(
        0.0, description="above 0.5: damp nights are heated and aired rather than dried", low=0.0, high=1.0
    )
    airing_span_celsius: Number = quantity(
        2.0, description="how far above the dark setpoint such a night may get", unit="degC", low=0.0, high=6.0
    )
    airing_outdoor_celsius: Number = quantity(
        12.0, description="warmer air outside is too damp for it", unit="degC", low=-10.0, high=30.0
    )

    # CO2
    co2_factor: Number = quantity(1.0, description="of the site's target", low=0.4, high=1.5)
    co2_band: Number = quantity(
        0.25, description="of the target: the valve is fully open that far below it", low=0.02, high=1.0
    )
    co2_gap: Number = quantity(
        0.0, description="of the target: dosing begins that far below it and ends at it", low=0.0, high=0.5
    )
    co2_least_valve_percent: Number = quantity(
        0.0, description="narrowest opening while dosing; a burner turns down so far", unit="%", low=0.0, high=100.0
    )
    co2_lit: Number = quantity(
        50.0, description="with less light, CO2 is wasted", unit="umol/m2/s", low=5.0, high=400.0
    )
    co2_damp_percent: Number = quantity(
        90.0, description="in damper air vents open: no dosing", unit="%", low=70.0, high=100.0
    )
    co2_hot_celsius: Number = quantity(
        3.0, description="so near to hot, vents open: no dosing", unit="degC", low=0.0, high=10.0
    )

    # water
    cycle_s: Number = quantity(3600.0, description="one pulse in each", unit="s", low=60.0, high=7200.0)
    low_moisture: Number = quantity(58.0, description="watering begins below", unit="%", low=25.0, high=75.0)
    moisture_span: Number = quantity(8.0, description="... and ends so far above", unit="%", low=0.5, high=40.0)
    dry_moisture: Number = quantity(45.0, description="below, the pump never rests", unit="%", low=15.0, high=70.0)
    watering_share: Number = quantity(0.4, description="of the time, while watering", low=0.02, high=1.0)
    pump_speed_percent: Number = quantity(
        85.0,
        description="slower leaves the far drippers short of pressure, faster cavitates more often",
        unit="%",
        low=20.0,
        high=100.0,
    )
    quiet_speed_percent: Number = quantity(
        80.0, description="while it cavitates, where that is known", unit="%", low=20.0, high=100.0
    )

    def __post_init__(self) -> None:
        faults = []
        for field in fields(self):
            values = np.asarray(getattr(self, field.name), np.float64)
            low, high, unit = (field.metadata[key] for key in ("low", "high", "unit"))
            wrong = ~((values >= low) & (values <= high))
            if values.ndim > 1:
                faults.append(f"{field.name} has shape {values.shape}; it must be one number, or one a farm")
            elif wrong.any():
                found = values[wrong].flat[0]
                faults.append(f"{field.name} is {found:g}; it must be {low:g} to {high:g} {unit}".rstrip())
        if faults:
            raise ConfigurationError("RuleSettings", faults)

    def light_sum(self, price: NDArray[np.float64], lettuce_eur_per_kg: float) -> NDArray[np.float64]:
        """Light that a day is worth at `price` (B, N) in EUR/kWh, as a factor of the target: less where it is dear.

        A kWh of light at 0.25 EUR pays where it brings 0.25 kg of lettuce at 1 EUR, and light brings the less the more
        there is of it.
        """
        dearness = price / max(lettuce_eur_per_kg, 1e-3) / _PRICED_AT
        wanted = column(self.light_sum_factor) + column(self.light_elasticity) * (1.0 - dearness)
        return np.minimum(np.maximum(wanted, column(self.light_least_factor)), column(self.light_most_factor))


DEFAULTS = RuleSettings()


def column(value: Number) -> NDArray[np.float64]:
    """A setting so that it meets arrays (B, N): (1,) for one number, (B, 1) for one a farm."""
    return np.asarray(value, np.float64)[..., None]


def stacked(settings: Sequence[RuleSettings], farms_each: int = 1) -> RuleSettings:
    """Several settings of single numbers as one of arrays, each for `farms_each` farms in a row."""
    values = {
        field.name: np.repeat([float(getattr(one, field.name)) for one in settings], farms_each)
        for field in fields(RuleSettings)
    }
    return RuleSettings(**values)


def ranges(names: Iterable[str]) -> NDArray[np.float64]:
    """Lowest and highest value of each named setting, (N, 2)."""
    described = {field.name: field.metadata for field in fields(RuleSettings)}
    return np.array([[described[name]["low"], described[name]["high"]] for name in names])


def load_settings(path: str | Path) -> RuleSettings:
    """Read a settings file. Raises `ConfigurationError` with what is unknown, no number or out of its range."""
    return settings_from(read_yaml(path), str(path))


def settings_for(
    site: Site, lettuce_eur_per_kg: float = Values().lettuce_eur_per_kg, market: bool = False
) -> RuleSettings:
    """What was tuned for a site of this name, else for the reference site, at about this price of lettuce.

    `config/rules/<name>.yaml` is for the yardstick's price, `<name>-<price>.yaml` for others; between two prices each
    setting is interpolated over the price's logarithm, beyond them the nearest stands. With `market`, for a farm that
    pays the day-ahead market's prices, `<name>-market` stands for `<name>` where there is such a file.
    Raises `ConfigurationError` when a file is at fault.
    """
    names = [site.name, REFERENCE]
    if market:
        names = [f"{site.name}-market", site.name, f"{REFERENCE}-market", REFERENCE]
    for name in names:
        try:
            usual = share("config", "rules", f"{name}.yaml")
        except ConfigurationError:
            continue
        files = {Values().lettuce_eur_per_kg: usual}
        for path in usual.parent.glob(f"{name}-*.yaml"):
            price = path.stem.removeprefix(f"{name}-")
            if price.replace(".", "", 1).isdigit():
                files[float(price)] = path
        return _at_price({price: load_settings(path) for price, path in files.items()}, lettuce_eur_per_kg)
    return DEFAULTS


def _at_price(tuned: Mapping[float, RuleSettings], price: float) -> RuleSettings:
    prices = sorted(tuned)
    values = {
        field.name: [float(getattr(tuned[known], field.name)) for known in prices] for field in fields(RuleSettings)
    }
    at, logs = np.log(max(price, 1e-3)), np.log(prices)
    return RuleSettings(**{name: float(np.interp(at, logs, series)) for name, series in values.items()})


def settings_from(content: Mapping[str, Any], where: str) -> RuleSettings:
    """Settings by name; what is left out is as by default. Raises `ConfigurationError`."""
    known = [field.name for field in fields(RuleSettings)]
    faults = [f"{name}: unknown; there is {', '.join(known)}" for name in content if name not in known]
    for name, value in content.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            faults.append(f"{name}: needs a number, got {value!r}")
    if faults:
        raise ConfigurationError(where, faults)
    try:
        return RuleSettings(**{name: float(value) for name, value in content.items()})
    except ConfigurationError as error:
        raise ConfigurationError(where, error.faults) from error


def save_settings(settings: RuleSettings, path: str | Path, tuned_on: str) -> None:
    """Write settings of single numbers as a file that `load_settings` reads back as equal ones.

    `tuned_on` says in the file's comment what they were tuned on. Only what differs from the defaults is written.
    """
    changed = {
        field.name: float(getattr(settings, field.name))
        for field in fields(RuleSettings)
        if getattr(settings, field.name) != field.default
    }
    comment = "".join(f"# {line}".rstrip() + "\n" for line in tuned_on.splitlines())
    text = f"# SPDX-License-Identifier: Apache-2.0\n{comment}{yaml.safe_dump(changed, sort_keys=False)}"
    write_atomically(Path(path), text.encode())
