r"""Gradient noise under mixup, measured with autograd, and what SGD makes of it; data from the theorem's own model.

* `noise`: batch gradients of a linear layer at w_*, by backpropagation. The mean of |g~|^2 over that of the same
  batches without mixup, predicted `noise_factor`; scheme by scheme at alpha 0.2. The factor does not depend on the
  batch size from 3 on, so batches are small and many. The margin is less than half of what separates `roll` from
  `flip` with a lambda for each element: the two are told apart.
* `floor`: batches of 256 away from w_*, no label noise: tr Cov / |s m|^2 over batches. One lambda a batch leaves a
  floor, a lambda each does not.
* `scale`: the noise scale tr Cov/|mean|^2 of single examples away from w_* over that without mixup: Gaussian features,
  where it rises, and independent ones of kurtosis 12, where it falls.
* `wandering`: SGD of a constant small rate on fresh batches; the mean of |w - w_*|^2 in its second half over that
  without mixup, predicted `stationary_factor` to first order in the rate.
* `two_losses`: a small classifier trained for 100 steps in float64, once with soft targets and once with two weighted
  losses, same seeds: the largest difference of their weights over the largest weight, predicted 0 for cross-entropy and
  for the squared error of its outputs (whose losses differ, by a constant). The focal loss is told: there they part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.mixing import Folded, symmetric
from mixtheory.mixup import blend
from mixtheory.pairing import lambdas
from mixtheory.theory import gradients_descent, gradients_noise, gradients_scale
from mixtheory.training.replicas import device_of, floats, generators

DATASETS = ("synthetic",)
SCHEMES = (("roll", "batch", False), ("flip", "batch", False), ("flip", "pair", False), ("roll", "element", False),
           ("flip", "element", False), ("roll", "element", True))
ALPHA, SCALE_ALPHAS = 0.2, (1.0, 4.2)
BATCH, LARGE, FEATURES = 16, 256, 20                 # fixed after a pilot of one replica on other streams
NOISE_MARGIN, FLOOR_MARGIN, SCALE_MARGIN, WANDER_MARGIN, SAME_MARGIN = 0.005, 0.003, 0.015, 0.06, 1e-10
KURTOSIS, RATE, KEEP = 12.0, 0.02, 0.5
NOISE, FLOOR, SCALE, WANDER, TWO = 1, 2, 3, 4, 5     # streams of a seed
CHUNK, STEPS = 2048, 100                            # batches, and steps of SGD, drawn at once


@dataclass(frozen=True)
class Size:
    """By measurement, for each replica: batches, large batches, single examples, steps and copies of SGD."""

    batches: int
    large: int
    examples: int
    steps: int
    copies: int


SIZES = {"quick": Size(16_384, 1024, 131_072, 800, 24), "full": Size(131_072, 8192, 2_097_152, 8000, 64)}


def measure(dataset: str, *, size: Size, device: str, seeds: Sequence[int], progress: Callable[..., Any] | None = None
            ) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """Configuration, measurements and observations of one run; one value of each for each seed."""
    where = device_of(device)
    parts = ((NOISE, lambda rng: noise(size.batches, rng)), (FLOOR, lambda rng: floor(size.large, rng)),
             (SCALE, lambda rng: scale(size.examples, rng)),
             (WANDER, lambda rng: wandering(size.steps, size.copies, rng)))
    values: dict[tuple[Any, ...], list[float]] = {}
    for stream, part in parts:
        for rng in generators(seeds, where, stream=stream):
            for key, value in part(rng).items():
                values.setdefault(key, []).append(value)
        if progress:
            progress(("noise", "floor", "scale", "wandering")[stream - 1])
    for found in two_losses(generators(seeds, where, stream=TWO)):
        for key, value in found.items():
            values.setdefault(key, []).append(value)
    result, told = [], []
    for (name, *arm), measured in values.items():
        made = _measurement(name, arm, floats(measured))
        (result if isinstance(made, Measurement) else told).append(made)
    config = {"alpha": ALPHA, "scale_alphas": SCALE_ALPHAS, "batch": BATCH, "large_batch": LARGE, "features": FEATURES,
              "kurtosis": KURTOSIS, "rate": RATE, "size": asdict(size)}
    return config, result, told


def _measurement(name: str, arm: list[Any], values: tuple[float, ...]) -> Measurement | Observation:
    """The arm in words, the claim, the prediction and the margin."""
    if name in ("noise", "wandering"):
        shown = _shown(*arm)
        if name == "noise":
            claim = "noise_factor"
            predicted, margin = gradients_noise.noise_factor(ALPHA, *arm), NOISE_MARGIN
        else:
            claim = "stationary"
            predicted, margin = gradients_descent.stationary_factor(ALPHA, *arm), WANDER_MARGIN
        return Measurement(name, f"gradients.{claim}", shown, values, float(predicted), margin, "of ERM")
    if name == "floor":
        scheme = {"pairing": arm[0], "sharing": arm[1], "n": LARGE}
        predicted = gradients_scale.noise_scale(1.0, np.eye(2), [1.0, 1.0], fourth=None, **scheme)
        claim = {"batch": "batch_roll", "element": "batch_roll_element"}[arm[1]]
        return Measurement(name, f"gradients.{claim}", {"alpha": 1.0, **scheme}, values, predicted, FLOOR_MARGIN,
                           "of the squared mean gradient")
    if name == "scale":
        alpha, kind = arm
        heavy = gradients_scale.independent_fourth(np.eye(2), np.ones(2), KURTOSIS) if kind == "heavy" else None
        with_, without = (gradients_scale.noise_scale(a, np.eye(2), [1.0, 1.0], fourth=heavy) for a in (alpha, 0.0))
        claim = {"heavy": "noise_scale_tails", "gaussian": "noise_scale_gaussian"}[kind]
        return Measurement(name, f"gradients.{claim}", {"alpha": alpha, "features": kind}, values, with_ / without,
                           SCALE_MARGIN, "of ERM")
    if arm[0] == "focal":
        return Observation(name, {"loss": "focal"}, values, "of the largest weight")
    claim = {"cross_entropy": "cross_entropy", "squared": "squared_two_losses"}[arm[0]]
    return Measurement(name, f"gradients.{claim}", {"loss": arm[0]}, values, 0.0, SAME_MARGIN, "of the largest weight")


def _shown(pairing: str, sharing: str, folded: bool) -> dict[str, Any]:
    return {"alpha": ALPHA, "pairing": pairing, "sharing": sharing, "folded": folded}


def _partner(x: torch.Tensor, pairing: str) -> torch.Tensor:
    """Everybody's partner along the second axis."""
    return x.roll(1, 1) if pairing == "roll" else x.flip(1)


def _weights(alpha: float, count: int, n: int, pairing: str, sharing: str, folded: bool, rng: torch.Generator,
             dtype: torch.dtype) -> torch.Tensor:
    law = Folded(symmetric(alpha)) if folded else symmetric(alpha)
    return lambdas(law, n, sharing=sharing, rng=rng, replicas=count, pairing=pairing, dtype=dtype)


def batch_gradients(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Gradients (B, d) of half the mean squared error of a linear layer at w (B, d) on B batches (B, n, d), (B, n)."""
    w = w.detach().requires_grad_()
    loss = 0.5 * (torch.bmm(x, w[:, :, None])[..., 0] - y).square().mean(1).sum()
    return torch.autograd.grad(loss, w)[0]


# ---- parts: each gives {(name, *arm): value} for one replica -----------------------------------------------------

def noise(batches: int, rng: torch.Generator) -> dict[tuple[Any, ...], float]:
    """Mean squared gradient at w_* over that of the same batches unmixed; w_* = 0."""
    total: dict[Any, float] = {}
    for start in range(0, batches, CHUNK):
        count = min(CHUNK, batches - start)
        x = torch.randn(count, BATCH, FEATURES, generator=rng, device=rng.device)
        y, w = torch.randn(count, BATCH, generator=rng, device=rng.device), x.new_zeros(count, FEATURES)
        total["plain"] = total.get("plain", 0.0) + float(batch_gradients(x, y, w).double().square().sum())
        for scheme in SCHEMES:
            lam = _weights(ALPHA, count, BATCH, *scheme, rng, x.dtype)
            mixed = blend(lam[..., None], x, _partner(x, scheme[0])), blend(lam, y, _partner(y, scheme[0]))
            total[scheme] = total.get(scheme, 0.0) + float(batch_gradients(*mixed, w).double().square().sum())
    return {("noise", *scheme): total[scheme] / total["plain"] for scheme in SCHEMES}


def floor(batches: int, rng: torch.Generator) -> dict[tuple[Any, ...], float]:
    """tr Cov of large batch gradients over their squared mean, alpha 1, away from w_*: w - w_* = (1, 1), no noise."""
    found = {}
    x = torch.randn(batches, LARGE, 2, generator=rng, device=rng.device)
    for sharing in ("batch", "element"):
        lam = _weights(1.0, batches, LARGE, "roll", sharing, False, rng, x.dtype)
        mixed = blend(lam[..., None], x, x.roll(1, 1))
        g = batch_gradients(mixed, mixed.new_zeros(batches, LARGE), x.new_ones(batches, 2)).double()
        found["floor", "roll", sharing] = float(g.var(0).sum() / g.mean(0).square().sum())
    return found


def scale(examples: int, rng: torch.Generator) -> dict[tuple[Any, ...], float]:
    """Noise scale of single mixed examples over that without mixup, w - w_* = (1, 1), fresh partners, no noise."""
    found = {}
    for kind in ("gaussian", "heavy"):
        x = torch.randn(2, examples, 2, generator=rng, device=rng.device, dtype=torch.float64)
        if kind == "heavy":                          # 0, or +-sqrt(kurtosis) with probability 1/kurtosis
            hit = torch.rand(x.shape, generator=rng, device=rng.device, dtype=torch.float64) < 1 / KURTOSIS
            x = x.sign() * KURTOSIS**0.5 * hit
        w, zero = x.new_ones(examples, 2), x.new_zeros(examples, 1)

        def noise_scale(inputs: torch.Tensor, w: torch.Tensor = w, zero: torch.Tensor = zero) -> float:
            g = batch_gradients(inputs[:, None], zero, w)
            return float(g.var(0).sum() / g.mean(0).square().sum())
        plain = noise_scale(torch.cat([x[0, : examples // 2], x[1, : examples // 2]]))
        for alpha in SCALE_ALPHAS:
            lam = symmetric(alpha).sample(examples, rng=rng, dtype=x.dtype)[:, None]
            found["scale", alpha, kind] = noise_scale(blend(lam, x[0], x[1])) / plain
    return found


def wandering(steps: int, copies: int, rng: torch.Generator) -> dict[tuple[Any, ...], float]:
    """Mean of |w - w_*|^2 over the second half of SGD, over that without mixup; unit features and noise, w_* = 0.

    All schemes see the same batches; `copies` independent runs for each.
    """
    schemes = [("roll", "batch", False), ("roll", "element", False), ("flip", "element", False),
               ("roll", "element", True)]
    w = torch.zeros(len(schemes) + 1, copies, FEATURES, device=rng.device)
    total, warm = torch.zeros(len(w), dtype=torch.float64, device=rng.device), int(steps * (1 - KEEP))
    for start in range(0, steps, STEPS):
        count = min(STEPS, steps - start)
        x = torch.randn(count * copies, BATCH, FEATURES, generator=rng, device=rng.device)
        y = torch.randn(count * copies, BATCH, generator=rng, device=rng.device)
        inputs, targets = [x], [y]
        for scheme in schemes:
            lam = _weights(ALPHA, count * copies, BATCH, *scheme, rng, x.dtype)
            inputs.append(blend(lam[..., None], x, _partner(x, scheme[0])))
            targets.append(blend(lam, y, _partner(y, scheme[0])))
        inputs = torch.stack(inputs).unflatten(1, (count, copies))
        targets = torch.stack(targets).unflatten(1, (count, copies))
        for step in range(count):
            g = batch_gradients(inputs[:, step].flatten(0, 1), targets[:, step].flatten(0, 1), w.flatten(0, 1))
            w = w - RATE * g.view_as(w)
            if start + step >= warm:
                total += w.double().square().sum((1, 2))
    return {("wandering", *scheme): float(value / total[0]) for scheme, value in zip(schemes, total[1:], strict=True)}


def focal(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Focal loss with exponent 2 on every class, as in torchvision's sigmoid_focal_loss without alpha."""
    p = logits.sigmoid()
    loss = functional.binary_cross_entropy_with_logits(logits, y, reduction="none")
    return (loss * (1 - (p * y + (1 - p) * (1 - y))) ** 2).sum(-1)


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "cross_entropy": lambda logits, y: -(y * logits.log_softmax(-1)).sum(-1),
    "squared": lambda logits, y: (logits - y).square().sum(-1), "focal": focal}


def two_losses(rngs: Sequence[torch.Generator], steps: int = 100, classes: int = 3, hidden: int = 16
               ) -> list[dict[tuple[Any, ...], float]]:
    """Train the same network twice for each loss, all replicas at once: largest difference over the largest weight."""
    drawn = [_problem(rng, steps, classes, hidden) for rng in rngs]
    start, data = ([torch.stack(parts) for parts in zip(*each, strict=True)] for each in zip(*drawn, strict=True))
    found: list[dict[tuple[Any, ...], float]] = [{} for _ in rngs]
    for name, loss in LOSSES.items():
        ends = []
        for soft in (True, False):
            weights = [p.clone().requires_grad_() for p in start]
            optimiser = torch.optim.SGD(weights, lr=0.1, momentum=0.9)
            for x, first, second, lam in zip(*(part.unbind(1) for part in data), strict=True):
                logits = torch.tanh(x @ weights[0] + weights[1]) @ weights[2]
                each = loss(logits, blend(lam, first, second)) if soft else blend(
                    lam[..., 0], loss(logits, first), loss(logits, second))
                optimiser.zero_grad()
                each.mean(-1).sum().backward()           # each replica has its own weights, hence its own gradient
                optimiser.step()
            ends.append(torch.cat([p.detach().flatten(1) for p in weights], 1))
        apart = (ends[0] - ends[1]).abs().amax(1) / ends[0].abs().amax(1)
        for each, value in zip(found, floats(apart), strict=True):
            each["two_losses", name] = value
    return found


def _problem(rng: torch.Generator, steps: int, classes: int, hidden: int) -> tuple[list[torch.Tensor], ...]:
    """Initial weights of a small network, and mixed batches: inputs, both labels, lambda; (steps, 32, ...) each."""
    like = {"dtype": torch.float64, "device": rng.device}
    centres = 2 * torch.randn(classes, 5, generator=rng, **like)
    shapes = ((5, hidden), (1, hidden), (hidden, classes))
    start = [0.4 * torch.randn(*shape, generator=rng, **like) for shape in shapes]
    labels = torch.randint(classes, (steps, 32), generator=rng, device=rng.device)
    x = centres[labels] + torch.randn(steps, 32, 5, generator=rng, **like)
    y = functional.one_hot(labels, classes).to(x.dtype)
    lam = symmetric(1.0).sample((steps, 32, 1), rng=rng)
    return start, [blend(lam, x, x.roll(1, 1)), y, y.roll(1, 1), lam]
