"""A user's recordings: every format gives the same events, and what is none is named."""

import sys

import numpy as np
import pytest

from brainleaks import InputError
from brainleaks.data.event_files import read_events
from recordings import aedat3, aedat4, five_byte

X, Y = np.array([3, 0, 7, 2]), np.array([1, 5, 5, 0])
T, P = np.array([10, 20, 20, 9_000]), np.array([1, 0, 1, 0])
ROWS = list(zip(X, Y, T, P, strict=True))


def same(events):
    found = [field.astype(int).tolist() for field in events]
    return found == [array.tolist() for array in (X, Y, T, P)]


def structured(names="xytp"):
    array = np.empty(4, [(name, int) for name in names])
    for name, column in zip("xytp", (X, Y, T, P), strict=True):
        array[name] = column
    return array


def test_formats_agree(tmp_path):
    (tmp_path / "a.bin").write_bytes(five_byte(ROWS))
    np.save(tmp_path / "tonic.npy", structured())
    np.save(tmp_path / "columns.npy", np.stack([X, Y, P, T], 1))
    np.save(tmp_path / "time_first.npy", np.stack([T, X, Y, 2 * P - 1], 1))
    np.savez(tmp_path / "spikingjelly.npz", x=X, y=Y, t=T, p=P)
    np.savez(tmp_path / "one.npz", events=structured())
    (tmp_path / "a.aedat").write_bytes(aedat3(ROWS))
    for path in sorted(tmp_path.iterdir()):
        assert same(read_events(path)), path.name


def test_time_units(tmp_path):
    np.savez(tmp_path / "ms.npz", x=X, y=Y, t=T / 1000, p=P)
    assert read_events(tmp_path / "ms.npz", time_unit="ms").t.tolist() == T.tolist()
    np.savez(tmp_path / "s.npz", x=X, y=Y, t=T / 1e6, p=P)
    assert np.abs(read_events(tmp_path / "s.npz", time_unit="s").t - T).max() <= 1
    with pytest.raises(InputError, match="set time_unit"):
        read_events(tmp_path / "s.npz")


def test_aedat_4(tmp_path):
    pytest.importorskip("aedat")
    path = tmp_path / "a.aedat4"
    path.write_bytes(aedat4([ROWS[:2], ROWS[2:]]))
    assert same(read_events(path))
    path.rename(tmp_path / "a.aedat")  # as DV's older recordings are called
    assert same(read_events(tmp_path / "a.aedat"))
    path.write_bytes(aedat4([ROWS[:2]])[:60])
    with pytest.raises(InputError, match=r"a.aedat4 is not a complete AEDAT 4 recording"):
        read_events(path)


def test_aedat_4_without_the_package(tmp_path, monkeypatch):
    path = tmp_path / "a.aedat4"
    path.write_bytes(aedat4([ROWS]))
    monkeypatch.setitem(sys.modules, "aedat", None)
    with pytest.raises(InputError, match=r"pip install 'brainleaks\[aedat\]'"):
        read_events(path)


def damaged(tmp_path):
    """A recording that is none, and what is said of it."""
    objects = np.array([{"x": 1}], object)
    yield (
        "pickled.npy",
        lambda p: np.save(p, objects, allow_pickle=True),
        "[Uu]npickling",
    )
    yield (
        "cut.npy",
        lambda p: p.write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr"),
        "not a complete .npy",
    )
    yield "text.npz", lambda p: p.write_text("hello"), "not a complete .npy or .npz"
    yield "fields.npz", lambda p: np.savez(p, x=X, y=Y, t=T), "expected arrays named x, y, t and p"
    yield "shape.npy", lambda p: np.save(p, np.zeros((4, 3))), "four columns"
    yield "alike.npy", lambda p: np.save(p, np.stack([P, P, P, T], 1)), "cannot tell which"
    yield "empty.npy", lambda p: np.save(p, structured()[:0]), "is empty"
    yield "back.npz", lambda p: np.savez(p, x=X, y=Y, t=T[::-1], p=P), "time runs backwards"
    yield (
        "minus.npz",
        lambda p: np.savez(p, x=X - 1, y=Y, t=T, p=P),
        "expected integers from 0",
    )
    yield "nan.npz", lambda p: np.savez(p, x=X, y=Y, t=T * np.nan, p=P), "not finite"
    yield "short.npz", lambda p: np.savez(p, x=X[1:], y=Y, t=T, p=P), "one of each"
    yield "bytes.bin", lambda p: p.write_bytes(b"1234"), "a multiple of 5"
    yield "other.aedat", lambda p: p.write_bytes(b"#!AER-DAT2.0\r\n"), "an AEDAT 3.1 recording"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"t": np.array([-(1 << 62), 0, 1, 1 << 62])}, "which is implausible"),
        ({"t": np.array([0, 1, 2, np.iinfo(np.uint64).max], np.uint64)}, "which is implausible"),
        ({"t": np.array([1e300, 1e300, 2e300, 3e300])}, "which is implausible"),
        ({"t": T + (1 << 60)}, "expected at most 285 years"),
        ({"x": X + 0.9}, "event 0 lies at x = 3.9"),
        ({"x": X + 32_760, "y": Y + 32_762}, "BRAINLEAKS_LIMIT_SENSOR_PIXELS"),
        ({"p": P + 1}, "has the polarity 2"),
    ],
)
def test_values_that_no_sensor_sends_are_refused(tmp_path, change, said):
    path = tmp_path / "a.npz"
    np.savez(path, **{"x": X, "y": Y, "t": T, "p": P, **change})
    with pytest.raises(InputError, match=said):
        read_events(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint64, np.float16])
@pytest.mark.parametrize(("unit", "scale"), [("ms", 1_000), ("s", 1_000_000)])
def test_times_are_widened_before_they_are_multiplied(tmp_path, dtype, unit, scale):
    times = np.array([0, 3, 90, 200])
    np.savez(tmp_path / "a.npz", x=X, y=Y, t=times.astype(dtype), p=P)
    found = read_events(tmp_path / "a.npz", time_unit=unit)
    assert found.t.tolist() == (times * scale).tolist()


def test_small_unsigned_columns_are_told_apart(tmp_path):
    """Differences of unsigned numbers wrap: x falls, and is no time."""
    columns = np.stack([np.array([3, 0, 7, 2]), Y, P, np.array([1, 2, 2, 90])], 1).astype(np.uint8)
    np.save(tmp_path / "a.npy", columns)
    assert read_events(tmp_path / "a.npy").t.tolist() == [1, 2, 2, 90]


def test_a_time_unit_that_makes_no_sense_is_refused_with_the_others(tmp_path):
    many = np.arange(1_000)
    np.savez(tmp_path / "a.npz", x=many % 8, y=many % 6, t=many / 1_000, p=many % 2)
    with pytest.raises(InputError, match=r"0\.999 microseconds .* in us.*999 .* in ms"):
        read_events(tmp_path / "a.npz")


def test_what_is_no_recording_is_named(tmp_path):
    for name, make, said in damaged(tmp_path):
        path = tmp_path / name
        make(path)
        with pytest.raises(InputError, match=said) as caught:
            read_events(path)
        assert name in str(caught.value)
        assert str(caught.value).count("\n") == 0


def test_off_the_sensor(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y, t=T, p=P)
    with pytest.raises(InputError, match="event 2 lies at x = 7, y = 5, off the sensor of 7 x 9"):
        read_events(tmp_path / "a.npz", sensor=(9, 7))
