"""How networks are trained: loss, optimiser, schedule, the same for every replica of a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mixtheory.domain import DomainError, check_count, check_member, check_positive

__all__ = ["LOSSES", "Recipe", "optimiser"]

OPTIMISERS = ("sgd", "adamw")
SCHEDULES = ("constant", "cosine", "one-cycle")
PRECISIONS = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}
WARM_UP = 0.2                       # share of the steps in which one-cycle rises


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of soft targets, nats: (..., n, K) twice -> (..., n).

    The classes are moved to the second-last place first: over a short last axis torch's log-softmax takes ten
    times as long.
    """
    return -(torch.log_softmax(logits.mT, -2) * target.mT).sum(-2)


def squared(outputs: Tensor, target: Tensor) -> Tensor:
    """Half the squared error summed over outputs: (..., n, K) twice -> (..., n)."""
    return (outputs - target).square().sum(-1) / 2


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"cross-entropy": cross_entropy, "squared": squared}


@dataclass(frozen=True)
class Recipe:
    """How all replicas of a program are trained: the same for every arm.

    epochs, batch: counts; the rest of an epoch after whole batches is dropped.
    rate: the (largest) learning rate. schedule: constant, cosine (to 0) or one-cycle.
    optimizer: sgd (with momentum, Nesterov if asked for) or adamw.
    decay: weight decay of all parameters. Coupled (sgd): added to the gradient as decay x parameter. Decoupled
    (adamw always, sgd if `decoupled`): parameters shrink by rate x decay in each step.
    augment: crops by up to 4 pixels and mirror images. loss: cross-entropy or squared.
    precision: float32, float64, or bfloat16 (forward pass in bfloat16, parameters and loss in float32).

    Raises:
        DomainError: values outside these domains.
    """

    epochs: int
    batch: int
    rate: float
    optimizer: str = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    decay: float = 0.0
    decoupled: bool = False
    schedule: str = "constant"
    augment: bool = False
    loss: str = "cross-entropy"
    precision: str = "float32"

    def __post_init__(self) -> None:
        check_count(self.epochs, "epochs", least=1)
        check_count(self.batch, "batch")
        check_positive(self.rate, "rate")
        for name, members in (("optimizer", OPTIMISERS), ("schedule", SCHEDULES), ("loss", tuple(LOSSES)),
                              ("precision", tuple(PRECISIONS))):
            check_member(getattr(self, name), members, name)
        for name, high in (("momentum", 1), ("decay", float("inf"))):
            if not 0 <= getattr(self, name) < high:
                raise DomainError(f"{name} = {getattr(self, name)}: must lie in [0, {high})")
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise DomainError("nesterov = True: needs optimizer = 'sgd' and momentum > 0")

    @property
    def dtype(self) -> torch.dtype:
        """Of the parameters."""
        return PRECISIONS[self.precision]


def optimiser(parameters: Sequence[nn.Parameter], recipe: Recipe, steps: int) -> tuple[Any, Any]:
    """The optimiser of torch.optim and its schedule over so many steps; stacked or plain parameters alike.

    On a CPU not the fused one: it rounds the last elements of a tensor differently, so that a replica would
    depend on its neighbours.

    Raises:
        DomainError: one-cycle over so few steps that it has no room to rise.
    """
    if recipe.schedule == "one-cycle" and WARM_UP * steps <= 1:
        raise DomainError(f"schedule = 'one-cycle' over {steps} steps: must be more than {1 / WARM_UP:g}")
    fused = parameters[0].is_cuda
    if recipe.optimizer == "adamw":
        optimizer: Any = torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=recipe.decay, fused=fused,
                                               foreach=not fused)
    else:
        optimizer = torch.optim.SGD(parameters, lr=recipe.rate, momentum=recipe.momentum, nesterov=recipe.nesterov,
                                    weight_decay=0.0 if recipe.decoupled else recipe.decay, fused=fused,
                                    foreach=not fused)
        if recipe.decoupled and recipe.decay:
            @torch.no_grad()
            def shrink(optimizer: Any, *_: Any) -> None:
                torch._foreach_mul_(list(parameters), 1 - optimizer.param_groups[0]["lr"] * recipe.decay)
            optimizer.register_step_pre_hook(shrink)
    schedules = torch.optim.lr_scheduler
    if recipe.schedule == "cosine":
        return optimizer, schedules.CosineAnnealingLR(optimizer, T_max=steps)
    if recipe.schedule == "one-cycle":
        return optimizer, schedules.OneCycleLR(optimizer, recipe.rate, total_steps=steps, pct_start=WARM_UP,
                                               cycle_momentum=False)
    return optimizer, None
