"""Camera formats: words that are put together by hand, other libraries, and files that are none."""

import importlib.util
import struct
import subprocess
import sys

import h5py
import numpy as np
import pytest

from brainleaks import InputError
from brainleaks.data.event_files import read_events, read_recording
from brainleaks.data.prophesee import decode_raw
from recordings import csv, dat, ecf, es, evt, evt3_words

HEADER = b"% evt 3.0\n% geometry 1280x720\n% end\n"


def random_rows(count, longest, seed=0, width=1280, height=720):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, longest, count))
    columns = rng.integers(0, width, count), rng.integers(0, height, count), times
    return [tuple(map(int, row)) for row in zip(*columns, rng.integers(0, 2, count), strict=True)]


def rows_of(events):
    return [tuple(map(int, row)) for row in zip(*events, strict=True)]


WRITERS = {
    "evt2.raw": lambda rows: evt("2.0", rows),
    "evt21.raw": lambda rows: evt("2.1", rows),
    "evt3.raw": lambda rows: evt("3.0", rows),
    "a.dat": dat,
    "a.es": es,
    "a.csv": csv,
}


@pytest.mark.parametrize("name", WRITERS)
def test_random_recordings_come_back(tmp_path, name):
    """Over 40 seconds: EVT 3.0's clock goes round twice."""
    rows = random_rows(3_000, 40_000_000)
    (tmp_path / name).write_bytes(WRITERS[name](rows))
    found = read_recording(tmp_path / name)
    assert rows_of(found.events) == rows
    assert found.sensor == (None if name == "a.csv" else (720, 1280))
    assert found.repair == (0, 0)


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_clocks_of_34_bits_go_round(tmp_path, version):
    rows = [(3, 4, t, 1) for t in ((1 << 34) - 100, (1 << 34) + 5, (1 << 34) + 70)]
    (tmp_path / "a.raw").write_bytes(evt(version, rows))
    assert rows_of(read_events(tmp_path / "a.raw")) == rows


def test_the_clock_of_dat_goes_round(tmp_path):
    rows = [(3, 4, t, 1) for t in ((1 << 32) - 100, (1 << 32) + 5, (1 << 32) + 9)]
    (tmp_path / "a.dat").write_bytes(dat(rows))
    assert rows_of(read_events(tmp_path / "a.dat")) == rows
    low = [(x % 200, y % 200, t, p) for x, y, t, p in random_rows(50, 900_000)]
    (tmp_path / "a.dat").write_bytes(dat(low, version=1))
    assert rows_of(read_events(tmp_path / "a.dat")) == low


def test_evt3_word_by_word(tmp_path):
    """A hand-worked stream: vectors, a master bit, words before the clock, other kinds of words."""
    words = [
        0x0005,  # row 5
        0x2007,  # column 7: no time yet, so no event
        0x8001,  # upper time 1
        0x6010,  # lower time 16: 4096 + 16
        0x2807,  # column 7, brighter
        0x0803,  # row 3, of the other camera of two
        0x3064,  # vector from column 100, darker
        0x4801,  # columns 100 and 111
        0x5181,  # columns 112 and 119; the bit beyond eight means nothing
        0xA101, 0xE014, 0xF123, 0x7001,  # a trigger, and counts
        0x4001,  # column 120
        0x8001,  # the same upper time again: the lower one stays
        0x2009,  # column 9
        0x8002,  # upper time 2: the lower one is 0 until it is said
        0x2809,  # column 9, brighter
    ]  # fmt: skip
    (tmp_path / "a.raw").write_bytes(HEADER + struct.pack(f"<{len(words)}H", *words))
    assert rows_of(read_events(tmp_path / "a.raw")) == [
        (7, 5, 4_112, 1),
        (100, 3, 4_112, 0),
        (111, 3, 4_112, 0),
        (112, 3, 4_112, 0),
        (119, 3, 4_112, 0),
        (120, 3, 4_112, 0),
        (9, 3, 4_112, 0),
        (9, 3, 8_192, 1),
    ]


def one_word_after_the_other(words):
    """EVT 3.0 as its description has it, as slowly and plainly as it can be read."""
    state = {"high": None, "low": 0, "turns": 0, "y": None, "x": None, "p": 0}
    for word in words:
        kind, value = f"{word:04x}"[0], word % 4096
        if kind == "8":
            if state["high"] is not None and state["high"] - value >= 2048:
                state["turns"] += 1
            if state["high"] != value:
                state["low"] = 0
            state["high"] = value
        elif kind == "6":
            state["low"] = value
        elif kind == "0":
            state["y"] = value % 2048
        elif kind == "3":
            state["x"], state["p"] = value % 2048, value // 2048
        ready = state["high"] is not None and state["y"] is not None
        when = state["turns"] * 2**24 + (state["high"] or 0) * 2**12 + state["low"]
        if kind == "2" and ready:
            yield value % 2048, state["y"], when, value // 2048
        if kind in "45" and state["x"] is not None:
            width = {"4": 12, "5": 8}[kind]
            for place in range(width):
                if ready and value >> place & 1:
                    yield state["x"] + place, state["y"], when, state["p"]
            state["x"] += width


@pytest.mark.parametrize("seed", range(5))
def test_evt3_against_a_plain_reading_of_any_words(seed):
    rng = np.random.default_rng(seed)
    kinds = rng.choice([0, 2, 3, 4, 5, 6, 7, 8, 10, 14], 4_000)
    values = rng.integers(0, 4096, 4_000)
    values[kinds == 8] = (np.cumsum(rng.integers(0, 60, 4_000)) % 4096)[kinds == 8]
    words = (kinds << 12 | values).astype(np.uint16)
    expected = list(one_word_after_the_other(words.tolist()))
    events, sensor = decode_raw("here", HEADER + words.tobytes())
    assert len(expected) > 4_000
    assert rows_of(events) == expected
    assert sensor == (720, 1280)


def test_evt21_vectors_and_halves_in_either_order(tmp_path):
    high, event = 8 << 28 | 3, 1 << 28 | 9 << 22 | 64 << 11 | 17
    mask = 1 << 31 | 1 << 4 | 1
    expected = [(64, 17, 201, 1), (68, 17, 201, 1), (95, 17, 201, 1)]
    size = b"% format EVT21;height=720;width=1280"
    for more, words in (
        (b"\n", (high << 32, event << 32 | mask)),
        (b";endianness=legacy\n", (high, mask << 32 | event)),
    ):
        (tmp_path / "a.raw").write_bytes(size + more + b"% end\n" + struct.pack("<2Q", *words))
        found = read_recording(tmp_path / "a.raw")
        assert rows_of(found.events) == expected
        assert found.sensor == (720, 1280)


def test_atis_recordings_keep_changes_of_light_alone(tmp_path):
    head = b"Event Stream" + bytes([2, 0, 0, 2]) + struct.pack("<HH", 304, 240)
    body = struct.pack("<BHH", 5 << 2 | 0b10, 3, 0)  # brighter, in the lowest row
    body += bytes([0b11111110])  # twice 63 microseconds
    body += struct.pack("<BHH", 1 << 2 | 0b01, 3, 0)  # an exposure begins
    body += struct.pack("<BHH", 7 << 2, 4, 239)  # darker, in the uppermost row
    (tmp_path / "a.es").write_bytes(head + body)
    assert rows_of(read_events(tmp_path / "a.es")) == [(3, 239, 5, 1), (4, 0, 139, 0)]


@pytest.mark.parametrize("packing", [0, 1, 2])
def test_hdf5_of_prophesee(tmp_path, packing):
    """Compressed by a writer of ECF that the tests have, in each of its three ways, and plain."""
    rows = random_rows(3_000, 900_000, width=64) + [(i, 9, 950_000, 1) for i in range(300)]
    parts = [rows[:2_048], rows[2_048:]]
    kind = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((2_048,))
        create.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((len(rows),))
        group = file.create_group("CD")
        made = h5py.h5d.create(group.id, b"events", h5py.h5t.py_create(kind), space, create)
        for i, part in enumerate(parts):
            made.write_direct_chunk((2_048 * i,), ecf(part, packing))
        file.attrs["geometry"] = "1280x720"
    found = read_recording(path)
    assert rows_of(found.events) == rows
    assert found.sensor == (720, 1280)
    plain = np.zeros(len(rows), kind)
    for name, column in zip("xytp", zip(*rows, strict=True), strict=True):
        plain[name] = column
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("CD/events", data=plain, compression="gzip")
    assert rows_of(read_events(tmp_path / "b.h5")) == rows


def test_other_libraries_read_the_same(tmp_path):
    faery = pytest.importorskip("faery")
    rows = random_rows(3_000, 40_000_000)
    for name in ("evt2.raw", "evt3.raw", "a.dat", "a.es"):
        path = tmp_path / name
        path.write_bytes(WRITERS[name](rows))
        theirs = np.concatenate(list(faery.events_stream_from_file(path)))
        ours = read_events(path)
        for field, other in zip("xytp", ("x", "y", "t", "on"), strict=True):
            assert (getattr(ours, field) == theirs[other]).all(), (name, field)


def test_expelliarmus_reads_the_same(tmp_path):
    """Of EVT 2.0 and DAT: the times of version 1.1.12 run ahead in EVT 3.0."""
    expelliarmus = pytest.importorskip("expelliarmus")
    for name, kind in (("evt2.raw", "evt2"), ("a.dat", "dat")):
        path = tmp_path / name
        path.write_bytes(WRITERS[name](random_rows(3_000, 40_000_000)))
        theirs = expelliarmus.Wizard(encoding=kind, fpath=path).read()
        ours = read_events(path)
        for field in "xytp":
            assert (getattr(ours, field) == theirs[field]).all(), (name, field)


def test_event_stream_of_its_own_library(tmp_path):
    """In a process of its own: writing with version 1.6.3 changes NumPy's type of bool for all."""
    if importlib.util.find_spec("event_stream") is None:
        pytest.skip("event_stream is not installed")
    rows = random_rows(2_000, 3_000_000, width=304, height=240)
    np.save(tmp_path / "rows.npy", np.array(rows))
    code = (
        "import event_stream, numpy\n"
        "rows = [(t, x, y, p) for x, y, t, p in numpy.load('rows.npy')]\n"
        "with event_stream.Encoder('a.es', 'dvs', 304, 240) as encoder:\n"
        "    encoder.write(numpy.array(rows, event_stream.dvs_dtype))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    upside_down = [(x, 239 - y, t, p) for x, y, t, p in rows]
    assert rows_of(read_events(tmp_path / "a.es")) == upside_down


ROWS = random_rows(40, 90_000, width=64, height=48)
RAW = evt("3.0", ROWS)
NOT_RECORDINGS = [
    ("a.raw", RAW[:-1], "truncated: 1 bytes are left over"),
    ("a.raw", evt("2.0", ROWS)[:-3], "expected 4 for a word of EVT 2"),
    ("a.raw", evt3_words(ROWS), "has no header; expected lines such as % evt 3.0"),
    ("a.raw", b"", "has no header"),
    ("a.raw", b"% geometry 640x480\n% end\n" + evt3_words(ROWS), "event format is missing"),
    ("a.raw", b"% format EVT4;height=4;width=4\n% end\n", "is EVT4; expected EVT2, EVT2.1 or EVT3"),
    ("a.raw", b"% evt 3.0\n% endianness big\n% end\n", "words are big-endian"),
    ("a.raw", HEADER, "is empty: it holds no events"),
    ("a.raw", evt("3.0", ROWS, size="40x48"), "off the sensor of 40 x 48 pixels"),
    ("a.raw", evt("3.0", [(3, 2, 9_000, 1), (3, 2, 10, 1)]), "Use repair_times=True"),
    ("a.dat", dat(ROWS)[:-3], "truncated: 5 bytes are left over"),
    ("a.dat", dat(ROWS, version=3), "version is 3; expected a .dat file of version 2"),
    ("a.dat", dat(ROWS, kind=14), "events of type 14"),
    ("a.dat", b"% Version 2\n", "ends with its header"),
    ("a.dat", dat(ROWS, width=20), "off the sensor of 20 x 720"),
    ("a.es", es(ROWS)[:-2], "truncated: its last event is incomplete"),
    ("a.es", es(ROWS)[:17], "its header has 17 of 20 bytes"),
    ("a.es", b"Event Stream\x01\x00\x00\x01" + bytes(8), "version is 1.0.0"),
    ("a.es", b"Event Stream\x02\x00\x00\x04" + bytes(8), "holds events of colour"),
    ("a.es", es(ROWS, width=20), "off the sensor of 20 x 720"),
    ("a.es", RAW, "expected Event Stream"),
    ("a.h5", RAW, "is not an HDF5 file"),
    ("a.aedat", b"#!AER-DAT2.0\r\n", "Convert other versions to AEDAT 4 with DV"),
]


@pytest.mark.parametrize(("name", "content", "said"), NOT_RECORDINGS)
def test_what_is_no_recording_is_named(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said.replace("(", r"\(").replace(".", r"\.")) as caught:
        read_events(tmp_path / name)
    assert name in str(caught.value)


def test_damaged_ecf_is_refused(tmp_path):
    whole = ecf(ROWS, 0)
    kind = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    for cut, said in ((len(whole) - 4, "is incomplete"), (5, "chunks hold 0 events")):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            create.set_chunk((len(ROWS),))
            create.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL)
            space = h5py.h5s.create_simple((len(ROWS),))
            group = file.create_group("CD").id
            made = h5py.h5d.create(group, b"events", h5py.h5t.py_create(kind), space, create)
            made.write_direct_chunk((0,), whole[:cut])
        with pytest.raises(InputError, match=said):
            read_events(tmp_path / "a.h5")


def test_more_events_than_memory_bears_are_refused(tmp_path, monkeypatch):
    """A word of EVT 3.0 may be twelve events, so that a small file may be a large recording."""
    words = struct.pack("<4H", 0x8001, 0x0001, 0x3000, 0x6001) + struct.pack("<H", 0x4FFF) * 2_000
    (tmp_path / "a.raw").write_bytes(HEADER + words)
    monkeypatch.setenv("BRAINLEAKS_LIMIT_UNPACKED_BYTES", "100000")
    with pytest.raises(InputError, match="BRAINLEAKS_LIMIT_UNPACKED_BYTES"):
        read_events(tmp_path / "a.raw")
