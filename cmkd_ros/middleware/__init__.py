# SPDX-License-Identifier: Apache-2.0
"""rclpy glue: start-up, parameters, message encoding, QoS, diagnostics, the time synchroniser. Only here and in nodes."""
