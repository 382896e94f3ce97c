# SPDX-License-Identifier: Apache-2.0
"""docs/safety.md and the explanations know every limit, in the order that the code has."""

import re
from pathlib import Path

from cmkd_ros.safety import LIMITS, ORDER
from cmkd_ros.safety.explain import _TEXTS

PAGE = Path(__file__).parents[2] / "docs" / "safety.md"


def test_the_page_lists_every_limit_in_order_with_class_and_unit() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*?) \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [(limit.name, limit.order, limit.unit or "-") for limit in LIMITS]


def test_every_limit_has_a_text() -> None:
    assert list(_TEXTS) == [limit.name for limit in LIMITS]


def test_the_classes_stand_in_their_order() -> None:
    classes = [limit.order for limit in LIMITS]
    assert classes == sorted(classes, key=ORDER.index)
