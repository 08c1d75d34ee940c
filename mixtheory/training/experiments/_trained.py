"""The networks that several experiments look into: trained by the engine, all replicas as one program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mixtheory.training.arms import Arm
from mixtheory.training.engine import Trained, train
from mixtheory.training.inputs import Split, split
from mixtheory.training.models import Model, mlp
from mixtheory.training.recipes import Recipe
from mixtheory.training.replicas import device_of

__all__ = ["HIDDEN", "MLP", "Training", "networks"]

MLP = mlp(64, 32, norm=True)
HIDDEN = {"linear": "1", "first hidden": "3", "second hidden": "6", "output": "7"}      # layers of MLP by name
BATCH = 64


@dataclass(frozen=True)
class Training:
    """Epochs, and how many training examples are kept (the first ones; digits has few and keeps all)."""

    epochs: int
    train: int


def networks(dataset: str, arms: Sequence[Arm], training: Training, *, device: str, seeds: Sequence[int],
             model: Model = MLP, progress: Callable[..., Any] | None = None) -> tuple[Split, Trained, dict[str, Any]]:
    """The data, the networks of arms x seeds, and how they were trained, for the configuration of a record.

    One recipe for every arm: SGD with momentum, cosine schedule, the last epoch. Nothing is tuned.
    """
    data = split(dataset, device=device_of(device), train=None if dataset == "digits" else training.train)
    recipe = Recipe(epochs=training.epochs, batch=BATCH, rate=0.1, schedule="cosine")
    trained = train(model, data, arms=arms, seeds=seeds, recipe=recipe, progress=progress)
    loss = trained.history["loss"][-1].view(len(arms), -1).mean(1)          # of the last epoch, nats
    config = {"model": model.name, "recipe": asdict(recipe), "arms": [asdict(arm) for arm in arms],
              "examples": len(data.x), "loss": loss.tolist()}
    return data, trained, config
