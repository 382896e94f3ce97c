# SPDX-License-Identifier: Apache-2.0
"""The base of every node: a managed node that starts itself, undoes whatever it did, and heals by starting again.

A node writes two hooks, `configure` and `activate`. What they create (publishers, timers ...) and what they hand to
`undo` is taken back in reverse order on the way down, so there is no clean-up to forget. A callback that raises takes
the node down to unconfigured and, with `autostart`, up again.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from rclpy._rclpy_pybind11 import RCLError
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from cmkd_ros.contract.errors import CmkdError
from cmkd_ros.middleware.diagnostics import ERROR, WARN, Diagnostics, Health
from cmkd_ros.middleware.parameters import NodeSettings, Parameters
from cmkd_ros.site import Site, load_site

HOUSEKEEPING_S = 0.2
REPORT_S = 1.0
FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 5.0

S = TypeVar("S", bound=NodeSettings)


class FarmNode(LifecycleNode, Generic[S]):
    """One node of the farm. `Settings` is the dataclass of its parameters; `options` go to rclpy's Node."""

    Settings: type[NodeSettings] = NodeSettings

    def __init__(self, name: str, **options: Any):
        super().__init__(name, **options)
        self.parameters: Parameters[S] = Parameters(self, self.Settings, self._settings_changed)  # type: ignore[arg-type]
        self.diagnostics = Diagnostics(self)
        self.site: Site
        self._phases = {"configure": contextlib.ExitStack(), "activate": contextlib.ExitStack()}
        self._undoing = contextlib.ExitStack()
        self._trouble = ""  # why it is not running
        self._wanted = self.settings.autostart
        self._retry_s, self._retry_at_s = FIRST_RETRY_S, 0.0
        self._report_at_s = 0.0
        self._restart_because = ""
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.every(HOUSEKEEPING_S, self._housekeeping)

    # What a node writes.

    def configure(self) -> None:
        """Open what the node needs. Raise to refuse; it is logged and tried again."""

    def activate(self) -> None:
        """Start working: subscriptions, timers, threads."""

    def health(self) -> Iterable[Health]:
        """Findings for /diagnostics, once a second, in every state."""
        return ()

    def settings_changed(self) -> None:
        """A parameter was changed while running."""

    # What a node uses.

    @property
    def settings(self) -> S:
        """The parameters as they stand now."""
        return self.parameters.values

    @property
    def state(self) -> str:
        """unconfigured, inactive, active or finalized."""
        return str(self._state_machine.current_state[1])

    @property
    def active(self) -> bool:
        """Whether the node works."""
        return self.state == "active"

    def now_ns(self) -> int:
        """ROS time, UTC nanoseconds; 0 under use_sim_time before /clock was heard."""
        return int(self.get_clock().now().nanoseconds)

    @property
    def simulated_time(self) -> bool:
        """Whether time comes from /clock."""
        return bool(self.get_parameter("use_sim_time").value)

    def every(self, wall_s: float, callback: Callable[[], None]) -> None:
        """A timer on the wall's clock, which goes on when /clock stops."""
        self.create_timer(wall_s, callback, clock=self._steady_clock)

    def undo(self, callback: Callable[..., Any], *arguments: Any) -> None:
        """Called by `configure` and `activate`: what to do on the way down, last given first done."""
        self._undoing.callback(callback, *arguments)

    def restart_soon(self, why: str) -> None:
        """From any thread: take the node down and, with autostart, up again."""
        self._restart_because = why

    def restart(self, why: str) -> None:
        """Take the node down and, with autostart, up again. In the executor's thread only."""
        self.get_logger().error(f"starting again: {why}")
        self._trouble = why
        self._down()
        self._wanted = self.settings.autostart
        self._postpone()

    def close(self) -> None:
        """Down to finalized, and gone. After its executor has stopped."""
        self._wanted = False
        self._down()
        if self.state == "unconfigured":
            self.trigger_shutdown()
        self.destroy_node()

    def _LifecycleNodeMixin__on_change_state(self, request: Any, response: Any) -> Any:
        # rclpy lets an impossible transition raise out of its service, which would leave the caller without an answer
        # and start the node again.
        try:
            return super()._LifecycleNodeMixin__on_change_state(request, response)  # type: ignore[misc]
        except RCLError as error:
            self.get_logger().warning(f"refused: {error}")
            response.success = False
            return response

    # Lifecycle: rclpy calls these, and would swallow what they raise.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._up("configure", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._up("activate", self.activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._undo("activate")

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._undo("configure")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._wanted = False
        self._undo("activate")
        return self._undo("configure")

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._undo("activate")
        self._undo("configure")
        self._wanted = self.settings.autostart
        self._postpone()
        return TransitionCallbackReturn.SUCCESS  # unconfigured, where it can start again

    def _configure(self) -> None:
        site, port = load_site(self.settings.site), self.settings.modbus_port
        self.site = site.at_port(port) if port else site
        self.configure()

    def _up(self, phase: str, hook: Callable[[], None]) -> TransitionCallbackReturn:
        self._undoing = self._phases[phase]
        self._undoing.callback(self._destroy_all_but, set(self._entities()))
        try:
            hook()
        except Exception as error:
            self._trouble = f"{phase}: {error}"
            details = "" if isinstance(error, CmkdError) else f"\n{traceback.format_exc()}"
            self.get_logger().error(f"cannot {phase}: {error}{details}")
            self._undo(phase)
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _undo(self, phase: str) -> TransitionCallbackReturn:
        try:
            self._phases[phase].close()  # does all of it, whatever raises
        except Exception as error:
            self._trouble = f"undoing {phase}: {error}"
            self.get_logger().error(f"undoing {phase}: {error}\n{traceback.format_exc()}")
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _entities(self) -> Iterator[Any]:
        for kind in (self.publishers, self.subscriptions, self.timers, self.services, self.clients, self.guards):
            yield from kind

    def _destroy_all_but(self, kept: set[Any]) -> None:
        kinds = {
            "publishers": self.destroy_publisher,
            "subscriptions": self.destroy_subscription,
            "timers": self.destroy_timer,
            "services": self.destroy_service,
            "clients": self.destroy_client,
            "guards": self.destroy_guard_condition,
        }
        for name, destroy in kinds.items():
            for entity in list(getattr(self, name)):
                if entity not in kept and getattr(entity, "topic_name", "") != "/clock":  # rclpy's own
                    destroy(entity)

    def _down(self) -> None:
        if self.state == "active":
            self.trigger_deactivate()
        if self.state == "inactive":
            self.trigger_cleanup()

    def _postpone(self) -> None:
        self._retry_at_s = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)

    def _housekeeping(self) -> None:
        now_s = time.monotonic()
        if self._restart_because:
            why, self._restart_because = self._restart_because, ""
            self.restart(why)
        if self._wanted and now_s >= self._retry_at_s:
            self._start()
        if now_s >= self._report_at_s:
            self._report_at_s = now_s + REPORT_S
            self.diagnostics.publish(self.state, [*self._own_health(), *self._safely_health()])

    def _start(self) -> None:
        if self.state == "inactive":  # activation failed, or somebody else got this far: from the bottom
            self.trigger_cleanup()
        if self.state == "unconfigured":
            self.trigger_configure()
        if self.state == "inactive":
            self.trigger_activate()
        if self.active:
            # From here on an operator may deactivate it without being overruled.
            self._wanted, self._retry_s, self._trouble = False, FIRST_RETRY_S, ""
        else:
            self._postpone()

    def _own_health(self) -> Iterable[Health]:
        if not self.active:
            yield Health(ERROR if self._trouble else WARN, f"{self.state}: {self._trouble}".rstrip(": "))

    def _safely_health(self) -> list[Health]:
        try:
            return list(self.health()) if self.active else []
        except Exception as error:  # a report must never stop the work
            return [Health(ERROR, f"cannot say how it is: {error}")]

    def _settings_changed(self) -> None:
        if self.active:
            self.settings_changed()
