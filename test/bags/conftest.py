# SPDX-License-Identifier: Apache-2.0
"""A farm's messages without ROS: what the recorder is handed in one second, made by the types that bags carry."""

from pathlib import Path

import numpy as np
import pytest

from cmkd_ros.bags import BagWriter, Topic, WriterOptions
from cmkd_ros.bags.types import our_types, serialize

START_NS = 1_750_000_000_000_000_000
SECOND = 1_000_000_000
HEAD = "/farm/fusion/window"
TOPICS = (
    Topic(HEAD, "cmkd_ros/msg/Window", latched=True, depth=1),
    Topic("/farm/fusion/used/sky", "sensor_msgs/msg/Image"),
    Topic("/farm/fusion/used/audio", "cmkd_ros/msg/AudioChunk"),
    Topic("/farm/telemetry", "cmkd_ros/msg/Telemetry", latched=True),
    Topic("/farm/pump/command", "cmkd_ros/msg/ActuatorCommand", depth=1),
)
STORAGES = ("mcap", "sqlite3")


class Farm:
    """Serialised messages that differ from second to second."""

    kinds = our_types().types

    def header(self, stamp_ns, frame_id=""):
        time = self.kinds["builtin_interfaces/msg/Time"](stamp_ns // SECOND, stamp_ns % SECOND)
        return self.kinds["std_msgs/msg/Header"](time, frame_id)

    def image(self, stamp_ns, pixels):
        height, width, _ = pixels.shape
        kind = "sensor_msgs/msg/Image"
        flat = np.ascontiguousarray(pixels).reshape(-1)
        return serialize(self.kinds[kind](self.header(stamp_ns), height, width, "rgb8", 0, 3 * width, flat), kind)

    def audio(self, stamp_ns, samples, rate_hz=16_000):
        kind = "cmkd_ros/msg/AudioChunk"
        return serialize(self.kinds[kind](self.header(stamp_ns), rate_hz, 1, samples.astype(np.int16)), kind)

    def command(self, stamp_ns, value):
        kind = "cmkd_ros/msg/ActuatorCommand"
        return serialize(self.kinds[kind](self.header(stamp_ns), "pump", value, 1, "a reason of some length"), kind)

    def telemetry(self, stamp_ns, pv_kw):
        return serialize(self.filled("cmkd_ros/msg/Telemetry", stamp_ns, pv_power_kw=pv_kw), "cmkd_ros/msg/Telemetry")

    def window(self, stamp_ns, mode):
        return serialize(self.filled("cmkd_ros/msg/Window", stamp_ns, mode=mode), "cmkd_ros/msg/Window")

    def filled(self, kind, stamp_ns, **fields):
        """A message of zeros and empty lists but for its header and `fields`."""
        _, described = our_types().fielddefs[kind]
        values = {name: self._zero(kind_of) for name, kind_of in described}
        return self.kinds[kind](**{**values, "header": self.header(stamp_ns), **fields})

    def _zero(self, described):
        node, detail = described
        if node == 1:
            return "" if detail[0] == "string" else False if detail[0] == "bool" else 0
        if node == 2:
            return self.kinds[detail](**{name: self._zero(of) for name, of in our_types().fielddefs[detail][1]})
        (inner, name), count = detail
        if inner == 1 and name[0] != "string":
            return np.zeros(count if node == 3 else 0, name[0])
        return []

    def second(self, index, stamp_ns=None):
        """(topic, stamp, bytes) of one second: telemetry, and every fifth second a decision's inputs and a command."""
        stamp_ns = START_NS + index * SECOND if stamp_ns is None else stamp_ns
        noise = np.random.default_rng(index)
        found = [(HEAD, stamp_ns, self.window(stamp_ns, f"after {index}"))] if index % 20 == 0 else []
        found.append(("/farm/telemetry", stamp_ns, self.telemetry(stamp_ns, index / 10)))
        if index % 5 == 0:
            pixels = noise.integers(0, 255, (16, 16, 3), np.uint8)
            found += [
                ("/farm/fusion/used/sky", stamp_ns, self.image(stamp_ns, pixels)),
                ("/farm/fusion/used/audio", stamp_ns, self.audio(stamp_ns, noise.integers(-900, 900, 1600))),
                ("/farm/pump/command", stamp_ns, self.command(stamp_ns, float(index))),
            ]
        return found


@pytest.fixture(scope="session")
def farm():
    return Farm()


@pytest.fixture(params=STORAGES)
def storage(request):
    return request.param


@pytest.fixture
def write(tmp_path, farm):
    """write(seconds, storage, ...) -> (folder of a closed bag, what was written)."""

    def make(seconds, storage="mcap", folder=None, close=True, first=0, **options):
        folder = folder or tmp_path / "bag"
        writer = BagWriter(folder, WriterOptions(storage=storage, **options), head=HEAD, custom={"site_sha256": "ab12"})
        for topic in TOPICS:
            writer.add_topic(topic)
        written = []
        for index in range(first, first + seconds):
            for message in farm.second(index):
                writer.write(*message)
                written.append(message)
            writer.tick(float(index))
        if close:
            writer.close()
        return folder, written, writer

    return make


@pytest.fixture(scope="session")
def foreign():
    folder = Path(__file__).parents[3] / "shared" / "data" / "bags"
    if not folder.is_dir():
        pytest.skip("no foreign bags: ../shared/data/bags is not here")
    return folder
