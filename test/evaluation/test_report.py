# SPDX-License-Identifier: Apache-2.0
"""From rows to what is said and drawn of them."""

import re

import pytest

from cmkd_ros.evaluation.show.sentences import headline, regret_sentence
from cmkd_ros.evaluation.studies.summary import ALL, BOUND, summarise
from cmkd_ros.site import load_site

WORLD = {
    "version": "1",
    "decision_period_s": 300.0,
    "physics_step_s": 60.0,
    "hours": [72.0],
    "split": ["test"],
    "seeds": [0, 5],
    "settings": "s",
    "options": {"site.name": "<b>"},
    "code": "abc",
    "sites": {"reference": "f1"},
    "software": {"numpy": "2"},
    "command": "cmkd evaluate",
}


def without(rows, *controllers):
    return [row for row in rows if row["controller"] not in controllers]


def line(summary, controller, season=ALL):
    return next(one for one in summary.of("reference", season) if one.controller == controller)


def parted(rows, controller="rules", base="naive"):
    """Counterfactual rows in which battery and LED each win half of the gain, and nothing else wins any."""
    from cmkd_ros.evaluation.counterfactual import CAUSES

    every = [name for names in CAUSES.values() for name in names]
    found = []
    for row in rows:
        if row["controller"] != controller or row["lettuce_eur_per_kg"] != 2.0:
            continue
        world = {key: row[key] for key in ("site", "season", "seed", "lettuce_eur_per_kg")}
        nobody = next(
            one for one in rows if one["controller"] == base and all(one[key] == world[key] for key in world)
        )["objective_eur"]
        gain = nobody - row["objective_eur"]
        for names in CAUSES.values():
            for actuators in (names, tuple(name for name in every if name not in names)):
                won = 0.5 * (("battery" in actuators) + ("led" in actuators)) * gain
                found.append({**row, "base": base, "actuators": list(actuators), "objective_eur": nobody - won})
    return found


def test_shares_fit_the_rows(rows):
    summary = summarise(rows, price=2.0)
    mpc = line(summary, "mpc")
    assert mpc.n == 10 and 0.4 < mpc.regret["sums"].value < 0.8
    assert line(summary, "best_plan").room.value == 1.0 and line(summary, "rules").regret["sums"].value == 0.0
    own = [row for row in rows if row["lettuce_eur_per_kg"] == 2.0]
    total = {
        name: sum(row["objective_eur"] for row in own if row["controller"] == name)
        for name in ("naive", "rules", "mpc", "best_plan")
    }
    expected = (total["rules"] - total["mpc"]) / (total["rules"] - total["best_plan"])
    assert mpc.regret["sums"].value == pytest.approx(expected)
    assert summary.notes == []


def test_equal_yield_is_that_of_naive_rules_on_each_front(rows):
    winter = line(summarise(rows, price=2.0), "rules", "winter")
    assert winter.equal_yield_kg == pytest.approx(line(summarise(rows, price=2.0), "naive", "winter").equal_yield_kg)
    assert winter.equal_yield["import_kwh"].value is None, "the front begins above, and is not drawn out"
    wider = [{**row, "yield_kg": row["yield_kg"] - (2.0 if row["controller"] == "rules" else 0.0)} for row in rows]
    assert line(summarise(wider, price=2.0), "rules", "winter").equal_yield["import_kwh"].value > 0


def test_causes_come_from_counterfactual_rows(rows):
    found = summarise([*rows, *parted(rows)], price=2.0).causes[0]
    shares = {name: share.value for name, share in found.shares.items()}
    assert shares == pytest.approx(
        {"battery": 0.5, "LED": 0.5, "HVAC": 0, "CO2": 0, "pump": 0, "together": 0}, abs=1e-9
    )
    unfinished = [row for row in parted(rows) if row["actuators"] != ["led"]]
    assert summarise([*rows, *unfinished], price=2.0).causes == []


def test_what_is_missing_is_said(rows):
    notes = summarise(without(rows, "best_plan"), price=2.0).notes
    assert notes == ["O (best_plan) was not run, so regret closed and shares are missing"]
    old = [{**row, "code": "old" if row["seed"] else "new"} for row in rows]
    assert "2 states of the code" in summarise(old, price=2.0).notes[0]


def test_the_headline_is_of_who_sees_no_future(rows):
    assert re.match(r"mpc uses \d\d % of what foresight", headline(summarise(rows, price=2.0)))
    knowing = [
        {**row, "controller": "mpc_perfect", "objective_eur": row["objective_eur"] - 1.0}
        for row in rows
        if row["controller"] == "mpc"
    ]
    assert headline(summarise([*rows, *knowing], price=2.0)).startswith("mpc uses")
    assert headline(summarise(without(rows, "mpc", "best_plan"), price=2.0)).startswith("rules does best of 2")


def test_the_bound_has_an_objective_and_no_more(rows):
    keep = ("controller", "site", "season", "seed", "lettuce_eur_per_kg", "objective_eur", "key", "code")
    own = [row for row in rows if row["controller"] == "best_plan" and row["lettuce_eur_per_kg"] == 2.0]
    bound = [
        {key: (row[key] if key in keep else None) for key in row}
        | {"controller": BOUND, "objective_eur": row["objective_eur"] - 5.0}
        for row in own
    ]
    summary = summarise([*rows, *bound], price=2.0)
    found = line(summary, BOUND)
    assert found.medians["import_kwh"].value is None and found.regret["sums"].value > 1.0
    assert any("Nobody can close more than" in said for said in regret_sentence(summary, "reference"))


def test_far_off_values_do_not_flatten_the_room(rows):
    pytest.importorskip("matplotlib")
    from cmkd_ros.evaluation.show.figures import regret

    own = [row for row in rows if row["lettuce_eur_per_kg"] == 2.0]
    bound = [
        {**row, "controller": BOUND, "objective_eur": row["objective_eur"] - 500.0}
        for row in own
        if row["controller"] == "best_plan"
    ]
    order = ["naive", "rules", "mpc", "best_plan", BOUND]
    axis = regret(summarise([*own, *bound], price=2.0), "reference", ["winter", ALL], order).axes[0]
    low, high = axis.get_xlim()
    assert -0.7 < low < 0.0 and 1.0 < high <= 2.0
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["mpc"]
    assert any("◀ naive" in text.get_text() for text in axis.texts), "who is far below is told, not left out"


def test_the_report_is_whole_and_the_same_each_time(rows, tmp_path):
    pytest.importorskip("matplotlib")
    from cmkd_ros.evaluation.show.report import write

    rows = [*rows, *parted(rows)]
    pages = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        found = {"rows": rows, "world": WORLD, "failures": [{"where": "x", "what": "y"}]}
        path = write(found, summarise(rows, price=2.0), {"reference": load_site("demo")}, tmp_path / name)
        pages.append(path.read_text())
    assert pages[0] == pages[1], "the same study, the same file"
    alternatives = re.findall(r'alt="([^"]*)"', pages[0])
    assert [text.split(":")[0] for text in alternatives] == [
        "How much of the room above tuned rules is used",
        "What a kilogram costs",
        "Where the money goes",
        "Each cause&#x27;s share of the gain",
    ]
    assert "1 episodes failed" in pages[0] and "&lt;b&gt;" in pages[0] and "<b>" not in pages[0]
