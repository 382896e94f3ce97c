# SPDX-License-Identifier: Apache-2.0
"""The shipped student under ONNX Runtime, in windows with and without its senses; and a student fitted anew."""

import dataclasses
import itertools

import numpy as np
import pytest

from cmkd_ros.contract.errors import ModelError, PolicyError
from cmkd_ros.fusion.tensors import tensors
from cmkd_ros.fusion.window import stack
from cmkd_ros.learning import demo_student
from cmkd_ros.policy.graph import open_session
from cmkd_ros.policy.manifest import load_manifest
from cmkd_ros.policy.student import Student
from cmkd_ros.site import share

SECOND_NS = 10**9
FACTS = {
    "pv_power_kw": 6.0,
    "load_power_kw": 9.0,
    "grid_power_kw": 3.0,
    "battery_power_kw": 0.0,
    "battery_state_of_charge_percent": 55.0,
    "led_power_kw": 5.0,
    "soil_moisture_percent": 60.0,
    "air_temperature_celsius": 22.0,
    "relative_humidity_percent": 70.0,
    "co2_ppm": 800.0,
    "canopy_light_umol_per_m2_s": 140.0,
}
PRICES = 0.25 + 0.1 * np.sin(np.arange(24) / 4.0)


@pytest.fixture(scope="module")
def manifest():
    return load_manifest(share("models", "student.json"))


@pytest.fixture(scope="module")
def student(manifest, site):
    return Student(manifest, site)


@pytest.fixture(scope="module")
def full(window_of, at):
    """`full(seed)`: a window with every sense."""

    def full(seed=0):
        rng = np.random.default_rng(seed)
        facts = {name: value * rng.uniform(0.8, 1.2) for name, value in FACTS.items()}
        window = window_of(at(int(rng.integers(0, 24)), int(rng.integers(0, 59))), facts, PRICES, FACTS)
        return dataclasses.replace(
            window,
            sky=rng.integers(0, 256, window.sky.shape, np.uint8),
            sky_mask=np.ones((1, 2), bool),
            audio=rng.integers(-3000, 3000, window.audio.shape, np.int16),
            audio_mask=np.ones(1, bool),
        )

    return full


def test_the_shipped_student_decides_within_bounds_and_says_what_it_believes(student, full, site, manifest):
    actions, insight, state = student.decide(full(), {})
    low, high = site.action_bounds().T
    assert actions.shape == (1, 5) and (actions >= low).all() and (actions <= high).all() and state == {}
    assert 0.0 <= insight.irradiance_w_per_m2[0] < 1500.0
    assert 0.0 <= insight.cavitation_probability[0] <= 1.0
    assert insight.weights.sum() == pytest.approx(1.0) and (insight.weights >= 0).all()
    assert insight.model_sha256 == manifest.sha256 and 0.0 < insight.inference_time_s < 1.0
    for name, forecast in insight.forecasts.items():
        assert forecast.values.shape == (1, len(forecast.horizons_s), len(forecast.quantiles)), name
        assert (np.diff(forecast.values, axis=2) >= 0).all() or name == "pump_remaining_useful_life_h"
    assert "demo-student" in student.explain(full(), actions, {})[0]


def test_known_prices_are_forecast_as_they_are_published(student, full):
    insight = student.decide(full(), {})[1].forecasts["import_price_ahead_eur_per_kwh"]
    hours = (insight.horizons_s / 3600).astype(int)
    assert insight.values[0] == pytest.approx(np.repeat(PRICES[hours][:, None], 3, axis=1), abs=1e-5)


def test_the_same_window_gives_the_same_actions_to_the_bit(student, manifest, site, full):
    first, believed, _ = student.decide(full(), {})
    again, believed_again, _ = Student(manifest, site).decide(full(), {})
    assert first.tobytes() == again.tobytes()
    for name, forecast in believed.forecasts.items():
        assert forecast.values.tobytes() == believed_again.forecasts[name].values.tobytes()


def test_a_batch_equals_its_rows_to_float_rounding(student, full, site):
    windows = [full(seed) for seed in range(8)]
    together = student.decide(stack(windows), {})[0]
    alone = np.concatenate([student.decide(window, {})[0] for window in windows])
    span = np.ptp(site.action_bounds(), axis=1)
    assert np.abs((together - alone) / span).max() < 1e-5


@pytest.mark.parametrize(
    ("mask", "value"),
    [
        ("sky_mask", "sky"),
        ("audio_mask", "audio"),
        ("now_mask", "now"),
        ("history_mask", "history"),
        ("future_mask", "future"),
    ],
)
@pytest.mark.parametrize("garbage", [np.nan, np.inf, 1e30, -7.0])
def test_what_stands_under_a_mask_changes_nothing_inside_the_model(manifest, full, mask, value, garbage):
    """Straight at the model, because `tensors` already writes zeros there."""
    session = open_session(manifest.model)
    names = list(manifest.output_shapes())
    inputs = tensors(full(), manifest.inputs)
    inputs[mask] = np.zeros_like(inputs[mask])
    blank = session.run(names, inputs | {value: np.zeros_like(inputs[value])})
    dirty = session.run(names, inputs | {value: np.full_like(inputs[value], garbage)})
    for name, left, right in zip(names, blank, dirty):
        assert left.tobytes() == right.tobytes(), name


@pytest.mark.parametrize("lost", [(), ("sky",), ("audio",), ("now",), ("history",), ("future",), ("all",)])
def test_a_missing_sense_still_gives_finite_actions_in_range(student, full, site, lost):
    window = full()
    gone = ("sky", "audio", "now", "history", "future") if lost == ("all",) else lost
    masks = {f"{name}_mask": np.zeros_like(getattr(window, f"{name}_mask")) for name in gone}
    actions, insight, _ = student.decide(dataclasses.replace(window, **masks), {})
    low, high = site.action_bounds().T
    assert (actions >= low).all() and (actions <= high).all()
    assert insight.weights.sum() == pytest.approx(1.0)
    for index, name in enumerate(("sky", "audio")):
        if name in gone and "all" not in lost:
            assert insight.weights[0, index] < 1e-3


def test_the_sky_and_the_sound_are_used(student, full):
    """The eye sees a bright from a dark picture, the ear a hiss from silence."""
    window = full()
    dark, bright = (
        student.decide(dataclasses.replace(window, sky=np.full_like(window.sky, level)), {})[1] for level in (5, 230)
    )
    assert dark.irradiance_w_per_m2[0] != bright.irradiance_w_per_m2[0]
    silent, loud = (
        student.decide(dataclasses.replace(window, audio=(window.audio * loudness).astype(np.int16)), {})[1]
        for loudness in (0.001, 1.0)
    )
    assert abs(silent.cavitation_probability[0] - loud.cavitation_probability[0]) > 0.1


def test_the_pump_runs_in_pulses_at_a_speed_that_the_pump_can_run(student, window_of, at, site):
    speeds = []
    for step in range(120):
        window = window_of(at(9) + step * 60 * SECOND_NS, FACTS | {"soil_moisture_percent": 52.0}, PRICES, FACTS)
        speeds.append(student.decide(window, {})[0][0, 1])
    running = np.array(speeds) > 0
    assert 0 < running.sum() < len(running)
    assert min(np.array(speeds)[running]) >= site.pump.min_speed_percent
    assert np.count_nonzero(np.diff(running.astype(int)) == 1) <= 3  # two hours: two pulses, not a flutter


def test_windows_of_another_size_are_refused(student, window_of, at):
    with pytest.raises(ModelError, match="sizes"):
        student.decide(window_of(at(9), FACTS, size=32), {})


def test_numbers_that_are_not_finite_are_refused_by_name(student, full, monkeypatch):
    run = student._session.run

    class Broken:
        def run(self, names, inputs):
            values = run(names, inputs)
            values[names.index("actions")][0, 2] = np.nan
            values[names.index("load_ahead")][0, 0, 0] = np.inf
            return values

    monkeypatch.setattr(student, "_session", Broken())
    with pytest.raises(PolicyError, match="load_ahead, actions"):
        student.decide(full(), {})


def test_a_student_fitted_anew_is_the_same_to_the_byte_and_its_manifest_loads(tmp_path, site, monkeypatch):
    def days():
        return demo_student.simulate(site, 1, 3, 2, demo_student.SIZES, demo_student.IRRADIANCE_HORIZONS_S)

    samples = list(days())
    for sample, again in zip(samples, itertools.islice(days(), 3)):
        for name, values in vars(sample.window).items():
            assert np.array_equal(values, getattr(again.window, name), equal_nan=not name.startswith("sky")), name
    monkeypatch.setattr(demo_student, "simulate", lambda *sizes: iter(samples))  # slow, and shown to repeat itself
    sizes = {"farms": 3, "hours": 2, "pumps": 40, "hours_ahead": (1,)}
    made = [demo_student.fit_demo_student(tmp_path / name, 1, say=lambda text: None, **sizes) for name in "ab"]
    assert made[0].sha256 == made[1].sha256
    assert (tmp_path / "a" / "student.onnx").read_bytes() == (tmp_path / "b" / "student.onnx").read_bytes()
    assert made[0].provenance["figures"].keys() >= {"battery_against_rules", "cavitation_auc"}
    assert made[0].demo and made[0].horizons_s == (3600.0,)
