"""Standardised images, resident on the device, and their augmentation there."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mixtheory.domain import DomainError, check_count
from mixtheory.training import data

__all__ = ["CROP", "Split", "crop_flip", "padded", "split"]

CROP = 4
"""Pixels that a random crop moves an image by, at most, in each direction."""


class Split(NamedTuple):
    """Examples and what is to be learnt from them.

    x, x_test: images (n, channels, h, w) or rows (n, features). y, y_test: labels (n,) int64 below `classes`, or real
    targets (n, classes). black: (channels, 1, 1), the standardised 0.
    """

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: int
    black: Tensor


def split(name: str, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32,
          train: int | None = None, test: int | None = None) -> Split:
    """A data set with each channel standardised by the mean and standard deviation of its training part.

    Args:
        name: one of `data.NAMES`.
        device: where the tensors live.
        dtype: of the images.
        train: keep only so many training examples, the first ones.
        test: keep only so many test examples.

    Raises:
        DataError: the data set cannot be had.
        DomainError: more examples asked for than there are.
    """
    found = data.load(name)
    parts = []
    for x, y, count, which in ((found.x_train, found.y_train, train, "train"),
                               (found.x_test, found.y_test, test, "test")):
        if count is not None and check_count(count, which, least=1) > len(x):
            raise DomainError(f"{which} = {count}: {name} has only {len(x)} such examples")
        images = torch.as_tensor(x[:count], device=device)
        images = images[:, None] if images.ndim == 3 else images.movedim(3, 1)
        parts += [images.to(dtype).div_(found.maximum), torch.as_tensor(y[:count], device=device).long()]
    std, mean = torch.std_mean(parts[0], (0, 2, 3), keepdim=True)
    for images in parts[::2]:
        images.sub_(mean).div_(std)
    return Split(*(part.contiguous() for part in parts), found.classes, (-mean / std)[0])


def padded(data: Split) -> Tensor:
    """Training images with a black border of `CROP` pixels, (n, channels, h + 2 CROP, w + 2 CROP)."""
    border = F.pad(data.x - data.black, (CROP,) * 4)
    return border.add_(data.black)


def crop_flip(images: Tensor, index: Tensor, top: Tensor, left: Tensor, flip: Tensor) -> Tensor:
    """Crops of padded images, some mirrored: (b, channels, h, w).

    Args:
        images: (n, channels, h + 2 CROP, w + 2 CROP), from `padded`.
        index: (b,) which image.
        top: (b,) integers from 0 to 2 CROP.
        left: the same; CROP for both gives the image itself.
        flip: (b,) booleans, mirrored left to right.
    """
    h, w = (side - 2 * CROP for side in images.shape[2:])
    rows = top[:, None] + torch.arange(h, device=images.device)
    across = torch.arange(w, device=images.device)
    columns = left[:, None] + torch.where(flip[:, None], across.flip(0), across)
    return images[index[:, None, None], :, rows[:, :, None], columns[:, None, :]].movedim(3, 1).contiguous()
