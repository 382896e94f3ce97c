# SPDX-License-Identifier: Apache-2.0
"""The `cmkd world` commands: look at the simulated farm."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Annotated

import typer

from cmkd_ros.contract.errors import ConfigurationError

world_app = typer.Typer(help="Look at the simulated farm.", no_args_is_help=True)

SEARCHED = datetime.date(2025, 5, 1), 31  # days among which the default is looked for


@world_app.callback()
def world() -> None:
    """Look at the simulated farm."""


@world_app.command()
def preview(
    out: Annotated[Path, typer.Option(help="Folder for the pictures and the film.")],
    seed: Annotated[int, typer.Option(help="Of the world.", min=0)] = 1,
    site: Annotated[str, typer.Option(help="Site file, or the name of a shipped one.")] = "demo",
    date: Annotated[str, typer.Option(help="YYYY-MM-DD, local; default: the most changeable day of May 2025.")] = "",
    weather: Annotated[str, typer.Option(help="Measured weather: a CSV as docs/world.md says.")] = "",
    prices: Annotated[str, typer.Option(help="Prices and carbon: a CSV as the market node reads it.")] = "",
    film: Annotated[
        float, typer.Option(help="Hours in the film, the busiest of the day; 0: none.", min=0, max=24)
    ] = 2.0,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller, coarser, in a third of the time.")] = False,
) -> None:
    """A day of the simulated farm under the rules, in pictures and a short film."""
    from cmkd_ros.evaluation.show.day import live_through, midnight_ns, most_changeable
    from cmkd_ros.evaluation.show.preview import QUICK, Sizes, summary
    from cmkd_ros.evaluation.show.preview import preview as draw
    from cmkd_ros.simulation.start import read_measured
    from cmkd_ros.site import load_site
    from cmkd_ros.site.market import read_market

    farm = load_site(site)
    if weather and not date:
        raise ConfigurationError(
            "preview", ["--weather needs a --date: the day in the file, or that it was measured on"]
        )
    try:
        when = datetime.date.fromisoformat(date) if date else most_changeable(farm, seed, *SEARCHED)
    except ValueError as error:
        raise ConfigurationError("preview", [f"--date {date!r}: write it as 2025-06-21"]) from error
    start_ns = midnight_ns(farm, when)
    measured = read_measured(farm, Path(weather), start_ns) if weather else None
    market = read_market(Path(prices), farm, start_ns) if prices else None
    day = live_through(farm, seed, when, 60 if quick else 30, measured, market)
    print(f"{day.place}, {day.date}: {summary(day)}")
    sizes = dataclasses.replace(QUICK if quick else Sizes(), film_h=film)
    for path in draw(day, out, sizes):
        print(path)
