# SPDX-License-Identifier: Apache-2.0
"""What meters and what a second of sound say about cavitation at its inception; our spectra beside MIMII's.

Printed by `make measure`, hardly judged: run with -s. numpy only; where scikit-learn happens to be installed, gradient
boosting on the meters is printed too.
"""

from __future__ import annotations

import dataclasses
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cmkd_ros.simulation.sound import pump_sound
from cmkd_ros.simulation.world import World

pytestmark = pytest.mark.measure

SECOND = 10**9
START_NS = 1_750_000_000 * SECOND
RATE = 16_000
FARMS = 3000
EDGES_HZ = (20, 50, 100, 200, 400, 800, 1600, 2400, 3200, 4000, 5000, 6000, 7000, 8000)


def area_under_roc(score, positive):
    order = np.argsort(score)
    ranks = np.empty(len(score))
    ranks[order] = np.arange(1, len(score) + 1)
    hits, misses = positive.sum(), (~positive).sum()
    return (ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses)


def logistic(features, positive, ridge=1.0):
    """Weights of a logistic regression with a ridge, by Newton's method; the last one is the intercept."""
    design = np.column_stack([features, np.ones(len(features))])
    weights = np.zeros(design.shape[1])
    keep = ridge * np.diag([1.0] * features.shape[1] + [0.0])
    for _ in range(30):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (positive - chance) - keep @ weights
        curve = (design * (chance * (1.0 - chance))[:, None]).T @ design + keep + 1e-9 * np.eye(len(weights))
        weights = weights + np.linalg.solve(curve, slope)
    return weights


def cross_validated(features, positive):
    """AUC of predictions for farms that the fit did not see: five folds."""
    score = np.zeros(len(positive))
    fold = np.arange(len(positive)) % 5
    for k in range(5):
        train, test = fold != k, fold == k
        mean, spread = features[train].mean(0), features[train].std(0) + 1e-9
        scaled = (features - mean) / spread
        weights = logistic(scaled[train], positive[train])
        score[test] = scaled[test] @ weights[:-1] + weights[-1]
    return area_under_roc(score, positive)


def hear(samples):
    """Features of a second of sound: energy in sixteen bands, dB, and how spiky it is."""
    signal = samples / 32768.0
    power = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    frequency = np.fft.rfftfreq(len(signal), 1 / RATE)
    edges = np.geomspace(60, 8000, 17)
    bands = [10 * np.log10(power[(frequency >= a) & (frequency < b)].mean() + 1e-12) for a, b in pairwise(edges)]
    sharp = np.diff(signal, 2)
    return np.array([*bands, np.log(np.mean(sharp**4) / np.mean(sharp**2) ** 2)])


def moments(site, slowest, fastest):
    """Farms at speeds in between, with strainers, sumps, water, wear and rooms of all kinds, after 10 s of running."""
    world, rng = World(site, np.arange(FARMS)), np.random.default_rng(5)
    state = dataclasses.replace(
        world.initial(START_NS),
        clogging=rng.uniform(0.0, 0.6, FARMS),
        tank_m3=rng.uniform(0.15, 1.0, FARMS) * world.tank_m3,
        water_celsius=rng.uniform(16.0, 28.0, FARMS),
        pump_wear=rng.uniform(0.0, 0.6, FARMS),
    )
    speed = rng.uniform(slowest, fastest, FARMS)
    actions = np.zeros((FARMS, 5))
    actions[:, 1], actions[:, 3] = 100 * speed, 21.0
    power = []
    for _ in range(20):
        state = world.step(state, actions)
        power.append(world.readings(state)["pump_power_kw"])
    power = np.array(power[10:])
    share = power.mean(0) / speed**3
    meters = np.column_stack([share, speed, power.std(0) / speed**3, world.readings(state)["tank_level_switch"]])
    compressor = np.where(rng.random(FARMS) < 0.4, 1.0, 0.0)
    flow = state.flow_m3_per_h / world.full_flow_m3_per_h
    return state, flow, compressor, meters


def cubic(meters):
    share, speed = ((meters[:, k] - meters[:, k].mean()) / (meters[:, k].std() + 1e-9) for k in (0, 1))
    terms = [share**i * speed**j for i in range(4) for j in range(4) if 0 < i + j <= 3]
    return np.column_stack([*terms, meters[:, 2:]])


@pytest.mark.parametrize(("slowest", "fastest"), [(0.9, 0.9), (0.84, 0.9)])
def test_meters_against_ears_at_inception(site, slowest, fastest):
    state, flow, compressor, meters = moments(site, slowest, fastest)
    stamp = int(state.time_ns[0])
    cavitation = state.cavitation
    sound = np.array(
        [
            hear(
                pump_sound(
                    farm,
                    stamp,
                    RATE,
                    RATE,
                    *(float(v[farm]) for v in (state.pump_speed, flow, cavitation, state.pump_wear, compressor)),
                )
            )
            for farm in range(FARMS)
        ]
    )
    print(f"\nspeed {100 * slowest:.0f} to {100 * fastest:.0f} %, {FARMS} farms")
    for low, high in ((0.0, 0.1), (0.0, 0.3), (0.0, 1.01)):
        chosen = (cavitation == 0.0) | ((cavitation > low) & (cavitation < high))
        positive = cavitation[chosen] > 0.0
        figures = {"meters, logistic": cross_validated(cubic(meters[chosen]), positive)}
        try:
            from sklearn.ensemble import HistGradientBoostingClassifier
            from sklearn.model_selection import cross_val_predict
        except ImportError:
            pass
        else:
            boosted = HistGradientBoostingClassifier(max_depth=3, max_iter=80, random_state=0)
            score = cross_val_predict(boosted, meters[chosen], positive, cv=5, method="predict_proba")[:, 1]
            figures["meters, boosted"] = area_under_roc(score, positive)
        figures["1 s of sound"] = cross_validated(sound[chosen], positive)
        figures["both"] = cross_validated(np.column_stack([sound, cubic(meters)])[chosen], positive)
        words = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        gap = 100 * (meters[chosen][positive, 0].mean() / meters[chosen][~positive, 0].mean() - 1)
        counts = f"{positive.sum()}:{(~positive).sum()}"
        print(f"cavitation 0 against ({low:g}, {high:g}), {counts}: {words}; power {gap:+.1f} %")
        assert figures["1 s of sound"] > figures["meters, logistic"] + 0.05


def read(path):
    """(rate, samples (N, channels)) of a wav file; the standard library refuses the extensible format."""
    data, at, rate, channels = path.read_bytes(), 12, 0, 1
    while at < len(data):
        name, size = data[at : at + 4], struct.unpack("<I", data[at + 4 : at + 8])[0]
        if name == b"fmt ":
            channels, rate = struct.unpack("<HI", data[at + 10 : at + 16])
        if name == b"data":
            return rate, np.frombuffer(data[at + 8 : at + 8 + size], "<i2").reshape(-1, channels)
        at += 8 + size + size % 2
    raise AssertionError(f"{path}: no samples")


def spectrum(samples):
    """Power in bands, dB of full scale, and kurtosis of the second difference."""
    signal, count = samples / 32768.0, RATE
    window = np.hanning(count)
    parts = [signal[k : k + count] * window for k in range(0, len(signal) - count + 1, count // 2)]
    power = np.mean([np.abs(np.fft.rfft(part)) ** 2 for part in parts], axis=0) / (count**2 * 3 / 16)
    bands = [10 * np.log10(power[a:b].sum()) for a, b in pairwise(EDGES_HZ)]
    sharp = np.diff(signal, 2)
    return bands, np.mean(sharp**4) / np.mean(sharp**2) ** 2


def picture(sounds, path):
    """Spectrograms below each other, 0 to 8 kHz upwards, 10 s from left to right, -125 to -55 dB."""
    import cv2

    strips = []
    for name, samples in sounds.items():
        window, hop = np.hanning(1024), 256
        frames = np.lib.stride_tricks.sliding_window_view(samples / 32768.0, 1024)[::hop] * window
        decibels = 10 * np.log10(np.abs(np.fft.rfft(frames, axis=1)) ** 2 / (1024 * 384 * RATE / 2) * 2 + 1e-14)
        grey = np.clip((decibels.T[::-1] + 125) / 70 * 255, 0, 255).astype(np.uint8)
        strip = cv2.applyColorMap(cv2.resize(grey, (1000, 260)), cv2.COLORMAP_MAGMA)
        cv2.putText(strip, name, (8, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1, cv2.LINE_AA)
        strips.append(strip)
    cv2.imwrite(str(path), np.vstack(strips))


def test_spectra_beside_recordings(tmp_path):
    folder = Path(__file__).parents[3] / "shared" / "data" / "pump_audio"
    if not folder.is_dir():
        pytest.skip("real recordings lie in ../shared/data, which this checkout does not have")
    sounds = {f"MIMII {name}": read(folder / f"pump_{name}.wav")[1][:, 0] for name in ("normal", "abnormal")}
    states = {
        "ours: off": (0.0, 0.0, 0.0),
        "ours: running": (1.0, 1.0, 0.0),
        "ours: cavitation 0.05": (1.0, 0.9, 0.05),
        "ours: cavitation 0.3": (1.0, 0.9, 0.3),
        "ours: cavitation 1": (1.0, 0.8, 1.0),
        "ours: worn, with heat pump": (1.0, 1.0, 0.0, 0.8, 1.0),
    }
    for name, how in states.items():
        sounds[name] = pump_sound(3, START_NS, 10 * RATE, RATE, *how)
    picture(sounds, tmp_path / "spectrograms.png")
    print(
        f"\n{tmp_path / 'spectrograms.png'}\ndB in bands from (Hz)      " + " ".join(f"{a:5d}" for a in EDGES_HZ[:-1])
    )
    for name, samples in sounds.items():
        bands, spiky = spectrum(samples)
        level = 20 * np.log10(samples.std() / 32768.0)
        print(f"{name:26s} " + " ".join(f"{b:5.0f}" for b in bands) + f"  all {level:.1f} dB, kurtosis {spiky:.1f}")
    real, made = spectrum(sounds["MIMII normal"])[0], spectrum(sounds["ours: running"])[0]
    print(f"ours less MIMII normal: {np.round(np.subtract(made, real), 1)}")
    assert np.abs(np.subtract(made, real)).max() < 4.0
