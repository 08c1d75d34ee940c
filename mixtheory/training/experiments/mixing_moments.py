r"""Two losses on real images that moments of lambda decide.

* `shrinkage`: the mean squared error of a linear layer at its zero initialisation, on one-hot targets
  standardised class by class. Without mixup it is 1, with mixup E[lambda^2 + (1 - lambda)^2] = s. In every
  epoch both members of the pairs run through the whole training set in random orders of their own: then the
  standardised targets of a pair have mean product exactly 0. (A permutation within small batches would not
  do: an example that meets itself adds 2 u/n.)
* `untied_labels`: a network trained a little with mixup. Its loss with mixed labels against its loss with the
  hard label of the first member and lambda' ~ Beta(alpha + 1, alpha), on the same pairs: the relative
  difference, predicted 0. The same with lambda' ~ Beta(alpha, alpha), a wrong theory, is kept in `config` as
  `untilted`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from mixtheory.evidence.record import Measurement
from mixtheory.mixing import Law, symmetric
from mixtheory.mixup import blend, soft_labels
from mixtheory.theory import mixing_moments as theory
from mixtheory.theory.mixing_moments_laws import tilted
from mixtheory.training.data import NAMES
from mixtheory.training.replicas import Rows, device_of, floats, generators, images

DATASETS = NAMES
ZERO_ALPHAS = (0.1, 0.37, 1.0, 4.2)
TRAINED_ALPHAS = (0.2, 1.0)
ZERO_MARGIN = 0.003                 # fixed before the recorded runs, as are the sizes
UNTIED_MARGIN = 0.02                # of the loss
BATCH, HIDDEN, RATE = 128, 64, 0.2
CHUNK = 4096                        # rows mixed at once


@dataclass(frozen=True)
class Size:
    """Examples a replica sees: the zero network (whole epochs, at least so many), then steps, then after."""

    zero: int
    steps: int
    after: int


SIZES = {"quick": Size(30_000, 150, 20_000), "full": Size(50_000, 300, 40_000)}


def measure(dataset: str, *, size: Size, device: str, seeds: Sequence[int],
            progress: Callable[..., Any] | None = None) -> tuple[dict[str, Any], list[Measurement]]:
    """Configuration and measurements of one run; one value of each for each seed."""
    rows = images(dataset, device_of(device))
    rngs = generators(seeds, rows.x.device)
    result = []
    for alpha in ZERO_ALPHAS:
        values = [zero_network(rows, alpha, size.zero, rng) for rng in rngs]
        result.append(Measurement("shrinkage", "mixing_moments.shrinkage", {"alpha": alpha}, floats(values),
                                  float(theory.shrinkage(alpha)), ZERO_MARGIN, "of the error without mixup"))
        if progress:
            progress(f"zero network, alpha {alpha:g}")
    losses, untilted = {}, {}
    for alpha in TRAINED_ALPHAS:
        network, parameters = trained(rows, alpha, size.steps, rngs)
        mixed, own, symmetric_own = after_training(network, parameters, rows, alpha, size.after, rngs)
        result.append(Measurement("untied_labels", "mixing_moments.untied_labels", {"alpha": alpha},
                                  floats(own / mixed - 1), 0.0, UNTIED_MARGIN, "of the loss"))
        losses[str(alpha)] = float(mixed.mean())
        untilted[str(alpha)] = float((symmetric_own / mixed - 1).mean())
        if progress:
            progress(f"trained network, alpha {alpha:g}")
    config = {"zero_alphas": ZERO_ALPHAS, "trained_alphas": TRAINED_ALPHAS, "batch": BATCH, "hidden": HIDDEN,
              "rate": RATE, "zero": size.zero, "steps": size.steps, "after": size.after,
              "images": len(rows.x), "loss": losses, "untilted": untilted}
    return config, result


def zero_network(rows: Rows, alpha: float, least: int, rng: torch.Generator) -> float:
    """Mean squared error of a zero linear layer over whole epochs of mixed examples, a lambda each."""
    x, device = rows.x, rows.x.device
    targets = soft_labels(rows.y, rows.classes, like=x)
    targets = (targets - targets.mean(0)) / targets.std(0, correction=0)
    layer = nn.utils.skip_init(nn.Linear, x.shape[1], rows.classes, device=device)
    nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
    total, epochs = torch.zeros((), dtype=torch.float64, device=device), -(-least // len(x))
    with torch.no_grad():
        for _ in range(epochs):
            first, second = (torch.randperm(len(x), generator=rng, device=device) for _ in range(2))
            lam = symmetric(alpha).sample(len(x), rng=rng, dtype=x.dtype)[:, None]
            for i, j, p in zip(first.split(CHUNK), second.split(CHUNK), lam.split(CHUNK), strict=True):
                error = layer(blend(p, x[i], x[j])) - blend(p, targets[i], targets[j])
                total += error.double().square().mean(1).sum()
    return float(total) / (epochs * len(x))


def pairs(rows: Rows, laws: Sequence[Law], count: int,
          rngs: Sequence[torch.Generator]) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Two independent members of the training set and a lambda from each law, each (replicas, count)."""
    draws = []
    for rng in rngs:
        members = torch.randint(len(rows.x), (2, count), generator=rng, device=rows.x.device)
        draws.append((*members, *(law.sample(count, rng=rng, dtype=rows.x.dtype) for law in laws)))
    first, second, *lam = (torch.stack(column) for column in zip(*draws, strict=True))
    return first, second, lam


def trained(rows: Rows, alpha: float, steps: int,
            rngs: Sequence[torch.Generator]) -> tuple[Any, dict[str, Any]]:
    """A network with one hidden layer after SGD with mixup: how to apply it, and all replicas' parameters."""
    networks = [_network(rows, rng) for rng in rngs]
    parameters, _ = stack_module_state(networks)
    apply = vmap(lambda p, x: functional_call(networks[0], p, (x,)))
    for _ in range(steps):
        first, second, (lam,) = pairs(rows, [symmetric(alpha)], BATCH, rngs)
        loss = _mixed_loss(apply(parameters, _mix(rows, lam, first, second)), rows, lam, first, second)
        gradients = torch.autograd.grad(loss.mean(1).sum(), list(parameters.values()))
        with torch.no_grad():
            for value, gradient in zip(parameters.values(), gradients, strict=True):
                value -= RATE * gradient
    return apply, {name: value.detach() for name, value in parameters.items()}


def after_training(apply: Any, parameters: dict[str, Any], rows: Rows, alpha: float, count: int,
                   rngs: Sequence[torch.Generator]) -> torch.Tensor:
    """Mean losses (3, replicas): mixed labels; the first label with tilted and with symmetric lambda."""
    laws = symmetric(alpha), tilted(alpha), symmetric(alpha)
    sums = torch.zeros(3, len(rngs), dtype=torch.float64, device=rows.x.device)
    step = CHUNK // len(rngs)
    with torch.no_grad():
        for at in range(0, count, step):
            first, second, lams = pairs(rows, laws, min(step, count - at), rngs)
            for k, lam in enumerate(lams):
                scores = apply(parameters, _mix(rows, lam, first, second))
                loss = (_mixed_loss(scores, rows, lam, first, second) if k == 0
                        else _loss(scores, rows.y[first]))
                sums[k] += loss.double().sum(1)
    return sums / count


def _network(rows: Rows, rng: torch.Generator) -> nn.Module:
    sizes = (rows.x.shape[1], HIDDEN, rows.classes)
    layers = [nn.utils.skip_init(nn.Linear, i, o, device=rows.x.device)
              for i, o in zip(sizes[:-1], sizes[1:], strict=True)]
    for layer in layers:
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="tanh", generator=rng)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1])


def _mix(rows: Rows, lam: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return blend(lam[..., None], rows.x[first], rows.x[second])


def _loss(scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(scores.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)


def _mixed_loss(scores: torch.Tensor, rows: Rows, lam: torch.Tensor, first: torch.Tensor,
                second: torch.Tensor) -> torch.Tensor:
    """Cross-entropy against the mixed one-hot label."""
    eye = torch.eye(rows.classes, dtype=scores.dtype, device=scores.device)
    labels = blend(lam[..., None], eye[rows.y[first]], eye[rows.y[second]])
    return -(labels * scores.log_softmax(-1)).sum(-1)
