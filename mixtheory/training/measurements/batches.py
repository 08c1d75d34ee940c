r"""What mixing does to the statistics of a batch at any layer: covariance within a batch, running statistics.

The covariance of a batch has 1/n, and an activation (n, ...) counts as n vectors of all its numbers. Where the layers
up to the one looked at are affine, or where mixing is done at that layer, the expected trace is `batch_factor` times
that of the unmixed batch, for any fixed batch in random order; behind a nonlinearity it is not.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from mixtheory.domain import DomainError, check_count
from mixtheory.mixing import Law, symmetric
from mixtheory.mixup import mix
from mixtheory.pairing import lambdas, partners
from mixtheory.training.measurements.gradients import Measured, check_evaluation

__all__ = ["CovarianceRatio", "NormRatio", "RunningStatistics", "activation", "batch_covariance", "batch_trace",
           "covariance_ratio", "running_ratio", "running_statistics"]


class CovarianceRatio(NamedTuple):
    """Means over batches of the trace (or matrix) within a batch, unmixed and mixed, and the ratio of the traces.

    Attributes:
        ratio: mean mixed trace over mean unmixed trace, with its standard error over batches.
        clean: mean trace without mixing, squared units of the activation.
        mixed: mean trace with mixing.
        matrices: the mean covariance matrices (clean, mixed), each (F, F) float64, if `full` asked for them.
    """

    ratio: Measured
    clean: float
    mixed: float
    matrices: tuple[torch.Tensor, torch.Tensor] | None


class RunningStatistics(NamedTuple):
    """Plain averages over batches of the mean (C,) and of the unbiased variance (C,) that BatchNorm saw."""

    mean: torch.Tensor
    var: torch.Tensor


class NormRatio(NamedTuple):
    """running_var with mixing over running_var without: by channel (C,), and of the sums over channels."""

    channels: torch.Tensor
    pooled: float


# --- covariance within a batch ------------------------------------------------------------------------------

def batch_covariance(a: torch.Tensor) -> torch.Tensor:
    """Covariance (F, F) with 1/n of the rows of a (n, ...), flattened to F numbers each; float64.

    Raises:
        DomainError: fewer than 2 rows.
    """
    c = _centred(a)
    return c.T @ c / len(c)


def batch_trace(a: torch.Tensor) -> torch.Tensor:
    """Trace of `batch_covariance`, without forming the matrix; a scalar tensor, float64.

    Raises:
        DomainError: fewer than 2 rows.
    """
    c = _centred(a)
    return c.square().sum() / len(c)


def activation(module: torch.nn.Module, x: torch.Tensor, *, layer: str = "", partner: Any = None, lam: Any = None,
               at: str = "") -> torch.Tensor:
    """Output (n, ...) of a named layer for one batch, mixed at the input or at the output of another layer.

    Args:
        module: any module; its parameters, buffers and modes are left as they are. BatchNorm may be in training mode.
        x: (n, ...) batch, n >= 2.
        layer: the name of the layer whose output is wanted, as in `named_modules`; "" is the input itself.
        partner: (n,) integer indices as for `mix`; None for no mixing.
        lam: weights as for `mix`, with partner.
        at: where to mix: the output of this layer; "" is the input.

    Raises:
        DomainError: unknown layer, one that is not called, that is called twice or whose output is no tensor of n rows;
            Dropout in training mode; partner without lam or the reverse.
    """
    check_count(len(x), "n")
    check_evaluation(module, batch_statistics=True)
    if (partner is None) != (lam is None):
        raise DomainError("partner, lam: must be given together")
    if partner is not None and at == "":
        x = mix(x, partner, lam)
    if layer == "":
        return x
    seen: dict[str, list[torch.Tensor]] = {layer: [], at: []}

    def mixed(name: str, output: torch.Tensor) -> torch.Tensor:
        return output if partner is None or name != at else mix(output, partner, lam)

    def hook(name: str) -> Any:
        def after(_: Any, __: Any, output: Any) -> Any:
            if not isinstance(output, torch.Tensor) or len(output) != len(x):
                raise DomainError(f"layer {name!r}: its output must be a tensor with one row an example")
            result = mixed(name, output)
            seen[name].append(result)
            return result
        return after

    buffers = {name: b.clone() for name, b in module.named_buffers()}
    with torch.no_grad(), _hooks(module, {name: hook(name) for name in seen if name != ""}):
        functional_call(module, buffers, (x,))
    for name, outputs in seen.items():
        if name != "" and len(outputs) != 1:
            raise DomainError(f"layer {name!r}: is called {len(outputs)} times in one pass; must be called once")
    return seen[layer][0]


def covariance_ratio(module: torch.nn.Module, batches: Iterable[torch.Tensor], *, alpha: float | Law,
                     rng: torch.Generator, pairing: str = "permutation", sharing: str = "batch", layer: str = "",
                     at: str = "", full: bool = False) -> CovarianceRatio:
    """Trace of the covariance within a batch at a layer: mean with mixing over mean without.

    Every batch is put in random order first, as the factors of theory assume. Fails to be their measurement where the
    layer sees mixing through a nonlinearity.

    Args:
        module: as in `activation`.
        batches: at least 2 batches (n, ...) on the device of the module, taken as independent; gone through once.
        alpha: parameter of Beta(alpha, alpha), or a law.
        rng: torch.Generator on that device.
        pairing: see `mixtheory.pairing`.
        sharing: how lambda is shared.
        layer: where to look; "" is the input.
        at: where to mix; "" is the input.
        full: also the mean covariance matrices.

    Returns:
        `CovarianceRatio`; its standard error is that of a ratio of means. With one lambda a batch the spread of a
        single batch is about that of S = lambda^2 + (1 - lambda)^2, whatever the size of the batch.

    Raises:
        DomainError: fewer than 2 batches, an activation that is constant, and as `activation` and `mixup`.
    """
    law = alpha if isinstance(alpha, Law) else symmetric(alpha)
    traces: list[torch.Tensor] = []
    matrices: list[torch.Tensor] = []
    for batch in batches:
        n = len(batch)
        x = batch[torch.randperm(n, generator=rng, device=rng.device).to(batch.device)]
        draw = {"partner": partners(pairing, n, rng=rng),
                "lam": lambdas(law, n, sharing=sharing, rng=rng, pairing=pairing)}
        pair = (activation(module, x, layer=layer), activation(module, x, layer=layer, at=at, **draw))
        traces.append(torch.stack([batch_trace(a) for a in pair]))
        if full:
            both = [batch_covariance(a) for a in pair]
            matrices = [old + new for old, new in zip(matrices, both, strict=True)] if matrices else both
    check_count(len(traces), "batches")
    values = torch.stack(traces).cpu()
    return CovarianceRatio(_ratio_of_means(values[:, 1], values[:, 0]), *values.mean(0).tolist(),
                           tuple(m / len(values) for m in matrices) if full else None)


def _ratio_of_means(top: torch.Tensor, bottom: torch.Tensor) -> Measured:
    """mean top / mean bottom; se = sd(top - ratio bottom) / (sqrt(count) mean bottom)."""
    if not float(bottom.mean()) > 0:
        raise DomainError("layer: its output is the same for every example, so that there is no covariance to compare")
    ratio = top.mean() / bottom.mean()
    spread = (top - ratio * bottom).square().sum() / (len(top) - 1)
    return Measured(float(ratio), float(spread.sqrt() / (math.sqrt(len(top)) * bottom.mean())))


def _centred(a: torch.Tensor) -> torch.Tensor:
    check_count(len(a), "n")
    rows = a.detach().double().reshape(len(a), -1)
    if not bool(rows.isfinite().all()):
        raise DomainError("layer: its output is not finite on these inputs")
    return rows - rows.mean(0)


@contextmanager
def _hooks(module: torch.nn.Module, hooks: dict[str, Any]) -> Iterator[None]:
    """Forward hooks by the name of the layer, removed in the end."""
    layers, handles = dict(module.named_modules()), []
    try:
        for name, hook in hooks.items():
            if name not in layers:
                raise DomainError(f"layer = {name!r}: must be one of {', '.join(filter(None, layers))}")
            handles.append(layers[name].register_forward_hook(hook))
        yield
    finally:
        for handle in handles:
            handle.remove()


# --- BatchNorm ----------------------------------------------------------------------------------------------

def running_statistics(module: torch.nn.Module, batches: Iterable[torch.Tensor]) -> dict[str, RunningStatistics]:
    """Running statistics of every BatchNorm layer, recomputed as plain averages over batches (momentum=None).

    On a copy in evaluation mode but for BatchNorm: the statistics and modes of the module stay as they are.

    Args:
        module: with at least one BatchNorm layer that tracks running statistics.
        batches: inputs (n, ...), n >= 2, mixed or not; gone through once.

    Returns:
        `RunningStatistics` by the name of the layer; each batch weighs the same.

    Raises:
        DomainError: no such layer, no batch, a batch of one, a layer that is not called once a batch.
    """
    twin = copy.deepcopy(module).eval()
    norms = {name: layer for name, layer in twin.named_modules()
             if isinstance(layer, _BatchNorm) and layer.running_var is not None}
    if not norms:
        raise DomainError("module: has no BatchNorm layer with running statistics")
    for layer in norms.values():
        layer.train()
        layer.momentum = None
        layer.reset_running_stats()
    count = 0
    with torch.no_grad():
        for x in batches:
            check_count(len(x), "n")
            twin(x)
            count += 1
    check_count(count, "batches", least=1)
    for name, layer in norms.items():
        if int(layer.num_batches_tracked) != count:
            raise DomainError(f"layer {name!r}: is called {int(layer.num_batches_tracked)} times in {count} batches; "
                              "must be called once a batch")
    return {name: RunningStatistics(layer.running_mean, layer.running_var) for name, layer in norms.items()}


def running_ratio(module: torch.nn.Module, clean: Iterable[torch.Tensor],
                  mixed: Iterable[torch.Tensor]) -> dict[str, NormRatio]:
    """running_var on mixed batches over running_var on clean ones, for every BatchNorm layer.

    `(mixup(x, alpha=1.0, rng=rng).x for x in batches)` makes the mixed ones. With affine maps before the layer only, a
    channel of `BatchNorm1d` on (n, C) has the factor f = `batch_factor` as expectation. `BatchNorm2d` pools examples
    and positions, and the batch's mean image is not mixed away: with a share p of the variance that is between its
    positions, the factor of a channel is f (1 - p) + p with one lambda a batch.

    Args:
        module: as in `running_statistics`.
        clean: inputs without mixing.
        mixed: inputs with mixing.

    Returns:
        `NormRatio` by the name of the layer, dimensionless.

    Raises:
        DomainError: as in `running_statistics`; a channel that is constant on the clean batches.
    """
    before, after = running_statistics(module, clean), running_statistics(module, mixed)
    result = {}
    for name, (_, var) in before.items():
        if not bool((var > 0).all()):
            raise DomainError(f"layer {name!r}: has a channel that is constant on the clean batches")
        result[name] = NormRatio(after[name].var / var, float(after[name].var.sum() / var.sum()))
    return result
