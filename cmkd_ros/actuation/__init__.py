# SPDX-License-Identifier: Apache-2.0
"""One actuator's logic, without ROS: from command to proposal through range, ramp, staleness and safe programme."""
