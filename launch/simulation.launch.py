# SPDX-License-Identifier: Apache-2.0
"""The simulated hardware alone: Modbus devices, camera, microphone and /clock, for a farm started elsewhere."""

import os

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from cmkd_ros.middleware.bringup import FarmOptions, simulation_node

ARGUMENTS = [
    DeclareLaunchArgument(
        "site", default_value="demo", description="A simulated site's file, or a shipped one's name."
    ),
    DeclareLaunchArgument("speed", default_value="1.0", description="Simulated seconds in a second."),
    DeclareLaunchArgument("seed", default_value="1", description="Of the simulated world."),
    DeclareLaunchArgument("start", default_value="", description="First moment of the simulated world, ISO 8601."),
    DeclareLaunchArgument(
        "weather_file", default_value="", description="Measured weather of the simulated world, CSV."
    ),
    DeclareLaunchArgument("modbus_port", default_value="0", description="TCP port of the devices; 0: the site's."),
    DeclareLaunchArgument("namespace", default_value="farm", description="Namespace of the node."),
    DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error or fatal."),
]


def start_node(context):
    """The one node, by the package's list."""
    said = {argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS}
    options = FarmOptions(
        site=said["site"],
        speed=float(said["speed"]),
        seed=int(said["seed"]),
        start=said["start"],
        weather_file=os.path.abspath(said["weather_file"]) if said["weather_file"] else "",
        modbus_port=int(said["modbus_port"]),
    )
    spec = simulation_node(options)
    return [
        Node(
            package="cmkd_ros",
            executable=spec.executable,
            name=spec.name,
            namespace=said["namespace"],
            parameters=[spec.parameters],
            arguments=["--ros-args", "--log-level", said["log_level"]],
            output="screen",
            respawn=True,
            respawn_delay=0.5,
            sigterm_timeout="12",  # after the gateway, which writes to these devices on its way out
        )
    ]


def generate_launch_description():
    """The arguments and the node."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start_node)])
