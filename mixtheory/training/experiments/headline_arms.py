r"""Further arms of the headline on CIFAR-10, for when there is time: alpha = 0.2, and five times the weight decay.

The same networks, recipe, seeds and measurements as in `headline`, whose record holds ERM and mixup at alpha = 1 with
the smaller decay; ERM of one seed there is the partner of `mixup 0.2` of the same seed here. Fixed before any recorded
run: the gain at the larger decay, seed by seed, as there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.training.experiments import headline

DATASETS = ("cifar10",)
SIZES = {"full": {"cifar10": {
    "decayed": replace(headline.RESNET, recipe=replace(headline.RESNET.recipe, decay=5e-4)),
    "resnet": replace(headline.RESNET, arms=("mixup 0.2",))}}}
VALUE = {"cifar10": 3.0, ("cifar10", "full", "cpu"): 0.0}
MINUTES = {("cifar10", "full", "cuda"): 20.0, ("cifar10", "full", "cpu"): 8000.0}


def pieces(dataset: str, size: dict[str, dict[str, headline.Group]]) -> tuple[str, ...]:
    """One a network; a file's name has no blanks."""
    return tuple(name.replace(" ", "_") for name in headline.pieces(dataset, size))


def measure_piece(piece: str, dataset: str, **how: Any) -> dict[str, Any]:
    """As in `headline`."""
    return headline.measure_piece(piece.replace("_", " "), dataset, **how)


def conclude(dataset: str, **how: Any) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """As in `headline`; a group without ERM has no gain."""
    return headline.conclude(dataset, **how)
