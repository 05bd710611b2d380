"""Where a result comes from."""

import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("brainleaks", "torch", "numpy", "numba", "safetensors", "scikit-learn")


def provenance(*, study: str, seed: int, data: str, device: str, command: str) -> dict[str, Any]:
    """Versions, seed, hashes and machine, as JSON."""
    return {
        "study": study,
        "seed": seed,
        "data": data,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "versions": {"python": platform.python_version()} | _versions(),
        "machine": machine(device),
    }


def machine(device: str) -> dict[str, Any]:
    """What the run ran on."""
    accelerator = torch.cuda.get_device_name(device) if "cuda" in device else None
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "device": accelerator or "cpu",
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
