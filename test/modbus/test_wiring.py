# SPDX-License-Identifier: Apache-2.0
"""A site file that does not fit its register maps is refused with every fault."""

import pytest

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.modbus.fieldbus import Fieldbus
from cmkd_ros.site import sections

BUS = sections.Bus(name="bus")


def faults_of(site_of, **changes) -> list[str]:
    device = sections.Device(**{"name": "d", "bus": "bus", "map": "demo_pump", **changes})
    with pytest.raises(ConfigurationError) as raised:
        Fieldbus(site_of([BUS], [device]))
    return raised.value.faults


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"map": "no_such_map"}, "map 'no_such_map'"),
        ({"telemetry": {"pump_power_kw": "watts"}}, "has no register 'watts'; it has power, level_switch"),
        ({"telemetry": {"pump_power_kw": 5}}, "needs a register's name"),
        ({"telemetry": {"pump_power_kw": {"register": "power", "skale": 2}}}, "'skale' is unknown"),
        ({"telemetry": {"pump_power_kw": {"register": "power", "scale": 0}}}, "scale is 0"),
        ({"telemetry": {"pump_power_kw": {"register": "power", "scale": "x"}}}, "scale is 'x'"),
        ({"telemetry": {"pump_power_kw": "soil_moisture"}}, "is in %, the farm needs kW"),
        ({"telemetry": {"pump_power_kw": {"register": "power", "scale": 1000}}}, "so scale is 1 or -1"),
        ({"map": "example_drive", "telemetry": {"pump_power_kw": "power"}}, "so scale is 0.001 or -0.001"),
        (
            {"map": "example_drive", "setpoints": {"pump": "frequency_setpoint"}},
            "is in Hz, the farm needs %; give a scale",
        ),
        ({"setpoints": {"pump": "heartbeat_timeout"}}, "not in the list of writable registers"),
        ({"setpoints": {"pump": {"register": "speed_setpoint", "scale": 0.5}}}, "so scale is 1"),
        ({"setpoints": {"battery": {"register": "speed_setpoint", "scale": 0.01}}}, "takes 0 to 100 %"),
        ({"heartbeat": "beat"}, "has no register 'beat'"),
        ({"heartbeat": "speed_setpoint"}, "must be a uint16"),
        ({"heartbeat": "heartbeat_timeout"}, "not in the list of writable registers"),
        ({"map": "sunspec_103", "telemetry": {"pv_power_kw": "W"}}, "so scale is 0.001"),
    ],
)
def test_faults_are_named(site_of, changes, fault):
    faults = faults_of(site_of, **changes)
    assert any(fault in text and text.startswith("device 'd'") for text in faults), faults


def test_every_fault_is_listed(site_of):
    faults = faults_of(
        site_of, telemetry={"pump_power_kw": "a", "co2_ppm": "b"}, setpoints={"pump": "power"}, heartbeat="c"
    )
    assert len(faults) == 5, faults  # power is not writable, and is a kW
