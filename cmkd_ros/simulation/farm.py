# SPDX-License-Identifier: Apache-2.0
"""The simulated farm: one state of the world that moves every device. Knows no ROS; a node gives it the time."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.errors import ConfigurationError
from cmkd_ros.contract.samples import NANOSECONDS, AudioChunk, Frame, Market
from cmkd_ros.simulation import prices
from cmkd_ros.simulation.devices import Devices
from cmkd_ros.simulation.equipment import Equipment
from cmkd_ros.simulation.measured import Measured
from cmkd_ros.simulation.pump import TANK_DRY
from cmkd_ros.simulation.sensors import SensorServer, period_ns
from cmkd_ros.simulation.sky import fisheye
from cmkd_ros.simulation.sound import pump_sound
from cmkd_ros.simulation.weather import exposure
from cmkd_ros.simulation.world import STEP_NS, State, World
from cmkd_ros.site import Site

HEARTBEAT_TIMEOUT_S = 20.0


class SimulatedFarm:
    """A farm at `site`, from `start_ns` on; the same seed and the same writes give the same farm.

    `advance(to_ns)` moves the world; nothing here reads a clock. `speed` (world seconds a wall second) only sets how
    often sensors send and, above 10, lengthens the default heartbeat time-out to two wall seconds. `modbus_port`,
    `camera_port` and `microphone_port` replace those of the site file; 0 takes free ones (`devices.ports`,
    `camera.port`, `microphone.port`). A site without a `sim://` camera or microphone gets none. With `measured` (see
    `simulation.start`) that weather replaces the synthetic one, in the sky as well.
    Raises `ConfigurationError` when site file and register maps do not fit together.
    """

    def __init__(
        self,
        site: Site,
        seed: int,
        start_ns: int,
        modbus_port: int | None = None,
        *,
        speed: float = 1.0,
        camera_port: int | None = None,
        camera_size: tuple[int, int] = (224, 224),
        camera_rate_hz: float = 1.0,
        microphone_port: int | None = None,
        audio_rate_hz: int = 16_000,
        chunk_s: float = 1.0,
        heartbeat_timeout_s: float | None = None,
        measured: Measured | None = None,
    ):
        if not site.simulated:
            raise ConfigurationError(f"site {site.name!r}", ["simulated: is false, so its devices are real"])
        self.site, self.seed = site, seed
        self.world = World(site, np.array([seed]), measured=measured)
        self._state = self.world.initial(start_ns)
        self._readings: tuple[State, dict[str, float]] | None = None
        self._moving = threading.Lock()
        timeout_s = heartbeat_timeout_s or max(HEARTBEAT_TIMEOUT_S, 2.0 * speed)
        self.equipment = Equipment(site, start_ns, timeout_s)
        self.devices = Devices(site, self.equipment, self.readings, modbus_port)
        self._camera_size = camera_size
        self._audio_rate_hz, self._samples = audio_rate_hz, round(chunk_s * audio_rate_hz)
        self.camera = _server(site.sensors.camera, camera_port, period_ns(camera_rate_hz, speed), self._frame)
        self.microphone = _server(
            site.sensors.microphone, microphone_port, period_ns(1.0 / chunk_s, speed), self._chunk
        )
        self._now_ns = start_ns
        self._tick(start_ns)

    @property
    def now_ns(self) -> int:
        """The world's time, UTC nanoseconds."""
        return self._now_ns

    @property
    def state(self) -> State:
        """The world's state, with what no meter shows (flow, cavitation, tank). Never changed in place."""
        return self._state

    def start(self) -> None:
        """Serve Modbus, camera and microphone. Raises `DeviceError` when a port is taken."""
        self.devices.start()
        for server in self._servers():
            server.start()

    def stop(self) -> None:
        """Stop serving and let go of ports and paths. The world stays, and `start` serves it again."""
        for server in self._servers():
            server.stop()
        self.devices.close()

    def advance(self, to_ns: int) -> None:
        """Move the world to `to_ns` in steps of 1 s (0.5 ms, mostly weather); a time in the past changes nothing."""
        with self._moving:
            while self._state.time_ns[0] + STEP_NS <= to_ns:
                wet = self._state.tank_m3[0] > TANK_DRY * self.world.tank_m3
                actions = self.equipment.actions(int(self._state.time_ns[0]) + STEP_NS, bool(wet))
                self._state = self.world.step(self._state, actions)
            self._now_ns = max(self._now_ns, to_ns)
        self._tick(self._now_ns)

    def disturb(self, **fields: float) -> None:
        """Change hidden state, for tests and demonstrations: `disturb(tank_m3=0.0)` empties the nutrient tank."""
        with self._moving:
            changed = {name: np.array([float(value)]) for name, value in fields.items()}
            self._state = dataclasses.replace(self._state, **changed)

    def readings(self) -> dict[str, float]:
        """Every meter by telemetry channel, now; and `pv_energy_kwh`."""
        state, known = self._state, self._readings
        if known is None or known[0] is not state:
            values = {name: float(value[0]) for name, value in self.world.readings(state).items()}
            values["pv_energy_kwh"] = float(state.pv_kwh[0])
            self._readings = known = (state, values)
        return known[1]

    def sky(self, stamp_ns: int, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """The sky at any time, (height, width, 3) uint8 RGB; `size` is (width, height). Pure in (seed, time)."""
        width, height = size or self._camera_size
        now = self.world.weather(np.array([stamp_ns], np.int64))
        return fisheye(width, height).render(
            now.sky, float(now.sun_elevation_deg[0]), float(now.sun_azimuth_deg[0]), float(exposure(now)[0])
        )

    def sound(self, stamp_ns: int, count: int, rate_hz: int = 16_000) -> NDArray[np.int16]:
        """`count` samples of the pump as it runs now, (count,) int16 PCM, with the noise of the time `stamp_ns`."""
        state = self._state
        return pump_sound(
            self.seed,
            stamp_ns,
            count,
            rate_hz,
            float(state.pump_speed[0]),
            float(min(state.flow_m3_per_h[0] / self.world.full_flow_m3_per_h, 1.0)),
            float(state.cavitation[0]),
            float(state.pump_wear[0]),
            float(state.compressor[0]),
        )

    def market(self, now_ns: int) -> Market:
        """Prices and grid carbon known at `now_ns`."""
        return prices.market(self.site, self.seed, now_ns)

    def _frame(self, stamp_ns: int) -> Frame:
        return Frame(stamp_ns, self.sky(stamp_ns))

    def _chunk(self, end_ns: int) -> AudioChunk:
        # Due when its last sample is over: the chunk ends where its period does.
        stamp_ns = end_ns - self._samples * NANOSECONDS // self._audio_rate_hz
        samples = self.sound(stamp_ns, self._samples, self._audio_rate_hz)
        return AudioChunk(stamp_ns, samples.reshape(-1, 1), self._audio_rate_hz)

    def _servers(self) -> list[SensorServer]:
        return [server for server in (self.camera, self.microphone) if server is not None]

    def _tick(self, now_ns: int) -> None:
        for server in self._servers():
            server.tick(now_ns)


def _server(
    source: str, port: int | None, period: int, make: Callable[[int], Frame | AudioChunk]
) -> SensorServer | None:
    if not source.startswith("sim://"):
        return None
    host, _, named = source.removeprefix("sim://").rpartition(":")
    return SensorServer(host, int(named) if port is None else port, period, make)
