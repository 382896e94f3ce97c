# SPDX-License-Identifier: Apache-2.0
"""The stand-in for message_filters gives the outputs of the real one, where that is installed."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2's rclpy")

from std_msgs.msg import Header

from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.synchroniser import (
    StandInApproximateTimeSynchronizer,
    StandInSubscriber,
    Subscriber,
    _Filter,
)

MS = 1_000_000


def message(stamp_ns: int, name: str) -> SimpleNamespace:
    return SimpleNamespace(header=Header(stamp=encode.time(stamp_ns)), name=name)


def outputs(synchroniser, make_filter, stream, queue_size, slop_s):
    """What comes out of `stream`, a list of (index of the filter, stamp in ns)."""
    filters = [make_filter() for _ in range(3)]
    found = []
    synchroniser(filters, queue_size, slop_s).registerCallback(
        lambda *messages: found.append([m.name for m in messages])
    )
    for number, (index, stamp_ns) in enumerate(stream):
        filters[index].signalMessage(message(stamp_ns, f"{index}:{stamp_ns}:{number}"))
    return found


def random_stream(seed: int):
    """Three streams of different rates with jitter, losses, repeated and disordered stamps."""
    random = np.random.default_rng(seed)
    stream = []
    for index, period_ms in enumerate(random.choice([33, 50, 100, 250, 1000], 3)):
        count = int(3000 / period_ms)
        jitter = random.normal(0, period_ms * random.choice([0.0, 0.1, 0.6]), count)
        stamps = (np.arange(count) * period_ms + jitter + 1000) * MS
        delays = random.exponential(20 * MS, count)
        kept = random.random(count) > 0.1
        stream += [(delay + stamp, index, int(stamp)) for stamp, delay in zip(stamps[kept], delays[kept])]
    stream += [stream[int(place)] for place in random.integers(0, len(stream), 3)]
    return [(index, stamp) for _, index, stamp in sorted(stream)]


def test_outputs_are_those_of_the_real_one():
    real = pytest.importorskip("message_filters", reason="ROS's message_filters is not on PyPI; apt has it")
    triples = 0
    for seed in range(40):
        random = np.random.default_rng(1000 + seed)
        queue_size, slop_s = int(random.integers(1, 12)), float(random.choice([0.0, 0.005, 0.03, 0.1, 0.6]))
        stream = random_stream(seed)
        expected = outputs(real.ApproximateTimeSynchronizer, real.SimpleFilter, stream, queue_size, slop_s)
        found = outputs(StandInApproximateTimeSynchronizer, _Filter, stream, queue_size, slop_s)
        assert found == expected, f"seed {seed}, queue {queue_size}, slop {slop_s} s"
        triples += len(found)
    assert triples > 100


def test_a_triple_comes_out_once_when_its_last_message_arrives():
    stream = [(0, 0), (1, 20 * MS), (2, 40 * MS), (2, 41 * MS), (0, 100 * MS), (1, 300 * MS), (2, 310 * MS)]
    found = outputs(StandInApproximateTimeSynchronizer, _Filter, stream, 10, 0.05)
    assert [[name.rsplit(":", 1)[0] for name in triple] for triple in found] == [
        ["0:0", "1:20000000", "2:40000000"],
    ]


def test_of_several_that_fit_the_nearest_is_taken():
    stream = [(0, 30 * MS), (0, 0), (0, 90 * MS), (1, 40 * MS), (2, 35 * MS)]
    found = outputs(StandInApproximateTimeSynchronizer, _Filter, stream, 10, 0.1)
    assert [[name.rsplit(":", 1)[0] for name in triple] for triple in found] == [
        ["0:30000000", "1:40000000", "2:35000000"]
    ]


@pytest.mark.parametrize("seed", range(10))
def test_every_triple_lies_within_the_slop_and_no_message_is_used_twice(seed):
    found = outputs(StandInApproximateTimeSynchronizer, _Filter, random_stream(seed), 10, 0.1)
    assert found, "the streams overlap"
    for triple in found:
        stamps = [int(name.split(":")[1]) for name in triple]
        assert max(stamps) - min(stamps) < 100 * MS
    used = [name for triple in found for name in triple]
    assert len(used) == len(set(used))


def test_the_pace_is_that_of_the_slowest_stream():
    stream = sorted([(t * 10 * MS, 0) for t in range(300)] + [(t * 1000 * MS, 1) for t in range(3)])
    stream = [(index, stamp) for stamp, index in stream] + [(2, t * 1000 * MS) for t in range(3)]
    stream.sort(key=lambda item: item[1])
    assert len(outputs(StandInApproximateTimeSynchronizer, _Filter, stream, 30, 0.02)) == 3


@pytest.mark.parametrize("kind", {StandInSubscriber, Subscriber}, ids=lambda kind: kind.__module__)
def test_a_subscriber_hands_on_what_the_topic_brings(ros, until, kind):
    node, heard = ros.node(), []
    subscriber = kind(node, Header, "words", qos_profile=qos.STATE)
    subscriber.registerCallback(lambda header, more: heard.append((header.frame_id, more)), "and this")
    publisher = node.create_publisher(Header, "words", qos.STATE)
    publisher.publish(Header(frame_id="sky"))
    until(lambda: heard)
    assert heard == [("sky", "and this")] and subscriber.getTopic() == "words"
