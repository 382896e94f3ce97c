# SPDX-License-Identifier: Apache-2.0
"""The controllers by name: who is judged, and who of them may see the future."""

from __future__ import annotations

from collections.abc import Callable

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.foresight import PLANNERS
from cmkd_ros.evaluation.information import TOLD
from cmkd_ros.evaluation.knowing import INFORMED
from cmkd_ros.evaluation.limits import best_plan
from cmkd_ros.policy.constant import Constant, actions_for
from cmkd_ros.policy.interface import Policy
from cmkd_ros.policy.naive import Naive
from cmkd_ros.policy.rules import Rules, settings_for

Factory = Callable[[Batch, float], Policy]

#: These are handed the truth of the batch, and their names say so in every table. Nobody else sees more than windows.
FORESEEING = ("mpc_service", "mpc_perfect", *TOLD, "rules_sky", "rules_pump", "best_plan", "bound")


def make(name: str, batch: Batch, period_s: float) -> Policy:
    """The controller `name` for a batch. Raises `ConfigurationError` for an unknown name."""
    if name not in FACTORIES:
        raise ConfigurationError("controllers", [f"{name!r} is unknown; there is {', '.join(FACTORIES)}"])
    return FACTORIES[name](batch, period_s)


def _rules(batch: Batch, period_s: float) -> Policy:
    lettuce = batch.values.lettuce_eur_per_kg
    return Rules(
        batch.site, settings_for(batch.site, lettuce, batch.market), period_s=period_s, lettuce_eur_per_kg=lettuce
    )


def _naive(batch: Batch, period_s: float) -> Policy:
    return Naive(batch.site, period_s=period_s)


def _constant(batch: Batch, period_s: float) -> Policy:
    return Constant(batch.site, actions_for(batch.site), period_s=period_s)


def _best_plan(batch: Batch, period_s: float) -> Policy:
    """The best of planners and rules, refined: whoever sees less may find the better start."""
    starts = [make(name, batch, period_s) for name in ("mpc_perfect", "mpc", "rules")]
    taped = [best_plan.taped(batch, start, period_s=period_s) for start in starts]
    return best_plan.best_plan(batch, taped, period_s=period_s).policy()


FACTORIES: dict[str, Factory] = {
    "constant": _constant,
    "naive": _naive,
    "rules": _rules,
    **INFORMED,
    **PLANNERS,
    **TOLD,
    "best_plan": _best_plan,
}
