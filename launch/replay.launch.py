# SPDX-License-Identifier: Apache-2.0
"""Plays a bag to a fusion node in /replay and compares: ros2 launch cmkd_ros replay.launch.py bag:=DIR rate:=10."""

import tempfile
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from cmkd_ros.bags import BagReader
from cmkd_ros.bags.script import origin
from cmkd_ros.cli.bag import site_of
from cmkd_ros.cli.replay import fusion_spec
from cmkd_ros.middleware.bringup import replay_node

ARGUMENTS = [
    DeclareLaunchArgument("bag", description="A bag: folder, .mcap or .db3 file; several with commas between."),
    DeclareLaunchArgument("rate", default_value="1.0", description="Farm seconds in a second."),
    DeclareLaunchArgument("site", default_value="", description="The bag's site file; empty: what the bag says."),
    DeclareLaunchArgument("model", default_value="", description="Manifest of the bag's student; empty: the shipped."),
    DeclareLaunchArgument("policy_module", default_value="", description="Python file with make_policy(site)."),
    DeclareLaunchArgument("namespace", default_value="replay", description="Where it is played."),
    DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error or fatal."),
]


def start(context):
    """The replay and the fusion node. No gateway, no actuators: nothing here can reach a device."""
    said = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    paths = [Path(path).resolve() for path in said["bag"].split(",")]
    reader, rate = BagReader(paths), float(said["rate"])
    found = origin(reader)
    folder = Path(tempfile.mkdtemp(prefix="cmkd-replay-"))
    site = site_of(found, said["site"])
    fusion = fusion_spec(reader, found, site, folder, rate, said["model"], said["policy_module"])
    specs = [replay_node([str(path) for path in paths], rate), fusion]
    return [
        Node(
            package="cmkd_ros",
            executable=spec.executable,
            name=spec.name,
            namespace=said["namespace"],
            parameters=[spec.parameters],
            arguments=["--ros-args", "--log-level", said["log_level"]],
            output="screen",
            on_exit=Shutdown(reason="the bag is over"),
        )
        for spec in specs
    ]


def generate_launch_description():
    """The arguments and the two nodes."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
