# SPDX-License-Identifier: Apache-2.0
"""What a farm at its working rate will record in a day: told at the start, before anything is measured."""

from __future__ import annotations

from cmkd_ros.bags import tracks
from cmkd_ros.bags.budget import DAY_BYTES, Choice, Stream, choose
from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.samples import Frame

WINDOW_EVERY_S = 600.0
FRAMES_IN_WINDOW = 72  # one a second of the last minute, and some

# Bytes of a message as serialised, and what zstd leaves of them: measured on the demo farm (docs/bags.md).
_INSIGHT, _DECISION, _TELEMETRY, _COMMAND, _STATE = 1600, 500, 1100, 130, 190
_SMALL_RATIO, _WINDOW_RATIO, _SOUND_RATIO, _STATE_BYTES = 0.15, 0.25, 0.85, 2_200_000


def expected(
    frame: Frame, audio_bytes: int, decision_s: float, telemetry_s: float, day_bytes: float = DAY_BYTES
) -> tuple[list[Stream], Choice]:
    """The streams of one farm, and how its sky frames are best kept: `frame` is one, `audio_bytes` a used sound's size.

    `decision_s` and `telemetry_s` are the periods of decisions and of telemetry.
    """
    small = [
        Stream(tracks.USED_AUDIO, audio_bytes, decision_s, _SOUND_RATIO),
        Stream(tracks.TELEMETRY, _TELEMETRY, telemetry_s, _SMALL_RATIO),
        Stream(tracks.INSIGHT, _INSIGHT, decision_s, _SMALL_RATIO),
        Stream(tracks.DECISION, _DECISION, decision_s, _SMALL_RATIO),
        Stream("*/command", _COMMAND, decision_s / len(ACTION_NAMES), _SMALL_RATIO),
        Stream("*/state", _STATE, telemetry_s / len(ACTION_NAMES), _SMALL_RATIO),
        Stream(tracks.WINDOW, _STATE_BYTES + FRAMES_IN_WINDOW * frame.pixels.nbytes, WINDOW_EVERY_S, _WINDOW_RATIO),
    ]
    choice = choose(tracks.USED_SKY, frame.pixels, decision_s, small, day_bytes)
    return [choice.stream, *small], choice
