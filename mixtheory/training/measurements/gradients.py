r"""How noisy the gradient of a module's loss is: E g, tr Cov(g) and the noise scale N = tr Cov(g) / |E g|^2.

The unit is an example (`example_noise`) or a batch (`batch_noise`, the unit where mixing ties examples together). With
G = sum of g_i and Q = sum of |g_i|^2 over n independent units, both estimates are unbiased:

    tr Cov(g) = (Q - |G|^2 / n) / (n - 1),        |E g|^2 = (|G|^2 - Q) / (n (n - 1)),

the second being the mean of g_i . g_j over i != j; |G / n|^2 alone is too large by tr Cov(g) / n. Only sums are kept,
in float64. Standard errors are those of the jackknife that leaves out one of `groups` interleaved groups of units.

Source: McCandlish, Kaplan, Amodei et al. (2018), appendix A (noise scale; from memory); Efron and Stein (1981).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch.func import functional_call, grad, vmap
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from mixtheory.domain import DomainError, check_count, check_member, check_same_length, check_simplex
from mixtheory.training.recipes import LOSSES

__all__ = ["GradientNoise", "Loss", "Measured", "batch_noise", "check_evaluation",
           "check_targets", "example_noise", "functional_loss"]

GROUPS = 32
NUMBERS = 2**24         # entries of per-example gradients held at a time

Loss = str | Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Measured(NamedTuple):
    """A measured number and its standard error."""

    value: float
    se: float


class GradientNoise(NamedTuple):
    """What `example_noise` and `batch_noise` return; P trainable parameters in the order of `named_parameters`.

    Attributes:
        mean: mean gradient (P,), float64.
        trace: tr Cov(g) of one unit (an example, or a batch); squared units of the gradient.
        mean_square: |E g|^2, unbiased, so that it may be negative where the mean gradient is lost in the noise.
        scale: N = trace / mean_square, in units; inf (with se inf) where mean_square <= 0.
        units: how many units went in.
        covariance: Cov(g) (P, P) with 1/(units - 1), float64, where `full` asked for it, else None.
    """

    mean: torch.Tensor
    trace: Measured
    mean_square: Measured
    scale: Measured
    units: int
    covariance: torch.Tensor | None


def example_noise(module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, *, loss: Loss = "cross-entropy",
                  chunk: int | None = None, groups: int = GROUPS, full: bool = False) -> GradientNoise:
    """Mean, covariance trace and noise scale of the gradient of one example's loss.

    Assumes independent examples. Fails where examples share a batch mean or variance: a loss of one example does not
    exist under BatchNorm in training mode.

    Args:
        module: maps (n, ...) to outputs (n, K); in evaluation mode wherever that matters. It is not changed.
        x: (n, ...) inputs on the module's device, n >= 3.
        y: (n, K) soft labels on the simplex for `cross-entropy` (nats), targets like the outputs for `squared`
            (half the squared error, summed over outputs), or what a loss of your own takes.
        loss: one of `LOSSES`, or a function of outputs (n, ...) and y (n, ...) that returns the n losses.
        chunk: examples whose gradients are held at a time; by default about 2^24 numbers.
        groups: groups of the jackknife; the standard errors have groups - 1 degrees of freedom.
        full: also the covariance matrix (P, P).

    Returns:
        `GradientNoise`; where E g = 0 the standard error of mean_square is up to sqrt(2) too large.

    Raises:
        DomainError: BatchNorm or Dropout in training mode, no trainable parameter, n < 3, labels off the simplex, a
            loss that does not return one number an example, a gradient that is not finite.
    """
    check_count(check_same_length(x=x, y=y), "n", least=3)
    losses, params = functional_loss(module, loss)
    check_targets(loss, y)
    size = sum(p.numel() for p in params.values())
    chunk = int(check_count(chunk or max(1, NUMBERS // size), "chunk", least=1))
    sums = _Sums(size, x.device, groups, full)
    each = vmap(grad(lambda p, one, target: losses(p, one[None], target[None])[0]), in_dims=(None, 0, 0))
    for part, targets in zip(x.split(chunk), y.split(chunk), strict=True):
        sums.add(torch.cat([g.detach().flatten(1) for g in each(params, part, targets).values()], 1))
    return sums.result()


def batch_noise(module: torch.nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], *,
                loss: Loss = "cross-entropy", groups: int = GROUPS, full: bool = False) -> GradientNoise:
    """Mean, covariance trace and noise scale of the gradient of a batch's mean loss.

    Assumes independent batches. BatchNorm may be in training mode: the batch is the unit, and running statistics are
    left as they were.

    Args:
        module: as in `example_noise`.
        batches: at least 3 pairs (x, y) of any size, gone through once; a generator that mixes will do.
        loss: as in `example_noise`; averaged over the batch.
        groups: groups of the jackknife.
        full: also the covariance matrix (P, P).

    Returns:
        `GradientNoise` with the batch as unit: trace is tr Cov of the batch gradient, not divided by anything.

    Raises:
        DomainError: fewer than 3 batches, Dropout in training mode, no trainable parameter, labels off the simplex.
    """
    losses, params = functional_loss(module, loss, batch_statistics=True)
    params = {name: p.requires_grad_() for name, p in params.items()}
    sums: _Sums | None = None
    check_count(groups, "groups", least=3)
    for x, y in batches:
        check_same_length(x=x, y=y)
        check_targets(loss, y)
        with torch.enable_grad():
            g = torch.autograd.grad(losses(params, x, y).mean(), list(params.values()))
        flat = torch.cat([part.flatten() for part in g])
        sums = sums or _Sums(len(flat), flat.device, groups, full)
        sums.add(flat[None])
    if sums is None or sums.seen < 3:
        raise DomainError(f"batches = {0 if sums is None else sums.seen} batches: must be at least 3")
    return sums.result()


class _Sums:
    """Streaming sums over units: unit i belongs to group i mod `groups`."""

    def __init__(self, size: int, device: torch.device, groups: int, full: bool) -> None:
        check_count(groups, "groups", least=3)
        self.seen, wide = 0, {"dtype": torch.float64, "device": device}
        self.count, self.square = torch.zeros(groups, **wide), torch.zeros(groups, **wide)
        self.total = torch.zeros(groups, size, **wide)
        self.outer = torch.zeros(size, size, **wide) if full else None

    def add(self, g: torch.Tensor) -> None:
        g = g.double()
        group = torch.arange(self.seen, self.seen + len(g), device=g.device) % len(self.count)
        self.count.index_add_(0, group, torch.ones_like(group, dtype=g.dtype))
        self.square.index_add_(0, group, g.square().sum(1))
        self.total.index_add_(0, group, g)
        if self.outer is not None:
            self.outer += g.T @ g
        self.seen += len(g)

    def result(self) -> GradientNoise:
        used = min(len(self.count), self.seen)
        count, square, total = self.count[:used], self.square[:used], self.total[:used]
        n, Q, G = count.sum(), square.sum(), total.sum(0)
        norm = G @ G
        if not math.isfinite(float(norm + Q)):
            raise DomainError("module: its gradient is not finite on these inputs")
        # |G - G_b|^2 = |G|^2 - 2 G . G_b + |G_b|^2
        left = _estimates(n - count, norm - 2 * total @ G + total.square().sum(1), Q - square)
        trace, mean_square, scale = (
            Measured(float(value), _jackknife(without)) for value, without in
            zip(_estimates(n, norm, Q), left, strict=True))
        covariance = None if self.outer is None else (self.outer - torch.outer(G, G) / n) / (n - 1)
        return GradientNoise(G / n, trace, mean_square, scale, self.seen, covariance)


def _estimates(n: torch.Tensor, norm: torch.Tensor, Q: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """tr Cov(g), |E g|^2 and N from n, |G|^2 and Q; elementwise."""
    trace, mean_square = (Q - norm / n) / (n - 1), (norm - Q) / (n * (n - 1))
    return trace, mean_square, torch.where(mean_square > 0, trace / mean_square, math.inf)


def _jackknife(without: torch.Tensor) -> float:
    """Standard error from the values (B,) with one group left out: sqrt((B - 1)/B sum (v - mean v)^2)."""
    if not bool(without.isfinite().all()):
        return math.inf
    return float(((len(without) - 1) * without.var(correction=0)).sqrt())


# --- a module's loss as a function of its parameters --------------------------------------------------------

def functional_loss(module: torch.nn.Module, loss: Loss, *, batch_statistics: bool = False) \
        -> tuple[Callable[..., torch.Tensor], dict[str, torch.Tensor]]:
    """(params, x, y) -> losses (n,), and the trainable parameters by name, detached.

    Args:
        module: any module; parameters with requires_grad are the variables, all else is held fixed.
        loss: one of `LOSSES`, or a function of outputs and targets that returns the losses (n,).
        batch_statistics: allow BatchNorm in training mode, on copies of its buffers.

    Raises:
        DomainError: layers in training mode that have no such loss, no trainable parameter, unknown loss.
    """
    check_evaluation(module, batch_statistics=batch_statistics)
    if isinstance(loss, str):
        check_member(loss, tuple(LOSSES), "loss")
    of = LOSSES[loss] if isinstance(loss, str) else loss
    named = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    if not named:
        raise DomainError("module: has no parameter with requires_grad; there is nothing to differentiate")
    fixed = {name: p.detach() for name, p in module.named_parameters() if name not in named}
    buffers = dict(module.named_buffers())

    def losses(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        own = {name: b.clone() for name, b in buffers.items()} if batch_statistics else buffers
        output = functional_call(module, {**fixed, **own, **params}, (x,))
        if isinstance(loss, str) and output.shape != y.shape:
            raise DomainError(f"y of shape {tuple(y.shape)}: targets must have the shape of the outputs, "
                              f"{tuple(output.shape)}")
        result = of(output, y)
        if result.shape != (len(x),):
            raise DomainError(f"loss of shape {tuple(result.shape)}: must be one number an example ({len(x)},)")
        return result

    return losses, named


def check_evaluation(module: Any, *, batch_statistics: bool = False) -> None:
    """Refuse a module whose output for an example depends on chance or, unless allowed, on its batch.

    Raises:
        DomainError: Dropout in training mode; BatchNorm in training mode or without running statistics.
    """
    for name, layer in module.named_modules() if isinstance(module, torch.nn.Module) else ():
        if isinstance(layer, _DropoutNd) and layer.training and layer.p > 0:
            raise DomainError(f"module: {name or 'the module'} is Dropout in training mode, which draws at random; "
                              "call module.eval() first")
        if isinstance(layer, _BatchNorm) and not batch_statistics and (layer.training or layer.running_mean is None):
            raise DomainError(f"module: {name or 'the module'} is BatchNorm that uses the statistics of the batch, so "
                              "that no example has a loss or an output of its own; call module.eval() first")


def check_targets(loss: Loss, y: torch.Tensor) -> None:
    """Cross-entropy needs targets on the simplex; other losses check their own."""
    if loss == "cross-entropy":
        check_simplex(y)
