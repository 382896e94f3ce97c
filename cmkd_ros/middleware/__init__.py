# SPDX-License-Identifier: Apache-2.0
"""rclpy glue: start-up, parameters, message encoding, QoS, diagnostics, synchroniser. Only `bringup` imports no ROS."""
