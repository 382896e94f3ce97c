# SPDX-License-Identifier: Apache-2.0
"""The carbon ledger says what the arithmetic says, the uncomfortable part included."""

import numpy as np
import pytest

from cmkd_ros.simulation import ledger


def test_char_of_crop_waste_stores_next_to_nothing():
    assert ledger.stored_kg(1.0) == pytest.approx(0.66)
    assert ledger.stored_kg(ledger.crop_waste_kg(1.0)) == pytest.approx(0.014, abs=0.0005)


def test_storing_what_was_hoped_for_needs_bought_biomass():
    assert ledger.feedstock_for_zero_kg(1.2) == pytest.approx(1.8, abs=0.05)
    emitted = ledger.grid_kg(6.8 * 0.7, 0.157)  # kWh a kg, of which the grid gives 70 %
    assert 0.6 < emitted < 0.9
    assert ledger.feedstock_for_zero_kg(emitted) > 50 * ledger.crop_waste_kg(1.0)


def test_it_turns_net_negative_exactly_there():
    grid, burner = ledger.grid_kg([3.0, 0.0], [0.3, 0.3]).sum(), ledger.burner_kg(0.4)
    turn = ledger.feedstock_for_zero_kg(grid + burner)
    assert ledger.net_kg(grid, burner, turn) == pytest.approx(0.0, abs=1e-12)
    assert ledger.net_kg(grid, burner, turn * 1.01) < 0.0 < ledger.net_kg(grid, burner, turn * 0.99)
    assert np.all(ledger.burner_kg([1.0], fossil=0.0) == 0.0)
