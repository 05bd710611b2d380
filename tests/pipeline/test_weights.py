"""Weights from a stranger: what a file announces is not believed, and nothing in it is run."""

import io
import json
import struct
import zipfile

import pytest
import torch
from safetensors.torch import save

from brainleaks import InputError
from brainleaks.files.tensors import read_weights
from brainleaks.runs.rejudge import read_reconstruction

STATE = {"fc1.weight": torch.rand(3, 4), "fc1.bias": torch.rand(3)}


def saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def packed_again(content):
    """The same archive, its entries compressed."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    return buffer.getvalue()


def over_disks(content):
    """The same archive, which says that it is the first of nine disks."""
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 9)
    return content[:-22] + locator + content[-22:]


class Payload:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return print, ("taken over",)


def of_header(header):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(8)


FILES = {
    "packed": (packed_again(saved({"a": torch.zeros(1 << 20)})), "holds compressed entries"),
    "repeated": (saved({"a": torch.zeros(1).expand(1 << 15, 1 << 15)}), "LIMIT_UNPACKED_BYTES"),
    "disks": (over_disks(saved(STATE)), "not a complete file"),
    "payload": (saved({"a": Payload()}), "[Uu]npickling"),
    "dtype": (
        of_header({"a": {"dtype": "F8_E8M0", "shape": [8], "data_offsets": [0, 8]}}),
        "F8_E8M0",
    ),
    "unknown": (
        of_header({"a": {"dtype": "Q7", "shape": [8], "data_offsets": [0, 8]}}),
        "not a complete safetensors file",
    ),
    "huge": (struct.pack("<Q", 1 << 62) + b"{}", "not a complete safetensors file"),
    "empty": (b"", "not a complete safetensors file"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("read", [read_weights, read_reconstruction])
def test_hostile_files_are_refused_in_a_sentence(tmp_path, name, read, capsys):
    content, said = FILES[name]
    path = tmp_path / "a.file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"a.file.*({said}|expected one plain tensor)"):
        read(path)
    assert "taken over" not in capsys.readouterr().out


def test_what_torch_and_safetensors_write_is_read(tmp_path):
    path = tmp_path / "a.file"
    tied = torch.rand(3, 4)
    for content in (saved(STATE), save(STATE), saved({"a": tied, "b": tied.t()})):
        path.write_bytes(content)
        assert all(tensor.isfinite().all() for tensor in read_weights(path).tensors.values())


def test_names_with_control_characters_are_escaped(tmp_path):
    path = tmp_path / "a.file"
    path.write_bytes(saved({"\x1b[31m\x07": 3}))
    with pytest.raises(InputError) as caught:
        read_weights(path)
    assert str(caught.value).isprintable()
    assert "\\x1b[31m\\x07" in str(caught.value)
