r"""Who is mixed with whom, and how lambda is shared.

Pairings of a batch of n: `independent` (a partner drawn with replacement from the same n), `permutation` (a uniform
permutation, self-pairs possible), `roll` (the next example; the batch is in random order), `flip` (the mirrored
example, n even), `derangement` (a uniform permutation without fixed points).

Sharing of lambda: one for the `batch`, one for each unordered `pair` (flip only) or one for each `element`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from mixtheory.domain import DomainError, check_count, check_member
from mixtheory.mixing import Law

__all__ = ["DISTINCT", "PAIRINGS", "SHARINGS", "enumerate_partners", "lambdas", "partners"]

PAIRINGS = ("independent", "permutation", "roll", "flip", "derangement")
SHARINGS = ("batch", "pair", "element")
DISTINCT = ("roll", "flip", "derangement")      # an example never meets itself


def partners(pairing: str, n: int, *, rng: Any, replicas: int | None = None) -> Any:
    """Index of each example's partner: shape (n,), or (replicas, n) for many batches at once.

    `rng` is a numpy.random.Generator (ndarray) or a torch.Generator (tensor on its device). `roll` and `flip`
    draw nothing: they rely on the random order of the batch.

    Raises:
        DomainError: unknown pairing, n < 2, odd n with `flip`.
    """
    check_member(pairing, PAIRINGS, "pairing")
    check_count(n, "n", even="flip pairs example i with n - 1 - i" if pairing == "flip" else None)
    if not isinstance(rng, np.random.Generator):
        return _torch_partners(pairing, n, rng, replicas)
    rows = 1 if replicas is None else replicas
    if pairing == "independent":
        index = rng.integers(n, size=(rows, n))
    elif pairing == "permutation":
        index = rng.permuted(np.tile(np.arange(n), (rows, 1)), axis=1)
    elif pairing == "derangement":
        index = rng.permuted(np.tile(np.arange(n), (rows, 1)), axis=1)
        while (bad := np.flatnonzero((index == np.arange(n)).any(axis=1))).size:
            index[bad] = rng.permuted(index[bad], axis=1)
    else:
        index = np.tile(_fixed(pairing, n), (rows, 1))
    return index[0] if replicas is None else index


def lambdas(law: Law, n: int, *, sharing: str, rng: Any, replicas: int | None = None, pairing: str = "flip",
            dtype: Any = None) -> Any:
    """Mixing weights with the chosen sharing: shape (n,), or (replicas, n).

    Raises:
        DomainError: unknown sharing; `pair` with a pairing other than `flip` (no unordered pairs there).
    """
    check_member(sharing, SHARINGS, "sharing")
    check_sharing(pairing, sharing)
    rows = 1 if replicas is None else replicas
    if sharing == "element":
        lam = law.sample((rows, n), rng=rng, dtype=dtype)
    elif sharing == "batch":
        one = law.sample((rows, 1), rng=rng, dtype=dtype)
        lam = np.broadcast_to(one, (rows, n)) if isinstance(one, np.ndarray) else one.expand(rows, n)
    else:
        check_count(n, "n", even="flip pairs example i with n - 1 - i")
        half = law.sample((rows, n // 2), rng=rng, dtype=dtype)
        index = np.minimum(np.arange(n), np.arange(n)[::-1])
        lam = half[:, index]
    return lam[0] if replicas is None else lam


def check_sharing(pairing: str, sharing: str) -> None:
    """`pair` needs `flip`: only there do examples come in unordered pairs."""
    if sharing == "pair" and pairing != "flip":
        raise DomainError(f"sharing = 'pair' with pairing = {pairing!r}: only flip has unordered pairs")


def enumerate_partners(pairing: str, n: int) -> Iterator[np.ndarray]:
    """Every equally likely partner vector of a batch in random order: for exact checks at small n.

    `roll` and `flip` are given in every order of the batch (n! vectors, each pairing as often as any other).
    """
    check_member(pairing, PAIRINGS, "pairing")
    if pairing == "independent":
        yield from map(np.array, itertools.product(range(n), repeat=n))
        return
    for order in map(np.array, itertools.permutations(range(n))):
        if pairing == "permutation":
            yield order
        elif pairing == "derangement":
            if not (order == np.arange(n)).any():
                yield order
        else:
            index = np.empty(n, dtype=int)
            index[order] = order[_fixed(pairing, n)]        # example order[i] meets order[fixed(i)]
            yield index


def _fixed(pairing: str, n: int) -> np.ndarray:
    return np.roll(np.arange(n), 1) if pairing == "roll" else np.arange(n)[::-1].copy()


def _torch_partners(pairing: str, n: int, rng: Any, replicas: int | None) -> Any:
    import torch
    rows = 1 if replicas is None else replicas
    base = torch.arange(n, device=rng.device)

    def shuffled(count: int) -> Any:
        return torch.rand(count, n, generator=rng, device=rng.device, dtype=torch.float64).argsort(dim=1)

    if pairing == "independent":
        index = torch.randint(n, (rows, n), generator=rng, device=rng.device)
    elif pairing == "permutation":
        index = shuffled(rows)
    elif pairing == "derangement":
        index = shuffled(rows)
        while (bad := (index == base).any(dim=1).nonzero()[:, 0]).numel():
            index[bad] = shuffled(len(bad))
    else:
        index = (base.roll(1) if pairing == "roll" else base.flip(0)).expand(rows, n).clone()
    return index[0] if replicas is None else index
