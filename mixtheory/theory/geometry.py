r"""What a function pays for leaving the chords between data points.

Along a segment phi(lambda) = f(lambda x1 + (1 - lambda) x2); D(lambda) = phi(lambda) - [lambda phi(1) + (1 -
lambda) phi(0)] is the deviation from the chord, negative where f is convex. D is a sum of tents, one for each
kink, and E D^2 is a quadratic form in the jumps of the slope. More claims of this chapter: `geometry_gaussian`
(one ReLU unit, Gaussian end points), `geometry_smooth`, `geometry_bounds`, `geometry_loss` (how E D^2 enters the
mixup loss) and `geometry_conflict` (when chords contradict one another).

A piecewise linear profile is given by `kinks`, positions in [0, 1], and `jumps`, the changes of slope there, in
output units (lambda has no unit). The last axis runs over kinks; leading axes are profiles, such as pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_finite, check_lambda, is_symbolic
from mixtheory.evidence import Claim, Derivation, cases, predicts
from mixtheory.theory import _geometry_routes as routes

__all__ = ["Curve", "Kinks", "curvature_deviation", "deviation", "ordered", "relu_kinks", "slope_variation", "tent",
           "unit_deviation"]

LAM = sp.Symbol("lambda", positive=True)
K1, K2, J1, J2 = sp.Symbol("k_1", positive=True), sp.Symbol("k_2", positive=True), *sp.symbols("J_1 J_2", real=True)
P, Q = sp.symbols("p q", positive=True)
TENTS = "geometry.tents"
SEGMENT = r"along one segment, $\varphi(\lambda) = f(\lambda x_1 + (1-\lambda)x_2)$"
LINEAR = "the profile is piecewise linear"
UNIFORM_LAW = r"$\alpha = 1$: $\lambda$ is uniform"
GAUSS = 32                                                       # Gauss-Legendre nodes on each side of lambda


class Kinks(NamedTuple):
    """Positions and jumps of slope, arrays of one shape (..., kinks); a jump of 0 is no kink."""

    position: np.ndarray
    jump: np.ndarray


class Curve(NamedTuple):
    """A smooth profile: phi(t) and phi''(t), vectorised functions of t in [0, 1]."""

    value: Callable[[Any], Any]
    curvature: Callable[[Any], Any]


# ---- the deviation -----------------------------------------------------------------------------------------------

def tent(lam: Any, k: Any) -> Any:
    """Green's function of a string held at both ends, G(lambda, k) = min(lambda, k) - lambda k, in [0, 1/4].

    Args:
        lam: in [0, 1]; number, array or symbol.
        k: in [0, 1], broadcasts with `lam`.

    Returns:
        A tent over [0, 1] with its peak k (1 - k) at k; symmetric in its arguments; no unit.

    Raises:
        DomainError: lam or k outside [0, 1].
    """
    check_lambda(lam)
    check_lambda(k, "k")
    least = sp.Min(lam, k) if is_symbolic(lam, k) else np.minimum(lam, k)
    return least - lam * k


def curvature_deviation(lam: Any, curve: Curve) -> Any:
    """Deviation from the chord by the curvature alone: D(lambda) = -int_0^1 G(lambda, k) phi''(k) dk.

    Args:
        lam: a number in [0, 1], or a symbol.
        curve: only `curve.curvature` is used; with a symbolic `lam` it must accept symbols.

    Returns:
        D in output units, by Gauss-Legendre on each side of `lam` (exact for polynomials of degree 64).

    Raises:
        DomainError: lam outside [0, 1].
    """
    check_lambda(lam)
    if is_symbolic(lam):
        k = sp.Symbol("k", positive=True)
        return (-(1 - lam) * sp.Integral(k * curve.curvature(k), (k, 0, lam))
                - lam * sp.Integral((1 - k) * curve.curvature(k), (k, lam, 1)))
    t, w = np.polynomial.legendre.leggauss(GAUSS)
    left, right = lam * (1 + t) / 2, lam + (1 - lam) * (1 + t) / 2
    return float(-sum(length * (w / 2) @ (tent(lam, k) * curve.curvature(k))
                      for k, length in ((left, lam), (right, 1 - lam))))


def derive_curvature() -> Derivation:
    """Integrate by parts on each side of lambda."""
    phi, k = sp.Function("varphi"), sp.Symbol("k", positive=True)
    d = Derivation("D(\\lambda)", phi(LAM) - LAM * phi(1) - (1 - LAM) * phi(0),
                   {"lam": LAM, "curve": Curve(phi, lambda t: sp.diff(phi(t), t, 2))})
    d = d.equals((1 - LAM) * sp.Integral(phi(k).diff(k), (k, 0, LAM)) - LAM * sp.Integral(phi(k).diff(k), (k, LAM, 1)),
                 "the fundamental theorem, left and right of $\\lambda$")
    return d.equals(curvature_deviation(LAM, Curve(phi, lambda t: sp.diff(phi(t), t, 2))),
                    "by parts; the terms $\\lambda(1-\\lambda)\\varphi'(\\lambda)$ of both sides cancel")


def deviation(lam: Any, kinks: Any, jumps: Any) -> Any:
    """Deviation from the chord of a piecewise linear profile: D(lambda) = -sum_j J_j G(lambda, k_j).

    Args:
        lam: in [0, 1]; a number, or an array that broadcasts with the leading axes of `kinks`.
        kinks: (..., kinks) positions in [0, 1], in any order.
        jumps: (..., kinks) jumps of slope, finite.

    Returns:
        (...) in output units, 0 at both ends.

    Raises:
        DomainError: positions or weights outside [0, 1], shapes that differ, jumps that are not finite.

    Example:
        >>> float(deviation(0.5, [0.5], [1.0]))       # a convex kink in the middle sags by 1/4
        -0.25
    """
    if symbolic(lam, kinks, jumps):
        return -sum(J * tent(lam, k) for k, J in zip(kinks, jumps, strict=True))
    k, J = profile(kinks, jumps)
    return -(J * tent(np.asarray(lam, dtype=float)[..., None], k)).sum(-1)


def derive_deviation() -> Derivation:
    """One kink on each side of lambda; more kinks add up."""
    A, B = sp.symbols("A B", real=True)
    k1, k2 = LAM - P, LAM + Q
    value, end = A + B * LAM + J1 * P, A + B + J1 * (1 - k1) + J2 * (1 - k2)
    d = Derivation(r"D(\lambda)", value - LAM * end - (1 - LAM) * A,
                   {"lam": LAM, "kinks": (k1, k2), "jumps": (J1, J2)})
    d = d.equals(J1 * (P - LAM * (1 - k1)) - J2 * LAM * (1 - k2),
                 r"$\varphi(t) = A + Bt + J_1(t - k_1)_+ + J_2(t - k_2)_+$ with $k_1 = \lambda - p$, $k_2 = "
                 r"\lambda + q$; an "
                 "affine function is its own chord: $A$ and $B$ drop out")
    return d.equals(deviation(LAM, (k1, k2), (J1, J2)), "minus two tents, past the peak of one and before that "
                                                        "of the other")


def unit_deviation(lam: Any, z_end: Any, z_start: Any, a: Any) -> Any:
    """Deviation of one ReLU unit a max(0, z): z is z_start at lambda = 0 and z_end at lambda = 1, affine between.

    Its kink is at k = z_start/(z_start - z_end) with jump J = a |z_end - z_start|, if z changes sign; else D = 0.

    Args:
        lam: in [0, 1].
        z_end: pre-activation w . x1 + b at lambda = 1; a number, or an array that broadcasts.
        z_start: pre-activation at lambda = 0.
        a: output weight.

    Returns:
        D in output units.

    Raises:
        DomainError: lam outside [0, 1], arguments that are not finite.
    """
    if is_symbolic(lam, z_end, z_start, a):                  # taken to change sign
        k, J = z_start / (z_start - z_end), a * sp.Abs(z_end - z_start)
        return deviation(lam, (sp.cancel(k),), (J,))
    k, J = _unit(np.asarray(check_finite(z_end, "z_end"), dtype=float),
                 np.asarray(check_finite(z_start, "z_start"), dtype=float), check_finite(a, "a"))
    return deviation(lam, k[..., None], J[..., None])


def derive_unit() -> Derivation:
    """A unit that switches on, looked at beyond its kink."""
    a, t = sp.Symbol("a", real=True), sp.Symbol("t", positive=True)
    k = P / (P + Q)
    z = sp.factor(-P + (k + t) * (P + Q))
    d = Derivation(r"D(k + t)",
                   a * sp.Max(0, z) - (k + t) * a * sp.Max(0, Q) - (1 - k - t) * a * sp.Max(0, -P),
                   {"lam": k + t, "z_end": Q, "z_start": -P, "a": a})
    d = d.equals(a * (P + Q) * ((k + t) * k - k), r"$z(0) = -p$, $z(1) = q$, zero at $k = \frac{p}{p + q}$; the "
                                                  r"chord has slope $aq = a(p + q)(1 - k)$")
    return d.equals(unit_deviation(k + t, Q, -P, a), "jump of slope $J = a(p + q)$, and the tent beyond its peak")


def relu_kinks(W: Any, b: Any, a: Any, x1: Any, x2: Any) -> Kinks:
    """Where the segments from x2 to x1 cross the kinks of f(x) = sum_j a_j max(0, w_j . x + b_j) + c, and how sharply.

    Args:
        W: (units, d) input weights, one unit a row.
        b: (units,) biases.
        a: (units,) output weights.
        x1: (..., d) the ends at lambda = 1.
        x2: (..., d) the ends at lambda = 0.

    Returns:
        Positions and jumps of shape (..., units), jumps in output units; both are 0 for a unit that does not
        change sign. A unit that is exactly 0 at an end has no kink inside.

    Raises:
        DomainError: shapes that do not fit, entries that are not finite.

    Example:
        >>> found = relu_kinks([[1.0, 0.0]], [-1.0], [2.0], [3.0, 5.0], [0.0, 5.0])
        >>> found.position.round(3), found.jump
        (array([0.333]), array([6.]))
    """
    W, b, a, x1, x2 = (np.asarray(check_finite(v, name), dtype=float)
                       for v, name in ((W, "W"), (b, "b"), (a, "a"), (x1, "x1"), (x2, "x2")))
    if W.ndim != 2 or b.shape != W.shape[:1] or a.shape != W.shape[:1]:
        raise DomainError(f"W, b, a of shapes {W.shape}, {b.shape}, {a.shape}: must be (units, d), (units,), (units,)")
    if x1.shape != x2.shape or x1.shape[-1:] != W.shape[1:]:
        raise DomainError(f"x1, x2 of shapes {x1.shape}, {x2.shape}: must be pairs (..., {W.shape[1]})")
    return Kinks(*_unit(x1 @ W.T + b, x2 @ W.T + b, a))


def _unit(z_end: np.ndarray, z_start: np.ndarray, a: Any) -> tuple[np.ndarray, np.ndarray]:
    """Position and jump of a ReLU unit, 0 and 0 where z does not change sign."""
    change = (z_start < 0) & (z_end > 0) | (z_start > 0) & (z_end < 0)
    k = np.divide(z_start, z_start - z_end, out=np.zeros(np.broadcast(z_start, z_end).shape), where=change)
    return np.clip(k, 0, 1), np.where(change, a * np.abs(z_end - z_start), 0.0)


def slope_variation(kinks: Any, jumps: Any) -> Any:
    """Total variation of the slope, sum |J_k| over distinct kinks: jumps at one place are added first.

    Args:
        kinks: (..., kinks) positions in [0, 1]; kinks at 0 and 1 are no kinks.
        jumps: (..., kinks).

    Returns:
        (...) in output units, at least 0.

    Raises:
        DomainError: see `deviation`.
    """
    if is_symbolic(*kinks, *jumps):                          # in increasing order
        return sum(sp.Abs(J) for J in jumps)
    k, J = ordered(kinks, jumps)
    J = np.where((k > 0) & (k < 1), J, 0.0)
    for j in range(1, k.shape[-1]):                          # carry jumps on to the last kink of their place
        same = k[..., j] == k[..., j - 1]
        J[..., j] += np.where(same, J[..., j - 1], 0.0)
        J[..., j - 1] = np.where(same, 0.0, J[..., j - 1])
    return np.abs(J).sum(-1)


def derive_variation() -> Derivation:
    """The slope is constant between kinks."""
    B = sp.Symbol("B", real=True)
    d = Derivation(r"\mathrm{TV}(\varphi')",
                   sp.Abs((B + J1) - B) + sp.Abs((B + J1 + J2) - (B + J1)), {"kinks": (K1, K2), "jumps": (J1, J2)})
    return d.equals(slope_variation((K1, K2), (J1, J2)), "the slope changes at the kinks $k_1 < k_2$ only")


def symbolic(*values: Any) -> bool:
    """Whether any number, or entry of an array, is a symbol; arrays of numbers are not looked through."""
    return any(array.dtype == object and is_symbolic(*array.flat) for array in map(np.asarray, values))


def profile(kinks: Any, jumps: Any) -> tuple[np.ndarray, np.ndarray]:
    """Checked positions and jumps as arrays of floats."""
    k, J = np.asarray(kinks, dtype=float), np.asarray(jumps, dtype=float)
    if k.ndim == 0 or k.shape != J.shape:
        raise DomainError(f"kinks, jumps of shapes {k.shape}, {J.shape}: must be one shape (..., kinks)")
    check_lambda(k, "kinks")
    check_finite(J, "jumps")
    return k, J


def ordered(kinks: Any, jumps: Any) -> tuple[np.ndarray, np.ndarray]:
    """The same with positions in increasing order along the last axis."""
    k, J = profile(kinks, jumps)
    order = np.argsort(k, axis=-1, kind="stable")
    return np.take_along_axis(k, order, -1), np.take_along_axis(J, order, -1)


# ---- claims ------------------------------------------------------------------------------------------------------

LAMS = (0.07, 0.3, 0.5, 0.82)
THREE = {"kinks": np.array([0.21, 0.5, 0.83]), "jumps": np.array([1.3, -2.0, 0.7])}
TWO = {"kinks": np.array([0.35, 0.9]), "jumps": np.array([-0.8, -1.1])}

Claim(
    id="geometry.curvature", title="The deviation is curvature under tents",
    statement=r"D(\lambda) = -\int_0^1 G(\lambda, k)\,\varphi''(k)\,dk,\quad G(\lambda, k) = \min(\lambda, k) - "
              r"\lambda k",
    assumptions=(SEGMENT, r"$\varphi$ has two derivatives; a kink of jump $J$ at $k$ counts as $\varphi'' = "
                          r"J\delta_k$"),
    fails_when=r"$\varphi$ jumps",
    predict=curvature_deviation, derive=derive_curvature, exact=routes.exact_curve,
    cases=cases(lam=LAMS, curve=tuple(Curve(*c) for c in routes.CURVES)), scale=lambda value, **_: 0.1,
    wrong={"sign": predicts(lambda lam, curve: -curvature_deviation(lam, curve)),
           "curvature taken at lambda": predicts(lambda lam, curve: -lam * (1 - lam) / 2 * curve.curvature(lam))})
Claim(
    id=TENTS, title="Every kink holds up a tent",
    statement=r"D(\lambda) = -\sum_j J_j\,G(\lambda, k_j)",
    assumptions=(SEGMENT, LINEAR),
    predict=deviation, derive=derive_deviation, exact=routes.exact_deviation,
    cases=tuple({"lam": lam, **c} for lam in LAMS for c in (THREE, TWO)), scale=lambda value, **_: 0.1,
    wrong={"sign": predicts(lambda lam, kinks, jumps: -deviation(lam, kinks, jumps)),
           "a hinge in place of a tent": predicts(lambda lam, kinks, jumps: sum(
               J * (sp.Max(0, lam - k) if is_symbolic(lam) else max(0.0, lam - k))
               for k, J in zip(kinks, jumps, strict=True)))})
Claim(
    id="geometry.relu_unit", title="The kink of a ReLU unit on a segment",
    statement=r"k_j = \frac{z_j(0)}{z_j(0) - z_j(1)},\quad J_j = a_j\,\lvert z_j(1) - z_j(0)\rvert"
              r"\quad\text{if } z_j(0)\,z_j(1) < 0",
    assumptions=(SEGMENT, r"$z_j(\lambda) = w_j^\top(\lambda x_1 + (1-\lambda)x_2) + b_j$, one hidden layer"),
    fails_when="there are more hidden layers: the jumps then depend on the layers above",
    predict=unit_deviation, derive=derive_unit, exact=routes.exact_unit,
    cases=tuple({"lam": lam, "z_end": z1, "z_start": z0, "a": a} for lam in LAMS
                for z1, z0, a in ((1.2, -0.5, 0.9), (-2.0, 0.7, -1.4), (0.4, 1.1, 2.0))),
    scale=lambda value, **_: 0.1,
    wrong={"a kink off the segment costs too": predicts(lambda lam, z_end, z_start, a: -a * abs(z_end - z_start)
               * tent(lam, 0.5) if z_end * z_start > 0 else unit_deviation(lam, z_end, z_start, a), symbolic=False),
           "ends swapped": predicts(lambda lam, z_end, z_start, a: unit_deviation(lam, z_start, z_end, a)),
           "signed jump": predicts(lambda lam, z_end, z_start, a: np.sign(z_start - z_end) * unit_deviation(
               lam, z_end, z_start, a) if not is_symbolic(lam) else -unit_deviation(lam, z_end, z_start, a))})
Claim(
    id="geometry.slope_variation", title="Total variation of the slope",
    statement=r"\mathrm{TV}(\varphi') = \sum_k \lvert J_k\rvert \quad\text{over distinct kinks}",
    assumptions=(SEGMENT, LINEAR), fails_when="two units have their kink at one place: their jumps add before "
                                              "the modulus",
    predict=slope_variation, derive=derive_variation, exact=routes.exact_variation,
    cases=(THREE, TWO, {"kinks": np.array([0.3, 0.6, 0.3]), "jumps": np.array([1.0, 0.4, -1.7])}),
    wrong={"coincident kinks counted apart": predicts(lambda kinks, jumps: np.abs(jumps).sum(), symbolic=False),
           "jumps cancel": predicts(lambda kinks, jumps: abs(sum(jumps)))})
