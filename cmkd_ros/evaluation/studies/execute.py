# SPDX-License-Identifier: Apache-2.0
"""A group of jobs through the simulator: what a study's worker does."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import time
from pathlib import Path
from typing import Any, cast

import numpy as np

from cmkd_ros.contract.errors import ConfigurationError, EvaluationError
from cmkd_ros.evaluation import controllers, episode, tariffs, weeks
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.evaluation.counterfactual import Checked, Mixed
from cmkd_ros.evaluation.information import TOLD
from cmkd_ros.evaluation.limits.bound import relax
from cmkd_ros.evaluation.scenario import synthetic
from cmkd_ros.evaluation.studies.study import Group, Job, Row, Settings, site_name
from cmkd_ros.evaluation.studies.summary import BOUND
from cmkd_ros.evaluation.studies.workers import Failure
from cmkd_ros.policy.interface import Policy
from cmkd_ros.policy.modules import load_policy_module
from cmkd_ros.policy.objective import Values, cost_eur, stored_parts, terms
from cmkd_ros.site import Site, load_site
from cmkd_ros.site.files import build, write_atomically

#: Controllers that think about each farm by itself, and how many farms they take at once: a batch gains them little.
SIZES = {"mpc": 1, "mpc_service": 1, "mpc_perfect": 1, **dict.fromkeys(TOLD, 1), "best_plan": 4, BOUND: 2}
COLUMNS = (  # of a row, besides what it says of its job; None where they do not exist
    *("objective_eur", "cost_eur", "front_cost_eur", "import_kwh", "export_kwh", "peak_kw", "yield_kg", "co2_kg"),
    *("violations", "interventions"),
)
_BOUND_LIMIT_S = 120.0  # of computing, a farm
PRICE_BLIND = ("constant", "naive")  # do the same whatever lettuce is worth: one point, no front


def execute(settings: Settings, group: Group) -> tuple[list[Row], list[Failure]]:
    """Rows of a group, and what failed. A batch that fails is run one by one, so that only the faulty ones are lost."""
    try:
        return _rows(settings, group), []
    except Exception as error:
        if len(group.jobs) == 1:
            return [], [Failure.of(group.name, error)]
    rows: list[Row] = []
    failures: list[Failure] = []
    for job, key in zip(group.jobs, group.keys):
        more, failed = execute(settings, Group((job,), (key,)))
        rows += more
        failures += failed
    return rows, failures


def site_of(settings: Settings, path: str) -> Site:
    """The site file with the `site.*` options applied. Raises `ConfigurationError`."""
    return _site(path, _changes(settings))


def shown_site(job: Job) -> str:
    """The site's name in rows, with the way it is billed where that is not its own."""
    return site_name(job.site) + (f", {job.tariff}" if job.tariff else "")


def values_of(settings: Settings, lettuce_eur_per_kg: float) -> Values:
    """What things are worth, with the options that name a field of `Values`. Raises `ConfigurationError`."""
    changes = {key: value for key, value in settings.options.items() if key in VALUES}
    return Values(**{**changes, "lettuce_eur_per_kg": lettuce_eur_per_kg})


def with_module(settings: Settings, name: str) -> Settings:
    """The settings once it is known what the module's policy is called."""
    return dataclasses.replace(settings, module_name=name)


def check_options(settings: Settings) -> None:
    """Raise `ConfigurationError` for an option that nothing reads."""
    unknown = [key for key in settings.options if key not in VALUES and not key.startswith("site.")]
    if unknown:
        there = f"there is site.SECTION.FIELD, and {', '.join(VALUES)}"
        raise ConfigurationError("--set", [f"{key!r} is unknown; {there}" for key in unknown])


def policy_of(settings: Settings, name: str, batch: Batch) -> Policy:
    """A controller by name, or the user's module, which may fail in every way and sees no more than windows."""
    if settings.module_name and name == settings.module_name:
        return Checked(load_policy_module(settings.policy_module, batch.site), Path(settings.policy_module).name)
    return controllers.make(name, batch, settings.period_s)


VALUES = tuple(field.name for field in dataclasses.fields(Values) if field.name != "lettuce_eur_per_kg")


def _rows(settings: Settings, group: Group) -> list[Row]:
    first = group.jobs[0]
    worlds = tuple((job.season, job.seed) for job in group.jobs)
    batch = _batch(settings, first, worlds)
    batch = batch.valued(**dataclasses.asdict(values_of(settings, first.lettuce_eur_per_kg)))
    if first.controller == BOUND:
        return _bounds(settings, group, batch)
    began = time.perf_counter()
    policy = policy_of(settings, first.controller, batch)
    if first.base:
        policy = Mixed(policy_of(settings, first.base, batch), policy, [job.actuators for job in group.jobs])
    result = episode.run(batch, policy, period_s=settings.period_s)
    seconds = (time.perf_counter() - began) / len(batch)  # a plan is made before the episode
    # What the farm holds at the end is worth more where lettuce is; on a front that may not move a point.
    front = cost_eur(terms(result.account, batch.site, values_of(settings, settings.base_price)))
    held = stored_parts(result.account, batch.site, batch.values)
    rows = []
    for farm, (job, key, made) in enumerate(zip(group.jobs, group.keys, result.rows())):
        row = {**made, **_told(settings, batch, farm, job, key), "seconds": seconds}
        row["front_cost_eur"] = float(front[farm])
        row |= {f"stored_{part}_eur": -float(value[farm]) for part, value in held.items()}
        wrong = [name for name, value in row.items() if isinstance(value, float) and not np.isfinite(value)]
        if wrong:
            raise EvaluationError(f"{job.controller}, {job.season}, seed {job.seed}: {', '.join(wrong)} not finite")
        rows.append(row)
        if _traced(settings, job):
            _keep(Path(settings.traces) / f"{key}.npz", result, farm)
    return rows


def _bounds(settings: Settings, group: Group, batch: Batch) -> list[Row]:
    """Rows of the bound: it has an objective and nothing else."""
    rows = []
    for farm, (job, key) in enumerate(zip(group.jobs, group.keys)):
        began = time.perf_counter()
        value = relax(batch, episode.warmed(batch).state, farm).programme.solve(_BOUND_LIMIT_S).value
        if not np.isfinite(value):
            raise EvaluationError(f"{job.season}, seed {job.seed}: no bound within {_BOUND_LIMIT_S:g} s")
        row = {**dict.fromkeys(COLUMNS), **_told(settings, batch, farm, job, key), "objective_eur": float(value)}
        rows.append({**row, "seconds": time.perf_counter() - began})
    return rows


def _told(settings: Settings, batch: Batch, farm: int, job: Job, key: str) -> Row:
    """What a row says of its job and world."""
    return {
        **dataclasses.asdict(job),
        "actuators": list(job.actuators),
        "site": shown_site(job),
        "world_seed": int(batch.seeds[farm]),
        "start": batch.site.local_time(int(batch.start_ns[farm])).isoformat(),
        "note": batch.scenarios[farm].note,
        "key": key,
        "world": settings.world,
        "code": settings.code,
    }


def _traced(settings: Settings, job: Job) -> bool:
    wanted = (settings.traced_seed, settings.base_price)
    return bool(settings.traces) and not job.base and (job.seed, job.lettuce_eur_per_kg) == wanted


def _batch(settings: Settings, job: Job, worlds: tuple[tuple[str, int], ...]) -> Batch:
    files = (settings.weather, settings.prices)
    return _worlds(settings.step_s, job.site, _changes(settings), worlds, job.split, job.hours, job.tariff, files)


@functools.lru_cache(maxsize=2)  # the next group often has another controller in the same worlds
def _worlds(
    step_s: float,
    path: str,
    changes: tuple[tuple[str, Any], ...],
    worlds: tuple[tuple[str, int], ...],
    split: str,
    hours: float,
    tariff: str,
    files: tuple[str, str],
) -> Batch:
    name = site_name(path)
    farm = _site(path, changes)
    mechanism = tariff or tariffs.own(farm)
    site = tariffs.mechanism(farm, mechanism)
    day_ahead = tariffs.MECHANISMS[mechanism].day_ahead
    made = functools.partial(synthetic, day_ahead=day_ahead)
    if any(files):
        made = functools.partial(weeks.scenario, _sources(path, changes, files), day_ahead=day_ahead)
    batch = Batch([made(site, name, season, split, seed, hours) for season, seed in worlds], step_s)
    episode.warmed(batch)
    return batch


@functools.lru_cache(maxsize=4)
def _sources(path: str, changes: tuple[tuple[str, Any], ...], files: tuple[str, str]) -> weeks.Sources:
    weather, prices = files
    if weather and Path(weather).is_dir():
        if prices:
            raise ConfigurationError("--prices", ["the folder of --weather has prices of its own: name one of the two"])
        return weeks.citylearn_and_german_prices(Path(weather))
    return weeks.own_sources(_site(path, changes), Path(weather) if weather else None, Path(prices) if prices else None)


def _changes(settings: Settings) -> tuple[tuple[str, Any], ...]:
    changes = {key.removeprefix("site."): value for key, value in settings.options.items() if key.startswith("site.")}
    return tuple(sorted(changes.items()))


@functools.lru_cache(maxsize=8)
def _site(path: str, changes: tuple[tuple[str, Any], ...]) -> Site:
    site = load_site(path)
    if not changes:
        return site
    content = json.loads(json.dumps(dataclasses.asdict(site)))
    faults: list[str] = []
    for key, value in changes:
        *sections, field = key.split(".")
        place = content
        for section in sections:
            place = place.get(section, {}) if isinstance(place, dict) else {}
        if not isinstance(place, dict) or field not in place:
            faults.append(f"site.{key}: a site has no such field")
        else:
            place[field] = value
    changed = build(Site, content, "site.", faults) if not faults else None
    if faults:
        raise ConfigurationError("--set", faults)
    return cast(Site, changed)


def _keep(path: Path, result: episode.Result, farm: int) -> None:
    """The traces of one episode, in whole or not at all."""
    batch = result.batch
    arrays: dict[str, Any] = {name: series[:, farm].astype(np.float32) for name, series in result.record.items()}
    arrays["price_eur_per_kwh"] = batch.prices[farm, 0].astype(np.float32)
    arrays["clear_w_per_m2"] = np.array(
        [batch.clear_sky(batch.start_ns + step * batch.step_ns)[farm] for step in range(0, batch.steps, 10)], np.float32
    )
    arrays["stamps_ns"] = batch.start_ns[farm] + batch.step_ns * np.arange(1, batch.steps + 1)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.getvalue())
