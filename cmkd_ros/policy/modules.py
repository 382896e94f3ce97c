# SPDX-License-Identifier: Apache-2.0
"""Policies from a Python file of your own: `--policy-module FILE`, with `make_policy(site)` inside.

The file runs with the rights of the farm: name only files that you trust.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import cast

import numpy as np

from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.policy.interface import Policy
from cmkd_ros.site import Site

_METHODS = ("reset", "decide", "explain")


def load_policy_module(path: str | Path, site: Site) -> Policy:
    """Run the file and return what its `make_policy(site)` makes; the policy's name is the mode that lets it act.

    Raises `PolicyError` that says what the file lacks.
    """
    path = Path(path)
    if path.suffix != ".py" or not path.is_file():
        raise PolicyError(f"{path}: no such Python file; --policy-module needs a .py file with make_policy(site)")
    name = f"cmkd_policy_module_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader, "a .py file always has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their own module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # anybody's code
        raise PolicyError(f"{path}: cannot be run: {type(error).__name__}: {error}") from error
    make = getattr(module, "make_policy", None)
    if not callable(make):
        raise PolicyError(f"{path}: has no function make_policy(site)")
    try:
        policy = make(site)
    except Exception as error:
        raise PolicyError(f"{path}: make_policy(site) failed: {type(error).__name__}: {error}") from error
    lacking = [method for method in _METHODS if not callable(getattr(policy, method, None))]
    if not isinstance(getattr(policy, "name", None), str):
        lacking.insert(0, "name")
    if lacking:
        raise PolicyError(
            f"{path}: make_policy(site) returned a {type(policy).__name__} without {', '.join(lacking)}; "
            "a policy offers what cmkd_ros/policy/interface.py says"
        )
    try:
        state = policy.reset(2)
        faulty = [key for key, array in state.items() if array.dtype not in (np.float64, np.int64) or len(array) != 2]
    except Exception as error:
        raise PolicyError(f"{path}: reset(2) must return a dict of arrays, but: {error!r}") from error
    if faulty:
        raise PolicyError(
            f"{path}: the state {', '.join(faulty)} must be float64 or int64 with a leading batch axis, so that a bag "
            "can hold it"
        )
    return cast(Policy, policy)
