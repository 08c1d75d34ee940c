"""One experiment a theory file, of the same name: measured on real data, against what the theory predicts.

Every module here is an experiment, save those whose names begin with an underscore. It declares `DATASETS` and, by
scale, `SIZES`, and has either one function::

    measure(dataset, *, size, device, seeds, progress) -> (config, measurements[, observations])

or, where a run takes long, three, so that its pieces can be run, stored and resumed on their own, in any order and
in any process::

    pieces(dataset, size) -> tuple[str, ...]
    measure_piece(piece, dataset, *, size, device, seeds, progress) -> dict
    conclude(dataset, *, size, seeds, found) -> (config, measurements, observations)

What `measure_piece` returns goes through JSON (keys are strings, numbers finite; floats come back exactly) before
`conclude` gets it as `found`, by piece and in the order of `pieces`. A module may declare `SEEDS` by scale (default
`range(16)`) and, for a campaign, `VALUE` and `MINUTES` (see `mixtheory.training.campaign`).

`mixtheory train --all` makes the records of the book again.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from types import ModuleType
from typing import Any

import torch

from mixtheory.domain import DomainError, check_member
from mixtheory.evidence.record import Measurement, Observation, Record, as_json
from mixtheory.training.data import NAMES

__all__ = ["DATASETS", "EXPERIMENTS", "SCALES", "SEEDS", "conclude", "datasets_of", "declared", "measure_piece",
           "pieces_of", "run", "scales_of", "seeds_of", "threads"]

EXPERIMENTS = tuple(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
DATASETS = (*NAMES, "diabetes", "synthetic")
SCALES = ("quick", "full")
SEEDS = tuple(range(16))
WHOLE = "whole"                     # the only piece of a module with `measure`


def datasets_of(experiment: str) -> tuple[str, ...]:
    """The data sets on which an experiment runs."""
    return _module(experiment).DATASETS


def scales_of(experiment: str) -> tuple[str, ...]:
    """The scales at which an experiment runs."""
    return tuple(_module(experiment).SIZES)


def declared(experiment: str, name: str) -> dict[Any, Any]:
    """What a module declares for campaigns, `VALUE` or `MINUTES`; empty if nothing."""
    return getattr(_module(experiment), name, {})


def seeds_of(experiment: str, scale: str) -> tuple[int, ...]:
    """The seeds of an experiment at a scale."""
    return tuple(getattr(_module(experiment), "SEEDS", {}).get(scale, SEEDS))


def pieces_of(experiment: str, dataset: str, scale: str) -> tuple[str, ...]:
    """The names of the pieces of which a run consists.

    Raises:
        DomainError: an unknown experiment, or a data set or scale without it.
    """
    module, size = _module(experiment), _size(experiment, dataset, scale)
    return tuple(module.pieces(dataset, size)) if hasattr(module, "pieces") else (WHOLE,)


def measure_piece(experiment: str, piece: str, *, dataset: str, scale: str, device: str,
                  progress: Callable[..., Any] | None = None) -> dict[str, Any]:
    """What one piece finds, as JSON gives it back.

    Raises:
        RecordError: it found NaN, or something that JSON does not know.
    """
    module, size = _module(experiment), _size(experiment, dataset, scale)
    how = {"size": size, "device": device, "seeds": seeds_of(experiment, scale), "progress": progress}
    with threads(scale, device):
        if hasattr(module, "pieces"):
            found = module.measure_piece(piece, dataset, **how)
        else:
            config, measurements, *more = module.measure(dataset, **how)
            found = {"config": config, "measurements": [asdict(m) for m in measurements],
                     "observations": [asdict(o) for o in (more[0] if more else ())]}
    return as_json(found, f"{experiment}.{piece}")


def conclude(experiment: str, *, dataset: str, scale: str,
             found: Mapping[str, dict[str, Any]]) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """Configuration, measurements and observations of a run from what its pieces found, by piece."""
    module, size = _module(experiment), _size(experiment, dataset, scale)
    ordered = {piece: found[piece] for piece in pieces_of(experiment, dataset, scale)}
    if hasattr(module, "pieces"):
        config, measurements, observations = module.conclude(dataset, size=size, seeds=seeds_of(experiment, scale),
                                                             found=ordered)
        return config, list(measurements), list(observations)
    whole = ordered[WHOLE]
    return (whole["config"], [Measurement(**{**m, "values": tuple(m["values"])}) for m in whole["measurements"]],
            [Observation(**{**o, "values": tuple(o["values"])}) for o in whole["observations"]])


def run(experiment: str, *, dataset: str = "digits", scale: str = "quick", device: str = "cpu",
        progress: Callable[..., Any] | None = None) -> Record:
    """Run one experiment here and now and return its record; nothing is written.

    Args:
        experiment: one of `EXPERIMENTS`.
        dataset: one of its `DATASETS`; `synthetic` is drawn from the model of a theorem, as the experiment says.
        scale: quick (seconds on a CPU) or full (minutes on a GPU, or on a CPU with patience).
        device: cpu or cuda.
        progress: called with a line of text when a part is done.

    Raises:
        DomainError: an unknown name, a data set without this experiment, cuda without such a device.
    """
    start = time.perf_counter()
    with threads(scale, device):
        found = {piece: measure_piece(experiment, piece, dataset=dataset, scale=scale, device=device,
                                      progress=progress)
                 for piece in pieces_of(experiment, dataset, scale)}
        config, measurements, observations = conclude(experiment, dataset=dataset, scale=scale, found=found)
        return Record.create(experiment=experiment, dataset=dataset, scale=scale, device=device, config=config,
                             seeds=seeds_of(experiment, scale), measurements=measurements,
                             observations=observations, wall_seconds=time.perf_counter() - start)


@contextlib.contextmanager
def threads(scale: str, device: str) -> Iterator[None]:
    """One torch thread for a quick run on a CPU, for any other as many as there are.

    A second gains little on small tensors, on a busy machine both wait, and it changes the order in which floats are
    added: with one, a run can be repeated to the last bit.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if scale == "quick" and device == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _size(experiment: str, dataset: str, scale: str) -> Any:
    module = _module(experiment)
    check_member(scale, SCALES, "scale")
    if dataset not in module.DATASETS:
        raise DomainError(f"dataset = {dataset!r}: {experiment} runs on {', '.join(module.DATASETS)}")
    return module.SIZES[check_member(scale, tuple(module.SIZES), "scale")]


def _module(experiment: str) -> ModuleType:
    check_member(experiment, EXPERIMENTS, "experiment")
    return importlib.import_module(f"{__name__}.{experiment}")
