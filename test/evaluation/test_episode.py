# SPDX-License-Identifier: Apache-2.0
"""A judged episode: nobody sees the future, batches do not mix, books close, nonsense is refused."""

import dataclasses

import numpy as np
import pytest

from cmkd_ros.contract.errors import ConfigurationError, PolicyError
from cmkd_ros.evaluation.accounts import grid_kw
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.controllers import FACTORIES, FORESEEING, make
from cmkd_ros.evaluation.episode import PERIOD_S, Recorded, run, warmed
from cmkd_ros.evaluation.scenario import SPLITS, synthetic, world_seed
from cmkd_ros.policy.interface import Insight
from cmkd_ros.policy.objective import objective_eur, terms
from cmkd_ros.policy.rules import Rules
from cmkd_ros.site.market import HOUR_NS

TURN_H = 11  # from here on the other world is another one
DECISIONS = int(TURN_H * 3600 / PERIOD_S)


class Fixed:
    """The same actions for ever."""

    name = "fixed"

    def __init__(self, *actions):
        self.actions = np.array(actions, float)

    def reset(self, batch):
        return {}

    def decide(self, window, state):
        return np.tile(self.actions, (window.batch, 1)), Insight.unknown(window.batch), state

    def explain(self, window, actions, state):
        return ["fixed"] * window.batch


class Cheat(Fixed):
    """Lights follow the sun of three hours ahead, which it takes from the batch."""

    name = "cheat"

    def __init__(self, batch):
        super().__init__(0, 60, 0, 21, 0)
        self.batch = batch

    def decide(self, window, state):
        actions, insight, state = super().decide(window, state)
        step = int((window.time_ns[0] - self.batch.start_ns[0]) // self.batch.step_ns) + 180
        actions[:, 2] = self.batch.weather_at(min(step, self.batch.steps - 1)).irradiance / 20.0
        return actions, insight, state


def turned(batch):
    """The same batch, but from `TURN_H` on in the dark and with other unpublished prices."""
    prices = batch.scenarios[0].prices
    unknown = (batch.start_ns[0] - prices.start_ns) // HOUR_NS + 24  # published at the earliest at 13:00
    later = np.arange(len(prices.import_eur_per_kwh)) >= unknown
    scenarios = [
        dataclasses.replace(
            one,
            prices=dataclasses.replace(
                one.prices, import_eur_per_kwh=one.prices.import_eur_per_kwh + np.where(later, 0.5, 0.0)
            ),
        )
        for one in batch.scenarios
    ]
    other = Batch(scenarios, batch.step_s)
    turn = batch.warm_steps + round(TURN_H * 3600 / batch.step_s)
    dark = [
        dataclasses.replace(w, **dict.fromkeys(("irradiance", "cell_irradiance"), 0.0 * w.irradiance))
        for w in batch.outside[turn:]
    ]
    other.__dict__["outside"] = batch.outside[:turn] + dark
    return other


def before_the_turn(batch, policy_of):
    here, there = (run(world, policy_of(world)).actions[:DECISIONS] for world in (batch, turned(batch)))
    return np.abs(here - there).max()


@pytest.mark.parametrize("name", sorted(set(FACTORIES) - set(FORESEEING)))
def test_a_controller_sees_nothing_of_what_comes_later(batch, name):
    assert before_the_turn(batch, lambda world: make(name, world, PERIOD_S)) == 0.0


def test_a_controller_that_is_handed_the_future_is_found_out(batch):
    assert before_the_turn(batch, Cheat) > 1.0


def test_later_actions_do_depend_on_the_weather(batch, site):
    here, there = (run(world, Rules(site)) for world in (batch, turned(batch)))
    assert np.abs(here.actions[DECISIONS:] - there.actions[DECISIONS:]).max() > 1.0


def test_a_batch_gives_what_its_episodes_give_alone(batch, site):
    together = run(batch, Rules(site))
    for farm, scenario in enumerate(batch.scenarios):
        alone = run(Batch([scenario]), Rules(site))
        # Not to the bit: numpy's exponentials differ by a last digit with an array's length, and rules have thresholds.
        assert alone.objective_eur[0] == pytest.approx(together.objective_eur[farm], rel=1e-4)


def test_what_was_done_can_be_done_again(batch, site):
    first = run(batch, Rules(site))
    again = run(batch, Recorded(first.actions))
    np.testing.assert_allclose(again.objective_eur, first.objective_eur, rtol=1e-12)


def test_an_episode_goes_on_where_another_ended(batch, site):
    """A second run from the first one's end finds its state, its history and no new day of warming up."""
    first = run(batch, Rules(site))
    assert first.final.state.time_ns[0] == batch.start_ns[0] + 18 * HOUR_NS
    assert not np.isnan(first.final.observer.history[0, -1]).all()


def test_books_close(batch, site):
    result = run(batch, Rules(site))
    net = grid_kw(result.record).sum(axis=0) * batch.step_s / 3600.0
    np.testing.assert_allclose(result.account.import_kwh - result.account.export_kwh, net, rtol=1e-9)
    state, begin = result.final.state, warmed(batch).state
    np.testing.assert_allclose(result.account.import_kwh, state.import_kwh - begin.import_kwh, rtol=1e-9)
    np.testing.assert_allclose(result.account.peak_kw, state.peak_kw, rtol=1e-9)


def test_who_leaves_an_empty_battery_has_not_won(batch):
    """Giving away the stored energy looks good in the bill, and no more once what is missing is paid for."""
    keeps, drains = (run(batch, Fixed(kw, 60, 40, 21, 0)) for kw in (0.0, -2.0))
    assert (drains.account.stored_kwh < keeps.account.stored_kwh - 5.0).all()
    bill_keeps, bill_drains = (r.objective_eur - r.terms["stored"] for r in (keeps, drains))
    assert (bill_drains < bill_keeps - 1.0).all()  # without the term it would have won
    gain = bill_keeps - bill_drains
    settled = drains.terms["stored"] - keeps.terms["stored"]
    assert (settled > 0.6 * gain).all()


def test_stored_value_has_a_price_for_each_store(batch):
    result = run(batch, Fixed(0, 60, 40, 21, 0))
    values = batch.values
    base = result.account
    for name, worth in (
        ("stored_kwh", base.mean_price * np.sqrt(batch.site.battery.round_trip_efficiency)),
        ("reserve_kg", values.lettuce_eur_per_kg * 0.74 * 0.8 * 30.4),
        ("water_m3", values.water_eur_per_m3),
        ("room_kwh", -base.mean_price / 3.0),
    ):
        more = dataclasses.replace(base, **{name: getattr(base, name) + 1.0})
        gained = terms(base, batch.site, values)["stored"] - terms(more, batch.site, values)["stored"]
        np.testing.assert_allclose(gained, worth, rtol=1e-9, err_msg=name)


def test_the_objective_is_the_sum_of_its_terms(batch, site):
    result = run(batch, Rules(site))
    row = result.rows()[1]
    parts = [value for key, value in row.items() if key.endswith("_eur") and key[:-4] in result.terms]
    assert len(parts) == 9
    assert row["objective_eur"] == pytest.approx(sum(parts))
    assert row["objective_eur"] == pytest.approx(objective_eur(result.terms)[1])


def test_nonsense_is_refused(batch):
    with pytest.raises(PolicyError, match="no finite value for led"):
        run(batch, Fixed(0, 60, np.nan, 21, 0))


def test_the_night_is_dark_and_the_room_no_desert_whoever_decides(batch):
    result = run(batch, Fixed(0, 60, 100, 30, 100))
    dark = int(4 * 3600 / batch.step_s)
    assert (result.record["led_kw"][:dark] == 0.0).all() and (result.record["led_kw"][dark + 5 :] > 0.0).any()
    assert result.actions[:, :, 3].max() <= 26.0
    assert result.interventions.min() > 40


def test_splits_share_no_seed():
    assert len({world_seed(split, seed) for split in SPLITS for seed in (0, 1, 999_999)}) == 9
    with pytest.raises(ConfigurationError, match="seed"):
        world_seed("train", 1_000_000)


def test_scenarios_of_one_batch_belong_together(site):
    one, other = (synthetic(site, "demo", "winter", "train", 1, hours=hours) for hours in (6.0, 7.0))
    with pytest.raises(ConfigurationError, match="share"):
        Batch([one, other])
