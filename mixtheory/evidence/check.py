"""Runs everything that can contradict one claim and reports what it found: `verify(claim)`."""

from __future__ import annotations

import time
import zlib
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mixtheory.evidence.claim import Claim, Mutant
from mixtheory.evidence.derivation import Derivation, equal
from mixtheory.evidence.estimate import (
    BLOCKS,
    PILOT,
    ROUNDING,
    Estimate,
    estimate,
    quantiles,
    skew_guard,
    units_needed,
)

__all__ = ["Evidence", "asymptotic_order", "exact_error", "verify"]

ORDER_SLACK = 0.15          # a fitted order may fall short of the claimed one by this much
MOST_NUMBERS = 2e9          # draws that one case may ask for before the check is called underpowered


@dataclass
class Evidence:
    """What the checks of one claim found; plain data, stored as JSON. `problems` is empty when all is well."""

    id: str
    derivation: dict[str, Any] | None = None
    exact: dict[str, Any] | None = None
    monte_carlo: dict[str, Any] | None = None
    mutants: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def checked(self) -> bool:
        """The exact route or Monte Carlo agrees, with power, and every mutant is rejected."""
        return not self.problems and bool(self.exact or self.monte_carlo)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return asdict(self)


def verify(claim: Claim, *, seed: int = 0) -> Evidence:
    """Derivation, exact route, Monte Carlo and mutants of one claim; `seed` varies the random streams."""
    evidence, start = Evidence(claim.id), time.perf_counter()
    derivation = claim.derive() if claim.derive else None
    if derivation is not None:
        evidence.derivation = _check_derivation(claim, derivation, evidence.problems)
    elif claim.kind not in ("numerical", "empirical"):
        evidence.problems.append("no derivation: only numerical and empirical claims may go without")
    exact_values = [np.asarray(claim.exact(**case), dtype=float) for case in claim.cases] if claim.exact else None
    if exact_values is not None:
        evidence.exact = _check_exact(claim, exact_values, evidence.problems)
    sampled = None
    if claim.simulate is not None:
        sampled = _Sampled.design(claim, seed)
        evidence.monte_carlo = sampled.report(evidence.problems)
    if not claim.wrong:
        evidence.problems.append("no mutant: nothing shows that the checks can fail")
    for name, mutant in claim.wrong.items():
        evidence.mutants += _run_mutant(claim, name, mutant, derivation, exact_values, sampled, evidence.problems)
    evidence.seconds = time.perf_counter() - start
    return evidence


def _check_derivation(claim: Claim, derivation: Derivation, problems: list[str]) -> dict[str, Any]:
    certified = 0
    for i, step in enumerate(derivation.steps, 1):
        if step.certified():
            certified += 1
        elif not step.appeal:
            problems.append(f"derivation: SymPy does not certify step {i} ({step.reason})")
    if not equal(derivation.conclusion, claim.predict(**derivation.parameters)):
        problems.append("derivation: the conclusion is not predict on symbols")
    appeals = [s for s in derivation.steps if s.appeal]
    return {"certified": certified, "total": len(derivation.steps), "rests_on": list(derivation.rests_on),
            "open_appeals": sum(1 for s in appeals if s.claim is None)}


def exact_error(claim: Claim, values: list[np.ndarray], mutant: Mutant | None = None) -> float:
    """Largest error of the prediction (or a mutant) against the exact route, in units of the scale.

    For a bound: how far the exact values cross it, and, where tightness is claimed, how far they stay away.
    For an asymptotic claim: by how much the fitted order falls short of the claimed one, beyond the slack.
    """
    if claim.along is not None:
        return max(0.0, *(asymptotic_order(claim, values, mutant, group)[1] for group in _groups(claim)))
    errors, distances = [0.0], []
    for case, value in zip(claim.cases, values, strict=True):
        prediction, unit = claim.prediction(case, mutant), claim.unit(case)
        if claim.side is None:
            _same_shape(claim, prediction, value)
            errors.append(np.max(np.abs(value - prediction) / unit))
        else:
            above = (value - prediction) / unit * (1 if claim.side == "upper" else -1)
            errors.append(above.max())
            distances.append(-above.max())
    if claim.side and claim.tight is not None and min(distances) > claim.tight:
        errors.append(min(distances))
    worst = float(np.max(errors))               # NaN anywhere is an infinite error
    return worst if np.isfinite(worst) else np.inf


def asymptotic_order(claim: Claim, values: list[np.ndarray], mutant: Mutant | None,
                     group: list[int]) -> tuple[float, float]:
    """(fitted order, shortfall) of |exact - prediction| like p^k over the cases of one group."""
    name, order = claim.along
    p = np.array([float(claim.cases[i][name]) for i in group])
    gap = np.array([np.max(np.abs(values[i] - claim.prediction(claim.cases[i], mutant)) / claim.unit(claim.cases[i]))
                    for i in group])
    if not np.isfinite(gap).all():
        return float("nan"), float("inf")
    if (gap < 1e-13).all():
        return float(order), 0.0
    fitted = float(np.polyfit(np.log(p), np.log(np.maximum(gap, 1e-16)), 1)[0])
    short = (order - fitted) * np.sign(order)
    return fitted, float(short) if short > ORDER_SLACK else 0.0


def _check_exact(claim: Claim, values: list[np.ndarray], problems: list[str]) -> dict[str, Any]:
    error = exact_error(claim, values)
    if not error <= claim.tolerance:
        problems.append(f"exact: error {error:.3g} exceeds {claim.tolerance:.3g}")
    report = {"error": error, "tolerance": claim.tolerance, "cases": len(values)}
    if claim.along is not None:
        report["orders"] = [asymptotic_order(claim, values, None, g)[0] for g in _groups(claim)]
        report["claimed_order"] = claim.along[1]
    return report


@dataclass
class _Sampled:
    """Monte Carlo of one claim: estimates for every case, their design, and the rule."""

    claim: Claim
    seed: int
    results: list[Estimate]
    units: list[int]
    z1: float
    z2: float

    @classmethod
    def design(cls, claim: Claim, seed: int) -> _Sampled:
        entries = max(1, sum(int(np.size(claim.prediction(case))) for case in claim.cases))
        z1, z2 = quantiles(entries)
        units, results = [], []
        inflation = _extrapolation_factor(claim)
        for i, case in enumerate(claim.cases):
            pilot = estimate(claim.simulate, case, units=PILOT, rng=_stream(claim, seed, i, 0))
            _same_shape(claim, claim.prediction(case), pilot.mean)
            target = (claim.resolution - claim.model_error) / inflation
            need = units_needed(pilot, claim.unit(case), resolution=target, entries=entries)
            units.append(int(min(need, MOST_NUMBERS)))
            results.append(estimate(claim.simulate, case, units=units[-1], rng=_stream(claim, seed, i, 1)))
        return cls(claim, seed, results, units, z1, z2)

    def resample(self, mutant: Mutant, i: int) -> Estimate:
        """The same design with wrong sampling."""
        return estimate(mutant.function, self.claim.cases[i], units=self.units[i],
                        rng=_stream(self.claim, self.seed, i, 2))

    def deviations(self, mutant: Mutant | None = None,
                   results: list[Estimate] | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
        """(estimate - prediction, se) in units of the scale: one pair a case, or one a group when extrapolating."""
        pairs = []
        for case, result in zip(self.claim.cases, results or self.results, strict=True):
            unit = self.claim.unit(case)
            pairs.append(((result.mean - self.claim.prediction(case, mutant)) / unit, result.se / unit))
        if self.claim.along is None:
            return pairs
        return [_extrapolate(self.claim, group, [pairs[i] for i in group]) for group in _groups(self.claim)]

    def rejects(self, deviation: np.ndarray, se: np.ndarray) -> np.ndarray:
        signed = deviation * {"upper": 1, "lower": -1}.get(self.claim.side, 1)
        size = signed if self.claim.side else np.abs(deviation)
        return ~(size <= self.claim.model_error + self.z1 * se + ROUNDING)      # a NaN is rejected

    def report(self, problems: list[str]) -> dict[str, Any]:
        pairs = self.deviations()
        worst_z, achieved = 0.0, 0.0
        for deviation, se in pairs:
            z = np.divide(np.abs(deviation), se, out=np.zeros_like(deviation), where=se > ROUNDING)
            worst_z = max(worst_z, float(z.max()))
            achieved = max(achieved, self.claim.model_error + float(np.max((self.z1 + self.z2) * se)))
        if any(self.rejects(d, se).any() for d, se in pairs):
            problems.append(f"monte carlo: an entry is off by {worst_z:.1f} standard errors (limit {self.z1:.1f})")
        if achieved > self.claim.resolution:
            problems.append(f"monte carlo: underpowered, it sees errors from {achieved:.3g} on, "
                            f"the claim asks for {self.claim.resolution:.3g}")
        guard = max(skew_guard(r, self.z1) for r in self.results)
        if guard > 0.5:
            problems.append(f"monte carlo: tails too heavy for a normal quantile (guard {guard:.2f} > 0.5)")
        return {"z": worst_z, "limit": self.z1, "n": int(sum(r.units for r in self.results)), "blocks": BLOCKS,
                "resolution": self.claim.resolution, "sees": achieved, "skew_guard": guard,
                "estimates": [{"mean": np.asarray(r.mean).tolist(), "se": np.asarray(r.se).tolist(), "n": r.units}
                              for r in self.results]}


def _run_mutant(claim: Claim, name: str, mutant: Mutant, derivation: Derivation | None,
                exact_values: list[np.ndarray] | None, sampled: _Sampled | None,
                problems: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def record(route: str, killed: bool, **more: Any) -> None:
        rows.append({"name": name, "route": route, "killed": bool(killed), **more})
        if not killed:
            problems.append(f"mutant {name!r} survives the {route} route")

    if mutant.route == "simulate":
        if sampled is None:
            problems.append(f"mutant {name!r} touches no route: the claim is not simulated")
            return rows
        results = [sampled.resample(mutant, i) for i in range(len(claim.cases))]
        pairs = sampled.deviations(results=results)
        z = max(float(np.max(np.abs(d) / np.maximum(se, ROUNDING))) for d, se in pairs)
        record("monte carlo", any(sampled.rejects(d, se).any() for d, se in pairs), z=z)
        return rows
    if derivation is not None and mutant.symbolic:
        record("derivation", not equal(derivation.conclusion, mutant.function(**derivation.parameters)))
    exact_kills = None
    if exact_values is not None:
        error = exact_error(claim, exact_values, mutant)
        exact_kills = error > claim.tolerance
        record("exact", exact_kills, error=error)
    if sampled is not None:
        separation = [np.abs(claim.prediction(c, mutant) - claim.prediction(c)) / claim.unit(c) for c in claim.cases]
        largest = max(float(s.max()) for s in separation)
        pairs = sampled.deviations(mutant)
        z = max(float(np.max(np.abs(d) / np.maximum(se, ROUNDING))) for d, se in pairs)
        if largest >= claim.resolution:
            if claim.along is None:
                missed = [i for i, (s, (d, se)) in enumerate(zip(separation, pairs, strict=True))
                          if (~sampled.rejects(d, se) & (s >= claim.resolution)).any()]
                killed = not missed
            else:
                killed = any(sampled.rejects(d, se).any() for d, se in pairs)
            record("monte carlo", killed, separation=largest, z=z)
        elif not exact_kills:
            problems.append(f"mutant {name!r} is closer ({largest:.3g}) than the resolution {claim.resolution:.3g} "
                            "and no exact route rejects it")
    if not rows:
        problems.append(f"mutant {name!r} touches no route")
    return rows


def _groups(claim: Claim) -> list[list[int]]:
    """Cases that differ only in the parameter that goes to its limit."""
    groups: dict[str, list[int]] = {}
    for i, case in enumerate(claim.cases):
        rest = {k: v for k, v in case.items() if k != claim.along[0]}
        groups.setdefault(repr(rest), []).append(i)
    short = [g for g in groups.values() if len(g) < 3]
    if short:
        raise ValueError(f"{claim.id}: an asymptotic claim needs at least three values of {claim.along[0]} a group")
    return list(groups.values())


def _extrapolate(claim: Claim, group: list[int], pairs: list[tuple[np.ndarray, np.ndarray]]
                 ) -> tuple[np.ndarray, np.ndarray]:
    """Intercept of deviation = limit + b p^k by least squares over the group, with its standard error."""
    weights = _intercept_weights(claim, group)
    deviation = sum(w * d for w, (d, _) in zip(weights, pairs, strict=True))
    variance = sum((w * se) ** 2 for w, (_, se) in zip(weights, pairs, strict=True))
    return np.asarray(deviation), np.sqrt(variance)


def _intercept_weights(claim: Claim, group: list[int]) -> np.ndarray:
    name, order = claim.along
    x = np.array([float(claim.cases[i][name]) for i in group]) ** order
    return np.linalg.pinv(np.stack([np.ones_like(x), x], axis=1))[0]


def _extrapolation_factor(claim: Claim) -> float:
    """By how much extrapolation inflates the standard error of a single case."""
    if claim.along is None:
        return 1.0
    return max(float(np.linalg.norm(_intercept_weights(claim, g))) for g in _groups(claim))


def _stream(claim: Claim, seed: int, case: int, stage: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(claim.id.encode()), case, stage])


def _same_shape(claim: Claim, prediction: np.ndarray, value: Any) -> None:
    if np.shape(value) != prediction.shape:
        raise ValueError(f"{claim.id}: a route gives shape {np.shape(value)}, the prediction has {prediction.shape}")


