# SPDX-License-Identifier: Apache-2.0
"""Records a running farm, by rosbag2 where that is installed: ros2 launch cmkd_ros record.launch.py record:=DIR."""

import dataclasses
import datetime
import json
import os

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from cmkd_ros.bags.tracks import RAW, TRACKS, absolute
from cmkd_ros.middleware.bringup import FarmOptions, recorder_node
from cmkd_ros.site import load_site, share

ARGUMENTS = [
    DeclareLaunchArgument("record", description="Folder for the bags."),
    DeclareLaunchArgument("site", default_value="demo", description="The farm's site file, or a shipped one's name."),
    DeclareLaunchArgument(
        "recorder",
        default_value="auto",
        choices=["auto", "rosbag2", "cmkd"],
        description="rosbag2's own recorder, or ours: with retention, a floor of free disk, and events; "
        "auto: rosbag2's where it is installed.",
    ),
    DeclareLaunchArgument("raw", default_value="", description="Raw topics to record too, with commas; or all."),
    DeclareLaunchArgument("storage", default_value="mcap", choices=["mcap", "sqlite3"], description="File format."),
    DeclareLaunchArgument("split_mb", default_value="256", description="Size at which a file ends."),
    DeclareLaunchArgument("namespace", default_value="farm", description="Namespace of the farm."),
    DeclareLaunchArgument(
        "use_sim_time", default_value="", description="Time from /clock; empty: yes on a simulated site."
    ),
    DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error or fatal."),
]


def start(context):
    """One recorder or the other, with the same topics and the same layout: DIR/farm_DATE/farm_DATE_0.mcap."""
    said = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    site = load_site(said["site"])
    simulated = said["use_sim_time"].lower() == "true" if said["use_sim_time"] else site.simulated
    folder = os.path.abspath(said["record"])
    if said["recorder"] == "rosbag2" or (said["recorder"] == "auto" and installed("rosbag2_transport")):
        return [ExecuteProcess(cmd=rosbag2(said, site, simulated, folder), output="screen", sigterm_timeout="10")]
    options = FarmOptions(site=said["site"], record=folder, record_raw=said["raw"], use_sim_time=simulated)
    spec = recorder_node(options)
    return [
        Node(
            package="cmkd_ros",
            executable=spec.executable,
            name=spec.name,
            namespace=said["namespace"],
            parameters=[{**spec.parameters, "storage": said["storage"], "split_mb": float(said["split_mb"])}],
            arguments=["--ros-args", "--log-level", said["log_level"]],
            output="screen",
            respawn=True,
            respawn_delay=0.5,
            sigterm_timeout="10",
        )
    ]


def rosbag2(said, site, simulated, folder):
    """`ros2 bag record` with what our own recorder would do. zstd inside MCAP's chunks, so that Foxglove reads it."""
    os.makedirs(folder, exist_ok=True)
    space = said["namespace"]
    raw = RAW if said["raw"] == "all" else [name for name in said["raw"].split(",") if name]
    topics = [absolute(name, space) for name in (*(track.name for track in TRACKS), *raw)]
    bag = os.path.join(folder, f"farm_{datetime.datetime.now(datetime.UTC):%Y-%m-%d_%H-%M-%S}")
    command = ["ros2", "bag", "record", "--output", bag, "--storage", said["storage"]]
    if said["storage"] == "mcap":
        command += ["--storage-config-file", str(share("resource", "mcap.yaml"))]
    command += ["--max-bag-size", str(int(float(said["split_mb"]) * 1e6)), "--max-cache-size", "1000000"]
    command += ["--use-sim-time"] if simulated else []
    facts = {"site_sha256": site.sha256(), "site": json.dumps(dataclasses.asdict(site)), "namespace": f"/{space}"}
    command += ["--custom-data", *(f"{name}={value}" for name, value in facts.items())]
    return [*command, "--topics", *topics]


def installed(package):
    """Whether ROS knows a package here."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        return False
    return True


def generate_launch_description():
    """The arguments and the recorder."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
