r"""Curvature under mixup, seen by optimisers and by automatic differentiation, on data from the theorems' models.

Least squares. A replica is a data set of its own, `POINTS` points that are moved and scaled to have the wanted mean
and covariance exactly; its mixup risk is the mean over all ordered pairs and a quadrature of lambda.

* `hessian`: Hessian of that risk for `nn.Linear` with a bias, by automatic differentiation: its distance from the
  predicted one, relative, predicted 0. Here the data set keeps its own mean and covariance.
* `step`: the step at which gradient descent with momentum 0 (`torch.optim.SGD` on the whole risk) turns from
  converging to diverging, found by trying a grid of steps: Sigma = I, mu = (3, 0), no bias.
* `gain`: the same with mean 0, over the same without mixup; predicted 1/s.
* `condition`: condition number of the Hessian with a bias on standardised uncorrelated features.

Logistic regression on two Gaussian classes in the plane, N(+-m e_1, I) with m = 1.5, alpha 0 and 1:

* `parallel`, `orthogonal`: diagonal of the Hessian (`measurements.curvature`) along the means and across them, at the
  minimum that L-BFGS finds on a large sample of mixed examples; that sample is what the Hessian is taken on.

Batch normalisation (`_curvature_norms`):

* `behind`: largest eigenvalue of the Hessian of a linear layer behind BatchNorm1d in training mode, with and without
  mixup; `trace`: its trace, which does not even depend on the batch. s times the eigenvalue is told as `naive`.
* `running`: running variance of mixed batches over that of the same batches unmixed (`momentum=None`), less the
  surplus of the mean of S over its expectation; `spread`: standard deviation of clean features in evaluation mode.
* `pooled`: the same ratio for BatchNorm2d, images with a mean map.
* `fluctuation`: standard deviation over time of an exponential running variance over its mean.
* `head`: BatchNorm1d and a slope without bias, trained by SGD on fresh mixed batches, averaged iterates: the slope in
  evaluation mode. It is predicted for infinite batches; batches of 512 lower it by about 0.4 %, batches of 128 by four
  times as much. What it would be if evaluation inflated it is told as `inflated`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.autograd.functional import hessian
from torch.func import functional_call

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.theory import curvature as theory
from mixtheory.theory import curvature_logistic
from mixtheory.training.experiments._curvature_norms import Norms, batchnorm, mixed
from mixtheory.training.measurements.curvature import Hessian
from mixtheory.training.replicas import device_of, floats, generators

DATASETS = ("synthetic",)
ALPHA, M, POINTS, NODES = 1.0, 1.5, 8, 2
MEAN = (3.0, 0.0)
TRIED = np.linspace(0.95, 1.05, 41)         # steps, in units of the predicted one; each replica shifts them at random
SAMPLE, LOGISTIC = 11, 12                   # streams of a seed
# Margins were fixed first, sizes after quick pilots.
# STEP_MARGIN: the grid has a spacing of 0.0025; the margins of the curvature at the
# minimum are those of samples of 60 000.
HESSIAN_MARGIN, STEP_MARGIN, CONDITION_MARGIN = 1e-10, 0.004, 1e-9
LOGISTIC_MARGIN = {(0.0, "parallel"): 0.0015, (0.0, "orthogonal"): 0.002, (ALPHA, "parallel"): 0.003,
                   (ALPHA, "orthogonal"): 0.002}


@dataclass(frozen=True)
class Size:
    """Steps of descent, examples of a logistic regression, and the sizes of the normalisations."""

    steps: int
    examples: int
    norms: Norms


SIZES = {"quick": Size(800, 60_000, Norms((2048, 6), 150, 1200, 1800)),
         "full": Size(4000, 200_000, Norms((8192, 32), 2000, 8000, 24_000))}


def measure(dataset: str, *, size: Size, device: str, seeds: Sequence[int], progress: Callable[..., Any] | None = None
            ) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """Configuration, measurements and observations of one run; one value of each for each seed."""
    where = device_of(device)
    found, told = least_squares(size.steps, where, seeds)
    if progress:
        progress("least squares")
    found += logistic(size.examples, where, seeds)
    if progress:
        progress("logistic regression")
    more, more_told = batchnorm(size.norms, where, seeds, progress)
    config = {"alpha": ALPHA, "m": M, "points": POINTS, "mean": MEAN, "tried": [TRIED[0], TRIED[-1], len(TRIED)],
              "size": asdict(size)}
    return config, found + more, told + more_told


# --- least squares --------------------------------------------------------------------------------------------

def data_set(mean: Sequence[float], rng: torch.Generator, *, moved: bool = True) -> torch.Tensor:
    """Points (POINTS, d); if `moved`, with this mean and covariance I (1/n) exactly."""
    x = torch.randn((POINTS, len(mean)), generator=rng, device=rng.device, dtype=torch.float64)
    to = torch.as_tensor(mean, dtype=x.dtype, device=x.device)
    if not moved:
        return x * torch.tensor([1.0, 0.4], dtype=x.dtype, device=x.device) + to
    x = x - x.mean(0)
    return x @ torch.linalg.inv(torch.linalg.cholesky(x.T @ x / POINTS)).T + to


def all_pairs(x: torch.Tensor, alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mixed points (N, d) of all ordered pairs at all nodes of lambda, and their weights (N,)."""
    nodes, mass = (torch.as_tensor(a, dtype=x.dtype, device=x.device) for a in symmetric(alpha).quadrature(nodes=NODES))
    i, j = (a.ravel() for a in torch.meshgrid(torch.arange(len(x)), torch.arange(len(x)), indexing="ij"))
    return (blend(nodes[:, None, None], x[i], x[j]).flatten(0, 1),
            (mass[:, None] / len(i)).expand(len(mass), len(i)).reshape(-1))


def risk_hessian(x: torch.Tensor, weight: torch.Tensor, bias: bool) -> torch.Tensor:
    """Hessian of half the weighted squared error of `nn.Linear`, the bias first; targets are sin of the points."""
    layer, y = nn.Linear(x.shape[1], 1, bias=bias).to(x), x.sum(1).sin()

    def risk(theta: torch.Tensor) -> torch.Tensor:
        params = {"weight": theta[None, -x.shape[1]:]} | ({"bias": theta[:1]} if bias else {})
        return (weight * (functional_call(layer, params, (x,))[:, 0] - y).square()).sum() / 2

    return hessian(risk, torch.zeros(x.shape[1] + bias, dtype=x.dtype, device=x.device))


def turning_point(x: torch.Tensor, weight: torch.Tensor, steps: torch.Tensor, count: int) -> torch.Tensor:
    """For each replica the step between the largest that converges and the smallest that diverges.

    Args:
        x: (R, N, d) mixed points.
        weight: (N,) of every mixed point.
        steps: (R, G) increasing steps to try.
        count: steps of descent.
    """
    y = x.sum(2, keepdim=True).sin()
    w = torch.zeros((*steps.shape, x.shape[2]), dtype=x.dtype, device=x.device).requires_grad_()
    optimiser = torch.optim.SGD([w], lr=1.0)
    half = torch.zeros_like(steps)
    for t in range(count):
        optimiser.zero_grad()
        residual = x @ w.transpose(1, 2) - y                            # (R, N, G)
        ((weight[:, None] * residual.square()).sum() / 2).backward()
        size = w.grad.norm(dim=2)
        if t == 0:
            floor = 1e-10 * size
        if t == count // 2:
            half = size.clone()
        w.grad *= steps[..., None]                                      # a rate of its own for every run
        optimiser.step()
    grown = (size > half) & (size > floor)                              # not what rounding left of a gradient
    first = grown.double().argmax(1).clamp(min=1)
    return (steps.gather(1, first[:, None]) + steps.gather(1, first[:, None] - 1))[:, 0] / 2


def _thresholds(mean: tuple[float, float], alpha: float, sets: Sequence[torch.Tensor], shift: torch.Tensor,
                count: int) -> torch.Tensor:
    pairs = [all_pairs(x, alpha) for x in sets]
    predicted = theory.stable_step(alpha, np.eye(2), np.array(mean))
    steps = predicted * (torch.as_tensor(TRIED, device=sets[0].device) + shift[:, None])
    return turning_point(torch.stack([x for x, _ in pairs]), pairs[0][1], steps, count)


def least_squares(count: int, device: torch.device, seeds: Sequence[int]
                  ) -> tuple[list[Measurement], list[Observation]]:
    """Hessians by automatic differentiation, and steps found by trying."""
    error, condition, shift, sets = [], [], [], {MEAN: [], (0.0, 0.0): []}
    for rng in generators(seeds, device, stream=SAMPLE):
        own = data_set(MEAN, rng, moved=False)
        H = risk_hessian(*all_pairs(own, ALPHA), bias=True).cpu().numpy()
        x = own.cpu().numpy()
        predicted = theory.least_squares_hessian(ALPHA, np.cov(x.T, bias=True), x.mean(0), intercept=True)
        error.append(float(np.linalg.norm(H - predicted) / np.linalg.norm(predicted)))
        for mean, members in sets.items():
            members.append(data_set(mean, rng))
        shift.append(torch.rand(3, generator=rng, device=rng.device, dtype=torch.float64) * (TRIED[1] - TRIED[0]))
        after, before = (theory.condition_number(risk_hessian(*all_pairs(sets[0.0, 0.0][-1], alpha), bias=True).cpu())
                         for alpha in (ALPHA, 0.0))
        condition.append(after / before)
    moved = torch.stack(shift, 1)
    step = _thresholds(MEAN, ALPHA, sets[MEAN], moved[0], count)
    centred = [_thresholds((0.0, 0.0), alpha, sets[0.0, 0.0], by, count)
               for alpha, by in zip((ALPHA, 0.0), moved[1:], strict=True)]
    shown = {"alpha": ALPHA, "mean": list(MEAN)}
    s_step = theory.stable_step(ALPHA, np.eye(2), np.array(MEAN))
    naive = theory.stable_step(0.0, np.eye(2), np.array(MEAN)) * theory.step_gain_ceiling(ALPHA)
    return [
        Measurement("hessian", "curvature.least_squares", shown | {"bias": True}, floats(error), 0.0, HESSIAN_MARGIN,
                    "relative distance"),
        Measurement("step", "curvature.largest_step", shown | {"bias": False}, floats(step), s_step,
                    STEP_MARGIN * s_step, "step"),
        Measurement("gain", "curvature.centred", {"alpha": ALPHA, "mean": [0.0, 0.0]}, floats(centred[0] / centred[1]),
                    float(theory.centred_gain(ALPHA, np.eye(2))[0]), 2 * STEP_MARGIN, "of the step without mixup"),
        Measurement("condition", "curvature.condition_standardised", {"alpha": ALPHA}, floats(condition),
                    theory.condition_standardised(ALPHA), CONDITION_MARGIN, "of the condition without mixup"),
    ], [Observation("naive_step", shown, (float(naive),), "step")]


# --- logistic regression --------------------------------------------------------------------------------------

def minimise(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Slopes (R, d) of logistic regressions without intercept on x (R, N, d), y (R, N), by L-BFGS."""
    w = torch.zeros((len(x), x.shape[2]), dtype=x.dtype, device=x.device).requires_grad_()
    optimiser = torch.optim.LBFGS([w], max_iter=100, tolerance_grad=1e-7, tolerance_change=1e-14, history_size=20,
                                  line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        logits = torch.bmm(x, w[:, :, None])[:, :, 0]
        total = nn.functional.binary_cross_entropy_with_logits(logits, y, reduction="none").mean(1).sum()
        total.backward()
        return total

    optimiser.step(loss)
    return w.detach()


def bernoulli_loss(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cross-entropy (n,) of one logit."""
    return nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], y[:, 0], reduction="none")


def logistic(examples: int, device: torch.device, seeds: Sequence[int]) -> list[Measurement]:
    """Curvature along the means and across them at the minima with and without mixup."""
    found = []
    for k, alpha in enumerate((0.0, ALPHA)):
        xs, ys = [], []
        for rng in generators(seeds, device, stream=(LOGISTIC, k)):
            y = torch.randint(2, (examples,), generator=rng, device=rng.device).double()
            x = torch.randn((examples, 2), generator=rng, device=rng.device, dtype=torch.float64)
            x[:, 0] += M * (2 * y - 1)
            both, _ = mixed(torch.cat([x, y[:, None]], 1)[None], alpha, "roll", "element", rng)
            xs.append(both[0, :, :2])
            ys.append(both[0, :, 2])
        slopes, values = minimise(torch.stack(xs), torch.stack(ys)), []
        for x, y, w in zip(xs, ys, slopes, strict=True):
            layer = nn.Linear(2, 1, bias=False).to(x)
            with torch.no_grad():
                layer.weight.copy_(w[None])
            values.append(Hessian(layer, x, y[:, None], loss=bernoulli_loss, chunk=examples).matrix().diagonal())
        predicted = curvature_logistic.logistic_hessian(alpha, M)
        for i, name in enumerate(("parallel", "orthogonal")):
            found.append(Measurement(name, "curvature.logistic_optimum", {"alpha": alpha, "m": M},
                                     floats(v[i] for v in values), float(predicted[i]), LOGISTIC_MARGIN[alpha, name],
                                     "nats per squared weight"))
    return found
