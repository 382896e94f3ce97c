# SPDX-License-Identifier: Apache-2.0
"""A bag at a glance: numbers that are true, gaps that are seen, and a picture that shows what is in the bag."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip("rclpy", reason="the farm's messages are made by ROS 2's rclpy")

from playing import Player, at

from cmkd_ros.bags import BagReader
from cmkd_ros.bags.overview import overview
from cmkd_ros.contract.errors import BagError

DATA = Path(__file__).parents[3] / "shared" / "data" / "bags"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bags") / "farm"
    hand = {40: lambda mind: mind.set_override("led", 80.0, 20.0, "a test", at(40))}
    lost = lambda kind, second: kind == "telemetry" and 20 <= second < 32  # noqa: E731
    Player(folder).play(0, 90, hands=hand, lost=lost).close()
    return folder


def test_rates_and_gaps(folder):
    found = overview(BagReader(folder))
    telemetry = found["topics"]["/farm/telemetry"]
    assert telemetry["rate_hz"] == pytest.approx(1.0, rel=0.01)
    assert telemetry["gaps"] == 1 and telemetry["longest_gap_s"] == pytest.approx(13.0, abs=0.01)
    assert (
        found["topics"]["/farm/insight"]["rate_hz"] == pytest.approx(0.2)
        and not found["topics"]["/farm/insight"]["gaps"]
    )
    assert found["bag"]["messages"] == sum(topic["messages"] for topic in found["topics"].values())
    assert found["bag"]["duration_s"] == pytest.approx(90.0, abs=6.0) and found["bag"]["namespace"] == "/farm"
    assert found["health"]["replays_from_s"] < 6 and not found["health"]["unfinished_files"]


def test_an_unfinished_file_is_no_secret(folder, tmp_path):
    import shutil

    torn = tmp_path / "farm"
    shutil.copytree(folder, torn)
    file = torn / "farm_9.mcap"
    shutil.copy(torn / "farm_1.mcap", file)
    file.write_bytes(file.read_bytes()[:-50])
    assert overview(BagReader(torn))["health"]["unfinished_files"] == ["farm_9.mcap"]


def test_the_picture_shows_sky_lines_and_the_hand(folder, tmp_path):
    pytest.importorskip("matplotlib")
    from cmkd_ros.bags.plot import Story, plot

    plot(BagReader(folder), tmp_path / "day.png")
    picture = cv2.imread(str(tmp_path / "day.png"))
    height, width, _ = picture.shape
    assert width > 1000 and height > 800
    row = picture[int(0.045 * height)]
    assert (np.ptp(row.astype(int), axis=1) > 20).mean() > 0.3, "coloured noise, the player's sky"
    for name, bgr in {"PV": (0x08, 0xA0, 0xE3), "battery": (0x6E, 0x76, 0x0F)}.items():
        off = np.abs(picture.astype(int) - bgr).max(axis=-1)  # a line's edge pixels are mixed with the paper
        assert (off < 30).sum() > 100, f"no line for {name}"
    story = Story(BagReader(folder))
    assert len(story.sky) >= 14 and len({tuple(values) for _, values in story.commands}) == 18
    assert [round(s) for s in story.overridden] == [45, 50, 55, 60], "of the bag, which begins 5 s before the player"


def test_another_day_is_empty_but_no_fault_and_nonsense_is_one(folder, tmp_path):
    pytest.importorskip("matplotlib")
    from cmkd_ros.bags.plot import plot

    plot(BagReader(folder), tmp_path / "day.png", day="2025-05-06")
    with pytest.raises(BagError, match="2025-06-21"):
        plot(BagReader(folder), tmp_path / "day.png", day="tuesday")


@pytest.mark.skipif(not DATA.exists(), reason="needs the bags of shared/data")
def test_a_bag_that_is_no_farms_has_an_overview_and_no_picture(tmp_path):
    pytest.importorskip("matplotlib")
    from cmkd_ros.bags.plot import plot

    reader = BagReader(DATA / "test_bag_mcap")
    found = overview(reader)
    assert len(found["topics"]) > 50 and found["health"]["replays_from_s"] is None
    with pytest.raises(BagError, match="no farm's bag"):
        plot(reader, tmp_path / "day.png")
