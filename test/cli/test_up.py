# SPDX-License-Identifier: Apache-2.0
"""`cmkd up` with files of weather and prices: what cannot be used is refused before anything starts."""

import dataclasses

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")

from cmkd_ros.cli import up
from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.middleware.bringup import FarmOptions
from cmkd_ros.site import load_site


def refusal(monkeypatch, tmp_path, site=None, **options):
    monkeypatch.setattr(up, "load_site", lambda _: site or load_site("demo"))
    monkeypatch.setattr(up, "Supervisor", lambda *_, **__: pytest.fail("something was started"))
    with pytest.raises(ConfigurationError) as caught:
        up.run_farm(FarmOptions(**options), True, None, 1.0, "/nobody", "warn")
    return str(caught.value)


def test_files_that_are_not_there_or_not_of_this_farm_are_refused(monkeypatch, tmp_path):
    assert "nowhere.csv" in refusal(monkeypatch, tmp_path, weather_file=str(tmp_path / "nowhere.csv"))
    assert "nowhere.csv" in refusal(monkeypatch, tmp_path, market_file=str(tmp_path / "nowhere.csv"))
    night = tmp_path / "night.csv"
    night.write_text("\n".join(f"{hour:02d}:00:00,300" for hour in range(24)))
    assert "while the sun is down on 2025-05-06" in refusal(monkeypatch, tmp_path, weather_file=str(night))
    prices = tmp_path / "prices.csv"
    prices.write_text("start,import_price_eur_per_kwh\n2025-05-06T00:00,0.2\n")
    assert "line 2" in refusal(monkeypatch, tmp_path, market_file=str(prices))


def test_a_real_farm_has_its_own_weather(monkeypatch, tmp_path):
    real = dataclasses.replace(load_site("demo"), simulated=False)
    assert "is real" in refusal(monkeypatch, tmp_path, real, weather_file=str(tmp_path / "day.csv"))
