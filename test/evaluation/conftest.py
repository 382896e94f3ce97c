# SPDX-License-Identifier: Apache-2.0
"""Two short episodes on the reference site, made once; made-up rows, and work that is quick and odd, for studies."""

import importlib
from pathlib import Path

import numpy as np
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


WORK = '''
import os, pathlib, time
import numpy as np
from cmkd_ros.contract.errors import PolicyError
from cmkd_ros.evaluation.studies.workers import Failure

PLACE = pathlib.Path(__file__).parent


def execute(settings, group):
    """A row for each job; the controller's name says what goes wrong."""
    with (PLACE / "ran.txt").open("a") as file:
        file.write("".join(f"{job.controller} {job.season} {job.seed}\\n" for job in group.jobs))
    rows, failures = [], []
    for job, key in zip(group.jobs, group.keys):
        if job.controller == "slow":
            time.sleep(0.2)
        if job.controller == "dies" and job.seed == 1:
            os._exit(9)
        if job.controller == "raises" and job.seed == 1:
            raise ValueError("nothing fits")
        if job.controller == "picky" and job.seed == 1:
            failures.append(Failure.of(group.name, PolicyError("not this one")))
            continue
        value = float(np.random.default_rng(job.seed).normal() * len(job.controller))
        row = {"controller": job.controller, "season": job.season, "seed": job.seed, "key": key, "x": value}
        rows.append({**row, "code": settings.code})
    return rows, failures


def double(task):
    if task == "dies":
        os._exit(3)
    if task == "threads":
        return os.environ["OMP_NUM_THREADS"]
    return 2 * task
'''


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A module that worker processes can import: `execute` and `double`; `ran()` tells what ran."""
    name = f"work_{abs(hash(str(tmp_path))):x}"
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / f"{name}.py").write_text(WORK)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    module = importlib.import_module(name)
    log = tmp_path / "code" / "ran.txt"
    module.ran = lambda: log.read_text().splitlines() if log.exists() else []
    return module


@pytest.fixture
def rows():
    """Rows as a study gives them: four controllers, two seasons, five seeds, three lettuce prices."""
    return made_rows()


def made_rows(controllers=("naive", "rules", "mpc", "best_plan"), seasons=("winter", "summer"), seeds=range(5)):
    """Rows of farms whose controllers are better from left to right, and whose yield grows with the lettuce's price."""
    found = []
    level = {"naive": 0.0, "constant": 0.1, "rules": 0.6, "mpc": 0.85, "best_plan": 1.0}
    for controller in controllers:
        for season in seasons:
            for seed in seeds:
                for price in (1.0, 2.0, 4.0):
                    random = np.random.default_rng([seed, len(season)])
                    weather = random.normal(0, 4)
                    good = level[controller] + 0.05 * np.random.default_rng([seed, len(controller)]).normal()
                    yield_kg = 60 + (8 * np.log2(price) if controller != "naive" else 0) + 2 * good + 0.3 * weather
                    energy = 62 - 18 * good + 0.9 * (yield_kg - 60) + weather + (10 if season == "winter" else 0)
                    terms = {
                        "energy": energy,
                        "export": -3.0,
                        "demand": 12 - 4 * good,
                        "carbon": 5 - good,
                        "lettuce": -price * yield_kg,
                        "battery_wear": 1 + good,
                        "pump_wear": 0.5,
                        "violations": 0.2,
                        "stored": -0.4 * good,
                    }
                    cost = sum(value for name, value in terms.items() if name != "lettuce")
                    found.append(
                        {
                            "controller": controller,
                            "site": "reference",
                            "season": season,
                            "seed": seed,
                            "split": "test",
                            "hours": 72.0,
                            "lettuce_eur_per_kg": price,
                            "base": "",
                            "actuators": [],
                            "objective_eur": sum(terms.values()),
                            "cost_eur": cost,
                            "front_cost_eur": cost,
                            "import_kwh": 5 * energy,
                            "export_kwh": 40.0,
                            "peak_kw": 12 - 3 * good,
                            "yield_kg": yield_kg,
                            "co2_kg": 1.5 * energy,
                            "violations": 0.5,
                            "interventions": 10,
                            "seconds": 0.2,
                            "key": f"{controller}{season}{seed}{price}",
                            "world": "1",
                            "code": "abc",
                            "start": "2026-02-11T00:00:00+01:00",
                            **{f"{name}_eur": value for name, value in terms.items()},
                            **{f"stored_{name}_eur": -0.1 * good for name in ("charge", "reserves", "water", "warmth")},
                        }
                    )
    return found
