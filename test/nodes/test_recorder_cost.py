# SPDX-License-Identifier: Apache-2.0
"""What recording costs: share of a core at 30 Hz raw VGA, and frames lost. Run by `make measure`."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cmkd_ros.bags import BagReader

RATE_HZ, SECONDS = 30, 20


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.measure
def test_vga_at_30_hz(ros, until, tmp_path):
    import numpy as np
    from sensor_msgs.msg import Image

    from cmkd_ros.contract.samples import Frame
    from cmkd_ros.middleware import encode, qos

    words = ["--ros-args", "-r", "__ns:=/farm", "-p", f"folder:={tmp_path}", "-p", "raw:=sky/image"]
    command = [sys.executable, "-m", "cmkd_ros.nodes.recorder_node", *words, "-p", "floor_gb:=0.0"]
    recorder = subprocess.Popen(command)
    try:
        camera = ros.node("camera", namespace="/farm").create_publisher(Image, "sky/image", qos.SENSOR)
        until(camera.get_subscription_count, 30)
        time.sleep(12)  # it waits for a fusion node at first
        random = np.random.default_rng(1)
        frames = [random.integers(0, 64, (480, 640, 3), dtype=np.uint8) for _ in range(8)]
        begun_s, before_s = time.monotonic(), cpu_s(recorder.pid)
        for number in range(RATE_HZ * SECONDS):
            camera.publish(encode.image(Frame(time.time_ns(), frames[number % 8])))
            time.sleep(max(0.0, begun_s + (number + 1) / RATE_HZ - time.monotonic()))
        share = (cpu_s(recorder.pid) - before_s) / (time.monotonic() - begun_s)
        time.sleep(2)
    finally:
        recorder.terminate()
        recorder.wait(30)
    (bag,) = tmp_path.glob("farm_*")
    got = sum(topic.count for topic in BagReader(bag).topics if topic.name == "/farm/sky/image")
    print(f"\n{got} of {RATE_HZ * SECONDS} frames recorded, {100 * share:.0f} % of a core")
    assert got > 0
