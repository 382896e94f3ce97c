# SPDX-License-Identifier: Apache-2.0
"""The demo student as an ONNX graph: fixed features of what it sees, hears and reads, then what was fitted.

The features are part of the graph, and the fit takes them from this same graph under ONNX Runtime: so they cannot
differ between training and the farm. A masked entry is replaced by zero before anything reads it, whatever it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, checker, helper, numpy_helper

from cmkd_ros.contract.student import FUTURE_CHANNELS
from cmkd_ros.fusion.tensors import InputSpec
from cmkd_ros.learning.regression import Array, Perceptron

OPSET, IR_VERSION = 17, 8  # served by ONNX Runtime 1.17 and later
FRAME, HOP, BANDS = 512, 320, 16  # samples, samples, bands of the ear
GRID, COARSE = 4, 2  # cells a side of the newest picture, and of the earlier one
PV_MASK = -9  # where the eye's features say whether the PV meter is there


class Graph:
    """An ONNX graph that grows by one call an operator: `graph("Add", a, b)` returns the result's name."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def __call__(self, operator: str, *inputs: str | ArrayLike, **attributes: Any) -> str:
        name = f"{operator}_{len(self.nodes)}"
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        self.nodes.append(helper.make_node(operator, names, [name], name=name, **attributes))
        return name

    def constant(self, value: ArrayLike) -> str:
        array = np.asarray(value)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def input(self, name: str, shape: Sequence[int]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", *shape]))
        return name

    def output(self, name: str, value: str, shape: Sequence[int | str]) -> None:
        self.nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", *shape]))

    def known(self, value: str, mask: str) -> str:
        """`value` where `mask` (of the same rank) is 1, else 0: even where NaN stands there."""
        return self("Where", self("Greater", mask, 0.5), value, 0.0)

    def column(self, value: str, index: int, axis: int = 1) -> str:
        """One entry of an axis, which stays with length 1."""
        return self("Slice", value, np.array([index]), np.array([index + 1]), np.array([axis]))

    def sum(self, value: str, axis: int = 1) -> str:
        return self("ReduceSum", value, np.array([axis]), keepdims=1)

    def mean(self, value: str, mask: str, axis: int = 1) -> str:
        """The mean of what is known (0 where nothing is); `value` is already 0 elsewhere."""
        return self("Div", self.sum(value, axis), self("Max", self.sum(mask, axis), 1.0))

    def perceptron(self, inputs: str, fitted: Perceptron) -> tuple[str, str]:
        """The last hidden layer, and the end."""
        for weight, bias in fitted.layers[:-1]:
            inputs = self("Tanh", self("Gemm", inputs, weight, bias))
        return inputs, self("Gemm", inputs, *fitted.layers[-1])

    def model(self) -> bytes:
        """The graph, checked and serialised; the same calls give the same bytes."""
        graph = helper.make_graph(self.nodes, "demo_student", self.inputs, self.outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        model.producer_name, model.producer_version = "cmkd_ros", ""
        checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))


class Features:
    """The fixed part: inputs declared, and names of what the fitted parts read."""

    def __init__(self, graph: Graph, spec: InputSpec, full_light: float, light_sum_target: float):
        self.graph, self.spec = graph, spec
        for name, shape in spec.shapes().items():
            graph.input(name, shape[1:])
        self.now = graph.known("now", "now_mask")
        self.history = graph.known("history", "history_mask")
        self.future = graph.known("future", "future_mask")
        self.hour = self._hour()  # (B, 1) local, 0..24
        self.minute = graph("Mod", self.hour, 1.0, fmod=1)  # share of the running hour that has passed
        self.price, self.price_known = self._prices()  # (B, 24) EUR/kWh without gaps, and (B, 24) 0 or 1
        self.clear = self._future("clear_sky_irradiance_w_per_m2")  # (B, 24) W/m2
        self.sky, self.audio = self._sky(), self._audio()
        self.eye = graph("Concat", self.sky, self._sun(), axis=1)
        self.meters = self._meters(full_light, light_sum_target)

    def _hour(self) -> str:
        """Local time of day from its sine and cosine, in each quarter of the circle by the ratio that is below 1."""
        g = self.graph
        sine, cosine = g.column("clock", 0), g.column("clock", 1)
        steep = g("Greater", g("Abs", sine), g("Abs", cosine))
        flat = g("Atan", g("Div", sine, g("Where", steep, 1.0, cosine)))
        flat = g("Add", flat, g("Where", g("Less", cosine, 0.0), np.pi, 0.0))
        upright = g("Atan", g("Div", cosine, g("Where", steep, sine, 1.0)))
        upright = g("Sub", g("Where", g("Less", sine, 0.0), -np.pi / 2, np.pi / 2), upright)
        angle = g("Where", steep, upright, flat)
        angle = g("Where", g("Less", angle, 0.0), g("Add", angle, 2 * np.pi), angle)
        return g("Mul", angle, 12.0 / np.pi)

    def _future(self, name: str) -> str:
        """One column of the known future in its own unit, (B, 24); what is not known is the mean."""
        g, index = self.graph, self.spec.future.names.index(name)
        column = g("Squeeze", g.column(self.future, index, axis=2), np.array([2]))
        return g("Add", g("Mul", column, self.spec.future.scales[index]), self.spec.future.means[index])

    def _prices(self) -> tuple[str, str]:
        g, name = self.graph, FUTURE_CHANNELS[0]
        index = self.spec.future.names.index(name)
        known = g("Squeeze", g.column("future_mask", index, axis=2), np.array([2]))
        price = self._future(name)
        mean = g.mean(g("Mul", price, known), known)
        now = self.channel(name)
        fallback = g("Where", g("Greater", g.sum(known), 0.5), mean, now)
        return g("Where", g("Greater", known, 0.5), price, fallback), known

    def channel(self, name: str) -> str:
        """One reading of now in its own unit, (B, 1); the mean of all times where not known."""
        index = self.spec.channels.names.index(name)
        scaled = self.graph("Mul", self.graph.column(self.now, index), self.spec.channels.scales[index])
        return self.graph("Add", scaled, self.spec.channels.means[index])

    def _sky(self) -> str:
        """(B, F): masks; of each picture the mean colours of its cells and the brightest pixel, which is the sun."""
        g, sizes = self.graph, self.spec.sizes
        parts = ["sky_mask"]
        for index, cells in ((1, GRID), (0, COARSE)):
            there = g("Reshape", g.column("sky_mask", index), np.array([-1, 1, 1, 1]))
            picture = g("Squeeze", g.column("sky", index, axis=1), np.array([1]))
            picture = g("Transpose", g.known(picture, there), perm=[0, 3, 1, 2])
            window = [sizes.sky_height // cells, sizes.sky_width // cells]
            parts.append(g("Flatten", g("AveragePool", picture, kernel_shape=window, strides=window)))
            parts.append(g("Flatten", g("GlobalMaxPool", picture)))
        return g("Concat", *parts, axis=1)

    def _sun(self) -> str:
        """(B, 10): what says how bright it is without looking up: PV power, clear sky, clock."""
        g, index = self.graph, self.spec.channels.names.index("pv_power_kw")
        clear = g("Slice", g("Mul", self.clear, 0.001), np.array([0]), np.array([3]), np.array([1]))
        reading = [g.column(self.now, index), g.column("now_mask", index)]
        return g("Concat", *reading, clear, self.minute, "clock", axis=1)

    def _audio(self) -> str:
        """(B, F): mean and spread over time of the log energy in bands of the spectrum, and the mask.

        The frames and their spectrum are one convolution with fixed cosines and sines under a Hann window.
        """
        g, sizes = self.graph, self.spec.sizes
        edges = np.geomspace(60.0, sizes.audio_rate_hz / 2 - 200.0, BANDS * 3)
        time_s = np.arange(FRAME) / sizes.audio_rate_hz
        waves = [wave(2 * np.pi * edges[:, None] * time_s) for wave in (np.cos, np.sin)]
        kernel = np.concatenate(waves)[:, None] * np.hanning(FRAME) / FRAME * 4.0
        sound = g("Unsqueeze", g.known("audio", "audio_mask"), np.array([1]))
        power = g("Conv", sound, kernel, strides=[HOP])
        power = g("Mul", power, power)
        fold = np.tile(np.repeat(np.eye(BANDS), 3, axis=1), 2)[:, :, None]  # cosines and sines, three to a band
        level = g("Log", g("Add", g("Conv", power, fold), 1e-9))  # (B, BANDS, T)
        mean = g("ReduceMean", level, axes=[2], keepdims=1)
        apart = g("Sub", level, mean)
        spread = g("Sqrt", g("Add", g("ReduceMean", g("Mul", apart, apart), axes=[2], keepdims=0), 1e-6))
        heard = g("Concat", g("Squeeze", mean, np.array([2])), spread, axis=1)
        return g("Concat", "audio_mask", g.known(heard, "audio_mask"), axis=1)

    def _meters(self, full_light: float, target: float) -> str:
        """(B, F): readings, their past, prices and their order, sun, clock, and how much light the day still lacks."""
        g, steps = self.graph, self.spec.history_steps
        bounded = g("Clip", self.now, -6.0, 6.0)
        hour_ago = g("Slice", self.history, np.array([steps - 4]), np.array([steps]), np.array([1]))
        hour_mask = g("Slice", "history_mask", np.array([steps - 4]), np.array([steps]), np.array([1]))
        recent = g("Squeeze", g.mean(hour_ago, hour_mask), np.array([1]))
        day = g("Squeeze", g.mean(self.history, "history_mask"), np.array([1]))

        lacking_h = g("Div", g("Max", g("Sub", target, self._light_today()), 0.0), full_light * 3600e-6)
        left = g("Clip", g("Sub", g("Add", g("Sub", 24.0, self.hour), self.minute), np.arange(24.0)[None]), 0.0, 1.0)
        price_now = g.column(self.price, 0)
        above = g("Sub", self.price, price_now)
        cheaper = g("Sigmoid", g("Mul", g("Add", above, 0.01), -200.0))
        alike = g("Sub", g("Sigmoid", g("Mul", g("Add", above, -0.01), -200.0)), cheaper)
        cheaper_h, alike_h = g.sum(g("Mul", cheaper, left)), g.sum(g("Mul", alike, left))
        share = g("Clip", g("Div", g("Sub", lacking_h, cheaper_h), g("Max", alike_h, 0.1)), -1.0, 2.0)
        sine, cosine = g.column("clock", 0), g.column("clock", 1)
        twice = [g("Mul", g("Mul", sine, cosine), 2.0), g("Sub", g("Mul", cosine, cosine), g("Mul", sine, sine))]
        return g(
            "Concat",
            *[bounded, "now_mask", recent, day, "clock", *twice, self.hour, self.minute],
            *[g("Mul", hours, 0.1) for hours in (lacking_h, cheaper_h, alike_h, g.sum(left))],
            *[share, price_now, g("ReduceMin", self.price, axes=[1]), g("ReduceMax", self.price, axes=[1])],
            *[g.sum(self.price_known), g("Mul", above, 5.0), g("Mul", self.clear, 0.001)],
            axis=1,
        )

    def _light_today(self) -> str:
        """mol/m2 since local midnight, from the history and the reading of now, as the rules count after a restart."""
        g, names, steps = self.graph, self.spec.channels.names, self.spec.history_steps
        index = names.index("canopy_light_umol_per_m2_s")
        mask = g("Squeeze", g.column("history_mask", index, axis=2), np.array([2]))
        past = g("Squeeze", g.column(self.history, index, axis=2), np.array([2]))
        past = g("Add", g("Mul", past, self.spec.channels.scales[index]), self.spec.channels.means[index])
        # Hours since the last quarter that the history holds ended: at a quarter's very end, the guard still hides it.
        since = g("Mod", g("Sub", self.hour, 3e-5), 0.25, fmod=1)
        ends = g("Add", since, (np.arange(steps - 1.0, -1.0, -1.0) * 0.25)[None])  # (B, steps) h ago
        today = g("Clip", g("Sub", self.hour, ends), 0.0, 0.25)
        before = g.sum(g("Mul", g("Mul", past, mask), today))
        now = g("Mul", g.known(self.channel(names[index]), g.column("now_mask", index)), since)
        return g("Mul", g("Add", before, now), 3600e-6)


@dataclass(frozen=True)
class Fitted:
    """What was fitted. Forecast residuals are quantiles (H, Q) to be added to the middle."""

    eye: Perceptron  # eye features -> irradiance / 1000, now and at H1 horizons
    ear: Perceptron  # audio features -> cavitation, before the sigmoid
    hand: Perceptron  # meters, irradiance / 1000, cavitation -> actions 0..1 (pump: share of time) before the sigmoid
    ahead: tuple[Array, Array]  # hidden layer and meters -> load, state of charge, moisture at H2 horizons, (3 H2)
    irradiance_residuals: NDArray[np.float64]  # relative to the clear sky
    ahead_residuals: NDArray[np.float64]  # (3, H2, Q)
    price_residuals: NDArray[np.float64]  # (Q,) of hours that are not published
    importance: NDArray[np.float64]  # (4,) of the modalities
    pump_cycle_s: float
    pump_speed: float  # 0..1
    hours_ahead: tuple[int, ...]  # H2
    irradiance_horizons_s: tuple[float, ...]  # H1


FEATURES = ("eye", "audio", "meters", "price", "price_known", "clear")


def feature_model(spec: InputSpec, full_light: float, light_sum_target: float) -> bytes:
    """The fixed part alone, for the fit; outputs `<name>_features` for each of `FEATURES`."""
    graph = Graph()
    features = Features(graph, spec, full_light, light_sum_target)
    for name in FEATURES:
        graph.output(f"{name}_features", getattr(features, name), [f"{name}_size"])
    return graph.model()


def student_model(
    spec: InputSpec, full_light: float, light_sum_target: float, fitted: Fitted, shapes: dict[str, tuple[int, ...]]
) -> bytes:
    """The whole student; `shapes` are those of the outputs."""
    g = Graph()
    features = Features(g, spec, full_light, light_sum_target)
    _, bright = g.perceptron(features.eye, fitted.eye)
    bright = g("Relu", bright)
    cavitation = g("Sigmoid", g.perceptron(features.audio, fitted.ear)[1])
    now = g.column(bright, 0)
    hidden, hand = g.perceptron(g("Concat", features.meters, now, cavitation, axis=1), fitted.hand)
    wanted = g("Sigmoid", hand)
    quantiles = fitted.price_residuals.size

    # The pump's share of time becomes pulses on the rules' grid; a second's grace makes up for rounding.
    phase = g("Mod", g("Add", g("Mul", features.hour, 3600.0), 1.0), fitted.pump_cycle_s, fmod=1)
    runs = g("Less", phase, g("Mul", g.column(wanted, 1), fitted.pump_cycle_s))
    pump = g("Where", runs, fitted.pump_speed, 0.0)
    actions = g("Concat", g.column(wanted, 0), pump, *(g.column(wanted, index) for index in (2, 3, 4)), axis=1)

    hours = [horizon / 3600.0 for horizon in fitted.irradiance_horizons_s]
    clear = g("Concat", *(g("Max", _at(g, features, hour), 50.0) for hour in hours), axis=1)
    later = g("Mul", g("Slice", bright, np.array([1]), np.array([1 + len(hours)]), np.array([1])), 1000.0)
    spread = g("Mul", g("Unsqueeze", clear, np.array([2])), fitted.irradiance_residuals[None])
    irradiance = g("Relu", g("Add", g("Unsqueeze", later, np.array([2])), spread))

    there = [g.column(features.price_known, hour) for hour in fitted.hours_ahead]
    price = g("Concat", *(g.column(features.price, hour) for hour in fitted.hours_ahead), axis=1)
    unsure = g("Unsqueeze", g("Sub", 1.0, g("Concat", *there, axis=1)), np.array([2]))
    price = g("Add", g("Unsqueeze", price, np.array([2])), g("Mul", unsure, fitted.price_residuals[None, None]))

    middle = g("Gemm", g("Concat", hidden, features.meters, axis=1), *fitted.ahead)
    middle = g("Reshape", middle, np.array([-1, 3, len(fitted.hours_ahead), 1]))
    ahead = g("Add", middle, fitted.ahead_residuals[None])
    load, charge, moisture = (g("Squeeze", g.column(ahead, index), np.array([1])) for index in range(3))

    there = [
        g("ReduceMax", "sky_mask", axes=[1]),
        "audio_mask",
        g("ReduceMax", "now_mask", axes=[1]),
        g("ReduceMax", features.price_known, axes=[1]),
    ]
    counted = g("Mul", g("Concat", *there, axis=1), fitted.importance[None])
    counted = g("Add", counted, 1e-6)  # with nothing there, nothing counts more than the rest
    outputs = {
        "actions": actions,
        "irradiance": g("Mul", now, 1000.0),
        "irradiance_ahead": irradiance,
        "cavitation": cavitation,
        # The simulated pump does not wear, so there is nothing to learn: no opinion.
        "remaining_life": g("Add", g("Mul", cavitation, 0.0), np.full((1, quantiles), np.nan)),
        "price_ahead": price,
        "load_ahead": g("Relu", load),
        "state_of_charge_ahead": g("Clip", charge, 0.0, 100.0),
        "soil_moisture_ahead": g("Clip", moisture, 0.0, 100.0),
        "weights": g("Div", counted, g.sum(counted)),
    }
    for name, value in outputs.items():
        g.output(name, value, shapes[name][1:])
    return g.model()


def _at(g: Graph, features: Features, hours: float) -> str:
    """Clear-sky irradiance (B, 1) so many hours ahead: of the hour in which that falls."""
    next_hour = g("Less", 1.0 - hours % 1.0, features.minute)
    first = int(hours)
    return g("Where", next_hour, g.column(features.clear, first + 1), g.column(features.clear, first))
