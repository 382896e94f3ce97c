# SPDX-License-Identifier: Apache-2.0
"""The sections of a site file. Every field has a description, a unit and a range; building one checks them all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.quantities import check, quantity


class Section:
    """A part of the site file that checks its own ranges."""

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Location(Section):
    """Where the farm stands. Stamps are UTC; photoperiod and tariff hours are local time."""

    latitude_deg: float = quantity(description="north positive", unit="deg", low=-90, high=90)
    longitude_deg: float = quantity(description="east positive", unit="deg", low=-180, high=180)
    timezone: str = quantity(description="IANA name, such as Europe/Amsterdam")
    altitude_m: float = quantity(0.0, description="above sea level", unit="m", low=-430, high=6000)

    def __post_init__(self) -> None:
        check(self)
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ConfigurationError(
                "Location", [f"timezone {self.timezone!r} is unknown; use an IANA name such as Europe/Amsterdam"]
            ) from None


@dataclass(frozen=True, kw_only=True)
class Photovoltaics(Section):
    """The solar array."""

    peak_power_kw: float = quantity(30.0, description="power at standard test conditions", unit="kW", low=0, high=1e5)
    tilt_deg: float = quantity(15.0, description="0 flat, 90 vertical", unit="deg", low=0, high=90)
    azimuth_deg: float = quantity(
        180.0, description="clockwise from north; 180 faces south", unit="deg", low=0, high=360
    )


@dataclass(frozen=True, kw_only=True)
class Battery(Section):
    """The battery and what may be done to it."""

    power_kw: float = quantity(10.0, description="largest charge and discharge", unit="kW", low=0, high=1e5)
    capacity_kwh: float = quantity(25.0, description="usable energy at 100 %", unit="kWh", low=0.1, high=1e6)
    min_state_of_charge_percent: float = quantity(10.0, description="no discharge below", unit="%", low=0, high=100)
    max_state_of_charge_percent: float = quantity(95.0, description="no charge above", unit="%", low=0, high=100)
    round_trip_efficiency: float = quantity(0.92, description="energy out / energy in", low=0.3, high=1)
    max_temperature_celsius: float = quantity(45.0, description="no power above", unit="degC", low=20, high=80)
    ramp_kw_per_s: float = quantity(2.0, description="fastest change away from 0", unit="kW/s", low=0.001, high=1e4)


@dataclass(frozen=True, kw_only=True)
class Grid(Section):
    """The grid connection and the inverter in front of it."""

    import_limit_kw: float = quantity(25.0, description="contracted import", unit="kW", low=0, high=1e5)
    export_limit_kw: float = quantity(18.0, description="export cap", unit="kW", low=0, high=1e5)
    inverter_power_kw: float = quantity(
        30.0, description="|pv - battery charge| through the shared inverter", unit="kW", low=0.1, high=1e5
    )
    ramp_limit_percent_per_min: float = quantity(
        0.0, description="fastest change at the connection, of its import limit; 0: none", unit="%/min", low=0, high=1e3
    )
    outages_per_year: float = quantity(0.0, description="of the simulated grid", low=0, high=1e4)


@dataclass(frozen=True, kw_only=True)
class Pump(Section):
    """The irrigation pump. It waters the crop, and dies of dry running, cavitation and too many starts."""

    rated_power_kw: float = quantity(0.75, description="electrical power at full speed", unit="kW", low=0.01, high=1e3)
    min_speed_percent: float = quantity(
        30.0, description="slowest running speed; below it, it is off", unit="%", low=0, high=100
    )
    max_speed_percent: float = quantity(100.0, description="fastest speed", unit="%", low=1, high=100)
    max_speed_unmetered_percent: float = quantity(
        90.0, description="fastest speed where neither flow nor pressure is metered", unit="%", low=1, high=100
    )
    ramp_percent_per_s: float = quantity(10.0, description="fastest speed-up", unit="%/s", low=0.01, high=1000)
    min_on_s: float = quantity(20.0, description="shortest run", unit="s", low=0, high=3600)
    min_off_s: float = quantity(30.0, description="shortest pause", unit="s", low=0, high=3600)
    max_starts_per_hour: int = quantity(20, description="starts in any hour", low=1, high=1000)
    dry_run_power_fraction: float = quantity(
        0.5, description="dry when power falls below this share of rated power x speed cubed", low=0, high=1
    )
    dry_run_delay_s: float = quantity(
        5.0, description="how long before the dry-run limit trips", unit="s", low=0, high=300
    )
    dry_run_lockout_s: float = quantity(300.0, description="pause after a dry-run trip", unit="s", low=0, high=86400)
    min_flow_m3_per_h: float = quantity(
        0.2, description="dry below, where flow is metered", unit="m3/h", low=0, high=1e4
    )
    min_suction_pressure_bar: float = quantity(
        -0.4, description="cavitation interlock, where suction pressure is metered", unit="bar", low=-1, high=100
    )
    irrigation_on_s: float = quantity(
        60.0, description="minimum irrigation: running time ...", unit="s", low=0, high=3600
    )
    irrigation_every_s: float = quantity(1800.0, description="... at least this often", unit="s", low=60, high=86400)
    irrigation_speed_percent: float = quantity(60.0, description="... at this speed or more", unit="%", low=0, high=100)


@dataclass(frozen=True, kw_only=True)
class Led(Section):
    """The grow lights."""

    power_kw: float = quantity(12.0, description="electrical power at 100 %", unit="kW", low=0.01, high=1e5)
    efficacy_umol_per_j: float = quantity(
        2.8, description="photons per electrical energy", unit="umol/J", low=0.5, high=5
    )
    canopy_area_m2: float = quantity(100.0, description="lit growing area", unit="m2", low=0.1, high=1e6)
    light_sum_target_mol_per_m2: float = quantity(
        14.0, description="daily light integral", unit="mol/m2", low=0, high=60
    )
    ramp_percent_per_s: float = quantity(20.0, description="fastest brightening", unit="%/s", low=0.01, high=1000)
    min_dark_h: float = quantity(4.0, description="dark hours a day", unit="h", low=0, high=24)


@dataclass(frozen=True, kw_only=True)
class Greenhouse(Section):
    """The growing room: closed and insulated, or a greenhouse that the sun shines into. Only the simulation reads it.

    A daylit one of glass: `{daylit_transmission: 0.65, loss_w_per_m2_k: 4.5, leakage_per_h: 0.5, vent_per_h: 20}`.
    """

    daylit_transmission: float = quantity(
        0.0, description="share of the sunlight that reaches the canopy; 0: a closed room", low=0, high=1
    )
    loss_w_per_m2_k: float = quantity(
        1.0, description="heat lost through walls and roof, per canopy area", unit="W/m2/K", low=0.01, high=20
    )
    room_height_m: float = quantity(4.0, description="air volume per canopy area", unit="m", low=0.5, high=20)
    leakage_per_h: float = quantity(0.1, description="air changes with everything shut", unit="1/h", low=0, high=10)
    vent_per_h: float = quantity(2.0, description="air changes with vents wide open", unit="1/h", low=0, high=60)


@dataclass(frozen=True, kw_only=True)
class Hvac(Section):
    """The heat pump and the climate it keeps."""

    power_kw: float = quantity(4.5, description="electrical power at full load", unit="kW", low=0.01, high=1e5)
    min_on_s: float = quantity(300.0, description="shortest compressor run", unit="s", low=0, high=7200)
    min_off_s: float = quantity(300.0, description="shortest compressor pause", unit="s", low=0, high=7200)
    max_starts_per_hour: int = quantity(6, description="compressor starts in any hour", low=1, high=60)
    ramp_celsius_per_s: float = quantity(
        0.1, description="fastest setpoint move away from the safe one", unit="degC/s", low=0.001, high=10
    )
    hot_temperature_celsius: float = quantity(
        32.0, description="too hot: CO2 closed, LEDs capped", unit="degC", low=20, high=60
    )
    hot_led_percent: float = quantity(30.0, description="the LEDs' cap then", unit="%", low=0, high=100)


@dataclass(frozen=True, kw_only=True)
class Co2(Section):
    """The CO2 valve from the exhaust to the growing room, where people work."""

    max_ppm: float = quantity(1500.0, description="valve closed above", unit="ppm", low=400, high=5000)
    alarm_ppm: float = quantity(
        5000.0, description="danger to people: LEDs capped too", unit="ppm", low=1000, high=40000
    )
    target_ppm: float = quantity(900.0, description="enrichment target in light", unit="ppm", low=300, high=2000)
    ramp_percent_per_s: float = quantity(5.0, description="fastest opening", unit="%/s", low=0.01, high=1000)


@dataclass(frozen=True, kw_only=True)
class SafeProgramme(Section):
    """What the actuators do when nobody decides. Needs no telemetry: battery 0 kW, valve closed, and these."""

    hvac_setpoint_celsius: float = quantity(20.0, description="held by the heat pump", unit="degC", low=15, high=30)
    led_on_hour: float = quantity(8.0, description="lights on, local time of day", unit="h", low=0, high=24)
    led_off_hour: float = quantity(22.0, description="lights off, local time of day", unit="h", low=0, high=24)
    led_intensity_percent: float = quantity(60.0, description="between the two", unit="%", low=0, high=100)
    pump_speed_percent: float = quantity(70.0, description="speed while irrigating", unit="%", low=0, high=100)
    pump_on_s: float = quantity(120.0, description="irrigation ...", unit="s", low=0, high=3600)
    pump_every_s: float = quantity(1200.0, description="... once in this long", unit="s", low=60, high=86400)


@dataclass(frozen=True, kw_only=True)
class Tariff(Section):
    """Prices, where no day-ahead file gives them. Hours are local time."""

    day_ahead: bool = quantity(
        False, description="imports cost the day-ahead market's price, which a price file gives; rules take to it"
    )
    import_price_eur_per_kwh: float = quantity(0.24, description="outside the peak", unit="EUR/kWh", low=-5, high=10)
    peak_price_eur_per_kwh: float = quantity(0.36, description="in peak hours", unit="EUR/kWh", low=-5, high=10)
    peak_hours: list[int] = quantity([7, 8, 9, 17, 18, 19, 20], description="local hours at the peak price, 0..23")
    feed_in_price_eur_per_kwh: float = quantity(0.07, description="revenue of export", unit="EUR/kWh", low=-5, high=10)
    demand_charge_eur_per_kw_month: float = quantity(
        10.0, description="on the month's highest 15 min", unit="EUR/kW", low=0, high=100
    )
    grid_carbon_kg_per_kwh: float = quantity(
        0.3, description="carbon intensity of the grid", unit="kg/kWh", low=0, high=3
    )

    def __post_init__(self) -> None:
        check(self)
        wrong = [hour for hour in self.peak_hours if not (isinstance(hour, int) and 0 <= hour <= 23)]
        if wrong:
            raise ConfigurationError("Tariff", [f"peak_hours holds {wrong}; hours are whole numbers from 0 to 23"])


@dataclass(frozen=True, kw_only=True)
class Bus(Section):
    """One Modbus bus. A serial bus has one master: the gateway."""

    name: str = quantity(description="what devices call it")
    transport: str = quantity("tcp", description="how", choices=("tcp", "rtu"))
    host: str = quantity("127.0.0.1", description="of a tcp bus")
    port: int = quantity(502, description="of a tcp bus", low=1, high=65535)
    device: str = quantity("", description="serial device of an rtu bus, such as /dev/ttyUSB0")
    baud_rate: int = quantity(19200, description="of an rtu bus", unit="baud", low=300, high=4_000_000)
    parity: str = quantity("E", description="of an rtu bus (the standard says even)", choices=("N", "E", "O"))
    timeout_s: float = quantity(0.5, description="how long to wait for an answer", unit="s", low=0.01, high=30)
    retries: int = quantity(1, description="further tries of a request", low=0, high=10)


@dataclass(frozen=True, kw_only=True)
class Device(Section):
    """One Modbus device: a register map, and which registers are which meter or setpoint of this farm.

    `telemetry` and `setpoints` map a channel or actuator to a register's name, or to {register, scale, offset} with
    farm value = scale x register value + offset (a scale of -1 turns a sign round).
    """

    name: str = quantity(description="in diagnostics")
    bus: str = quantity(description="name of its bus")
    unit_id: int = quantity(1, description="Modbus unit", low=0, high=247)
    map: str = quantity(description="register map: a name in config/registers, or a path")
    telemetry: dict[str, Any] = quantity({}, description="channel: register")
    setpoints: dict[str, Any] = quantity({}, description="actuator: writable register")
    heartbeat: str = quantity("", description="register counted up after each completed safety step; empty: none")


@dataclass(frozen=True, kw_only=True)
class Meter(Section):
    """A meter that this farm has. One that is listed and stale makes its interlock safe; one not listed has none."""

    max_age_s: float = quantity(10.0, description="older readings do not count", unit="s", low=0.1, high=86400)


@dataclass(frozen=True, kw_only=True)
class Modbus(Section):
    """The buses and devices. Nothing is written until `write` is true."""

    write: bool = quantity(False, description="false: the gateway only reads")
    buses: tuple[Bus, ...] = field(default=(), metadata={"description": "the buses"})
    devices: tuple[Device, ...] = field(default=(), metadata={"description": "the devices on them"})


@dataclass(frozen=True, kw_only=True)
class Sensors(Section):
    """Where sky and sound come from. Empty: none, or another ROS node (camera_ros, usb_cam) publishes it."""

    camera: str = quantity("", description="device (0, /dev/video0), file, rtsp:// or http:// URL, or sim://HOST:PORT")
    microphone: str = quantity("", description="device name or number, file, or sim://HOST:PORT")
