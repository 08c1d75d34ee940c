"""A training run as it is kept: what was measured, what was predicted, where and with which code."""

from __future__ import annotations

import datetime
import hashlib
import importlib
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from mixtheory.evidence.source import source_hash
from mixtheory.evidence.store import write_atomically

__all__ = ["LEAST_REPLICAS", "Measurement", "Observation", "Record", "RecordError", "as_json", "environment",
           "experiment_source", "read_records", "seal", "unseal"]

LEAST_REPLICAS = 16                 # of a quick run; a full run may have as few as an interval needs, which is two
CONFIDENCE = 0.99
SCHEMA = 1
WHERE_AND_WHEN = ("environment", "wall_seconds", "created")


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
        return _interval(self.values)

    @property
    def verdict(self) -> str:
        """agrees: the interval lies within the margin of the prediction; disagrees: outside; else inconclusive."""
        low, high = (end - self.predicted for end in self.interval)
        if -self.margin <= low and high <= self.margin:
            return "agrees"
        return "disagrees" if high < -self.margin or low > self.margin else "inconclusive"


@dataclass(frozen=True)
class Observation:
    """A number of one arm that is told and not tested, such as a log loss: `values`, one a replica."""

    name: str
    arm: dict[str, Any]
    values: tuple[float, ...]
    unit: str = ""

    @property
    def mean(self) -> float:
        """Mean over replicas."""
        return float(np.mean(self.values))

    @property
    def interval(self) -> tuple[float, float] | None:
        """99 % t-interval of the mean; None for a single value, which has none."""
        return _interval(self.values) if len(self.values) > 1 else None


def _interval(values: Sequence[float]) -> tuple[float, float]:
    mean, half = float(np.mean(values)), stats.sem(values) * stats.t.isf((1 - CONFIDENCE) / 2, len(values) - 1)
    return mean - float(half), mean + float(half)


@dataclass(frozen=True)
class Record:
    """One run of an experiment, JSON on disk; `content` is the hash of everything else in it.

    It holds at least one measurement or observation. The measurements of a quick run have at least
    `LEAST_REPLICAS` values; those of a full run at least two, and with so few the verdict is often inconclusive.
    """

    experiment: str
    dataset: str
    scale: str
    device: str
    claims: tuple[str, ...]
    config: dict[str, Any]
    seeds: tuple[int, ...]
    measurements: tuple[Measurement, ...]
    environment: dict[str, Any]
    source: str
    wall_seconds: float
    created: str
    schema: int = SCHEMA
    observations: tuple[Observation, ...] = ()

    def __post_init__(self) -> None:
        if not self.measurements and not self.observations:
            raise RecordError("neither a measurement nor an observation: there is nothing to record")
        least = 2 if self.scale == "full" else LEAST_REPLICAS
        few = [m.name for m in self.measurements if len(m.values) < least]
        if few or (self.measurements and len(self.seeds) < least):
            raise RecordError(f"measurements {few}: need at least {least} replicas at scale {self.scale}")
        bad = [m.name for m in self.measurements
               if not np.isfinite([*m.values, m.predicted, m.margin]).all() or m.margin <= 0]
        if bad:
            raise RecordError(f"measurements {bad}: need finite values, predictions and margins > 0")
        bad = [o.name for o in self.observations if not o.values or not np.isfinite(o.values).all()]
        if bad:
            raise RecordError(f"observations {bad}: need at least one value, and finite ones")
        for name in ("config", "environment"):
            as_json(getattr(self, name), name)

    @classmethod
    def create(cls, *, experiment: str, dataset: str, scale: str, device: str, config: dict[str, Any],
               seeds: Sequence[int], measurements: Sequence[Measurement], wall_seconds: float,
               observations: Sequence[Observation] = (), where: Mapping[str, Any] | None = None) -> Record:
        """A record of a run that just ended, with source hash and time filled in, and this environment or `where`."""
        return cls(experiment=experiment, dataset=dataset, scale=scale, device=device,
                   claims=tuple(dict.fromkeys(m.claim for m in measurements)), config=dict(config),
                   seeds=tuple(int(s) for s in seeds), measurements=tuple(measurements),
                   environment=environment(device) if where is None else dict(where),
                   source=experiment_source(experiment), wall_seconds=round(float(wall_seconds), 3),
                   created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                   observations=tuple(observations))

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

    @property
    def result(self) -> dict[str, Any]:
        """All that two runs of the same code must have in common: everything but times and environment."""
        return {name: as_json(value, name) for name, value in asdict(self).items() if name not in WHERE_AND_WHEN}

    def select(self, name: str, **arm: Any) -> Measurement:
        """The one measurement with this name whose arm has these values."""
        return self._one("measurements", name, arm)

    def observation(self, name: str, **arm: Any) -> Observation:
        """The one observation with this name whose arm has these values."""
        return self._one("observations", name, arm)

    def _one(self, kind: str, name: str, arm: dict[str, Any]) -> Any:
        found = [m for m in getattr(self, kind) if m.name == name and arm.items() <= m.arm.items()]
        if len(found) != 1:
            raise RecordError(f"{self.name}: {len(found)} {kind} {name!r} with {arm}, expected one")
        return found[0]

    def save(self, folder: Path) -> Path:
        """Write `folder`/`name`.json atomically."""
        path = Path(folder) / f"{self.name}.json"
        write_atomically(path, seal(asdict(self)))
        return path

    @classmethod
    def load(cls, path: Path) -> Record:
        """Read and validate.

        Raises:
            RecordError: absent, not JSON, fields missing or unknown, the content does not match its hash, or the
                file is not byte by byte as it was written.
        """
        body = unseal(path)
        if body.get("schema") != SCHEMA:
            raise RecordError(f"{path}: schema {body.get('schema')} is not {SCHEMA}; run the experiment again")
        try:
            measurements = tuple(Measurement(**{**m, "values": tuple(m["values"])}) for m in body.pop("measurements"))
            observations = tuple(Observation(**{**o, "values": tuple(o["values"])})
                                 for o in body.pop("observations", ()))
            body.update({name: tuple(body[name]) for name in ("claims", "seeds")})
            return cls(**body, measurements=measurements, observations=observations)
        except (KeyError, TypeError) as error:
            raise RecordError(f"{path}: fields are missing or unknown ({error}); run the experiment again") from error
        except RecordError as error:
            raise RecordError(f"{path}: {error}") from error


def read_records(*folders: Path) -> list[Record]:
    """All records of some folders, by name; a damaged one raises RecordError."""
    return [Record.load(path) for folder in folders for path in sorted(Path(folder).glob("*.json"))]


def experiment_source(experiment: str) -> str:
    """Hash of the experiment's module and all that it imports from this package, but for the evidence engine."""
    return source_hash(f"mixtheory.training.experiments.{experiment}", "mixtheory.training.experiments",
                       without=("mixtheory.evidence",))


def environment(device: str) -> dict[str, Any]:
    """Where a run takes place: the device's name, versions, torch's threads, on a GPU the version of CUDA."""
    import torch

    versions = {m: importlib.import_module(m).__version__ for m in ("torch", "numpy", "scipy")}
    where = {"device_name": f"CPU, {platform.machine()}", "python": platform.python_version(),
             "platform": platform.system(), **versions, "threads": torch.get_num_threads()}
    if device == "cuda":
        where |= {"device_name": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return where


def as_json(value: Any, name: str = "value") -> Any:
    """A value as JSON would give it back (tuples as lists), refused where JSON would change it.

    Raises:
        RecordError: NaN, an infinity, a key that is not a string, or an object that JSON does not know.
    """
    if isinstance(value, dict):
        if odd := [key for key in value if not isinstance(key, str)]:
            raise RecordError(f"{name}: the key {odd[0]!r} is not a string")
        return {key: as_json(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(item, f"{name}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RecordError(f"{name}: {value} has no place in a record")
        return float(value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise RecordError(f"{name}: a {type(value).__name__} is nothing that JSON knows")


def seal(body: dict[str, Any]) -> str:
    """The text of a file that holds a JSON object and, as `content`, the SHA-256 (hex) of it."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return json.dumps({**body, "content": hashlib.sha256(canonical.encode()).hexdigest()}, indent=1) + "\n"


def unseal(path: Path) -> dict[str, Any]:
    """What `seal` put into a file.

    Raises:
        RecordError: absent, no JSON object, or not byte by byte what `seal` writes of its fields (their order is free).
    """
    try:
        raw = Path(path).read_bytes()
        body = json.loads(raw.decode())
        body.pop("content")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise RecordError(f"{path}: not a complete record ({type(error).__name__}); run the experiment again") \
            from error
    if raw != seal(body).encode():
        raise RecordError(f"{path}: content does not match its hash: damaged or edited by hand; run it again")
    return body
