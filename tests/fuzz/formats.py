"""Every format of a stranger's file: valid files that are made here, and what reads them."""

import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
from typing import NamedTuple

import h5py
import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import save
from scipy.io import wavfile

from brainleaks.adapters import load_model
from brainleaks.data import mnist
from brainleaks.data.archives import contents
from brainleaks.data.arrays import as_dataset, read_npz
from brainleaks.data.dvsgesture import _labels
from brainleaks.data.event_files import read_events
from brainleaks.data.events import Framing, frames
from brainleaks.data.image_files import read_image
from brainleaks.data.own import OwnData, load_own
from brainleaks.data.sound_files import read_sound
from brainleaks.errors import InputError
from brainleaks.files.tensors import read_weights
from brainleaks.networks import SpikingMLP
from brainleaks.networks.weights import load_weights
from brainleaks.neuron import FastSigmoid
from brainleaks.runs.rejudge import read_reconstruction
from brainleaks.studies import load_study
from brainleaks.studies.reading import preset_names
from recordings import aedat3, aedat4, csv, dat, ecf, es, evt, five_byte

RNG = np.random.default_rng(0)
ROWS = [
    (int(x), int(y), int(t), int(p))
    for x, y, t, p in zip(
        RNG.integers(0, 30, 60),
        RNG.integers(0, 30, 60),
        np.sort(RNG.integers(0, 200_000, 60)),
        RNG.integers(0, 2, 60),
        strict=True,
    )
]
COLUMNS = dict(zip("xytp", np.array(ROWS).T, strict=True))


class Format(NamedTuple):
    """A kind of file.

    Args:
        suffix: of a file's name.
        seeds: contents of valid files.
        read: takes a file's path.
        pack: makes a file of the seeds, where they are what lies packed in it.
    """

    suffix: str
    seeds: list[bytes]
    read: object
    pack: object = bytes


def _events(path):
    for unit in ("us", "ms"):
        events = read_events(path, time_unit=unit)
        frames("here", events, Framing(20_000, 3_600_000_000, "both"), (1 << 8, 1 << 8))


def _npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _npz(packed=False, **arrays):
    buffer = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def _zip(member, name="x.npy", kind=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for other in COLUMNS.keys() - {name.removesuffix(".npy")}:
            column = COLUMNS[other]
            archive.writestr(f"{other}.npy", _npy(column))
        archive.writestr(name, member)
    return buffer.getvalue()


def _structured():
    array = np.empty(len(ROWS), [(name, int) for name in "xytp"])
    for name, column in COLUMNS.items():
        array[name] = column
    return array


def _dataset(path):
    train, test, names = read_npz(path)
    holdout = None if test is not None else 0.5
    as_dataset("own", train, test, holdout=holdout, class_names=names)


def _samples():
    labels = np.arange(12) % 3
    images = RNG.random((12, 4, 5), dtype=np.float32)
    train = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    spikes = RNG.integers(0, 2, (12, 3, 1, 4, 5), dtype=np.uint8)
    return [
        _npz(**train),
        _npz(packed=True, x=(images * 255).astype(np.uint8), y=labels.astype(np.uint8)),
        _npz(x=spikes, y=labels, class_names=np.array(["a", "b", "c"])),
    ]


def _archives(kind):
    files = {f"Train/{d}/{d + 1:05d}.bin": five_byte(ROWS[d:]) for d in range(3)}
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return [buffer.getvalue()]
    found = []
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
            for name, content in {**files, f"Train/1/{'9' * 120}.bin": b""}.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            link = tarfile.TarInfo("Train/2/00009.bin")
            link.type, link.linkname = tarfile.LNKTYPE, "Train/0/00001.bin"
            archive.addfile(link)
        found.append(buffer.getvalue())
    return found


def _members(path):
    return list(contents(path, ".bin", largest=1 << 20))


def _images(kind, **how):
    found = []
    for shape in ((12, 9), (12, 9, 3)):
        buffer = io.BytesIO()
        Image.fromarray(RNG.integers(0, 256, shape, dtype=np.uint8)).save(buffer, kind, **how)
        found.append(buffer.getvalue())
    return found


def _idx(path):
    mnist._read(path, "t10k-labels-idx1-ubyte")


def _network():
    return SpikingMLP((1, 2, 3), 2, hidden=4, beta=0.7, surrogate=FastSigmoid(40))


STATE = {name: value.clone() for name, value in _network().state_dict().items()}


def _weights(path):
    load_weights(_network(), path, read_weights(path).tensors)


def _torch(content, **how):
    buffer = io.BytesIO()
    torch.save(content, buffer, **how)
    return buffer.getvalue()


def _torch_member(content):
    """A file of torch's whose pickle is another."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_torch(STATE))) as old, zipfile.ZipFile(buffer, "w") as new:
        for info in old.infolist():
            pickled = info.filename.endswith("data.pkl")
            new.writestr(info.filename, content if pickled else old.read(info))
    return buffer.getvalue()


def _pickles():
    with zipfile.ZipFile(io.BytesIO(_torch(STATE))) as archive:
        return [archive.read(n) for n in archive.namelist() if n.endswith("data.pkl")]


def safetensors_of(header, content=bytes(96)):
    """A safetensors file with any header."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


HEADER = {
    "a": {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]},
    "b": {"dtype": "F32", "shape": [12], "data_offsets": [48, 96]},
}
PRESETS = [load_study(name).model_dump(mode="json") for name in preset_names()]


def _numbers(*shape):
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def _lif(count):
    filled = {"tau": 0.02, "r": 10.0, "v_leak": 0.0, "v_threshold": 0.2, "v_reset": 0.0}
    return {"type": "LIF"} | {name: np.full(count, value) for name, value in filled.items()}


def _graph_of(nodes, edges):
    nodes |= {"output": {"type": "Output", "shape": np.array([2])}}
    return {"version": "1.0", "node": {"type": "NIRGraph", "edges": edges, "nodes": nodes}}


def _recurrent():
    """A circle with every other kind of node around it."""
    nodes = {
        "input": {"type": "Input", "shape": np.array([6])},
        "in": {"type": "Affine", "weight": _numbers(4, 6), "bias": _numbers(4)},
        "scale": {"type": "Scale", "scale": _numbers(4)},
        "delay": {"type": "Delay", "delay": np.array([0.0, 0.001, 0.002, 0.001])},
        "lif": _lif(4),
        "back": {"type": "Linear", "weight": _numbers(4, 4)},
        "over": {"type": "Threshold", "threshold": _numbers(4)},
        "out": {"type": "Affine", "weight": _numbers(2, 4), "bias": _numbers(2)},
        "last": {"type": "I", "r": np.full(2, 10.0)},
    }
    edges = [["input", "in"], ["in", "scale"], ["scale", "delay"], ["delay", "lif"],
             ["lif", "back"], ["back", "lif"], ["lif", "over"], ["over", "out"], ["out", "last"],
             ["last", "output"]]  # fmt: skip
    return _graph_of(nodes, edges)


def _nested():
    """The same circle as a graph of its own."""
    inner = {
        "input": {"type": "Input", "shape": np.array([4])},
        "lif": _lif(4),
        "back": {"type": "Linear", "weight": _numbers(4, 4)},
    }
    circle = [["input", "lif"], ["lif", "back"], ["back", "lif"], ["lif", "output"]]
    nodes = {
        "input": {"type": "Input", "shape": np.array([6])},
        "in": {"type": "Affine", "weight": _numbers(4, 6), "bias": _numbers(4)},
        "loop": _graph_of(inner, circle)["node"],
        "out": {"type": "Affine", "weight": _numbers(2, 4), "bias": _numbers(2)},
    }
    chain = [["input", "in"], ["in", "loop"], ["loop", "out"], ["out", "output"]]
    return _graph_of(nodes, chain)


GRAPHS = [
    _recurrent(),
    _nested(),
    _graph_of(
        {
            "input": {"type": "Input", "shape": np.array([6])},
            "0": {"type": "Affine", "weight": _numbers(2, 6), "bias": _numbers(2)},
            "1": _lif(2),
        },
        [["input", "0"], ["0", "1"], ["1", "output"]],
    ),
    _graph_of(
        {
            "input": {"type": "Input", "shape": np.array([1, 2, 3])},
            "0": {
                "type": "Conv2d",
                "weight": _numbers(2, 1, 2, 2),
                "bias": _numbers(2),
                "stride": np.array([1, 1]),
                "padding": np.array([0, 0]),
                "dilation": np.array([1, 1]),
                "groups": 1,
            },
            "1": {"type": "IF", "r": np.ones((2, 1, 2)), "v_threshold": np.ones((2, 1, 2))},
            "2": {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": {}},
            "3": {"type": "Linear", "weight": _numbers(2, 4)},
            "4": {"type": "LI", "tau": np.full(2, 0.1), "r": np.ones(2), "v_leak": np.zeros(2)},
        },
        [["input", "0"], ["0", "1"], ["1", "2"], ["2", "3"], ["3", "4"], ["4", "output"]],
    ),
]


def hdf5_of(tree):
    """A file of nested dictionaries, as far as HDF5 can hold them."""
    buffer = io.BytesIO()

    def put(group, values):
        for name, value in values.items():
            try:
                if isinstance(value, dict):
                    put(group.create_group(name), value)
                else:
                    group[name] = value
            except (TypeError, ValueError, OverflowError):
                group.attrs["left out"] = True

    with h5py.File(buffer, "w") as file:
        put(file, tree)
    return buffer.getvalue()


def graph(path):
    """Read a graph and run it."""
    load_model(
        path,
        framework="nir",
        factory=None,
        samples=torch.ones(4, 3, 1, 2, 3),
        classes=2,
        dt=1e-3,
        reset="zero",
    )


def _streams():
    """Recordings of channels, as SHD has them."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            made = file.create_dataset(f"spikes/{name}", (8,), dtype=h5py.vlen_dtype(kind))
            for i in range(8):
                made[i] = np.arange(5 + i, dtype=kind) / (20 if name == "times" else 1)
        file["labels"] = np.arange(8) % 2
        file["extra/keys"] = ["left", "right"]
    return buffer.getvalue()


def _stream_arrays():
    """The same in plain arrays."""
    counts = np.arange(5, 13)
    content = {
        "times": np.concatenate([np.arange(n) / 20 for n in counts]),
        "units": np.concatenate([np.arange(n) for n in counts]),
        "labels": np.arange(8) % 2,
    }
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return [_npz(**content, lengths=counts), _npz(packed=True, **content, offsets=offsets)]


def _stream(path):
    load_own(OwnData(str(path), holdout=0.5, bins=10))


def _in_hdf5(chunk, packed=True):
    """Events in Prophesee's layout, in its own compression or plain."""
    kind = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_chunk((len(ROWS),))
        if packed:
            create.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL)
        space = h5py.h5s.create_simple((len(ROWS),))
        group = file.create_group("CD").id
        made = h5py.h5d.create(group, b"events", h5py.h5t.py_create(kind), space, create)
        made.write_direct_chunk((0,), chunk or b"\0")  # HDF5 has no empty chunks
        file.attrs["geometry"] = "64x48"
    return buffer.getvalue()


def _plain_rows():
    kind = np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    return np.array([(x, y, p, t) for x, y, t, p in ROWS], kind).tobytes()


def _camera(path):
    """Read as it is, and repaired."""
    for repair in (False, True):
        try:
            events = read_events(path, repair=repair)
            sensor = int(events.y.max()) + 1, int(events.x.max()) + 1
            frames("here", events, Framing(20_000, 3_600_000_000, "both"), sensor)
        except InputError:
            if repair:
                raise


def _sound(rate=8_000, kind="<i2"):
    buffer = io.BytesIO()
    samples = (np.sin(np.arange(400) / 5) * 100).astype(kind)
    wavfile.write(buffer, rate, samples)
    return buffer.getvalue()


def _table(path):
    _labels("here", path.read_text("utf-8", "replace"))


TABLE = b"class,startTime_usec,endTime_usec\n1,10,900\n2,1000,4000\n11,5000,9000\n"

FORMATS = {
    "five-byte": Format(".bin", [five_byte(ROWS)], _events),
    "aedat-3": Format(".aedat", [aedat3(ROWS)], _events),
    "aedat-4": Format(".aedat4", [aedat4([ROWS[:30], ROWS[30:]])], _events),
    "events-npy": Format(
        ".npy", [_npy(_structured()), _npy(np.array(ROWS)), _npy(np.array(ROWS, float))], _events
    ),
    "events-npz": Format(".npz", [_npz(**COLUMNS), _npz(packed=True, **COLUMNS)], _events),
    "events-npz-member": Format(".npz", [_npy(COLUMNS["x"])], _events, _zip),
    "nir": Format(".nir", [hdf5_of(tree) for tree in GRAPHS], graph),
    "streams": Format(".h5", [_streams()], _stream),
    "streams-npz": Format(".npz", _stream_arrays(), _stream),
    "evt": Format(".raw", [evt(version, ROWS) for version in ("2.0", "2.1", "3.0")], _camera),
    "dat": Format(".dat", [dat(ROWS), dat(ROWS, version=1)], _camera),
    "event-stream": Format(".es", [es(ROWS), es(ROWS, width=64, height=48)], _camera),
    "event-text": Format(
        ".csv", [csv(ROWS), csv(ROWS, "t,x,y,p"), csv(ROWS, "t,x,y,p")[8:]], _camera
    ),
    "camera-hdf5": Format(
        ".hdf5", [_in_hdf5(ecf(ROWS, 0)), _in_hdf5(_plain_rows(), packed=False)], _camera
    ),
    "camera-ecf": Format(".hdf5", [ecf(ROWS, packing) for packing in range(3)], _camera, _in_hdf5),
    "wav": Format(
        ".wav", [_sound(), _sound(44_100, "<f4"), _sound(kind="u1"), _sound(kind="<i4")], read_sound
    ),
    "gesture-table": Format(".csv", [TABLE], _table),
    "samples-npz": Format(".npz", _samples(), _dataset),
    "idx": Format("", [mnist._header((10_000,)) + bytes(10_000)], _idx),
    "idx-gz": Format(".gz", [gzip.compress(mnist._header((10_000,)) + bytes(10_000))], _idx),
    "zip": Format(".zip", _archives("zip"), _members),
    "tar": Format(".tar", _archives("tar"), _members),
    "tar-gz": Format(".tar.gz", _archives("tar"), _members, gzip.compress),
    "tar-gz-bytes": Format(".tar.gz", [gzip.compress(c) for c in _archives("tar")], _members),
    "tar-xz-bytes": Format(".tar.xz", [lzma.compress(c) for c in _archives("tar")], _members),
    "png": Format(".png", [*_images("PNG"), *_images("PNG", compress_level=0)], read_image),
    "pgm": Format(".pgm", [*_images("PPM"), b"P2\n3 2\n255\n0 1 2 3 4 5\n"], read_image),
    "jpeg": Format(".jpg", [*_images("JPEG"), *_images("JPEG", progressive=True)], read_image),
    "tiff": Format(
        ".tif", [*_images("TIFF"), *_images("TIFF", compression="tiff_lzw")], read_image
    ),
    "bmp": Format(".bmp", _images("BMP"), read_image),
    "webp": Format(".webp", _images("WEBP"), read_image),
    "safetensors": Format(".safetensors", [save(STATE)], _weights),
    "torch": Format(".pt", [_torch(STATE), _torch(dict(STATE))], _weights),
    "torch-legacy": Format(".pt", [_torch(STATE, _use_new_zipfile_serialization=False)], _weights),
    "torch-pickle": Format(".pt", _pickles(), _weights, _torch_member),
    "torch-tensor": Format("", [_torch(torch.rand(4, 1, 6)), save(STATE)], read_reconstruction),
    "study": Format(
        ".yaml", [yaml.safe_dump(study).encode() for study in PRESETS], lambda p: load_study(str(p))
    ),
}
