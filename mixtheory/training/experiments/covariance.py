r"""Real images in random batches: the covariance after mixing over the covariance before.

Every pairing and sharing of lambda mixes the same batches, drawn without replacement within an epoch. Only
traces are kept: tr C = mean |x|^2 - |mean x|^2, so images of any size will do. A value is the mean over the
batches of a replica.

* `factor`: tr C~ / tr C, against `batch_factor`. With one lambda a batch its noise is the spread of
  S(lambda).
* `correction`: the same less the mean of S = lambda^2 + (1 - lambda)^2 over the batch, against `batch_factor`
  less `shrinkage`. S is a control variate: what is left is the work of the pairing, which is how the terms in
  1/n show at n = 128 (there for permutations with one lambda only: elsewhere the noise exceeds the gap that
  is to be seen). It says nothing about the law of lambda; `factor` does.
* n = 8 only: `drift`: |mean x~ - mean x|^2 / tr C; `one_draw`: mean |x~ - mean x|^2 / tr C.
* `fluctuation`: half the squared difference of the ratios of two independent mixings of one batch in two
  random orders, unbiased for the variance of the ratio given the batch. The prediction is affine in the
  batch's k and g, so that their means over all batches go in. alpha = inf leaves the noise of the pairing
  alone.
* `mean`, `population`, `cross`: both members of a pair drawn independently from the whole training set; the
  trace of the covariance, and mean and covariance with the labels projected on those without mixup.

And inside trained networks, see `_layers`: batches at hidden layers, and the running variances of BatchNorm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend, mix, soft_labels
from mixtheory.pairing import DISTINCT, PAIRINGS, SHARINGS, lambdas, partners
from mixtheory.theory import covariance as theory
from mixtheory.theory import covariance_batch as batches
from mixtheory.theory import mixing_moments as mm
from mixtheory.training.data import NAMES
from mixtheory.training.experiments._layers import Inside, inside
from mixtheory.training.experiments._trained import Training
from mixtheory.training.replicas import Rows, device_of, floats, generators, images

DATASETS = NAMES
ALPHAS = (0.2, 1.0)
SCHEMES = tuple((p, s) for p in PAIRINGS for s in SHARINGS if s != "pair" or p == "flip")
TWICE = ("permutation", "roll", "flip")          # mixed twice with one lambda a batch, for the fluctuation
ARMS = (*((a, p, s) for a in ALPHAS for p, s in SCHEMES), *((math.inf, p, "batch") for p in TWICE))

# Sizes and margins, fixed before the recorded runs, with the noise of pilots on digits and Fashion-MNIST; where a
# pilot was inconclusive (`correction` at n = 128 with a lambda each) the arm was dropped. The shares of the
# correction are of the gap between self-pairs in and out, (1 - s)/(n - 1): with half of it or less a measured
# value can agree with one of the two only.
FACTOR_MARGIN = {8: 0.01, 128: 0.015}
CORRECTION_SHARE = {8: 0.2, 128: 0.5}
DRIFT_SHARE, DRIFT_MARGIN = 0.1, 1e-6            # of the prediction; where that is 0, float32 rounding
FLUCTUATION_SHARE = {8: 0.06, 128: 0.12}         # of the prediction
LIMIT_SHARE = 0.2                                # of V_S; covers the distance of n = 128 from the limit
POPULATION_MARGIN = 0.01
CHUNK = {"cpu": 1 << 18, "cuda": 1 << 26}        # floats mixed at once


@dataclass(frozen=True)
class Size:
    """Batches a replica draws, by batch size, examples drawn from the population, and trained networks."""

    batches: dict[int, int]
    population: int
    inside: Inside


SIZES = {"quick": Size({8: 2048, 128: 320}, 40960, Inside(Training(6, 2048), Training(3, 2048), width=4,
                                                            batches=12, small_batches=160)),
         "full": Size({8: 2048, 128: 512}, 40960, Inside(Training(3, 8192), Training(1, 4096), width=8,
                                                           batches=24, small_batches=512))}


def measure(dataset: str, *, size: Size, device: str, seeds: Sequence[int], progress: Callable[..., Any] | None = None
            ) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """Configuration, measurements and observations of one run; one value of each for each seed."""
    rows = images(dataset, device_of(device))
    found: dict[tuple[Any, ...], list[float]] = {}
    for seed, rng in zip(seeds, generators(seeds, rows.x.device), strict=True):
        for n, count in size.batches.items():
            for key, value in _replica(rows, n, count, rng).items():
                found.setdefault((n, *key), []).append(value)
        for key, value in _population(rows, size.population, rng).items():
            found.setdefault(key, []).append(value)
        if progress:
            progress(f"replica {seed}")
    config = {"alphas": ALPHAS, "schemes": SCHEMES, "batches": {str(n): b for n, b in size.batches.items()},
              "population": size.population, "images": len(rows.x), "features": rows.x.shape[1]}
    shapes = {n: {name: sum(found[n, name]) / len(seeds) for name in "kg"} for n in size.batches}
    config["shapes"] = {str(n): shape for n, shape in shapes.items()}
    config["inside"], measured, told = inside(dataset, size=size.inside, device=device, seeds=seeds, progress=progress)
    return config, [*_population_measurements(found),
                    *(m for n in size.batches for m in _batch_measurements(found, n, shapes[n])), *measured], told


# --- one replica --------------------------------------------------------------------------------------------

def epochs(total: int, n: int, count: int, rng: torch.Generator) -> torch.Tensor:
    """Indices (count, n) of batches: one random order of the data set after another, cut into batches."""
    per = total // n
    orders = [torch.randperm(total, generator=rng, device=rng.device)[:per * n].view(per, n)
              for _ in range(-(-count // per))]
    return torch.cat(orders)[:count]


def draw(arm: tuple[float, str, str], n: int, count: int, rng: torch.Generator, *,
         reorder: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Partners and weights, each (count, n), for the batches as they are or taken in a fresh random order."""
    alpha, pairing, sharing = arm
    partner = partners(pairing, n, rng=rng, replicas=count)
    lam = lambdas(symmetric(alpha), n, sharing=sharing, rng=rng, replicas=count, pairing=pairing)
    if not reorder:
        return partner, lam
    order = torch.rand(count, n, generator=rng, device=rng.device).argsort(1)
    return torch.empty_like(partner).scatter_(1, order, order.gather(1, partner)), lam.scatter(1, order, lam)


def moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Trace of C (B,) in float64 and the mean (B, 1, d) of batches x (B, n, d)."""
    count, n, _ = x.shape
    mean = torch.bmm(torch.full((count, 1, n), 1 / n, dtype=x.dtype, device=x.device), x)
    square = torch.linalg.vector_norm(x.view(count, -1), dim=1).double()**2
    return square / n - torch.linalg.vector_norm(mean, dim=(1, 2)).double()**2, mean


def _replica(rows: Rows, n: int, count: int, rng: torch.Generator) -> dict[tuple[Any, ...], float]:
    """Means over `count` batches of n, by (arm, quantity), and the mean k and g of the batches."""
    index = epochs(len(rows.x), n, count, rng)
    draws = {(arm, i): draw(arm, n, count, rng, reorder=i > 0) for arm in ARMS
             for i in range(2 if arm[1] in TWICE and arm[2] == "batch" else 1)}
    step = max(1, CHUNK[rows.x.device.type] // (n * rows.x.shape[1]))
    ratio: dict[Any, list[torch.Tensor]] = {key: [] for key in draws}
    drift: dict[Any, list[torch.Tensor]] = {key: [] for key in draws}
    shape: dict[str, list[torch.Tensor]] = {"k": [], "g": []}
    buffer = torch.empty(min(step, count) * n, rows.x.shape[1], device=rows.x.device)
    for start in range(0, count, step):
        part = slice(start, start + step)
        x = rows.x[index[part].reshape(-1)]
        stack = x.view(-1, n, x.shape[1])
        trace, mean = moments(stack)
        centred = stack - mean
        squares = torch.linalg.vector_norm(centred, dim=2).double()**2
        gram = torch.bmm(centred, centred.transpose(1, 2))
        shape["k"].append((squares**2).mean(1) / trace**2)
        shape["g"].append(torch.linalg.vector_norm(gram, dim=(1, 2)).double()**2 / (n * trace)**2)
        base = torch.arange(len(stack), device=x.device)[:, None] * n
        out = buffer[:len(x)]
        for key, (partner, lam) in draws.items():
            mix(x, (partner[part] + base).reshape(-1), lam[part].reshape(-1), out=out)
            after, moved = moments(out.view(stack.shape))
            ratio[key].append(after / trace)
            drift[key].append(torch.linalg.vector_norm(moved - mean, dim=(1, 2)).double()**2 / trace)
    result = {(name,): float(torch.cat(parts).mean()) for name, parts in shape.items()}
    for arm in ARMS:
        both = [torch.cat(ratio[arm, i]) for i in range(2) if (arm, i) in draws]
        lam = torch.cat([draws[arm, i][1] for i in range(len(both))])
        result[arm, "factor"] = float(sum(both).mean()) / len(both)
        result[arm, "correction"] = result[arm, "factor"] - float((lam**2 + (1 - lam)**2).mean())
        result[arm, "drift"] = float(torch.cat(drift[arm, 0]).mean())
        result[arm, "one_draw"] = float((both[0] + torch.cat(drift[arm, 0])).mean())
        if len(both) == 2:
            result[arm, "fluctuation"] = float(((both[0] - both[1])**2).mean()) / 2
    return result


def _population(rows: Rows, count: int, rng: torch.Generator) -> dict[tuple[Any, ...], float]:
    """Two independent draws from the training set, mixed: spread, mean, covariance with one-hot labels."""
    x, mean = rows.x, rows.mean.double()
    labels = soft_labels(rows.y, rows.classes, like=x)
    labels = labels - labels.mean(0)
    cross = x.T @ labels / len(x)
    spread = sum(float(torch.linalg.vector_norm(part).double())**2 for part in x.split(4096)) / len(x)
    step = max(1, CHUNK[x.device.type] // x.shape[1])
    result: dict[tuple[Any, ...], float] = {}
    for alpha in ALPHAS:
        first, second = torch.randint(len(x), (2, count), generator=rng, device=x.device)
        lam = symmetric(alpha).sample(count, rng=rng, dtype=x.dtype)
        total, sums = torch.zeros_like(mean), {"population": 0.0, "cross": 0.0}
        for at in range(0, count, step):
            part = slice(at, at + step)
            weights, i, j = lam[part, None], first[part], second[part]
            mixed = blend(weights, x[i], x[j])
            total += mixed.double().sum(0)
            sums["population"] += float(torch.linalg.vector_norm(mixed).double())**2
            sums["cross"] += float(((mixed @ cross) * blend(weights, labels[i], labels[j])).double().sum())
        result["mean", alpha] = float(1 + (total / count) @ mean / (mean @ mean))
        result["population", alpha] = sums["population"] / count / spread
        result["cross", alpha] = sums["cross"] / count / float(torch.linalg.vector_norm(cross).double())**2
    return result


# --- predictions and margins --------------------------------------------------------------------------------

def _population_measurements(found: dict[tuple[Any, ...], list[float]]) -> list[Measurement]:
    predict = {"mean": theory.mixed_mean,
               "population": lambda a, one: theory.covariance(a, np.array([[one]]))[0, 0],
               "cross": theory.cross_covariance}
    return [Measurement(name, f"covariance.{name}", {"alpha": a}, floats(found[name, a]),
                        float(formula(a, 1.0)), POPULATION_MARGIN, "of the value without mixup")
            for a in ALPHAS for name, formula in predict.items()]


def _batch_measurements(found: dict[tuple[Any, ...], list[float]], n: int,
                        shape: dict[str, float]) -> list[Measurement]:
    result = []

    def add(name: str, claim: str, arm: tuple[float, str, str], predicted: Any, margin: Any,
            quantity: str = "") -> None:
        alpha, pairing, sharing = arm
        shown = {"alpha": "inf" if alpha == math.inf else alpha, "n": n, "pairing": pairing,
                 "sharing": sharing}
        values = floats(found[n, arm, quantity or name])
        result.append(Measurement(name, f"covariance.{claim}", shown, values, float(predicted),
                                  float(margin), "tr C"))

    for arm in ARMS:
        alpha, pairing, sharing = arm
        if (pairing, sharing) in [(p, "batch") for p in TWICE]:
            variance = batches.fluctuation(alpha, n, shape["k"], shape["g"], pairing)
            add("fluctuation", f"fluctuation_{pairing}", arm, variance, FLUCTUATION_SHARE[n] * variance)
        if alpha == math.inf:
            continue
        factor, s = batches.batch_factor(alpha, n, pairing, sharing), mm.shrinkage(alpha)
        gap = s - batches.batch_factor(alpha, n, "derangement", "batch")
        group = "distinct" if pairing in DISTINCT else pairing
        group += "_element" if sharing == "element" else ""
        add("factor", f"batch_{group}", arm, factor, FACTOR_MARGIN[n])
        if n == 8 or (sharing == "batch" and pairing != "independent"):
            add("correction", f"batch_{group}", arm, factor - s, CORRECTION_SHARE[n] * gap)
        moved = batches.batch_mean_noise(alpha, n, pairing, sharing)
        if n == 8 and pairing != "independent":
            claim = {"distinct": "batch_mean", "permutation": "batch_mean",
                     "distinct_element": "batch_mean_element",
                     "permutation_element": "batch_mean_permutation_element"}[group]
            add("drift", claim, arm, moved, DRIFT_SHARE * moved or DRIFT_MARGIN)
        if n == 8 and (pairing, sharing) == ("derangement", "element"):
            add("one_draw", "distinct_pair", arm, batches.distinct_factor(alpha, n),
                CORRECTION_SHARE[n] * gap)
        if n == 128 and (pairing, sharing) in [(p, "batch") for p in TWICE]:
            limit = batches.fluctuation_limit(alpha, n, pairing)
            add("fluctuation_limit", "fluctuation_limit", arm, limit, LIMIT_SHARE * limit, "fluctuation")
    return result
