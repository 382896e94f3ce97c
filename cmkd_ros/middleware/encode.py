# SPDX-License-Identifier: Apache-2.0
"""Samples and decisions to messages; `contract.decode` is the way back.

What comes from rooms that this one may not import (fusion, policy, actuation, safety) is read by field name, as the
decoder reads messages. All bulk data goes through array.array: rclpy takes it as it is and walks through anything else.
"""

from __future__ import annotations

import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image

from cmkd_ros.contract.actions import ACTIONS, SOURCES
from cmkd_ros.contract.samples import NANOSECONDS, AudioChunk, Command, Frame, Market, Telemetry
from cmkd_ros.contract.student import MODALITIES
from cmkd_ros.contract.telemetry import CHANNEL_NAMES
from cmkd_ros.msg import (
    ActuatorCommand,
    ActuatorState,
    Decision,
    Forecast,
    Insight,
    Intervention,
    Modality,
    NamedArray,
    Proposal,
    Window,
)
from cmkd_ros.msg import AudioChunk as AudioChunkMessage
from cmkd_ros.msg import Market as MarketMessage
from cmkd_ros.msg import Telemetry as TelemetryMessage

SKY_FRAME, MICROPHONE_FRAME = "sky_camera_optical_frame", "pump_microphone"


def time(stamp_ns: int) -> Time:
    """UTC nanoseconds -> builtin_interfaces/Time."""
    return Time(sec=int(stamp_ns) // NANOSECONDS, nanosec=int(stamp_ns) % NANOSECONDS)


def image(frame: Frame, frame_id: str = SKY_FRAME) -> Image:
    """`Frame` -> sensor_msgs/Image, rgb8."""
    height, width, _ = frame.pixels.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width, data=_packed("B", frame.pixels))
    return _stamped(message, frame.stamp_ns, frame_id)


def camera_info(frame: Frame, frame_id: str = SKY_FRAME) -> CameraInfo:
    """The sensor_msgs/CameraInfo of an uncalibrated camera: its size; a `k` of zeros says that no more is known."""
    height, width, _ = frame.pixels.shape
    return _stamped(CameraInfo(height=height, width=width), frame.stamp_ns, frame_id)


def audio(chunk: AudioChunk, frame_id: str = MICROPHONE_FRAME) -> AudioChunkMessage:
    """`AudioChunk` -> cmkd_ros/AudioChunk."""
    message = AudioChunkMessage(
        rate_hz=int(chunk.rate_hz), channels=chunk.samples.shape[1], samples=_packed("h", chunk.samples)
    )
    return _stamped(message, chunk.stamp_ns, frame_id)


def telemetry(sample: Telemetry) -> TelemetryMessage:
    """`Telemetry` -> cmkd_ros/Telemetry. A channel that is missing is NaN."""
    message = TelemetryMessage(
        **{name: float(sample.values.get(name, np.nan)) for name in CHANNEL_NAMES},
        import_price_ahead_eur_per_kwh=_floats(sample.import_price_ahead_eur_per_kwh),
        feed_in_price_ahead_eur_per_kwh=_floats(sample.feed_in_price_ahead_eur_per_kwh),
        grid_carbon_ahead_kg_per_kwh=_floats(sample.grid_carbon_ahead_kg_per_kwh),
    )
    for name, stamp_ns in sample.read_stamps_ns.items():
        setattr(message.read_stamps, name, time(stamp_ns))
    return _stamped(message, sample.stamp_ns)


def market(sample: Market, source: str) -> MarketMessage:
    """`Market` -> cmkd_ros/Market. `source` is tariff, file or simulator."""
    message = MarketMessage(
        start=time(sample.start_ns),
        step_s=float(sample.step_s),
        import_price_eur_per_kwh=_doubles(sample.import_price_eur_per_kwh),
        feed_in_price_eur_per_kwh=_doubles(sample.feed_in_price_eur_per_kwh),
        grid_carbon_kg_per_kwh=_doubles(sample.grid_carbon_kg_per_kwh),
        source=source,
    )
    return _stamped(message, sample.stamp_ns)


def command(sample: Command) -> ActuatorCommand:
    """`Command` -> cmkd_ros/ActuatorCommand."""
    message = ActuatorCommand(
        actuator=sample.actuator,
        value=float(sample.value),
        source=SOURCES.index(sample.source),
        reason=sample.reason,
    )
    return _stamped(message, sample.stamp_ns)


def actuator_state(status: Any, stamp_ns: int) -> ActuatorState:
    """`actuation.Status` -> cmkd_ros/ActuatorState."""
    fields = {name: getattr(status, name) for name in ActuatorState.get_fields_and_field_types() if name != "header"}
    fields["source"] = SOURCES.index(status.source)
    return _stamped(ActuatorState(**fields), stamp_ns)


def intervention(event: Any) -> Intervention:
    """`safety.Event` -> cmkd_ros/Intervention."""
    names = set(Intervention.get_fields_and_field_types()) - {"header"}
    return _stamped(Intervention(**{name: getattr(event, name) for name in names}), event.stamp_ns)


def decision(outcome: Any, time_ns: int, reasons: Mapping[str, str], row: int = 0) -> Decision:
    """`policy.Outcome` -> cmkd_ros/Decision. `reasons` says by policy why it proposes what it does."""
    proposals = [
        Proposal(
            policy=name,
            reason=reasons.get(name, ""),
            **{action.field: float(value) for action, value in zip(ACTIONS, actions[row])},
        )
        for name, actions in outcome.proposals.items()
    ]
    message = Decision(
        mode=outcome.mode,
        acting_policy=outcome.acting_policy,
        safe_only=bool(outcome.safe_only[row]),
        proposals=proposals,
        commands=_floats(outcome.commands[row]),
        sources=np.asarray(outcome.sources[row], np.uint8),
        reason=outcome.reason,
    )
    return _stamped(message, time_ns)


def insight(believed: Any, window: Any, stamps_ns: Mapping[str, Iterable[int]], row: int = 0) -> Insight:
    """`policy.Insight`, and the window it was made from, -> cmkd_ros/Insight.

    `stamps_ns` gives by modality the samples used (`fusion.Used.stamps_ns`).
    """
    message = Insight(
        irradiance_w_per_m2=float(believed.irradiance_w_per_m2[row]),
        cavitation_probability=float(believed.cavitation_probability[row]),
        guard_s=float(window.guard_s),
        model_name=believed.model_name,
        model_sha256=believed.model_sha256,
        inference_time_s=float(believed.inference_time_s),
        **{name: _forecast(ahead, row) for name, ahead in believed.forecasts.items()},
    )
    for index, name in enumerate(MODALITIES):
        age_s = float(window.ages_s[row, index])
        modality = Modality(weight=float(believed.weights[row, index]), age_s=age_s, used=bool(np.isfinite(age_s)))
        modality.stamps = [time(stamp) for stamp in stamps_ns.get(name, ())]
        setattr(message, name, modality)
    return _stamped(message, int(window.time_ns[row]))


def window(
    arrays: Mapping[str, NDArray[Any]], frames: Iterable[Frame], stamp_ns: int, step_s: float, **facts: str
) -> Window:
    """Named arrays and frames -> cmkd_ros/Window. `facts` are mode, site_sha256 and model_sha256.

    Integer arrays travel as integers, all others as floats, both exactly.
    """
    state = []
    for name, values in arrays.items():
        shape = [int(size) for size in values.shape]
        if np.issubdtype(values.dtype, np.integer):
            state.append(NamedArray(name=name, shape=shape, integers=_packed("q", values.astype(np.int64))))
        else:
            state.append(NamedArray(name=name, shape=shape, floats=_doubles(values)))
    message = Window(
        channels=list(CHANNEL_NAMES), step_s=float(step_s), state=state, sky=[image(frame) for frame in frames], **facts
    )
    return _stamped(message, stamp_ns)


def _forecast(ahead: Any, row: int) -> Forecast:
    return Forecast(
        horizons_s=_doubles(ahead.horizons_s), quantiles=_doubles(ahead.quantiles), values=_doubles(ahead.values[row])
    )


def _stamped(message: Any, stamp_ns: int, frame_id: str = "") -> Any:
    message.header.stamp = time(stamp_ns)
    message.header.frame_id = frame_id
    return message


def _packed(code: str, values: NDArray[Any]) -> array.array[Any]:
    packed = array.array(code)
    packed.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return packed


def _doubles(values: Any) -> array.array[float]:
    return _packed("d", np.asarray(values, np.float64))


def _floats(values: Any) -> NDArray[np.float64]:
    return np.asarray(values, np.float64)  # fixed-size arrays are numpy in rclpy
