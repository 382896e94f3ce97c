# SPDX-License-Identifier: Apache-2.0
"""What came before and after an event is kept in a bag of its own: whole, merged, limited, out of retention's reach."""

import time

import pytest

from cmkd_ros.bags import BagReader, Topic
from cmkd_ros.bags.events import EventOptions, EventRecorder, Ring
from cmkd_ros.bags.retention import RetentionOptions, enforce
from cmkd_ros.contract.samples import NANOSECONDS

HEAD, FAST, LATCHED = "/farm/fusion/window", "/farm/pump/command", "/farm/market"
TOPICS = (
    Topic(HEAD, "cmkd_ros/msg/Window", 1, latched=True),
    Topic(FAST, "cmkd_ros/msg/ActuatorCommand"),
    Topic(LATCHED, "cmkd_ros/msg/Market", 1, latched=True),
)
OPTIONS = EventOptions(before_s=20.0, after_s=10.0, per_hour=3, floor_bytes=0)


def at(second: float) -> int:
    return round((1_750_000_000 + second) * NANOSECONDS)


class Tape:
    """An event recorder, fed a message a second, a window every 30 s, and the market once."""

    def __init__(self, folder, options=OPTIONS):
        self.said: list[str] = []
        self.events = EventRecorder(folder, options, head=HEAD, say=self.said.append)
        for topic in TOPICS:
            self.events.add_topic(topic)
        self.events.start()

    def run(self, begin, end, triggers=()):
        for second in range(begin, end):
            if second == 3:
                self.events.add(LATCHED, at(second), b"market")
            if second % 30 == 0:
                self.events.add(HEAD, at(second), b"window %d" % second)
            self.events.add(FAST, at(second), b"command %d" % second)
            if second in triggers:
                self.events.trigger(f"alarm {second}", at(second))
        return self

    def bags(self):
        self.events.stop()
        return sorted(path for path in self.events.folder.iterdir() if path.is_dir())


def seconds(bag, topic=FAST):
    return [int(m.data.split()[-1]) for m in BagReader(bag).recorded([topic])]


def test_before_and_after_and_back_to_the_last_snapshot_before(tmp_path):
    (bag,) = Tape(tmp_path).run(0, 130, [75]).bags()
    assert bag.name == f"event_{time.strftime('%Y-%m-%d_%H-%M-%S', time.gmtime(at(75) // NANOSECONDS))}"
    messages = list(BagReader(bag).recorded())
    assert messages[0].data == b"window 30", "55 would do; a bag that begins with a snapshot replays alone"
    assert [m.data for m in messages if m.topic == LATCHED] == [b"market"], "latched long ago, in force all the same"
    assert seconds(bag) == list(range(30, 86))
    assert BagReader(bag).custom["event"] == "alarm 75"


def test_events_that_overlap_share_a_bag_and_it_ends_after_the_last(tmp_path):
    tape = Tape(tmp_path).run(0, 130, [75, 80, 88])
    (bag,) = tape.bags()
    assert seconds(bag)[-1] == 98 and tape.events.merged == 2
    assert BagReader(bag).custom["event"] == "alarm 75; alarm 80; alarm 88"


def test_one_after_the_other_gets_a_bag_each_until_the_hour_has_had_its_share(tmp_path):
    tape = Tape(tmp_path).run(0, 400, [50, 100, 150, 200, 250])
    assert len(tape.bags()) == 3 and tape.events.suppressed == 2
    assert "3 within an hour" in tape.events.why and any("event not kept" in words for words in tape.said)
    tape.run(3700, 3760, [3720])
    assert len(tape.bags()) == 4 and tape.events.why == ""


def test_an_alarm_that_never_ends_fills_one_bag_and_no_more(tmp_path):
    options = EventOptions(before_s=5.0, after_s=10.0, longest_s=60.0, per_hour=2, floor_bytes=0)
    bags = Tape(tmp_path, options).run(0, 400, range(100, 400)).bags()
    assert len(bags) == 2
    assert all(seconds(bag)[-1] - 100 <= 60 * (number + 1) + 1 for number, bag in enumerate(bags))


def test_no_event_begins_where_there_is_no_room(tmp_path):
    tape = Tape(tmp_path, EventOptions(keep_bytes=0, floor_bytes=0)).run(0, 60, [30])
    assert not tape.bags() and "move old events" in tape.events.why
    tape = Tape(tmp_path, EventOptions(floor_bytes=2**60)).run(0, 60, [30])
    assert not tape.bags() and "free" in tape.events.why


def test_retention_leaves_events_alone(tmp_path):
    (bag,) = Tape(tmp_path).run(0, 130, [75]).bags()
    assert enforce(tmp_path, RetentionOptions(keep_bytes=0, keep_s=0.0), time.time() + 1e9) == []
    assert seconds(bag)


def test_what_a_killed_recorder_left_is_whole_after_the_next_start(tmp_path):
    (bag,) = Tape(tmp_path).run(0, 130, [75]).bags()
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:-100])
    (bag / "metadata.yaml").unlink()
    Tape(tmp_path)
    assert len(seconds(bag)) == 56


def test_memory_is_bounded_and_time_that_goes_back_empties_the_ring():
    ring = Ring(EventOptions(before_s=20.0, ring_bytes=1_000), HEAD)
    for second in range(1000):
        ring.add((FAST, at(second), b"x" * 100))
    assert sum(len(data) for _, _, data in ring.messages) <= 1_000
    ring.add((FAST, at(5), b"again"))
    assert [data for _, _, data in ring.messages] == [b"again"]


@pytest.mark.parametrize("every", [7, 25, 300])
def test_the_ring_reaches_back_far_enough_and_not_much_further(every):
    ring = Ring(EventOptions(before_s=20.0), HEAD)
    for second in range(700):
        if second % every == 0:
            ring.add((HEAD, at(second), b"w"))
        ring.add((FAST, at(second), b"c"))
        first = (ring.messages[0][1] - at(0)) / NANOSECONDS
        assert first <= max(0, second - 20), "too short"
        assert first >= min(second - 20 - every, second) or second < every + 20, "too long"
        if second > every + 20:
            assert ring.messages[0][0] == HEAD, "it begins with a snapshot"
