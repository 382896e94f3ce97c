# SPDX-License-Identifier: Apache-2.0
"""What ROS needs to find in the environment, filled in where nobody set it, and where the executables lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.site import share


def prepare() -> None:
    """Complete this process's environment, before anything imports rclpy; children inherit it.

    On a sourced ROS 2 nothing changes but discovery and transport, which default to this machine only: a farm of
    several hosts sets ROS_AUTOMATIC_DISCOVERY_RANGE and FASTRTPS_DEFAULT_PROFILES_FILE itself.
    """
    bin_folder = str(Path(sys.executable).parent)
    if bin_folder not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([bin_folder, os.environ.get("PATH", "")])
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("FASTRTPS_DEFAULT_PROFILES_FILE", str(share("resource", "fastdds.xml")))


def executable(name: str) -> Path:
    """The node executable `lib/cmkd_ros/<name>`, where `ros2 run` finds it too.

    Raises `ConfigurationError` when no prefix of AMENT_PREFIX_PATH has it.
    """
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    for prefix in prefixes:
        path = prefix / "lib" / "cmkd_ros" / name
        if path.exists():
            return path
    raise ConfigurationError(
        f"executable {name}", [f"not in lib/cmkd_ros of {', '.join(map(str, prefixes)) or 'nowhere'}"]
    )
