# SPDX-License-Identifier: Apache-2.0
"""What recording and reading cost: throughput, a core's share at the working rate, megabytes a day by topic."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from cmkd_ros.bags import BagReader, BagWriter, Recorder, RecorderOptions, Topic, WriterOptions
from cmkd_ros.bags.budget import Meter, choose, table
from cmkd_ros.bags.types import serialize
from cmkd_ros.fusion.pictures import fit

from .conftest import SECOND, START_NS

pytestmark = [pytest.mark.measure, pytest.mark.timeout(600)]
ACTUATORS = ("battery", "pump", "led", "hvac", "valve")
SKY = Path(__file__).parents[3] / "shared" / "data" / "sky"


@pytest.fixture(scope="module")
def skies():
    """Real sky frames, (H, W, 3) RGB."""
    files = sorted(SKY.rglob("*.jpg"))
    if not files:
        pytest.skip("no sky frames: ../shared/data/sky is not here")
    return [np.ascontiguousarray(cv2.imread(str(path))[..., ::-1]) for path in files]


def sound(index):
    """16 bit noise at a twentieth of full scale over a hum: about as hard to pack as a pump."""
    noise = np.random.default_rng(index).normal(0, 1600, 16_000)
    return (noise + 3000 * np.sin(np.arange(16_000) * 2 * np.pi * 49.5 / 16_000)).astype(np.int16)


def working_rate(farm, frames, seconds):
    """(topic, type, second, bytes): a decision every 5 s from one frame and one second of sound; telemetry at 1 Hz."""
    noise = np.random.default_rng(0)
    names = [name for name, _ in farm.kinds["cmkd_ros/msg/Telemetry"].__annotations__.items()]
    for index in range(seconds):
        stamp_ns = START_NS + index * SECOND
        channels = {name: float(noise.normal(10, 1)) for name in names if name.endswith(("_kw", "_percent", "_bar"))}
        read = farm.filled("cmkd_ros/msg/Telemetry", stamp_ns, **channels)
        yield "/farm/telemetry", "cmkd_ros/msg/Telemetry", index, serialize(read, "cmkd_ros/msg/Telemetry")
        if index % 5:
            continue
        yield "/farm/fusion/used/sky", "sensor_msgs/msg/Image", index, farm.image(stamp_ns, frames[index % len(frames)])
        yield "/farm/fusion/used/audio", "cmkd_ros/msg/AudioChunk", index, farm.audio(stamp_ns, sound(index))
        insight = farm.filled("cmkd_ros/msg/Insight", stamp_ns, irradiance_w_per_m2=noise.normal(500, 99))
        for name in ("load_ahead_kw", "import_price_ahead_eur_per_kwh", "irradiance_ahead_w_per_m2"):
            kind = farm.kinds["cmkd_ros/msg/Forecast"]
            setattr(insight, name, kind(np.arange(24) * 3600.0, np.array([0.1, 0.5, 0.9]), noise.normal(0, 1, 72)))
        yield "/farm/insight", "cmkd_ros/msg/Insight", index, serialize(insight, "cmkd_ros/msg/Insight")
        for name in ACTUATORS:
            value = noise.normal(0, 5)
            yield f"/farm/{name}/command", "cmkd_ros/msg/ActuatorCommand", index, farm.command(stamp_ns, value)
            state = farm.filled("cmkd_ros/msg/ActuatorState", stamp_ns, actuator=name, applied=value, read_back=value)
            yield (
                f"/farm/{name}/state",
                "cmkd_ros/msg/ActuatorState",
                index,
                serialize(state, "cmkd_ros/msg/ActuatorState"),
            )


def recorded(folder, messages, hz, seconds, options):
    """Record in real time; (core's share, bytes on the disk, bytes handed over, dropped)."""
    recorder = Recorder(folder, options)
    for topic, kind, _, _ in messages:
        recorder.add_topic(Topic(topic, kind))
    recorder.start()
    begin, busy, handed = time.monotonic(), time.process_time(), 0
    for topic, _, index, data in messages:
        time.sleep(max(0.0, begin + index / hz - time.monotonic()))
        recorder.write(topic, START_NS + int(index * SECOND / hz), data)
        handed += len(data)
    time.sleep(max(0.0, begin + seconds - time.monotonic()))
    share = (time.process_time() - busy) / (time.monotonic() - begin)
    recorder.stop()
    size = sum(path.stat().st_size for path in folder.rglob("*.*") if path.is_file())
    return share, size, handed, recorder.status().dropped


def test_the_working_rate(tmp_path, farm, skies):
    frames = [fit(sky, 112, 112) for sky in skies]
    messages = list(working_rate(farm, frames, 60))
    share, size, handed, dropped = recorded(tmp_path / "bags", messages, 1.0, 60.0, RecorderOptions(floor_bytes=0))
    meter = Meter()
    for topic, _, _, data in messages:
        meter.add(topic, len(data))
    print(f"\nworking rate, one minute in real time: {share:.2%} of a core, {dropped} dropped")
    print(f"on the disk {size / handed:.0%} of {handed / 1e6:.1f} MB: {size * 1440 / 1e6:.0f} MB/day")
    print(table(meter.streams(60.0)))
    assert dropped == 0 and size * 1440 < 2e9


def test_raw_vga_at_30_hz(tmp_path, farm, skies):
    frames = [cv2.resize(sky, (640, 480), interpolation=cv2.INTER_CUBIC) for sky in skies[:15]]
    images = [farm.image(START_NS, np.ascontiguousarray(frame)) for frame in frames]
    messages = [("/farm/sky/image", "sensor_msgs/msg/Image", index, images[index % 15]) for index in range(450)]
    share, size, handed, dropped = recorded(tmp_path / "bags", messages, 30.0, 15.0, RecorderOptions(floor_bytes=0))
    print(f"\nraw VGA at 30 Hz, 15 s: {share:.0%} of a core, {dropped} of 450 dropped, zstd leaves {size / handed:.0%}")


@pytest.mark.parametrize("kind", ["mcap", "sqlite3"])
def test_throughput(tmp_path, farm, skies, kind):
    frames = [fit(sky, 112, 112) for sky in skies]
    messages = list(working_rate(farm, frames, 1500))
    handed = sum(len(data) for *_, data in messages)
    writer = BagWriter(tmp_path / "bag", WriterOptions(storage=kind))
    for topic, type_name, _, _ in messages:
        writer.add_topic(Topic(topic, type_name))
    begin, busy = time.perf_counter(), time.process_time()
    for topic, _, index, data in messages:
        writer.write(topic, START_NS + index * SECOND, data)
    writer.close()
    wall, core = time.perf_counter() - begin, time.process_time() - busy
    size = sum(path.stat().st_size for path in (tmp_path / "bag").iterdir())
    print(
        f"\n{kind}: wrote {handed / 1e6:.0f} MB at {handed / wall / 1e6:.0f} MB/s, {handed / core / 1e6:.0f} a core-s"
    )
    print(f"{kind}: {size / handed:.0%} of it on the disk")
    for name, read in (
        ("raw", BagReader(tmp_path / "bag").recorded),
        ("decoded", BagReader(tmp_path / "bag").messages),
    ):
        begin = time.perf_counter()
        count = sum(1 for _ in read())
        print(f"{kind}: read {name} at {handed / (time.perf_counter() - begin) / 1e6:.0f} MB/s ({count} messages)")


def test_codecs_on_real_skies(skies):
    cloudy = skies[len(skies) // 2]
    rows = [(size, choose("/sky", fit(cloudy, size, size), 5.0, [], 0.0)) for size in (112, 160, 208)]
    print()
    for size, choice in rows:
        plain = choose("/sky", fit(cloudy, size, size), 5.0, []).stream
        print(
            f"{size} px: raw {plain.bytes_each * 17280 / 1e6:.0f}, zstd {plain.day_bytes / 1e6:.0f}, "
            f"{choice.codec} {choice.stream.day_bytes / 1e6:.0f} MB/day"
        )
