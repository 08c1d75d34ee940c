"""Exercises on membership: gaps, attacks, and what is remembered."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq

from mixtheory.exercises.judging import Choice, Exercise, Formula, Witness
from mixtheory.mixing import Beta, symmetric

ROUNDING = 1e-9        # a reader's floats may miss a limit by this much


def _auc(members: np.ndarray, strangers: np.ndarray) -> float:
    """Probability that a member has the smaller loss, ties counting half."""
    difference = np.subtract.outer(np.asarray(strangers), np.asarray(members))
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


# ---- four lists --------------------------------------------------------------------------------------------------

def _lists(answer: Sequence[Sequence[float]]) -> str | None:
    lists = [np.asarray(v, dtype=float) for v in answer]
    if [v.shape for v in lists] != [(10,)] * 4 or not all(np.isfinite(v).all() and (v >= 0).all() for v in lists):
        return "Hand in four lists of ten losses that are not negative."
    before, after = lists[1].mean() - lists[0].mean(), lists[3].mean() - lists[2].mean()
    first, last = _auc(*lists[:2]), _auc(*lists[2:])
    if not 0 < after <= before / 10 + ROUNDING:
        return f"The gap goes from {before:.4g} to {after:.4g}; it should stay positive and fall to a tenth."
    if first > 0.6 + ROUNDING or last < 0.99 - ROUNDING:
        return f"The AUC goes from {first:.2f} to {last:.2f}; it should go from at most 0.6 to at least 0.99."
    return None


Exercise(name="membership-losses", level="warm-up", minutes=10, wants=Witness(
    verify=_lists, asks="four lists of ten losses: members and strangers before, members and strangers after",
    scaffold="before = [1.0] * 10, [2.0] * 10      # members, strangers\nafter = [1.0] * 10, [2.0] * 10\n"
             "answer = (*before, *after)", mistakes={
        "everything divided by ten": ([1.0] * 10, [2.0] * 10, [0.1] * 10, [0.2] * 10),
        "the attack fails afterwards": ([1.0] * 10, [1.0] * 9 + [11.0], [1.0] * 10, [1.0] * 9 + [1.1]),
        "the gap is gone": ([1.0] * 10, [1.0] * 9 + [11.0], [1.0] * 10, [1.0] * 10)}))


# ---- a temperature -----------------------------------------------------------------------------------------------

def _changed() -> str:
    """Fits a logistic regression to 40 records and measures everything before and after a division by ten."""
    rng = np.random.default_rng(11)
    y = np.arange(440) % 2
    x = rng.standard_normal((440, 3)) + np.outer(2 * y - 1, [0.8, 0, 0])
    member, w = np.arange(440) < 40, np.zeros(3)
    for _ in range(30):
        p = 1 / (1 + np.exp(-x[member] @ w))
        hessian = (x[member] * (p * (1 - p))[:, None]).T @ x[member]
        w = w - np.linalg.solve(hessian, x[member].T @ (p - y[member]))

    def measured(temperature: float) -> dict[str, float]:
        margin = (2 * y - 1) * (x @ w) / temperature
        losses = np.log1p(np.exp(-margin))
        inside, outside = losses[member], losses[~member]
        thresholds = np.sort(losses)
        advantage = [(inside <= v).mean() - (outside <= v).mean() for v in thresholds]
        best = int(np.argmax(advantage))
        return {"a": outside.mean() - inside.mean(), "b": (margin[~member] > 0).mean(), "c": _auc(inside, outside),
                "d": inside.mean(), "e": thresholds[best], "f": advantage[best]}

    before, after = measured(1.0), measured(10.0)
    return "".join(k for k in before if abs(after[k] - before[k]) > 1e-9)


Exercise(name="membership-temperature", level="warm-up", minutes=5, wants=Choice(
    options="abcdef", truth=_changed, mistakes={
        "a": "That changes, and it is not the only thing that is measured in nats.",
        "acd": "In which order do the losses stand after the division?",
        "acdef": "In which order do the losses stand after the division?",
        "abcdef": "In which order do the losses stand after the division?"}))


# ---- fewer coefficients, and noise -------------------------------------------------------------------------------

def _exposure(p: float, k: float, tau: float) -> float:
    """Mean over 500 drawn records of n SNR^2, with matrices: shifts of k of p coefficients against their covariance."""
    rng = np.random.default_rng(5)
    psi = rng.standard_normal((500, int(p))) @ rng.standard_normal((int(p), int(p))) * rng.exponential(size=(500, 1))
    shift = np.linalg.solve(rng.standard_normal((int(p), int(p))), psi.T)[:int(k)]
    noise = (1 + tau**2) * shift @ shift.T / 500
    return float((shift * np.linalg.solve(noise, shift)).sum() / 500)


Exercise(name="membership-noise", level="core", minutes=15, wants=Formula(
    symbols=("p", "k", "tau"), truth=_exposure,
    points=({"p": 11, "k": 4, "tau": 0.7}, {"p": 5, "k": 1, "tau": 1.9}, {"p": 7, "k": 6, "tau": 0.2}), mistakes={
        "what is withheld is seen all the same": lambda p, k, tau: _exposure(p, p, tau),
        "the added noise is the only noise": lambda p, k, tau: k / tau**2,
        "standard deviations add": lambda p, k, tau: k / (1 + tau) ** 2,
        "the exposure is linear in the ratio of signal to noise":
            lambda p, k, tau: math.sqrt(k * _exposure(p, k, tau))}))


# ---- three examples and a ridge ----------------------------------------------------------------------------------

def _as_ridge(alpha: float, rho: float) -> float:
    """Fits a penalised slope to all mixes of three of four points and looks which plain ridge has the same slope."""
    x, y = np.array([-1.1, 0.2, 0.9, 2.3]), np.array([0.4, -0.3, 1.2, 1.9])
    nodes = [zip(*law.quadrature(nodes=6), strict=True) for law in (Beta(alpha, 2 * alpha), symmetric(alpha))]
    moments, triples = np.zeros(5), np.array(list(itertools.product(range(4), repeat=3)))
    for (first, a), (second, b) in itertools.product(*nodes):
        weights = np.array([first, (1 - first) * second, (1 - first) * (1 - second)])
        u, v = x[triples] @ weights, y[triples] @ weights
        moments += a * b * np.array([q.mean() for q in (u, v, u * u, u * v, v * v)])
    slope = (moments[3] - moments[0] * moments[1]) / (moments[2] - moments[0] ** 2 + rho)
    return float(np.cov(x, y, ddof=0)[0, 1] / slope - np.var(x))


Exercise(name="membership-three", level="core", minutes=15, wants=Formula(
    symbols=("alpha", "rho"), truth=_as_ridge,
    points=({"alpha": 0.3, "rho": 0.2}, {"alpha": 1.0, "rho": 1.3}, {"alpha": 4.2, "rho": 0.05}), mistakes={
        "two examples are mixed": lambda alpha, rho: rho * (2 * alpha + 1) / (alpha + 1),
        "the penalty shrinks with the data": lambda alpha, rho: rho**2 / _as_ridge(alpha, rho),
        "the weights are always one third": lambda alpha, rho: 3 * rho}))


# ---- stopped early -----------------------------------------------------------------------------------------------

def _stopped(alpha: float, d: float, t: float) -> float:
    """Trace of the smoother of one direction: follows the response to each target by Runge-Kutta steps."""
    x = np.array([-1.0, -0.4, 0.3, 1.1])
    x *= math.sqrt(d / np.mean(x**2))
    lam, mass = symmetric(alpha).quadrature(nodes=8)
    square, pull = 0.0, np.zeros(4)
    for (i, j), (v, w) in itertools.product(itertools.product(range(4), repeat=2), zip(lam, mass, strict=True)):
        mixed = v * x[i] + (1 - v) * x[j]
        square += w * mixed**2 / 16
        pull[i] += w * mixed * v / 16
        pull[j] += w * mixed * (1 - v) / 16
    slope, h = np.zeros(4), t / 400
    for _ in range(400):
        k1 = pull - square * slope
        k2 = pull - square * (slope + h / 2 * k1)
        k3 = pull - square * (slope + h / 2 * k2)
        k4 = pull - square * (slope + h * k3)
        slope = slope + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return float(x @ slope)


Exercise(name="membership-flow", level="core", minutes=20, wants=Formula(
    symbols=("alpha", "d", "t"), truth=_stopped,
    points=({"alpha": 0.3, "d": 0.7, "t": 1.2}, {"alpha": 1.0, "d": 2.1, "t": 0.3}, {"alpha": 4.2, "d": 0.4, "t": 5.0}),
    mistakes={
        "mixing does not touch the flow": lambda alpha, d, t: 1 - math.exp(-d * t),
        "the curvature shrinks and the pull of the targets does not":
            lambda alpha, d, t: _stopped(alpha, d, t) / symmetric(alpha).expect(lambda v: v**2 + (1 - v) ** 2),
        "the flow has arrived": lambda alpha, d, t: 1.0}))


Exercise(name="membership-report", level="core", minutes=20)


# ---- points in the plane -----------------------------------------------------------------------------------------

def _own(points: np.ndarray, alpha: float, r: float) -> float:
    """Weight of the first label in the mean label of mixes within r of the first point; distinct pairs."""
    law, own, total = Beta(alpha, alpha), 0.0, 0.0
    for x in points[1:]:
        near = r / np.linalg.norm(x - points[0])                    # the other's weight is at most this
        mass = law.partial_moment(0, 0, 0.0, near)
        own, total = own + mass - law.partial_moment(1, 0, 0.0, near), total + mass
    for x, z in itertools.combinations(points[1:], 2):
        along = x - z
        centre = (points[0] - z) @ along / (along @ along)
        distance = np.linalg.norm(points[0] - z - centre * along)
        if distance < r:
            half = math.sqrt(r**2 - distance**2) / np.linalg.norm(along)
            low, high = np.clip([centre - half, centre + half], 0, 1)
            total += law.partial_moment(0, 0, low, high)
    return float(own / total)


def _forgotten(answer: Sequence[Sequence[float]]) -> str | None:
    points = np.asarray(answer, dtype=float)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        return "Hand in five points of two coordinates each."
    apart = min(np.linalg.norm(a - b) for a, b in itertools.combinations(points, 2))
    widths = np.linalg.svd(points - points.mean(0), compute_uv=False)
    if apart < 1e-3 * widths[0]:
        return "The points must be different, none closer to another than a thousandth of the whole extent."
    if widths[1] < 1e-2 * widths[0]:
        return "All points lie on one line, or nearly."
    own = _own(points, 3.0, 1e-6 * apart)
    return None if own < 0.01 else f"Close to the first point its own label has the weight {own:.3f}."


Exercise(name="membership-plane", level="challenge", minutes=20, wants=Witness(
    verify=_forgotten, asks="five points in the plane, the first of which is forgotten",
    scaffold="answer = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, 3.0], [3.0, 1.0]]", mistakes={
        "in general position": [[0, 0], [1, 0.2], [-0.3, 1], [-1, -0.7], [0.5, -1]],
        "at an end": [[0, 0], [1, 0], [2, 0], [0, 1], [3, 1]],
        "all on a line": [[0, 0], [1, 1], [-1, -1], [2, 2], [-2, -2]]}))


# ---- a variance --------------------------------------------------------------------------------------------------

def _variance(alpha: float, kappa: float) -> float:
    """tr(H^-1 E[psi grad]) for the loss ln(v)/2 + x^2/(2 v), case by case from a law of three points."""
    x, p = np.array([-math.sqrt(kappa), 0.0, math.sqrt(kappa)]), np.array([0.5, kappa - 1, 0.5]) / kappa
    lam, mass = symmetric(alpha).quadrature(nodes=8)
    squares = (lam[:, None, None] * x[:, None] + (1 - lam[:, None, None]) * x) ** 2
    weight = np.einsum("l,i,j->lij", mass, p, p)

    def gradient(square: np.ndarray, v: float) -> np.ndarray:
        return 1 / (2 * v) - square / (2 * v**2)

    v = brentq(lambda v: float((weight * gradient(squares, v)).sum()), 1e-3, 10, xtol=1e-14, rtol=1e-14)
    step = 1e-4
    H = float((weight * (gradient(squares, v + step) - gradient(squares, v - step))).sum() / (2 * step))
    psi = 2 * np.einsum("l,j,lij->i", mass, p, gradient(squares, v))
    return float(p @ (psi * gradient(x**2, v)) / H)


Exercise(name="membership-variance", level="challenge", minutes=30, wants=Formula(
    symbols=("alpha", "kappa"), truth=_variance, tolerance=1e-5,
    points=({"alpha": 0.3, "kappa": 3.0}, {"alpha": 1.0, "kappa": 1.8}, {"alpha": 4.2, "kappa": 5.5}), mistakes={
        "nothing is mixed": lambda alpha, kappa: (kappa - 1) / 2,
        "the gap shrinks with the data, or if the loss is taken at the true variance":
            lambda alpha, kappa: (kappa - 1) / 2 * (alpha + 1) / (2 * alpha + 1),
        "a record takes part in a pair only once": lambda alpha, kappa: _variance(alpha, kappa) / 2}))


# ---- a robust loss -----------------------------------------------------------------------------------------------

def _robust(x: np.ndarray, mixed: bool) -> float:
    """n times the gap of a location under ln cosh; sorted records as the population, all pairs, lambda uniform."""
    t, w = np.polynomial.legendre.leggauss(64)
    lam, mass = ((1 + t) / 2, w / 2) if mixed else (np.array([1.0]), np.array([1.0]))
    pairs = lam[:, None, None] * x[:, None] + (1 - lam[:, None, None]) * x
    theta = brentq(lambda c: float(np.einsum("l,lij->", mass, np.tanh(pairs - c))), x[0] - 1, x[-1] + 1, xtol=1e-13)
    H = np.einsum("l,lij->", mass, 1 - np.tanh(pairs - theta) ** 2) / len(x) ** 2
    psi = -np.einsum("l,lij->i", mass, np.tanh(pairs - theta)) / len(x) * (2 if mixed else 1)
    return float(np.mean(psi * -np.tanh(x - theta)) / H)


def _wider(answer: Sequence[float]) -> str | None:
    x = np.sort(np.asarray(answer, dtype=float))
    if x.shape != (5,) or not np.isfinite(x).all() or np.abs(x).max() > 10:
        return "Hand in five numbers between -10 and 10."
    if np.diff(x).min() < 0.1 - 1e-9:
        return "No two records may be closer than 0.1."
    before, after = _robust(x, False), _robust(x, True)
    return None if after >= 2 * before else f"n times the gap goes from {before:.3f} to {after:.3f}, not twice as much."


Exercise(name="membership-wide", level="research", minutes=30, wants=Witness(
    verify=_wider, asks="five numbers between -10 and 10", scaffold="answer = [-1.0, -0.5, 0.0, 0.5, 1.0]", mistakes={
        "close together": [-1.0, -0.5, 0.0, 0.5, 1.0], "far apart": [-10.0, -5.0, 0.0, 5.0, 10.0],
        "not far enough": [-1.0, -0.2, 0.1, 0.4, 3.0]}))
