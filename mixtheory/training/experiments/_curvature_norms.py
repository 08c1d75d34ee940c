r"""Batch normalisation of PyTorch under mixup: curvature behind it, running statistics, a head that is trained on it.

Data are Gaussian, fresh for every batch. `Norms` says how much is drawn; what is measured is told in `curvature`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.autograd.functional import hessian
from torch.func import functional_call

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.pairing import lambdas, partners
from mixtheory.theory import curvature_batchnorm, curvature_running
from mixtheory.training.replicas import floats, generators

ALPHA, M, EPS = 1.0, 1.5, 1e-12
SIGMA = np.array([[4.0, 0.6], [0.6, 0.25]])             # correlation 0.6: lambda_max of R is 1.6
SHARINGS = ("batch", "element")
LARGE, SMALL, FEATURES = 256, 16, 4
PLANE, IMAGES = (4, 4), 32                              # positions and batch of BatchNorm2d; flip, a lambda a pair
MOMENTUM, BURN = 0.1, 100
HEAD_BATCH, HEAD_RATE = 512, 0.5
BEHIND, RUNNING, PICTURES, EXPONENTIAL, HEADS = 21, 22, 23, 24, 25          # streams of a seed
# Fixed before the recorded runs. RUNNING_MARGIN tells s from 1 at n = 256, and nobody from everybody meeting himself
# at n = 16, where that is (1 - s)/15 = 0.022; HEAD_MARGIN is half of what tells the two sharings apart.
BEHIND_MARGIN, TRACE_MARGIN, POOLED_MARGIN, SPREAD_MARGIN = 0.02, 1e-5, 0.01, 0.01
RUNNING_MARGIN, FLUCTUATION_MARGIN, HEAD_MARGIN = {LARGE: 0.005, SMALL: 0.01}, 0.006, 0.021


@dataclass(frozen=True)
class Norms:
    """Batch size and batches behind a normalisation, batches of running averages, steps of the head."""

    behind: tuple[int, int]
    running: int
    exponential: int
    head: int                   # with one lambda a batch; a third of them with a lambda each, where there is less noise


def mixed(x: torch.Tensor, alpha: float, pairing: str, sharing: str, rng: torch.Generator
          ) -> tuple[torch.Tensor, torch.Tensor]:
    """Batches x (batches, n, ...) mixed along their second axis, and the weights (batches, n)."""
    count, n = x.shape[:2]
    tail = (1,) * (x.ndim - 2)
    partner = partners(pairing, n, rng=rng, replicas=count).view(count, n, *tail).expand_as(x)
    lam = lambdas(symmetric(alpha), n, sharing=sharing, rng=rng, replicas=count, pairing=pairing, dtype=x.dtype)
    return blend(lam.view(count, n, *tail), x, x.gather(1, partner)), lam


def batchnorm(size: Norms, device: torch.device, seeds: Sequence[int], progress: Callable[..., object] | None
              ) -> tuple[list[Measurement], list[Observation]]:
    """All measurements of batch normalisation; one value of each for each seed."""
    found: list[Measurement] = []
    told: list[Observation] = []
    for part in (_behind, _running, _pooled, _exponential, _heads):
        more, more_told = part(size, device, seeds)
        found += more
        told += more_told
        if progress:
            progress(f"batch normalisation: {part.__name__[1:]}")
    return found, told


def _gaussian(shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    return torch.randn(shape, generator=rng, device=rng.device, dtype=torch.float64)


# --- curvature behind the normalisation -----------------------------------------------------------------------

def layer_hessian(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Hessian (d, d) of half the mean squared error in the weights of a linear layer behind BatchNorm1d in training."""
    norm = nn.BatchNorm1d(x.shape[1], eps=EPS, affine=False, track_running_stats=False).to(x)
    linear = nn.Linear(x.shape[1], 1, bias=False).to(x)

    def loss(weight: torch.Tensor) -> torch.Tensor:
        return (functional_call(linear, {"weight": weight}, (norm(x),))[:, 0] - y).square().mean() / 2

    return hessian(loss, linear.weight.detach())[0, :, 0, :]


def _behind(size: Norms, device: torch.device, seeds: Sequence[int]) -> tuple[list[Measurement], list[Observation]]:
    n, count = size.behind
    root = torch.as_tensor(np.linalg.cholesky(SIGMA).T, device=device)
    arms = {("none", 0.0): "batchnorm", ("element", ALPHA): "batchnorm", ("batch", ALPHA): "batchnorm_shared"}
    largest: dict[object, list[float]] = {arm: [] for arm in arms}
    trace: dict[object, list[float]] = {arm: [] for arm in arms}
    for rng in generators(seeds, device, stream=BEHIND):
        clean = _gaussian((count, n, 2), rng) @ root + 1.0
        y = _gaussian((count, n), rng)
        for arm in arms:
            sharing, alpha = arm
            x = clean if alpha == 0 else mixed(clean, alpha, "roll", sharing, rng)[0]
            values = torch.linalg.eigvalsh(torch.stack([layer_hessian(a, b) for a, b in zip(x, y, strict=True)]))
            largest[arm].append(float(values[:, -1].mean()))
            trace[arm].append(float(values.sum(1).mean()))
    ones, zeros = np.ones(2), np.zeros(2)
    found = []
    for arm, claim in arms.items():
        sharing, alpha = arm
        shown = {"alpha": alpha, "n": n, "pairing": "roll", "sharing": sharing}
        H = curvature_batchnorm.batchnorm_hessian(alpha, SIGMA, ones, zeros)
        found.append(Measurement("behind", f"curvature.{claim}", shown, floats(largest[arm]),
                                 float(np.linalg.eigvalsh(H)[-1]), BEHIND_MARGIN, "largest eigenvalue"))
        if alpha:
            predicted = curvature_batchnorm.batchnorm_trace(alpha, n, "roll", sharing, ones, zeros)
            found.append(Measurement("trace", "curvature.batchnorm_trace", shown, floats(trace[arm]),
                                     float(predicted), TRACE_MARGIN, "trace"))
    naive = np.linalg.eigvalsh(curvature_batchnorm.mixed_behind_hessian(ALPHA, SIGMA, ones, zeros))[-1]
    return found, [Observation("naive", {"alpha": ALPHA}, (float(naive),), "s times the largest eigenvalue")]


# --- running statistics ---------------------------------------------------------------------------------------

def _feed(layer: nn.Module, batches: torch.Tensor) -> torch.Tensor:
    """The running variance (features,) after these batches."""
    layer.train()
    with torch.no_grad():
        for x in batches:
            layer(x)
    return layer.running_var.clone()


def _running(size: Norms, device: torch.device, seeds: Sequence[int]) -> tuple[list[Measurement], list[Observation]]:
    factor: dict[tuple[int, str], list[float]] = {}
    spread: dict[tuple[int, str], list[float]] = {}
    for rng in generators(seeds, device, stream=RUNNING):
        for n in (LARGE, SMALL):
            clean = _gaussian((size.running * (1 if n == LARGE else 4), n, FEATURES), rng)
            before = _feed(nn.BatchNorm1d(FEATURES, eps=EPS, momentum=None).to(clean), clean)
            for sharing in SHARINGS:
                layer = nn.BatchNorm1d(FEATURES, eps=EPS, momentum=None).to(clean)
                x, lam = mixed(clean, ALPHA, "roll", sharing, rng)
                ratio = float((_feed(layer, x) / before).mean())
                S = lam.square() + (1 - lam).square()           # the law of lambda is known: a control variate
                surplus = float(S.mean()) - symmetric(ALPHA).expect(lambda p: p**2 + (1 - p) ** 2, nodes=3)
                factor.setdefault((n, sharing), []).append(ratio - surplus)
                with torch.no_grad():
                    out = layer.eval()(clean.flatten(0, 1))
                # the same control variate, to first order in the surplus
                spread.setdefault((n, sharing), []).append(float(out.var(0).mean().sqrt()) * (1 + surplus / ratio / 2))
    found = []
    for (n, sharing), values in factor.items():
        scheme = {"alpha": ALPHA, "n": n, "pairing": "roll", "sharing": sharing}
        claim = "running_variance" + ("_element" if sharing == "element" else "")
        found.append(Measurement("running", f"curvature.{claim}", scheme, floats(values),
                                 float(curvature_running.running_variance(variance=1.0, **scheme)), RUNNING_MARGIN[n],
                                 "of the variance of clean data"))
        found.append(Measurement("spread", "curvature.evaluation_spread", scheme, floats(spread[n, sharing]),
                                 float(curvature_running.evaluation_spread(**scheme)), SPREAD_MARGIN,
                                 "standard deviation in evaluation mode"))
    return found, []


def _pooled(size: Norms, device: torch.device, seeds: Sequence[int]) -> tuple[list[Measurement], list[Observation]]:
    profile = torch.linspace(-1, 1, PLANE[0] * PLANE[1], device=device, dtype=torch.float64).view(1, 1, *PLANE)
    positions, values = PLANE[0] * PLANE[1], []
    for rng in generators(seeds, device, stream=PICTURES):
        clean = _gaussian((size.running, IMAGES, 1, *PLANE), rng) + 1.5 * profile
        ratio = [_feed(nn.BatchNorm2d(1, eps=EPS, momentum=None).to(clean), x)
                 for x in (mixed(clean, ALPHA, "flip", "pair", rng)[0], clean)]
        values.append(float(ratio[0] / ratio[1]))
    between = float((1.5 * profile).var(correction=0)) + (1 - 1 / positions) / IMAGES      # of the batch's mean image
    share = between / (1 - 1 / IMAGES + between)
    scheme = {"alpha": ALPHA, "n": IMAGES, "pairing": "flip", "sharing": "pair"}
    predicted = float(curvature_running.pooled_factor(share=share, **scheme))
    return [Measurement("pooled", "curvature.running_pooled", {**scheme, "share": round(share, 6)}, floats(values),
                        predicted, POOLED_MARGIN, "of the variance of clean data")], []


def _exponential(size: Norms, device: torch.device, seeds: Sequence[int]
                 ) -> tuple[list[Measurement], list[Observation]]:
    values = []
    for rng in generators(seeds, device, stream=EXPONENTIAL):
        layer, path = nn.BatchNorm1d(FEATURES, eps=EPS, momentum=MOMENTUM).to(device).double(), []
        x, _ = mixed(_gaussian((size.exponential + BURN, LARGE, FEATURES), rng), ALPHA, "roll", "batch", rng)
        with torch.no_grad():
            for batch in x:
                layer(batch)
                path.append(layer.running_var.clone())
        after = torch.stack(path[BURN:])
        values.append(float(after.var(correction=0).sqrt() / after.mean()))
    scheme = {"alpha": ALPHA, "n": LARGE, "momentum": MOMENTUM, "pairing": "roll"}
    return [Measurement("fluctuation", "curvature.running_fluctuation", {**scheme, "sharing": "batch"}, floats(values),
                        float(curvature_running.running_fluctuation(**scheme)), FLUCTUATION_MARGIN,
                        "of the mean running variance")], []


# --- a head trained behind the normalisation ------------------------------------------------------------------

def _columns(steps: int, rngs: Sequence[torch.Generator], sharing: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Mixed batches x, y (n, replicas) of two Gaussian classes on a line, each column from its own generator."""
    block, n = 100, HEAD_BATCH
    for start in range(0, steps, block):
        count, xs, ys = min(block, steps - start), [], []
        for rng in rngs:
            y = torch.randint(2, (count, n), generator=rng, device=rng.device).double()
            x = M * (2 * y - 1) + _gaussian((count, n), rng)
            both, _ = mixed(torch.stack([x, y], 2), ALPHA, "roll", sharing, rng)
            xs.append(both[..., 0])
            ys.append(both[..., 1])
        yield from zip(torch.stack(xs, 2), torch.stack(ys, 2), strict=True)


def _heads(size: Norms, device: torch.device, seeds: Sequence[int]) -> tuple[list[Measurement], list[Observation]]:
    """BatchNorm1d and a slope without bias: a replica is a feature, which is normalised on its own."""
    found = []
    for k, sharing in enumerate(SHARINGS):
        norm = nn.BatchNorm1d(len(seeds), eps=EPS, momentum=None, affine=False).to(device).double()
        slope = torch.ones(len(seeds), device=device, dtype=torch.float64, requires_grad=True)
        optimiser, average, kept = torch.optim.SGD([slope], lr=HEAD_RATE), torch.zeros_like(slope), 0
        rngs, steps = generators(seeds, device, stream=(HEADS, k)), size.head // (3 if sharing == "element" else 1)
        for t, (x, y) in enumerate(_columns(steps, rngs, sharing)):
            loss = nn.functional.binary_cross_entropy_with_logits(norm(x) * slope, y, reduction="none").mean(0).sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if t >= steps // 4:
                average, kept = average + slope.detach(), kept + 1
        with torch.no_grad():                                   # evaluation mode: log-odds at x = 1 less those at 0
            at = norm.eval()(torch.tensor([[0.0], [1.0]], device=device, dtype=torch.float64).expand(2, len(seeds)))
            values = (at[1] - at[0]) * average / kept
        found.append(Measurement("head", "curvature.absorbed", {"alpha": ALPHA, "m": M, "sharing": sharing},
                                 floats(values), curvature_batchnorm.absorbed_slope(ALPHA, M, sharing), HEAD_MARGIN,
                                 "log-odds per unit"))
    plain = curvature_batchnorm.absorbed_slope(ALPHA, M, "element")
    inflated = plain * float(curvature_running.evaluation_limit(ALPHA, HEAD_BATCH, "roll", "batch"))
    return found, [Observation("inflated", {"alpha": ALPHA, "m": M}, (inflated,), "log-odds per unit")]
