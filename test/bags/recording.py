# SPDX-License-Identifier: Apache-2.0
"""A recorder to be killed: `python recording.py FOLDER STORAGE FLUSH_S` records until it dies, one line a message.

A line `topic stamp` goes out before the message is handed over, so whoever kills it knows what it had at least seen.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conftest import HEAD, TOPICS, Farm

from cmkd_ros.bags import Recorder, RecorderOptions, WriterOptions
from cmkd_ros.bags.writer import BagWriter


def main() -> None:
    folder, storage, flush_s, broken = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4:]
    if broken:  # to see the test fail: time never makes it flush
        BagWriter.tick = lambda self, now_s: None  # type: ignore[method-assign]
    farm = Farm()
    options = RecorderOptions(floor_bytes=0, room_bytes=0)
    options = replace(
        options,
        writer=WriterOptions(storage=storage, flush_s=flush_s, split_s=2.0 if flush_s < 1.0 and not broken else 0.0),
    )
    recorder = Recorder(folder, options, head=HEAD, say=lambda words: print(words, file=sys.stderr, flush=True))
    for topic in TOPICS:
        recorder.add_topic(topic)
    recorder.start()
    index = 0
    while True:
        for topic, stamp_ns, data in farm.second(index, time.time_ns()):
            print(topic, stamp_ns, flush=True)
            recorder.write(topic, stamp_ns, data)
        index += 1
        time.sleep(0.02)


main()
