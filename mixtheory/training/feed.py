"""The batches that all replicas see: gathered, augmented and mixed in one go."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mixtheory.mixup import mix_unchecked
from mixtheory.training.arms import Arm, Draws
from mixtheory.training.inputs import Split, crop_flip, padded
from mixtheory.training.recipes import Recipe

__all__ = ["Feed"]

CACHE = 1 << 19                     # bytes that a thread gathers at a time


class Feed:
    """The mixed batches of all replicas, step by step: inputs (R, n, ...) and targets (R, n, K)."""

    def __init__(self, data: Split, arms: Sequence[Arm], seeds: Sequence[int], recipe: Recipe) -> None:
        device, self.replicas, K = data.x.device, len(arms) * len(seeds), data.classes
        self.mixes = any(arm.alpha for arm in arms)
        self.augment = recipe.augment
        self.x = (padded(data) if recipe.augment else data.x).to(recipe.dtype)
        self.y, self.labels, self.replica = data.y, 0, torch.arange(self.replicas, device=device)[:, None]
        if data.y.is_floating_point():                              # row i: the target of example i
            self.y, self.targets = torch.arange(len(data.y), device=device), data.y.to(recipe.dtype)
            return
        share = torch.tensor([arm.smoothing for arm in arms for _ in seeds], dtype=recipe.dtype, device=device)
        share = share[:, None, None]
        one_hot = torch.eye(K, dtype=recipe.dtype, device=device)
        self.targets = ((1 - share) * one_hot + share / K).flatten(0, 1)        # row r K + y: label y of replica r
        self.labels = self.replica * K

    def __call__(self, draws: Draws, step: int) -> tuple[Tensor, Tensor]:
        """The batches of step number `step` of a block."""
        example = draws.example[step]
        rows, labels = example.flatten(), (self.y[example] + self.labels).flatten()
        if not self.mixes:
            x = self.x.index_select(0, rows) if draws.augment is None else self._cropped(draws, step)
            y = self.targets.index_select(0, labels)
        else:
            partner, lam = draws.partner[step], draws.lam[step].flatten()
            others = (partner + self.replica * example.shape[1]).flatten()
            x = (_gathered(self.x, rows, rows[others], lam) if draws.augment is None
                 else mix_unchecked(self._cropped(draws, step), others, lam))
            y = _gathered(self.targets, labels, labels[others], lam)
        return x.unflatten(0, (self.replicas, -1)), y.unflatten(0, (self.replicas, -1))

    def _cropped(self, draws: Draws, step: int) -> Tensor:
        top, left, flip = draws.augment[step].flatten(0, 1).unbind(1)
        return crop_flip(self.x, draws.example[step].flatten(), top, left, flip.bool())


def _gathered(source: Tensor, own: Tensor, others: Tensor, lam: Tensor) -> Tensor:
    """lambda source[own] + (1 - lambda) source[others], so few rows at a time that a CPU's cache holds them."""
    mixed = source.new_empty(len(own), *source.shape[1:])
    bytes_ahead = CACHE * torch.get_num_threads() if source.is_cpu else mixed.nbytes
    rows = max(1, bytes_ahead // source[0].nbytes)
    lam = lam.view(-1, *[1] * (source.ndim - 1))
    for out, i, j, w in zip(*(t.split(rows) for t in (mixed, own, others, lam)), strict=True):
        torch.add(source.index_select(0, i).mul_(w), source.index_select(0, j).mul_(1 - w), out=out)
    return mixed
