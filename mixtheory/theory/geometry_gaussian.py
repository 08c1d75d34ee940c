r"""One ReLU unit between Gaussian points: the chord penalty averaged over the data, in closed form.

f(x) = a max(0, w . x) with w . x ~ N(0, 1) at both ends of the segment, independently. Given lambda, x~ is Gaussian
with variance S, and all second moments of rectified Gaussians are values of the arc-cosine kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import check_alpha, check_finite, check_lambda, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, MomentLaw, cases, predicts, simulates
from mixtheory.mixing import symmetric
from mixtheory.theory import _geometry_routes as routes
from mixtheory.theory import geometry, geometry_kinks

__all__ = ["gaussian_relu", "gaussian_relu_given", "gaussian_relu_uniform", "rectified"]

GIVEN = "geometry.gaussian_given"
GAUSSIAN = (r"$f(x) = a\,(w^\top x)_+$ with $w^\top x \sim N(0, 1)$", "the two ends are independent")
KERNEL = "cho2009kernel: arc-cosine kernel of degree 1 (from memory)"


def rectified(c: Any) -> Any:
    """E[X_+ Y_+] of two standard Gaussians with correlation c: (sqrt(1 - c^2) + (pi - arccos c) c)/(2 pi).

    c: in [-1, 1], number, array or symbol. Source: the arc-cosine kernel of degree 1.
    """
    if is_symbolic(c):
        return (sp.sqrt(1 - c**2) + (sp.pi - sp.acos(c)) * c) / (2 * sp.pi)
    return (np.sqrt(1 - np.square(c)) + (np.pi - np.arccos(c)) * c) / (2 * np.pi)


def gaussian_relu_given(lam: Any, a: Any) -> Any:
    """E[D^2 | lambda] = (a^2/pi) (lambda^2 theta + (1 - lambda)^2 (pi/2 - theta) - u).

    theta is the angle with tan(theta) = (1 - lambda)/lambda, and u = lambda (1 - lambda).

    Args:
        lam: in [0, 1]; number, array or symbol.
        a: output weight, finite.

    Returns:
        Squared output units; 0 at both ends, a^2 (1/8 - 1/(4 pi)) in the middle.

    Raises:
        DomainError: lam outside [0, 1], a not finite.
    """
    check_lambda(lam)
    check_finite(a, "a")
    if is_symbolic(lam, a):
        theta, pi = sp.atan((1 - lam) / lam), sp.pi
    else:
        theta, pi = np.arctan2(1 - np.asarray(lam, dtype=float), lam), np.pi
    return a**2 / pi * (lam**2 * theta + (1 - lam)**2 * (pi / 2 - theta) - lam * (1 - lam))


def gaussian_relu(alpha: float, a: float = 1.0) -> float:
    """E D^2 for lambda ~ Beta(alpha, alpha): `gaussian_relu_given` averaged by Gauss-Jacobi.

    alpha: a number in [0, inf]; a: output weight. Squared output units, 0 at alpha = 0.
    Raises DomainError outside these domains.
    """
    check_alpha(alpha)
    return float(symmetric(alpha).expect(lambda lam: gaussian_relu_given(lam, a)))


def gaussian_relu_uniform(a: Any) -> Any:
    """E D^2 for uniform lambda: a^2 (4 - pi)/(12 pi) = 0.02277 a^2.

    a: output weight, number or symbol. Squared output units. Raises DomainError if it is not finite.
    """
    check_finite(a, "a")
    return a**2 * (4 - sp.pi) / (12 * sp.pi) if is_symbolic(a) else a**2 * (4 - np.pi) / (12 * np.pi)


def derive_given() -> Derivation:
    """Second moments of three rectified Gaussians: the mixed one and the two ends."""
    lam, a = sp.Symbol("lambda", positive=True), sp.Symbol("a", positive=True)
    M, X1, X2 = sp.symbols("M_+ X_{1+} X_{2+}", nonnegative=True)
    c0, c1, c2 = sp.symbols("c_{12} c_{M1} c_{M2}", real=True)
    S, half = lam**2 + (1 - lam)**2, sp.Rational(1, 2)
    theta = sp.atan((1 - lam) / lam)
    law = MomentLaw((M, X1, X2), {(2, 0, 0): S / 2, (0, 2, 0): half, (0, 0, 2): half, (0, 1, 1): c0, (1, 1, 0): c1,
                                  (1, 0, 1): c2}.__getitem__)
    d = Derivation(r"\mathbb{E}[D^2 \mid \lambda]", a**2 * Mean((M - lam * X1 - (1 - lam) * X2)**2, law),
                   {"lam": lam, "a": a})
    d = d.equals(a**2 * (S + 2 * lam * (1 - lam) * c0 - 2 * lam * c1 - 2 * (1 - lam) * c2),
                 r"$M = \lambda X_1 + (1-\lambda)X_2$ has variance $S$, the ends have 1; a positive part has half the "
                 r"mean square; $c$ are means of products")
    d = d.appeal(a**2 * (S + lam * (1 - lam) / sp.pi - lam * ((1 - lam) + (sp.pi - theta) * lam) / sp.pi
                         - (1 - lam) * (lam + (sp.pi / 2 + theta) * (1 - lam)) / sp.pi),
                 r"the arc-cosine kernel $\sqrt{S}\,\kappa$ at the correlations 0, $\lambda/\sqrt{S} = \cos\theta$ and "
                 r"$(1-\lambda)/\sqrt{S} = \sin\theta$")
    return d.equals(gaussian_relu_given(lam, a), "collect; $S = 1 - 2u$")


def derive_uniform() -> Derivation:
    """By the kink: polar coordinates for the two pre-activations."""
    a, theta = sp.Symbol("a", positive=True), sp.Symbol("theta", positive=True)
    p, q = sp.symbols("p q", positive=True)
    m = sp.sin(2 * theta)
    d = Derivation(r"\mathbb{E} D^2", sp.Rational(1, 2) * sp.Symbol(r"\mathbb{E}[D^2 \mid z(0) = -p < 0 < q = z(1)]"),
                   {"a": a})
    d = d.appeal(sp.Rational(1, 2) * sp.Function(r"\mathbb{E}")(
        geometry_kinks.one_kink(p / (p + q), a * (p + q)).simplify()),
        r"the ends differ in sign with probability $\frac12$; then $k = \frac{p}{p+q}$, $J = a(p + "
        r"q)$", claim="geometry.one_kink")
    d = d.appeal(a**2 / (6 * sp.pi) * sp.Integral(m**2 / (1 + m), (theta, 0, sp.pi / 2)),
                 r"polar coordinates $p = r\cos\theta$, $q = "
                 r"r\sin\theta$ with $\mathbb{E}r^2 = 2$ and $\theta$ uniform on a quarter")
    d = d.equals(a**2 / (6 * sp.pi) * (sp.Integral(m - 1, (theta, 0, sp.pi / 2))
                                       + sp.Integral(1 / (1 + m), (theta, 0, sp.pi / 2))), "divide")
    return d.equals(gaussian_relu_uniform(a), r"$1 - \frac{\pi}{2} + 1$")


Claim(
    id=GIVEN, title="One ReLU unit between Gaussian points",
    statement=r"\mathbb{E}[D^2 \mid \lambda] = \frac{a^2}{\pi}\left(\lambda^2\theta + (1-\lambda)^2"
              r"\left(\tfrac{\pi}{2} - \theta\right) - u\right),\quad \tan\theta = \frac{1-\lambda}{\lambda}",
    assumptions=GAUSSIAN, fails_when="the unit has a bias, or the data another law",
    predict=gaussian_relu_given, derive=derive_given, exact=routes.exact_gaussian_given,
    simulate=routes.simulate_gaussian_given, cases=cases(lam=(0.04, 0.3, 0.5, 0.9), a=1.3), references=(KERNEL,),
    wrong={"S kept out of the kernel": predicts(lambda lam, a: a**2 * (
               1 - 2 * lam * (1 - lam) + lam * (1 - lam) / np.pi - 2 * np.sqrt(lam**2 + (1 - lam)**2)
               * (lam * rectified(lam) + (1 - lam) * rectified(1 - lam))), symbolic=False),
           "ends without product": predicts(lambda lam, a: gaussian_relu_given(lam, a) - a**2 * lam * (1 - lam)
                                            / (sp.pi if is_symbolic(lam) else np.pi)),
           "one end for both": simulates(routes.simulate_gaussian_same)})
Claim(
    id="geometry.gaussian_uniform", title="One ReLU unit, Gaussian points, uniform weights",
    statement=r"\mathbb{E} D^2 = \frac{4 - \pi}{12\pi}\,a^2",
    assumptions=(*GAUSSIAN, geometry.UNIFORM_LAW), predict=gaussian_relu_uniform, derive=derive_uniform,
    exact=routes.exact_gaussian_uniform, simulate=routes.simulate_gaussian_uniform, cases=cases(a=(1.0, -1.7)),
    references=(KERNEL,),
    wrong={"as if every kink were in the middle": predicts(lambda a: a**2 / 48 * (
               2 + 4 / (sp.pi if is_symbolic(a) else np.pi)) / 2),
           "weights of alpha = 0.6": simulates(lambda size, *, rng, a: routes.simulate_gaussian_uniform(
               size, rng=rng, a=a, alpha=0.6))})
