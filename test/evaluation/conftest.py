# SPDX-License-Identifier: Apache-2.0
"""Two short episodes on the reference site, made once."""

from pathlib import Path

import pytest

from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.episode import warmed
from cmkd_ros.evaluation.scenario import synthetic
from cmkd_ros.site import load_site

SITES = Path(__file__).parents[2] / "config/sites"


@pytest.fixture(scope="session")
def site():
    return load_site(SITES / "demo.yaml")


@pytest.fixture(scope="session")
def batch(site):
    """Two winter and spring farms for 18 h, from local midnight on."""
    made = Batch([synthetic(site, "demo", season, "train", 7, hours=18.0) for season in ("winter", "spring")])
    warmed(made)
    return made
