# SPDX-License-Identifier: Apache-2.0
"""cmkd_ros: sees the sky, hears the pump, reads the meters, and runs a small farm's microgrid.

A stage of the flow is a room (a sub-package), and a room's docstring says what lives there. Start at `contract`.
"""

from pkgutil import extend_path

# In a checkout the generated messages (cmkd_ros.msg, cmkd_ros.srv) lie in the environment: one package, two folders.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
