"""Augmentation of training images: random shifts and mirror images, drawn again each epoch."""

import torch
from torch import Tensor
from torch.nn import functional


def crop_and_flip(images: Tensor, crop: int, generator: torch.Generator, *, flip: bool) -> Tensor:
    """Shift each image at random, and mirror it left to right with probability 1/2.

    The usual augmentation of CIFAR-10 (He et al. 2016, arXiv 1512.03385): zeros are added around an
    image, and a part of its own size is cut out at random.

    Args:
        images: ``(B, C, H, W)``.
        crop: pixels of zeros on each side, and so the largest shift.
        generator: on the images' device.
        flip: whether to mirror.

    Returns:
        Images of the same shape.
    """
    batch, _, height, width = images.shape

    def draw(highest: int) -> Tensor:
        shape = (batch, 1)
        return torch.randint(highest + 1, shape, generator=generator, device=images.device)

    rows = torch.arange(height, device=images.device) + draw(2 * crop)
    columns = torch.arange(width, device=images.device) + draw(2 * crop)
    if flip:
        columns = columns.where(draw(1) == 1, columns.flip(1))
    padded = functional.pad(images, (crop,) * 4)
    which = torch.arange(batch, device=images.device).view(-1, 1, 1)
    return padded[which, :, rows.unsqueeze(2), columns.unsqueeze(1)].permute(0, 3, 1, 2)
