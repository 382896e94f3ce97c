# SPDX-License-Identifier: Apache-2.0
"""A windower restored from its snapshot gives the windows that it would have given without the restart."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmkd_ros.contract.errors import SampleError
from cmkd_ros.contract.samples import AudioChunk, Telemetry
from cmkd_ros.fusion.options import Sizes
from cmkd_ros.fusion.snapshot import Snapshot
from cmkd_ros.fusion.windower import Windower


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(st.integers(0, 2**16), st.integers(1, 29))
def test_restored_and_fed_the_later_samples_it_gives_the_same_to_the_bit(farm, seed, tick):
    samples = farm.day(150, seed, begin=800)  # over the end of a quarter
    went_on, restarted = farm.windower(), None
    last = 0
    for index, t in enumerate(range(805, 955, 5)):
        new = [s for s in samples if last < getattr(s, "end_ns", s.stamp_ns) <= farm.at(t)]
        last = farm.at(t)
        farm.push(went_on, *new)
        window = went_on.window(farm.at(t))
        if restarted:
            farm.push(restarted, *new)
            assert farm.same(restarted.window(farm.at(t)), window)
            assert restarted.used().stamps_ns == went_on.used().stamps_ns
        if index == tick:
            restarted = farm.windower()
            restarted.restore(went_on.snapshot())


@pytest.mark.parametrize("silent_s", [1, 5, 40, 100, 7000])
def test_what_is_remembered_of_streams_that_have_stopped(farm, silent_s):
    windower = farm.push(farm.windower(), *farm.day(70))
    windower.window(farm.at(70 + silent_s))
    restored = farm.windower()
    restored.restore(windower.snapshot())
    for t in (70 + silent_s, 71 + silent_s, 130 + silent_s, 8000 + silent_s):
        assert farm.same(restored.window(farm.at(t)), windower.window(farm.at(t)))


def test_at_30_frames_a_second_it_stays_small(farm):
    windower = farm.windower()
    for index in range(100 * 30):
        windower.push_frame(dataclasses.replace(farm.frame(1), stamp_ns=farm.at(index / 30)))
    windower.window(farm.at(100))
    snapshot = windower.snapshot()
    assert 70 <= len(snapshot.frames) <= 90
    restored = farm.windower()
    restored.restore(snapshot)
    for t in np.arange(100, 101, 0.07):
        assert farm.same(restored.window(farm.at(t)), windower.window(farm.at(t)))


def test_a_restored_windower_knows_the_time(farm):
    windower = farm.push(farm.windower(), *farm.day(70))
    windower.window(farm.at(70))
    restored = farm.windower()
    restored.restore(windower.snapshot())
    again = restored.snapshot()
    for name, array in windower.snapshot().arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array, name)
    assert not restored.window(farm.at(20)).sky_mask.any()  # the world was started again


def test_it_holds_only_what_messages_can_carry_and_shares_no_memory(farm):
    windower = farm.push(farm.windower(), *farm.day(70))
    windower.window(farm.at(70))
    snapshot = windower.snapshot()
    assert {array.dtype for array in snapshot.arrays.values()} == {np.dtype(np.float64), np.dtype(np.int64)}
    before = {name: array.copy() for name, array in snapshot.arrays.items()}
    farm.push(windower, *farm.day(30, begin=70))
    assert all(np.array_equal(snapshot.arrays[name], before[name], equal_nan=True) for name in before)
    empty = farm.windower()
    empty.restore(farm.windower().snapshot())
    assert not empty.window(farm.at(1)).sky_mask.any()


def test_a_snapshot_that_does_not_fit_is_refused_and_leaves_a_fresh_windower(farm):
    windower = farm.push(farm.windower(), *farm.day(70))
    windower.window(farm.at(70))
    whole = windower.snapshot()
    bad = {
        "missing": Snapshot({n: a for n, a in whole.arrays.items() if n != "history.sums"}, whole.frames),
        "has shape": Snapshot(whole.arrays | {"telemetry.values": np.zeros((3, 4))}, whole.frames),
        "add up": Snapshot(whole.arrays | {"audio.samples": np.zeros(5, np.int64)}, whole.frames),
        "agree": Snapshot(whole.arrays | {"telemetry.stamps_ns": np.zeros(2, np.int64)}, whole.frames),
    }
    for words, snapshot in bad.items():
        with pytest.raises(SampleError, match=words):
            windower.restore(snapshot)
        assert farm.same(windower.window(farm.at(70)), farm.windower().window(farm.at(70)))


def test_a_model_of_other_sizes_keeps_the_history(farm):
    windower = farm.push(farm.windower(), *farm.day(970))
    window = windower.window(farm.at(970))
    other = Windower(farm.site, sizes=Sizes(sky_height=9, sky_width=9, audio_samples=1500, audio_rate_hz=1500))
    other.restore(windower.snapshot())
    restored = other.window(farm.at(970))
    assert not restored.sky_mask.any() and not restored.audio_mask.any()
    assert np.array_equal(restored.history, window.history, equal_nan=True) and restored.history_mask.any()
    assert np.array_equal(restored.latest, window.latest, equal_nan=True)


def test_samples_of_the_overlap_count_once(farm):
    samples = farm.day(880, begin=20)
    windower = farm.push(farm.windower(), *samples)
    windower.window(farm.at(900))
    restored = farm.windower()
    restored.restore(windower.snapshot())
    overlap = [sample for sample in samples if sample.stamp_ns > farm.at(860)]
    assert {type(sample) for sample in overlap} >= {AudioChunk, Telemetry}
    farm.push(restored, *overlap)
    assert farm.same(restored.window(farm.at(905)), windower.window(farm.at(905)))
