# SPDX-License-Identifier: Apache-2.0
"""What the fusion node thinks with: who may act, whose hand is on what, and that a restart forgets none of it."""

import dataclasses

import numpy as np
import pytest

from cmkd_ros.contract.errors import ModelError, PolicyError, SampleError
from cmkd_ros.contract.samples import NANOSECONDS, AudioChunk, Frame, Telemetry
from cmkd_ros.fusion.options import Options
from cmkd_ros.policy import memory
from cmkd_ros.policy.mind import Mind
from cmkd_ros.policy.rules import settings_for
from cmkd_ros.site import load_site

SITE = load_site("demo")
REAL = dataclasses.replace(SITE, simulated=False)
T0 = 1_746_518_400 * NANOSECONDS
METERS = {
    "pv_power_kw": 5.0,
    "load_power_kw": 3.0,
    "battery_state_of_charge_percent": 50.0,
    "air_temperature_celsius": 21.0,
    "relative_humidity_percent": 70.0,
    "co2_ppm": 600.0,
    "soil_moisture_percent": 45.0,
    "canopy_light_umol_per_m2_s": 100.0,
    "import_price_eur_per_kwh": 0.3,
}


STEADY = """
import numpy as np
from cmkd_ros.policy.interface import Insight
class Steady:
    name = "steady"
    def reset(self, batch):
        return {}
    def decide(self, window, state):
        return np.full((window.batch, 5), 20.0), Insight.unknown(window.batch), state
    def explain(self, window, actions, state):
        return ["always the same"] * window.batch
def make_policy(site):
    return Steady()
"""


def feed(mind, begin_s: int, end_s: int):
    """A second of everything for each second from `begin_s` to `end_s`."""
    for second in range(begin_s, end_s):
        stamp_ns = T0 + second * NANOSECONDS
        random = np.random.default_rng(second)
        mind.windower.push_frame(Frame(stamp_ns, random.integers(0, 256, (64, 64, 3), dtype=np.uint8)), stamp_ns)
        mind.windower.push_audio(
            AudioChunk(stamp_ns, random.integers(-99, 99, (16000, 1), dtype=np.int16), 16000), stamp_ns
        )
        values = {name: value + second / 100 for name, value in METERS.items()}
        mind.windower.push_telemetry(Telemetry(stamp_ns, values, dict.fromkeys(values, stamp_ns)), stamp_ns)


def at(second: int) -> int:
    return T0 + second * NANOSECONDS


def mind(site=SITE, policy="rules", **options) -> Mind:
    return Mind(site, Options(), policy, **options)


def test_a_real_site_acts_by_the_rules_and_a_missing_model_is_only_fatal_when_asked_for(tmp_path):
    assert Mind(REAL, Options()).mode == "rules"
    with pytest.raises(ModelError, match="no student"):
        mind(model=str(tmp_path / "nothing.json"))


def test_nobody_decides_while_the_clock_is_implausible():
    thinking = mind()
    feed(thinking, 0, 10)
    decided = thinking.decide(at(10), safe_only="the clock is wrong")
    assert decided.outcome.safe_only[0] and np.isnan(decided.outcome.commands).all()
    assert thinking.reason("pump", "SAFE_PROGRAMME") == "the clock is wrong"
    assert np.isfinite(thinking.decide(at(15)).outcome.commands).all()


def test_an_override_shows_its_reason_and_ends_by_itself():
    thinking = mind()
    feed(thinking, 0, 40)
    assert thinking.set_override("led", 42.0, 12.0, "Eva repairs a lamp", at(10)) == at(22)
    decided = thinking.decide(at(15))
    assert decided.outcome.commands[0, 2] == 42.0
    assert thinking.reason("led", "OVERRIDE") == "Eva repairs a lamp"
    assert thinking.decide(at(25)).outcome.commands[0, 2] != 42.0


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda m: m.set_override("led", 42.0, 10.0, " ", T0), "reason is empty"),
        (lambda m: m.set_override("led", 420.0, 10.0, "me", T0), "100"),
        (lambda m: m.set_override("oven", 42.0, 10.0, "me", T0), "oven"),
        (lambda m: m.set_override("led", 42.0, 10.0, "me", 0), "clock"),
        (lambda m: m.set_policy("chance", "me"), "chance"),
        (lambda m: m.set_policy("rules", ""), "reason is empty"),
    ],
)
def test_what_cannot_be_is_refused_in_words(ask, says):
    with pytest.raises(PolicyError, match=says):
        ask(mind())


def test_a_restart_goes_on_to_the_bit(tmp_path):
    path = tmp_path / "fusion.npz"
    whole, first, second = mind(), mind(), mind()
    for thinking in (whole, first):
        feed(thinking, 0, 100)
        for step in range(5, 101, 5):
            thinking.decide(at(step))
        thinking.set_override("valve", 7.0, 60.0, "Eva", at(100))
    first.save(path)
    assert second.remember(path, at(103), 3600.0) == 3.0
    for thinking in (whole, second):
        feed(thinking, 100, 130)
    for step in range(105, 131, 5):
        expected, found = whole.decide(at(step)), second.decide(at(step))
        np.testing.assert_array_equal(found.outcome.commands, expected.outcome.commands)
        np.testing.assert_array_equal(found.window.history, expected.window.history)
        np.testing.assert_array_equal(found.window.sky, expected.window.sky)
    assert second.reason("valve", "OVERRIDE") == "Eva"


def test_the_mode_of_an_operator_survives_unless_the_farm_is_started_otherwise(tmp_path):
    path = tmp_path / "fusion.npz"
    (tmp_path / "steady.py").write_text(STEADY)
    module = str(tmp_path / "steady.py")
    thinking = mind(policy_module=module)
    thinking.set_policy("steady", "Eva tries something")
    feed(thinking, 0, 6)
    assert thinking.decide(at(5)).outcome.acting_policy == "steady"
    thinking.save(path)
    again, other = mind(policy_module=module), mind(policy="steady", policy_module=module)
    again.remember(path, at(6), 60.0)
    other.remember(path, at(6), 60.0)
    assert (again.mode, other.mode) == ("steady", "steady")
    without = mind()
    without.remember(path, at(6), 60.0)
    assert without.mode == "rules", "the module is gone, so the rules act"


@pytest.mark.parametrize(("now_s", "why"), [(200.0, "too old"), (4.0, "from the future")])
def test_a_memory_that_is_not_of_this_moment_is_left_alone(tmp_path, now_s, why):
    path = tmp_path / "fusion.npz"
    thinking = mind()
    feed(thinking, 0, 6)
    thinking.decide(at(5))
    thinking.save(path)
    assert mind().remember(path, T0 + round(now_s * NANOSECONDS), 100.0) is None, why


def test_no_memory_and_a_broken_one(tmp_path):
    assert mind().remember(tmp_path / "none.npz", T0, 60.0) is None
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04 but not really")
    with pytest.raises(SampleError, match=r"broken\.npz"):
        mind().remember(broken, T0, 60.0)


def test_a_memory_never_runs_code(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(
        path, time_ns=np.array([object()], dtype=object), frames=np.zeros(0), frame_stamps_ns=np.zeros(0), words=[]
    )
    with pytest.raises(SampleError):
        memory.load(path)


def test_a_farm_that_pays_the_markets_price_has_the_rules_for_it():
    market = dataclasses.replace(SITE, tariff=dataclasses.replace(SITE.tariff, day_ahead=True))
    usual, dealing = (Mind(site, Options(), policy="rules").decider for site in (SITE, market))
    assert dealing.policies["rules"].settings == settings_for(market, market=True)
    assert usual.policies["rules"].settings == settings_for(SITE) != dealing.policies["rules"].settings
