# SPDX-License-Identifier: Apache-2.0
"""Modbus: register maps, codec, client and bus (TCP, RTU). Knows registers and units, not what is safe to write."""
