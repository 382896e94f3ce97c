# SPDX-License-Identifier: Apache-2.0
"""One actuator: follows its commands, asks the gateway for setpoints, tells its state. Five nodes run this file."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cmkd_ros.actuation import Actuator, ActuatorOptions, Answer
from cmkd_ros.actuation.actuator import DISCONNECTED, SAFE_PROGRAMME
from cmkd_ros.contract import decode
from cmkd_ros.contract.actions import ACTION_NAMES, SOURCES
from cmkd_ros.contract.quantities import quantity
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.diagnostics import ERROR, OK, WARN, Health
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.main import run
from cmkd_ros.middleware.parameters import NodeSettings
from cmkd_ros.msg import ActuatorCommand, ActuatorState
from cmkd_ros.srv import WriteSetpoint

AT_ONCE_WALL_S = 0.1  # commands that come quicker than this wait for the next period
NO_ANSWER_WALL_S = 2.0


@dataclass(frozen=True, kw_only=True)
class ActuatorSettings(ActuatorOptions, NodeSettings):
    """An actuator node's parameters."""

    actuator: str = quantity(description="which one", choices=ACTION_NAMES, read_only=True)


class ActuatorNode(FarmNode[ActuatorSettings]):
    """Thin glue between ROS and `actuation.Actuator`."""

    Settings = ActuatorSettings

    def __init__(self, name: str = "actuator", **options: Any):
        super().__init__(name, **options)

    def configure(self) -> None:
        self._name = self.settings.actuator
        self._state = self.create_publisher(ActuatorState, f"{self._name}/state", qos.STATE)

    def activate(self) -> None:
        settings = self.settings
        self._actuator = Actuator(self.site, self._name, settings, settings.speed)
        self._pending: tuple[Any, float] | None = None  # the request that the gateway has not answered, and since when
        self._stepped_s = 0.0
        self._told = True
        self._client = self.create_client(WriteSetpoint, "write_setpoint")
        lifespan_s = settings.stale_periods * settings.decision_period_s / settings.speed
        self.create_subscription(ActuatorCommand, f"{self._name}/command", self._on_command, qos.command(lifespan_s))
        # On the wall's clock, so that a stopped /clock is noticed. Its period follows the speed.
        self.every(settings.period_s / settings.speed, self._tick)

    def health(self) -> Iterable[Health]:
        status = self._actuator.status(self.now_ns(), time.monotonic())
        level = {SAFE_PROGRAMME: WARN, DISCONNECTED: ERROR}.get(status.mode, OK)
        values = {"setpoint": status.setpoint, "applied": status.applied, "read_back": status.read_back}
        yield Health(level, status.reason, {**values, "limited_by": status.limited_by, "healthy": status.healthy})

    def _on_command(self, message: ActuatorCommand) -> None:
        command, now_s = decode.command(message), time.monotonic()
        refused = "other_actuator" if command.actuator not in ("", self._name) else ""
        refused = refused or self._actuator.command(command, self.now_ns(), now_s)
        self.diagnostics.count(f"refused_{refused}" if refused else "received")
        if not refused and now_s - self._stepped_s >= AT_ONCE_WALL_S:
            self._propose()

    def _tick(self) -> None:
        if not self._told:
            self._tell()
        self._told = False
        self._propose()

    def _propose(self) -> None:
        now_s = time.monotonic()
        if self._pending is not None:
            future, asked_s = self._pending
            if now_s - asked_s < NO_ANSWER_WALL_S:
                return
            self._client.remove_pending_request(future)
            self._pending = None
            self.diagnostics.count("unanswered")
        self._stepped_s = now_s
        proposal = self._actuator.step(self.now_ns(), now_s)
        if proposal is None or not self._client.service_is_ready():
            return
        request = WriteSetpoint.Request(
            actuator=self._name,
            value=proposal.value,
            source=SOURCES.index(proposal.source),
            reason=proposal.reason,
        )
        request.header.stamp = encode.time(proposal.stamp_ns)
        future = self._client.call_async(request)
        self._pending = (future, now_s)
        future.add_done_callback(self._on_answer)
        self.diagnostics.count("proposed")

    def _on_answer(self, future: Any) -> None:
        if self._pending is None or self._pending[0] is not future:
            return
        self._pending = None
        answer = future.result()
        self._actuator.answer(
            Answer(
                answer.accepted, answer.admitted, answer.read_back, answer.limited_by, answer.reason, answer.healthy
            ),
            time.monotonic(),
        )
        self._tell()

    def _tell(self) -> None:
        now_ns = self.now_ns()
        self._state.publish(encode.actuator_state(self._actuator.status(now_ns, time.monotonic()), now_ns))
        self._told = True


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    run(ActuatorNode)


if __name__ == "__main__":
    main()
