"""From recovered spikes to a picture that a person looks at."""

import math

import numpy as np
import torch
from skimage.restoration import denoise_tv_chambolle
from torch import Tensor

#: The denoiser's weight times the square root of the time steps; tuned on faces of seed 100.
_WEIGHT = 0.5


def pictures(inputs: Tensor, *, coded: bool) -> Tensor:
    """Recovered samples as images, ``(B, C, H, W)`` in [0, 1].

    The mean over time. That of an image behind a rate code holds the code's own noise, whose
    deviation falls with the square root of the time steps; a total-variation denoiser (Chambolle
    2004) removes what it can.

    Args:
        inputs: ``(T, B, C, H, W)``, or ``(B, C, H, W)``, which is returned as it is.
        coded: whether the inputs are images behind a rate code.
    """
    if inputs.ndim == 4:
        return inputs
    mean = inputs.float().mean(0).cpu()
    if not coded or not mean.numel():
        return mean
    weight = _WEIGHT / math.sqrt(len(inputs))
    found = [denoise_tv_chambolle(one, weight=weight, channel_axis=0) for one in mean.numpy()]
    return torch.from_numpy(np.stack(found)).float().clamp(0, 1)
