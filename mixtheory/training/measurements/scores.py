r"""What classifiers score, from their logits: error, likelihood, Brier score, and the temperature that fits best.

Everywhere: logits (..., n, K) of n examples, K >= 2 classes and any leading replica dimensions, finite; labels
(n,), or one row a replica (..., n), integers in 0 .. K - 1; torch tensors or NumPy arrays. Results are float64
tensors of the leading shape, on the device of the logits. Predicted class: the largest logit, the first of equals.

Source, from memory: Brier 1950; Guo et al. 2017 (temperature scaling).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from mixtheory.domain import DomainError

__all__ = ["as_given", "as_labels", "as_logits", "as_tensor", "brier", "error", "nll", "of_label", "overconfidence",
           "temperature"]


def as_given(values: Any, device: torch.device | None = None) -> torch.Tensor:
    """A tensor of the dtype given; NumPy arrays are copied, so read-only ones are welcome."""
    return torch.as_tensor(np.array(values) if isinstance(values, np.ndarray) else values, device=device)


def as_tensor(values: Any, name: str) -> torch.Tensor:
    """Float64 tensor without gradient; integers, NumPy arrays and lists are converted.

    Raises:
        DomainError: NaN among the values.
    """
    tensor = as_given(values).detach().to(torch.float64)
    if torch.isnan(tensor).any():
        raise DomainError(f"{name} of shape {tuple(tensor.shape)}: {int(torch.isnan(tensor).sum())} entries are NaN")
    return tensor


def as_logits(logits: Any, name: str = "logits") -> torch.Tensor:
    """Finite float64 logits (..., n, K), n >= 1, K >= 2.

    Raises:
        DomainError: another shape, NaN or infinite entries.
    """
    z = as_tensor(logits, name)
    if z.ndim < 2 or 0 in z.shape or z.shape[-1] < 2:
        raise DomainError(f"{name} of shape {tuple(z.shape)}: must be (..., n, K) with n >= 1 and K >= 2 classes")
    if not torch.isfinite(z).all():
        raise DomainError(f"{name}: must be finite, {int((~torch.isfinite(z)).sum())} entries are not")
    return z


def as_labels(y: Any, z: torch.Tensor, name: str = "y") -> torch.Tensor:
    """Labels as int64 (..., n) like the logits z (..., n, K), from (n,) or from that shape.

    Raises:
        DomainError: another shape, a label that is not an integer in 0 .. K - 1.
    """
    y = as_given(y, z.device)
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise DomainError(f"{name} of dtype {y.dtype}: labels must be integers")
    if tuple(y.shape) not in (tuple(z.shape[-2:-1]), tuple(z.shape[:-1])):
        raise DomainError(f"{name} of shape {tuple(y.shape)}: must be one label an example, {tuple(z.shape[-2:-1])} "
                          f"or {tuple(z.shape[:-1])}")
    y = y.long()
    if int(y.min()) < 0 or int(y.max()) >= z.shape[-1]:
        raise DomainError(f"{name} in {int(y.min())} .. {int(y.max())}: labels must lie in 0 .. {z.shape[-1] - 1}")
    return y.expand(z.shape[:-1])


def of_label(values: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Of values (..., n, K) those at the labels, (..., n)."""
    return values.gather(-1, label[..., None])[..., 0]


def error(logits: Any, y: Any) -> torch.Tensor:
    """Share of the examples whose predicted class is not the label, in [0, 1]; shape (...).

    Raises:
        DomainError: logits or labels outside their domain (see the module).
    """
    z = as_logits(logits)
    return (z.argmax(-1) != as_labels(y, z)).double().mean(-1)


def nll(logits: Any, y: Any) -> torch.Tensor:
    """Mean negative log-likelihood -log p(y) of the labels, nats; shape (...).

    Raises:
        DomainError: logits or labels outside their domain (see the module).
    """
    z = as_logits(logits)
    return -of_label(z.log_softmax(-1), as_labels(y, z)).mean(-1)


def brier(logits: Any, y: Any) -> torch.Tensor:
    """Mean over examples of sum_k (p_k - 1[y = k])^2, in [0, 2]; shape (...).

    This is Brier's own convention, the sum over all classes: with two classes it is twice (p_1 - y)^2.

    Raises:
        DomainError: logits or labels outside their domain (see the module).
    """
    z = as_logits(logits)
    p = z.softmax(-1)
    # sum_k (p_k - 1[y = k])^2 = (1 - p_y)^2 + sum_{k != y} p_k^2
    return (p - torch.nn.functional.one_hot(as_labels(y, z), z.shape[-1])).square().sum(-1).mean(-1)


def overconfidence(logits: Any, y: Any) -> torch.Tensor:
    """Mean top probability minus accuracy: the signed gap, unbiased, in [-1, 1]; shape (...).

    Raises:
        DomainError: logits or labels outside their domain (see the module).
    """
    z = as_logits(logits)
    return z.softmax(-1).amax(-1).mean(-1) - 1 + error(z, y)


def temperature(logits: Any, y: Any, *, clip: tuple[float, float] | None = None) -> torch.Tensor:
    """T > 0 that minimises `nll(logits / T, y)`, to rounding; shape (...).

    Fit it on examples that are used neither for training nor for evaluation. The loss is convex in b = 1/T, with
    slope E_b[z] - z_y (the mean over examples; E_b under softmax(b z)). There is a minimum in (0, inf) unless
    every example is predicted correctly (T -> 0), or the logits are no better than none (slope >= 0 at b = 0:
    T = inf); these raise, unless `clip` = (low, high) gives the bounds to which T is then confined.

    Raises:
        DomainError: no finite minimum and no `clip`; `clip` that is not 0 < low < high < inf; logits or labels
            outside their domain.
    """
    z = as_logits(logits)
    label = as_labels(y, z)
    if clip is not None and not 0 < clip[0] < clip[1] < math.inf:
        raise DomainError(f"clip = {clip!r}: must be two bounds on the temperature, 0 < low < high < inf")
    z = z - z[..., :1]                                 # equal logits become exact zeros
    unit = z.square().mean((-2, -1)).sqrt()
    z = z / torch.where(unit > 0, unit, 1.0)[..., None, None]
    target = of_label(z, label)
    steep = (z.amax(-1) - target).mean(-1) <= 0        # slope at b = inf: 0 iff all are correct
    flat = (target - z.mean(-1)).mean(-1) <= 0         # minus the slope at b = 0
    if clip is None and (steep | flat).any():
        raise DomainError(
            f"logits: no temperature minimises the loss of {int((steep | flat).sum())} of {steep.numel()} replicas; "
            f"{int((steep & ~flat).sum())} predict every example correctly (T -> 0), {int(flat.sum())} do no better "
            "than equal probabilities (T -> inf); take more held-out examples, or bounds by clip=(low, high)")

    def slope(b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        p = (b[..., None, None] * z).softmax(-1)
        mean = (p * z).sum(-1)
        return (mean - target).mean(-1), (p * (z - mean[..., None]).square()).sum(-1).mean(-1)

    done = steep | flat
    low, b = torch.zeros_like(unit), torch.ones_like(unit)
    high = torch.full_like(unit, math.inf)
    for _ in range(200):
        first, second = slope(b)
        low, high = torch.where(first < 0, b, low), torch.where(first < 0, high, b)
        newton = b - first / second.clamp(min=1e-300)
        found = (newton - b).abs() <= 1e-9 * b         # convergence is quadratic: the next error is below 1e-16
        found |= high - low <= 1e-12 * b               # the slope is down to rounding
        inside = found | ((newton > low) & (newton < high) & (newton <= 2 * b))
        halfway = torch.where(high.isinf(), 2 * b, (low + high) / 2)
        b, done = torch.where(done, b, torch.where(inside, newton.clamp(low, high), halfway)), done | found
        if done.all():
            break
    T = torch.where(flat, math.inf, torch.where(steep, 0.0, unit / b))
    return T if clip is None else T.clamp(*clip)
