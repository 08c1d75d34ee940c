"""Mixing against a bound and against other packages: `python -m mixtheory.training.benchmarks.mixing --json FILE`.

The bound (`floor`) is a bare `torch.lerp` into a buffer with the partners already gathered: two arrays read, one
written. Two comparisons with each package, with its own pairing and sharing of lambda:

- *images*: lambda and partners are given, only images are mixed. `mix` fills a reused buffer and checks its arguments;
  `mix, new memory` allocates its result, as kornia and torchvision do; timm overwrites its input, so that its one
  allocation is the flipped copy.
- *step*: the call that a training loop makes. Lambda and partners are drawn, images are mixed, and from integer labels
  come mixed soft labels; kornia's call returns both labels unmixed, with lambda. Ours is `mixup` with `soft_labels`,
  with the check that the labels lie on the simplex, into a reused buffer.

A package that is not installed is left out and named.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import torch

from mixtheory.domain import DomainError
from mixtheory.evidence.record import environment
from mixtheory.mixing import symmetric
from mixtheory.mixup import mix, mixup, soft_labels
from mixtheory.pairing import lambdas, partners
from mixtheory.training.benchmarks.timing import CONFIDENCE, finish, measure, ratio, say, synchronizer
from mixtheory.training.replicas import DEVICES, device_of

__all__ = ["PEERS", "SIZES", "Peer", "Size", "cases", "main"]

BOUND = 1.3         # of the floor, for arrays that no cache holds


@dataclass(frozen=True)
class Size:
    """A batch of float32 images and how many classes they have; `bounded` if it is held to `BOUND` floors."""

    shape: tuple[int, ...]
    classes: int
    bounded: bool


@dataclass(frozen=True)
class Peer:
    """How another package mixes.

    `images(x, partner, lam)` and `step(x, labels, classes)` return a call to time, with all made ready that can be.
    The first call gives mixed images, the second (images, labels).
    """

    pairing: str
    sharing: str
    images: Callable[..., Callable[[], Any]]
    step: Callable[..., Callable[[], Any]]


SIZES = (Size((128, 3, 32, 32), 10, bounded=False), Size((512, 3, 224, 224), 1000, bounded=True))


def _kornia_images(x: Any, partner: Any, lam: Any) -> Callable[[], Any]:
    mixer = import_module("kornia.augmentation").RandomMixUpV2(data_keys=["input"])
    drawn = {"batch_prob": torch.ones(len(x)), "mixup_pairs": partner, "mixup_lambdas": 1 - lam}   # the partner's share
    return lambda: mixer(x, params=drawn)


def _kornia_step(x: Any, labels: Any, classes: int) -> Callable[[], Any]:
    mixer = import_module("kornia.augmentation").RandomMixUpV2(data_keys=["input", "class"])
    return lambda: mixer(x, labels)


def _timm(classes: int) -> Any:
    _transforms()               # timm imports torchvision
    return import_module("timm.data.mixup").Mixup(mixup_alpha=1.0, label_smoothing=0.0, num_classes=classes)


def _timm_images(x: Any, partner: Any, lam: Any) -> Callable[[], Any]:
    mixer, own, given = _timm(1), x.clone(), (float(lam[0]), False)     # it changes its input
    mixer._params_per_batch = lambda: given                             # the only way to give it lambda
    return lambda: (mixer._mix_batch(own), own)[1]


def _timm_step(x: Any, labels: Any, classes: int) -> Callable[[], Any]:
    mixer, own = _timm(classes), x.clone()
    return lambda: mixer(own, labels)


def _transforms() -> Any:
    try:
        return import_module("torchvision.transforms.v2")
    except RuntimeError:        # a build for another torch has no operators; their schemas are enough to import it
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return import_module("torchvision.transforms.v2")


def _torchvision(classes: int) -> Any:
    return _transforms().MixUp(alpha=1.0, num_classes=classes)


def _torchvision_images(x: Any, partner: Any, lam: Any) -> Callable[[], Any]:
    mixer, drawn = _torchvision(1), {"lam": float(lam[0]), "labels": None, "batch_size": len(x)}
    return lambda: mixer.transform(x, drawn)


def _torchvision_step(x: Any, labels: Any, classes: int) -> Callable[[], Any]:
    mixer = _torchvision(classes)
    return lambda: mixer(x, labels)


PEERS = {
    "kornia": Peer("permutation", "element", _kornia_images, _kornia_step),
    "timm": Peer("flip", "batch", _timm_images, _timm_step),
    "torchvision": Peer("roll", "batch", _torchvision_images, _torchvision_step),
}


def installed() -> dict[str, str | None]:
    """Version of each package, None if it is not there or cannot be imported."""
    needed = {"kornia": lambda: import_module("kornia.augmentation"), "timm": lambda: _timm(1),
              "torchvision": _transforms}
    found: dict[str, str | None] = {}
    for name, load in needed.items():
        try:
            load()
            found[name] = metadata.version(name)
        except ImportError:
            found[name] = None
    return found


def cases(size: Size, name: str, device: torch.device) -> dict[str, Callable[[], Any]]:
    """What is timed for one size and package: `floor`, `mix`, `mix, new memory`, `peer`, `step`, `peer's step`."""
    peer, rng = PEERS[name], torch.Generator(device).manual_seed(0)
    x = torch.rand(size.shape, generator=rng, device=device)
    labels = torch.randint(size.classes, size.shape[:1], generator=rng, device=device)
    partner = partners(peer.pairing, len(x), rng=rng)
    lam = lambdas(symmetric(1.0), len(x), sharing=peer.sharing, rng=rng, pairing=peer.pairing, dtype=x.dtype)
    gathered, out, last = x[partner], torch.empty_like(x), torch.empty_like(x)
    given = lam if peer.sharing == "element" else float(lam[0])
    weights = lam.reshape(-1, 1, 1, 1) if peer.sharing == "element" else given
    return {
        "floor": lambda: torch.lerp(gathered, x, weights, out=last),
        "mix": lambda: mix(x, partner, given, out=out),
        "mix, new memory": lambda: mix(x, partner, given),
        "peer": peer.images(x, partner, lam),
        "step": lambda: mixup(x, soft_labels(labels, size.classes, like=x), alpha=1.0, rng=rng, pairing=peer.pairing,
                              sharing=peer.sharing, out=out)[:2],
        "peer's step": peer.step(x, labels, size.classes),
    }


def rows(size: Size, name: str, device: torch.device, rounds: int) -> Iterator[dict[str, Any]]:
    """Measure one size and package; a row for each ratio, with what is required of it.

    The calls that allocate nothing are compared with the floor among themselves: a package that returns new memory
    leaves the machine busy with pages for a while. All are then taken in turn for the ratios between packages.
    """
    calls, wait = cases(size, name, device), synchronizer(device)
    quiet = measure({call: calls[call] for call in ("floor", "mix")}, rounds=rounds, wait=wait)
    times = measure(calls, rounds=rounds, wait=wait)
    shape, peer = " x ".join(map(str, size.shape)), PEERS[name]
    wanted = [("mix", "floor", BOUND if size.bounded else None), ("mix", "peer", 1.0),
              ("mix, new memory", "floor", None), ("mix, new memory", "peer", None),
              ("peer", "floor", None), ("step", "peer's step", None)]
    for call, reference, bound in wanted:
        timed = quiet if (call, reference) == ("mix", "floor") else times
        found = ratio(timed[call], timed[reference])
        yield {"size": shape, "package": name, "pairing": peer.pairing, "sharing": peer.sharing,
               "call": call.replace("peer", name), "reference": reference.replace("peer", name), **found._asdict(),
               "bound": bound, "verdict": None if bound is None else found.at_most(bound)}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print a table, write JSON if asked; 1 if something required was missed."""
    parser = argparse.ArgumentParser(prog="python -m mixtheory.training.benchmarks.mixing", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--rounds", type=int, default=31, help="of timing, at least 8 (31)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    options = parser.parse_args(arguments)
    try:
        device, versions, table = device_of(options.device), installed(), []
        where = {**environment(options.device), **{name: v or "not installed" for name, v in versions.items()}}
        say(", ".join(f"{name} {value}" for name, value in where.items()))
        say(f"ratios of times, round by round: median [{CONFIDENCE:.0%} interval]")
        for size in SIZES:
            for name in (n for n, version in versions.items() if version):
                for row in rows(size, name, device, options.rounds):
                    table.append(row)
                    say(_line(row))
    except DomainError as error:
        parser.error(str(error))
    return finish(options.json, table, benchmark="mixing", device=options.device, dtype="float32",
                  rounds=options.rounds, environment=where)


def _line(row: dict[str, Any]) -> str:
    required = "" if row["bound"] is None else f"  at most {row['bound']}: {row['verdict']}"
    return (f"{row['size']:18}  {row['pairing']:11} {row['sharing']:7}  {row['call']:>16} / {row['reference']:<18} "
            f"{row['median']:7.3f} [{row['low']:.3f}, {row['high']:.3f}]  {1e3 * row['seconds']:9.3f} ms{required}")


if __name__ == "__main__":
    raise SystemExit(main())
