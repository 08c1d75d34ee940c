r"""Linear least squares under mixup, fitted: what it changes (weight decay) and what it does not (the slope).

Exact (diabetes): the expected mixup risk over all n^2 pairs (`all`) or the n (n - 1) pairs of distinct
examples (`distinct`), lambda by a quadrature that is exact for squares, summed row by row and minimised in
float64. A replica is half of the data, drawn at random. `ols`: relative distance of the slope from ordinary
least squares, predicted 0. `ridge`: with penalty (ridge/2) |w|^2 on the slope alone, its relative distance
from ridge regression at the effective ridge, predicted 0. `config` keeps the same for a fit without intercept
and for the nominal ridge: both are far.

Stochastic (all data): SGD with coupled weight decay on freshly mixed batches, constant rate, iterates
averaged over the second half. `sgd` is the position theta of the averaged slope W on the line from ridge
regression at the nominal ridge (0) to that at the effective ridge (1):

    theta = <W - W(ridge), W(effective) - W(ridge)> / |W(effective) - W(ridge)|^2.

Batches are drawn from the training set with replacement and every example meets its neighbour (`roll`). Then
the two members of each pair are independent and uniform on the data set, their factor (`batch_factor`) is
exactly s at every batch size, and because the gradient is linear in the iterate, the iterates have the ridge
solution as mean at any stable rate. Mixing within a batch drawn without replacement would have a factor that
depends on n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from mixtheory.evidence.record import Measurement
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend, soft_labels
from mixtheory.pairing import lambdas, partners
from mixtheory.theory.least_squares import effective_ridge
from mixtheory.theory.least_squares_descent import batch_factor
from mixtheory.training.data import NAMES
from mixtheory.training.replicas import device_of, floats, generators, images

DATASETS = (*NAMES, "diabetes")
ALPHAS = (0.4, 1.0)
EXACT_ALPHAS = (0.2, 1.0, 4.2)
PAIRS = ("all", "distinct")
RIDGE = 0.05                        # in units of tr C, which is 1 after scaling
EXACT_MARGIN, THETA_MARGIN = 1e-10, 0.05                # fixed before the recorded runs, as are the sizes
PAIRING, SHARING, RATE = "roll", "element", 0.5
BATCH = {"diabetes": 512, "images": 64}                 # the labels of diabetes are noisy, its rows are short
AHEAD = 25                          # steps drawn at once
NODES = 2                           # Gauss-Jacobi: exact to degree 3 in lambda


@dataclass(frozen=True)
class Size:
    """Steps of SGD; the second half is averaged."""

    steps: int


SIZES = {"quick": Size(1000), "full": Size(2000)}


class Problem(NamedTuple):
    """Features x (n, d) with mean 0 and tr C = 1, targets y (n, m) with mean 0."""

    x: torch.Tensor
    y: torch.Tensor


def problem(dataset: str, device: torch.device) -> Problem:
    """Diabetes with standardised columns (float64), or centred images and one-hot labels (float32)."""
    if dataset == "diabetes":
        from sklearn.datasets import load_diabetes
        arrays = load_diabetes(return_X_y=True)
        x, y = (torch.as_tensor(a, dtype=torch.float64, device=device) for a in arrays)
        x, y = ((a - a.mean(0)) / a.std(0, correction=0) for a in (x, y[:, None]))
    else:
        rows = images(dataset, device)
        x, y = rows.x, soft_labels(rows.y, rows.classes, like=rows.x)
    return Problem(x / x.double().square().sum(1).mean().sqrt().to(x.dtype), y - y.mean(0))


def measure(dataset: str, *, size: Size, device: str, seeds: Sequence[int],
            progress: Callable[..., Any] | None = None) -> tuple[dict[str, Any], list[Measurement]]:
    """Configuration and measurements of one run; one value of each for each seed."""
    data = problem(dataset, device_of(device))
    batch = BATCH.get(dataset, BATCH["images"])
    config: dict[str, Any] = {
        "ridge": RIDGE, "alphas": ALPHAS, "pairing": PAIRING, "sharing": SHARING, "batch": batch,
        "rate": RATE, "steps": size.steps, "examples": len(data.x), "features": data.x.shape[1]}
    result = []
    if dataset == "diabetes":
        contrast, result = exact(data, seeds)
        config |= {"exact_alphas": EXACT_ALPHAS, "contrast": contrast}
        if progress:
            progress("exact risk")
    slopes = descend(data, size.steps, batch, generators(seeds, data.x.device, stream=1), progress)
    for alpha, W in zip(ALPHAS, slopes, strict=True):
        effective = float(RIDGE / batch_factor(alpha, batch, PAIRING))
        nominal, shrunk, wrong = ridge_slopes(data, (RIDGE, effective, RIDGE**2 / effective))
        line = shrunk - nominal
        theta = ((W - nominal) * line).sum((1, 2)) / (line * line).sum()
        result.append(Measurement("sgd", "least_squares.weight_decay", {"alpha": alpha}, floats(theta), 1.0,
                                  THETA_MARGIN, "of the way from the nominal to the effective ridge"))
        mean = W.mean(0)
        config.setdefault("distance", {})[str(alpha)] = {
            name: float((mean - W0).norm() / W0.norm())
            for name, W0 in (("ridge / s", shrunk), ("ridge", nominal), ("ridge s", wrong))}
    return config, result


# --- stochastic ---------------------------------------------------------------------------------------------

def covariances(data: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    """C (d, d) and C_xy (d, m) in float64, with 1/n; the products of a block in the precision of the data."""
    d, m = data.x.shape[1], data.y.shape[1]
    C = torch.zeros(d, d + m, dtype=torch.float64, device=data.x.device)
    for x, y in zip(data.x.split(8192), data.y.split(8192), strict=True):
        C += (x.T @ torch.cat([x, y], 1)).double()
    return (C / len(data.x)).split([d, m], 1)


def ridge_slopes(data: Problem, ridges: Sequence[float]) -> list[torch.Tensor]:
    """Minimisers (d, m) of E|y - W^T x|^2 / 2 + (ridge/2) |W|^2 over the unmixed data."""
    C, Cxy = covariances(data)
    eye = torch.eye(len(C), dtype=C.dtype, device=C.device)
    return [torch.cholesky_solve(Cxy, torch.linalg.cholesky(C + ridge * eye)) for ridge in ridges]


def descend(data: Problem, steps: int, batch: int, rngs: Sequence[torch.Generator],
            progress: Callable[..., Any] | None = None) -> torch.Tensor:
    """Averaged slopes (alphas, replicas, d, m), float64, of SGD from zero; the intercept is not penalised."""
    x, y, arms = data.x, data.y, len(ALPHAS) * len(rngs)
    W = torch.zeros(arms, x.shape[1], y.shape[1], dtype=x.dtype, device=x.device)
    b = torch.zeros(arms, 1, y.shape[1], dtype=x.dtype, device=x.device)
    total, averaged = torch.zeros_like(W, dtype=torch.float64), 0
    for step in range(steps):
        if step % AHEAD == 0:
            first, second, lam = _draws(len(x), batch, rngs, x.dtype)
            if progress and step % (steps // 8) < AHEAD:
                progress(f"SGD step {step}")
        i, j, p = (values[:, step % AHEAD] for values in (first, second, lam[..., None]))
        mixed = blend(p, x[i], x[j])
        error = torch.baddbmm(b, mixed, W) - blend(p, y[i], y[j])
        W -= RATE * (torch.bmm(mixed.transpose(1, 2), error) / batch + RIDGE * W)
        b -= RATE * error.mean(1, keepdim=True)
        if 2 * step >= steps:
            total += W
            averaged += 1
    return (total / averaged).unflatten(0, (len(ALPHAS), len(rngs)))


def _draws(total: int, batch: int, rngs: Sequence[torch.Generator],
           dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Examples, partners and lambda of the next steps, each (alphas x replicas, AHEAD, batch)."""
    draws = []
    for alpha in ALPHAS:
        for rng in rngs:
            index = torch.randint(total, (AHEAD, batch), generator=rng, device=rng.device)
            partner = partners(PAIRING, batch, rng=rng, replicas=AHEAD)
            lam = lambdas(symmetric(alpha), batch, sharing=SHARING, rng=rng, replicas=AHEAD, pairing=PAIRING,
                          dtype=dtype)
            draws.append((index, index.gather(1, partner), lam))
    return tuple(torch.stack(column) for column in zip(*draws, strict=True))


# --- exact --------------------------------------------------------------------------------------------------

def mixup_moments(z: torch.Tensor, alpha: float, pairs: str) -> torch.Tensor:
    """E[z~ z~^T] over the pairs of rows of z (n, k) and over lambda, by adding up every mixed row."""
    n, k = z.shape
    G = torch.zeros(k, k, dtype=z.dtype, device=z.device)
    keep = ~torch.eye(n, dtype=torch.bool, device=z.device) if pairs == "distinct" else torch.ones(
        n, n, dtype=torch.bool, device=z.device)
    i, j = keep.nonzero(as_tuple=True)
    for p, weight in zip(*symmetric(alpha).quadrature(nodes=NODES), strict=True):
        rows = blend(float(p), z[i], z[j])
        G += float(weight) * (rows.T @ rows) / len(i)
    return G


def minimiser(G: torch.Tensor, ridge: float, *, intercept: bool = True) -> torch.Tensor:
    """Slope (d,) that minimises the risk, with or without intercept; G: second moments of (1, x, y)."""
    A, c = (G[:-1, :-1], G[:-1, -1]) if intercept else (G[1:-1, 1:-1], G[1:-1, -1])
    penalty = torch.full((len(A),), ridge, dtype=G.dtype, device=G.device)
    if intercept:
        penalty[0] = 0
    w = torch.linalg.solve(A + penalty.diag(), c)
    return w[1:] if intercept else w


def exact(data: Problem, seeds: Sequence[int]) -> tuple[dict[str, Any], list[Measurement]]:
    """Distances of exact minimisers on half-samples, and what two wrong theories would give."""
    z = torch.cat([torch.ones_like(data.y), data.x, data.y], 1)
    halves = [z[torch.randperm(len(z), generator=rng, device=rng.device)[:len(z) // 2]]
              for rng in generators(seeds, z.device)]
    result, contrast = [], {}

    def distance(w: torch.Tensor, to: torch.Tensor) -> float:
        return float((w - to).norm() / to.norm())

    for alpha in EXACT_ALPHAS:
        for pairs in PAIRS:
            rows: dict[str, list[float]] = {"ols": [], "ridge": [], "no_intercept": [], "nominal_ridge": []}
            for half in halves:
                mixed, plain = mixup_moments(half, alpha, pairs), half.T @ half / len(half)
                effective = effective_ridge(alpha, RIDGE, n=len(half) if pairs == "distinct" else None)
                ols = minimiser(plain, 0.0)
                rows["ols"].append(distance(minimiser(mixed, 0.0), ols))
                rows["ridge"].append(distance(minimiser(mixed, RIDGE), minimiser(plain, float(effective))))
                rows["no_intercept"].append(distance(minimiser(mixed, 0.0, intercept=False), ols))
                rows["nominal_ridge"].append(distance(minimiser(mixed, RIDGE), minimiser(plain, RIDGE)))
            arm = {"alpha": alpha, "pairs": pairs}
            claims = {"ols": "invariance", "ridge": "ridge" if pairs == "all" else "ridge_distinct"}
            result += [Measurement(name, f"least_squares.{claim}", arm, floats(rows[name]), 0.0, EXACT_MARGIN,
                                   "relative")
                       for name, claim in claims.items()]
            contrast[f"alpha {alpha:g}, {pairs}"] = {name: min(rows[name])
                                                     for name in ("no_intercept", "nominal_ridge")}
    return contrast, result
