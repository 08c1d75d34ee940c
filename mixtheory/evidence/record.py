"""A training run as it is kept: what was measured, what was predicted, where and with which code."""

from __future__ import annotations

import datetime
import hashlib
import importlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from mixtheory.evidence.source import source_hash
from mixtheory.evidence.store import write_atomically

__all__ = ["LEAST_REPLICAS", "Measurement", "Record", "RecordError", "read_records"]

LEAST_REPLICAS = 16
CONFIDENCE = 0.99
SCHEMA = 1


class RecordError(ValueError):
    """A record is damaged, edited by hand, or not a record."""


@dataclass(frozen=True)
class Measurement:
    """One quantity of one arm: `values`, one a replica, against the number that theory predicted.

    `margin` is the declared largest acceptable difference, in the unit of the values, fixed before the run.
    """

    name: str
    claim: str
    arm: dict[str, Any]
    values: tuple[float, ...]
    predicted: float
    margin: float
    unit: str = ""

    @property
    def mean(self) -> float:
        """Mean over replicas."""
        return float(np.mean(self.values))

    @property
    def interval(self) -> tuple[float, float]:
        """99 % t-interval of the mean."""
        half = stats.sem(self.values) * stats.t.isf((1 - CONFIDENCE) / 2, len(self.values) - 1)
        return self.mean - float(half), self.mean + float(half)

    @property
    def verdict(self) -> str:
        """agrees: the interval lies within the margin of the prediction; disagrees: outside; else inconclusive."""
        low, high = (end - self.predicted for end in self.interval)
        if -self.margin <= low and high <= self.margin:
            return "agrees"
        return "disagrees" if high < -self.margin or low > self.margin else "inconclusive"


@dataclass(frozen=True)
class Record:
    """One run of an experiment, JSON on disk; `content` is the hash of everything else in it."""

    experiment: str
    dataset: str
    scale: str
    device: str
    claims: tuple[str, ...]
    config: dict[str, Any]
    seeds: tuple[int, ...]
    measurements: tuple[Measurement, ...]
    environment: dict[str, str]
    source: str
    wall_seconds: float
    created: str
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        few = [m.name for m in self.measurements if len(m.values) < LEAST_REPLICAS]
        if few or len(self.seeds) < LEAST_REPLICAS:
            raise RecordError(f"measurements {few}: need at least {LEAST_REPLICAS} replicas")
        bad = [m.name for m in self.measurements
               if not np.isfinite([*m.values, m.predicted, m.margin]).all() or m.margin <= 0]
        if bad or not self.measurements:
            raise RecordError(f"measurements {bad}: need finite values, predictions and margins > 0")

    @classmethod
    def create(cls, *, experiment: str, dataset: str, scale: str, device: str, config: dict[str, Any],
               seeds: Sequence[int], measurements: Sequence[Measurement], wall_seconds: float) -> Record:
        """A record of a run that just ended, with environment, source hash and time filled in."""
        return cls(experiment=experiment, dataset=dataset, scale=scale, device=device,
                   claims=tuple(dict.fromkeys(m.claim for m in measurements)), config=dict(config),
                   seeds=tuple(int(s) for s in seeds), measurements=tuple(measurements),
                   environment=environment(device), source=experiment_source(experiment),
                   wall_seconds=round(float(wall_seconds), 3),
                   created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))

    @property
    def name(self) -> str:
        """File name without ending; one record for each experiment, data set, scale and device."""
        return f"{self.experiment}.{self.dataset}.{self.scale}.{self.device}"

    @property
    def stale(self) -> bool:
        """Whether the code that made it has changed since, or is gone."""
        try:
            return self.source != experiment_source(self.experiment)
        except ModuleNotFoundError:
            return True

    def select(self, name: str, **arm: Any) -> Measurement:
        """The one measurement with this name whose arm has these values."""
        found = [m for m in self.measurements if m.name == name and arm.items() <= m.arm.items()]
        if len(found) != 1:
            raise RecordError(f"{self.name}: {len(found)} measurements {name!r} with {arm}, expected one")
        return found[0]

    def save(self, folder: Path) -> Path:
        """Write `folder`/`name`.json atomically."""
        body = asdict(self)
        path = Path(folder) / f"{self.name}.json"
        write_atomically(path, json.dumps({**body, "content": _content_hash(body)}, indent=1) + "\n")
        return path

    @classmethod
    def load(cls, path: Path) -> Record:
        """Read and validate.

        Raises:
            RecordError: absent, not JSON, fields missing or unknown, or the content does not match its hash.
        """
        try:
            body = json.loads(Path(path).read_text(encoding="utf-8"))
            content = body.pop("content")
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise RecordError(f"{path}: not a complete record ({type(error).__name__}); run the experiment again") \
                from error
        if content != _content_hash(body):
            raise RecordError(f"{path}: content does not match its hash: damaged or edited by hand; run it again")
        if body.get("schema") != SCHEMA:
            raise RecordError(f"{path}: schema {body.get('schema')} is not {SCHEMA}; run the experiment again")
        try:
            measurements = tuple(Measurement(**{**m, "values": tuple(m["values"])}) for m in body.pop("measurements"))
            body.update({name: tuple(body[name]) for name in ("claims", "seeds")})
            return cls(**body, measurements=measurements)
        except (KeyError, TypeError) as error:
            raise RecordError(f"{path}: fields are missing or unknown ({error}); run the experiment again") from error


def read_records(*folders: Path) -> list[Record]:
    """All records of some folders, by name; a damaged one raises RecordError."""
    return [Record.load(path) for folder in folders for path in sorted(Path(folder).glob("*.json"))]


def experiment_source(experiment: str) -> str:
    """Hash of the experiment's module and all that it imports from this package, but for the evidence engine."""
    return source_hash(f"mixtheory.training.experiments.{experiment}", "mixtheory.training.experiments",
                       without=("mixtheory.evidence",))


def environment(device: str) -> dict[str, str]:
    """Where a run took place: device name and versions."""
    versions = {m: importlib.import_module(m).__version__ for m in ("torch", "numpy", "scipy")}
    name = f"CPU, {platform.machine()}"
    if device == "cuda":
        import torch
        name = torch.cuda.get_device_name()
    return {"device_name": name, "python": platform.python_version(), "platform": platform.system(), **versions}


def _content_hash(body: dict[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
