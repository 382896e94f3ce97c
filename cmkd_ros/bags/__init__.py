# SPDX-License-Identifier: Apache-2.0
"""The farm's memory: rosbag2 bags recorded, kept within their room, repaired, read. No ROS: bytes in, objects out.

Recorder   a thread that writes what it is handed, watches the disk and never holds its caller up
BagWriter  one bag, file after file, each of which replays alone
BagReader  any rosbag2, MCAP or sqlite3, decoded by the definitions it carries
repair     makes a bag whole that a killed recorder left behind
"""

from cmkd_ros.bags.reader import BagReader, Recorded
from cmkd_ros.bags.recorder import Recorder, RecorderOptions, Status
from cmkd_ros.bags.repair import Repair, repair
from cmkd_ros.bags.retention import RetentionOptions, protect
from cmkd_ros.bags.topic import Topic, TopicCount
from cmkd_ros.bags.writer import BagWriter, WriterOptions

__all__ = [
    "BagReader",
    "BagWriter",
    "Recorded",
    "Recorder",
    "RecorderOptions",
    "Repair",
    "RetentionOptions",
    "Status",
    "Topic",
    "TopicCount",
    "WriterOptions",
    "protect",
    "repair",
]
