r"""Trained classifiers on drawn data from Gaussian classes, against the optimum that theory computes.

Three trainings, each with R replicas in one program. All examples are fresh, so that a model can only converge to
the population's optimum.

* `slope`: logistic regression in d = 10 on two Gaussian classes N(+-m e_1, I), m = 1.5, alpha = 0.2, 1, 5. SGD with
  a falling rate, iterates averaged over the second half. The averaged slope along e_1 is predicted by
  `restricted_slope`; the norm of the other nine coefficients is told (`orthogonal`). `temperature`: the T that
  minimises the log loss of the trained score on unmixed data, by quadrature along e_1, predicted w_alpha/2m.
* `target`: a small network on a mixture of three Gaussian classes in the plane with unequal covariances and priors,
  alpha = 1, Adam with a falling rate. Its mean distance (half the sum of absolute differences of probabilities) from
  `mixup_posterior`, averaged over unmixed points, is predicted 0; that from the Bayes posterior is told
  (`from_bayes`), and what theory says about it (`bayes_expected`).
* `plug_in`: the calibration error of LDA scores of n = 2000 examples with mixup over all pairs, estimated from the
  outcomes of drawn test points in 20 equal bins, as is common; predicted by `plug_in_ece`. The score is too steep, or
  too flat, on each side of one half, where two bins meet: nothing cancels within a bin. Noise in the bins adds less
  than 0.001.

Margins were fixed first, sizes after a first quick run that was inconclusive for LDA:
1.5 % of the slope (s times the true slope would be off
by 27 %), 0.02 of a temperature, 0.03 of a distance of 0.1 between the two posteriors, 0.004 for calibration errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.mixing import symmetric
from mixtheory.theory import calibration_mixture as mixture
from mixtheory.theory import calibration_shrinkage as shrinkage
from mixtheory.theory import calibration_temperature as temperature
from mixtheory.theory.mixing_moments import shrinkage as factor_of
from mixtheory.training.replicas import device_of, floats, generators

DATASETS = ("synthetic",)
DIMENSION, HALF_GAP = 10, 1.5
ALPHAS = (0.2, 1.0, 5.0)
MEANS = np.array([[-1.5, -0.6], [1.3, -0.8], [0.3, 1.6]])
COVARIANCES = np.array([[[1.0, 0.3], [0.3, 0.6]], [[0.5, -0.1], [-0.1, 0.9]], [[0.8, 0.0], [0.0, 0.3]]])
PRIORS = np.array([0.5, 0.3, 0.2])
TARGET_ALPHA = 1.0
FITTED, FITTED_MEAN, RATIOS, FITTED_ALPHAS = 2000, 1.2, (0.1, 1.5), (0.0, 1.0)
SLOPE_MARGIN, TEMPERATURE_MARGIN, TARGET_MARGIN, ECE_MARGIN = 0.015, 0.02, 0.03, 0.004
BINS = 20
SLOPES, TARGETS, PLUG_INS, POINTS = 1, 2, 3, 4      # streams of a seed


@dataclass(frozen=True)
class Size:
    """Steps and batch of logistic regression and of the network, its width, test points a replica of LDA."""

    slope_steps: int
    slope_batch: int
    target_steps: int
    target_batch: int
    width: int
    test: int


SIZES = {"quick": Size(1200, 128, 1000, 256, 32, 400_000), "full": Size(15_000, 512, 20_000, 1024, 64, 2_000_000)}


def measure(dataset: str, *, size: Size, device: str, seeds: Sequence[int], progress: Callable[..., Any] | None = None
            ) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """Configuration, measurements and observations of one run; one value of each for each seed."""
    where = device_of(device)
    result, told = [], []
    for part in (slopes, targets, plug_ins):
        found, more = part(size, where, seeds)
        result += found
        told += more
        if progress:
            progress(part.__name__)
    config = {"dimension": DIMENSION, "half_gap": HALF_GAP, "slope_steps": size.slope_steps,
              "slope_batch": size.slope_batch, "target_steps": size.target_steps, "target_batch": size.target_batch,
              "width": size.width, "test": size.test, "fitted": FITTED}
    return config, result, told


def mixed(x: torch.Tensor, y: torch.Tensor, alpha: float, rngs: Sequence[torch.Generator], *, across: bool = True
          ) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each replica's examples (R, 2 B, d) and labels (R, 2 B, K) half with half, one lambda a pair."""
    half = x.shape[1] // 2
    law = symmetric(alpha)
    lam = torch.stack([law.sample(half, rng=rng, dtype=x.dtype) for rng in rngs])[:, :, None]
    return torch.lerp(x[:, half:], x[:, :half], lam), torch.lerp(y[:, half:], y[:, :half], lam)


# --- logistic regression ------------------------------------------------------------------------------------

def two_classes(rngs: Sequence[torch.Generator], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Examples (R, count, d) and labels (R, count, 1) of 0 or 1."""
    device = rngs[0].device
    y = torch.stack([torch.randint(2, (count, 1), generator=rng, device=device) for rng in rngs]).float()
    x = torch.stack([torch.randn(count, DIMENSION, generator=rng, device=device) for rng in rngs])
    x[:, :, 0] += HALF_GAP * (2 * y[:, :, 0] - 1)
    return x, y


def slopes(size: Size, device: torch.device, seeds: Sequence[int]) -> tuple[list[Measurement], list[Observation]]:
    """Logistic regressions of all alphas by averaged SGD."""
    result, told = [], []
    for a, alpha in enumerate(ALPHAS):
        rngs = generators(seeds, device, stream=(SLOPES, a))
        w = torch.zeros(len(seeds), DIMENSION + 1, dtype=torch.float64, device=device)
        total, kept = torch.zeros_like(w), 0
        for step in range(size.slope_steps):
            x, y = mixed(*two_classes(rngs, 2 * size.slope_batch), alpha, rngs)
            x = torch.cat([x, torch.ones_like(x[:, :, :1])], 2).double()
            off = torch.sigmoid((x * w[:, None]).sum(2, keepdim=True)) - y
            w = w - 2.0 / (1 + step / 100) ** 0.6 * (off * x).mean(1)
            if 2 * step >= size.slope_steps:
                total, kept = total + w, kept + 1
        w = total / kept
        predicted = temperature.restricted_slope(alpha, HALF_GAP)
        arm = {"alpha": alpha, "d": DIMENSION}
        result.append(Measurement("slope", "calibration.restricted", arm, floats(w[:, 0]), predicted,
                                  SLOPE_MARGIN * predicted, "per standard deviation"))
        best = [temperature.score_temperature(lambda u, t=t: t * u, HALF_GAP) for t in floats(w[:, 0])]
        result.append(Measurement("temperature", "calibration.exact_temperature", arm, floats(best),
                                  temperature.exact_temperature(predicted, HALF_GAP), TEMPERATURE_MARGIN, ""))
        told.append(Observation("orthogonal", arm, floats(w[:, 1:DIMENSION].norm(dim=1)), "per standard deviation"))
    return result, told


# --- a network ----------------------------------------------------------------------------------------------

def three_classes(rngs: Sequence[torch.Generator], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Examples (R, count, 2) and one-hot labels (R, count, 3)."""
    device = rngs[0].device
    p = torch.as_tensor(PRIORS, dtype=torch.float32, device=device)
    L = torch.as_tensor(np.linalg.cholesky(COVARIANCES), dtype=torch.float32, device=device)
    mu = torch.as_tensor(MEANS, dtype=torch.float32, device=device)
    k = torch.stack([torch.multinomial(p, count, replacement=True, generator=rng) for rng in rngs])
    z = torch.stack([torch.randn(count, 2, generator=rng, device=device) for rng in rngs])
    return mu[k] + (L[k] @ z[..., None])[..., 0], torch.nn.functional.one_hot(k, 3).float()


def network(rngs: Sequence[torch.Generator], width: int) -> list[torch.Tensor]:
    """Weights and biases of R networks 2 - width - width - 3."""
    device, layers = rngs[0].device, []
    for rows, columns in ((2, width), (width, width), (width, 3)):
        draw = torch.stack([torch.randn(rows, columns, generator=rng, device=device) for rng in rngs])
        layers += [(draw / rows**0.5).requires_grad_(),
                   torch.zeros(len(rngs), 1, columns, device=device, requires_grad=True)]
    return layers


def logits(layers: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """(R, B, 3) from x (R, B, 2), tanh between the layers."""
    for i in range(0, len(layers), 2):
        x = torch.baddbmm(layers[i + 1], torch.tanh(x) if i else x, layers[i])
    return x


def targets(size: Size, device: torch.device, seeds: Sequence[int]) -> tuple[list[Measurement], list[Observation]]:
    """Networks on three classes, against the two posteriors."""
    rngs = generators(seeds, device, stream=TARGETS)
    layers = network(rngs, size.width)
    optimiser = torch.optim.Adam(layers, lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, size.target_steps)
    for _ in range(size.target_steps):
        x, y = mixed(*three_classes(rngs, 2 * size.target_batch), TARGET_ALPHA, rngs)
        loss = -(y * torch.log_softmax(logits(layers, x), 2)).sum(2).mean(1).sum()    # each replica's own mean
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    points, _ = three_classes(generators(seeds, device, stream=POINTS), 4000)
    with torch.no_grad():
        found = torch.softmax(logits(layers, points), 2).double().cpu().numpy()
    x = points.double().cpu().numpy()
    g = mixture.mixup_posterior(x, MEANS, COVARIANCES, PRIORS, TARGET_ALPHA)
    eta = mixture.bayes_posterior(x, MEANS, COVARIANCES, PRIORS)

    def apart(p: np.ndarray, q: np.ndarray) -> tuple[float, ...]:
        return floats(np.abs(p - q).sum(axis=2).mean(axis=1) / 2)

    arm = {"alpha": TARGET_ALPHA, "classes": 3}
    gap = [float((f.max(axis=1) - h[np.arange(len(h)), f.argmax(axis=1)]).mean())
           for f, h in zip(found, eta, strict=True)]
    return ([Measurement("target", "calibration.posterior", arm, apart(found, g), 0.0, TARGET_MARGIN, "probability")],
            [Observation("from_bayes", arm, apart(found, eta), "probability"),
             Observation("bayes_expected", arm, apart(g, eta), "probability"),
             Observation("signed_gap", arm, floats(gap), "probability")])


# --- LDA ----------------------------------------------------------------------------------------------------

def plug_ins(size: Size, device: torch.device, seeds: Sequence[int]) -> tuple[list[Measurement], list[Observation]]:
    """LDA of drawn data sets, its mean the exact one over all pairs of mixed examples and lambda."""
    result = []
    y = torch.tensor([1.0, -1.0], device=device).repeat(FITTED // 2)
    for r, ratio in enumerate(RATIOS):
        found: dict[float, list[float]] = {alpha: [] for alpha in FITTED_ALPHAS}
        for rng in generators(seeds, device, stream=(PLUG_INS, r)):
            x = torch.randn(FITTED, round(ratio * FITTED), generator=rng, device=device)
            x[:, 0] += FITTED_MEAN * y
            label = torch.randint(2, (size.test,), generator=rng, device=device)
            noise = torch.randn(size.test, generator=rng, device=device)
            for alpha in FITTED_ALPHAS:
                fitted = mixed_mean(x, y, alpha)
                k = fitted.norm()
                u = FITTED_MEAN * fitted[0] / k * (2 * label - 1) + noise    # new inputs along the fitted direction
                found[alpha].append(binned_error(torch.sigmoid(2 * k * u), label))
        for alpha, values in found.items():
            predicted = shrinkage.plug_in_ece(FITTED, FITTED_MEAN, ratio, float(factor_of(alpha)))
            result.append(Measurement("plug_in", "calibration.plug_in_ece", {"alpha": alpha, "ratio": ratio},
                                      tuple(values), predicted, ECE_MARGIN, "probability"))
    return result, []


def mixed_mean(x: torch.Tensor, y: torch.Tensor, alpha: float) -> torch.Tensor:
    """E[y~ x~] (d,) over all n^2 ordered pairs of x (n, d), y (n,) and over lambda.

    The sum over partners j of (a y_i + b y_j)(a x_i + b x_j), a = lambda, b = 1 - a, is taken first, then that over i.
    """
    n, total = len(x), torch.zeros_like(x[0])
    for share, weight in zip(*symmetric(alpha).quadrature(nodes=2), strict=True):     # exact to degree 3 in lambda
        a, b = float(share), float(1 - share)
        own = a * a * n * y + a * b * y.sum()                       # what multiplies x_i
        other = a * b * y.sum() * x.sum(0) + b * b * n * (y @ x)    # what does not depend on i, summed over i
        total += float(weight) * (own @ x + other) / n**2
    return total


def binned_error(probability: torch.Tensor, label: torch.Tensor) -> float:
    """Expected calibration error of P(y = 1) (N,) in `BINS` bins of equal width, from the outcomes (N,)."""
    bins = (probability * BINS).long().clamp_(max=BINS - 1)
    off = torch.bincount(bins, weights=(probability - label).double(), minlength=BINS)
    return float(off.abs().sum() / len(label))
