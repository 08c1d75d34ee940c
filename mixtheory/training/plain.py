"""The reference: one network trained in the ordinary way, with nothing stacked.

It shares with the engine the random numbers of its replica, the loss and torch's optimisers. Models, mixing and
the loop are the ordinary ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mixtheory.mixup import mix, soft_labels
from mixtheory.training.arms import INITIAL, Arm, block_of, draw
from mixtheory.training.inputs import Split, crop_flip, padded
from mixtheory.training.models import Model, initial_state
from mixtheory.training.recipes import LOSSES, Recipe, optimiser
from mixtheory.training.replicas import generators

__all__ = ["train_plain"]


def train_plain(model: Model, data: Split, *, arm: Arm, seed: int, recipe: Recipe,
                members: Tensor | None = None) -> nn.Module:
    """Train one replica by itself; arguments as in `engine.train`, members (m,). In evaluation mode."""
    dtype, device = recipe.dtype, data.x.device
    module = model.plain(data.x.shape[1:], data.classes)
    state = initial_state(module, generators([seed], torch.device("cpu"), stream=INITIAL))
    module.load_state_dict({name: value[0] for name, value in state.items()})
    module = module.to(device, dtype)
    members = torch.arange(len(data.x), device=device) if members is None else members
    steps, block = len(members) // recipe.batch, block_of(len(members))
    optimizer, schedule = optimiser(list(module.parameters()), recipe, recipe.epochs * steps)
    images = (padded(data) if recipe.augment else data.x).to(dtype)
    targets = data.y.to(dtype)
    if not data.y.is_floating_point():
        targets = soft_labels(data.y, data.classes, like=images) * (1 - arm.smoothing) + arm.smoothing / data.classes
    module.train()
    for first in range(0, recipe.epochs, block):
        epochs = min(block, recipe.epochs - first)
        draws = draw([arm], [seed], first=first, epochs=epochs, total=recipe.epochs, members=members[None],
                     batch=recipe.batch, augment=recipe.augment, dtype=dtype)
        for step in range(epochs * steps):
            example = draws.example[step, 0]
            x, y = images[example], targets[example]
            if draws.augment is not None:
                top, left, flip = draws.augment[step, 0].unbind(1)
                x = crop_flip(images, example, top, left, flip.bool())
            if arm.alpha:
                partner, lam = draws.partner[step, 0], draws.lam[step, 0]
                x, y = mix(x, partner, lam), mix(y, partner, lam)
            optimizer.zero_grad()
            LOSSES[recipe.loss](module(x), y).mean().backward()
            optimizer.step()
            if schedule:
                schedule.step()
    return module.eval()
