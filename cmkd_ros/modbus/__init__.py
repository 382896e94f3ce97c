# SPDX-License-Identifier: Apache-2.0
"""Modbus over TCP and RTU: register maps, codec, bus, SunSpec discovery, and the farm's field bus made of them.

`registers` says where a value stands in a device and `codec` turns it into words and back; both are shared with the
simulated devices. `bus` is one line with one master, `fieldbus` all that the gateway needs from the hardware.
"""

import logging

# pymodbus prints its last frames whenever a connection breaks. What matters of that is in our errors and /diagnostics.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
