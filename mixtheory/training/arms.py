"""How a replica's batches are made: which examples, which partners, which lambda, which labels.

Everything random of a replica comes from generators that are functions of its seed, a stream and the epoch, so
that adding a replica changes no other and a run can go on from any block of epochs. Replicas of one seed share
initialisation, order of the examples and augmentation, whatever their arm: differences between arms are paired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mixtheory.domain import DomainError, check_alpha, check_member
from mixtheory.mixing import Folded, Law, symmetric
from mixtheory.pairing import PAIRINGS, SHARINGS, check_sharing, lambdas, partners
from mixtheory.training.inputs import CROP
from mixtheory.training.replicas import generators

__all__ = ["ERM", "Arm", "Draws", "block_of", "draw"]

INITIAL, ORDER, PAIRS = 0, 1, 2     # streams of a seed
AHEAD = 1 << 14                     # examples of a replica drawn at once, in whole epochs
ANNEALINGS = ("none", "linear")


@dataclass(frozen=True)
class Arm:
    """One way to train.

    alpha: of Beta(alpha, alpha) in [0, inf]; 0 is empirical risk minimisation.
    pairing, sharing: as in `mixtheory.pairing`.
    folded: lambda is replaced by max(lambda, 1 - lambda).
    smoothing: weight of the uniform law in the labels, in [0, 1]; applied before mixing.
    anneal: none, or linear: alpha (1 - t) at the fraction t of the epochs.

    Raises:
        DomainError: a value outside these domains, `pair` sharing without `flip`.
    """

    alpha: float = 0.0
    pairing: str = "permutation"
    sharing: str = "batch"
    folded: bool = False
    smoothing: float = 0.0
    anneal: str = "none"

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        check_member(self.pairing, PAIRINGS, "pairing")
        check_member(self.sharing, SHARINGS, "sharing")
        check_member(self.anneal, ANNEALINGS, "anneal")
        check_sharing(self.pairing, self.sharing)
        if not 0 <= self.smoothing <= 1:
            raise DomainError(f"smoothing = {self.smoothing}: a share of the uniform law must lie in [0, 1]")

    def law(self, progress: float = 0.0) -> Law:
        """The law of lambda at the fraction `progress` of the training."""
        law = symmetric(self.alpha * (1 - progress) if self.anneal == "linear" and progress else self.alpha)
        return Folded(law) if self.folded else law


ERM = Arm()


class Draws(NamedTuple):
    """A block of epochs, step by step: example, partner (position in the batch) and lam are (steps, R, n).

    augment: (steps, R, n, 3) integers (top, left, flip), or None.
    """

    example: Tensor
    partner: Tensor
    lam: Tensor
    augment: Tensor | None


def block_of(examples: int) -> int:
    """How many epochs of so many examples are drawn at once."""
    return max(1, AHEAD // examples)


def _orders(epochs: int, m: int, rng: torch.Generator) -> Tensor:
    """Random orders of m examples, (epochs, m): sorted keys on a GPU, all at once; on a CPU shuffling is faster."""
    if rng.device.type == "cpu":
        return torch.stack([torch.randperm(m, generator=rng) for _ in range(epochs)])
    return torch.rand(epochs, m, generator=rng, device=rng.device, dtype=torch.float64).argsort(1)


def draw(arms: Sequence[Arm], seeds: Sequence[int], *, first: int, epochs: int, total: int, members: Tensor,
         batch: int, augment: bool, dtype: torch.dtype) -> Draws:
    """Random numbers of some epochs for the replicas (arm, seed), arm by arm.

    Args:
        arms: R = arms x seeds replicas, arm by arm.
        seeds: see arms.
        first: the first epoch, a multiple of `block_of(examples)`.
        epochs: how many.
        total: epochs of the whole training, which annealing needs.
        members: (R, m) indices of the examples of each replica.
        batch: n; what is left of an epoch after whole batches is dropped.
        augment: whether crops and flips are drawn.
        dtype: of lambda.
    """
    device, m = members.device, members.shape[1]
    steps = m // batch
    rows = epochs * steps
    orders, moves = [], []
    for rng in generators(seeds, device, stream=(ORDER, first)):
        order = _orders(epochs, m, rng)
        orders.append(order[:, :steps * batch].reshape(rows, batch))
        if augment:
            moves.append(torch.stack([torch.randint(high, (rows, batch), generator=rng, device=device)
                                      for high in (2 * CROP + 1, 2 * CROP + 1, 2)], -1))
    example, partner, lam = [], [], []
    identity = torch.arange(batch, device=device).expand(rows, batch)
    ones = torch.ones((), dtype=dtype, device=device).expand(rows, batch)
    for a, arm in enumerate(arms):
        for k, rng in enumerate(generators(seeds, device, stream=(PAIRS, first))):
            example.append(members[a * len(seeds) + k][orders[k]])
            if not arm.alpha:
                partner.append(identity)
                lam.append(ones)
                continue
            partner.append(partners(arm.pairing, batch, rng=rng, replicas=rows))
            spans = [(0.0, rows)] if arm.anneal == "none" else [
                ((first + e) / total, steps) for e in range(epochs)]
            lam.append(torch.cat([lambdas(arm.law(t), batch, sharing=arm.sharing, rng=rng, replicas=count,
                                          pairing=arm.pairing, dtype=dtype) for t, count in spans]))
    return Draws(torch.stack(example, 1), torch.stack(partner, 1), torch.stack(lam, 1),
                 torch.stack(moves * len(arms), 1) if augment else None)
