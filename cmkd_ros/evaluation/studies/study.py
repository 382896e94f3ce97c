# SPDX-License-Identifier: Apache-2.0
"""A study: which controller is judged in which worlds, in batches over the cores, and gone on with where it stopped.

A `Job` is one row to be. Like jobs form a `Group` that runs as one batch; who forms a group does not depend on the
number of cores, so neither do the rows. A group's rows reach the journal together as soon as they are there. Whatever
stops a study (Ctrl-C, a power cut, a full disk), the next one with the same `--out` runs what is missing.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.evaluation.studies.journal import Journal
from cmkd_ros.evaluation.studies.workers import Failure, perform

BATCH = 64
Row = dict[str, Any]


@dataclass(frozen=True, order=True)
class Job:
    """One controller in one world.

    With `base` and `actuators` it is a counterfactual: the named actuators do what `controller` says, all others what
    `base` says, both deciding on what then happens.
    """

    controller: str
    site: str
    season: str
    seed: int
    split: str = "test"
    hours: float = 72.0
    lettuce_eur_per_kg: float = 1.0
    tariff: str = ""  # of tariffs.MECHANISMS; empty: as the site is billed
    base: str = ""
    actuators: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What all jobs of a study share. Files count by their content, so an edited one is another study."""

    period_s: float = 300.0
    step_s: float = 60.0
    base_price: float = 1.0  # EUR/kg of lettuce at which costs of fronts are, and of which traces are kept
    options: Mapping[str, Any] = field(default_factory=dict)  # of --set
    policy_module: str = ""  # file
    module_name: str = ""  # and what its policy is called
    weather: str = ""  # file, or the folder of the public measured year
    prices: str = ""  # file
    world: str = ""  # version of the world
    code: str = ""  # fingerprint of what makes the figures
    reuse: bool = False  # take rows of the same world version that other code made
    traces: str = ""  # folder for traces; empty: none are kept
    traced_seed: int = -1

    def fingerprint(self) -> str:
        """Of everything that may change a row of any controller."""
        content: dict[str, Any] = {
            "period_s": self.period_s,
            "step_s": self.step_s,
            "base_price": self.base_price,
            "options": dict(self.options),
            "world": self.world,
            **{name: _digest(getattr(self, name)) for name in ("weather", "prices")},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def key(self, job: Job, site_sha256: str) -> str:
        """Of one row: world version, settings, the site's facts, the job, and the module where it is judged."""
        content = [self.world, self.fingerprint(), site_sha256, asdict(replace(job, site=site_name(job.site)))]
        if self.module_name and self.module_name in (job.controller, job.base):
            content.append(_digest(self.policy_module))
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Group:
    """Jobs that run as one batch, and their keys."""

    jobs: tuple[Job, ...]
    keys: tuple[str, ...]

    @property
    def name(self) -> str:
        """For people: what runs."""
        first = self.jobs[0]
        mixed = f" in parts for {first.base}" if first.base else ""
        seasons = " ".join(dict.fromkeys(job.season for job in self.jobs))
        return f"{first.controller}{mixed}, {site_name(first.site)}, {seasons}, {_seeds(self.jobs)}"


Execute = Callable[[Settings, Group], tuple[list[Row], list[Failure]]]


def jobs_of(
    controllers: Iterable[str],
    sites: Iterable[str],
    seasons: Iterable[str],
    seeds: Iterable[int],
    lettuce_eur_per_kg: Iterable[float] = (1.0,),
    split: str = "test",
    hours: float = 72.0,
    tariff: str = "",
) -> list[Job]:
    """Every combination, in the order of the arguments."""
    product = itertools.product(controllers, sites, lettuce_eur_per_kg, seasons, seeds)
    return [
        Job(controller, site, season, seed, split, hours, price, tariff)
        for controller, site, price, season, seed in product
    ]


def causes_of(jobs: Iterable[Job], controller: str, base: str, causes: Mapping[str, tuple[str, ...]]) -> list[Job]:
    """The counterfactuals that split the gain of `controller` over `base` by cause, in the worlds of `jobs`.

    For each cause one run with it alone in `base`, and one with all causes but it.
    """
    every = tuple(itertools.chain.from_iterable(causes.values()))
    made = []
    for job in jobs:
        if job.controller != controller or job.base:
            continue
        for actuators in causes.values():
            rest = tuple(name for name in every if name not in actuators)
            made += [replace(job, base=base, actuators=actuators), replace(job, base=base, actuators=rest)]
    return made


def grouped(jobs: Sequence[Job], keys: Sequence[str], sizes: Mapping[str, int], size: int = BATCH) -> list[Group]:
    """Jobs as batches of like ones, `size` at most; controllers in `sizes` have their own, and come first.

    Those are the slow ones, which think about each farm by itself: they would keep others waiting at the end.
    """
    batches: dict[Job, list[tuple[Job, str]]] = {}
    for job, key in dict(zip(jobs, keys)).items():
        batches.setdefault(replace(job, season="", seed=0, actuators=()), []).append((job, key))
    slow: list[Group] = []
    fast: list[Group] = []
    for like, members in batches.items():
        most = min(sizes.get(like.controller, size), sizes.get(like.base, size))
        for start in range(0, len(members), most):
            part = members[start : start + most]
            made = Group(tuple(job for job, _ in part), tuple(key for _, key in part))
            (slow if most < size else fast).append(made)
    return slow + fast


@dataclass
class Progress:
    """How a study stands: rows done (of them found in the journal), and what has failed."""

    total: int
    found: int
    stale: int  # rows of the same world that other code made, and that do not count
    done: int = 0
    failures: list[Failure] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def run(
    jobs: Sequence[Job],
    settings: Settings,
    out: Path,
    execute: Execute,
    *,
    site_sha256: Mapping[str, str],
    sizes: Mapping[str, int] | None = None,
    cores: int = 1,
    batch: int = BATCH,
) -> Iterator[tuple[Progress, str]]:
    """Run what the journal under `out` lacks. Yields after each group how it stands, and that group's name.

    `execute` runs in other processes: a function that can be imported. The last `Progress` has all rows, in the order
    of `jobs`. Close the generator, or interrupt it, and what is done is kept. Raises `ConfigurationError` when another
    study writes to `out`.
    """
    jobs = list(dict.fromkeys(jobs))
    if not jobs:
        raise ConfigurationError("study", ["there is nothing to run: no controller, site, season or seed"])
    keys = [settings.key(job, site_sha256[job.site]) for job in jobs]
    with Journal(out / "rows.jsonl") as journal:
        # A group is run whole, so that its rows are those of a study that was never stopped.
        taken = {key: row for key, row in journal.rows.items() if settings.reuse or row["code"] == settings.code}
        missing = [group for group in grouped(jobs, keys, sizes or {}, batch) if not set(group.keys) <= taken.keys()]
        found = len(jobs) - sum(len(group.jobs) for group in missing)
        stale = len((journal.rows.keys() - taken.keys()) & set(keys))
        progress = Progress(len(jobs), found, stale, found)
        progress.rows = [taken[key] for key in keys if key in taken]
        yield progress, ""
        for index, outcome in perform(missing, partial(execute, settings), cores):
            group = missing[index]
            if isinstance(outcome, Failure):
                progress.failures.append(replace(outcome, where=group.name))
            else:
                rows, failures = outcome
                journal.append(rows)
                taken |= {row["key"]: row for row in rows}
                progress.failures += failures
            progress.done += len(group.jobs)
            progress.rows = [taken[key] for key in keys if key in taken]
            yield progress, group.name


def site_name(path: str) -> str:
    """How a site file is called in tables."""
    return Path(path).stem


def _seeds(jobs: Sequence[Job]) -> str:
    seeds = sorted({job.seed for job in jobs})
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"


def _digest(path: str) -> str:
    """Of a file's content; of a folder, of all its tables."""
    if not path:
        return ""
    digest = hashlib.sha256()
    for file in sorted(Path(path).rglob("*.csv")) if Path(path).is_dir() else [Path(path)]:
        digest.update(file.read_bytes())
    return digest.hexdigest()
