# SPDX-License-Identifier: Apache-2.0
"""Borrowed from the end? Three days under any controller, then three more under the rules from where it left the farm.

What a controller took out of battery, crop, substrate, room or pump comes due in the second half. What of its gain is
still there at the end was earned.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.episode import PERIOD_S, Result, Start, run
from cmkd_ros.policy.interface import Policy
from cmkd_ros.site.market import HOUR_NS

Array = NDArray[np.float64]


def following(batch: Batch) -> Batch:
    """The same farms and weather for as long again, from the end of `batch` on."""
    span_ns = round(batch.hours * HOUR_NS)
    return Batch([dataclasses.replace(one, start_ns=one.start_ns + span_ns) for one in batch.scenarios], batch.step_s)


def handed_over(result: Result, after: Batch) -> Start:
    """The end of `result` as the start of `after`. The episode's peak begins anew, as it does for everybody."""
    observer = result.final.observer.moved(after)
    zero = np.zeros(len(after))
    return Start(dataclasses.replace(result.final.state, peak_kw=zero, quarter_kwh=zero), observer)


def remaining_gain(results: list[Result], reference: Result, policy: Policy) -> list[tuple[Array, Array]]:
    """For each result (gain in EUR over `reference` when it ended, gain after as long again under `policy`), (B,) each.

    The second includes the first. All results are of one batch.
    """
    after = following(reference.batch)
    later = run(after, policy, period_s=PERIOD_S, start=handed_over(reference, after))
    base = reference.objective_eur, reference.objective_eur + later.objective_eur
    gains = []
    for result in results:
        second = run(after, policy, period_s=PERIOD_S, start=handed_over(result, after))
        total = result.objective_eur + second.objective_eur
        gains.append((base[0] - result.objective_eur, base[1] - total))
    return gains
