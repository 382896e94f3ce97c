# SPDX-License-Identifier: Apache-2.0
"""Fusion: samples to windows, a decision every few seconds of ROS time whatever arrives, and the words about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import Image

from cmkd_ros.contract import decode
from cmkd_ros.contract.errors import PolicyError, SampleError
from cmkd_ros.contract.quantities import quantity
from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.fusion.options import Options
from cmkd_ros.middleware import encode, qos
from cmkd_ros.middleware.clock import ClockGuard
from cmkd_ros.middleware.diagnostics import OK, WARN, Health
from cmkd_ros.middleware.disk import state_folder
from cmkd_ros.middleware.lifecycle import FarmNode
from cmkd_ros.middleware.main import run
from cmkd_ros.middleware.parameters import NodeSettings
from cmkd_ros.middleware.synchroniser import ApproximateTimeSynchronizer, Subscriber
from cmkd_ros.msg import AudioChunk, Telemetry, Window
from cmkd_ros.nodes._voice import Voice
from cmkd_ros.policy.mind import Mind
from cmkd_ros.srv import SetOverride, SetPolicy

SAVE_WALL_S = 60.0
QUEUE = 30  # samples of each stream that wait for the others


@dataclass(frozen=True, kw_only=True)
class FusionSettings(Options, NodeSettings):
    """The fusion node's parameters."""

    policy: str = quantity(
        "",
        description="who acts at start: rules, student, shadow, or the name of the policy module's policy; "
        "empty: student on a simulated site, rules on a real one",
        read_only=True,
    )
    policy_module: str = quantity("", description="Python file with make_policy(site)", read_only=True)
    model: str = quantity("", description="the student's manifest; empty: the shipped one", read_only=True)
    decision_period_s: float = quantity(
        5.0, description="ROS time between decisions", unit="s", low=0.5, high=900, read_only=True
    )
    trigger: str = quantity(
        "timer",
        description="what starts a decision: the timer alone, or every aligned triple of samples as well",
        choices=("timer", "frame"),
        read_only=True,
    )
    slop_s: float = quantity(
        0.6, description="samples of a triple lie within this", unit="s", low=0.001, high=600, read_only=True
    )
    memory_max_age_s: float = quantity(
        86400.0, description="what an older run remembered is forgotten", unit="s", low=0, high=1e7, read_only=True
    )
    follow: str = quantity(
        "",
        description="for a replay: topic of fusion/window snapshots to go on from, each as it comes; nothing is "
        "decided before the first, and the disk is left alone",
        read_only=True,
    )


class FusionNode(FarmNode[FusionSettings]):
    """Thin glue between ROS and `policy.mind.Mind`. All of it runs in the executor's one thread."""

    Settings = FusionSettings

    def __init__(self, name: str = "fusion", **options: Any):
        super().__init__(name, **options)

    def configure(self) -> None:
        settings, folder = self.settings, state_folder(self.site.name)
        self._guard = ClockGuard(folder / "last_stamp_ns", self.simulated_time)
        self._memory = folder / "fusion.npz"
        self._mind = Mind(self.site, settings, settings.policy, settings.policy_module, settings.model)
        lifespan_s = 3 * settings.decision_period_s / settings.speed
        self._voice = Voice(self, self._mind, lifespan_s, shows_windows=not settings.follow)

    def activate(self) -> None:
        settings, mind = self.settings, self._mind
        self._voice.begin()
        self._remembers = bool(settings.follow)  # whether the last run's memory was looked at: that takes a clock
        sensor, state = (qos.REPLAYED, qos.REPLAYED) if settings.follow else (qos.SENSOR, qos.STATE)
        sky = Subscriber(self, Image, "sky/image", qos_profile=sensor)
        audio = Subscriber(self, AudioChunk, "pump/audio", qos_profile=sensor)
        telemetry = Subscriber(self, Telemetry, "telemetry", qos_profile=state)
        sky.registerCallback(self._take, "sky", decode.frame, mind.windower.push_frame)
        audio.registerCallback(self._take, "audio", decode.audio, mind.windower.push_audio)
        telemetry.registerCallback(self._take, "telemetry", decode.telemetry, mind.windower.push_telemetry)
        if settings.trigger == "frame":
            triples = ApproximateTimeSynchronizer([sky, audio, telemetry], QUEUE, settings.slop_s)
            triples.registerCallback(self._on_triple)
        self.create_service(SetPolicy, "set_policy", self._on_set_policy)
        self.create_service(SetOverride, "set_override", self._on_set_override)
        # Looks at ROS time ten times a period at least, however fast that runs.
        self.every(min(0.1, settings.decision_period_s / settings.speed / 10), self._look)
        if settings.follow:
            self.create_subscription(Window, settings.follow, self._on_window, qos.REPLAYED)
        else:
            self.every(SAVE_WALL_S, self._save)
            self.undo(self._save)

    def health(self) -> Iterable[Health]:
        mind = self._mind
        refused = {f"refused {why}": count for why, count in mind.windower.refused.items()}
        if mind.no_student:
            yield Health(WARN, mind.no_student)
        if mind.last is None:
            yield Health(WARN, "no decision yet", refused)
            return
        outcome = mind.last.outcome
        level = WARN if outcome.safe_only[0] or outcome.failures else OK
        values = {"mode": mind.mode, "inference_time_s": outcome.insight.inference_time_s, **refused}
        yield Health(level, outcome.reason or f"{outcome.acting_policy} acts", values)

    def _take(self, message: Any, name: str, decoded: Callable[[Any], Any], push: Callable[..., bool]) -> None:
        now_ns = self._now()
        try:
            sample = decoded(message)
        except SampleError as error:
            self.diagnostics.count(f"refused_{name}")
            self.get_logger().warning(str(error), throttle_duration_sec=60)
            return
        if now_ns <= 0 or not push(sample, now_ns):
            self.diagnostics.count(f"refused_{name}")
            return
        self.diagnostics.count(f"received_{name}")
        self.diagnostics.observe(f"age_{name}_s", (now_ns - sample.stamp_ns) / NANOSECONDS)
        if sample.stamp_ns <= self._mind.decided_ns - round(self.settings.guard_s * NANOSECONDS):
            self.diagnostics.count(f"late_{name}")

    def _look(self) -> None:
        period_ns = round(self.settings.decision_period_s * NANOSECONDS)
        grid_ns, decided_ns = self._now() // period_ns * period_ns, self._mind.decided_ns
        if grid_ns > decided_ns and (decided_ns or not self.settings.follow):
            if decided_ns and grid_ns - decided_ns >= 2 * period_ns:
                self.diagnostics.count("skipped", (grid_ns - decided_ns) // period_ns - 1)
            self._decide(grid_ns)

    def _on_triple(self, image: Image, *_others: Any) -> None:
        time_ns = decode.time_ns(image.header.stamp)
        newest_ns = self._now() + round(self.settings.future_tolerance_s * NANOSECONDS)
        if self._mind.decided_ns < time_ns <= newest_ns:
            self._decide(time_ns)

    def _now(self) -> int:
        """ROS time. The first time that there is one, the last run's memory is looked at."""
        now_ns, mind = self.now_ns(), self._mind
        if 0 < now_ns < mind.decided_ns - self.settings.jump_back_s * NANOSECONDS:
            self.get_logger().warning("ROS time jumped back: everything is forgotten")
            mind.forget()
        if now_ns > 0 and not self._remembers:
            self._remembers = True
            try:
                age_s = mind.remember(self._memory, now_ns, self.settings.memory_max_age_s)
            except (SampleError, PolicyError) as error:
                self.get_logger().warning(f"what the last run kept is of no use: {error}")
            else:
                if age_s is not None:
                    self.get_logger().info(f"goes on from what was known {age_s:.0f} s ago")
        return now_ns

    def _decide(self, time_ns: int) -> None:
        self._voice.say(self._mind.decide(time_ns, self._guard.why_not(time_ns)))
        self.diagnostics.count("decisions")

    def _on_window(self, message: Window) -> None:
        try:
            self._mind.recall(decode.time_ns(message.header.stamp), *decode.window(message), message.mode)
        except (SampleError, PolicyError) as error:
            self.get_logger().error(f"cannot go on from the window that came: {error}")
            return
        self._voice.show_window()  # says that it is so

    def _save(self) -> None:
        try:
            self._mind.save(self._memory)
        except OSError as error:
            self.get_logger().warning(f"cannot keep the window on disk: {error}", throttle_duration_sec=3600)

    def _on_set_policy(self, request: Any, response: Any) -> Any:
        response.previous = self._mind.mode

        def change() -> str:
            self._mind.set_policy(request.policy, request.reason)
            return f"{request.policy} from the next decision on"

        return self._obey(change, request, response)

    def _on_set_override(self, request: Any, response: Any) -> Any:
        def take() -> str:
            asked = (request.actuator, request.value, request.duration_s, request.reason, self._now())
            response.expires = encode.time(self._mind.set_override(*asked))
            what = f"{request.value:g} for {request.duration_s:g} s" if request.duration_s else "given back"
            return f"{request.actuator}: {what}, from the next decision on"

        return self._obey(take, request, response)

    def _obey(self, work: Callable[[], str], request: Any, response: Any) -> Any:
        try:
            response.message, response.accepted = work(), True
            self._voice.show_window()
            self.get_logger().warning(f"{response.message}: {request.reason}")
        except PolicyError as error:
            response.message, response.accepted = str(error), False
        return response


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    run(FusionNode)


if __name__ == "__main__":
    main()
