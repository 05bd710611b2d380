"""Readers in a child process: what ends or holds up the child is a sentence in the parent."""

import io
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainleaks import InputError
from brainleaks.data.image_files import read_image, read_images
from brainleaks.files import isolated
from brainleaks.files.isolated import wire


@pytest.fixture
def strange_child(tmp_path, monkeypatch):
    """A child whose readers crash, spin or grow, and one that reads."""
    path = tmp_path / "child.py"
    source = Path(isolated.__file__).with_name("child.py").read_text()
    strange = (
        "READERS['crash'] = lambda path: os.abort()\n"
        "READERS['spin'] = lambda path: [0 for _ in iter(int, 1)]\n"
        "READERS['grow'] = lambda path: bytearray(1 << 33)\n"
        "READERS['print'] = lambda path: print('noise') or os.write(1, b'noise') and 7\n"
        "READERS['objects'] = lambda path: {'a': [1.5, 'text', None, "
        "np.arange(3), np.float64(2)]}\n"
    )
    root = str(Path(isolated.__file__).parents[3])
    source = source.replace("str(Path(__file__).parents[3])", repr(root))
    source = source.replace("#: What a large", f"import numpy as np\n{strange}#: What a large")
    path.write_text(source)
    monkeypatch.setattr(isolated, "_CHILD", path)
    monkeypatch.setenv("BRAINLEAKS_LIMIT_READ_SECONDS", "1")
    yield
    isolated._stop()


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        ("crash", "the library that reads it crashes"),
        ("spin", "takes longer than 1 seconds.*BRAINLEAKS_LIMIT_READ_SECONDS"),
        ("grow", "more than 768 MB of memory.*BRAINLEAKS_LIMIT_READ_MEMORY"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux alone")
def test_what_a_library_does_to_the_child_is_a_sentence(strange_child, tmp_path, reader, said):
    path = tmp_path / "a.file"
    path.write_bytes(b"")
    for _ in range(2):  # and the next one is answered all the same
        started = time.perf_counter()
        with pytest.raises(InputError, match=f"a.file.*{said}"):
            isolated.call(reader, path)
        assert time.perf_counter() - started < 5
    found = isolated.call("objects", path)["a"]
    assert found[:3] == [1.5, "text", None]
    assert found[3].tolist() == [0, 1, 2]
    assert found[4] == 2.0


def test_what_a_library_prints_is_no_answer(strange_child, tmp_path):
    path = tmp_path / "a.file"
    path.write_bytes(b"")
    assert isolated.call("print", path) == 7


def test_answers_that_nobody_waits_for_are_not_taken_for_the_next(tmp_path):
    paths = []
    for i in range(20):
        paths.append(tmp_path / f"{i}.bmp")
        Image.fromarray(np.full((2, 2), i, np.uint8)).save(paths[-1])
    first = next(iter(read_images(paths)))
    assert round(float(first.max() * 255)) == 0
    assert [round(float(image.max() * 255)) for image in read_images(paths)] == list(range(20))
    paths[3].write_bytes(b"BM damaged")
    with pytest.raises(InputError, match=r"3\.bmp is not a readable image"):
        list(read_images(paths))
    assert round(float(read_image(paths[4]).max() * 255)) == 4


def test_the_child_brings_no_torch():
    code = "import sys, brainleaks.files.isolated.child; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("value", [np.array(["text"]), np.array([{}]), np.datetime64("2020", "D")])
def test_only_numbers_pass_as_arrays(value):
    stream = io.BytesIO()
    with pytest.raises((ValueError, TypeError)):  # noqa: PT012 (either side may refuse)
        wire.write(stream, value)
        stream.seek(0)
        wire.read(stream)


def test_a_folder_of_photographs_is_read_in_order_and_soon(tmp_path):
    """As by Pillow here, value by value; the benchmark has the ratio of their times."""
    rng = np.random.default_rng(1)
    paths = []
    for i in range(50):
        paths.append(tmp_path / f"{i:02d}.jpg")
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(paths[-1])
    for path, image in zip(paths, read_images(paths), strict=True):
        with Image.open(path) as opened:
            expected = np.asarray(opened, np.float32).transpose(2, 0, 1) / 255
        np.testing.assert_array_equal(image, expected)
