"""Reading AEDAT 4 by the optional package aedat, whose decoder aborts on some damaged files."""

from pathlib import Path
from typing import Any

import numpy as np

from brainleaks.errors import InputError


def read(path: Path) -> dict[str, Any]:
    """The columns x, y, t (microseconds) and p of every event.

    Raises:
        InputError: if the file is damaged, or holds no events.
    """
    import aedat

    try:
        packets = [packet["events"] for packet in aedat.Decoder(path) if "events" in packet]
    except MemoryError:
        raise
    except BaseException as error:  # the decoder, which is Rust, panics past Exception
        raise InputError(f"{path} is not a complete AEDAT 4 recording ({error}).") from error
    if not packets:
        raise InputError(f"{path} is empty: it holds no events.")
    rows = np.concatenate(packets)
    return {"x": rows["x"], "y": rows["y"], "t": rows["t"], "p": rows["on"]}
