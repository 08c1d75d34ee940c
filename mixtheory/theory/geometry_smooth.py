r"""The chord penalty of smooth functions: exact for quadratics, curvature at the midpoint for short segments.

Delta = x1 - x2 is the segment, u = lambda (1 - lambda), and H the Hessian of f.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_covariance, check_finite, check_lambda, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, gaussian, predicts, simulates
from mixtheory.mixing import Beta
from mixtheory.theory import _geometry_routes as routes
from mixtheory.theory import mixing_moments as mm

__all__ = ["Smooth", "curvature_lower", "curvature_upper", "quadratic_deviation", "quadratic_penalty",
           "smooth_penalty", "smooth_penalty_asymmetric"]

SQUARE = "mixing_moments.product_square"
QUADRATIC = r"$f(x) = \frac{1}{2} x^\top A x$ plus an affine function, $A$ symmetric"


class Smooth(NamedTuple):
    """A smooth function on R^d near a midpoint: value(x), hessian(x) (d, d), third(x, v) = d^3 f(x)[v, v, v]."""

    value: Callable[[Any], Any]
    hessian: Callable[[Any], Any]
    third: Callable[[Any, Any], Any]
    midpoint: Any
    direction: Any


def quadratic_deviation(lam: Any, A: Any, Delta: Any) -> Any:
    """D(lambda) = -(u/2) Delta^T A Delta for f(x) = x^T A x / 2, exactly.

    Args:
        lam: in [0, 1].
        A: (d, d) symmetric: the Hessian.
        Delta: (..., d) segments x1 - x2.

    Returns:
        (...) in output units.

    Raises:
        DomainError: lam outside [0, 1], A not symmetric, shapes that do not fit.
    """
    check_lambda(lam)
    A, Delta = _hessian(A), np.asarray(Delta)
    if Delta.shape[-1:] != A.shape[:1]:
        raise DomainError(f"Delta of shape {Delta.shape}: must be (..., {len(A)})")
    return -lam * (1 - lam) / 2 * ((Delta @ A) * Delta).sum(-1)


def quadratic_penalty(alpha: Any, A: Any, Sigma: Any) -> Any:
    """E D^2 = E[u^2] (2 tr(A Sigma A Sigma) + tr(A Sigma)^2) for a quadratic f and independent Gaussian ends.

    Args:
        alpha: in [0, inf].
        A: (d, d) symmetric Hessian.
        Sigma: (d, d) covariance of the data.

    Returns:
        Squared output units.

    Raises:
        DomainError: alpha outside its domain, A not symmetric, Sigma not a covariance.
    """
    product = _hessian(A) @ np.asarray(check_covariance(Sigma))
    return mm.product_square(alpha) * (2 * np.trace(product @ product) + np.trace(product)**2)


def smooth_penalty(alpha: Any, h: Any, f: Smooth) -> Any:
    """Leading order of E D^2 on a short segment: E[u^2] (Delta^T H Delta)^2 / 4 with H at the midpoint.

    The relative error is O(|Delta|^2), as the law of lambda is symmetric.

    Args:
        alpha: in [0, inf].
        h: length of the segment in units of `f.direction`: Delta = h direction.
        f: function, midpoint and direction.

    Returns:
        Squared output units.

    Raises:
        DomainError: alpha outside its domain, h not positive.
    """
    check_positive(h, "h")
    return mm.product_square(alpha) / 4 * h**4 * _along(f)**2


def smooth_penalty_asymmetric(a: Any, b: Any, h: Any, f: Smooth) -> Any:
    """The same for lambda ~ Beta(a, b), with the term of relative order h that an asymmetric law adds.

    E D^2 = h^4/4 (c2^2 E[u^2] + c2 c3 h E[u^2 (2 lambda - 1)]/3), c2 and c3 the second and third derivative of f along
    the direction at the midpoint; the second term is 0 for a = b.

    Args:
        a: first parameter, > 0.
        b: second parameter, > 0.
        h: as in `smooth_penalty`.
        f: as there.

    Returns:
        Squared output units.

    Raises:
        DomainError: a, b or h not positive.
    """
    check_positive(h, "h")
    law = Beta(a, b)
    c2, c3 = _along(f), f.third(f.midpoint, f.direction)
    return h**4 / 4 * (c2**2 * law.moment(2, 2) + c2 * c3 * h * (law.moment(3, 2) - law.moment(2, 3)) / 3)


def curvature_upper(alpha: Any, M: Any) -> Any:
    """E D^2 <= M^2 E[u^2] / 4 on a segment with |phi''| <= M; parabolas attain it.

    alpha in [0, inf]; M >= 0, output units. Squared output units. Raises DomainError outside.
    """
    return _curved(alpha, M)


def curvature_lower(alpha: Any, m: Any) -> Any:
    """E D^2 >= m^2 E[u^2] / 4 on a segment with |phi''| >= m and phi'' of one sign; parabolas attain it.

    alpha in [0, inf]; m >= 0, output units. Squared output units. Raises DomainError outside.
    """
    return _curved(alpha, m)


def _curved(alpha: Any, bound: Any) -> Any:
    if not is_symbolic(bound) and not np.all(np.asarray(check_finite(bound, "bound")) >= 0):
        raise DomainError(f"bound = {bound!r}: a bound on |phi''| is at least 0")
    return bound**2 * mm.product_square(alpha) / 4


def _along(f: Smooth) -> Any:
    v = np.asarray(f.direction)
    return v @ np.asarray(f.hessian(f.midpoint)) @ v


def _hessian(A: Any) -> np.ndarray:
    A = np.asarray(A)
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise DomainError(f"A of shape {A.shape}: must be square, (d, d)")
    if A.dtype != object and not (np.isfinite(A).all() and np.allclose(A, A.T, rtol=1e-12, atol=0)):
        raise DomainError(f"A = {A.tolist()}: must be finite and symmetric; take (A + A^T)/2, which gives the same f")
    return A


# ---- derivations -------------------------------------------------------------------------------------------------

X1, X2 = (np.array(sp.symbols(f"x_{i}1 x_{i}2", real=True)) for i in (1, 2))
A11, A12, A22 = sp.symbols("A_11 A_12 A_22", real=True)
A_SYMBOLS = np.array([[A11, A12], [A12, A22]])


def _half_form(x: Any) -> Any:
    return (x @ A_SYMBOLS @ x) / 2


def derive_quadratic() -> Derivation:
    lam = mm.LAM
    d = Derivation("D(\\lambda)", _half_form(lam * X1 + (1 - lam) * X2) - lam * _half_form(X1)
                   - (1 - lam) * _half_form(X2), {"lam": lam, "A": A_SYMBOLS, "Delta": X1 - X2})
    d = d.equals(lam * (lam - 1) * (_half_form(X1) + _half_form(X2) - X1 @ A_SYMBOLS @ X2), "expand the square")
    return d.equals(quadratic_deviation(lam, A_SYMBOLS, X1 - X2), "the bracket is the form of the difference")


def derive_quadratic_penalty() -> Derivation:
    """The difference of two Gaussian points is Gaussian with covariance 2 Sigma."""
    D1, D2 = sp.symbols("Delta_1 Delta_2", real=True)
    Sigma = np.array([[sp.Symbol("Sigma_11"), sp.Symbol("Sigma_12")], [sp.Symbol("Sigma_12"), sp.Symbol("Sigma_22")]])
    law, lam = gaussian((D1, D2), 2 * sp.Matrix(Sigma)), beta(mm.LAM, mm.ALPHA)
    delta, u = np.array([D1, D2]), mm.LAM * (1 - mm.LAM)
    d = Derivation(r"\mathbb{E} D^2", Mean((u / 2 * (delta @ A_SYMBOLS @ delta))**2, law, lam),
                   {"alpha": mm.ALPHA, "A": A_SYMBOLS, "Sigma": sp.Matrix(Sigma)})
    d = d.equals(Mean(u**2, lam) * Mean((delta @ A_SYMBOLS @ delta)**2, law) / 4,
                 "independent of $\\lambda$", claim="geometry.quadratic")
    product = A_SYMBOLS @ Sigma
    d = d.equals(Mean(u**2, lam) * (2 * np.trace(product @ product) + np.trace(product)**2), "Wick's rule")
    return d.equals(quadratic_penalty(mm.ALPHA, A_SYMBOLS, sp.Matrix(Sigma)), r"$\mathbb{E}u^2$", claim=SQUARE)


def _taylor(h: Any, lam: Any) -> tuple[Any, Any, Any]:
    """Deviation of the Taylor polynomial of degree 4 around the midpoint, and its coefficients c2, c3."""
    c = sp.symbols("c_0:5", real=True)

    def phi(t: Any) -> Any:
        return sum(c[i] * (h * (t - sp.Rational(1, 2)))**i / sp.factorial(i) for i in range(5))
    return phi(lam) - lam * phi(1) - (1 - lam) * phi(0), c[2], c[3]


def _symbolic_smooth(c2: Any, c3: Any) -> Smooth:
    return Smooth(lambda x: x, lambda x: np.array([[c2]]), lambda x, v: c3, sp.Symbol("x"), np.array([sp.S.One]))


def derive_smooth() -> Derivation:
    h, c4 = sp.Symbol("h", positive=True), sp.Symbol("c_4", real=True)
    law, u, r2 = beta(mm.LAM, mm.ALPHA), mm.LAM * (1 - mm.LAM), (2 * mm.LAM - 1)**2
    D, c2, c3 = _taylor(h, mm.LAM)
    d = Derivation(r"\mathbb{E} D^2", Mean(D**2, law),
                   {"alpha": mm.ALPHA, "h": h, "f": _symbolic_smooth(c2, c3)})
    rest = Mean(u**2 / 4 * (c3**2 * r2 / 36 + c2 * c4 * (1 + r2) / 24 + h**2 * c4**2 * (1 + r2)**2 / 48**2), law)
    d = d.equals(h**4 * Mean(u**2, law) * c2**2 / 4 + h**6 * rest,
                 "Taylor polynomial at the midpoint, $c_i = d^i f[v, \\dots, v]$; odd powers of $2\\lambda - 1$ "
                 "have mean 0")
    d = d.appeal(h**4 * Mean(u**2, law) * c2**2 / 4, "leading order; the remainder of Taylor's formula adds no "
                                                     "lower power")
    return d.equals(smooth_penalty(mm.ALPHA, h, _symbolic_smooth(c2, c3)), r"$\mathbb{E}u^2$", claim=SQUARE)


def derive_smooth_asymmetric() -> Derivation:
    h, a, b, c4 = sp.Symbol("h", positive=True), *sp.symbols("a b", positive=True), sp.Symbol("c_4", real=True)
    law, u, r = beta(mm.LAM, a, b), mm.LAM * (1 - mm.LAM), 2 * mm.LAM - 1
    D, c2, c3 = _taylor(h, mm.LAM)
    f = _symbolic_smooth(c2, c3)
    d = Derivation(r"\mathbb{E} D^2", Mean(D**2, law), {"a": a, "b": b, "h": h, "f": f})
    d = d.equals(Mean((u / 2)**2 * h**4 * (c2 + c3 * h * r / 6 + c4 * h**2 * (1 + r**2) / 48)**2, law),
                 r"$D = -\frac{u}{2}h^2\,(\dots)$, by Taylor at the midpoint")
    d = d.appeal(h**4 * (c2**2 * Mean(u**2, law) + c2 * c3 * h * Mean(u**2 * r, law) / 3) / 4,
                 "keep two orders")
    return d.equals(smooth_penalty_asymmetric(a, b, h, f), "moments of $\\lambda$", claim=mm.MOMENTS)


def _derive_curved(formula: Callable[..., Any], name: str, reason: str) -> Callable[[], Derivation]:
    def derive() -> Derivation:
        bound, k, D = sp.Symbol(name, positive=True), sp.Symbol("k", positive=True), sp.Symbol("D", real=True)
        law, lam = beta(mm.LAM, mm.ALPHA), mm.LAM
        area = (1 - lam) * sp.Integral(k, (k, 0, lam)) + lam * sp.Integral(1 - k, (k, lam, 1))
        d = Derivation(r"\sup \mathbb{E} D^2" if name == "M" else r"\inf \mathbb{E} D^2", Mean(D**2, law),
                       {"alpha": mm.ALPHA, name: bound})
        d = d.appeal(Mean(sp.Symbol(r"{\textstyle\int_0^1} G\,\varphi''\,dk")**2, law), "tents under the curvature",
                     claim="geometry.curvature")
        d = d.appeal(Mean((bound * area)**2, law), reason)
        d = d.equals(Mean((bound * lam * (1 - lam) / 2)**2, law), r"the area under a tent is $u/2$")
        return d.equals(formula(mm.ALPHA, bound), r"$\mathbb{E}u^2$", claim=SQUARE)
    return derive


# ---- claims ------------------------------------------------------------------------------------------------------

ALPHAS = (0.1, 0.6, 1.0, 4.2, np.inf)
SADDLE, SIGMA = np.array([[1.0, 0.6], [0.6, -0.5]]), np.array([[1.0, 0.4], [0.4, 0.8]])
WAVE = Smooth(*routes.WAVE, midpoint=np.array([0.3, -0.2]), direction=np.array([0.8, 0.6]))

Claim(
    id="geometry.quadratic", title="Quadratics: the deviation is exact",
    statement=r"D(\lambda) = -\frac{u}{2}\,\Delta^\top A\,\Delta,\quad \Delta = x_1 - x_2",
    assumptions=(QUADRATIC,), predict=quadratic_deviation, derive=derive_quadratic, exact=routes.exact_quadratic,
    cases=cases(lam=(0.1, 0.5, 0.8), A=SADDLE, Delta=(np.array([1.0, -0.4]), np.array([0.3, 2.0]))),
    wrong={"sign": predicts(lambda lam, A, Delta: -quadratic_deviation(lam, A, Delta)),
           "Hessian without the half": predicts(lambda lam, A, Delta: 2 * quadratic_deviation(lam, A, Delta))})
Claim(
    id="geometry.quadratic_gaussian", title="Chord penalty of a quadratic on Gaussian data",
    statement=r"\mathbb{E} D^2 = \mathbb{E}[u^2]\left(2\operatorname{tr}(A\Sigma A\Sigma) + "
              r"(\operatorname{tr}A\Sigma)^2\right)",
    assumptions=(QUADRATIC, r"$x \sim N(\mu, \Sigma)$, independent ends"), fails_when="the data are not "
                                                                                      "Gaussian: fourth moments enter",
    predict=quadratic_penalty, derive=derive_quadratic_penalty, exact=routes.exact_quadratic_gaussian,
    simulate=routes.simulate_quadratic_gaussian, cases=cases(alpha=(0.6, 1.0, np.inf), A=SADDLE, Sigma=SIGMA),
    wrong={"squared trace only": predicts(lambda alpha, A, Sigma: mm.product_square(alpha)
                                          * np.trace(np.asarray(A) @ np.asarray(Sigma))**2),
           "square of E u": predicts(lambda alpha, A, Sigma: quadratic_penalty(alpha, A, Sigma)
                                     * mm.mean_product(alpha)**2 / mm.product_square(alpha)),
           "one end fixed": simulates(routes.simulate_quadratic_one_end)})
Claim(
    id="geometry.smooth", title="Short segments: curvature at the midpoint", kind="asymptotic", along=("h", 2),
    statement=r"\mathbb{E} D^2 = \frac{1}{4}\mathbb{E}[u^2]\,(\Delta^\top \nabla^2\!f\,\Delta)^2\,\bigl(1 + "
              r"O(\lVert\Delta\rVert^2)\bigr)",
    assumptions=(r"$f$ has four continuous derivatives near the segment", r"$\nabla^2\!f$ taken at the midpoint",
                 r"$\lambda \sim \mathrm{Beta}(\alpha, \alpha)$", r"$\Delta^\top\nabla^2\!f\,\Delta \ne 0$"),
    fails_when="the law of lambda is not symmetric: the error is of first order (geometry.smooth_asymmetric)",
    predict=smooth_penalty, derive=derive_smooth, exact=routes.exact_smooth,
    cases=cases(alpha=(0.3, 1.0, np.inf), h=(0.4, 0.2, 0.1, 0.05), f=(WAVE,)),
    wrong={"curvature at an end": predicts(lambda alpha, h, f: mm.product_square(alpha) / 4 * h**4 * _along(
               f._replace(midpoint=f.midpoint + h / 2 * f.direction))**2, symbolic=False),
           "half for a quarter": predicts(lambda alpha, h, f: 2 * smooth_penalty(alpha, h, f))})
Claim(
    id="geometry.smooth_asymmetric", title="Short segments, asymmetric weights", kind="asymptotic", along=("h", 2),
    statement=r"\mathbb{E} D^2 = \frac{h^4}{4}\left(c_2^2\,\mathbb{E}[u^2] + "
              r"\frac{h}{3}c_2c_3\,\mathbb{E}[u^2(2\lambda - 1)]\right)\bigl(1 + O(h^2)\bigr),\quad \Delta = hv",
    assumptions=(r"$\lambda \sim \mathrm{Beta}(a, b)$", r"$c_2, c_3$: second and third derivative of $f$ along "
                                                        r"$v$ at the midpoint"),
    predict=smooth_penalty_asymmetric, derive=derive_smooth_asymmetric, exact=routes.exact_smooth_asymmetric,
    cases=cases(a=0.7, b=(0.7, 2.5), h=(0.4, 0.2, 0.1, 0.05), f=(WAVE,)),
    wrong={"no term of first order": predicts(lambda a, b, h, f: h**4 / 4 * _along(f)**2 * Beta(a, b).moment(2, 2)),
           "shares exchanged": predicts(lambda a, b, h, f: smooth_penalty_asymmetric(b, a, h, f))})
for _side, _bound, _letter, _words, _statement in (
        ("upper", curvature_upper, "M", r"$G \ge 0$ and $\lvert\varphi''\rvert \le M$: no more than with "
                                        r"$\varphi'' = M$ throughout",
         r"\lvert\varphi''\rvert \le M \implies \mathbb{E} D^2 \le \frac{M^2}{4}\,\mathbb{E}u^2"),
        ("lower", curvature_lower, "m", r"$G \ge 0$, one sign and $\lvert\varphi''\rvert \ge m$: no less than "
                                        r"with $\varphi'' = m$",
         r"\lvert\varphi''\rvert \ge m \text{ of one sign} \implies \mathbb{E} D^2 \ge \frac{m^2}{4}\,\mathbb{E}u^2")):
    Claim(
        id=f"geometry.curvature_{_side}", kind="bound", side=_side, tight=1e-9, statement=_statement,
        title="Bounded curvature, bounded penalty" if _side == "upper" else "Curvature of one sign is charged",
        assumptions=("along one segment", r"$\lambda \sim \mathrm{Beta}(\alpha, \alpha)$"),
        fails_when="" if _side == "upper" else r"$\varphi''$ changes sign: then less is owed, however large it is",
        predict=_bound, derive=_derive_curved(_bound, _letter, _words), exact=getattr(routes,
            f"exact_curvature_{_side}"),
        cases=cases(alpha=ALPHAS, **{_letter: 2.0}),
        wrong={"a tightened bound": predicts(lambda _f=_bound, _s=_side, **case: _f(**case) * (
                   0.99 if _s == "upper" else 1.01), symbolic=False),
               "half of it" if _side == "lower" else "square of E u": predicts(
                   lambda _l=_letter, _s=_side, **case: case[_l]**2 / 4 * (
                       mm.mean_product(case["alpha"])**2 if _s == "upper" else mm.product_square(case["alpha"]) / 2),
                   symbolic=False)})
