# SPDX-License-Identifier: Apache-2.0
"""Tensors are the student's inputs and nothing else: named, sized, normalised, masked, the same in any batch."""

import dataclasses

import numpy as np
import pytest

from cmkd_ros.contract.errors import ModelError
from cmkd_ros.contract.student import FUTURE_CHANNELS, INPUTS
from cmkd_ros.contract.telemetry import CHANNEL_NAMES
from cmkd_ros.fusion.options import Sizes
from cmkd_ros.fusion.tensors import InputSpec, Normalisation, clock, tensors
from cmkd_ros.fusion.window import stack


@pytest.fixture
def spec(farm):
    return InputSpec(
        sizes=farm.sizes,
        channels=Normalisation(("soil_moisture_percent", "co2_ppm"), (30.0, 600.0), (10.0, 200.0)),
        future=Normalisation(("photoperiod", "import_price_eur_per_kwh"), (0.5, 0.25), (0.5, 0.1)),
        history_steps=4,
    )


@pytest.fixture
def windower(farm):
    return farm.push(farm.windower(), *farm.day(1000))


@pytest.mark.parametrize("own", [True, False])
def test_names_shapes_and_types_are_those_of_the_contract(farm, spec, windower, own):
    spec = spec if own else InputSpec(sizes=farm.sizes)
    batch = stack([windower.window(farm.at(s)) for s in (990, 995)])
    made = tensors(batch, spec)
    assert list(made) == list(INPUTS)
    assert {name: tensor.shape for name, tensor in made.items()} == spec.shapes(2)
    assert {tensor.dtype for tensor in made.values()} == {np.dtype(np.float32)}
    for name, (axes, _) in INPUTS.items():
        assert len(axes.split(",")) == made[name].ndim
    assert all(np.isfinite(tensor).all() for tensor in made.values())


def test_values_are_normalised_by_name_in_the_models_order(farm, spec, windower):
    window = windower.window(farm.at(1000))
    made = tensors(window, spec)
    soil, co2 = CHANNEL_NAMES.index("soil_moisture_percent"), CHANNEL_NAMES.index("co2_ppm")
    np.testing.assert_allclose(made["now"][0], (window.now[0, [soil, co2]] - [30, 600]) / [10, 200], rtol=1e-6)
    assert made["history"][0, -1, 1] == pytest.approx((window.history[0, -1, co2] - 600) / 200, rel=1e-6)
    lamps, price = (FUTURE_CHANNELS.index(name) for name in ("photoperiod", "import_price_eur_per_kwh"))
    np.testing.assert_allclose(
        made["future"][0], (window.future[0][:, [lamps, price]] - [0.5, 0.25]) / [0.5, 0.1], rtol=1e-6
    )
    assert np.array_equal(made["sky"], window.sky.astype(np.float32) / np.float32(255))
    assert np.array_equal(made["audio"], window.audio.astype(np.float32) / np.float32(32768))


def test_what_is_masked_is_zeros_whatever_stands_in_the_window(farm, spec, windower):
    window = windower.window(farm.at(1000))
    arrays = {
        field.name: getattr(window, field.name)
        for field in dataclasses.fields(window)
        if isinstance(getattr(window, field.name), np.ndarray)
    }
    nothing = {name: np.zeros_like(array) for name, array in arrays.items() if name.endswith("_mask")}
    junk = {name: np.ones_like(array) for name, array in arrays.items() if name in ("sky", "audio", "now", "history")}
    made = tensors(dataclasses.replace(window, **nothing, **junk, future=np.full_like(window.future, np.nan)), spec)
    for name, tensor in made.items():
        assert name == "clock" or not tensor.any(), name


def test_a_batch_of_64_is_64_batches_of_one_to_the_bit(farm, spec, windower):
    windows = [windower.window(farm.at(200 + 12.5 * index)) for index in range(64)]
    together = tensors(stack(windows), spec)
    for index, window in enumerate(windows):
        for name, tensor in tensors(window, spec).items():
            assert tensor.tobytes() == together[name][index : index + 1].tobytes(), name


def test_clock_turns_once_a_day_and_once_a_year():
    assert clock(np.array([0.0, 6.0]), np.array([1.0, 1 + 365.25 / 4])) == pytest.approx(
        np.array([[0, 1, 0, 1], [1, 0, 1, 0]]), abs=1e-6
    )


def test_windows_of_other_sizes_are_refused(farm, spec, windower):
    window = windower.window(farm.at(1000))
    for sizes in ({"sky_height": 9}, {"audio_samples": 999}, {"audio_rate_hz": 2000}):
        other = dataclasses.replace(spec, sizes=Sizes(**(dataclasses.asdict(farm.sizes) | sizes)))
        with pytest.raises(ModelError, match="the model takes"):
            tensors(window, other)


@pytest.mark.parametrize(
    ("names", "means", "scales", "words"),
    [
        (("co2_ppm",), (0.0, 1.0), (1.0,), "one of each"),
        (("co2_ppm", "co2_ppm"), (0.0, 1.0), (1.0, 1.0), "twice"),
        (("co2_ppm",), (0.0,), (0.0,), "scale > 0"),
        (("co2_ppm",), (float("nan"),), (1.0,), "finite"),
        (("radon",), (0.0,), (1.0,), "radon"),
    ],
)
def test_a_spec_that_cannot_be_served_is_refused(names, means, scales, words):
    with pytest.raises(ModelError, match=words):
        InputSpec(channels=Normalisation(names, means, scales))


def test_more_history_than_there_is_is_refused():
    with pytest.raises(ModelError, match="history"):
        InputSpec(history_steps=97)
