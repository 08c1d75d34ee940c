"""Exercises of the chapter `engine`: replicas, measurements, records."""

from __future__ import annotations

import itertools
import json
import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from mixtheory.exercises.judging import Choice, Exercise, Formula, Function, Number, Witness

# ---- the largest of two errors -----------------------------------------------------------------------------------

FIRST, SECOND = 5, 10


def _largest(combine: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
    """Mean over all outcomes, right or wrong, of 5 images of confidence 0.6 and 10 of confidence 0.9."""
    right = (np.arange(2 ** (FIRST + SECOND))[:, None] >> np.arange(FIRST + SECOND)) & 1
    chance = np.where(right, [0.6] * FIRST + [0.9] * SECOND, [0.4] * FIRST + [0.1] * SECOND).prod(1)
    return float(chance @ combine(abs(right[:, :FIRST].mean(1) - 0.6), abs(right[:, FIRST:].mean(1) - 0.9)))


Exercise(name="engine-largest", level="warm-up", minutes=15, wants=Number(
    truth=lambda: _largest(np.maximum), mistakes={
        "the errors of the bins are averaged, weighted by size": lambda: _largest(lambda a, b: (a + 2 * b) / 3),
        "the larger of the two mean errors is taken":
            lambda: max(_largest(lambda a, b: a), _largest(lambda a, b: b)),
        "the errors of the bins are added": lambda: _largest(np.add)}))


# ---- which jobs first --------------------------------------------------------------------------------------------

BUDGET = 25.0


def _greedy(jobs: Any) -> str | None:
    """What the rule gets, and the best by trying every set of jobs."""
    found = np.asarray(jobs, dtype=float)
    if found.ndim != 2 or found.shape[1] != 2 or not 1 <= len(found) <= 10:
        return "Hand in a list of one to ten pairs (value, minutes)."
    if not np.isfinite(found).all() or (found <= 0).any():
        return "Values and minutes must be positive."
    left, got = BUDGET, 0.0
    for value, minutes in sorted(found.tolist(), key=lambda job: -job[0] / job[1]):
        if minutes <= left:
            left, got = left - minutes, got + value
    sets = np.array(list(itertools.product((0, 1), repeat=len(found))))
    best = float((sets @ found[:, 0])[sets @ found[:, 1] <= BUDGET].max())
    if not best:
        return "No job ends within the budget."
    return None if got < best / 10 else f"The rule gets {got:.4g}, the best choice {best:.4g}."


Exercise(name="engine-greedy", level="warm-up", minutes=10, wants=Witness(
    verify=_greedy, asks="a list of pairs (value, minutes)", scaffold="answer = [(..., ...), (..., ...)]", mistakes={
        "all fit": [(3, 10), (2, 10)], "one job": [(5, 20)], "only a half is lost": [(14, 13), (13, 12.5), (13, 12.5)],
        "none fits": [(100, 26)]}))


# ---- replicas apart ----------------------------------------------------------------------------------------------

def _first_of(R: int, how: str, steps: int = 30) -> np.ndarray:
    """Weights of the first of R replicas after some steps of descent, done all together in the given way."""
    d, rate = 3, 0.1
    shared = np.random.default_rng(99)
    own = [np.random.default_rng(k) for k in range(R)]
    A = [m @ m.T / d + np.eye(d) for m in (rng.standard_normal((d, d)) for rng in own)]
    b = np.array([3 * rng.standard_normal(d) for rng in own])
    w, speed, past = np.zeros((R, d)), np.zeros((R, d)), []
    for _ in range(steps):
        g = np.array([A[k] @ w[k] - b[k] for k in range(R)])
        past.append(np.mean([w[k] @ A[k] @ w[k] / 2 - b[k] @ w[k] for k in range(R)]))
        if how in "ab":
            g = g / R
        if how == "b":
            g = g / np.abs(g)
        if how == "c":
            g = g * min(1.0, 1 / np.linalg.norm(g))
        if how == "d":
            g = g.clip(-1, 1)
        if how == "e":
            g = speed = 0.9 * speed + g + 0.01 * w
        if how == "f":
            g = g + shared.standard_normal((R, d))
        if how == "g":
            g = g + np.array([rng.standard_normal(d) for rng in own])
        if how == "h" and past[-1] < past[0] - 3:
            rate = 0.05
        w = w - rate * g
    return w[0]


Exercise(name="engine-apart", level="core", minutes=15, wants=Choice(
    options="abcdefgh",
    truth=lambda: "".join(how for how in "abcdefgh"
                          if np.abs(_first_of(2, how) - _first_of(5, how)).max() > 1e-9),
    mistakes={"acfgh": "A generator of its own knows nothing of the others.",
              "ach": "At the first step the rows of an array of draws are what they were. And at the second?",
              "abcfh": "Is there a way to descend that does not notice a constant factor before the gradient?",
              "cfh": "What does the mean over replicas do to the gradient of one of them?"}))


# ---- many as one -------------------------------------------------------------------------------------------------

def _alone(x: np.ndarray, y: np.ndarray, partner: np.ndarray, lam: np.ndarray, rate: float) -> np.ndarray:
    """Weights of every replica, trained one after another and example by example."""
    steps, R, n = partner.shape
    trained = []
    for k in range(R):
        w = np.zeros(x.shape[1])
        for t in range(steps):
            gradient = np.zeros_like(w)
            for i in range(n):
                v, j = lam[t, k, i], partner[t, k, i]
                z, label = v * x[i] + (1 - v) * x[j], v * y[i] + (1 - v) * y[j]
                gradient += (1 / (1 + math.exp(-(z @ w))) - label) * z / n
            w = w - rate * gradient
        trained.append(w)
    return np.array(trained)


def _classes(rng: np.random.Generator) -> list[dict]:
    found = []
    for n, d, R, steps in ((6, 2, 3, 4), (5, 3, 4, 3)):
        partner = np.array([[rng.permutation(n) for _ in range(R)] for _ in range(steps)])
        found.append({"x": rng.standard_normal((n, d)), "y": rng.integers(0, 2, n).astype(float), "partner": partner,
                      "lam": rng.random((steps, R, n)), "rate": float(rng.uniform(0.5, 1.5))})
    return found


def _all_as_first(x: np.ndarray, y: np.ndarray, partner: np.ndarray, lam: np.ndarray, rate: float) -> np.ndarray:
    R = partner.shape[1]
    return np.array([_alone(x, y, partner[:, :1], lam[:, :1], rate)[0]] * R)


Exercise(name="engine-together", level="core", minutes=20, wants=Function(
    arguments=("x", "y", "partner", "lam", "rate"), returns="the weights (R, d)", truth=_alone, cases=_classes,
    mistakes={
        "the gradient is divided by the number of replicas too":
            lambda x, y, partner, lam, rate: _alone(x, y, partner, lam, rate / partner.shape[1]),
        "the gradients of a batch are added, not averaged":
            lambda x, y, partner, lam, rate: _alone(x, y, partner, lam, rate * len(x)),
        "nothing is mixed": lambda x, y, partner, lam, rate: _alone(x, y, partner, np.ones_like(lam), rate),
        "the weights of an example and its partner are exchanged":
            lambda x, y, partner, lam, rate: _alone(x, y, partner, 1 - lam, rate),
        "all replicas get the numbers of the first": _all_as_first}))


Exercise(name="engine-fused", level="core", minutes=5)


# ---- a record that was touched -----------------------------------------------------------------------------------

def _refused() -> str:
    """The letters of the changes after which a record cannot be read, by making and reading it."""
    from mixtheory.evidence.record import Observation, Record, RecordError, seal

    record = Record(experiment="headline", dataset="digits", scale="quick", device="cpu", claims=(), config={},
                    seeds=tuple(range(16)), measurements=(), environment={}, source="0" * 64, wall_seconds=1.0,
                    created="2020-01-01T00:00:00+00:00",
                    observations=(Observation("error", {"alpha": 1.0}, (0.125, 0.25)),))

    def again(text: str, **changes: Any) -> str:
        body = {**json.loads(text), **changes}
        body.pop("content")
        return seal(body)

    edits: dict[str, Callable[[str], str]] = {
        "a": lambda text: text.replace("0.125", "0.124"),
        "b": lambda text: again(text.replace("0.125", "0.124")),
        "c": lambda text: text + "\n",
        "d": lambda text: text[:-100],
        "e": lambda text: text,                             # its source is that of no code that is here
        "f": lambda text: again(text, created="2019-01-01T00:00:00+00:00")}
    found = ""
    with tempfile.TemporaryDirectory() as folder:
        path = record.save(Path(folder))
        text = path.read_text(encoding="utf-8")
        for letter, edit in edits.items():
            path.write_bytes(edit(text).encode())
            try:
                Record.load(path)
            except RecordError:
                found += letter
    return found


Exercise(name="engine-record", level="core", minutes=10, wants=Choice(
    options="abcdef", truth=_refused, mistakes={
        "ad": "A hash of the content alone would miss one more; the file must be the one that was written.",
        "abcd": "Who can compute the hash: only the program that made the record?",
        "acde": "Is a record of older code damaged, or only old?"}))


# ---- the square of a mean ----------------------------------------------------------------------------------------

def _square(gradients: np.ndarray) -> float:
    """Mean inner product of the gradients of two different examples, over all pairs."""
    return float(np.mean([a @ b for a, b in itertools.permutations(gradients, 2)]))


def _gradients(rng: np.random.Generator) -> list[dict]:
    return [{"gradients": rng.standard_normal((n, d)) + rng.standard_normal(d)}
            for n, d in ((2, 3), (5, 1), (7, 4))]


Exercise(name="engine-square", level="core", minutes=15, wants=Function(
    arguments=("gradients",), truth=_square, cases=_gradients, mistakes={
        "the mean of the examples is squared": lambda gradients: float((gradients.mean(0) ** 2).sum()),
        "the sample variance is divided by n - 1 once, and not by n too":
            lambda gradients: float((gradients.mean(0) ** 2).sum() - gradients.var(0, ddof=1).sum()),
        "the variance is estimated with n in place of n - 1":
            lambda gradients: float((gradients.mean(0) ** 2).sum() - gradients.var(0).sum() / len(gradients))}))


# ---- bins and images ---------------------------------------------------------------------------------------------

def _bias(B: float, n: float) -> float:
    """Mean plug-in error of a calibrated binary model, exactly: the law of the count in every bin, image by image."""
    bins, size = int(B), round(n / B)
    c = (0.5 + 0.5 * (np.arange(bins * size) + 0.5) / (bins * size)).reshape(bins, size)
    law = np.zeros((bins, size + 1))
    law[:, 0] = 1
    for i in range(size):
        p = c[:, i:i + 1]
        law[:, 1:] = law[:, 1:] * (1 - p) + law[:, :-1] * p
        law[:, 0] *= 1 - c[:, i]
    return float((law * abs(np.arange(size + 1) - c.sum(1)[:, None])).sum() / (bins * size))


Exercise(name="engine-bins", level="challenge", minutes=30, wants=Formula(
    symbols=("B", "n"), truth=_bias, tolerance=0.01,
    points=({"B": 10, "n": 4000}, {"B": 15, "n": 7500}, {"B": 20, "n": 7000}), mistakes={
        "the bins are merged into one": lambda B, n: math.sqrt(2 / (math.pi * n)) * math.pi / 8,
        "the root of the mean square is taken for the mean distance": lambda B, n: math.sqrt(B / n) * math.pi / 8,
        "all confidences are 3/4": lambda B, n: math.sqrt(2 * B / (math.pi * n)) * math.sqrt(3) / 4,
        "confidences are uniform from 0 to 1/4 away from a half":
            lambda B, n: math.sqrt(2 * B / (math.pi * n)) * (math.pi / 12 + math.sqrt(3) / 8)}))


# ---- the same test images ----------------------------------------------------------------------------------------

def _test_set(e: float, v: float, m: float, R: float) -> float:
    """Variance of a mean test error over images and seeds: two kinds of images, all counts of errors."""
    k, n = np.arange(int(R) + 1), int(R)
    laws = [stats.binom.pmf(k, n, e + side * math.sqrt(v)) for side in (-1, 1)]
    law = (laws[0] + laws[1]) / 2
    mean = law @ (k / n)
    return float((law @ (k / n - mean) ** 2) / m)


Exercise(name="engine-images", level="challenge", minutes=25, wants=Formula(
    symbols=("e", "v", "m", "R"), truth=_test_set,
    points=({"e": 0.2, "v": 0.03, "m": 900, "R": 16}, {"e": 0.4, "v": 0.01, "m": 90, "R": 3},
            {"e": 0.31, "v": 0.07, "m": 360, "R": 8}), mistakes={
        "all images are equally hard": lambda e, v, m, R: e * (1 - e) / (m * R),
        "more seeds do not help at all": lambda e, v, m, R: e * (1 - e) / m,
        "only the seeds vary, and the images are given": lambda e, v, m, R: (e * (1 - e) - v) / (m * R),
        "the noise of the seeds is not less where images differ": lambda e, v, m, R: v / m + e * (1 - e) / (m * R)}))


# ---- a small difference ------------------------------------------------------------------------------------------

STEPS = 500


def _sensitive(problem: Any) -> str | None:
    """Descent from two starts that differ by 1e-12."""
    if not isinstance(problem, Mapping) or set(problem) != {"loss", "rate", "start"}:
        return "Hand in a dictionary with the keys loss, rate and start."
    loss = np.polynomial.Polynomial(np.asarray(problem["loss"], dtype=float)).trim()
    rate, start = float(problem["rate"]), float(problem["start"])
    if loss.degree() not in (2, 4, 6) or not loss.coef[-1] > 0:
        return "The loss must be a polynomial of degree 2, 4 or 6 whose last coefficient is positive."
    slope = loss.deriv()
    if not (rate > 0 and 0.1 <= abs(start) <= 10 and np.isfinite(loss.coef).all()):
        return "The rate must be positive, and the size of the start between 0.1 and 10."
    if abs(slope(start)) < 0.01:
        return "At the start the slope is nearly zero."
    w, apart = np.array([start, start + 1e-12]), 0.0
    for step in range(STEPS):
        w = w - rate * slope(w)
        if not (abs(w) <= 100).all():
            return f"After {step + 1} steps the weight has left [-100, 100]."
        apart = max(apart, abs(w[1] - w[0])) if step >= STEPS - 50 else 0.0
    return None if apart > 0.1 else f"In the last fifty steps the two weights are at most {apart:.3g} apart."


Exercise(name="engine-sensitive", level="research", minutes=40, wants=Witness(
    verify=_sensitive, asks="a dictionary with the keys loss, its coefficients, rate and start",
    scaffold='answer = {"loss": [...], "rate": ..., "start": ...}      # loss[k] belongs to w**k', mistakes={
        "a bowl": {"loss": [0, 0, 1.0], "rate": 0.3, "start": 1.0},
        "two valleys, small steps": {"loss": [0, 0, -0.5, 0, 0.25], "rate": 0.1, "start": 0.3},
        "steps too large": {"loss": [0, 0, -0.5, 0, 0.25], "rate": 4.0, "start": 1.9},
        "the top of a hill": {"loss": [0, 0, 1, 2, 1], "rate": 0.1, "start": -0.5}}))
