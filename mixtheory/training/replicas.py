"""What every experiment shares: the device, one random stream a replica, images as centred rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from mixtheory.domain import DomainError, check_member
from mixtheory.training import data

__all__ = ["DEVICES", "Rows", "device_of", "generators", "images"]

DEVICES = ("cpu", "cuda")


class Rows(NamedTuple):
    """Images as rows: x (n, d) float32, intensities in [0, 1] less the mean image; mean (d,); y (n,)."""

    x: torch.Tensor
    mean: torch.Tensor
    y: torch.Tensor
    classes: int


def device_of(name: str) -> torch.device:
    """The torch device `cpu` or `cuda`.

    Raises:
        DomainError: another name, or cuda on a machine where torch finds none.
    """
    check_member(name, DEVICES, "device")
    if name == "cuda" and not torch.cuda.is_available():
        raise DomainError("device = 'cuda': torch finds no CUDA device on this machine; use device = 'cpu'")
    return torch.device(name)


def generators(seeds: Sequence[int], device: torch.device, *, stream: int | tuple[int, ...] = 0
               ) -> list[torch.Generator]:
    """One generator a replica, a function of its own seed and the stream only: replicas never share draws."""
    path = stream if isinstance(stream, tuple) else (stream,)
    states = [np.random.SeedSequence(int(seed), spawn_key=path).generate_state(1, np.uint64)[0] >> 1 for seed in seeds]
    return [torch.Generator(device=device).manual_seed(int(state)) for state in states]


def images(name: str, device: torch.device) -> Rows:
    """The training part of a data set, resident on the device."""
    found = data.load(name)
    x = torch.as_tensor(found.x_train, device=device).flatten(1).float() / found.maximum
    mean = sum(part.double().sum(0) for part in x.split(4096)) / len(x)
    y = torch.as_tensor(found.y_train, device=device).long()
    return Rows(x.sub_(mean.float()), mean.float(), y, found.classes)


def floats(values: Any) -> tuple[float, ...]:
    """Numbers of a tensor or of tensors, as a record keeps them."""
    return tuple(float(v) for v in values)
