r"""ReLU networks of one variable trained with mixup: what their chords cost, kink by kink and pair by pair.

Data: n points x uniform on [-2, 2], y = sin(2.5 x) + 0.3 N(0, 1), drawn anew for every seed; test points from the
same law. Networks with one hidden ReLU layer, all seeds and all alphas trained together by Adam on full batches with
partners drawn from all n examples and a lambda for each. The arms of a seed share data, initial weights and partners.

`loss`: the mixup mean squared error of each trained network over all n^2 pairs, lambda uniform, over the closed form
E D^2 + 2 E[D e~] + s mean e^2 + (1 - s)(mean e)^2. Measured from the outputs of the network alone: between two kinks
they are linear, so that Simpson's rule on the pieces is exact. `deviation`: E D^2 over pairs of distinct points by
`measurements.segments`, a quadrature that knows no kinks, over the closed form, at the arm's own alpha (1 for the arm
without mixup). `random`: an untrained network of 16 units in 3 dimensions judged on its own outputs at 40 points: mean
of sampled mixup losses over the closed form E D^2.

Told, and not predicted: `penalty` (E D^2 over all pairs, lambda uniform), `variation` (total variation of the slope of
f over the range of the data), `train` and `test` (mean squared errors), `mixup` (the mixup loss at uniform lambda) and,
for the data, `floor`, the least mixup loss of any function (`theory.geometry_conflict`). Registered before the first
recorded run: `penalty_ratio`, E D^2 of the arm alpha = 1 over the mean E D^2 of the arm without mixup, is below 1/2 on
average over seeds. Sizes and margins were fixed then too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.pairing import partners
from mixtheory.theory import geometry, geometry_conflict, geometry_loss
from mixtheory.theory.geometry_loss import Network, Problem
from mixtheory.training.measurements import segments
from mixtheory.training.replicas import device_of, floats, generators

DATASETS = ("synthetic",)
ALPHAS = (0.0, 0.2, 1.0, 4.0)
HALF_RANGE, FREQUENCY, NOISE = 2.0, 2.5, 0.3
TESTS = 500
LOSS_MARGIN, DEVIATION_MARGIN, RANDOM_MARGIN = 1e-9, 0.005, 0.02
UNITS, DIMENSIONS, POINTS = 16, 3, 40          # of the random network
DATA, START, PARTNERS, RANDOM = 31, 32, 33, 34     # streams of a seed


@dataclass(frozen=True)
class Size:
    """Points, hidden units, steps of Adam, its rate, and sampled losses of the random network."""

    points: int
    width: int
    steps: int
    rate: float
    draws: int


SIZES = {"quick": Size(32, 64, 3000, 0.01, 40_000), "full": Size(48, 256, 6000, 0.005, 400_000)}


class Stack(NamedTuple):
    """Replicas of f(x) = sum_j a_j max(0, w_j x + b_j) + c: w, b, a (replicas, width), c (replicas, 1)."""

    w: torch.Tensor
    b: torch.Tensor
    a: torch.Tensor
    c: torch.Tensor

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x (replicas, n) to (replicas, n)."""
        hidden = torch.relu(x[:, :, None] * self.w[:, None] + self.b[:, None])
        return (hidden @ self.a[:, :, None])[..., 0] + self.c

    def network(self, r: int) -> Network:
        """One replica in float64."""
        w, b, a, c = (v[r].detach().double().cpu().numpy() for v in self)
        return Network(w[:, None], b, a, float(c[0]))


def measure(dataset: str, *, size: Size, device: str, seeds: Sequence[int], progress: Callable[..., Any] | None = None
            ) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """Configuration, measurements and observations of one run; one value of each for each seed."""
    where = device_of(device)
    x, y, x_test, y_test = examples(size.points, seeds, where)
    trained = train(x, y, size, seeds)
    if progress:
        progress(f"{len(ALPHAS) * len(seeds)} networks trained")
    found: dict[str, dict[float, list[float]]] = {}

    def note(name: str, alpha: float, value: float) -> None:
        found.setdefault(name, {}).setdefault(alpha, []).append(float(value))

    for a, alpha in enumerate(ALPHAS):
        for k in range(len(seeds)):
            for name, value in judge(trained.network(a * len(seeds) + k), *(
                    v[k].cpu().numpy() for v in (x, y, x_test, y_test)), alpha).items():
                note(name, alpha, value)
        if progress:
            progress(f"alpha {alpha:g}")
    margins = {"loss": ("geometry.loss", LOSS_MARGIN), "deviation": ("geometry.penalty", DEVIATION_MARGIN)}
    result = [Measurement(name, claim, {"alpha": alpha}, floats(found[name][alpha]), 1.0, margin, "of the prediction")
              for name, (claim, margin) in margins.items() for alpha in ALPHAS]
    result.append(Measurement("random", "geometry.loss", {"units": UNITS}, floats(
        [sampled(size.draws, rng) for rng in generators(seeds, torch.device("cpu"), stream=RANDOM)]), 1.0,
        RANDOM_MARGIN, "of the prediction"))
    told = [Observation(name, {"alpha": alpha}, floats(values)) for name, by_alpha in found.items()
            if name not in margins for alpha, values in by_alpha.items()]
    told.append(Observation("floor", {}, floats(geometry_conflict.conflict_floor(*(v[k].cpu().numpy() for v in (x, y)))
                                                for k in range(len(seeds)))))
    baseline = np.mean(found["penalty"][0.0])
    told.append(Observation("penalty_ratio", {"alpha": 1.0}, floats(np.array(found["penalty"][1.0]) / baseline)))
    return {"size": asdict(size), "alphas": ALPHAS, "noise": NOISE}, result, told


def examples(n: int, seeds: Sequence[int], device: torch.device) -> tuple[torch.Tensor, ...]:
    """x, y (seeds, n) and test points, float64."""
    rows = []
    for rng in generators(seeds, device, stream=DATA):
        x = (2 * torch.rand(n + TESTS, generator=rng, device=device, dtype=torch.float64) - 1) * HALF_RANGE
        noise = torch.randn(n + TESTS, generator=rng, device=device, dtype=torch.float64)
        rows.append(torch.stack([x, torch.sin(FREQUENCY * x) + NOISE * noise]))
    data = torch.stack(rows)
    return data[:, 0, :n], data[:, 1, :n], data[:, 0, n:], data[:, 1, n:]


def start(width: int, seeds: Sequence[int], device: torch.device) -> Stack:
    """Kinks uniform over the range of the data, slopes of both signs."""
    draws = []
    for rng in generators(seeds, device, stream=START):
        w = torch.randn(width, generator=rng, device=device, dtype=torch.float64)
        kink = (2 * torch.rand(width, generator=rng, device=device, dtype=torch.float64) - 1) * HALF_RANGE
        a = torch.randn(width, generator=rng, device=device, dtype=torch.float64) / width**0.5
        draws.append((w, -w * kink, a, torch.zeros(1, device=device, dtype=torch.float64)))
    return Stack(*(torch.stack(v).repeat(len(ALPHAS), 1) for v in zip(*draws, strict=True)))


def train(x: torch.Tensor, y: torch.Tensor, size: Size, seeds: Sequence[int]) -> Stack:
    """All arms and seeds together; replica a * len(seeds) + k is seed k at the a-th alpha."""
    n, device = x.shape[1], x.device
    stack = Stack(*(v.float().requires_grad_() for v in start(size.width, seeds, device)))
    partner, lam = [], [[] for _ in ALPHAS]
    for rng in generators(seeds, device, stream=PARTNERS):
        partner.append(partners("independent", n, rng=rng, replicas=size.steps))
        for row, alpha in zip(lam, ALPHAS, strict=True):
            row.append(symmetric(alpha).sample((size.steps, n), rng=rng, dtype=torch.float32))
    partner = torch.stack(partner, 1).repeat(1, len(ALPHAS), 1)                 # (steps, replicas, n)
    lam = torch.cat([torch.stack(row, 1) for row in lam], 1)
    x, y = (v.float().repeat(len(ALPHAS), 1) for v in (x, y))
    optimizer = torch.optim.Adam(stack, lr=size.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, size.steps)
    for step in range(size.steps):
        p, j = lam[step], partner[step]
        error = stack(blend(p, x, x.gather(1, j))) - blend(p, y, y.gather(1, j))
        optimizer.zero_grad()
        error.square().mean(1).sum().backward()
        optimizer.step()
        schedule.step()
    return stack


def judge(f: Network, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray,
          alpha: float) -> dict[str, float]:
    """Everything about one trained network."""
    points = x[:, None]
    problem = Problem(f, points, y)
    parts = geometry_loss.loss_parts(problem, 1.0)
    own = alpha or 1.0
    i, j = np.triu_indices(len(x), 1)
    expected = geometry_loss.loss_parts(problem, own).deviation if own != 1.0 else parts.deviation
    measured = segments.mean_square_deviation(lambda z: torch.from_numpy(f(z.numpy())), *(
        torch.from_numpy(points[pair]) for pair in (i, j)), own)
    low, high = np.argmin(x), np.argmax(x)
    k, J = geometry.relu_kinks(f.W, f.b, f.a, points[high], points[low])
    loss = exact_loss(f, x, y)
    return {"loss": loss / geometry_loss.mixup_mse(1.0, parts),
            "deviation": measured.value / (expected * len(x) / (len(x) - 1)), "penalty": parts.deviation,
            "variation": float(geometry.slope_variation(k, J)) / (x[high] - x[low]), "train": parts.square,
            "test": float(np.mean((f(x_test[:, None]) - y_test)**2)), "mixup": loss}


def exact_loss(f: Network, x: np.ndarray, y: np.ndarray) -> float:
    """Mixup mean squared error over all ordered pairs, lambda uniform: Simpson's rule between kinks, pair by pair."""
    zeros = -f.b / f.W[:, 0]
    n, total = len(x), float(np.mean((f(x[:, None]) - y)**2)) * len(x)         # self-pairs
    for i in range(n):
        kinks = np.clip((zeros - x[i]) / np.where(x == x[i], 1.0, x - x[i])[:, None], 0, 1)     # shares of the other
        edges = np.sort(np.concatenate([np.zeros((n, 1)), kinks, np.ones((n, 1))], axis=1), axis=1)
        middle = (edges[:, 1:] + edges[:, :-1]) / 2

        def square(t: np.ndarray, i: int = i) -> np.ndarray:
            mixed = blend(t, x[:, None], x[i])
            return (f(mixed[..., None]) - blend(t, y[:, None], y[i]))**2
        at_edges, length = square(edges), np.diff(edges, axis=1)
        pieces = length * (at_edges[:, :-1] + 4 * square(middle) + at_edges[:, 1:]) / 6
        total += float(np.delete(pieces, i, axis=0).sum())
    return total / n**2


def sampled(draws: int, rng: torch.Generator) -> float:
    """Mixup loss of a random network on its own outputs, by sampling, over the closed form."""
    def normal(*shape: int) -> np.ndarray:
        return torch.randn(shape, generator=rng, dtype=torch.float64).numpy()
    f = Network(normal(UNITS, DIMENSIONS), normal(UNITS), normal(UNITS) / UNITS**0.5, 0.0)
    x = normal(POINTS, DIMENSIONS)
    y = f(x)
    first, second = torch.randint(POINTS, (2, draws), generator=rng).numpy()
    lam = symmetric(1.0).sample(draws, rng=rng).numpy()
    losses = (f(blend(lam[:, None], x[first], x[second])) - blend(lam, y[first], y[second]))**2
    return float(losses.mean() / geometry_loss.mixup_mse(1.0, Problem(f, x, y)))
