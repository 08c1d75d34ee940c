r"""Two unit Gaussian classes at -m and +m: mixup's target is never too confident, and by how much it is not enough.

`underconfident` is a theorem for the whole class of functions: at every point, for every separation and every
alpha, the target is closer to one half than the truth. How much closer depends on the separation and on the
dimension. Three groups of points suffice for the opposite (`overconfident`). Claims of the chapter `calibration`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import sympy as sp
from scipy.special import expit

from mixtheory.domain import check_alpha, check_count, check_lambda, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, cases, predicts, simulates
from mixtheory.theory import _calibration_gaussian_routes as routes
from mixtheory.theory import calibration_mixture as mixture
from mixtheory.theory import mixing_moments as mm

__all__ = ["atoms_posterior", "bayes_confidence", "confidence_gap", "deficit", "dimension_gap", "half_line",
           "midpoint_slope", "mixup_log_odds", "small_separation", "tail_doubt"]

FAR = 9.0                           # standard deviations beyond a mean: the mass there is below 1e-18
HOPELESS = 1e-300


# --- quadrature ---------------------------------------------------------------------------------------------

def panels(edges: Any, order: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on consecutive intervals."""
    z, w = np.polynomial.legendre.leggauss(order)
    edges = np.asarray(edges, dtype=float)
    half = np.diff(edges)[:, None] / 2
    return ((edges[:-1, None] + half) + half * z).ravel(), (half * w).ravel()


def half_line(m: float, cuts: Any = ()) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of |x|, x from N(+-m, 1) with equal chances; the weights sum to one."""
    top = m + FAR
    inner = [c for c in cuts if 0 < c < top]
    x, w = panels(sorted({*np.linspace(0, top, 1 + int(np.ceil(top / 0.75))), *inner}))
    return x, w * (np.exp(-((x - m) ** 2) / 2) + np.exp(-((x + m) ** 2) / 2)) / np.sqrt(2 * np.pi)


def mixup_log_odds(x: Any, m: float, alpha: float) -> np.ndarray:
    """Log odds of the mixup target between classes N(-m, 1) and N(+m, 1), in nats; 2 m x at alpha = 0.

    Args:
        x: any shape.
        m: half the distance of the means, in standard deviations, > 0.
        alpha: in [0, inf].

    Raises:
        DomainError: m not positive, alpha negative or NaN, x not finite.
    """
    check_positive(m, "m")
    g = mixture.mixup_posterior(x, np.array([-m, m]), 1.0, np.array([0.5, 0.5]), alpha)
    return np.log(np.maximum(g[..., 1], HOPELESS)) - np.log(np.maximum(g[..., 0], HOPELESS))


# --- formulas -----------------------------------------------------------------------------------------------

def deficit(x: Any, m: Any, lam: Any) -> Any:
    r"""How much confidence a mixed pair lacks at x, weighted by its density: D sinh(m x) - N cosh(m x).

    D is the density of x~ at x given lambda, N is D times the mean of 2 y~ - 1 there. With c = 2 lambda - 1,
    p = 1 + c, q = 1 - c and a = m x/(2 S) it is e^{-(x^2 + m^2 c^2)/(2 S)}/(2 sqrt(2 pi S)) times
    (q sinh(a p^2) + p sinh(a q^2))/2 - e^{-m^2 (1 - c^2)/(2 S)} sinh(a p q): never negative for x >= 0, for sinh
    is convex there and p q is the mean of p^2 and q^2 with weights q/2 and p/2.

    Args:
        x: where, any shape.
        m: half the distance of the means, in standard deviations.
        lam: lambda in [0, 1].

    Returns:
        The deficit, 1/feature units.

    Raises:
        DomainError: lambda outside [0, 1].
    """
    if not is_symbolic(x, m, lam):
        check_lambda(lam)
    f, sinh = (sp, _sinh) if is_symbolic(x, m, lam) else (np, np.sinh)
    c, S = 2 * lam - 1, _spread(lam)
    p, q, a = 1 + c, 1 - c, m * x / (2 * S)
    blur = f.exp(-(x**2) / (2 * S) - m**2 / (2 * S) * c**2) / f.sqrt(2 * f.pi * S)
    chord = (q * sinh(a * p**2) + p * sinh(a * q**2)) / 2
    return blur / 2 * (chord - f.exp(-(m**2) / (2 * S) * (1 - c**2)) * sinh(a * p * q))


def _spread(lam: Any) -> Any:
    S = lam**2 + (1 - lam) ** 2
    return sp.expand(S) if is_symbolic(lam) else S


def _sinh(t: Any) -> Any:
    return (sp.exp(t) - sp.exp(-t)) / 2


def _cosh(t: Any) -> Any:
    return (sp.exp(t) + sp.exp(-t)) / 2


def bayes_confidence(x: Any, m: Any) -> Any:
    """P(the nearer class | x) = sigma(2 m |x|) for two unit Gaussians at -m and +m.

    Args:
        x: any shape; |x| is the distance from the boundary.
        m: half the distance of the means, > 0.

    Returns:
        Probabilities of at least one half.

    Raises:
        DomainError: m not positive.
    """
    check_positive(m, "m")
    return 1 / (1 + sp.exp(-2 * m * x)) if is_symbolic(x, m) else expit(2 * m * np.abs(x))


def small_separation(x: Any, m: Any, alpha: Any = 1.0) -> Any:
    """(1 + m x)/2, what both the truth and mixup's target are for classes that overlap almost entirely.

    Args:
        x: any shape.
        m: half the distance of the means, in standard deviations, > 0 and small.
        alpha: in [0, inf]; the leading order does not depend on it.

    Returns:
        Probabilities, with an error of order m^3.

    Raises:
        DomainError: m not positive, alpha negative or NaN.
    """
    check_alpha(alpha)
    return (1 + check_positive(m, "m") * x) / 2


def midpoint_slope(m: float, alpha: float) -> float:
    """Slope of the log odds of mixup's target midway between two unit Gaussians; 2 m without mixing.

    Args:
        m: half the distance of the means, > 0.
        alpha: in [0, inf].

    Returns:
        Nats per standard deviation.

    Raises:
        DomainError: m not positive, alpha negative or NaN.
    """
    k = check_positive(m, "m") ** 2 / 2
    lam, log = mixture.lambda_nodes(alpha, mixture.nodes_for([-m, m], 1.0, [0.5, 0.5], alpha))
    c2, S = (2 * lam - 1) ** 2, lam**2 + (1 - lam) ** 2
    own, other = np.exp(log - k / S), np.exp(log - k * c2 / S)
    return float(2 * m * np.sum((own + c2 * other) / S**1.5) / np.sum((own + other) / S**0.5))


def confidence_gap(m: float, alpha: float) -> float:
    """Mean confidence less accuracy of the mixup target on unmixed data of two unit Gaussians: -E|g - eta|.

    Args:
        m: half the distance of the means, > 0.
        alpha: in [0, inf].

    Returns:
        A difference of probabilities; negative: too little confidence.

    Raises:
        DomainError: m not positive, alpha negative or NaN.
    """
    x, w = half_line(check_positive(m, "m"))
    return float(w @ (expit(mixup_log_odds(x, m, alpha)) - expit(2 * m * x)))


def dimension_gap(d: int, m: float, alpha: float) -> float:
    """E|g - eta| on unmixed data of two Gaussians N(+-m e_1, I_d): richer inputs give mixing away.

    An unrestricted model sees from the squared distance r^2 to the axis, sum of d - 1 squares, whether an input is
    mixed: a mix of two has S r^2 there.

    Args:
        d: dimension, at least 1.
        m: half the distance of the means, > 0.
        alpha: in [0, inf].

    Returns:
        A difference of probabilities.

    Raises:
        DomainError: d < 1, m not positive, alpha negative or NaN.
    """
    return _dimension_gap(int(check_count(d, "d", least=1)), float(check_positive(m, "m")), float(check_alpha(alpha)))


@functools.lru_cache(256)
def _dimension_gap(d: int, m: float, alpha: float) -> float:
    x, w = half_line(m)
    lam, log = mixture.lambda_nodes(alpha, mixture.nodes_for(np.eye(2, d) * m, 1.0, [0.5, 0.5], alpha))
    S, c = lam**2 + (1 - lam) ** 2, 2 * lam - 1
    r2, v = _squared_radius(d - 1)
    log = log - d / 2 * np.log(S) - r2[:, None] / (2 * S)                         # (r, lambda)
    blur = np.exp(log - log.max(axis=1, keepdims=True))
    near, far, between = (np.exp(-((x[:, None] - t) ** 2) / (2 * S)) for t in (m, -m, m * c))
    one = blur @ (near / 4 + lam * between / 2).T                                 # (r, x)
    both = one + blur @ (far / 4 + (1 - lam) * between / 2).T
    return float(v @ np.abs(one / both - expit(2 * m * x)) @ w)


def _squared_radius(nu: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of a chi-square variable with nu degrees of freedom: trapezoidal rule in its logarithm."""
    if nu == 0:
        return np.zeros(1), np.ones(1)
    spread = np.sqrt(2 / nu)
    y = np.log(nu) + np.arange(-42 * max(spread, 2 / nu), 9 * spread + 2.5 * spread**2, spread / 6)
    log = nu / 2 * y - np.exp(y) / 2
    w = np.exp(log - log.max())
    keep = w > 1e-18
    return np.exp(y[keep]), w[keep] / w[keep].sum()


ATOMS, CHANCES, ANSWERS = np.array([-1.0, 0.5, 1.0]), np.array([0.45, 0.1, 0.45]), np.array([0.0, 0.5, 1.0])


def atoms_posterior(x: Any, alpha: float, noise: float = 0.1) -> np.ndarray:
    """Mixup's target where a few inputs between two pure groups carry the label of a fair coin.

    45 % of the inputs lie near -1 and have label 0, 45 % near +1 with label 1, 10 % near 0.5 with either.

    Args:
        x: any shape.
        alpha: in [0, inf].
        noise: standard deviation of the inputs in a group, > 0.

    Returns:
        E[y~ | x~ = x], the shape of x.

    Raises:
        DomainError: noise not positive, alpha negative or NaN, x not finite.
    """
    return mixture.mixup_posterior(x, ATOMS, check_positive(noise, "noise") ** 2, CHANCES, alpha) @ ANSWERS


def tail_doubt(x: Any, m: float, alpha: float) -> np.ndarray:
    """1 - g(x): the chance that mixup's target leaves to the other class at x > 0.

    Args:
        x: any shape.
        m: half the distance of the means, in standard deviations, > 0.
        alpha: in [0, inf].

    Returns:
        Probabilities, the shape of x.

    Raises:
        DomainError: m not positive, alpha negative or NaN, x not finite.
    """
    return expit(-mixup_log_odds(x, m, alpha))


# --- derivations --------------------------------------------------------------------------------------------

POINT, M = sp.Symbol("x", positive=True), sp.Symbol("m", positive=True)
LAM = sp.Symbol("lambda", positive=True)


def normal_density(x: Any, mean: Any, variance: Any) -> Any:
    """Density of N(mean, variance) at x, for derivations."""
    exponent = -(x**2) / (2 * variance) + x * mean / variance - mean**2 / (2 * variance)
    return sp.exp(exponent) / sp.sqrt(2 * sp.pi * variance)


def _signed(x: Any, m: Any, lam: Any, power: int) -> Any:
    """sum over the four pairs of (2 y~ - 1)^power N(x; mean, S)/4, power 0 or 1."""
    return sum((lam * s + (1 - lam) * t) ** power * normal_density(x, m * (lam * s + (1 - lam) * t), _spread(lam))
               for s in (1, -1) for t in (1, -1)) / 4


def derive_deficit() -> Derivation:
    """Four densities, in a = m x/(2 S), k = m^2/(2 S) and c = 2 lambda - 1; the sinh and cosh are written out."""
    a, k, c = sp.symbols("a k c", positive=True)
    x, m, lam = a * sp.sqrt(1 + c**2) / sp.sqrt(k), sp.sqrt(k) * sp.sqrt(1 + c**2), (1 + c) / 2
    chain = Derivation(r"D_\lambda\sinh(m x) - N_\lambda\cosh(m x)",
                       _signed(x, m, lam, 0) * _sinh(m * x) - _signed(x, m, lam, 1) * _cosh(m * x),
                       {"x": x, "m": m, "lam": lam})
    return chain.equals(deficit(x, m, lam), r"collect the exponents, with $m x = a\,(1 + c^2)$")


def derive_underconfident() -> Derivation:
    """N and D are means over lambda; the deficit is linear in both."""
    N, D, t = *sp.symbols("N D", positive=True), M * POINT
    rise, total = sp.exp(t) - sp.exp(-t), sp.exp(t) + sp.exp(-t)            # twice sinh and cosh
    chain = Derivation(r"g(x) + \frac{\delta}{2 D \cosh(m x)}",
                       (1 + N / D) / 2 + (D * rise - N * total) / (2 * D * total), {"x": POINT, "m": M})
    chain = chain.equals((1 + rise / total) / 2, r"with $\delta = D\sinh(mx) - N\cosh(mx)$, the mean over lambda of "
                                                 r"the "
                         "deficit", claim="calibration.deficit")
    chain = chain.equals(bayes_confidence(POINT, M), r"divide by $e^{m x}$")
    return chain.appeal(bayes_confidence(POINT, M), r"$\delta \ge 0$, so $g(x)$ lies below: $\sinh$ is convex for "
                                                    r"positive "
                        r"arguments, and $pq$ is the mean of $p^2$ and $q^2$ with weights $q/2$ and $p/2$ (Jensen)")


def derive_small_separation() -> Derivation:
    """Taylor in m for every lambda: the terms of order 0, 1, 2."""
    c = sp.Symbol("c", positive=True)
    N, D = (_signed(POINT, M, (1 + c) / 2, power) for power in (1, 0))
    at = [sp.Subs(sp.Derivative(h, (M, n)) if n else h, M, 0) for h in (N, D) for n in range(2)]
    N_0, N_1, D_0, D_1 = at
    chain = Derivation(r"g(x) + O(m^2)", (1 + N_0 / D_0 + M * (N_1 * D_0 - N_0 * D_1) / D_0**2) / 2,
                       {"x": POINT, "m": M, "alpha": mm.ALPHA})
    return chain.equals(small_separation(POINT, M), r"for every $\lambda = (1 + c)/2$ the slope in $m$ is $x$, "
                                                    r"whatever "
                        r"the law of lambda; and $2g - 1$ is odd in $m$, so the next term is $m^3$")


# --- claims -------------------------------------------------------------------------------------------------

TWO = r"two equally likely classes $\mathcal{N}(\pm m, 1)$ (other covariances: whiten)"
PAPER = "zhang2022when: setting of two Gaussian classes (from memory)"

Claim(
    id="calibration.deficit", title="Every mixed pair lacks confidence",
    statement=r"\begin{gathered} D_\lambda\sinh(m x) - N_\lambda\cosh(m x) = \frac{e^{-(x^2 + m^2 "
              r"c^2)/2S}}{2\sqrt{2\pi S}}\ \times"
              r"\\ \Bigl[\tfrac q2\sinh(a p^2) + \tfrac p2\sinh(a q^2) - e^{-m^2(1 - c^2)/2S}\sinh(a p q)\Bigr] \ge "
              r"0,\\ "
              r"c = 2\lambda - 1,\quad p = 1 + c,\quad q = 1 - c,\quad a = \frac{m x}{2 S}\end{gathered}",
    assumptions=(TWO, r"$D_\lambda$ is the density of $\tilde x$ at $x$ given $\lambda$, $N_\lambda$ that density "
                      r"times the "
                 r"mean of $2\tilde y - 1$ there", "$x > 0$ for the sign"),
    fails_when="the classes differ in size or in variance",
    predict=deficit, derive=derive_deficit, exact=routes.pair_deficit,
    cases=cases(x=(0.3, 1.7), m=(0.4, 1.5), lam=(0.07, 0.5, 0.81)), tolerance=1e-9,
    wrong={"both terms damped": predicts(lambda x, m, lam: deficit(x, m, lam) * (
               sp.exp(-m**2) if is_symbolic(x, m, lam) else np.exp(-(m**2)))),
           "no deficit": predicts(lambda x, m, lam: 0 * x)},
    references=(PAPER,))

SEARCH = np.array([1e-4, 0.05, 0.3, 1.0, 2.5, 8.0, 64.0, np.inf])
Claim(
    id="calibration.underconfident", title="Two equal Gaussians: mixup is never too confident",
    kind="bound", side="upper", tight=1e-3,
    statement=r"\max\bigl(g(x), 1 - g(x)\bigr) \le \sigma(2 m |x|) = \max\bigl(\eta(x), 1 - \eta(x)\bigr)\quad "
              r"\text{for all } x, m, \alpha",
    assumptions=(TWO, "the model is rich enough to reach $g$, and trained on the population"),
    fails_when="classes are unequal (calibration.overconfident), or a model is fitted to few examples",
    predict=bayes_confidence, derive=derive_underconfident,
    exact=lambda x, m: routes.confidences(x, m, SEARCH),
    cases=cases(x=(-0.2, 0.9, 3.1), m=(0.3, 1.0, 2.0, 3.5)),
    wrong={"shrunk by s": predicts(lambda x, m: expit(4 / 3 * m * abs(x)) if not is_symbolic(x, m) else
                                   1 / (1 + sp.exp(-sp.Rational(4, 3) * m * x))),
           "tighter by a hundredth": predicts(lambda x, m: bayes_confidence(x, m) * sp.Rational(99, 100)
                                              if is_symbolic(x, m) else 0.99 * bayes_confidence(x, m))},
    references=(PAPER,))

Claim(
    id="calibration.small_separation", title="Classes that overlap almost entirely hide the mixing",
    kind="asymptotic", along=("m", 3),
    statement=r"g(x) = \tfrac12(1 + m x) + O(m^3) = \eta(x) + O(m^3)",
    assumptions=(TWO, "fixed $x$ and $\\alpha$"),
    fails_when="$m$ is not small: at $m = 2$ the slope of the log odds is a third of the true one",
    predict=small_separation, derive=derive_small_separation,
    exact=lambda x, m, alpha: float(routes.target(np.array([x]), m, alpha)[0]),
    cases=cases(x=(0.7, -1.9), alpha=(0.37, 1.0, np.inf), m=(0.16, 0.08, 0.04)),
    wrong={"slope times s": predicts(lambda x, m, alpha: (1 + m * x * mm.shrinkage(alpha)) / 2)},
    references=(PAPER,))

Claim(
    id="calibration.midpoint_slope", title="Far classes: the target is flat midway",
    kind="numerical",
    statement=r"\frac{d}{dx}\operatorname{logit} g\Bigr|_0 = 2m\,\frac{\mathbb{E}\,S^{-3/2}\bigl(e^{-k/S} + c^2 "
              r"e^{-k c^2/S}"
              r"\bigr)}{\mathbb{E}\,S^{-1/2}\bigl(e^{-k/S} + e^{-k c^2/S}\bigr)},\quad k = \frac{m^2}{2},\ c = "
              r"2\lambda - 1",
    assumptions=(TWO,), fails_when="the classes are unequal",
    predict=midpoint_slope, exact=routes.midpoint_slope,
    cases=cases(m=(0.05, 0.5, 1.0, 2.0, 4.0), alpha=(0.37, 1.0, 8.0)), tolerance=1e-9,
    wrong={"the true slope": predicts(lambda m, alpha: 2 * m),
           "the true slope times s": predicts(lambda m, alpha: 2 * m * mm.shrinkage(alpha)),
           "a line between the means": predicts(lambda m, alpha: 2 / m)},
    references=(PAPER,))

Claim(
    id="calibration.confidence_gap", title="Two equal Gaussians: how much confidence is lacking",
    kind="numerical",
    statement=r"\mathbb{E}\bigl[\max(g, 1 - g)\bigr] - \text{accuracy} = -\,\mathbb{E}\,|g(x) - \eta(x)| < 0",
    assumptions=(TWO, "unmixed test data", "the target decides as the Bayes rule does, so accuracy is $\\Phi(m)$"),
    fails_when="test data are mixed like the training data: there the target is calibrated",
    predict=confidence_gap, exact=routes.gap, simulate=routes.gap_draws,
    cases=(*cases(m=(0.5, 1.0, 1.5, 2.0, 3.0, 4.0), alpha=1.0), {"m": 1.5, "alpha": 0.2}),
    scale=lambda value, **_: 0.05, resolution=0.2,
    wrong={"calibrated": predicts(lambda m, alpha: 0.0),
           "too confident": predicts(lambda m, alpha: -confidence_gap(m, alpha)),
           "tested on mixed data": simulates(routes.gap_draws_mixed)},
    references=(PAPER,))

Claim(
    id="calibration.dimension", title="In high dimension an unrestricted model sees the mixing",
    kind="numerical",
    statement=r"\mathbb{E}\,|g(x) - \eta(x)| \text{ falls as } d \text{ grows: given } \lambda,\ \|\tilde "
              r"x_\perp\|^2 \sim "
              r"S\,\chi^2_{d-1}",
    assumptions=("classes $\\mathcal{N}(\\pm m e_1, I_d)$, equally likely", "unmixed test data", "an unrestricted "
                                                                                                 "model"),
    fails_when="the model is linear: its calibration does not depend on $d$",
    predict=dimension_gap, exact=routes.dimension_gap, simulate=routes.dimension_draws,
    cases=cases(d=(1, 2, 5, 20, 100, 500), m=1.5, alpha=1.0), scale=lambda value, **_: 0.05, tolerance=1e-8,
    wrong={"as in one dimension": predicts(lambda d, m, alpha: dimension_gap(1, m, alpha)),
           "inputs are recognised": predicts(lambda d, m, alpha: 0.0)},
    references=(PAPER,))

Claim(
    id="calibration.tails", title="Far out the target can lose confidence again",
    kind="numerical",
    statement=r"1 - g(x) \text{ is not monotone in } x > 0 \text{ for large } \alpha",
    assumptions=(TWO,), fails_when=r"$\alpha$ is small: none was seen for $\alpha \le \frac12$",
    predict=tail_doubt, exact=routes.tail, cases=cases(x=(2.0, 4.4, 6.0, 8.0), m=1.0, alpha=(0.37, 8.0)),
    wrong={"the truth": predicts(lambda x, m, alpha: expit(-2 * m * x))},
    references=(PAPER,))

Claim(
    id="calibration.overconfident", title="Three groups of inputs: mixup is too confident",
    kind="numerical",
    statement=r"g(\tfrac12) > \eta(\tfrac12) = \tfrac12",
    assumptions=("inputs at $-1$ (label 0, 45 %), $+1$ (label 1, 45 %) and $\\frac12$ (a fair coin, 10 %), with "
                 "noise of "
                 "standard deviation 0.1",),
    fails_when="the classes are two equal Gaussians: calibration.underconfident",
    predict=atoms_posterior,
    exact=lambda x, alpha, noise=0.1: routes.atoms(x, alpha, noise),
    cases=cases(x=0.5, alpha=(0.0, 0.2, 1.0)), tolerance=1e-10,
    wrong={"as without mixing": predicts(lambda x, alpha: 0.5),
           "the line between the groups": predicts(lambda x, alpha: (1 + x) / 2)},
    references=(PAPER,))
