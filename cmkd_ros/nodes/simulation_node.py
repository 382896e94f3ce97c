# SPDX-License-Identifier: Apache-2.0
"""The simulated hardware and the world's time: Modbus devices, camera and microphone servers, and /clock."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rosgraph_msgs.msg import Clock

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.quantities import quantity
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.diagnostics import OK, WARN, Health
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.main import run
from cmkd_ros.middleware.parameters import NodeSettings
from cmkd_ros.simulation.farm import SimulatedFarm
from cmkd_ros.simulation.start import DEFAULT, beginning

LONGEST_LEAP_S = 0.5  # of wall time: after a hold-up the world goes on from where it was

LINGER_S = 1.0  # launch stops all nodes at once: the gateway's safe states must find their devices


@dataclass(frozen=True, kw_only=True)
class SimulationSettings(NodeSettings):
    """The simulation's parameters."""

    seed: int = quantity(1, description="of the world", low=0, high=2**31, read_only=True)
    start: str = quantity(
        "",
        description="the world's first moment, ISO 8601, local time without an offset; "
        f"empty: {DEFAULT}, or the first morning of the weather file",
        read_only=True,
    )
    weather_file: str = quantity(
        "",
        description="measured weather, CSV, which repeats when it is over: a table with its own times, or one day of "
        "HH:MM:SS,W/m2 by the local clock, taken for the first day; empty: made by the simulation",
        read_only=True,
    )
    clock_rate_hz: float = quantity(
        50.0, description="/clock, by the wall's clock", unit="Hz", low=1, high=60, read_only=True
    )
    camera_width: int = quantity(224, description="of the sky images", unit="px", low=16, high=4096, read_only=True)
    camera_height: int = quantity(224, description="of the sky images", unit="px", low=16, high=4096, read_only=True)
    camera_rate_hz: float = quantity(1.0, description="of the sky images", unit="Hz", low=0.01, high=60, read_only=True)
    audio_rate_hz: int = quantity(16000, description="of the sound", unit="Hz", low=4000, high=96000, read_only=True)


class SimulationNode(FarmNode[SimulationSettings]):
    """Owns the world's time. It does not follow /clock itself: run it with use_sim_time false."""

    Settings = SimulationSettings

    def __init__(self, name: str = "simulation", **options: Any):
        super().__init__(name, **options)

    def configure(self) -> None:
        settings = self.settings
        if self.simulated_time:
            raise ConfigurationError(self.get_fully_qualified_name(), ["use_sim_time must be false: it makes the time"])
        start_ns, measured = beginning(self.site, settings.start, settings.weather_file)
        self._farm = SimulatedFarm(
            self.site,
            settings.seed,
            start_ns,
            speed=settings.speed,
            camera_size=(settings.camera_width, settings.camera_height),
            camera_rate_hz=settings.camera_rate_hz,
            audio_rate_hz=settings.audio_rate_hz,
            measured=measured,
        )
        self._clock_publisher = self.create_publisher(Clock, "/clock", qos.CLOCK)

    def activate(self) -> None:
        self._farm.start()
        self.undo(self._farm.stop)
        self.undo(time.sleep, LINGER_S)
        self._ticked_s = time.monotonic()
        self._late_s = 0.0
        self.every(1.0 / self.settings.clock_rate_hz, self._tick)

    def health(self) -> Iterable[Health]:
        local = self.site.local_time(self._farm.now_ns)
        late = self._late_s > 1.0
        text = f"{local:%Y-%m-%d %H:%M:%S}, {self.settings.speed:g} times as fast as the wall"
        if self.settings.weather_file:
            text += f", weather of {self.settings.weather_file}"
        if late:
            text += f"; {self._late_s:.1f} s of wall time lost since start: this computer is too slow for it"
        yield Health(WARN if late else OK, text, {"lost_s": self._late_s})

    def _tick(self) -> None:
        now_s = time.monotonic()
        elapsed_s, self._ticked_s = now_s - self._ticked_s, now_s
        self._late_s += max(0.0, elapsed_s - LONGEST_LEAP_S)
        leap_s = min(elapsed_s, LONGEST_LEAP_S) * self.settings.speed
        self._farm.advance(self._farm.now_ns + round(leap_s * NANOSECONDS))
        self._clock_publisher.publish(Clock(clock=encode.time(self._farm.now_ns)))


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    run(SimulationNode)


if __name__ == "__main__":
    main()
