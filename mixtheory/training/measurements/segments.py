r"""A function f along the segments between data points: phi(lambda) = f(lambda x1 + (1 - lambda) x2).

* chord deviation D(lambda) = phi(lambda) - [lambda phi(1) + (1 - lambda) phi(0)], negative where f is convex on the
  segment, and its mean square under a law of lambda;
* slope variation: the total variation of phi', for one hidden ReLU layer the sum of |J_j| over the kinks crossed;
* predictive entropy in nats as a function of lambda.

f is a module or any function of a tensor (n, ...) that returns (n,) or (n, K), row by row. All pairs are followed
together; f is called without gradients, and what it returns is used in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from mixtheory.domain import DomainError, check_count, check_lambda
from mixtheory.mixing import Law, symmetric
from mixtheory.mixup import blend
from mixtheory.training.measurements.gradients import Measured, check_evaluation

__all__ = ["Profile", "chord_deviation", "mean_square_deviation", "segment_entropy", "slope_variation"]

NODES = 64
CHUNK = 4096

Function = Callable[[torch.Tensor], torch.Tensor]


class Profile(NamedTuple):
    """Means over pairs (q,) and their standard errors (q,) at the weights lam (q,), float64 on the CPU."""

    lam: torch.Tensor
    mean: torch.Tensor
    se: torch.Tensor


def chord_deviation(f: Function, x1: torch.Tensor, x2: torch.Tensor, lam: Any, *, probabilities: bool = False,
                    chunk: int = CHUNK) -> torch.Tensor:
    """D(lambda) for every weight, pair and output.

    Args:
        f: module in evaluation mode or function, (n, ...) to (n,) or (n, K).
        x1: (m, ...) the members at lambda = 1, floating point.
        x2: (m, ...) the members at lambda = 0.
        lam: (q,) weights in [0, 1].
        probabilities: softmax of the outputs first.
        chunk: rows in one call of f.

    Returns:
        (q, m, K) float64 tensor in units of the output, on the device of f; K = 1 where f returns (n,).

    Raises:
        DomainError: mismatched pairs, weights outside [0, 1], BatchNorm or Dropout in training mode.
    """
    along = _along(f, x1, x2, probabilities, chunk)
    weights = _weights(lam)
    first, second = along(1.0), along(0.0)
    return torch.stack([along(p) - blend(p, first, second) for p in weights])


def mean_square_deviation(f: Function, x1: torch.Tensor, x2: torch.Tensor, law: Law | float, *,
                          probabilities: bool = False, kinks: Sequence[float] = (), nodes: int = NODES,
                          chunk: int = CHUNK) -> Measured:
    """E |D(lambda)|^2, summed over outputs, averaged over the given pairs and over the law of lambda.

    Gauss-Jacobi quadrature in lambda: exact for polynomials of low degree. A kink of f costs up to 0.3 % of its own
    contribution with 64 nodes (alpha >= 0.2; either sign, 0.1 % in root mean square), a quarter of that with 128.

    Args:
        f: as in `chord_deviation`.
        x1: (m, ...), at least 2 pairs.
        x2: (m, ...).
        law: a law of lambda, or alpha of Beta(alpha, alpha).
        probabilities: softmax of the outputs first.
        kinks: weights at which D is known to have a kink, in every pair; the rule is split there.
        nodes: nodes of the rule, in each of its pieces.
        chunk: rows in one call of f.

    Returns:
        Mean in squared units of the output, with its standard error over pairs, taken as independent.

    Raises:
        DomainError: as in `chord_deviation`; fewer than 2 pairs.
    """
    check_count(len(x1), "m", least=2)
    along = _along(f, x1, x2, probabilities, chunk)
    first, second = along(1.0), along(0.0)

    def square(weights: np.ndarray) -> np.ndarray:
        return np.stack([(along(float(p)) - blend(float(p), first, second)).square().sum(1).cpu().numpy()
                         for p in weights])

    values = (law if isinstance(law, Law) else symmetric(law)).expect(square, kinks=kinks, nodes=nodes)
    return Measured(float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values)))


def slope_variation(f: Function, x1: torch.Tensor, x2: torch.Tensor, *, cells: int = 256, probabilities: bool = False,
                    chunk: int = CHUNK) -> torch.Tensor:
    """Total variation of phi' over (0, 1): sum of |second differences| over a grid, divided by its spacing.

    A lower bound, which grows with nested grids to the total variation; exact for a piecewise linear f as soon as no
    two kinks share a cell or lie in neighbouring ones and none lies in the first or last. Second differences amplify
    rounding: about 4 cells^2 times that of the output, so that float32 needs a coarse grid.

    Args:
        f: as in `chord_deviation`.
        x1: (m, ...).
        x2: (m, ...).
        cells: cells of equal width, at least 2.
        probabilities: softmax of the outputs first.
        chunk: rows in one call of f.

    Returns:
        (m, K) float64 tensor, in units of the output (lambda has none), on the device of f.

    Raises:
        DomainError: as in `chord_deviation`; cells < 2.
    """
    cells = int(check_count(cells, "cells"))
    along = _along(f, x1, x2, probabilities, chunk)
    before, here = along(0.0), along(1 / cells)
    total = torch.zeros_like(here)
    for i in range(2, cells + 1):
        after = along(i / cells)
        total += (after - 2 * here + before).abs()
        before, here = here, after
    return total * cells


def segment_entropy(f: Function, x1: torch.Tensor, x2: torch.Tensor, lam: Any, *, chunk: int = CHUNK) -> Profile:
    """Mean entropy of softmax(f) in nats at each weight, over the given pairs (of two classes, say).

    Args:
        f: module in evaluation mode or function, (n, ...) to logits (n, K), K >= 2.
        x1: (m, ...), at least 2 pairs; the members at lambda = 1.
        x2: (m, ...).
        lam: (q,) weights in [0, 1].
        chunk: rows in one call of f.

    Returns:
        `Profile`, in nats, between 0 and ln K; standard errors over pairs, taken as independent.

    Raises:
        DomainError: as in `chord_deviation`; fewer than 2 pairs or classes.
    """
    check_count(len(x1), "m", least=2)
    along, weights = _along(f, x1, x2, False, chunk), _weights(lam)
    rows = []
    for p in weights:
        log = along(p).log_softmax(1)
        check_count(log.shape[1], "K", least=2)
        rows.append(torch.special.entr(log.exp()).sum(1).cpu())
    values = torch.stack(rows)
    return Profile(torch.tensor(weights, dtype=torch.float64), values.mean(1), values.std(1) / math.sqrt(len(x1)))


def _along(f: Function, x1: torch.Tensor, x2: torch.Tensor, probabilities: bool,
           chunk: int) -> Callable[[float], torch.Tensor]:
    """lambda -> phi(lambda) of all pairs, (m, K) float64."""
    check_evaluation(f)
    check_count(chunk, "chunk", least=1)
    if x1.shape != x2.shape or not len(x1):
        raise DomainError(f"x1, x2 of shapes {tuple(x1.shape)}, {tuple(x2.shape)}: must be pairs, one or more")
    if not x1.is_floating_point() or x1.dtype != x2.dtype:
        raise DomainError(f"x1.dtype = {x1.dtype}, x2.dtype = {x2.dtype}: must be the same floating-point type")

    @torch.no_grad()
    def along(p: float) -> torch.Tensor:
        parts = []
        for first, second in zip(x1.split(chunk), x2.split(chunk), strict=True):
            output = f(blend(p, first, second))
            if output.ndim not in (1, 2) or len(output) != len(first):
                raise DomainError(f"f: returns shape {tuple(output.shape)} for n = {len(first)} rows; "
                                  "must be (n,) or (n, K)")
            parts.append(output.double().reshape(len(first), -1))
        phi = torch.cat(parts)
        if not bool(phi.isfinite().all()):
            raise DomainError(f"f: is not finite at lambda = {p}")
        return phi.softmax(1) if probabilities else phi

    return along


def _weights(lam: Any) -> list[float]:
    weights = np.asarray(lam.cpu() if isinstance(lam, torch.Tensor) else lam, dtype=float)
    if weights.ndim != 1 or not len(weights):
        raise DomainError(f"lam of shape {weights.shape}: must be a list of weights (q,)")
    return check_lambda(weights).tolist()
