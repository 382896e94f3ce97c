# SPDX-License-Identifier: Apache-2.0
"""One farm's configuration: place, sizes, tariff, limits, meters, Modbus devices, safe states. Farm facts only.

`load_site(path)` reads a site file (YAML) into a `Site`; each section is a dataclass in `sections` that validates where
it is built. Node settings (periods, devices' file names on this computer) are ROS parameters, not site facts.
"""

from cmkd_ros.site.files import load_site, read_yaml, save_site, share
from cmkd_ros.site.site import Site

__all__ = ["Site", "load_site", "read_yaml", "save_site", "share"]
