# SPDX-License-Identifier: Apache-2.0
"""Policies around policies: one that gives some actuators to another, and one that names whoever is at fault.

What a gain is owed to is asked of the farm, not of the books: a battery that is used otherwise changes the demand peak,
the price of each kilowatt-hour and its own wear at once, and no term of the cost belongs to one actuator. So the farm
runs again with one actuator at a time in other hands, both policies deciding on what then happens.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_INDEX, ACTION_NAMES
from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.interface import Insight, Policy, State

#: What a gain is split by, and which actuators it means. Water is a cause of its own, so that the parts make the whole.
CAUSES = {"battery": ("battery",), "LED": ("led",), "HVAC": ("hvac",), "CO2": ("valve",), "pump": ("pump",)}


class Mixed:
    """Some actuators by `policy`, the others by `base`. Each has its own memory and believes that it alone decides."""

    def __init__(self, base: Policy, policy: Policy, actuators: Sequence[Iterable[str]]):
        """`actuators`: those of `policy`, for each of the B farms. Raises `PolicyError` for an unknown one."""
        self.base, self.policy, self.name = base, policy, policy.name
        unknown = {name for names in actuators for name in names} - set(ACTION_INDEX)
        if unknown:
            raise PolicyError(f"no actuator is called {min(unknown)!r}; there is {', '.join(ACTION_NAMES)}")
        self._taken = np.array([[name in set(names) for name in ACTION_NAMES] for names in actuators])  # (B, 5)

    def reset(self, batch: int) -> State:
        """Both states, under `base.` and `policy.`."""
        return _joined(self.base.reset(batch), self.policy.reset(batch))

    def decide(self, window: Window, state: State) -> tuple[NDArray[np.float64], Insight, State]:
        """Both decide; actions are taken one by one."""
        low, _, base = self.base.decide(window, _part(state, "base."))
        high, insight, policy = self.policy.decide(window, _part(state, "policy."))
        return np.where(self._taken, high, low), insight, _joined(base, policy)

    def explain(self, window: Window, actions: NDArray[np.float64], state: State) -> list[str]:
        """Who did what."""
        names = [", ".join(name for name, is_taken in zip(ACTION_NAMES, row) if is_taken) for row in self._taken]
        return [f"{taken} by {self.policy.name}, the rest by {self.base.name}" for taken in names]


class Checked:
    """Anybody's policy: what it raises, and what is no decision, becomes a `PolicyError` that says who, when and what.

    A live farm goes on under its rules when a policy fails; a judged one must not, for the figures would be the rules'.
    """

    def __init__(self, policy: Policy, origin: str = ""):
        self.policy, self.name, self._origin = policy, policy.name, origin

    def reset(self, batch: int) -> State:
        """The policy's own."""
        try:
            return self.policy.reset(batch)
        except Exception as error:
            raise PolicyError(f"{self._who()}: reset({batch}) failed: {_said(error)}") from error

    def decide(self, window: Window, state: State) -> tuple[NDArray[np.float64], Insight, State]:
        """The policy's own; raises `PolicyError` when it is none."""
        own = {key: array.copy() for key, array in state.items()}
        try:
            actions, insight, after = self.policy.decide(window, own)
            actions = np.array(actions, np.float64)
        except Exception as error:
            raise PolicyError(f"{self._who(window)}: decide failed: {_said(error)}") from error
        if actions.shape != (window.batch, len(ACTION_NAMES)):
            wanted = (window.batch, len(ACTION_NAMES))
            raise PolicyError(f"{self._who(window)}: actions have the shape {actions.shape}, not {wanted}")
        if not np.isfinite(actions).all():
            wrong = [ACTION_NAMES[index] for index in np.flatnonzero(~np.isfinite(actions).all(axis=0))]
            raise PolicyError(f"{self._who(window)}: no finite value for {', '.join(wrong)}")
        if not isinstance(after, dict):
            raise PolicyError(f"{self._who(window)}: its next state is no dict of arrays, but a {type(after).__name__}")
        for key, array in after.items():
            kept = np.asarray(array)
            if kept.dtype not in (np.float64, np.int64) or kept.shape[:1] != (window.batch,):
                raise PolicyError(
                    f"{self._who(window)}: state {key!r} is {kept.dtype}{kept.shape}; it must be float64 or int64 with "
                    f"{window.batch} rows, so that a bag can hold it"
                )
        return actions, insight, after

    def explain(self, window: Window, actions: NDArray[np.float64], state: State) -> list[str]:
        """The policy's own."""
        return self.policy.explain(window, actions, state)

    def _who(self, window: Window | None = None) -> str:
        who = f"policy {self.name!r}" + (f" ({self._origin})" if self._origin else "")
        if window is None:
            return who
        when = datetime.datetime.fromtimestamp(int(window.time_ns[0]) / NANOSECONDS, datetime.UTC)
        return f"{who} at {when:%Y-%m-%d %H:%M} UTC"


def _said(error: Exception) -> str:
    if isinstance(error, PolicyError):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" (line {trace.tb_lineno} of {trace.tb_frame.f_code.co_name})" if trace is not None else ""
    return f"{type(error).__name__}: {error}{where}"


def _joined(base: State, policy: State) -> State:
    return {f"base.{key}": array for key, array in base.items()} | {
        f"policy.{key}": array for key, array in policy.items()
    }


def _part(state: State, prefix: str) -> State:
    return {key.removeprefix(prefix): array for key, array in state.items() if key.startswith(prefix)}
