"""Events against Tonic 1.7.0, on real recordings and on random ones."""

import numpy as np
import pytest
import torch
from tonic.functional import denoise_numpy, to_frame_numpy
from tonic.io import read_mnist_file

from brainleaks.data.events import (
    Events,
    Framing,
    denoise,
    frames,
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


PROTOCOL = {
    "nmnist": Framing(frame_us=3000, denoise_us=40_000, polarity="first"),
    "dvsgesture": Framing(frame_us=50_000, denoise_us=100_000, polarity="merged"),
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
