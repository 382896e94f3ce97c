# SPDX-License-Identifier: Apache-2.0
"""Ears for a policy in a judged run: before each decision, the sound that a microphone at the pump would have sent."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.samples import NANOSECONDS
from cmkd_ros.evaluation.batch import Batch
from cmkd_ros.fusion.options import Sizes
from cmkd_ros.fusion.window import Window
from cmkd_ros.policy.interface import Insight, Policy
from cmkd_ros.policy.interface import State as Memory
from cmkd_ros.policy.manifest import load_manifest
from cmkd_ros.policy.student import Student
from cmkd_ros.simulation.sound import pump_sound
from cmkd_ros.simulation.world import State
from cmkd_ros.site.files import share


class Hearing:
    """A policy that is also given the sound; it sees nothing but the sound of the state that it is shown."""

    def __init__(self, batch: Batch, policy: Policy, sizes: Sizes):
        self._batch, self._policy, self._sizes, self.name = batch, policy, sizes, policy.name
        self._state: State | None = None

    def see(self, state: State) -> None:
        """The farm at this decision; whoever runs the episode shows it."""
        self._state = state

    def reset(self, batch: int) -> Memory:
        """The policy's own."""
        return self._policy.reset(batch)

    def decide(self, window: Window, state: Memory) -> tuple[NDArray[np.float64], Insight, Memory]:
        """As the policy decides, with sound. Raises `ValueError` when the farm was not shown."""
        farm, sizes = self._state, self._sizes
        if farm is None or not np.array_equal(farm.time_ns, window.time_ns):
            raise ValueError("the farm's state at this decision was not shown")
        begun_ns = window.time_ns - sizes.audio_samples * NANOSECONDS // sizes.audio_rate_hz
        flow = farm.flow_m3_per_h / self._batch.world.full_flow_m3_per_h
        running = np.stack([farm.pump_speed, np.minimum(flow, 1.0), farm.cavitation, farm.pump_wear, farm.compressor])
        audio = np.stack(
            [
                pump_sound(int(seed), int(stamp), sizes.audio_samples, sizes.audio_rate_hz, *numbers.tolist())
                for seed, stamp, numbers in zip(self._batch.seeds, begun_ns, running.T)
            ]
        )
        heard = dataclasses.replace(
            window,
            sky=np.zeros((window.batch, 2, sizes.sky_height, sizes.sky_width, 3), np.uint8),
            audio=audio,
            audio_rate_hz=sizes.audio_rate_hz,
            audio_mask=np.ones(window.batch, dtype=np.bool_),
            audio_stamps_ns=begun_ns,
        )
        return self._policy.decide(heard, state)

    def explain(self, window: Window, actions: NDArray[np.float64], state: Memory) -> list[str]:
        """The policy's reasons."""
        return self._policy.explain(window, actions, state)


def hearing(batch: Batch, policy: Policy | None = None) -> Hearing:
    """`policy` with ears; default: the shipped student. Raises `ModelError` when there is none."""
    if policy is None:
        policy = Student(load_manifest(share("models", "student.json")), batch.site)
    sizes = getattr(policy, "sizes", None)
    return Hearing(batch, policy, sizes if isinstance(sizes, Sizes) else Sizes())
