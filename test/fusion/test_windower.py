# SPDX-License-Identifier: Apache-2.0
"""Which sample belongs to which decision: by stamp alone, at or before t - guard, fresh or masked."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmkd_ros.contract.samples import AudioChunk, Frame, Telemetry
from cmkd_ros.contract.telemetry import CHANNEL_NAMES, MARKET_CHANNELS
from cmkd_ros.fusion.window import stack

GUARD = 0.2
CO2, PV, SOIL, AIR, PRICE = (
    CHANNEL_NAMES.index(name)
    for name in (
        "co2_ppm",
        "pv_power_kw",
        "soil_moisture_percent",
        "air_temperature_celsius",
        "import_price_eur_per_kwh",
    )
)
once_per_farm = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)


@once_per_farm
@given(st.integers(0, 2**16), st.randoms(use_true_random=False))
def test_order_of_arrival_leaves_no_trace(farm, seed, shuffler):
    samples = farm.day(90, seed)
    in_order = farm.push(farm.windower(), *samples)
    shuffler.shuffle(samples)
    shuffled = farm.push(farm.windower(), *samples)
    for s in (30, 61.3, 85, 90):
        assert farm.same(in_order.window(farm.at(s)), shuffled.window(farm.at(s)))


@once_per_farm
@given(st.integers(0, 2**16), st.integers(70, 85))
def test_nothing_after_the_guard_is_looked_at(farm, seed, t):
    samples = farm.day(90, seed)
    limit = farm.at(t - GUARD)
    past = [sample for sample in samples if getattr(sample, "end_ns", sample.stamp_ns) <= limit]
    assert len(past) < len(samples)
    everything = farm.push(farm.windower(), *samples).window(farm.at(t))
    assert farm.same(everything, farm.push(farm.windower(), *past).window(farm.at(t)))


def test_the_guard_is_inclusive(farm):
    early, late = farm.frame(10 - GUARD), Frame(farm.at(10 - GUARD) + 1, farm.frame(3).pixels)
    windower = farm.push(farm.windower(), early, late)
    assert windower.window(farm.at(10)).sky_stamps_ns[0, 1] == early.stamp_ns
    assert farm.windower(guard_s=0.0) and windower.options.guard_s == GUARD
    assert farm.push(farm.windower(guard_s=0.1), early, late).window(farm.at(10)).sky_stamps_ns[0, 1] == late.stamp_ns


def test_an_old_frame_is_masked_and_is_zeros(farm):
    windower = farm.push(farm.windower(sky_max_age_s=10), farm.frame(0, 200))
    fresh, stale = windower.window(farm.at(10)), windower.window(farm.at(10) + 1)
    assert fresh.sky_mask.tolist() == [[False, True]] and fresh.sky[0, 1].min() == 200
    assert fresh.ages_s[0, 0] == 10.0
    assert stale.sky_mask.tolist() == [[False, False]] and not stale.sky.any()
    assert stale.sky_stamps_ns.tolist() == [[0, 0]] and np.isnan(stale.ages_s[0, 0])


def test_age_scale_stretches_every_age(farm):
    samples = farm.frame(0), farm.chunk(-1), farm.telemetry(0)
    assert not farm.push(farm.windower(), *samples).window(farm.at(40)).now_mask[0, CO2]
    window = farm.push(farm.windower(age_scale=12), *samples).window(farm.at(35))
    assert window.sky_mask[0, 1] and window.audio_mask[0] and window.now_mask[0, [CO2, PV, AIR]].all()


@pytest.mark.parametrize("rate_hz", [1, 30])
def test_the_earlier_frame_is_what_the_decision_a_minute_ago_saw(farm, rate_hz):
    windower = farm.windower()
    seen = {}
    for index in range(75 * rate_hz):
        s = index / rate_hz + 0.013
        windower.push_frame(Frame(farm.at(s), farm.frame(index).pixels))
        if index % (5 * rate_hz) == 0:
            seen[index // rate_hz] = windower.window(farm.at(index // rate_hz))
    for s in (65, 70):
        assert seen[s].sky_mask.all()
        assert seen[s].sky_stamps_ns[0, 0] == seen[s - 60].sky_stamps_ns[0, 1]
        assert np.array_equal(seen[s].sky[0, 0], seen[s - 60].sky[0, 1])
    assert not seen[60].sky_mask[0, 0]


def test_off_the_grid_the_earlier_frame_is_a_second_older_at_most(farm):
    windower = farm.windower()
    for index in range(72 * 30):
        frame = Frame(farm.at(index / 30), farm.frame(index).pixels)
        windower.push_frame(frame)
        if index > 70 * 30:
            stamps = windower.window(frame.stamp_ns + round(GUARD * 1e9)).sky_stamps_ns[0]
            assert stamps[1] == frame.stamp_ns
            assert 60 * farm.second <= stamps[1] - stamps[0] <= 61 * farm.second


def test_an_earlier_frame_beyond_the_tolerance_is_masked(farm):
    windower = farm.push(farm.windower(sky_gap_tolerance_s=10), farm.frame(0), farm.frame(60), farm.frame(70.1))
    assert windower.window(farm.at(60.1 + GUARD)).sky_mask.tolist() == [[True, True]]
    assert windower.window(farm.at(70 + GUARD)).sky_mask[0, 0]
    assert not windower.window(farm.at(70 + GUARD) + 1).sky_mask[0, 0]


def test_sound_is_the_last_second_of_complete_chunks(farm):
    chunks = [farm.chunk(s / 2, 0.5) for s in range(20)]
    window = farm.push(farm.windower(), *chunks).window(farm.at(5.1))  # the chunk that ends at 5.0 is not complete yet
    assert window.audio_stamps_ns[0] == farm.at(3.5)
    assert np.array_equal(window.audio[0], np.concatenate([chunk.samples[:, 0] for chunk in chunks[7:9]]))
    assert window.ages_s[0, 1] == pytest.approx(0.6)
    hole = farm.push(farm.windower(), *chunks[:8], *chunks[9:])
    assert not hole.window(farm.at(5.2)).audio_mask[0] and not hole.window(farm.at(5.2)).audio.any()
    assert hole.window(farm.at(5.7)).audio_mask[0]
    assert not farm.push(farm.windower(), *chunks).window(farm.at(13.01)).audio_mask[0]  # older than 3 s


def test_each_meter_has_its_own_age(farm):
    windower = farm.push(farm.windower(), farm.telemetry(0, read_s=0))
    for t, known in ((5, True), (6, False)):
        assert windower.window(farm.at(t)).now_mask[0, PV] == known  # 5 s in the site file
    for t, known in ((10, True), (11, False)):
        assert windower.window(farm.at(t)).now_mask[0, AIR] == known  # not listed: 10 s
    for t, known in ((30, True), (31, False)):
        window = windower.window(farm.at(t))
        assert window.now_mask[0, CO2] == known  # 30 s in the site file
        assert np.isfinite(window.latest[0, CO2]) == np.isfinite(window.now[0, CO2]) == known
    assert np.isnan(window.ages_s[0, 2])


def test_age_counts_from_the_reading_not_from_the_message(farm):
    samples = [farm.telemetry(s, read_s=min(s, 3)) for s in range(20)]
    windower = farm.push(farm.windower(), *samples)
    assert windower.window(farm.at(8)).now_mask[0, PV]
    assert not windower.window(farm.at(9)).now_mask[0, PV]


def test_now_is_interpolated_to_the_newest_frame_and_latest_is_as_read(farm):
    samples = [farm.telemetry(s, read_s=s, co2_ppm=400 + 3 * s, air_temperature_celsius=20) for s in range(8)]
    windower = farm.push(farm.windower(), *samples)
    assert windower.window(farm.at(7.5)).now[0, CO2] == 421  # no frame: the newest sample's stamp
    farm.push(windower, farm.frame(6.25))
    window = windower.window(farm.at(7.5))
    assert window.now[0, CO2] == pytest.approx(418.75)
    assert (window.latest[0, CO2], window.now[0, AIR]) == (421, 20)
    farm.push(windower, farm.frame(7.2))
    assert windower.window(farm.at(7.5)).now[0, CO2] == 421  # beyond the newest: held


def test_a_channel_that_is_silent_in_one_message_keeps_its_last_reading(farm):
    silent = farm.telemetry(2, read_s=2, soil_moisture_percent=np.nan)
    window = farm.push(farm.windower(), farm.telemetry(1, read_s=1, soil_moisture_percent=33), silent).window(
        farm.at(3)
    )
    assert window.latest[0, SOIL] == 33 and window.now_mask[0, SOIL]


def test_market_and_telemetry_are_told_apart(farm):
    prices_only = {name: np.nan for name in CHANNEL_NAMES if name not in MARKET_CHANNELS}
    window = farm.push(farm.windower(), farm.telemetry(1, read_s=-3600, **prices_only)).window(farm.at(2))
    assert window.now_mask[0, PRICE] and window.now_mask.sum() == len(MARKET_CHANNELS)
    assert np.isnan(window.ages_s[0, 2]) and window.ages_s[0, 3] == 3602
    bare = farm.windower().window(farm.at(2))
    assert np.isnan(bare.ages_s).all() and not bare.future_mask[..., :3].any() and bare.future_mask[..., 3:].all()


def test_prices_outlive_a_silent_gateway(farm):
    sample = farm.telemetry(0)
    window = farm.push(farm.windower(), sample).window(farm.at(2 * 3600))
    assert not window.now_mask.any()
    assert np.array_equal(window.future[0, :22, 0], sample.import_price_ahead_eur_per_kwh[2:])


def test_history_reaches_the_window(farm):
    samples = [farm.telemetry(s, co2_ppm=s // 900 * 100 + 500) for s in range(0, 2700, 10)]
    windower = farm.push(farm.windower(), *samples)
    assert windower.window(farm.at(2700)).history[0, -2:, CO2].tolist() == [
        500,
        600,
    ]  # the guard reaches into the third
    window = windower.window(farm.at(2705))
    assert window.history[0, -3:, CO2].tolist() == [500, 600, 700]
    assert window.history_mask[0, :, CO2].sum() == 3


def test_a_sample_sent_twice_counts_once(farm):
    samples = farm.day(900)
    once, twice = farm.push(farm.windower(), *samples), farm.push(farm.windower(), *samples, *samples[-500:])
    assert farm.same(once.window(farm.at(905)), twice.window(farm.at(905)))


def test_time_going_back_forgets_everything(farm):
    old, new = farm.day(70, begin=1000), farm.day(70, seed=1)
    windower = farm.push(farm.windower(), *old)
    assert windower.window(farm.at(1070)).sky_mask.all()
    assert windower.window(farm.at(1062)).sky_mask[0, 1]  # a small step is no restart
    first = windower.window(farm.at(0))
    assert not first.sky_mask.any() and not first.history_mask.any()
    farm.push(windower, *new)
    assert farm.same(windower.window(farm.at(70)), farm.push(farm.windower(), *new).window(farm.at(70)))


def test_garbage_is_refused_counted_and_leaves_no_trace(farm):
    windower = farm.push(farm.windower(), *farm.day(5))
    before = windower.window(farm.at(5))
    good, t = farm.telemetry(4.5), farm.at(4.6)
    refused = [
        windower.push_frame(Frame(t, np.zeros((4, 4), np.uint8))),
        windower.push_frame(Frame(t, np.zeros((4, 4, 3), np.float32))),
        windower.push_frame(Frame(t, np.zeros((0, 4, 3), np.uint8))),
        windower.push_frame(Frame(0, np.zeros((4, 4, 3), np.uint8))),
        windower.push_frame(Frame(-5, np.zeros((4, 4, 3), np.uint8))),
        windower.push_frame(Frame(2**63, np.zeros((4, 4, 3), np.uint8))),
        windower.push_frame(None),
        windower.push_audio(AudioChunk(t, np.zeros((9, 1), np.int16), 44_100)),
        windower.push_audio(AudioChunk(t, np.zeros((9, 1), np.int16), 0)),
        windower.push_audio(AudioChunk(t, np.zeros((9, 1)), 1000)),
        windower.push_audio(AudioChunk(t, np.zeros((9, 0), np.int16), 1000)),
        windower.push_audio(AudioChunk(t, None, 1000)),
        windower.push_telemetry(Telemetry(t, good.values, good.read_stamps_ns, np.zeros(3))),
        windower.push_telemetry(Telemetry(t, {"co2_ppm": "high"}, {})),
        windower.push_telemetry(Telemetry(t, {}, {"co2_ppm": 10**30})),
        windower.push_telemetry(Telemetry(t, None, {})),
        windower.push_telemetry("x"),
        windower.push_frame(farm.frame(4.6), now_ns=farm.at(3.5)),
    ]
    assert not any(refused) and sum(windower.refused.values()) == len(refused)
    assert windower.refused["sky: stamped in the future"] == 1
    assert farm.same(windower.window(farm.at(5)), before)
    for size in range(100):
        windower.push_frame(Frame(t, np.zeros((size + 1, 4), np.uint8)))
    assert len(windower.refused) <= 52


def test_impossible_values_are_not_known_and_the_others_are_kept(farm):
    bad = farm.telemetry(1, co2_ppm=np.inf, pv_power_kw=1e9, soil_moisture_percent=-1.0, air_temperature_celsius=21)
    read_later = farm.telemetry(1.5, read_s=1.6)
    windower = farm.push(farm.windower(), bad, read_later)
    window = windower.window(farm.at(2))
    assert not window.now_mask[0, [CO2, PV, SOIL]].any() and window.latest[0, AIR] == 21
    assert windower.refused["telemetry: values out of their channel's range"] == 3


@once_per_farm
@given(st.integers(0, 2**16))
def test_a_replay_leaves_out_what_came_too_late(farm, seed):
    rng = np.random.default_rng(seed)
    samples = farm.day(100, seed, begin=850)  # over the end of a quarter
    arrivals, newest = [], {}
    for sample in samples:  # late, but each stream in its order, as its one publisher sends it
        arrival = getattr(sample, "end_ns", sample.stamp_ns) + int(rng.exponential(0.3e9))
        newest[type(sample)] = max(arrival, newest.get(type(sample), 0))
        arrivals.append((newest[type(sample)], sample))
    live, last, seen = farm.windower(), 0, {}
    for t in range(855, 950, 5):
        farm.push(live, *(sample for arrival, sample in arrivals if last < arrival <= farm.at(t)))
        last = farm.at(t)
        seen[t] = live.window(farm.at(t)), live.used()
    replay, bag = farm.windower(), farm.windower()  # of everything, and of what the decisions used
    last = 0
    for t, (window, used) in seen.items():
        new = [sample for sample in samples if last < sample.stamp_ns <= farm.at(t)]
        last = farm.at(t)
        farm.push(replay, *new)
        farm.push(bag, *used.frames, *([used.audio] if used.audio else []))
        farm.push(bag, *(sample for sample in new if isinstance(sample, Telemetry)))
        assert farm.same(replay.window(farm.at(t), only=used.stamps_ns), window)
        assert farm.same(bag.window(farm.at(t), only=used.stamps_ns), window)


def test_without_the_stamps_a_late_sample_would_change_the_window(farm):
    windower = farm.push(farm.windower(), farm.frame(1), farm.telemetry(1, co2_ppm=400))
    live, used = windower.window(farm.at(3)), windower.used()
    farm.push(windower, farm.frame(2), farm.telemetry(2, co2_ppm=900))
    assert not farm.same(windower.window(farm.at(3)), live)
    assert farm.same(windower.window(farm.at(3), only=used.stamps_ns), live)
    nothing = windower.window(farm.at(3), only={"sky": (), "audio": (), "telemetry": ()})
    assert farm.same(nothing, farm.windower().window(farm.at(3)))


def test_a_sample_late_by_a_quarter_or_a_minute_can_be_left_out_too(farm):
    windower = farm.push(farm.windower(), *(farm.telemetry(s, co2_ppm=400) for s in range(800, 890)))
    farm.push(windower, farm.frame(840), farm.frame(900))
    live, used = windower.window(farm.at(905)), windower.used()
    assert live.sky_mask.all() and live.history_mask[0, 95, CO2]
    farm.push(windower, farm.telemetry(895, co2_ppm=900), farm.frame(842))
    assert not farm.same(windower.window(farm.at(905)), live)
    assert farm.same(windower.window(farm.at(905), only=used.stamps_ns), live)


def test_used_names_every_sample_oldest_first(farm):
    samples = farm.day(70)
    windower = farm.push(farm.windower(), *samples)
    window, used = windower.window(farm.at(70)), windower.used()
    assert [frame.stamp_ns for frame in used.frames] == window.sky_stamps_ns[0].tolist() == list(used.stamps_ns["sky"])
    assert np.array_equal(np.stack([frame.pixels for frame in used.frames]), window.sky[0])
    assert np.array_equal(used.audio.samples[:, 0], window.audio[0])
    assert used.audio.stamp_ns == window.audio_stamps_ns[0] and used.audio.rate_hz == 1000
    assert used.stamps_ns["audio"] == (farm.at(68.5), farm.at(69))
    assert used.stamps_ns["market"] == (window.telemetry_stamps_ns[0],)
    read = sorted(sample.stamp_ns for sample in samples if isinstance(sample, Telemetry))
    limit_ns = farm.at(70) - round(GUARD * 1e9)
    assert used.stamps_ns["telemetry"] == tuple(s for s in read if s <= limit_ns), "all of it came into the history"
    windower.window(farm.at(75))
    end_ns = farm.at(75) - round(GUARD * 1e9)
    interpolated = tuple(s for s in read if end_ns - 60 * 10**9 < s <= end_ns)
    assert windower.used().stamps_ns["telemetry"] == interpolated


def test_a_sample_too_late_to_be_interpolated_is_named_once_because_the_history_has_it(farm):
    windower = farm.push(farm.windower(), farm.telemetry(100))
    windower.window(farm.at(105))
    farm.push(windower, farm.telemetry(3))
    windower.window(farm.at(110))
    assert windower.used().stamps_ns["telemetry"] == (farm.at(3), farm.at(100))
    windower.window(farm.at(115))
    assert windower.used().stamps_ns["telemetry"] == (farm.at(100),)


@pytest.mark.parametrize(
    ("utc", "hour", "day"),
    [
        ("2025-03-30T00:59:59", 1 + 3599 / 3600, 89),
        ("2025-03-30T01:00:00", 3, 89),  # clocks go forward
        ("2025-10-26T00:30:00", 2.5, 299),
        ("2025-10-26T01:30:00", 2.5, 299),  # and back
        ("2024-12-31T22:59:00", 23 + 59 / 60, 366),
        ("2024-12-31T23:00:00", 0, 1),
    ],
)
def test_clock_is_local(farm, utc, hour, day):
    window = farm.windower().window(int(np.datetime64(utc, "ns").astype(np.int64)))
    assert (window.local_hour[0], window.day_of_year[0]) == (pytest.approx(hour), day)


def test_windows_stack(farm):
    windower = farm.push(farm.windower(), *farm.day(80))
    windows = [windower.window(farm.at(s)) for s in (60, 65, 70)]
    batch = stack(windows)
    assert batch.batch == 3 and batch.sky.shape == (3, 2, 8, 8, 3)
    assert np.array_equal(batch.now[2], windows[2].now[0], equal_nan=True)
    with pytest.raises(ValueError, match="same audio rate and guard"):
        stack([windows[0], farm.windower(guard_s=0.3).window(farm.at(1))])
    with pytest.raises(ValueError, match="at least one"):
        stack([])
