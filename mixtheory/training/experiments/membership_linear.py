r"""Attacks on linear models fitted to mixed data: gaps and the AUC of the loss, against exact predictions.

Every model minimises the expected mixup risk over all n^2 pairs of its training set, lambda by a quadrature that is
exact for the squares in it, mixed row by mixed row, in float64. A replica draws its own targets; the noise is uniform
unless said otherwise. Gaps are mean squared errors of fresh targets, averaged given the fit, less those of the fitted
ones. Two controls of known mean are taken off: the mean square of the noise and, on fixed designs, its product with the
residuals of the fit to targets without noise.

`synthetic`. `auc`: ridge regression on a balanced design (Hadamard, n = 32, p = 9), by gradient descent on the pairs,
on many draws of targets with normal noise and no signal: probability that the loss of an outsider (a fresh target) is
the larger one, pooled over the draws of a replica; `auc_change`: that at alpha = 1 less that without mixup on the same
draws. `gap`: least squares with an intercept on Gaussian designs (n = 40, p = 7); `gap_change`: at alpha = 1 less
without mixup, data set by data set, predicted 0. `smoother_gap`: powers up to 7 of 15 mixed inputs. Told: `sampled`,
gap and loss of outsiders of least squares on n sampled mixed pairs, which adds noise to both losses;
`features_mixed`, the gap where the powers are mixed and not the inputs, which is that of least squares.

`diabetes`. The features of the data (442 x 10, standardised) with drawn targets about a curved truth. `ridge_gap`: gap
of ridge regression. `same_curve`: relative distance of its slopes, at the alpha that stands for 1.5 times the ridge,
from those of plain ridge regression at that strength, predicted 0.

Margins were fixed before the recorded runs: for `auc` less than half of what mixing changes, for gaps 4 % of the
prediction (10 % for random designs, where s would make it a third less).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.linalg import hadamard
from scipy.stats import rankdata

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.theory import membership as theory
from mixtheory.theory import membership_auc, membership_smoothers
from mixtheory.training.replicas import device_of, floats, generators

DATASETS = ("synthetic", "diabetes")
POINTS, COLUMNS, BALANCED_RIDGE = 32, 9, 1.0
RANDOM, FEATURES, SIGMA = 40, 7, 1.3
INPUTS, DEGREE, NOISE = 15, 7, 0.5
RIDGE, SCATTER = 0.1, 0.6               # on diabetes, in units of a feature's variance and of the spread of the truth
ALPHAS = (0.0, 0.2, 1.0)
NODES = {"linear": 2, "powers": 8}      # Gauss-Jacobi: exact to degree 3 and 15 in lambda
DESCENT, RATE = 24, 2 / 3
AUC_MARGIN, CHANGE_MARGIN, GAP_MARGIN, RANDOM_MARGIN, EXACT_MARGIN = 0.008, 0.004, 0.04, 0.1, 1e-8
LABELS, DESIGNS, CURVE, FIXED, PAIRS = 51, 52, 53, 54, 55           # streams of a seed


@dataclass(frozen=True)
class Size:
    """Draws of targets on a fixed design, and random designs, of a replica."""

    draws: int
    designs: int


SIZES = {"quick": Size(200, 60), "full": Size(2000, 1000)}


def measure(dataset: str, *, size: Size, device: str, seeds: Sequence[int], progress: Callable[..., Any] | None = None
            ) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """Configuration, measurements and observations of one run; one value of each for each seed."""
    where = device_of(device)
    config: dict[str, Any] = {"draws": size.draws, "alphas": ALPHAS}
    if dataset == "diabetes":
        return config | {"ridge": RIDGE, "sigma": SCATTER}, fixed_design(size.draws, where, seeds), []
    result = balanced(size.draws, where, seeds)
    if progress:
        progress("balanced design")
    random, told = random_designs(size.designs, where, seeds)
    curves, more = powers(size.draws, where, seeds)
    config |= {"designs": size.designs, "steps": DESCENT, "rate": RATE, "ridge": BALANCED_RIDGE, "sigma": SIGMA,
               "noise": NOISE}
    return config, result + random + curves, told + more


# --- a balanced design --------------------------------------------------------------------------------------

def balanced(draws: int, device: torch.device, seeds: Sequence[int]) -> list[Measurement]:
    """AUC of the loss against ridge regression, all draws of a replica descending together."""
    x = torch.as_tensor(hadamard(POINTS)[:, 1:COLUMNS + 1], dtype=torch.float64, device=device)
    found: dict[float, list[float]] = {0.0: [], 1.0: []}
    for rng in generators(seeds, device, stream=LABELS):
        y, fresh = torch.randn(2, POINTS, draws, generator=rng, dtype=torch.float64, device=device)
        for alpha, values in found.items():
            fitted = with_constant(x) @ descend(x, y, alpha)
            values.append(auc(*(((targets - fitted) ** 2).flatten().cpu().numpy() for targets in (y, fresh))))
    predicted = {a: float(membership_auc.balanced_auc(a, BALANCED_RIDGE, POINTS, COLUMNS)) for a in found}
    arm = {"ridge": BALANCED_RIDGE, "n": POINTS, "p": COLUMNS}
    result = [Measurement("auc", "membership.auc_balanced", arm | {"alpha": a}, floats(values), predicted[a],
                          AUC_MARGIN) for a, values in found.items()]
    change = np.subtract(found[1.0], found[0.0])
    return [*result, Measurement("auc_change", "membership.auc_balanced", arm | {"alpha": 1.0}, floats(change),
                                 predicted[1.0] - predicted[0.0], CHANGE_MARGIN)]


def descend(x: torch.Tensor, y: torch.Tensor, alpha: float) -> torch.Tensor:
    """Intercepts and slopes (p + 1, k) for targets y (n, k): gradient descent on the risk of all mixed pairs."""
    rows, shares, weight = mixed_pairs(x, alpha)
    targets = shares @ y
    theta = torch.zeros(x.shape[1] + 1, y.shape[1], dtype=y.dtype, device=y.device)
    decay = torch.full_like(theta[:, :1], BALANCED_RIDGE)
    decay[0] = 0
    for _ in range(DESCENT):
        theta -= RATE * (rows.T @ (weight * (rows @ theta - targets)) + decay * theta)
    return theta


def auc(inside: np.ndarray, outside: np.ndarray) -> float:
    """Probability that one of `outside` is larger than one of `inside`, by ranks."""
    ranks = rankdata(np.concatenate([inside, outside]))[len(inside):]
    return float((ranks.mean() - (len(outside) + 1) / 2) / len(inside))


# --- random designs -----------------------------------------------------------------------------------------

def random_designs(designs: int, device: torch.device, seeds: Sequence[int]
                   ) -> tuple[list[Measurement], list[Observation]]:
    """Gap of least squares on all mixed pairs, and told what sampling n pairs does."""
    gaps: dict[float, list[float]] = {0.0: [], 1.0: []}
    sampled: dict[str, list[float]] = {"gap": [], "outsiders": []}
    streams = [generators(seeds, device, stream=stream) for stream in (DESIGNS, PAIRS)]
    for rng, pairs in zip(*streams, strict=True):
        x = torch.randn(designs, RANDOM, FEATURES, generator=rng, dtype=torch.float64, device=device)
        slopes = torch.randn(designs, FEATURES, 1, generator=rng, dtype=torch.float64, device=device)
        noise = uniform((designs, RANDOM, 1), SIGMA, rng)
        y = x @ slopes + noise
        for alpha, values in gaps.items():
            rows, label = all_pairs(torch.cat([with_constant(x), y], dim=2), alpha)
            member, outsider = plain_losses(solved(rows, label), x, slopes, noise)
            values.append(float((outsider - member).mean()))
        i, j = torch.randint(RANDOM, (2, designs, RANDOM, 1), generator=pairs, device=device)
        lam = symmetric(1.0).sample((designs, RANDOM, 1), rng=pairs)
        z = torch.cat([with_constant(x), y], dim=2)
        some = blend(lam, *(z.gather(1, index.expand(-1, -1, z.shape[2])) for index in (i, j)))
        member, outsider = plain_losses(solved(some[..., :-1], some[..., -1:]), x, slopes, noise)
        sampled["gap"].append(float((outsider - member).mean()))
        sampled["outsiders"].append(float(outsider.mean()))
    arm, predicted = {"n": RANDOM, "p": FEATURES}, theory.ols_gap(RANDOM, FEATURES, SIGMA, 1.0)
    result = [Measurement("gap", "membership.gap_ols", arm | {"alpha": a}, floats(values), predicted,
                          RANDOM_MARGIN * predicted, "squared target units") for a, values in gaps.items()]
    change = np.subtract(gaps[1.0], gaps[0.0])
    result.append(Measurement("gap_change", "membership.gap_ols", arm | {"alpha": 1.0}, floats(change), 0.0,
                              EXACT_MARGIN, "squared target units"))
    return result, [Observation("sampled", arm | {"alpha": 1.0, "pairs": RANDOM, "what": what}, floats(values),
                                "squared target units") for what, values in sampled.items()]


def solved(rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Least squares of labels (..., m, k) on rows (..., m, p), by the normal equations."""
    back = rows.transpose(-1, -2)
    return torch.linalg.solve(back @ rows, back @ labels)


def plain_losses(theta: torch.Tensor, x: torch.Tensor, slopes: torch.Tensor, noise: torch.Tensor
                 ) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses (designs,) of members, with the control, and of fresh Gaussian points, on unmixed data."""
    residual = x @ slopes + noise - with_constant(x) @ theta
    member = (residual**2 - noise**2).mean((1, 2)) + SIGMA**2
    miss = torch.cat([theta[:, :1], theta[:, 1:] - slopes], dim=1)
    return member, SIGMA**2 + (miss**2).sum((1, 2))


def all_pairs(z: torch.Tensor, alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Weighted mixed rows and labels of all pairs of rows of z (designs, n, p + 2), its last column the targets."""
    n = z.shape[1]
    i, j = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    nodes, weights = symmetric(alpha).quadrature(nodes=NODES["linear"])
    rows = torch.cat([float(np.sqrt(w)) * blend(float(lam), z[:, i.flatten()], z[:, j.flatten()])
                      for lam, w in zip(nodes, weights, strict=True)], dim=1)
    return rows[..., :-1], rows[..., -1:]


# --- powers of mixed inputs ---------------------------------------------------------------------------------

def powers(draws: int, device: torch.device, seeds: Sequence[int]) -> tuple[list[Measurement], list[Observation]]:
    """Gap of a polynomial of degree 7 fitted to mixed inputs, or to mixed powers."""
    x = torch.linspace(-1, 1, INPUTS, dtype=torch.float64, device=device)
    f = torch.sin(torch.pi * x)[:, None]
    noise = torch.cat([uniform((INPUTS, draws), NOISE, rng) for rng in generators(seeds, device, stream=CURVE)], dim=1)
    plain, arm = chebyshev(x), {"n": INPUTS, "degree": DEGREE}
    result, told = [], []
    for alpha in ALPHAS:
        mixed, shares, weight = mixed_pairs(x[:, None], alpha, constant=False, nodes=NODES["powers"])
        both, _, _ = mixed_pairs(plain, alpha, constant=False, nodes=NODES["powers"])
        for name, rows in (("smoother_gap", chebyshev(mixed[:, 0])), ("features_mixed", both)):
            root = weight.sqrt()
            theta = solved(root * rows, root * (shares @ torch.cat([f, f + noise], dim=1)))
            values = gap(f, noise, plain @ theta, len(seeds))
            if name == "features_mixed":
                told.append(Observation(name, arm | {"alpha": alpha}, values, "squared target units"))
                continue
            losses = membership_smoothers.polynomial_losses(alpha, f"equispaced {INPUTS}", DEGREE, "sine", NOISE)
            predicted = float(losses[1] - losses[0])
            result.append(Measurement(name, "membership.gap_smoother", arm | {"alpha": alpha}, values, predicted,
                                      GAP_MARGIN * predicted, "squared target units"))
    return result, told


def chebyshev(x: torch.Tensor) -> torch.Tensor:
    """Chebyshev polynomials up to degree 7 of x (m,): they span the powers, and are better conditioned."""
    return torch.cos(torch.arange(DEGREE + 1, dtype=x.dtype, device=x.device) * torch.acos(x.clamp(-1, 1))[:, None])


# --- a fixed design -----------------------------------------------------------------------------------------

def fixed_design(draws: int, device: torch.device, seeds: Sequence[int]) -> list[Measurement]:
    """Gap of ridge regression on the diabetes features with drawn targets."""
    from sklearn.datasets import load_diabetes
    x = torch.as_tensor(load_diabetes(return_X_y=True)[0], dtype=torch.float64, device=device)
    x = (x - x.mean(0)) / x.std(0, correction=0)
    f = torch.sin(x[:, :1]) + 0.5 * x[:, 2:3] * x[:, 3:4]
    f = f / f.std(0, correction=0)
    streams = generators(seeds, device, stream=FIXED)
    noise = torch.cat([uniform((len(x), draws), SCATTER, rng) for rng in streams], dim=1)
    result, arm = [], {"ridge": RIDGE, "n": len(x), "p": x.shape[1]}
    for alpha in ALPHAS:
        theta = accumulated_ridge(x, torch.cat([f, f + noise], dim=1), alpha, RIDGE)
        predicted = float(theory.ridge_gap(alpha, RIDGE, x.cpu().numpy(), SCATTER))
        values = gap(f, noise, with_constant(x) @ theta, len(seeds))
        result.append(Measurement("ridge_gap", "membership.gap_ridge", arm | {"alpha": alpha}, values, predicted,
                                  GAP_MARGIN * predicted, "squared target units"))
    target = 1.5 * RIDGE
    alpha = float(theory.matching_alpha(RIDGE, target))
    mixed, plain = (accumulated_ridge(x, f + noise, *how)[1:] for how in ((alpha, RIDGE), (0.0, target)))
    distance = ((mixed - plain).norm(dim=0) / plain.norm(dim=0)).reshape(len(seeds), -1).amax(1)
    result.append(Measurement("same_curve", "membership.same_curve", arm | {"alpha": alpha, "target": target},
                              floats(distance), 0.0, EXACT_MARGIN, "relative"))
    return result


def accumulated_ridge(x: torch.Tensor, y: torch.Tensor, alpha: float, ridge: float) -> torch.Tensor:
    """Intercepts and slopes (p + 1, k) from the second moments of every mixed pair, added up shift by shift."""
    z, n = with_constant(x), len(x)
    A, shares = z.new_zeros(z.shape[1], z.shape[1]), torch.zeros_like(z)
    for lam, weight in zip(*symmetric(alpha).quadrature(nodes=NODES["linear"]), strict=True):
        for shift in range(n):
            rows = blend(float(lam), z, z.roll(shift, 0))           # whose label is lam y + (1 - lam) y.roll(shift)
            A += float(weight) * rows.T @ rows
            shares += float(weight) * (float(lam) * rows + (1 - float(lam)) * rows.roll(-shift, 0))
    penalty = torch.full((len(A),), ridge * n**2, dtype=z.dtype, device=z.device)
    penalty[0] = 0
    return torch.linalg.solve(A + penalty.diag(), shares.T @ y)


# --- shared -------------------------------------------------------------------------------------------------

def mixed_pairs(x: torch.Tensor, alpha: float, *, constant: bool = True, nodes: int = NODES["linear"]
                ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """All mixed rows of x (n, p), the shares (rows, n) of the targets in their labels, and weights that sum to one."""
    n = len(x)
    i, j = (index.flatten() for index in torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij"))
    rows, shares, weights = [], [], []
    one = torch.eye(n, dtype=x.dtype, device=x.device)
    z = with_constant(x) if constant else x
    for lam, weight in zip(*symmetric(alpha).quadrature(nodes=nodes), strict=True):
        rows.append(blend(float(lam), z[i], z[j]))
        shares.append(blend(float(lam), one[i], one[j]))
        weights.append(torch.full((n * n, 1), float(weight) / n**2, dtype=x.dtype, device=x.device))
    return torch.cat(rows), torch.cat(shares), torch.cat(weights)


def gap(f: torch.Tensor, noise: torch.Tensor, fitted: torch.Tensor, replicas: int) -> tuple[float, ...]:
    """Mean gap over the draws of each replica, with the controls.

    The first column of `fitted` (n, 1 + draws of all replicas) is fitted to f (n, 1) itself, the others to f + noise.
    """
    clean, noisy = fitted[:, :1], fitted[:, 1:]
    values = (f - noisy) ** 2 - (f + noise - noisy) ** 2 + noise**2 + 2 * noise * (f - clean)
    return floats(values.mean(0).reshape(replicas, -1).mean(1))


def with_constant(x: torch.Tensor) -> torch.Tensor:
    """A column of ones before the features."""
    return torch.cat([torch.ones_like(x[..., :1]), x], dim=-1)


def uniform(shape: tuple[int, ...], sigma: float, rng: torch.Generator) -> torch.Tensor:
    """Uniform noise of standard deviation sigma."""
    return sigma * 12**0.5 * (torch.rand(shape, generator=rng, dtype=torch.float64, device=rng.device) - 0.5)
