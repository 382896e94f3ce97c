# SPDX-License-Identifier: Apache-2.0
"""Site files: what is shipped loads, what is wrong is refused with every fault and its place."""

import datetime
from pathlib import Path

import pytest
import yaml

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.site import Site, load_site, save_site, share
from cmkd_ros.site.sections import Location

SHIPPED = sorted((Path(__file__).parents[2] / "config/sites").glob("*.yaml"))


def written(tmp_path, **changes):
    content = yaml.safe_load(share("config", "sites", "demo.yaml").read_text())
    content.update(changes)
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_site_loads(path):
    assert load_site(path).name


def test_only_a_simulated_site_writes_as_shipped():
    for site in map(load_site, SHIPPED):
        assert site.simulated or not site.modbus.write, f"{site.name} would write to real hardware"


def test_all_faults_are_listed_at_once_with_their_places(tmp_path):
    path = written(
        tmp_path,
        battery={"power_kw": -3, "capacity": 4},
        location={"latitude_deg": 91.0, "longitude_deg": 4, "timezone": "Europe/Amsterdam"},
        pump={"ramp_percent_per_s": "fast"},
        colour="green",
    )
    with pytest.raises(ConfigurationError) as caught:
        load_site(path)
    said = str(caught.value)
    for fault in (
        "battery.capacity: unknown",
        "latitude_deg is 91",
        "pump.ramp_percent_per_s: needs a float",
        "colour: unknown",
    ):
        assert fault in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"battery": {"min_state_of_charge_percent": 96}}, "must be below max_state_of_charge"),
        ({"meters": {"pv_powerr_kw": {}}}, "'pv_powerr_kw' is not a telemetry channel"),
        ({"meters": {"pump_flow_m3_per_h": {}}}, "no device reads 'pump_flow_m3_per_h'"),
        ({"modbus": {"devices": [{"name": "a", "bus": "b", "map": "demo_meter"}]}}, "on bus 'b'"),
        ({"safe": {"pump_on_s": 1200, "pump_every_s": 600}}, "shorter than pump_every_s"),
    ],
)
def test_contradictions_are_refused(tmp_path, changes, said):
    with pytest.raises(ConfigurationError, match=said):
        load_site(written(tmp_path, **changes))


def test_a_site_like_another_tells_only_what_differs(tmp_path):
    """Field by field within a section, a list whole, and nothing of the other one's name."""
    demo, small = load_site("demo"), load_site("small")
    assert (small.name, small.battery.power_kw, small.battery.capacity_kwh) == ("small", 5, 10)
    assert small.battery.max_state_of_charge_percent == demo.battery.max_state_of_charge_percent == 95
    assert small.meters == demo.meters and small.modbus == demo.modbus
    save_site(load_site(written(tmp_path, led={"canopy_area_m2": 70})), tmp_path / "mine.yaml")
    (tmp_path / "variant.yaml").write_text("like: mine.yaml\nname: variant\nled: {power_kw: 3}\n")
    variant = load_site(tmp_path / "variant.yaml")
    assert (variant.name, variant.led.power_kw, variant.led.canopy_area_m2) == ("variant", 3, 70)


@pytest.mark.parametrize(
    ("other", "said"),
    [("nobody", r"nobody\.yaml"), ("away.yaml", r"away\.yaml"), ("small", "itself like another"), ("[1]", "not found")],
)
def test_a_site_like_nothing_useful_is_a_clear_error(tmp_path, other, said):
    (tmp_path / "site.yaml").write_text(f"like: {other}\nname: x\n")
    with pytest.raises(ConfigurationError, match=said):
        load_site(tmp_path / "site.yaml")


@pytest.mark.parametrize("name", ["small", "large", "daylit"])
def test_the_sites_of_studies_are_the_demo_farm_to_scale(name):
    """As much pump, light and cooling a square metre, within what their sizes were rounded to."""
    demo, site = load_site("demo"), load_site(name)
    area = site.led.canopy_area_m2 / demo.led.canopy_area_m2
    assert site.pump.rated_power_kw / demo.pump.rated_power_kw == pytest.approx(area, rel=0.02)
    assert site.led.power_kw / demo.led.power_kw == pytest.approx(area, rel=0.02)
    assert site.hvac.power_kw / demo.hvac.power_kw == pytest.approx(area, rel=0.12)
    assert site.grid.import_limit_kw > site.led.power_kw + site.hvac.power_kw + site.pump.rated_power_kw + 0.02 * area
    assert site.action_bounds()[0].tolist() == [-site.battery.power_kw, site.battery.power_kw]


def test_prices_never_come_from_a_register(tmp_path):
    device = {"name": "a", "bus": "b", "map": "m", "telemetry": {"import_price_eur_per_kwh": "price"}}
    modbus = {"buses": [{"name": "b"}], "devices": [device]}
    with pytest.raises(ConfigurationError, match="market node"):
        load_site(written(tmp_path, meters={}, modbus=modbus))


def test_an_actuator_has_one_device(tmp_path):
    devices = [{"name": n, "bus": "b", "map": "m", "setpoints": {"pump": "speed"}} for n in ("one", "two")]
    with pytest.raises(ConfigurationError, match="already written on 'one'"):
        load_site(written(tmp_path, meters={}, modbus={"buses": [{"name": "b"}], "devices": devices}))


def test_an_unknown_time_zone_says_what_to_write():
    with pytest.raises(ConfigurationError, match="IANA name"):
        Location(latitude_deg=0, longitude_deg=0, timezone="Mars/Olympus")


@pytest.mark.parametrize(
    ("utc", "local"),
    [("2026-03-29T00:59", 1), ("2026-03-29T01:00", 3), ("2026-10-25T00:59", 2), ("2026-10-25T01:00", 2)],
)
def test_local_time_on_both_days_of_change(utc, local):
    site = Site(name="t", location=Location(latitude_deg=52, longitude_deg=4, timezone="Europe/Amsterdam"))
    stamp = datetime.datetime.fromisoformat(utc).replace(tzinfo=datetime.UTC).timestamp()
    assert site.local_time(int(stamp * 1e9)).hour == local


def test_the_battery_bounds_are_the_sites(tmp_path):
    site = load_site(written(tmp_path, battery={"power_kw": 50}))
    assert site.action_bounds().tolist() == [[-50, 50], [0, 100], [0, 100], [15, 30], [0, 100]]


def test_the_fingerprint_follows_every_fact(tmp_path):
    assert load_site(written(tmp_path)).sha256() == load_site("demo").sha256()
    assert load_site(written(tmp_path, led={"power_kw": 12.5})).sha256() != load_site("demo").sha256()


def test_a_missing_site_is_a_clear_error():
    with pytest.raises(ConfigurationError, match=r"no_such\.yaml"):
        load_site("no_such")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_saved_site_reads_back_equal(path, tmp_path):
    site = load_site(path)
    save_site(site, tmp_path / "copy.yaml")
    assert load_site(tmp_path / "copy.yaml") == site


def test_a_simulated_farm_moves_to_other_ports_and_a_real_one_does_not(tmp_path):
    moved = load_site("demo").at_port(6000)
    assert [bus.port for bus in moved.modbus.buses] == [6000]
    assert (moved.sensors.camera, moved.sensors.microphone) == ("sim://127.0.0.1:6001", "sim://127.0.0.1:6002")
    with pytest.raises(ConfigurationError, match="only a simulated farm"):
        load_site(written(tmp_path, simulated=False)).at_port(6000)
