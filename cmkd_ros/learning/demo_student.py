# SPDX-License-Identifier: Apache-2.0
"""The demo student: a small network fitted in numpy to the rules on simulated days, written as ONNX with its manifest.

It shows that everything between a camera and a register works, and is what the demo farm runs. It is no result: it can
at best do what the rules do. Read top to bottom: simulate, take features, fit eye, ear and hand, look ahead, export.
"""

from __future__ import annotations

import datetime
import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmkd_ros.contract.actions import ACTION_NAMES
from cmkd_ros.contract.student import FUTURE_CHANNELS, MODALITIES
from cmkd_ros.contract.telemetry import CHANNEL
from cmkd_ros.fusion.options import Sizes
from cmkd_ros.fusion.tensors import InputSpec, Normalisation, tensors
from cmkd_ros.learning import demo_graph
from cmkd_ros.learning.demo_data import SAMPLE_MINUTES, Sample, channels_of, pump_sounds, simulate
from cmkd_ros.learning.regression import Perceptron, area_under_roc, fit_perceptron, fit_ridge, r_squared
from cmkd_ros.policy.graph import open_session
from cmkd_ros.policy.manifest import Manifest, load_manifest, save_manifest
from cmkd_ros.policy.rules.reading import full_light
from cmkd_ros.policy.rules.settings import DEFAULTS
from cmkd_ros.policy.rules.water import cycle_s
from cmkd_ros.site import Site, load_site

SIZES = Sizes(sky_height=64, sky_width=64, audio_samples=16_000, audio_rate_hz=16_000)
HOURS_AHEAD = (1, 3, 6)
IRRADIANCE_HORIZONS_S = (300.0, 900.0, 1800.0)
QUANTILES = (0.1, 0.5, 0.9)
FARMS, HOURS, PUMPS = 96, 24, 3000
HELD_OUT = 0.25  # of the farms, and of the pumps: never fitted, only judged

# Round numbers that bring each unit near 0..1; the fit's first layer does the exact standardising.
UNIT_SCALES = {
    "EUR/kWh": (0.2, 0.1),
    "kg/kWh": (0.3, 0.15),
    "kW": (0.0, 10.0),
    "%": (50.0, 25.0),
    "degC": (20.0, 5.0),
    "ppm": (700.0, 200.0),
    "umol/m2/s": (0.0, 200.0),
    "1": (0.0, 1.0),
    "W/m2": (0.0, 500.0),
    "m/s": (3.0, 3.0),
    "bar": (0.0, 1.0),
    "m3/h": (0.0, 3.0),
}
FUTURE_SCALES = {"clear_sky_irradiance_w_per_m2": (0.0, 500.0), "photoperiod": (0.0, 1.0)}

Array = NDArray[np.float32]
Columns = dict[str, Array]


def fit_demo_student(
    out: Path,
    seed: int = 0,
    site: Site | None = None,
    farms: int = FARMS,
    hours: int = HOURS,
    pumps: int = PUMPS,
    hours_ahead: tuple[int, ...] = HOURS_AHEAD,
    say: Callable[[str], None] = print,
) -> Manifest:
    """Fit a demo student for the shipped demo site and write `student.onnx` and `student.json` into `out`.

    The same seed gives the same bytes on the same machine. Fewer farms, hours or pumps give a worse student sooner;
    `hours` must exceed the longest of `hours_ahead`.
    """
    site = site or load_site("demo")
    spec = InputSpec(sizes=SIZES, channels=_channels(site), future=_future())
    light = (full_light(site), site.led.light_sum_target_mol_per_m2)
    session = open_session(demo_graph.feature_model(spec, *light))

    say(f"Simulating {farms} farms for {hours} h under the rules")
    rows, masked = _simulated(site, spec, session, seed, farms, hours, hours_ahead)
    held = rows["farm"] >= round((1.0 - HELD_OUT) * farms)
    train = ~held

    say("Fitting eye, ear and hand")
    bright = rows["irradiance"][train] / np.float32(1000)
    eye = fit_perceptron(rows["eye"][train], bright, (96, 48), seed, 50, squash=False)
    ear, ear_figures = _fit_ear(site, spec, session, seed, pumps)
    seen = _hand_inputs(rows, eye, ear)
    hand = fit_perceptron(seen[train], rows["targets"][train], (128, 64), seed, 40, squash=True)
    believed = np.concatenate([hand.hidden(seen), rows["meters"]], axis=1)
    ahead = fit_ridge(believed[train], rows["ahead"][train])

    clean = rows["clean"] > 0
    learnt = train & clean
    importance = _importance(masked, eye, ear, hand)
    residuals = _residuals(rows, learnt, eye, believed, ahead)
    speed = DEFAULTS.pump_speed_percent / 100.0
    fitted = demo_graph.Fitted(
        eye,
        ear,
        hand,
        ahead,
        *residuals,
        importance,
        float(cycle_s(site)),
        speed,
        hours_ahead,
        IRRADIANCE_HORIZONS_S,
    )
    figures = _figures(rows, held, eye, hand, seen, believed, ahead, fitted) | ear_figures
    figures["importance"] = {name: round(float(value), 6) for name, value in zip(MODALITIES, importance)}

    manifest = Manifest(
        name="demo-student",
        demo=True,
        file="student.onnx",
        sha256="",
        licence="Apache-2.0",
        opset=demo_graph.OPSET,
        inputs=spec,
        irradiance_horizons_s=IRRADIANCE_HORIZONS_S,
        horizons_s=tuple(3600.0 * hour for hour in hours_ahead),
        quantiles=QUANTILES,
        action_bounds={
            name: (float(low), float(high)) for name, (low, high) in zip(ACTION_NAMES, site.action_bounds())
        },
        provenance={
            "what": "imitates cmkd_ros.policy.rules on simulated days; a demonstration, not a result",
            "command": f"cmkd demo-student --out models --seed {seed}",
            "seed": seed,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "data": f"cmkd_ros.simulation: {farms} farms x {hours} h on random days of 2026, site {site.name!r} "
            f"({site.sha256()[:12]}), every second farm on the made-up day-ahead market; {pumps} pump sounds",
            "held_out": f"the last {HELD_OUT:.0%} of the farms and of the sounds",
            "made_with": f"Python {platform.python_version()}, numpy {np.__version__}",
            "figures": figures,
        },
    )
    model = demo_graph.student_model(spec, *light, fitted, manifest.output_shapes())
    manifest = Manifest(**{**vars(manifest), "model": model, "sha256": hashlib.sha256(model).hexdigest()})
    out.mkdir(parents=True, exist_ok=True)
    save_manifest(manifest, out / "student.json")
    for name, value in figures.items():
        say(f"  {name}: {value}")
    say(f"Wrote {out / manifest.file} ({len(model) / 1e6:.2f} MB, sha256 {manifest.sha256})")
    return load_manifest(out / "student.json")


def _channels(site: Site) -> Normalisation:
    names = channels_of(site)
    pairs = [UNIT_SCALES[CHANNEL[name].unit] for name in names]
    return Normalisation(names, tuple(mean for mean, _ in pairs), tuple(scale for _, scale in pairs))


def _future() -> Normalisation:
    pairs = [FUTURE_SCALES.get(name) or UNIT_SCALES[CHANNEL[name].unit] for name in FUTURE_CHANNELS]
    return Normalisation(FUTURE_CHANNELS, tuple(mean for mean, _ in pairs), tuple(scale for _, scale in pairs))


def _simulated(
    site: Site, spec: InputSpec, session: Any, seed: int, farms: int, hours: int, hours_ahead: tuple[int, ...]
) -> tuple[Columns, dict[str, Columns]]:
    """Features and targets of every sample, twice: as it was, and with senses and meters missing at random.

    Also, of some samples of the held-out farms, the features with one modality masked at a time.
    """
    rng = np.random.default_rng([seed, 2])
    bounds = site.action_bounds()
    meters, collected = [], []
    masked: dict[str, list[Columns]] = {name: [] for name in ("nothing", *MODALITIES)}
    first_held = round((1.0 - HELD_OUT) * farms)
    for index, sample in enumerate(simulate(site, seed, farms, hours, SIZES, IRRADIANCE_HORIZONS_S)):
        known = _targets(sample, bounds)
        known |= {"farm": np.arange(farms, dtype=np.float32), "step": np.full(farms, index, np.float32)}
        inputs = tensors(sample.window, spec)
        for clean, variant in ((1.0, inputs), (0.0, _with_gaps(inputs, rng))):
            collected.append(_features(session, variant) | known | {"clean": np.full(farms, clean, np.float32)})
        meters.append(sample.meters)
        if index % 6 == 0:
            chosen = np.flatnonzero(inputs["audio_mask"][:, 0] * (np.arange(farms) >= first_held))
            few = {name: values[chosen] for name, values in inputs.items()}
            targets = {"targets": known["targets"][chosen]}
            for name in masked:
                masked[name].append(_features(session, _without(few, name)) | targets)
    rows = {name: np.concatenate([part[name] for part in collected]) for name in collected[0]}
    rows["ahead"] = _meters_ahead(np.stack(meters), rows, hours_ahead)
    return rows, {
        name: {key: np.concatenate([part[key] for part in parts]) for key in parts[0]} for name, parts in masked.items()
    }


def _targets(sample: Sample, bounds: NDArray[np.float64]) -> Columns:
    scaled = (sample.actions - bounds[:, 0]) / (bounds[:, 1] - bounds[:, 0])
    scaled[:, ACTION_NAMES.index("pump")] = sample.pump_share
    return {"targets": scaled.astype(np.float32), "irradiance": sample.irradiance.astype(np.float32)}


def _meters_ahead(meters: NDArray[np.float64], rows: Columns, hours_ahead: tuple[int, ...]) -> Array:
    """(N, 3 H2) load, state of charge and moisture later on; NaN beyond the end of the simulation."""
    steps = [hour * 60 // SAMPLE_MINUTES for hour in hours_ahead]
    padded = np.concatenate([meters, np.full((max(steps), *meters.shape[1:]), np.nan)])
    later = np.stack([padded[step : step + len(meters)] for step in steps], axis=-1)  # (T, B, 3, H2)
    chosen = later[rows["step"].astype(int), rows["farm"].astype(int)]
    return chosen.reshape(len(chosen), -1).astype(np.float32)


def _features(session: Any, inputs: Columns) -> Columns:
    names = [f"{name}_features" for name in demo_graph.FEATURES]
    return dict(zip(demo_graph.FEATURES, session.run(names, inputs)))


def _without(inputs: Columns, modality: str) -> Columns:
    masks = {
        "sky": ("sky_mask",),
        "audio": ("audio_mask",),
        "telemetry": ("now_mask", "history_mask"),
        "market": ("future_mask",),
    }.get(modality, ())
    changed = {name: np.zeros_like(inputs[name]) for name in masks}
    if modality == "market":  # sun and photoperiod stay: they are known without it
        changed["future_mask"][:, :, 3:] = inputs["future_mask"][:, :, 3:]
    return inputs | changed


def _with_gaps(inputs: Columns, rng: np.random.Generator) -> Columns:
    farms = len(inputs["now"])
    changed = {}
    for names, chance in (
        (("sky_mask",), 0.3),
        (("audio_mask",), 0.3),
        (("now_mask",), 0.2),
        (("history_mask",), 0.3),
    ):
        kept = (rng.random(farms) >= chance).astype(np.float32)
        for name in names:
            changed[name] = inputs[name] * kept.reshape(-1, *[1] * (inputs[name].ndim - 1))
    changed["now_mask"] = changed["now_mask"] * (rng.random(inputs["now"].shape) >= 0.08)
    market = (rng.random(farms) >= 0.3)[:, None, None]
    changed["future_mask"] = inputs["future_mask"].copy()
    changed["future_mask"][:, :, :3] *= market
    return inputs | {name: mask.astype(np.float32) for name, mask in changed.items()}


def _fit_ear(site: Site, spec: InputSpec, session: Any, seed: int, pumps: int) -> tuple[Perceptron, dict[str, Any]]:
    sounds, truth = pump_sounds(site, seed, pumps, SIZES)
    blank = {name: np.zeros(shape, np.float32) for name, shape in spec.shapes(1).items()}
    heard = []
    for part in np.array_split(sounds, max(pumps // 50, 1)):
        inputs = {name: np.repeat(values, len(part), axis=0) for name, values in blank.items()}
        inputs["audio"] = np.divide(part, np.float32(32768.0), dtype=np.float32)
        inputs["audio_mask"] += 1.0
        heard.append(_features(session, inputs)["audio"])
    features, cavitates = np.concatenate(heard), (truth > 0.05).astype(np.float32)[:, None]
    train = np.arange(pumps) < round((1.0 - HELD_OUT) * pumps)
    # A fifth of the sounds once more as silence of the microphone: then the answer is how often pumps cavitate at all.
    deaf = np.flatnonzero(train)[::5]
    ear = fit_perceptron(
        np.concatenate([features[train], 0.0 * features[deaf]]),
        np.concatenate([cavitates[train], cavitates[deaf]]),
        (16,),
        seed,
        40,
        squash=True,
    )
    score = ear(features[~train])[:, 0].astype(np.float64)
    return ear, {"cavitation_auc": round(area_under_roc(score, cavitates[~train][:, 0] > 0), 4)}


def _hand_inputs(rows: Columns, eye: Perceptron, ear: Perceptron) -> Array:
    bright = np.maximum(eye(rows["eye"])[:, :1], 0.0)
    cavitation = 1.0 / (1.0 + np.exp(-ear(rows["audio"])))
    return np.concatenate([rows["meters"], bright, cavitation], axis=1).astype(np.float32)


def _squashed(hand: Perceptron, seen: Array) -> NDArray[np.float64]:
    return 1.0 / (1.0 + np.exp(-hand(seen).astype(np.float64)))


def _importance(masked: dict[str, Columns], eye: Perceptron, ear: Perceptron, hand: Perceptron) -> NDArray[np.float64]:
    """(4,) how much the squared error against the rules grows without each modality, where all are there."""
    if not len(masked["nothing"]["targets"]):
        return np.zeros(len(MODALITIES))
    errors = {
        name: ((_squashed(hand, _hand_inputs(rows, eye, ear)) - rows["targets"]) ** 2).mean()
        for name, rows in masked.items()
    }
    return np.array([max(errors[name] - errors["nothing"], 0.0) for name in MODALITIES])


def _residuals(
    rows: Columns, chosen: NDArray[np.bool_], eye: Perceptron, believed: Array, ahead: tuple[Array, Array]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Quantiles of what the forecasts missed: irradiance (H1, Q) over clear sky, meters (3, H2, Q), price (Q,)."""
    day = chosen & (rows["clear"][:, 0] > 50.0)
    missed = rows["irradiance"][day, 1:] - 1000.0 * np.maximum(eye(rows["eye"][day])[:, 1:], 0.0)
    bright = np.quantile(missed / rows["clear"][day, :1], QUANTILES, axis=0).T
    later = rows["ahead"][chosen] - (believed[chosen] @ ahead[0] + ahead[1])
    meters = np.nanquantile(later, QUANTILES, axis=0).T.reshape(3, -1, len(QUANTILES))
    price, known = rows["price"][chosen], rows["price_known"][chosen] > 0
    dear = (price - price.mean(axis=1, keepdims=True))[known]
    return bright, meters, np.quantile(dear, QUANTILES)


def _figures(
    rows: Columns,
    held: NDArray[np.bool_],
    eye: Perceptron,
    hand: Perceptron,
    seen: Array,
    believed: Array,
    ahead: tuple[Array, Array],
    fitted: demo_graph.Fitted,
) -> dict[str, Any]:
    """On held-out farms: how near the rules the actions are with all meters there, and how good the beliefs."""
    judged = held & (rows["clean"] > 0)
    acted, right = _squashed(hand, seen[judged]), rows["targets"][judged].astype(np.float64)
    figures: dict[str, Any] = {
        f"{name}{'_share' if name == 'pump' else ''}_against_rules": {
            "r2": round(r_squared(acted[:, index], right[:, index]), 3),
            "mae_of_range": _mean(np.abs(acted - right)[:, index], 4),
        }
        for index, name in enumerate(ACTION_NAMES)
    }
    day = held & (rows["clear"][:, 0] > 50.0)
    sighted, metered = rows["eye"][:, 1] > 0, rows["eye"][:, demo_graph.PV_MASK] > 0
    for name, which in (("sky_and_pv", sighted & metered), ("sky", sighted & ~metered), ("pv", ~sighted & metered)):
        missed = np.maximum(eye(rows["eye"][day & which])[:, 0], 0.0) * 1000.0 - rows["irradiance"][day & which, 0]
        figures[f"irradiance_mae_by_day_w_per_m2_from_{name}"] = _mean(np.abs(missed), 1)
    plain = rows["irradiance"][day, 0] / rows["clear"][day, 0]
    missed = rows["irradiance"][day, 0] - rows["clear"][day, 0] * plain.mean()
    figures["irradiance_mae_by_day_w_per_m2_from_clear_sky_alone"] = _mean(np.abs(missed), 1)
    middle = believed[judged] @ ahead[0] + ahead[1]
    truth = rows["ahead"][judged]
    errors = np.abs(middle - truth).T.reshape(3, len(fitted.hours_ahead), -1)
    low, high = (fitted.ahead_residuals[:, :, index].ravel() for index in (0, -1))
    inside = np.where(np.isnan(truth), np.nan, (truth >= middle + low) & (truth <= middle + high)).ravel()
    for name, row in zip(("load_kw", "state_of_charge_percent", "soil_moisture_percent"), errors):
        figures[f"{name}_ahead_mae"] = {f"{hour} h": _mean(error, 2) for hour, error in zip(fitted.hours_ahead, row)}
    figures["coverage_of_the_80_percent_band"] = _mean(inside, 3)
    return figures


def _mean(values: NDArray[Any], digits: int) -> float | None:
    """Of what is not NaN; None (unknown) where nothing is."""
    known = values[~np.isnan(values)]
    return round(float(known.mean()), digits) if known.size else None
