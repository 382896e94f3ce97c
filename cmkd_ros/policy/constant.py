# SPDX-License-Identifier: Apache-2.0
"""The best that never looks: five fixed actions, fitted on training episodes (`cmkd tune --controller constant`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmkd_ros.contract.actions import ACTION_NAMES, ACTIONS
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.interface import Insight, State
from cmkd_ros.site import Site
from cmkd_ros.site.files import read_yaml, share, write_atomically

# Before anybody fitted it: battery at rest, steady water, light for 14 mol in 20 h, 21 degC, a little CO2.
DEFAULT = (0.0, 60.0, 58.0, 21.0, 10.0)


class Constant:
    """`actions` (5,) for all farms, or (B, 5): one row a farm, so that a fit tries many in one batch."""

    name = "constant"

    def __init__(self, site: Site, actions: ArrayLike = DEFAULT, *, period_s: float = 5.0):
        bounds, rows = site.action_bounds(), np.atleast_2d(np.asarray(actions, np.float64))
        if rows.ndim != 2 or rows.shape[1] != len(ACTIONS) or not np.isfinite(rows).all():
            raise ConfigurationError("constant", [f"needs {len(ACTIONS)} finite actions, got {actions!r}"])
        self.actions = np.clip(rows, bounds[:, 0], bounds[:, 1])
        self.site, self.period_s = site, period_s

    def reset(self, batch: int) -> State:
        """It remembers nothing."""
        return {}

    def decide(self, window: Window, state: State) -> tuple[NDArray[np.float64], Insight, State]:
        """The same actions always, no opinion, no state."""
        actions = np.broadcast_to(self.actions, (window.batch, len(ACTIONS))).copy()
        return actions, Insight.unknown(window.batch), state

    def explain(self, window: Window, actions: NDArray[np.float64], state: State) -> list[str]:
        """One sentence a farm."""
        return ["always " + ", ".join(f"{a.name} {v:g} {a.unit}" for a, v in zip(ACTIONS, row)) for row in actions]


def actions_for(site: Site) -> NDArray[np.float64]:
    """What was fitted for a site of this name (`config/constant/<name>.yaml`), else `DEFAULT`; (5,)."""
    try:
        path = share("config", "constant", f"{site.name}.yaml")
    except ConfigurationError:
        return np.array(DEFAULT)
    return load_actions(path)


def load_actions(path: str | Path) -> NDArray[np.float64]:
    """Five actions (5,) from a file of `name: value`. Raises `ConfigurationError`."""
    content = read_yaml(path)
    faults = [f"{name}: missing" for name in ACTION_NAMES if name not in content]
    faults += [f"{name}: unknown; there is {', '.join(ACTION_NAMES)}" for name in content if name not in ACTION_NAMES]
    faults += [
        f"{name}: needs a number, got {value!r}"
        for name, value in content.items()
        if isinstance(value, bool) or not isinstance(value, int | float)
    ]
    if faults:
        raise ConfigurationError(str(path), faults)
    return np.array([float(content[name]) for name in ACTION_NAMES])


def save_actions(actions: ArrayLike, path: str | Path, tuned_on: str) -> None:
    """Write five actions (5,) as a file that `load_actions` reads back; `tuned_on` becomes its comment."""
    comment = "".join(f"# {line}".rstrip() + "\n" for line in tuned_on.splitlines())
    lines = "".join(f"{name}: {value!r}\n" for name, value in zip(ACTION_NAMES, np.asarray(actions, float).tolist()))
    write_atomically(Path(path), f"# SPDX-License-Identifier: Apache-2.0\n{comment}{lines}".encode())
