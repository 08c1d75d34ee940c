"""One experiment a theory file, of the same name: measured on real data, against what the theory predicts.

`python -m mixtheory.training.experiments --all` makes the records of the book again.
"""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import torch

from mixtheory.domain import DomainError, check_member
from mixtheory.evidence.record import Record
from mixtheory.training.data import NAMES

__all__ = ["DATASETS", "EXPERIMENTS", "SCALES", "SEEDS", "datasets_of", "run"]

EXPERIMENTS = ("mixing_moments", "covariance", "least_squares")
DATASETS = (*NAMES, "diabetes")
SCALES = ("quick", "full")
SEEDS = tuple(range(16))


def datasets_of(experiment: str) -> tuple[str, ...]:
    """The data sets on which an experiment runs."""
    return _module(experiment).DATASETS


def run(experiment: str, *, dataset: str = "digits", scale: str = "quick", device: str = "cpu",
        progress: Callable[..., Any] | None = None) -> Record:
    """Run one experiment and return its record; nothing is written.

    Args:
        experiment: one of `EXPERIMENTS`.
        dataset: one of its `DATASETS`; `diabetes` is for least_squares only.
        scale: quick (seconds on a CPU) or full (minutes on a GPU, or on a CPU with patience).
        device: cpu or cuda.
        progress: called with a line of text when a part is done.

    Raises:
        DomainError: an unknown name, a data set without this experiment, cuda without such a device.
    """
    module = _module(experiment)
    check_member(scale, SCALES, "scale")
    if dataset not in module.DATASETS:
        raise DomainError(f"dataset = {dataset!r}: {experiment} runs on {', '.join(module.DATASETS)}")
    start = time.perf_counter()
    with _threads(1 if scale == "quick" and device == "cpu" else None):
        config, measurements = module.measure(dataset, size=module.SIZES[scale], device=device, seeds=SEEDS,
                                              progress=progress)
    return Record.create(experiment=experiment, dataset=dataset, scale=scale, device=device, config=config,
                         seeds=SEEDS, measurements=measurements, wall_seconds=time.perf_counter() - start)


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """So many torch threads: a second gains little on small tensors, and on a busy machine both wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _module(experiment: str) -> ModuleType:
    check_member(experiment, EXPERIMENTS, "experiment")
    return importlib.import_module(f"{__name__}.{experiment}")
