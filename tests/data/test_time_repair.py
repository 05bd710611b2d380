"""Times that run backwards: what is sorted, what is dropped, and what is refused."""

import itertools

import numpy as np
import pytest

from brainleaks import InputError
from brainleaks.data._events import in_order, out_of_place
from brainleaks.data.event_files import read_events, read_recording
from brainleaks.data.events import Events
from brainleaks.data.time_repair import repair_times
from recordings import dat


def recording(times):
    """Events that are told apart by their column."""
    n = len(times)
    zeros = np.zeros(n, np.uint16)
    return Events(np.arange(n, dtype=np.uint16), zeros, np.array(times), zeros.astype(np.uint8))


def test_late_events_are_sorted_and_wrong_times_dropped():
    times = [0, 20, 13, 30, 30, 900_000_000, 40, -7_000_000, 50_000, 47_000, 60_000] + [
        61_000
    ] * 200
    events, repair = repair_times("here", recording(times))
    assert repair == (2, 2)  # 13 and 47,000; the jumps ahead and back
    assert events.t[:9].tolist() == [0, 13, 20, 30, 30, 40, 47_000, 50_000, 60_000]
    assert events.x[:9].tolist() == [0, 2, 1, 3, 4, 6, 9, 8, 10]  # equal times keep their order


def test_ten_milliseconds_are_late_and_more_is_wrong():
    for late, expected in ((10_000, (1, 0)), (10_001, (0, 1))):
        events, repair = repair_times("here", recording([0, 20_000, 30_000, 30_000 - late, 30_000]))
        assert repair == expected
        assert len(events.t) == 5 - expected[1]


def test_a_recording_in_order_is_left_as_it_is():
    events = recording([0, 3, 3, 90_000_000])
    assert repair_times("here", events) == (events, (0, 0))


def test_the_largest_set_in_order_stays():
    """Against trying every set of eight events."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        t = rng.integers(0, 9, 8)
        sets = (s for n in range(9) for s in itertools.combinations(range(8), n))
        most = max(len(s) for s in sets if (np.diff(t[list(s)]) >= 0).all())
        kept = in_order(t)
        assert kept.sum() == most
        assert (np.diff(t[kept]) >= 0).all()
        for i, distance in enumerate(out_of_place(t, kept)):
            before, after = t[:i][kept[:i]], t[i + 1 :][kept[i + 1 :]]
            low = before[-1] - t[i] if len(before) else 0
            high = t[i] - after[0] if len(after) else 0
            assert distance == (0 if kept[i] else max(0, low, high))


def test_two_recordings_in_one_file_are_refused():
    with pytest.raises(InputError, match=r"would drop 49 of 100 events; at most 1 % may"):
        repair_times("here", recording([*range(0, 5_000_000, 100_000)] * 2))


def test_files_are_repaired_on_request_alone(tmp_path):
    rows = [(i % 30, i % 7, 1_000 * i, i % 2) for i in range(300)]
    rows[100] = (9, 9, 3, 1)
    rows[200], rows[201] = rows[201], rows[200]
    (tmp_path / "a.dat").write_bytes(dat(rows))
    columns = np.array(rows)
    np.save(tmp_path / "a.npy", columns)
    np.savez(tmp_path / "a.npz", **dict(zip("xytp", columns.T, strict=True)))
    for name in ("a.dat", "a.npz"):
        with pytest.raises(InputError, match=r"time runs backwards .* Use repair_times=True"):
            read_events(tmp_path / name)
    for name in ("a.dat", "a.npz", "a.npy"):
        found = read_recording(tmp_path / name, repair=True)
        assert found.repair == (1, 1)
        assert found.events.t.tolist() == [1_000 * i for i in range(300) if i != 100]
