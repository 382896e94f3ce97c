# SPDX-License-Identifier: Apache-2.0
"""On which world a figure was made: its version, and what software ran it."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path

import cmkd_ros
from cmkd_ros.simulation.world import VERSION
from cmkd_ros.site.files import share

#: Figures of different versions are never compared; docs/yardstick.md says what each changed.
WORLD = str(VERSION)

# What makes a figure. Drawing, statistics and the study's own order are no part of it.
_ROOMS = ("contract", "site", "physics", "safety", "fusion", "policy", "simulation", "evaluation")
_APART = {
    *("drawing", "figures", "traces", "report", "sentences", "summary", "statistics", "study", "journal", "workers"),
    *("versions", "preview", "film", "day", "external", "home"),
}
_PACKAGES = ("numpy", "scipy", "highspy", "onnxruntime", "matplotlib")


def fingerprint() -> str:
    """Of the code and settings that make figures; a row with another one may be of other behaviour."""
    root = Path(cmkd_ros.__file__).parent
    files = [path for room in _ROOMS for path in sorted((root / room).rglob("*.py")) if path.stem not in _APART]
    digest = hashlib.sha256()
    for path in [*files, *sorted(share("config").rglob("*.yaml"))]:  # what was tuned counts as code
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def software() -> dict[str, str]:
    """Versions by name, of what is installed."""
    found = {"cmkd_ros": cmkd_ros.__version__, "python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        for distribution in metadata.distributions(name=name):
            found[name] = distribution.version
            break
    return found
