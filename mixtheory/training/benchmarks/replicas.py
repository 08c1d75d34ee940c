"""Replicas trained together against one by one: `python -m mixtheory.training.benchmarks.replicas --json FILE`.

What is compared is the time of a step of a replica in a whole training: start, drawing, mixing, gradients, optimiser.

- `engine`: `train`, all replicas as one program.
- `plain`: `train_plain`, one after the other.
- `usual`: one after the other in the words of most tutorials: torch.nn, both labels in `cross_entropy`, lambda as a
  number where it is shared.
- `vmap`: the stacked modules of `torch.func`, with the engine's batches and optimiser.

All four get the same random numbers and give the same weights to rounding. The engine is measured against the faster of
`plain` and `usual`, whose time is proportional to the number of replicas, so that a few of them are timed. Beside it:
`initial`, R initial states in bulk, against R constructors of torch.nn, and `draws`, the share of drawing in `engine`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mixtheory.domain import DomainError
from mixtheory.evidence.record import environment
from mixtheory.training.arms import ERM, INITIAL, Arm, draw
from mixtheory.training.benchmarks.timing import CONFIDENCE, finish, measure, ratio, say, synchronizer
from mixtheory.training.engine import train
from mixtheory.training.feed import Feed
from mixtheory.training.inputs import Split, split
from mixtheory.training.models import Model, cnn, initial_state, linear, mlp
from mixtheory.training.plain import train_plain
from mixtheory.training.recipes import LOSSES, Recipe, optimiser
from mixtheory.training.replicas import DEVICES, device_of, generators

__all__ = ["SIZES", "Size", "cases", "main", "usual", "vmapped"]

BOUND = 6.0         # times as many steps of replicas a second, at the sizes that are held to it
ALONE = 8           # replicas that are timed one by one
EPOCHS = 2
MIXED = (ERM, Arm(0.2), Arm(1.0, "derangement", "element"), Arm(1.0, "flip", "pair"))


@dataclass(frozen=True)
class Size:
    """What is trained on digits; `bounded` if it is held to `BOUND`."""

    model: Model
    replicas: int
    batch: int = 64
    precision: str = "float32"
    arms: tuple[Arm, ...] = (Arm(1.0),)
    bounded: bool = False

    @property
    def seeds(self) -> range:
        """One for each replica of an arm."""
        return range(self.replicas // len(self.arms))

    @property
    def recipe(self) -> Recipe:
        """SGD with momentum."""
        return Recipe(epochs=EPOCHS, batch=self.batch, rate=0.1, precision=self.precision)

    def __str__(self) -> str:
        arms = f", {len(self.arms)} arms" if len(self.arms) > 1 else ""
        return f"{self.model.name}, R {self.replicas}, batch {self.batch}, {self.precision}{arms}"


SIZES = (
    Size(mlp(64), 64, bounded=True), Size(mlp(64), 64, precision="float64", bounded=True),
    *(Size(mlp(64), replicas) for replicas in (1, 4, 16, 256)),
    Size(mlp(32), 64), Size(mlp(256), 64), Size(mlp(64), 64, batch=32), Size(mlp(64), 64, batch=256),
    Size(mlp(64), 64, arms=MIXED), Size(mlp(64, norm=True), 64), Size(linear(), 64),
    *(Size(cnn(8), replicas) for replicas in (4, 16)))


def usual(model: Model, data: Split, *, arm: Arm, seed: int, recipe: Recipe) -> nn.Module:
    """One network by cross-entropy and SGD, as tutorials have it."""
    module = model.plain(data.x.shape[1:], data.classes)
    state = initial_state(module, generators([seed], torch.device("cpu"), stream=INITIAL))
    module.load_state_dict({name: value[0] for name, value in state.items()})
    module = module.to(data.x.device, recipe.dtype).train()
    optimizer = torch.optim.SGD(module.parameters(), lr=recipe.rate, momentum=recipe.momentum)
    images, labels = data.x.to(recipe.dtype), data.y
    draws = draw([arm], [seed], **_drawn(data, recipe, 1))
    shared = arm.sharing == "batch"
    weights = draws.lam[:, 0, 0].tolist() if shared else draws.lam[:, 0]
    for example, partner, lam in zip(draws.example[:, 0], draws.partner[:, 0], weights, strict=True):
        x, y = images[example], labels[example]
        optimizer.zero_grad()
        if arm.alpha:
            w = lam if shared else lam.view(-1, *[1] * (x.ndim - 1))
            z = module(w * x + (1 - w) * x[partner])
            own, other = (F.cross_entropy(z, y, reduction="mean" if shared else "none")
                          for y in (y, y[partner]))
            loss = (lam * own + (1 - lam) * other).mean()
        else:
            loss = F.cross_entropy(module(x), y)
        loss.backward()
        optimizer.step()
    return module.eval()


def vmapped(model: Model, data: Split, *, arms: Sequence[Arm], seeds: Sequence[int], recipe: Recipe
            ) -> dict[str, Tensor]:
    """All replicas by `torch.func`; parameters and buffers by name, (R, ...)."""
    device, R = data.x.device, len(arms) * len(seeds)
    plain = model.plain(data.x.shape[1:], data.classes)
    start = initial_state(plain, generators(seeds, torch.device("cpu"), stream=INITIAL))
    state = {name: value.repeat(len(arms), *[1] * (value.ndim - 1)).to(
        device, recipe.dtype if value.is_floating_point() else None) for name, value in start.items()}
    parameters = {name: state[name].requires_grad_() for name, _ in plain.named_parameters()}
    buffers = {name: state[name] for name, _ in plain.named_buffers()}
    base = plain.to("meta").train()
    optimizer, _ = optimiser(list(parameters.values()), recipe, 0)

    def loss(own: dict[str, Tensor], kept: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return LOSSES[recipe.loss](torch.func.functional_call(base, (own, kept), (x,)), y).mean()

    losses, feed = torch.func.vmap(loss), Feed(data, arms, seeds, recipe)
    draws = draw(arms, seeds, **_drawn(data, recipe, R))
    for step in range(len(draws.lam)):
        optimizer.zero_grad()
        losses(parameters, buffers, *feed(draws, step)).sum().backward()
        optimizer.step()
    return {name: value.detach() for name, value in state.items()}


def _drawn(data: Split, recipe: Recipe, replicas: int) -> dict[str, Any]:
    members = torch.arange(len(data.x), device=data.x.device).expand(replicas, -1)
    return {"first": 0, "epochs": recipe.epochs, "total": recipe.epochs, "members": members, "batch": recipe.batch,
            "augment": False, "dtype": recipe.dtype}


def cases(size: Size, data: Split) -> dict[str, tuple[Callable[[], Any], int]]:
    """What is timed, by name, each with the number of replicas that it trains, starts or draws for."""
    model, arms, seeds, recipe, R = size.model, size.arms, size.seeds, size.recipe, size.replicas
    together = {"arms": arms, "seeds": seeds, "recipe": recipe}
    alone = [(arm, seed) for seed in seeds for arm in arms][:ALONE]
    shape, cpu = data.x.shape[1:], torch.device("cpu")
    plain = model.plain(shape, data.classes)
    return {
        "engine": (lambda: train(model, data, **together), R),
        "plain": (lambda: [train_plain(model, data, arm=arm, seed=seed, recipe=recipe) for arm, seed in alone],
                  len(alone)),
        "usual": (lambda: [usual(model, data, arm=arm, seed=seed, recipe=recipe) for arm, seed in alone], len(alone)),
        "vmap": (lambda: vmapped(model, data, **together), R),
        "draws": (lambda: draw(arms, seeds, **_drawn(data, recipe, R)), R),
        "initial": (lambda: initial_state(plain, generators(range(R), cpu, stream=INITIAL)), R),
        "constructors": (lambda: [model.plain(shape, data.classes) for _ in range(R)], R),
    }


def rows(size: Size, data: Split, rounds: int) -> Iterator[dict[str, Any]]:
    """Measure one size in one go; a row for each ratio of times of one replica, with what is required of it."""
    timed = cases(size, data)
    readings = measure({name: call for name, (call, _) in timed.items()}, rounds=rounds,
                       wait=synchronizer(data.x.device))
    times = {name: readings[name] / count for name, (_, count) in timed.items()}
    faster = min("plain", "usual", key=lambda name: ratio(times[name], times["plain"]).median)
    steps = EPOCHS * (len(data.x) // size.batch)
    wanted = [("engine", faster), ("engine", "plain"), ("engine", "usual"), ("engine", "vmap"), ("draws", "engine"),
              ("initial", "constructors")]
    for i, (call, reference) in enumerate(wanted):
        if (call, reference) in wanted[:i]:
            continue
        found = ratio(times[call], times[reference])
        bound = 1 / BOUND if size.bounded and not i else None
        yield {"size": str(size), "replicas": size.replicas, "steps": steps, "call": call, "reference": reference,
               **found._asdict(), "bound": bound, "verdict": None if bound is None else found.at_most(bound)}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a table, write JSON if asked; 1 if something required was missed."""
    parser = argparse.ArgumentParser(prog="python -m mixtheory.training.benchmarks.replicas", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--rounds", type=int, default=15, help="of timing, at least 8 (15)")
    parser.add_argument("--threads", type=int, help="of torch on a CPU (as torch chooses)")
    parser.add_argument("--only", default="", metavar="WORDS", help="sizes whose description has these words")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    options = parser.parse_args(arguments)
    table = []
    try:
        data = split("digits", device=device_of(options.device))
        if options.threads:
            torch.set_num_threads(options.threads)
        where = {**environment(options.device), "threads": torch.get_num_threads()}
        say(", ".join(f"{name} {value}" for name, value in where.items()))
        say(f"ratios of times of one replica, round by round: median [{CONFIDENCE:.0%} interval]")
        for size in (size for size in SIZES if options.only in str(size)):
            for row in rows(size, data, options.rounds):
                table.append(row)
                say(_line(row))
    except DomainError as error:
        parser.error(str(error))
    return finish(options.json, table, benchmark="replicas", device=options.device, rounds=options.rounds,
                  environment=where)


def _line(row: dict[str, Any]) -> str:
    required = "" if row["bound"] is None else f"  at most 1/{1 / row['bound']:g}: {row['verdict']}"
    return (f"{row['size']:44}  {row['call']:>8} / {row['reference']:<13} {row['median']:7.3f} "
            f"[{row['low']:.3f}, {row['high']:.3f}]  1/{1 / row['median']:<6.1f} "
            f"{1e6 * row['seconds'] / row['steps']:9.1f} us a step{required}")


if __name__ == "__main__":
    raise SystemExit(main())
