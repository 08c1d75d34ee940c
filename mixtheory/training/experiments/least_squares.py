r"""Linear least squares under mixup, fitted: what it changes (weight decay) and what it does not (the slope).

Exact: the expected mixup risk over all n^2 pairs (`all`) or the n (n - 1) pairs of distinct examples (`distinct`),
lambda by a quadrature that is exact for squares, summed row by row and minimised in float64. `ols`: relative distance
of the slopes from those of ordinary least squares, predicted 0. `ridge`: with penalty (ridge/2) |w|^2 on the slopes
alone, their relative distance from ridge regression at the effective ridge, predicted 0. The same for a fit without
intercept and for the nominal ridge, `no_intercept` and `nominal_ridge`, is told: both are far. On diabetes a replica
is half of the data, drawn at random. On images it is the last layer of a trained network, fitted anew: the features
are the last hidden layer of a network trained with mixup, frozen, the targets are one-hot labels. The features
need not come from mixed images: what is mixed is features, and least squares does not ask where they are from.

Stochastic: a linear model trained by the engine with squared loss, coupled weight decay and mixup. `sgd` is
the position theta of its slopes W on the line from ridge regression at the nominal ridge (0) to that at the effective
ridge (1):

    theta = <W - W(ridge), W(effective) - W(ridge)> / |W(effective) - W(ridge)|^2.

Each replica passes once over its own sample of the training set, drawn with replacement. Then the rows of all batches
are independent, so that the mean iterate follows an affine recursion whatever the rate does, and it ends in the ridge
solution at ridge / `batch_factor`. Where every example meets its neighbour (`roll`) the two members of a pair are
independent and the factor is exactly s at every batch size; a `permutation` leaves a share 1/B of the examples
unmixed. Passing over the training set itself, without replacement, would tie batches to one another and give a factor
that depends on n. The engine decays the intercept too. The features are centred: then the intercept and the slopes do
not know of each other, and the slopes are those of a free intercept.

`risk`: the exact mixup risk of these trained models over all pairs of some examples, over
(s mean r^2 + (1 - s) (mean r)^2)/2 with the residuals r of the unmixed examples, predicted 1. What is left of the
unmixed risk is told as `risk_kept`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend, soft_labels
from mixtheory.theory import least_squares as theory
from mixtheory.theory.least_squares_descent import batch_factor
from mixtheory.training.arms import Arm
from mixtheory.training.data import NAMES
from mixtheory.training.engine import Trained, train
from mixtheory.training.experiments._trained import HIDDEN, Training, networks
from mixtheory.training.inputs import Split
from mixtheory.training.measurements.batches import activation
from mixtheory.training.models import linear
from mixtheory.training.recipes import Recipe
from mixtheory.training.replicas import device_of, floats, generators, images

DATASETS = (*NAMES, "diabetes")
ARMS = (Arm(1.0, "roll", "element"), Arm(1.0, "permutation", "element"), Arm(4.2, "roll", "element"))
EXACT_ALPHAS = (0.2, 1.0, 4.2)
PAIRS = ("all", "distinct")
RIDGE = 0.05                        # in units of tr C, which is 1 after scaling
EXACT_MARGIN, RISK_MARGIN = 1e-10, 1e-9              # fixed before the recorded runs, as are the sizes
THETA_MARGIN = 0.045                # less than half of what a permutation without self-pairs would shift
PACE = {"images": (16, 0.04), "diabetes": (256, 0.1)}   # batch and rate: 1/B shows at 16; diabetes has noisy labels
HEAD, RISKY = 96, 48                # examples of a head, and of the risk of a linear model
SAMPLE, FEATURES, RISK = 11, 12, 13  # streams of a seed
NODES = 2                           # Gauss-Jacobi: exact to degree 3 in lambda


@dataclass(frozen=True)
class Size:
    """Steps of SGD, and how the network is trained whose features are used."""

    steps: int
    training: Training


SIZES = {"quick": Size(2500, Training(4, 2048)), "full": Size(8000, Training(2, 8192))}


class Problem(NamedTuple):
    """Features x (n, d) with tr C = 1, targets y (n, m); `problem` centres both. labels (n,) where y is one-hot."""

    x: torch.Tensor
    y: torch.Tensor
    labels: torch.Tensor | None = None


def problem(dataset: str, device: torch.device) -> Problem:
    """Diabetes with standardised columns (float64), or centred images and one-hot labels (float32)."""
    labels = None
    if dataset == "diabetes":
        from sklearn.datasets import load_diabetes
        arrays = load_diabetes(return_X_y=True)
        x, y = (torch.as_tensor(a, dtype=torch.float64, device=device) for a in arrays)
        x, y = ((a - a.mean(0)) / a.std(0, correction=0) for a in (x, y[:, None]))
    else:
        rows = images(dataset, device)
        x, y, labels = rows.x, soft_labels(rows.y, rows.classes, like=rows.x), rows.y
    return Problem(x / x.double().square().sum(1).mean().sqrt().to(x.dtype), y - y.mean(0), labels)


def measure(dataset: str, *, size: Size, device: str, seeds: Sequence[int], progress: Callable[..., Any] | None = None
            ) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """Configuration, measurements and observations of one run; one value of each for each seed."""
    data = problem(dataset, device_of(device))
    config: dict[str, Any] = {"ridge": RIDGE, "exact_alphas": EXACT_ALPHAS, "examples": len(data.x),
                              "features": data.x.shape[1]}
    if dataset == "diabetes":
        samples = halves(data, seeds)
    else:
        samples, config["head"] = heads(dataset, size.training, device=device, seeds=seeds, progress=progress)
    result, told = exact(samples, progress)
    batch, rate = PACE.get(dataset, PACE["images"])
    trained = descend(data, size.steps, batch, rate, seeds, progress)
    W = torch.stack([trained.module(r)[-1].weight.detach().T for r in range(trained.replicas)]).double()
    for arm, slopes in zip(ARMS, W.split(len(seeds)), strict=True):
        effective = float(RIDGE / batch_factor(arm.alpha, batch, arm.pairing))
        nominal, shrunk, wrong = ridge_slopes(data, (RIDGE, effective, RIDGE**2 / effective))
        line = shrunk - nominal
        theta = ((slopes - nominal) * line).sum((1, 2)) / (line * line).sum()
        shown = {"alpha": arm.alpha, "pairing": arm.pairing, "sharing": arm.sharing}
        result.append(Measurement("sgd", "least_squares.weight_decay", shown, floats(theta), 1.0, THETA_MARGIN,
                                  "of the way from the nominal to the effective ridge"))
        told += [Observation("distance", shown | {"to": name}, (float((slopes.mean(0) - W0).norm() / W0.norm()),),
                             "of its norm") for name, W0 in (("ridge / f", shrunk), ("ridge", nominal),
                                                             ("ridge f", wrong))]
    config |= {"batch": batch, "steps": size.steps, "recipe": asdict(trained.recipe),
               "arms": [asdict(arm) for arm in ARMS]}
    more, kept = risks(trained, data, seeds)
    return config, result + more, told + kept


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


def descend(data: Problem, steps: int, batch: int, rate: float, seeds: Sequence[int],
            progress: Callable[..., Any] | None = None) -> Trained:
    """Linear models of all arms, each trained in one pass over a sample with replacement."""
    count, device = steps * batch, data.x.device
    sample = torch.stack([torch.randint(len(data.x), (count,), generator=rng, device=device)
                          for rng in generators(seeds, device, stream=SAMPLE)])
    nothing = data.x.new_zeros(1, 1, 1)
    y = data.y if data.labels is None else data.labels
    inputs = Split(data.x, y, data.x[:1], y[:1], data.y.shape[1], nothing)
    recipe = Recipe(epochs=1, batch=batch, rate=rate, decay=RIDGE, schedule="cosine", loss="squared",
                    precision=str(data.x.dtype).removeprefix("torch."))
    return train(linear(), inputs, arms=ARMS, seeds=seeds, recipe=recipe, members=sample.repeat(len(ARMS), 1),
                 progress=progress)


def risks(trained: Trained, data: Problem, seeds: Sequence[int]) -> tuple[list[Measurement], list[Observation]]:
    """Mixup risk over all pairs of `RISKY` examples against the formula, and against the unmixed risk."""
    result, told = [], []
    for a, arm in enumerate(trained.arms):
        ratio, kept = [], []
        for k, rng in enumerate(generators(seeds, data.x.device, stream=(RISK, a))):
            chosen = torch.randint(len(data.x), (RISKY,), generator=rng, device=data.x.device)
            x = data.x[chosen].double()
            y = (data.y[chosen].double() if data.labels is None
                 else soft_labels(data.labels[chosen], data.y.shape[1], like=x))
            module = trained.module(trained.replica(a, k)).double()
            with torch.no_grad():
                r = module(x) - y
                mixed = pair_risk(module, x, y, arm.alpha)
            predicted = theory.risk(arm.alpha, r.square().mean(0).cpu().numpy(), r.mean(0).cpu().numpy()).sum()
            ratio.append(mixed / float(predicted))
            kept.append(mixed / float(r.square().sum(1).mean() / 2))
        shown = {"alpha": arm.alpha, "pairing": arm.pairing, "sharing": arm.sharing}
        result.append(Measurement("risk", "least_squares.risk", shown, floats(ratio), 1.0, RISK_MARGIN,
                                  "of the prediction"))
        told.append(Observation("risk_kept", shown, floats(kept), "of the risk without mixup"))
    return result, told


def pair_risk(module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, alpha: float) -> float:
    """Half the mean squared error over all n^2 pairs of x (n, d), y (n, m) and over lambda, mixed one by one."""
    total = 0.0
    for p, weight in zip(*symmetric(alpha).quadrature(nodes=NODES), strict=True):
        mixed_x, mixed_y = (blend(float(p), z[:, None], z[None]).flatten(0, 1) for z in (x, y))
        total += float(weight * (module(mixed_x) - mixed_y).square().sum(1).mean() / 2)
    return total


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


def minimiser(G: torch.Tensor, targets: int, ridge: float, *, intercept: bool = True) -> np.ndarray:
    """Slopes (d, targets) that minimise the risk, with or without intercept; G: second moments of (1, x, y)."""
    first = 0 if intercept else 1
    A, c = G[first:-targets, first:-targets], G[first:-targets, -targets:]
    penalty = torch.full((len(A),), ridge, dtype=G.dtype, device=G.device)
    if intercept:
        penalty[0] = 0
    w = torch.linalg.solve(A + penalty.diag(), c)
    return (w[1:] if intercept else w).cpu().numpy()


def halves(data: Problem, seeds: Sequence[int]) -> list[Problem]:
    """Half of the examples for each seed, at random."""
    chosen = [torch.randperm(len(data.x), generator=rng, device=rng.device)[:len(data.x) // 2]
              for rng in generators(seeds, data.x.device)]
    return [Problem(data.x[half], data.y[half]) for half in chosen]


def heads(dataset: str, training: Training, *, device: str, seeds: Sequence[int],
          progress: Callable[..., Any] | None = None) -> tuple[list[Problem], dict[str, Any]]:
    """Features of `HEAD` training examples in a trained network, one for each seed, and their one-hot labels."""
    data, trained, config = networks(dataset, [Arm(1.0)], training, device=device, seeds=seeds, progress=progress)
    result = []
    for k, rng in enumerate(generators(seeds, data.x.device, stream=FEATURES)):
        chosen = torch.randperm(len(data.x), generator=rng, device=rng.device)[:HEAD]
        x = activation(trained.module(k), data.x[chosen], layer=HIDDEN["second hidden"]).double()
        spread = (x - x.mean(0)).square().sum(1).mean().sqrt()
        result.append(Problem(x / spread, soft_labels(data.y[chosen], data.classes, like=x)))
    return result, config | {"layer": "second hidden", "examples": HEAD}


def exact(samples: Sequence[Problem],
          progress: Callable[..., Any] | None = None) -> tuple[list[Measurement], list[Observation]]:
    """Distances of exact minimisers from what theory says, and from what two wrong theories would say."""
    result, told = [], []
    for alpha in EXACT_ALPHAS:
        for pairs in PAIRS:
            rows: dict[str, list[float]] = {"ols": [], "ridge": [], "no_intercept": [], "nominal_ridge": []}
            for x, y, _ in samples:
                m, distinct, plain = y.shape[1], pairs == "distinct", (x.cpu().numpy(), y.cpu().numpy())
                mixed = mixup_moments(torch.cat([torch.ones_like(y[:, :1]), x, y], 1), alpha, pairs)
                ols, ridge = minimiser(mixed, m, 0.0), minimiser(mixed, m, RIDGE)
                same = theory.minimiser(alpha, plain, distinct)[1:]
                for name, slopes, expected in (
                        ("ols", ols, same), ("no_intercept", minimiser(mixed, m, 0.0, intercept=False), same),
                        ("ridge", ridge, theory.ridge_minimiser(alpha, RIDGE, plain, distinct)[1:]),
                        ("nominal_ridge", ridge, theory.ridge_minimiser(0.0, RIDGE, plain)[1:])):
                    rows[name].append(float(np.linalg.norm(slopes - expected) / np.linalg.norm(expected)))
            arm = {"alpha": alpha, "pairs": pairs}
            claims = {"ols": "invariance", "ridge": "ridge" if pairs == "all" else "ridge_distinct"}
            result += [Measurement(name, f"least_squares.{claim}", arm, floats(rows[name]), 0.0, EXACT_MARGIN,
                                   "relative") for name, claim in claims.items()]
            told += [Observation(name, arm, floats(rows[name]), "relative")
                     for name in ("no_intercept", "nominal_ridge")]
        if progress:
            progress(f"exact risk, alpha {alpha:g}")
    return result, told
