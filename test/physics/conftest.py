# SPDX-License-Identifier: Apache-2.0
"""Real data, where it is there."""

from pathlib import Path

import pytest


@pytest.fixture
def shared_data() -> Path:
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data lies in ../shared/data, which this checkout does not have")
    return folder
