"""Have a GPU compute the same each time."""

import torch


def exact_on_gpu() -> None:
    """Let convolutions on a GPU keep all of float32, and give the same bytes each time.

    By default they round their factors to TF32's 10 bits, which moves spikes, and may sum in an
    order that differs from run to run. Elsewhere nothing changes.
    """
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
