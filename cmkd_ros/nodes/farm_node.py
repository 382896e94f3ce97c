# SPDX-License-Identifier: Apache-2.0
"""The composed farm: every farm node but the simulation in one process, each with an executor thread of its own."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import rclpy

from cmkd_ros.middleware.bringup import FarmOptions, farm_nodes
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.main import run_together
from cmkd_ros.middleware.parameters import Parameters
from cmkd_ros.nodes.actuator_node import ActuatorNode
from cmkd_ros.nodes.camera_node import CameraNode
from cmkd_ros.nodes.fusion_node import FusionNode
from cmkd_ros.nodes.market_node import MarketNode
from cmkd_ros.nodes.microphone_node import MicrophoneNode
from cmkd_ros.nodes.modbus_node import ModbusNode
from cmkd_ros.nodes.recorder_node import RecorderNode
from cmkd_ros.site import load_site

NODES: dict[str, type[FarmNode[Any]]] = {
    "actuator_node": ActuatorNode,
    "camera_node": CameraNode,
    "fusion_node": FusionNode,
    "market_node": MarketNode,
    "microphone_node": MicrophoneNode,
    "modbus_node": ModbusNode,
    "recorder_node": RecorderNode,
}


def make_nodes() -> list[FarmNode[Any]]:
    """The nodes of the farm that this process's own parameters (`FarmOptions`) describe."""
    asked = rclpy.create_node("farm")
    try:
        options = Parameters(asked, FarmOptions).values
        namespace = asked.get_namespace()
    finally:
        asked.destroy_node()
    site = load_site(options.site)
    shared = inherited(sys.argv)
    return [
        NODES[spec.executable](
            spec.name, use_global_arguments=False, cli_args=[*spec.arguments(namespace), "--ros-args", *shared]
        )
        for spec in farm_nodes(site, options)
    ]


def inherited(arguments: list[str]) -> list[str]:
    """Of this process's ROS arguments those that are meant for its nodes: remappings of topics, parameter files, and
    parameters that name a node. Not the process's own name, namespace and parameters.
    """
    kept = []
    for flag, value in itertools.pairwise(arguments):
        topic = flag in ("-r", "--remap") and not value.startswith("__")
        of_a_node = flag in ("-p", "--param") and ":" in value.split(":=")[0]
        if topic or of_a_node or flag == "--params-file":
            kept += [flag, value]
    return kept


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    sys.exit(run_together(make_nodes))


if __name__ == "__main__":
    main()
