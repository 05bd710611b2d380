"""The part of ``make bench`` on image folders: what reading them safely costs.

JPEG files are decoded in a child process, which a damaged file may crash; the same decoder called
in this process is what that is compared with. PNG files are decoded in this process either way.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from brainleaks.data.image_files import _values, read_images
from brainleaks.files.isolated.images import read

FILES = 10_000
SIDES = (32, 128)


def image_folders(pairs: int) -> list[list[str]]:
    """Reading 10,000 images: in a child process against the same decoder in this one."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("jpg", "png"):
            for side in SIDES:
                paths = _made(Path(folder), side, suffix)
                rows.append(_compare(f"10,000 {suffix.upper()} of {side} x {side}", paths, pairs))
                print(" | ".join(rows[-1]), flush=True)
    return rows


def _made(folder: Path, side: int, suffix: str) -> list[Path]:
    """Images of smoothed noise: about as many bytes as photographs of that size."""
    rng = np.random.default_rng(0)
    paths = [folder / f"{side}-{i}.{suffix}" for i in range(FILES)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(path)
    return paths


def _compare(name: str, paths: list[Path], pairs: int) -> list[str]:
    here: list[float] = []
    safely: list[float] = []
    for _ in range(pairs):
        here.append(_seconds(lambda: (_values(read(path)) for path in paths)))
        safely.append(_seconds(lambda: read_images(paths)))
    ratio = statistics.median(b / a for a, b in zip(here, safely, strict=True))
    times = (f"{statistics.median(each):.2f} s" for each in (here, safely))
    return [name, *times, f"{ratio:.2f}x", str(pairs)]


def _seconds(images: Callable[[], Iterator[Any]]) -> float:
    start = time.perf_counter()
    for _ in images():
        pass
    return time.perf_counter() - start
