# SPDX-License-Identifier: Apache-2.0
"""Who acts, and what is commanded: fallback, overrides, safe programmes, demo models on real sites, state in a bag."""

import dataclasses
import re

import numpy as np
import pytest

from cmkd_ros.contract.actions import ACTION_INDEX, SOURCES
from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.contract.telemetry import CHANNEL_NAMES
from cmkd_ros.policy.decision import MAX_OVERRIDE_S, Decider
from cmkd_ros.policy.interface import Insight
from cmkd_ros.policy.manifest import load_manifest
from cmkd_ros.policy.rules import Rules
from cmkd_ros.policy.student import Student
from cmkd_ros.site import share

SECOND_NS = 10**9
FACTS = {
    "pv_power_kw": 2.0,
    "load_power_kw": 7.0,
    "grid_power_kw": 5.0,
    "battery_power_kw": 0.0,
    "battery_state_of_charge_percent": 60.0,
    "soil_moisture_percent": 60.0,
    "air_temperature_celsius": 21.0,
    "co2_ppm": 700.0,
    "canopy_light_umol_per_m2_s": 150.0,
}
PRICES = 0.25 + 0.1 * np.sin(np.arange(24) / 4.0)


class Constant:
    """A policy with a counter for a state, whose actions a test chooses."""

    def __init__(self, name="mine", actions=(1.0, 50.0, 20.0, 21.0, 10.0), error=None, state_dtype=np.int64):
        self.name, self.actions, self.error, self.state_dtype = name, actions, error, state_dtype

    def reset(self, batch):
        return {"count": np.zeros(batch, np.int64)}

    def decide(self, window, state):
        count = (state["count"] + 1).astype(self.state_dtype)
        state["count"] += 100  # a careless policy changes what it was given
        if self.error:
            raise self.error
        return (
            np.tile(np.asarray(self.actions, np.float64), (window.batch, 1)),
            Insight.unknown(window.batch),
            {"count": count},
        )

    def explain(self, window, actions, state):
        return [f"decision {count}" for count in state["count"]]


@pytest.fixture(scope="module")
def student(site):
    return Student(load_manifest(share("models", "student.json")), site)


@pytest.fixture
def window(window_of, at):
    return window_of(at(14), FACTS, PRICES, FACTS)


def real(site):
    return dataclasses.replace(site, simulated=False)


def test_rules_act_and_explain_themselves(site, window):
    decider = Decider(site, [Rules(site)])
    outcome, state = decider.decide(window, decider.reset(1), "rules")
    expected = Rules(site).decide(window, Rules(site).reset(1))[0]
    assert outcome.acting_policy == "rules" and not outcome.safe_only.any()
    assert np.array_equal(outcome.commands, expected)
    assert (outcome.sources == SOURCES.index("POLICY")).all()
    assert "14 mol/m2" in decider.explain(window, outcome, state)["rules"][0]
    assert np.isnan(outcome.insight.cavitation_probability).all()


def test_the_student_acts_and_in_shadow_only_proposes(site, window, student):
    decider = Decider(site, [Rules(site), student])
    acting, _ = decider.decide(window, decider.reset(1), "student")
    shadow, _ = decider.decide(window, decider.reset(1), "shadow")
    assert (acting.acting_policy, list(acting.proposals)) == ("student", ["student", "rules"])
    assert (shadow.acting_policy, list(shadow.proposals)) == ("rules", ["rules", "student"])
    for name in ("rules", "student"):
        assert np.array_equal(acting.proposals[name], shadow.proposals[name])
    assert np.array_equal(acting.commands, acting.proposals["student"])
    assert np.array_equal(shadow.commands, shadow.proposals["rules"])
    assert not np.array_equal(acting.commands, shadow.commands)
    assert acting.insight.model_sha256 == shadow.insight.model_sha256 == student.manifest.sha256


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (Constant(error=ValueError("lost my mind")), "lost my mind"),
        (Constant(error=KeyError()), "KeyError"),
        (Constant(actions=(np.nan, 0, 0, 20, np.inf)), "no finite value for battery, valve"),
        (Constant(actions=(0, 0, 0)), r"shape \(1, 3\)"),
        (Constant(state_dtype=np.float32), "a bag cannot hold.*count"),
    ],
)
def test_a_policy_that_fails_is_replaced_by_the_rules_with_the_reason_and_keeps_its_state(site, window, broken, why):
    decider = Decider(site, [Rules(site), broken])
    outcome, state = decider.decide(window, decider.reset(1), "mine")
    assert outcome.acting_policy == "rules" and list(outcome.proposals) == ["rules"]
    assert np.array_equal(outcome.commands, outcome.proposals["rules"])
    assert re.search(f"mine failed .*{why}.*rules acts", outcome.reason), outcome.reason
    assert state["mine.count"] == 0


def test_when_the_rules_fail_too_nothing_is_commanded(site, window):
    decider = Decider(site, [Constant("rules", error=ZeroDivisionError("rules too"))])
    outcome, _ = decider.decide(window, decider.reset(1), "rules")
    assert outcome.safe_only.all() and np.isnan(outcome.commands).all() and outcome.acting_policy == ""
    assert (outcome.sources == SOURCES.index("SAFE_PROGRAMME")).all()
    assert "rules too" in outcome.reason and "safe programmes" in outcome.reason


def test_a_student_that_fails_in_shadow_does_not_disturb_the_rules(site, window):
    decider = Decider(site, [Rules(site), Constant("student", error=RuntimeError("no eyes"))])
    outcome, _ = decider.decide(window, decider.reset(1), "shadow")
    assert outcome.acting_policy == "rules" and outcome.failures == {"student": "no eyes"}


def test_rules_failing_in_shadow_never_let_the_student_act(site, window):
    decider = Decider(site, [Constant("rules", error=RuntimeError("x")), Constant("student")])
    outcome, _ = decider.decide(window, decider.reset(1), "shadow")
    assert outcome.acting_policy == "" and outcome.safe_only.all()


def test_commands_and_proposals_stay_within_the_sites_bounds(site, window):
    decider = Decider(site, [Rules(site), Constant(actions=(1e9, -5, 300, 99, -1))])
    outcome, _ = decider.decide(window, decider.reset(1), "mine")
    assert outcome.commands.tolist() == outcome.proposals["mine"].tolist() == [[10.0, 0.0, 100.0, 30.0, 0.0]]


def test_without_any_meter_nobody_acts_although_prices_are_known(site, window_of, at):
    decider = Decider(site, [Rules(site)])
    outcome, _ = decider.decide(window_of(at(14), {}, PRICES), decider.reset(1), "rules")
    assert outcome.safe_only.all() and np.isnan(outcome.commands).all()
    assert "no telemetry" in outcome.reason


def test_a_farm_without_telemetry_does_not_silence_the_others_of_its_batch(site, window, window_of, at):
    from cmkd_ros.fusion.window import stack

    decider = Decider(site, [Rules(site)])
    outcome, _ = decider.decide(stack([window, window_of(at(14), {}, PRICES)]), decider.reset(2), "rules")
    assert outcome.safe_only.tolist() == [False, True]
    assert np.isfinite(outcome.commands[0]).all() and np.isnan(outcome.commands[1]).all()


def test_told_to_be_safe_there_is_no_command(site):
    outcome = Decider(site, [Rules(site)]).safe_only(1, "student", "the clock is not plausible yet")
    assert outcome.safe_only.all() and np.isnan(outcome.commands).all() and "clock" in outcome.reason


def test_a_policy_that_cannot_explain_itself_still_acts(site, window):
    mute = Constant()
    mute.explain = lambda window, actions, state: 1 / 0
    decider = Decider(site, [Rules(site), mute])
    outcome, state = decider.decide(window, decider.reset(1), "mine")
    reasons = decider.explain(window, outcome, state)
    assert outcome.acting_policy == "mine" and "ZeroDivisionError" in reasons["mine"][0] and reasons["rules"]


# --- overrides ---


def test_an_override_holds_until_it_expires_by_itself(site, window):
    decider = Decider(site, [Rules(site)])
    start = int(window.time_ns[0])
    state, expires_ns = decider.override(decider.reset(1), "pump", 42.0, start, 60.0)
    assert expires_ns == start + 60 * SECOND_NS
    for second, override in ((0, True), (55, True), (60, False), (65, False)):
        later = dataclasses.replace(window, time_ns=window.time_ns + second * SECOND_NS)
        outcome, state = decider.decide(later, state, "rules")
        assert (outcome.commands[0, 1] == 42.0) == override
        assert SOURCES[outcome.sources[0, 1]] == ("OVERRIDE" if override else "POLICY")
        assert SOURCES[outcome.sources[0, 0]] == "POLICY"
    assert np.isnan(state["override.values"]).all() and not state["override.expires_ns"].any()


def test_an_override_ends_with_duration_zero_and_holds_where_policies_fail(site, window):
    decider = Decider(site, [Constant("rules", error=RuntimeError("x"))])
    state, _ = decider.override(decider.reset(1), "led", 30.0, int(window.time_ns[0]), 600.0)
    outcome, state = decider.decide(window, state, "rules")
    assert outcome.commands[0, 2] == 30.0 and np.isnan(np.delete(outcome.commands[0], 2)).all()
    state, expires_ns = decider.override(state, "led", 0.0, int(window.time_ns[0]), 0.0)
    outcome, _ = decider.decide(window, state, "rules")
    assert expires_ns == 0 and np.isnan(outcome.commands).all()


@pytest.mark.parametrize(
    ("actuator", "value", "duration_s", "message"),
    [
        ("roof", 1.0, 60.0, "no actuator is called 'roof'"),
        ("battery", 11.0, 60.0, "-10 to 10 kW"),
        ("pump", np.nan, 60.0, "0 to 100 %"),
        ("pump", 50.0, -1.0, "0 ends it"),
        ("pump", 50.0, np.nan, "0 ends it"),
        ("pump", 50.0, MAX_OVERRIDE_S + 1, "0 ends it"),
    ],
)
def test_an_override_that_makes_no_sense_is_refused(site, actuator, value, duration_s, message):
    decider = Decider(site, [Rules(site)])
    with pytest.raises(PolicyError, match=message):
        decider.override(decider.reset(1), actuator, value, 0, duration_s)


# --- modes ---


def test_a_real_site_refuses_a_demo_model_as_the_acting_policy_but_not_in_shadow(site, window, student):
    decider = Decider(real(site), [Rules(site), student])
    with pytest.raises(PolicyError, match=r"marked demo, and site 'demo' is real.*Choose 'rules', or 'shadow'"):
        decider.check_mode("student")
    with pytest.raises(PolicyError, match="marked demo"):
        decider.decide(window, decider.reset(1), "student")
    decider.check_mode("shadow")
    assert decider.decide(window, decider.reset(1), "shadow")[0].acting_policy == "rules"
    Decider(site, [Rules(site), student]).check_mode("student")


def test_unknown_modes_and_names_are_refused(site):
    decider = Decider(site, [Rules(site), Constant()])
    assert decider.modes == ("rules", "mine")
    for mode in ("shadow", "student", ""):
        with pytest.raises(PolicyError, match="there is rules, mine"):
            decider.check_mode(mode)
    for policies in ([Constant()], [Rules(site), Constant("shadow")], [Rules(site), Rules(site)], [Constant("a.b")]):
        with pytest.raises(PolicyError):
            Decider(site, policies)


# --- state ---


def test_a_restored_state_goes_on_to_the_bit(site, window_of, at, student):
    """Through float64 and int64 lists, as msg/NamedArray carries them."""
    decider = Decider(site, [Rules(site), student, Constant()])
    state, mode = decider.reset(1), "shadow"
    state, _ = decider.override(state, "valve", 5.0, at(14), 200.0)

    def window(step):
        facts = FACTS | {"soil_moisture_percent": 57.0 + 0.1 * step, "canopy_light_umol_per_m2_s": 100.0 + step}
        return window_of(at(14) + step * 5 * SECOND_NS, facts, PRICES, FACTS)

    for step in range(20):
        _, state = decider.decide(window(step), state, mode)
    wire = {name: (array.shape, array.dtype.kind, array.ravel().tolist()) for name, array in state.items()}
    assert {kind for _, kind, _ in wire.values()} == {"f", "i"}
    arrays = {
        name: np.array(values, {"f": np.float64, "i": np.int64}[kind]).reshape(shape)
        for name, (shape, kind, values) in wire.items()
    }
    other = Decider(site, [Rules(site), student, Constant()])
    restored = other.restore(arrays | {"history.sums": np.zeros(3)}, 1)
    for step in range(20, 50):
        outcome, state = decider.decide(window(step), state, mode)
        again, restored = other.decide(window(step), restored, mode)
        assert outcome.commands.tobytes() == again.commands.tobytes()
        assert all(array.tobytes() == restored[name].tobytes() for name, array in state.items())
    assert state["rules.light_sum"][0] > 0 and state["rules.watering"][0] == 1


def test_a_state_of_another_version_is_refused_with_its_differences(site):
    decider = Decider(site, [Rules(site)])
    state = decider.reset(1)
    del state["rules.watering"]
    state["rules.led"] = np.zeros(2)
    with pytest.raises(PolicyError, match=r"rules\.led is float64\(2,\).*rules\.watering is missing"):
        decider.restore(state, 1)


def test_deciding_changes_nothing_that_it_was_given(site, window):
    decider = Decider(site, [Rules(site), Constant()])
    state = decider.reset(1)
    before = {name: array.copy() for name, array in state.items()}
    decider.decide(window, state, "mine")
    assert all(np.array_equal(state[name], array, equal_nan=True) for name, array in before.items())
    assert len(CHANNEL_NAMES) == window.latest.shape[1] and ACTION_INDEX["pump"] == 1
