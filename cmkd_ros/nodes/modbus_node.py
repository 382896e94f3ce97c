# SPDX-License-Identifier: Apache-2.0
"""The gateway: the only process that opens the buses, and the only writer. Serves proposals, publishes telemetry."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cmkd_ros.contract import decode
from cmkd_ros.contract.actions import SOURCES
from cmkd_ros.contract.errors import SampleError
from cmkd_ros.contract.quantities import quantity
from cmkd_ros.contract.samples import Telemetry
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.clock import ClockGuard
from cmkd_ros.middleware.diagnostics import ERROR, OK, WARN, Health
from cmkd_ros.middleware.disk import state_folder
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.main import run
from cmkd_ros.middleware.parameters import NodeSettings
from cmkd_ros.modbus.fieldbus import Fieldbus
from cmkd_ros.msg import Intervention
from cmkd_ros.msg import Market as MarketMessage
from cmkd_ros.msg import Telemetry as TelemetryMessage
from cmkd_ros.nodes._gateway import Callbacks, Gateway
from cmkd_ros.safety import unmetered
from cmkd_ros.safety.journal import Event
from cmkd_ros.srv import WriteSetpoint


@dataclass(frozen=True, kw_only=True)
class ModbusSettings(NodeSettings):
    """The gateway's parameters."""

    period_s: float = quantity(
        1.0, description="ROS time between polls of a bus", unit="s", low=0.05, high=900, read_only=True
    )
    future_tolerance_s: float = quantity(
        1.0, description="a proposal's stamp may be so far ahead", unit="s", low=0, high=60, read_only=True
    )


class ModbusNode(FarmNode[ModbusSettings]):
    """Thin glue between ROS and `_gateway.Gateway`."""

    Settings = ModbusSettings

    def __init__(self, name: str = "modbus", **options: Any):
        super().__init__(name, **options)

    def configure(self) -> None:
        Fieldbus(self.site)  # a site that does not fit its register maps is refused here
        self._telemetry = self.create_publisher(TelemetryMessage, "telemetry", qos.STATE)
        self._interventions = self.create_publisher(Intervention, "safety/interventions", qos.INTERVENTIONS)
        self._guard = ClockGuard(state_folder(self.site.name) / "last_stamp_ns", self.simulated_time)

    def activate(self) -> None:
        settings = self.settings
        self._gateway = Gateway(
            self.site,
            self.now_ns,
            Callbacks(self._publish_telemetry, self._publish_event, self._note, self.restart_soon),
            settings.period_s,
            settings.speed,
            settings.future_tolerance_s,
        )
        self._gateway.start()
        self.undo(self._gateway.stop)
        self.create_subscription(MarketMessage, "market", self._on_market, qos.LATCHED)
        self.create_service(WriteSetpoint, "write_setpoint", self._on_proposal)
        self.every(min(1.0, self.settings.period_s / self.settings.speed), self._tick)

    def health(self) -> Iterable[Health]:
        gateway = self._gateway
        yield Health(values=dict(gateway.counts))
        if not self.site.modbus.write:
            yield Health(OK, "read-only: nothing is written until the site file says modbus.write: true")
        why = self._guard.why_not(self.now_ns())
        if why:
            yield Health(WARN, f"safe programmes only: {why}")
        step = gateway.last_step
        if step is not None and step.unmet:
            yield Health(ERROR, "unmet: " + ", ".join(f"{limit} by {by:.3g}" for limit, by in step.unmet.items()))
        lacking = unmetered(self.site)
        yield Health(WARN if lacking else OK, "; ".join(lacking) or "every interlock has its meter", part="interlocks")
        faults = gateway.faults()
        for name, device in gateway.fieldbus.health().items():
            fault = faults.get(name, "")
            level = OK if device.connected and not fault else WARN if device.connected else ERROR
            values = {
                "connected": device.connected,
                "answered": device.answered,
                "failed": device.failed,
                "latency_s": device.latency_s,
                "last_error": device.last_error,
            }
            yield Health(level, fault or ("answers" if device.connected else device.last_error), values, name)

    def _tick(self) -> None:
        now_ns = self.now_ns()
        self._gateway.safe_only(self._guard.why_not(now_ns))
        self._gateway.step()
        with contextlib.suppress(OSError):  # a full disk is no reason to stop a farm
            self._guard.keep(now_ns)

    def _on_market(self, message: MarketMessage) -> None:
        try:
            self._gateway.market(decode.market(message))
        except SampleError as error:
            self.diagnostics.count("refused_market")
            self.get_logger().warning(str(error), throttle_duration_sec=60)

    def _on_proposal(self, request: Any, response: Any) -> Any:
        source = SOURCES[request.source] if request.source < len(SOURCES) else SOURCES[0]
        stamp_ns = decode.time_ns(request.header.stamp)
        answer = self._gateway.propose(request.actuator, request.value, stamp_ns, source, request.reason)
        read_back, healthy, fault = self._gateway.read_back(request.actuator)
        response.accepted, response.admitted, response.read_back = answer.accepted, answer.admitted, read_back
        response.limited_by, response.healthy = answer.limited_by, healthy
        response.reason = "; ".join(text for text in (answer.reason, fault) if text)
        return response

    def _publish_telemetry(self, sample: Telemetry) -> None:
        self._telemetry.publish(encode.telemetry(sample))
        self.diagnostics.count("published")

    def _publish_event(self, event: Event) -> None:
        self._interventions.publish(encode.intervention(event))

    def _note(self, text: str) -> None:
        self.get_logger().warning(text)


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    run(ModbusNode)


if __name__ == "__main__":
    main()
