# SPDX-License-Identifier: Apache-2.0
"""The farm: ros2 launch cmkd_ros farm.launch.py site:=/etc/cmkd/site.yaml, or sim:=true for the simulated one."""

import os
import platform

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, ThisLaunchFileDir
from launch_ros.actions import Node

from cmkd_ros.middleware.bringup import FarmOptions, composed_node, farm_nodes
from cmkd_ros.site import load_site

ARGUMENTS = [
    DeclareLaunchArgument("site", default_value="demo", description="Site file, or the name of a shipped one."),
    DeclareLaunchArgument(
        "sim", default_value="false", choices=["true", "false"], description="Start the simulated hardware as well."
    ),
    DeclareLaunchArgument(
        "policy",
        default_value="",
        description="rules, student, shadow or a policy module's name; empty: student on a simulated site, else rules.",
    ),
    DeclareLaunchArgument("policy_module", default_value="", description="Python file with make_policy(site)."),
    DeclareLaunchArgument("model", default_value="", description="The student's manifest; empty: the shipped one."),
    DeclareLaunchArgument(
        "trigger", default_value="timer", choices=["timer", "frame"], description="What starts a decision."
    ),
    DeclareLaunchArgument("decision_period", default_value="5.0", description="Seconds between decisions."),
    DeclareLaunchArgument("record", default_value="", description="Folder for bags; empty: nothing is recorded."),
    DeclareLaunchArgument("record_raw", default_value="", description="Raw topics to record too; all: every topic."),
    DeclareLaunchArgument(
        "composed",
        default_value=str(platform.machine() == "aarch64").lower(),
        choices=["true", "false"],
        description="All farm nodes in one process: default on a Pi, where it saves memory.",
    ),
    DeclareLaunchArgument("speed", default_value="1.0", description="Simulated seconds in a second."),
    DeclareLaunchArgument("seed", default_value="1", description="Of the simulated world."),
    DeclareLaunchArgument("start", default_value="", description="First moment of the simulated world, ISO 8601."),
    DeclareLaunchArgument(
        "weather_file", default_value="", description="Measured weather of the simulated world, CSV."
    ),
    DeclareLaunchArgument(
        "market_file", default_value="", description="Prices and carbon, CSV; empty: as the site has."
    ),
    DeclareLaunchArgument("modbus_port", default_value="0", description="TCP port of a simulated farm; 0: the site's."),
    DeclareLaunchArgument("namespace", default_value="farm", description="Namespace of every node and topic."),
    DeclareLaunchArgument("params_file", default_value="", description="ROS parameter file; its values win."),
    DeclareLaunchArgument(
        "use_sim_time", default_value="", description="Time from /clock; empty: yes on a simulated site."
    ),
    DeclareLaunchArgument(
        "autostart", default_value="true", choices=["true", "false"], description="false: a lifecycle manager does it."
    ),
    DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error or fatal."),
]


def start_nodes(context):
    """Turn the arguments into nodes, by the package's one list of them."""
    said = {name: LaunchConfiguration(name).perform(context) for name in (argument.name for argument in ARGUMENTS)}
    site = load_site(said["site"])
    options = FarmOptions(
        site=said["site"],
        policy=said["policy"],
        policy_module=said["policy_module"],
        model=said["model"],
        trigger=said["trigger"],
        decision_period_s=float(said["decision_period"]),
        speed=float(said["speed"]),
        record=os.path.abspath(said["record"]) if said["record"] else "",
        record_raw=said["record_raw"],
        seed=int(said["seed"]),
        start=said["start"],
        weather_file=os.path.abspath(said["weather_file"]) if said["weather_file"] else "",
        market_file=os.path.abspath(said["market_file"]) if said["market_file"] else "",
        modbus_port=int(said["modbus_port"]),
        autostart=said["autostart"] == "true",
        use_sim_time=said["use_sim_time"].lower() == "true" if said["use_sim_time"] else site.simulated,
    )
    specs = [composed_node(options)] if said["composed"] == "true" else farm_nodes(site, options)
    parameter_files = [said["params_file"]] if said["params_file"] else []
    return [
        Node(
            package="cmkd_ros",
            executable=spec.executable,
            name=spec.name,
            namespace=said["namespace"],
            parameters=[spec.parameters, *parameter_files],
            arguments=["--ros-args", "--log-level", said["log_level"]],
            output="screen",
            respawn=True,
            respawn_delay=0.5,
            sigterm_timeout="8",  # the gateway writes the safe states first
        )
        for spec in specs
    ]


def start_simulation(context):
    """Include simulation.launch.py where `sim:=true`."""
    if LaunchConfiguration("sim").perform(context) != "true":
        return []
    shared = ("site", "speed", "seed", "start", "weather_file", "modbus_port", "namespace", "log_level")
    source = PythonLaunchDescriptionSource([ThisLaunchFileDir(), "/simulation.launch.py"])
    return [IncludeLaunchDescription(source, launch_arguments=[(name, LaunchConfiguration(name)) for name in shared])]


def generate_launch_description():
    """The arguments, the simulated hardware, the farm."""
    return LaunchDescription(
        [*ARGUMENTS, OpaqueFunction(function=start_simulation), OpaqueFunction(function=start_nodes)]
    )
