r"""Last layers of trained networks, fitted anew: where the theory of membership in smooth models meets real features.

The features are `FEATURES` principal components of a trained network's last hidden layer, standardised; the question is
whether the class is in the lower half of the classes. `POPULATION` examples are the whole population: data sets of n
are drawn from it with replacement, so that the loss of non-members is an exact mean. Logistic regression with an
intercept is fitted to each by Newton's method, on mixed pairs at `SHIFTS` cyclic distances, all data sets at once; the
distances have the projection of all pairs. Gap and AUC are told less the same numbers at theta*, whose means are 0 and
1/2: the draw of the data set, which has nothing to do with the fit, drops out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import expit
from torch import Tensor

from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.training.inputs import Split
from mixtheory.training.measurements.batches import activation
from mixtheory.training.measurements.membership import auc

__all__ = ["Fitted", "Population", "fit", "fitted", "gradient", "hessian", "population"]

FEATURES, POPULATION, SHIFTS, NODES = 5, 256, 8, 6
NEWTON = 24                         # steps at most


class Population(NamedTuple):
    """x (N, p) with a first column of ones, y (N,) in {0, 1}; float64."""

    x: Tensor
    y: Tensor


class Fitted(NamedTuple):
    """Of R data sets of size n: n times the loss gap, n times AUC - 1/2 of the loss threshold (R,)."""

    gap: Tensor
    auc: Tensor


def population(module: torch.nn.Module, data: Split, layer: str, rng: torch.Generator) -> Population:
    """Features and binary labels of `POPULATION` random training examples."""
    chosen = torch.randperm(len(data.x), generator=rng, device=rng.device)[:POPULATION]
    a = activation(module, data.x[chosen], layer=layer).double()
    a = a - a.mean(0)
    directions = torch.linalg.svd(a, full_matrices=False).Vh[:FEATURES]
    x = a @ directions.T
    x = x / x.std(0)
    return Population(torch.cat([torch.ones_like(x[:, :1]), x], 1), (data.y[chosen] < data.classes / 2).double())


def fit(x: Tensor, y: Tensor, alpha: float, shifts: range) -> Tensor:
    """Minimisers (R, p) of the mixup risk of R data sets x (R, n, p), y (R, n) over pairs (i, i + k), k in shifts."""
    lam, weight = symmetric(alpha).quadrature(nodes=NODES)
    pairs = [(k, float(t), float(w) / len(shifts)) for k in (shifts if alpha else range(1))
             for t, w in zip(lam, weight, strict=True)]
    if not alpha:
        pairs = [(0, 1.0, 1.0)]
    n, p = x.shape[1:]
    theta = x.new_zeros(len(x), p)
    for _ in range(NEWTON):
        slope, curvature = torch.zeros_like(theta), x.new_zeros(len(x), p, p)
        for k, t, w in pairs:
            mixed = blend(t, x, x.roll(-k, 1))
            q = torch.sigmoid(torch.einsum("rnp,rp->rn", mixed, theta))
            slope += w / n * torch.einsum("rn,rnp->rp", q - blend(t, y, y.roll(-k, 1)), mixed)
            curvature += w / n * torch.einsum("rnp,rnq->rpq", mixed * (q * (1 - q))[..., None], mixed)
        step = torch.linalg.solve(curvature, slope)
        theta = theta - step / (1 + step.norm(dim=1, keepdim=True) / 8)        # long steps are cut
        if bool((step.norm(dim=1) < 1e-9 * (1 + theta.norm(dim=1))).all()):
            return theta
    raise ArithmeticError("Newton's method has not converged: are the classes of a data set separable?")


def gradient(x: np.ndarray, y: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Of the logistic loss of n examples x (n, p), y (n,): (n, p)."""
    return (expit(x @ theta) - y)[:, None] * x


def hessian(x: np.ndarray, y: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """The same for second derivatives: (n, p, p)."""
    q = expit(x @ theta)
    return (q * (1 - q))[:, None, None] * x[:, :, None] * x[:, None, :]


def fitted(people: Population, optimum: Tensor, alpha: float, n: int, datasets: int, rng: torch.Generator) -> Fitted:
    """Draw data sets, fit them, and attack them.

    Args:
        people: the population.
        optimum: (p,) minimiser of the population mixup risk, for the control variate.
        alpha: of the mixing.
        n: examples of a data set.
        datasets: how many.
        rng: torch.Generator on the device of the population; the same state draws the same data sets.
    """
    drawn = torch.randint(len(people.x), (datasets, n), generator=rng, device=rng.device)
    x, y = people.x[drawn], people.y[drawn]
    theta = fit(x, y, alpha, range(1, SHIFTS + 1))

    def losses(z: Tensor) -> Tensor:
        return F.softplus(z) - people.y * z

    own, best = losses(theta @ people.x.T), losses(people.x @ optimum)
    member = own.gather(1, drawn)
    gap = own.mean(1) - member.mean(1) - (best.mean() - best[drawn].mean(1))
    return Fitted(n * gap, n * (auc(-member, -own) - auc(-best[drawn], -best.expand_as(own))))
