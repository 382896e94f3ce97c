# SPDX-License-Identifier: Apache-2.0
"""The simulated farm: a world, and devices around it that speak the real protocols (Modbus, camera, microphone)."""
