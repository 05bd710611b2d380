"""Events against Tonic 1.7.0, on real recordings and on random ones."""

import io
import struct
import tarfile

import numpy as np
import pytest
import torch
from tonic.functional import denoise_numpy, to_frame_numpy
from tonic.io import get_aer_events_from_file, read_aedat_header_from_file, read_mnist_file

from brainleaks import InputError
from brainleaks.data.events import (
    Events,
    Framing,
    Recording,
    denoise,
    framed,
    frames,
    read_aedat3,
    read_five_byte,
    spike_trains,
)

TONIC = np.dtype([("x", int), ("y", int), ("t", int), ("p", int)])


def structured(events):
    array = np.empty(len(events.t), TONIC)
    for name, field in zip("xytp", events, strict=True):
        array[name] = field
    return array


def random_events(seed, n=600, sensor=(9, 11), duration=5000):
    rng = np.random.default_rng(seed)
    height, width = sensor
    return Events(
        rng.integers(0, width, n).astype(np.uint16),
        rng.integers(0, height, n).astype(np.uint16),
        np.sort(rng.integers(rng.integers(0, duration), duration * 2, n)),
        rng.integers(0, 2, n).astype(np.uint8),
    )


def dense(events, framing, sensor):
    trains = spike_trains([frames("here", events, framing, sensor)], sensor)
    return trains[torch.tensor([0])][:, 0, 0].numpy()


def tonic_frames(events, framing, sensor):
    """The protocol's preprocessing, by Tonic."""
    array = structured(events)
    if framing.polarity == "merged":
        array["p"] = 0
    if framing.denoise_us is not None:
        array = denoise_numpy(array, framing.denoise_us)
    size = (sensor[1], sensor[0], 2 if framing.polarity == "first" else 1)
    return to_frame_numpy(array, size, time_window=framing.frame_us)[:, 0].clip(max=1)


def test_both_polarities_are_tonics_channels():
    framing = Framing(frame_us=700, polarity="both")
    for seed in range(3):
        events = random_events(seed)
        trains = spike_trains([frames("here", events, framing, (9, 11))], (9, 11), 2)
        expected = to_frame_numpy(structured(events), (11, 9, 2), time_window=700).clip(max=1)
        assert np.array_equal(trains[torch.tensor([0])][:, 0].numpy(), expected)


PROTOCOL = {
    "nmnist": Framing(frame_us=3000, denoise_us=40_000, polarity="first"),
    "dvsgesture": Framing(frame_us=50_000, denoise_us=100_000, polarity="merged"),
}


def nmnist_files(folder):
    with tarfile.open(folder / "nmnist" / "nmnist_1k.tar.gz") as archive:
        return {
            info.name: archive.extractfile(info).read()
            for info in archive
            if info.name.endswith(".bin")
        }


@pytest.mark.data
def test_nmnist_is_tonics_bit_for_bit(real_data):
    recordings = sorted(nmnist_files(real_data).items())[::22]
    assert len(recordings) == 50
    for name, content in recordings:
        events = read_five_byte(name, content, (34, 34))
        reference = read_mnist_file(io.BytesIO(content), TONIC, is_stream=True)
        assert np.array_equal(structured(events), reference)
        kept = denoise(events, 40_000)
        assert np.array_equal(structured(kept), denoise_numpy(reference, 40_000))
        ours = dense(events, PROTOCOL["nmnist"], (34, 34))
        assert np.array_equal(ours, tonic_frames(events, PROTOCOL["nmnist"], (34, 34)))


@pytest.mark.data
def test_dvsgesture_clip_is_tonics_bit_for_bit(real_data):
    """A whole clip, with the protocol's settings; Tonic loops over its 63,471 events."""
    content = (real_data / "dvsgesture" / "1.bs2").read_bytes()
    events = read_five_byte("1.bs2", content, (128, 128))
    framing = PROTOCOL["dvsgesture"]
    assert np.array_equal(
        dense(events, framing, (128, 128)), tonic_frames(events, framing, (128, 128))
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("filter_us", [1, 300, 20_000])
def test_denoise_of_random_events(seed, filter_us):
    """Random recordings reach the borders, repeat times, and begin before the filter's length."""
    events = random_events(seed)
    reference = denoise_numpy(structured(events), filter_us)
    assert np.array_equal(structured(denoise(events, filter_us)), reference)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("frame_us", [7, 1000, 9999, 50_000])
@pytest.mark.parametrize("polarity", ["first", "merged"])
def test_frames_of_random_events(seed, frame_us, polarity):
    """Also where a frame is longer than the whole recording."""
    framing = Framing(frame_us=frame_us, polarity=polarity)
    events = random_events(seed)
    assert np.array_equal(dense(events, framing, (9, 11)), tonic_frames(events, framing, (9, 11)))


def test_frames_by_hand():
    """Two frames of 10 us from the first event on; the third, unfinished, is dropped."""
    t = np.array([5, 6, 14, 15, 24, 25, 26])
    x = np.array([0, 0, 1, 2, 2, 0, 0], np.uint16)
    events = Events(x, np.ones(7, np.uint16), t, np.array([0, 0, 0, 1, 0, 0, 0], np.uint8))
    found = frames("here", events, Framing(frame_us=10, polarity="first"), (2, 3))
    assert found.counts.tolist() == [2, 1]
    assert found.pixels.tolist() == [3, 4, 5]


def encode(x, y, t, p):
    """N-MNIST's five bytes an event."""
    return b"".join(
        bytes([a, b, c << 7 | d >> 16, d >> 8 & 255, d & 255])
        for a, b, d, c in zip(x, y, t, p, strict=True)
    )


def test_overflows_of_the_clock():
    """An entry at y = 240 is no event, and puts the clock forward by 2^13 microseconds."""
    content = encode([1, 0, 2, 0, 3], [4, 240, 5, 240, 6], [9, 0, 1, 0, 2], [1, 0, 0, 0, 1])
    events = read_five_byte("r", content, (34, 34))
    assert events.t.tolist() == [9, 1 + 8192, 2 + 2 * 8192]
    assert events.x.tolist() == [1, 2, 3]
    assert events.p.tolist() == [1, 0, 1]
    reference = read_mnist_file(io.BytesIO(content), TONIC, is_stream=True)
    assert np.array_equal(structured(events), reference)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it holds no events"),
        (encode([0], [240], [0], [0]), "it holds no events"),
        (b"1234567", "7 bytes long; expected a multiple of 5"),
        (encode([3, 34], [3, 3], [1, 2], [0, 1]), "event 1 lies at x = 34, y = 3, off the sensor"),
        (encode([3], [99], [1], [0]), "event 0 lies at x = 3, y = 99"),
        (encode([3, 3, 3], [3, 3, 3], [1, 5, 4], [0, 0, 0]), "backwards from 5 to 4 .* event 2"),
    ],
)
def test_malformed_recordings_are_named(content, message):
    with pytest.raises(InputError, match=f"Train/3/00001.bin.*{message}"):
        read_five_byte("Train/3/00001.bin", content, (34, 34))


def aedat(packets, header=b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"):
    """AEDAT 3.1 by its specification; a packet is ``(type, overflows, words)``."""
    body = b""
    for kind, overflows, words in packets:
        n = len(words)
        body += struct.pack("<hhiiiiii", kind, 1, 8, 4, overflows, n, n, n)
        body += np.array(words, "<u4").tobytes()
    return header + body


def polarity_event(x, y, t, p, valid=1):
    return (x << 17 | y << 2 | p << 1 | valid, t)


def test_aedat_by_hand():
    content = aedat(
        [
            (1, 0, [polarity_event(127, 3, 10, 1), polarity_event(5, 126, 12, 0)]),
            (0, 0, [(7, 13)]),  # a special event: no light
            (1, 0, [polarity_event(1, 1, 14, 1, valid=0), polarity_event(2, 2, 15, 1)]),
            (1, 1, [polarity_event(3, 3, 4, 0)]),  # after the clock's overflow at 2^31
        ]
    )
    events = read_aedat3("a.aedat", content, (128, 128))
    assert events.x.tolist() == [127, 5, 2, 3]
    assert events.y.tolist() == [3, 126, 2, 3]
    assert events.t.tolist() == [10, 12, 15, 4 + 2**31]
    assert events.p.tolist() == [1, 0, 1, 0]


def test_aedat_agrees_with_tonics_bit_positions(tmp_path):
    """Tonic 1.7.0's reader trips over its own header function; the parts that work agree."""
    rng = np.random.default_rng(0)
    x, y, p = rng.integers(0, 128, 50), rng.integers(0, 128, 50), rng.integers(0, 2, 50)
    t = np.sort(rng.integers(0, 10_000, 50))
    words = [
        polarity_event(*event)
        for event in zip(x.tolist(), y.tolist(), t.tolist(), p.tolist(), strict=True)
    ]
    path = tmp_path / "a.aedat"
    path.write_bytes(aedat([(1, 0, words)]))
    _, start, _ = read_aedat_header_from_file(path)
    raw = get_aer_events_from_file(path, 3.1, start)
    events = read_aedat3("a.aedat", path.read_bytes(), (128, 128))
    assert np.array_equal(events.x, (raw["address"] >> 17) & 0x1FFF)
    assert np.array_equal(events.y, (raw["address"] >> 2) & 0x1FFF)
    assert np.array_equal(events.p, (raw["address"] >> 1) & 1)
    assert np.array_equal(events.t, raw["timeStamp"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"#!AER-DAT2.0\r\n", "expected #!AER-DAT3.1"),
        (b"hello", "expected #!AER-DAT3.1"),
        (aedat([]), "it holds no events"),
        (aedat([(1, 0, [polarity_event(1, 1, 1, 1)])])[:-3], "a packet declares 1 events"),
        (
            aedat([(1, 0, [polarity_event(1, 1, 1, 1)])]) + b"half",
            "header of its last packet is incomplete",
        ),
        (aedat([(1, 0, [polarity_event(200, 1, 1, 1)])]), "off the sensor"),
        (aedat([(1, 0, [(1, 5), (1, 3)])]), "time runs backwards"),
    ],
)
def test_malformed_aedat_is_named(content, message):
    with pytest.raises(InputError, match=f"a.aedat.*{message}"):
        read_aedat3("a.aedat", content, (128, 128))


def recordings():
    for i in (2, 0, 1):
        yield Recording("train", f"{i}", i, random_events(i, n=100 + i))
    yield Recording("test", "0", 1, random_events(5))


def test_framed_puts_recordings_in_order_and_pads():
    framing = Framing(frame_us=500, denoise_us=1000, polarity="first")
    dataset = framed("set", recordings(), framing, sensor=(9, 11), class_names=("a", "b", "c"))
    assert dataset.train.labels.tolist() == [0, 1, 2]
    assert dataset.input_shape == (1, 9, 11)
    batch = dataset.train.inputs[torch.tensor([2, 0])]
    for b, seed in enumerate((2, 0)):
        reference = tonic_frames(random_events(seed, n=100 + seed), framing, (9, 11))
        assert np.array_equal(batch[: len(reference), b, 0].numpy(), reference)
        assert not batch[len(reference) :, b].any()
    averages = dataset.train.inputs.averages()
    assert torch.equal(averages[2], batch[:, 0].sum(0) / batch[:, 0].sum(0).max())
    assert dataset.train.first(2).labels.tolist() == [0, 1]
    assert torch.equal(dataset.train.first(2).inputs.averages(), averages[:2])


def test_nothing_left_is_named():
    lonely = Events(
        np.array([3, 9], np.uint16),
        np.array([3, 9], np.uint16),
        np.array([5000, 6000]),
        np.zeros(2, np.uint8),
    )
    framing = Framing(frame_us=500, denoise_us=100)
    with pytest.raises(InputError, match=r"set: train recording r7: denoising with 100 microsec"):
        framed(
            "set", [Recording("train", "r7", 0, lonely)], framing, sensor=(10, 10), class_names=()
        )
    with pytest.raises(InputError, match=r"r: frames.frame_us of 3 .* 33,333 frames; expected at"):
        frames("r", lonely._replace(t=np.array([0, 100_000])), Framing(frame_us=3), (10, 10))
    with pytest.raises(InputError, match="set: no test recordings were found"):
        framed("set", list(recordings())[:3], Framing(frame_us=500), sensor=(9, 11), class_names=())
