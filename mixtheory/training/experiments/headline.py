r"""The headline: empirical risk minimisation against mixup, same network, same epochs, same seeds, same schedule.

Fixed before any recorded run: the primary comparison is the test error of ERM less that of mixup at alpha = 1, seed
by seed, at the last epoch and as the median of the last ten (`gain`, `gain_median`, in percentage points; positive
means that mixup has fewer errors). Nothing is selected on test data. All arms share one recipe; none is tuned.
Everything else is told for each arm: calibration before and after temperature scaling, membership, gradients,
curvature, segments between classes, and statistics within batches (see `_networks`). What theory predicts for these
networks is tested: mixing the last hidden layer of a trained network multiplies its covariance within batches by
`batch_factor`, however the network was trained.

`quick` trains small networks on random halves of the training part, so that the half left out can be attacked, with
label smoothing matched to mixup and annealed alpha as further arms. `full` on CIFAR-10 is PreAct ResNet-18 on all
training images, one piece a network, and small convolutional networks on halves as shadow models of one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from mixtheory import paths
from mixtheory.evidence.record import Measurement, Observation
from mixtheory.theory.covariance_batch import batch_factor
from mixtheory.theory.labels_smoothing import smoothing_by_entropy, smoothing_by_mean
from mixtheory.training.arms import ERM, Arm
from mixtheory.training.engine import Trained, train
from mixtheory.training.experiments._networks import SCHEME, UNITS, Depth, dissected, judged
from mixtheory.training.inputs import split
from mixtheory.training.models import Model, cnn, mlp, preact_resnet18
from mixtheory.training.recipes import Recipe
from mixtheory.training.replicas import device_of, generators

DATASETS = ("digits", "fashion_mnist", "cifar10")
ALPHA = 1.0
FACTOR_MARGIN = 0.02
MEMBERS, LOOK = 7, 8                # streams of a seed
LAST = 10                           # epochs whose median is taken

ARMS = {"ERM": ERM, "mixup": Arm(ALPHA), "mixup 0.2": Arm(0.2), "annealed": Arm(ALPHA, anneal="linear"),
        "smoothing (mean)": Arm(smoothing=float(smoothing_by_mean(ALPHA))),
        "smoothing (entropy)": Arm(smoothing=float(smoothing_by_entropy(ALPHA, 10)))}
PRIMARY = ("ERM", "mixup")


@dataclass(frozen=True)
class Group:
    """Networks that are trained and measured in the same way.

    arms: names in ARMS. halves: each seed trains on a random half. apart: one piece a network instead of one
    program. train, test: keep only so many examples.
    """

    model: Model
    recipe: Recipe
    depth: Depth
    arms: tuple[str, ...] = PRIMARY
    seeds: tuple[int, ...] | None = None
    halves: bool = False
    apart: bool = False
    train: int | None = None
    test: int | None = None


RATE = {"rate": 0.1, "schedule": "cosine", "decay": 1e-4}      # as Zhang et al. (2018), but for the schedule
SMALL = Group(mlp(64, 64, norm=True), Recipe(epochs=30, batch=64, **RATE), Depth(networks=4), tuple(ARMS), halves=True)
RESNET = Group(preact_resnet18(), Recipe(epochs=80, batch=128, augment=True, precision="bfloat16", **RATE),
               Depth(networks=2, batches=64, batch=128, examples=512, pairs=512), apart=True, seeds=(0, 1))
SHADOWS = Group(cnn(32), Recipe(epochs=20, batch=128, augment=True, precision="bfloat16", **RATE),
                Depth(networks=0), halves=True)

SIZES: dict[str, dict[str, dict[str, Group]]] = {
    "quick": {
        "digits": {"mlp": SMALL},
        "fashion_mnist": {"mlp": replace(SMALL, recipe=replace(SMALL.recipe, epochs=15), arms=PRIMARY,
                                         depth=Depth(networks=8), train=3000, test=2000)},
        "cifar10": {"mlp": replace(SMALL, recipe=replace(SMALL.recipe, epochs=10), arms=PRIMARY,
                                   depth=Depth(networks=8), train=3000, test=2000)}},
    "full": {
        "digits": {"mlp": replace(SMALL, recipe=replace(SMALL.recipe, epochs=200))},
        "fashion_mnist": {"mlp": replace(SMALL, model=mlp(128, 128, norm=True), arms=tuple(ARMS),
                                         recipe=replace(SMALL.recipe, epochs=20, batch=128))},
        "cifar10": {"resnet": RESNET, "shadows": SHADOWS}},
}
VALUE = {"cifar10": 10.0, "fashion_mnist": 2.0, ("cifar10", "full", "cpu"): 0.0}        # days on a CPU
MINUTES = {("cifar10", "full", "cuda"): 16.0, ("cifar10", "full", "cpu"): 6000.0,
           ("fashion_mnist", "full", "cuda"): 1.0, ("fashion_mnist", "full", "cpu"): 8.0,
           ("digits", "full", "cpu"): 1.0, ("digits", "full", "cuda"): 0.5}


def pieces(dataset: str, size: dict[str, dict[str, Group]]) -> tuple[str, ...]:
    """One for each group of networks, or for each network of a group that is trained apart, pair by pair."""
    names: list[str] = []
    for name, group in size[dataset].items():
        names += [f"{name},{arm},{seed}" for seed in group.seeds or () for arm in group.arms] if group.apart else [name]
    return tuple(names)


def measure_piece(piece: str, dataset: str, *, size: dict[str, dict[str, Group]], device: str, seeds: Sequence[int],
                  progress: Callable[..., Any] | None = None) -> dict[str, Any]:
    """Train and measure: {arm: {measured: one number a seed}}."""
    name, *one = piece.split(",")
    group = size[dataset][name]
    arms = (one[0],) if one else group.arms
    seeds = (int(one[1]),) if one else tuple(group.seeds or seeds)
    where = device_of(device)
    data = split(dataset, device=where, train=group.train, test=group.test)
    members = _members(len(data.x), seeds, where, halves=group.halves)
    trained = train(group.model, data, arms=[ARMS[arm] for arm in arms], seeds=seeds, recipe=group.recipe,
                    members=members.repeat(len(arms), 1), watch=LAST, progress=progress,
                    checkpoint=paths.BUILD / "checkpoints" / f"headline.{dataset}.{piece}.{device}.pt" if one else None)
    found = judged(trained, data, members.repeat(len(arms), 1))
    inside = [[dissected(trained.module(trained.replica(a, k)), data, members[k], ALPHA, group.depth, rng)
               for k, rng in enumerate(generators(seeds[:group.depth.networks], where,
                                                  stream=(LOOK, list(ARMS).index(arm))))]
              for a, arm in enumerate(arms)]
    return {arm: _of_arm(trained, a, found, inside[a]) for a, arm in enumerate(arms)}


def _of_arm(trained: Trained, a: int, found: dict[str, list[float]],
            inside: list[dict[str, float]]) -> dict[str, list[float]]:
    seeds = len(trained.seeds)
    rows = {name: values[a * seeds:(a + 1) * seeds] for name, values in found.items()}
    names = set.intersection(*map(set, inside)) if inside else set()
    return rows | {name: [each[name] for each in inside] for name in sorted(names)}


def _members(examples: int, seeds: Sequence[int], device: torch.device, *, halves: bool) -> torch.Tensor:
    """(seeds, m) training examples: a random half for each seed, or all."""
    if not halves:
        return torch.arange(examples, device=device).expand(len(seeds), -1)
    return torch.stack([torch.randperm(examples, generator=rng, device=device)[:examples // 2]
                        for rng in generators(seeds, device, stream=MEMBERS)])


def conclude(dataset: str, *, size: dict[str, dict[str, Group]], seeds: Sequence[int],
             found: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """The record: the primary comparison first, then every number of every arm."""
    config: dict[str, Any] = {}
    measurements: list[Measurement] = []
    observations: list[Observation] = []
    for name, group in size[dataset].items():
        table: dict[str, dict[str, list[float]]] = {}
        for piece, result in found.items():
            if piece.split(",")[0] == name:
                for arm, numbers in result.items():
                    for measured, values in numbers.items():
                        table.setdefault(arm, {}).setdefault(measured, []).extend(values)
        config[name] = _described(group, seeds)
        if all(arm in table for arm in PRIMARY):
            for label, measured in (("gain", "error"), ("gain_median", "error_median")):
                gain = 100 * np.subtract(*(table[arm][measured] for arm in PRIMARY))
                observations.append(Observation(label, {"networks": name}, tuple(gain.tolist()), "percentage points"))
        factors = [value for numbers in table.values() for value in numbers.get("hidden_factor", ())]
        if len(factors) > 1:
            n = group.depth.batch
            measurements.append(Measurement(
                "hidden_factor", "covariance.batch_distinct_element",
                {"networks": name, "alpha": ALPHA, "n": n, **SCHEME}, tuple(factors),
                float(batch_factor(ALPHA, n, **SCHEME)), FACTOR_MARGIN, UNITS["hidden_factor"]))
        observations += [Observation(measured, {"networks": name, "arm": arm}, tuple(values), UNITS[measured])
                         for arm, numbers in table.items() for measured, values in numbers.items()
                         if measured != "hidden_factor"]
    return config, measurements, observations


def _described(group: Group, seeds: Sequence[int]) -> dict[str, Any]:
    return {"model": group.model.name, "recipe": vars(group.recipe), "arms": {a: vars(ARMS[a]) for a in group.arms},
            "seeds": list(group.seeds or seeds), "halves": group.halves, "train": group.train, "test": group.test,
            "measured": {"alpha": ALPHA, **SCHEME, **vars(group.depth)}}
