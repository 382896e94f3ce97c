# SPDX-License-Identifier: Apache-2.0
"""The carbon ledger: what the farm emits and what its biochar stores, kg of CO2. A book, never a controller's merit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

CO2_PER_CARBON = 44.0 / 12.0


@dataclass(frozen=True)
class Pyrolysis:
    """Shares, of dry feedstock: 30 % becomes char, of which 75 % is carbon, of which 80 % lasts a century.

    Within the ranges of IPCC (2019), Refinement to the 2006 Guidelines, volume 4, appendix 4, for wood and herbs at
    450 to 600 degC (carbon 0.65-0.77, lasting 0.80).
    """

    char: float = 0.30
    carbon: float = 0.75
    stable: float = 0.80


REFERENCE = Pyrolysis()


def stored_kg(dry_feedstock_kg: ArrayLike, pyrolysis: Pyrolysis = REFERENCE) -> Array:
    """CO2 that the char of this much dry biomass keeps out of the air: 0.66 kg per kg."""
    share = pyrolysis.char * pyrolysis.carbon * pyrolysis.stable
    return np.asarray(dry_feedstock_kg, np.float64) * (share * CO2_PER_CARBON)


def crop_waste_kg(sold_kg: ArrayLike, waste: float = 0.30, dry: float = 0.05) -> Array:
    """Dry matter left behind by `sold_kg` of fresh lettuce, when `waste` of what grows is not sold."""
    return np.asarray(sold_kg, np.float64) * (waste / (1.0 - waste) * dry)


def grid_kg(imported_kwh: ArrayLike, carbon_kg_per_kwh: ArrayLike) -> Array:
    """CO2 of imported energy. Exports are no credit."""
    return np.asarray(imported_kwh, np.float64) * np.asarray(carbon_kg_per_kwh, np.float64)


def burner_kg(made_kg: ArrayLike, fossil: float = 1.0) -> Array:
    """CO2 of the burner that counts: from natural gas all of it, for what the crop takes up is eaten soon."""
    return np.asarray(made_kg, np.float64) * fossil


def net_kg(grid: ArrayLike, burner: ArrayLike, dry_feedstock_kg: ArrayLike) -> Array:
    """Emitted less stored."""
    return np.asarray(grid, np.float64) + np.asarray(burner, np.float64) - stored_kg(dry_feedstock_kg)


def feedstock_for_zero_kg(emitted_kg: ArrayLike, pyrolysis: Pyrolysis = REFERENCE) -> Array:
    """Dry biomass from which on the farm stores more than it emits."""
    return np.asarray(emitted_kg, np.float64) / stored_kg(1.0, pyrolysis)
