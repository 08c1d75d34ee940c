r"""The gap of ridge regression on a random design: where more mixing widens it.

n points with p = gamma n Gaussian features, both large; outsiders are fresh points. Mixing all pairs turns the ridge
into q = ridge / s. The noise then leaks less, but a strong signal is biased more for outsiders than for members, and
the gap can grow with alpha. T_1 and T_2 are the means of x/(x + q)^2 and 1/(x + q)^2 over the limiting law of the
eigenvalues x of the covariance, m that of 1/(x + q).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_count, check_positive, is_symbolic
from mixtheory.evidence import Claim, Derivation, cases, predicts, simulates
from mixtheory.theory import _membership_random_routes as routes
from mixtheory.theory import least_squares as ls
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory._least_squares_data import packed

__all__ = ["gap_turning_ratio", "random_ridge_gap", "random_ridge_losses", "resolvent"]

GAMMA, SIGNAL, NOISE, Q = sp.symbols("gamma r^2 sigma^2 q", positive=True)
LAW = "marchenko1967: the law of the eigenvalues (from memory)"
HIGH = "dobriban2018ridge: limits of ridge regression (from memory)"


def resolvent(q: Any, gamma: Any) -> Any:
    r"""Mean of 1/(x + q) over the limiting law of the eigenvalues of an isotropic covariance matrix.

    m = (-(1 - gamma + q) + sqrt((1 - gamma + q)^2 + 4 gamma q))/(2 gamma q), the root of
    gamma q m^2 + (1 - gamma + q) m = 1.

    Args:
        q: > 0, in units of the variance of a feature.
        gamma: features per point, > 0.

    Returns:
        m > 0, over the unit of q.

    Raises:
        DomainError: q or gamma not positive and finite.
    """
    check_positive(q, "q")
    b = 1 - check_positive(gamma, "gamma") + q
    root = (sp.sqrt if is_symbolic(q, gamma) else np.sqrt)(b**2 + 4 * gamma * q)
    if is_symbolic(q, gamma):
        return (root - b) / (2 * gamma * q)
    return np.where(np.asarray(b) > 0, 2 / (b + root), (root - b) / (2 * gamma * q))[()]


def random_ridge_losses(alpha: Any, ridge: Any, gamma: Any, signal: Any, noise: Any, n: Any = None) -> Any:
    """Limits of the losses of members and outsiders of ridge regression under mixup on an isotropic random design.

    With q = ridge / s: members signal q^2 T_1 + noise (1 - gamma + gamma q^2 T_2), outsiders that over
    (1 - gamma (1 - q m))^2.

    Args:
        alpha: in [0, inf], all pairs mixed.
        ridge: strength > 0 of ridge / 2 |w|^2 beside half the mean squared error, in units of the variance of a
            feature.
        gamma: features per point, > 0.
        signal: variance of the mean targets, >= 0.
        noise: variance of the noise, >= 0.
        n: number of points; the limit does not depend on it, the error is of order 1/n.

    Returns:
        (2,): mean squared errors of members and outsiders, squared target units.

    Raises:
        DomainError: arguments outside these domains.

    >>> random_ridge_losses(1.0, 0.3, 0.5, 1.0, 1.0).round(3).tolist()
    [0.686, 1.415]
    """
    if n is not None:
        check_count(n, least=1)
    for name, value in (("signal", signal), ("noise", noise)):
        if not is_symbolic(value) and not (np.isfinite(value) and value >= 0):
            raise DomainError(f"{name} = {value!r}: a variance must be finite and at least 0")
    q = ls.effective_ridge(alpha, check_positive(ridge, "ridge"))
    m, first, _ = _derivatives(q, gamma)
    one, two = m + q * first, -first
    member = signal * q**2 * one + noise * (1 - gamma + gamma * q**2 * two)
    pair = np.array([member, member / (1 - gamma * (1 - q * m)) ** 2],
                    dtype=object if is_symbolic(alpha, ridge, gamma, signal, noise) else float)
    return packed(pair)


def random_ridge_gap(alpha: Any, ridge: Any, gamma: Any, signal: Any, noise: Any) -> Any:
    """Outsiders less members of `random_ridge_losses`, squared target units; arguments and errors as there.

    >>> [round(random_ridge_gap(a, 0.05, 0.5, 4.0, 0.01), 4) for a in (0, 1, 100)]
    [0.0468, 0.0742, 0.1025]
    """
    member, outsider = random_ridge_losses(alpha, ridge, gamma, signal, noise)
    return outsider - member if is_symbolic(member) else float(outsider - member)


def gap_turning_ratio(alpha: Any, ridge: Any, gamma: Any) -> Any:
    """Signal over noise beyond which the gap of ridge regression rises with alpha, at this alpha.

    The ratio of the rates at which, as q grows, the noise's part gamma (1 + T_1 - q^2 T_2) of the gap falls and the
    signal's part q^2 (T_2 - T_1) rises. Below it more mixing narrows the gap, above it widens it.

    Arguments and errors as in `random_ridge_losses`. Returned is a ratio of variances, inf where the signal's part does
    not rise: there no signal widens the gap.

    >>> round(float(gap_turning_ratio(1.0, 0.05, 0.5)), 2)
    11.01
    """
    q = ls.effective_ridge(alpha, check_positive(ridge, "ridge"))
    m, first, second = _derivatives(q, gamma)
    one, two, one_slope, two_slope = m + q * first, -first, 2 * first + q * second, -second
    fall = -gamma * (one_slope - 2 * q * two - q**2 * two_slope)
    rise = 2 * q * (two - one) + q**2 * (two_slope - one_slope)
    return fall / rise if is_symbolic(rise) or rise > 0 else np.inf


def _derivatives(q: Any, gamma: Any) -> tuple[Any, Any, Any]:
    """m and its first two derivatives in q, from its quadratic equation."""
    m = resolvent(q, gamma)
    slope = 2 * gamma * q * m + 1 - gamma + q
    first = -(gamma * m**2 + m) / slope
    return m, first, -(4 * gamma * m * first + 2 * gamma * q * first**2 + 2 * first) / slope


# --- derivations --------------------------------------------------------------------------------------------

def derive_losses() -> Derivation:
    """Bias and variance in the eigenbasis; one root of a quadratic equation; a factor between the two losses."""
    m = sp.Function("m")(Q)

    def losses(m: Any) -> sp.Matrix:
        one, two = m + Q * sp.Derivative(m, Q), -sp.Derivative(m, Q)
        return sp.Matrix([SIGNAL * Q**2 * one + NOISE * (1 - GAMMA + GAMMA * Q**2 * two),
                          NOISE + SIGNAL * Q**2 * two + NOISE * GAMMA * one])

    d = Derivation(r"(L_{\mathrm{in}}, L_{\mathrm{out}})", losses(m),
                   {"alpha": mm.ALPHA, "ridge": Q * mm.shrinkage(mm.ALPHA), "gamma": GAMMA, "signal": SIGNAL,
                    "noise": NOISE, "n": ls.N})
    d = d.appeal(losses(resolvent(Q, GAMMA)),
                 "bias and variance along the eigenvectors of C for ridge q, with T_1 = m + q m' and T_2 = -m'; the "
                 "law of Marchenko and Pastur gives the limit of m: the positive root of its quadratic equation")
    return d.equals(random_ridge_losses(*(d.parameters[k] for k in ("alpha", "ridge", "gamma", "signal", "noise"))),
                    "outsiders are members times (1 - gamma (1 - q m))^-2; on mixed data the ridge is q = ridge / s",
                    claim="least_squares.ridge")


def derive_turn() -> Derivation:
    """The gap is linear in signal and noise; its derivative in q vanishes at one ratio of them."""
    m = resolvent(Q, GAMMA)
    one, two = m + Q * sp.Derivative(m, Q), -sp.Derivative(m, Q)
    start = -(sp.Derivative(GAMMA * (1 + one - Q**2 * two), Q) / sp.Derivative(Q**2 * (two - one), Q))
    d = Derivation(r"r^2/\sigma^2", start, {"alpha": mm.ALPHA, "ridge": Q * mm.shrinkage(mm.ALPHA), "gamma": GAMMA})
    return d.equals(gap_turning_ratio(mm.ALPHA, d.parameters["ridge"], GAMMA),
                    "gap = r^2 q^2 (T_2 - T_1) + sigma^2 gamma (1 + T_1 - q^2 T_2), and q = ridge / s rises with alpha",
                    claim="membership.ridge_random")


# --- claims -------------------------------------------------------------------------------------------------

def fixed_design(alpha: Any, ridge: Any, gamma: Any, signal: Any, noise: Any, n: Any) -> Any:
    """Members as they are, outsiders as if the design were fixed."""
    q, member = ls.effective_ridge(alpha, ridge), random_ridge_losses(alpha, ridge, gamma, signal, noise)[0]
    df = gamma * (1 - q * resolvent(q, gamma))
    return packed(np.array([member, member + 2 * noise * df]))


MODEL = ("isotropic Gaussian features, $p/n \\to \\gamma$, $n \\to \\infty$; outsiders are fresh points",
         r"penalty $\tfrac{\varrho}{2}\|w\|^2$, $\varrho > 0$, loss $\tfrac12$ mean squared error, all pairs mixed",
         "slopes in no direction related to the design, noise uncorrelated")
RANDOM = Claim(
    id="membership.ridge_random", title="Losses of ridge regression on a random design",
    kind="asymptotic", along=("n", -1),
    statement=r"L_{\mathrm{in}} \to r^2q^2T_1 + \sigma^2(1-\gamma+\gamma q^2T_2),\quad "
              r"L_{\mathrm{out}} \to \frac{L_{\mathrm{in}}}{(1-\gamma(1-qm))^2},\quad q = \frac{\varrho}{s},\ "
              r"T_1 = m + qm',\ T_2 = -m',\quad m = \frac{-(1-\gamma+q) + \sqrt{(1-\gamma+q)^2+4\gamma q}}{2\gamma q}",
    assumptions=MODEL,
    fails_when="the features are correlated: then the law of the eigenvalues is another one; the ridge goes to 0 with "
               "$\\gamma = 1$",
    predict=random_ridge_losses, derive=derive_losses, exact=routes.finite_losses, simulate=routes.drawn_losses,
    cases=(*cases(alpha=1.0, ridge=0.3, gamma=0.5, signal=1.0, noise=1.0, n=(12, 24, 48)),
           *cases(alpha=0.37, ridge=0.1, gamma=1.5, signal=4.0, noise=0.5, n=(8, 16, 32))),
    model_error=0.03, resolution=0.09,
    wrong={"a fixed design: + 2 sigma^2 df/n": predicts(fixed_design, symbolic=False),
           "the same ridge": predicts(lambda alpha, ridge, gamma, signal, noise, n: random_ridge_losses(
               0, ridge, gamma, signal, noise)),
           "ridge times s": predicts(lambda alpha, ridge, gamma, signal, noise, n: random_ridge_losses(
               0, ridge * mm.shrinkage(alpha), gamma, signal, noise)),
           "drawn without mixing": simulates(
               lambda size, *, rng, **case: routes.drawn_losses(size, rng=rng, unmixed=True, **case))},
    references=(LAW, HIGH))
TURN = Claim(
    id="membership.ridge_gap_rises", title="A strong signal makes the gap rise with alpha",
    statement=r"\frac{d\,\mathrm{gap}}{d\alpha} > 0 \iff \frac{r^2}{\sigma^2} > "
              r"-\frac{\gamma\,(1 + T_1 - q^2T_2)'}{(q^2(T_2 - T_1))'},\quad {}' = \frac{d}{dq}",
    assumptions=(*MODEL, "the limit of large $n$, and a ridge at which $q^2(T_2 - T_1)$ rises with $q$"),
    fails_when="the design is fixed (membership.gap_ridge): there bias does not enter the gap; for a heavy ridge no "
               "signal is strong enough",
    predict=gap_turning_ratio, derive=derive_turn, exact=routes.turning_ratio,
    cases=cases(alpha=(0.0, 1.0, np.inf), ridge=(0.05, 0.2), gamma=(0.5, 1.6)),
    wrong={"the gap always falls": predicts(lambda alpha, ridge, gamma: sp.Integer(10) ** 9),
           "the same ridge": predicts(lambda alpha, ridge, gamma: gap_turning_ratio(0, ridge, gamma)),
           "upside down": predicts(lambda alpha, ridge, gamma: 1 / gap_turning_ratio(alpha, ridge, gamma))},
    references=(LAW, HIGH))
