r"""Gradient noise of linear regression under mixup: mean and covariance for one example and for a batch.

y = w_*^T x + eps with centred x, loss (w^T x - y)^2 / 2, delta = w - w_*, residual r = delta^T x - eps. One example
has the gradient g = x r with mean m = Sigma delta and covariance C_g = E[x x^T r^2] - m m^T. A mixed one has

    g~ = lambda^2 g_1 + (1 - lambda)^2 g_2 + u h,    h = x_1 r_2 + x_2 r_1,    Cov h = C_h = 2 omega^2 Sigma + 2 m m^T,

omega^2 = E r^2, and h is uncorrelated with g_1 and g_2. A batch of n is a sum of the same kinds of terms, so its
covariance is

    (own C_g + cross C_h) / n + spread m m^T

with three numbers that depend on the law of lambda, the pairing and the sharing alone: `scheme_weights`.
The claims belong to the chapter `gradients`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from mixtheory.domain import (
    DomainError,
    check_count,
    check_covariance,
    check_finite,
    check_member,
    is_symbolic,
)
from mixtheory.evidence import Claim, Derivation, Mean, MomentLaw, beta, cases, predicts, scalar, simulates
from mixtheory.mixup import blend
from mixtheory.pairing import SHARINGS, check_sharing
from mixtheory.theory import _gradients_routes as routes
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory._gradients_symbols import Variance, of_lambda

__all__ = ["PAIRINGS", "SchemeWeights", "gradient_covariance", "gradient_mean", "noise_factor", "scheme_weights"]

PAIRINGS = ("fresh", "roll", "flip", "permutation")
"""`fresh`: partners from outside the batch, 2 n independent examples; the others as in `mixtheory.pairing`."""

ALPHA, LAM = mm.ALPHA, mm.LAM
N = sp.Symbol("n", integer=True, positive=True)
SIGMA, OMEGA2, FOURTH = sp.symbols("Sigma omega^2 M_4", positive=True)
M = sp.Symbol("m", real=True)
SHRINK, PRODUCT = "mixing_moments.shrinkage", "mixing_moments.mean_product"


class SchemeWeights(NamedTuple):
    """Mean and covariance of a batch gradient: mean m, (own C_g + cross C_h) / n + spread m m^T; dimensionless."""

    mean: Any
    own: Any
    cross: Any
    spread: Any


def scheme_weights(alpha: Any, n: Any = 1, pairing: str = "fresh", sharing: str = "element",
                   folded: bool = False) -> SchemeWeights:
    """What pairing and sharing do to a batch gradient, for any data.

    Args:
        alpha: in [0, inf].
        n: batch size; at least 1 (`fresh`), 2 (`permutation`), 3 (`roll`), even (`flip`).
        pairing: fresh, roll, flip or permutation.
        sharing: one lambda for the `batch`, the `pair` (flip) or the `element`.
        folded: whether lambda is replaced by max(lambda, 1 - lambda); only `element` notices.

    Returns:
        Four dimensionless numbers, see `SchemeWeights`. With lambda = 1 they are 1, 1, 0, 0.

    Raises:
        DomainError: an unknown name, a size that the pairing does not have, alpha outside its domain.
    """
    check_member(pairing, PAIRINGS, "pairing")
    check_member(sharing, SHARINGS, "sharing")
    check_sharing(pairing, sharing)
    check_count(n, least={"fresh": 1, "roll": 3}.get(pairing, 2),
                even="flip pairs example i with n - 1 - i" if pairing == "flip" else None)
    s, V, q4 = mm.shrinkage(alpha), mm.shrinkage_variance(alpha), mm.fourth(alpha)
    S2, u2, u1 = mm.shrinkage_square(alpha), mm.product_square(alpha), mm.mean_product(alpha)
    # E[lambda_i^2 (1 - lambda_j)^2] for two independent weights
    apart = ((1 + mm.mean_square_gap(alpha)) ** 2 - 4 * mm.mean_gap(alpha) ** 2) / 16 if folded else s**2 / 4
    shared = sharing != "element"
    own = S2 if shared else q4 + 2 * apart          # an example as itself and as somebody's partner
    if pairing == "fresh":
        return SchemeWeights(s, q4, u2, V / n if sharing == "element" else V)
    if pairing == "roll":
        return SchemeWeights(s, own, u2, V if shared else V / n)
    if pairing == "flip":                            # every pair is used twice
        spread = {"batch": V, "pair": 2 * V / n, "element": V / n}[sharing]
        return SchemeWeights(s, own, 2 * u2 if shared else u2 + u1**2, spread)
    mean = s + (1 - s) / n                           # self-pairs: one a batch on average
    if shared:
        return SchemeWeights(mean, (1 + (n - 1) * S2) / n, u2, V * (n - 1) ** 2 / n**2 + 4 * u2 / n**2)
    return SchemeWeights(mean, (1 + (n - 1) * own) / n, ((n - 1) * u2 + u1**2) / n,
                         ((n - 1) * V + (1 - s) ** 2) / n**2)


def gradient_mean(alpha: Any, Sigma: Any, delta: Any, *, pairing: str = "fresh", n: Any = 1) -> Any:
    """E g~ = s Sigma delta, the ERM gradient shrunk; with self-pairs (`permutation`) s + (1 - s)/n for s.

    Args:
        alpha: in [0, inf].
        Sigma: (d, d) covariance of the centred features.
        delta: (d,) distance of the parameters from w_*.
        pairing: see `scheme_weights`.
        n: batch size; only `permutation` depends on it.

    Returns:
        (d,), the unit of the loss over that of the parameters.

    Raises:
        DomainError: shapes that do not fit, arguments outside their domains.

    Example:
        >>> gradient_mean(1.0, np.eye(2), [3.0, 0.0]).tolist()      # two thirds of the way
        [2.0, 0.0]
    """
    _, m, _ = _moments(Sigma, delta, 0.0)
    sizes = {"roll": 3, "flip": 2, "permutation": 2}
    return scheme_weights(alpha, n if pairing == "permutation" else sizes.get(pairing, 1), pairing,
                          "batch").mean * m


def gradient_covariance(alpha: Any, Sigma: Any, delta: Any, noise: Any = 0.0, *, fourth: Any = None,
                        noise_second: Any = None, pairing: str = "fresh", sharing: str = "element", n: Any = 1,
                        folded: bool = False) -> Any:
    r"""Covariance of a mixed gradient of linear regression: of one example (n = 1), or of the mean over a batch.

    (own C_g + cross C_h)/n + spread m m^T, exact at every n, for centred features of any law with four moments.

    Args:
        alpha: in [0, inf]; 0 is ERM with `fresh` partners.
        Sigma: (d, d) covariance of the features.
        delta: (d,) distance w - w_* of the parameters from the best ones.
        noise: variance of the label noise, squared target units.
        fourth: (d, d) E[x x^T (delta^T x)^2]; None: that of Gaussian features. `gradients_scale` has others.
        noise_second: (d, d) E[eps^2 x x^T]; None: noise * Sigma, noise of the same size everywhere.
        pairing: see `scheme_weights`, as for the next three.
        sharing: of lambda.
        n: batch size; with `fresh` pairs 1 is a single example.
        folded: whether lambda is folded.

    Returns:
        (d, d), the squared unit of the gradient.

    Raises:
        DomainError: shapes that do not fit, arguments outside their domains.

    Source: derived here; the critical batch size that it feeds is McCandlish et al. (2018).

    Example: at w_* with a lambda for each element and alpha = 0.2, a rolled batch is noisier than an unmixed one.

        >>> at_best = dict(Sigma=np.eye(1), delta=[0.0], noise=1.0)
        >>> plain = gradient_covariance(0, **at_best, n=64, pairing="fresh")
        >>> round(float((gradient_covariance(0.2, **at_best, n=64, pairing="roll") / plain)[0, 0]), 4)
        1.1322
    """
    Sigma, m, square = _moments(Sigma, delta, noise)
    spread = square - noise                          # delta^T Sigma delta
    if fourth is None:
        fourth = spread * Sigma + 2 * _outer(m)
    if noise_second is None:
        noise_second = noise * Sigma
    if not is_symbolic(fourth, noise_second):
        fourth = np.asarray(check_finite(fourth, "fourth", shape=np.shape(Sigma)), dtype=float)
        noise_second = np.asarray(check_finite(noise_second, "noise_second", shape=np.shape(Sigma)), dtype=float)
    w = scheme_weights(alpha, n, pairing, sharing, folded)
    C_g, C_h = fourth + noise_second - _outer(m), 2 * square * Sigma + 2 * _outer(m)
    return (w.own * C_g + w.cross * C_h) / n + w.spread * _outer(m)


def noise_factor(alpha: Any, pairing: str = "fresh", sharing: str = "element", folded: bool = False,
                 n: Any = None) -> Any:
    """Gradient noise at w_* over that of ERM with the same batch: own + 2 cross. Dimensionless.

    Homoscedastic noise, any law of the features. E S^2 with fresh partners; only `permutation` depends on n.
    Arguments and errors as `scheme_weights`.
    """
    if n is None:
        if pairing == "permutation":
            raise DomainError("n = None: with a permutation the factor depends on the batch size")
        n = {"roll": 3, "flip": 2}.get(pairing, 1)
    w = scheme_weights(alpha, n, pairing, sharing, folded)
    return w.own + 2 * w.cross


def _moments(Sigma: Any, delta: Any, noise: Any) -> tuple[Any, Any, Any]:
    """Sigma, m = Sigma delta, omega^2; symbols stand for one direction, arrays of symbols for themselves."""
    if isinstance(Sigma, np.ndarray) and Sigma.dtype == object:
        return Sigma, Sigma @ delta, delta @ Sigma @ delta + noise
    if is_symbolic(Sigma, delta, noise):
        return Sigma, Sigma * delta, Sigma * delta**2 + noise
    Sigma = np.asarray(check_covariance(Sigma), dtype=float)
    delta = np.asarray(check_finite(delta, "delta", shape=(len(Sigma),)), dtype=float)
    if not (np.isfinite(noise) and np.ndim(noise) == 0 and noise >= 0):
        raise DomainError(f"noise = {noise!r}: a variance must be a finite number of at least 0")
    return Sigma, Sigma @ delta, delta @ Sigma @ delta + noise


def _outer(m: Any) -> Any:
    return np.outer(m, m) if isinstance(m, np.ndarray) else m**2


# ---- derivations -------------------------------------------------------------------------------------------------

def _examples(count: int) -> tuple[list[tuple[sp.Symbol, sp.Symbol]], tuple[MomentLaw, ...]]:
    """Independent examples along a direction v: (v^T x, r), centred, with E x^2, E x r, E r^2 and E x^2 r^2."""
    known = {(0, 0): 1, (1, 0): 0, (0, 1): 0, (2, 0): SIGMA, (0, 2): OMEGA2, (1, 1): M, (2, 2): FOURTH}
    pairs = [sp.symbols(f"x_{i} r_{i}", real=True) for i in range(1, count + 1)]
    laws = tuple(MomentLaw(pair, lambda k: sp.sympify(known[k]) if k in known else sp.Symbol(f"mu_{k[0]}{k[1]}"))
                 for pair in pairs)
    return pairs, laws


def _symbols(**more: Any) -> dict[str, Any]:
    """Arguments of `gradient_covariance` along a direction: any Sigma, m, omega^2 and E x^2 r^2."""
    noise = OMEGA2 - M**2 / SIGMA
    return {"alpha": ALPHA, "Sigma": SIGMA, "delta": M / SIGMA, "noise": noise, "fourth": FOURTH - noise * SIGMA,
            **more}


def _weights(sharing: str, folded: bool) -> tuple[Any, Any, tuple[MomentLaw, ...]]:
    """The lambdas of two elements of a batch and their laws; folded ones are (1 + r)/2."""
    if folded:
        gaps = sp.symbols("r_a r_b", positive=True)
        even = [mm.mean_gap(ALPHA), mm.mean_square_gap(ALPHA), sp.Symbol("mu_3"), mm.arcsine(ALPHA, 2)]
        return (1 + gaps[0]) / 2, (1 + gaps[1]) / 2, tuple(scalar(gap, *even) for gap in gaps)
    first, second = (LAM, LAM) if sharing == "batch" else sp.symbols("lambda_1 lambda_2", positive=True)
    return first, second, tuple(beta(lam, ALPHA) for lam in dict.fromkeys((first, second)))


def _patterns(pairing: str) -> list[tuple[Any, tuple[int, int], tuple[int, int]]]:
    """(probability, members of one element, members of another): how two elements of a batch can overlap."""
    if pairing == "fresh":
        return [(sp.S.One, (0, 1), (2, 3))]
    if pairing == "roll":
        return [(2 / (N - 1), (0, 1), (1, 2)), ((N - 3) / (N - 1), (0, 1), (2, 3))]
    if pairing == "flip":
        return [(1 / (N - 1), (0, 1), (1, 0)), ((N - 2) / (N - 1), (0, 1), (2, 3))]
    one, some, all_ = (p / (N * (N - 1)) for p in (1, N - 2, (N - 2) * (N - 3)))
    return [(one, (0, 0), (1, 1)), (2 * some, (0, 0), (1, 2)), (one, (0, 1), (1, 0)), (2 * some, (0, 1), (1, 2)),
            (all_, (0, 1), (2, 3))]


def _derive(pairing: str, sharing: str, folded: bool = False) -> Derivation:
    """n Var = E f_1^2 + (n - 1) E f_1 f_2 - n (E f)^2 for the gradients f of the elements, along a direction."""
    members, laws = _examples(4)
    first, second, lams = _weights(sharing, folded)

    def f(lam: Any, pair: tuple[int, int]) -> Any:
        (x, r), (z, t) = members[pair[0]], members[pair[1]]
        return blend(lam, x, z) * blend(lam, r, t)

    def mean(expression: Any) -> Mean:
        return Mean(expression, *laws, *lams)

    alone = [(1 / N, (0, 0)), (1 - 1 / N, (0, 1))] if pairing == "permutation" else [(sp.S.One, (0, 1))]
    square = sum(p * mean(f(first, a) ** 2) for p, a in alone)
    centre = sum(p * mean(f(first, a)) for p, a in alone)
    product = sum(p * mean(f(first, a) * f(first if sharing == "pair" and set(a) == set(b) else second, b))
                  for p, a, b in _patterns(pairing))
    more = {"n": N, "pairing": pairing, "sharing": sharing} | ({"folded": True} if folded else {})
    name = r"\operatorname{Var}\bigl(v^\top \tilde g\bigr)"
    d = Derivation(name, (square + (N - 1) * product) / N - centre**2, _symbols(**more))
    own, cross, spread = _over_lambda(pairing, sharing, first, second, lams)
    C_g, C_h = FOURTH - M**2, 2 * OMEGA2 * SIGMA + 2 * M**2
    d = d.equals((own * C_g + cross * C_h) / N + spread * M**2,
                 "two elements of a batch share both examples, one or none; factors of mean 0 drop out. Here "
                 "$C_g = M_4 - m^2$ and $C_h = 2\\omega^2\\Sigma + 2m^2$ along a direction $v$")
    rests = SHRINK if sharing == "element" and not folded else PRODUCT if sharing == "element" else \
        "mixing_moments.shrinkage_square"
    return d.equals(gradient_covariance(**d.parameters), "moments of $\\lambda$", claim=rests)


def _over_lambda(pairing: str, sharing: str, first: Any, second: Any,
                 lams: tuple[MomentLaw, ...]) -> tuple[Any, Any, Any]:
    """own, cross and spread as means over lambda that are still to be taken."""
    def mean(expression: Any) -> Mean:
        return Mean(expression, *lams)

    S, u = first**2 + (1 - first) ** 2, first * (1 - first)
    fresh, mixed = first**4 + (1 - first) ** 4, (first**2 + (1 - second) ** 2) ** 2
    variance = mean(S**2) - mean(S) ** 2
    if pairing == "fresh":
        return mean(fresh), mean(u**2), variance if sharing == "batch" else variance / N
    own = mean(mixed if sharing == "element" else S**2)
    if pairing == "roll":
        return own, mean(u**2), variance if sharing == "batch" else variance / N
    if pairing == "flip":
        both = mean(2 * u**2) if sharing != "element" else mean((u + second * (1 - second)) ** 2) / 2
        return own, both, {"batch": variance, "pair": 2 * variance / N, "element": variance / N}[sharing]
    own = (1 + (N - 1) * own) / N
    if sharing == "batch":
        return own, mean(u**2), ((N - 1) ** 2 * variance + mean((1 - S) ** 2)) / N**2
    return (own, ((N - 1) * mean(u**2) + mean(u * second * (1 - second))) / N,
            ((N - 1) * variance + (1 - mean(S)) ** 2) / N**2)


def derive_mean() -> Derivation:
    (pair, laws) = _examples(2)
    (x, r), (z, t) = pair
    lam = beta(LAM, ALPHA)
    d = Derivation(r"\mathbb{E}\,v^\top \tilde g", Mean(blend(LAM, x, z) * blend(LAM, r, t), *laws, lam),
                   {"alpha": ALPHA, "Sigma": SIGMA, "delta": M / SIGMA, "pairing": "fresh", "n": 1})
    d = d.equals(Mean(LAM**2 + (1 - LAM) ** 2, lam) * M, "$x_1 r_2$ and $x_2 r_1$ have mean 0, $x_1 r_1$ has mean $m$")
    return d.equals(gradient_mean(ALPHA, SIGMA, M / SIGMA), r"$m = \Sigma\delta$, and $\mathbb{E}\,S = s$",
                    claim=SHRINK)


def derive_per_example() -> Derivation:
    """One pair: three uncorrelated terms."""
    (pair, laws) = _examples(2)
    (x, r), (z, t) = pair
    lam, (S, u, law) = beta(LAM, ALPHA), of_lambda()
    d = Derivation(r"\operatorname{Var}(v^\top\tilde g)", Variance(blend(LAM, x, z) * blend(LAM, r, t), *laws, lam),
                   _symbols())
    d = d.equals(Variance(LAM**2 * x * r + (1 - LAM) ** 2 * z * t, *laws, lam)
                 + Mean(u**2, law) * Mean((x * t + z * r) ** 2, *laws),
                 "expand: given either example, $h = x_1 r_2 + x_2 r_1$ has mean 0: uncorrelated with the rest")
    C_h = 2 * OMEGA2 * SIGMA + 2 * M**2
    d = d.equals(Mean(S**2 - 2 * u**2, law) * (FOURTH - M**2) + Mean(u**2, law) * C_h + Variance(S, law) * M**2,
                 "two independent examples; $\\lambda^4 + (1-\\lambda)^4 = S^2 - 2u^2$, $C_g = M_4 - m^2$ and "
                 "$C_h = 2\\omega^2\\Sigma + 2m^2$ along a direction $v$")
    return d.equals(gradient_covariance(**_symbols()), "moments of $\\lambda$", claim="mixing_moments.fourth")


def derive_noise_factor() -> Derivation:
    """delta = 0: C_g = sigma^2 Sigma and C_h twice that."""
    noise = sp.Symbol("sigma^2", positive=True)
    covariance = gradient_covariance(ALPHA, SIGMA, sp.S.Zero, noise, fourth=sp.S.Zero, n=N, pairing="roll")
    d = Derivation(r"\frac{n}{\sigma^2 \Sigma}\operatorname{Var}(v^\top\tilde g)", covariance * N / (noise * SIGMA),
                   {"alpha": ALPHA, "pairing": "roll", "sharing": "element", "folded": False})
    d = d.equals(mm.fourth(ALPHA) + mm.shrinkage(ALPHA) ** 2 / 2 + 2 * mm.product_square(ALPHA),
                 "at $w_*$: $m = 0$, $C_g = \\sigma^2\\Sigma$, $C_h = 2\\sigma^2\\Sigma$",
                 claim="gradients.batch_roll_element")
    return d.equals(noise_factor(ALPHA, "roll", "element"), "own + 2 cross", claim=SHRINK)


# ---- claims ------------------------------------------------------------------------------------------------------

SIGMA_2, DELTA_2, NOISE = np.array([[1.0, 0.3], [0.3, 0.6]]), np.array([0.9, -0.4]), 0.7
REGRESSION = {"Sigma": SIGMA_2, "delta": DELTA_2, "noise": NOISE, "fourth": routes.fourth_of(SIGMA_2, DELTA_2)}
GIVEN = ("linear regression with centred features, loss $\\frac12(w^\\top x - y)^2$",
         r"$y = w_*^\top x + \varepsilon$, $\mathbb{E}[\varepsilon \mid x] = 0$, one variance $\sigma^2$ for all $x$",
         "finite fourth moments")
SOURCE = ("mccandlish2018noise: the gradient noise scale (from memory)",)


def _with(formula: Callable[..., Any]) -> Any:
    """A wrong formula: three weights in place of the right ones."""
    def wrong(alpha: Any, Sigma: Any, delta: Any, noise: Any, fourth: Any, n: Any = 1, pairing: str = "fresh",
              sharing: str = "element", folded: bool = False) -> Any:
        Sigma, m, square = _moments(Sigma, delta, noise)
        own, cross, spread = formula(alpha, n, scheme_weights(alpha, n, pairing, sharing, folded))
        C_g, C_h = fourth + noise * Sigma - _outer(m), 2 * square * Sigma + 2 * _outer(m)
        return (own * C_g + cross * C_h) / n + spread * _outer(m)
    return predicts(wrong)


def _instead(**changed: Any) -> Any:
    return simulates(lambda size, *, rng, **case: routes.simulate_covariance(size, rng=rng, **{**case, **changed}))


MEAN_CLAIM = Claim(
    id="gradients.mean", title="Linear regression: the mean gradient shrinks by s",
    statement=r"\mathbb{E}\,\tilde g = s\,\Sigma\delta = s\,\mathbb{E}\,g,\qquad "
              r"\text{permutation: } \Bigl(s + \frac{1-s}{n}\Bigr)\Sigma\delta",
    assumptions=GIVEN[:1] + ("partners are independent examples; self-pairs happen only in a permutation",),
    fails_when="the features are not centred: the intercept's gradient keeps its size",
    predict=gradient_mean, derive=derive_mean, exact=routes.exact_mean, simulate=routes.simulate_mean,
    cases=(*cases(alpha=(0.2, 1.0, np.inf), Sigma=SIGMA_2, delta=DELTA_2, pairing="fresh", n=1),
           *cases(alpha=(0.2, 1.0), Sigma=SIGMA_2, delta=DELTA_2, pairing="permutation", n=(2, 3)),
           *cases(alpha=0.37, Sigma=SIGMA_2, delta=DELTA_2, pairing="roll", n=3)),
    wrong={"the ERM gradient": predicts(lambda alpha, Sigma, delta, pairing, n: _moments(Sigma, delta, 0)[1]),
           "at lambda = 1/2": predicts(lambda alpha, Sigma, delta, pairing, n: _moments(Sigma, delta, 0)[1] / 2),
           "lambda swapped on the targets": simulates(routes.simulate_swapped_mean)})

PER_EXAMPLE = Claim(
    id="gradients.covariance", title="Gradient noise of one mixed example",
    statement=r"\operatorname{Cov}\tilde g = q_4\,C_g + \mathbb{E}[u^2]\,C_h + V_S\,mm^\top,\qquad "
              r"C_h = 2\omega^2\Sigma + 2mm^\top",
    assumptions=GIVEN, fails_when="the noise varies with x and $\\mathbb{E}[\\varepsilon^2 x x^\\top]$ is still taken "
                                  "to be $\\sigma^2\\Sigma$",
    predict=gradient_covariance, derive=derive_per_example, exact=routes.exact_covariance,
    simulate=routes.simulate_covariance, cases=cases(alpha=(0.0, 0.2, 1.0, 4.2, np.inf), **REGRESSION),
    wrong={"everything scales by q4": _with(lambda alpha, n, w: (w.own, 0 * w.cross, 0 * w.spread)),
           "everything scales by s^2": _with(lambda alpha, n, w: (mm.shrinkage(alpha) ** 2, 0 * w.cross, 0 * w.spread)),
           "s^2 for E S^2": _with(lambda alpha, n, w: (w.own, w.cross, 0 * w.spread)),
           "noise that varies with x": _instead(heteroscedastic=True),
           "another partner for the target": _instead(torn=True)},
    references=SOURCE)


def _batch_claim(name: str, title: str, statement: str, scheme: tuple[str, ...], sizes: tuple[int, ...],
                 wrong: dict[str, Any], *, alphas: tuple[float, ...] = (0.2, 1.0), fails_when: str = "",
                 experiment: str | None = None) -> Claim:
    """A row of the table of schemes."""
    folded = {"folded": True} if "folded" in scheme else {}
    return Claim(
        id=f"gradients.{name}", title=title, statement=statement,
        assumptions=("as in gradients.covariance", "the members of a batch are independent"), fails_when=fails_when,
        predict=gradient_covariance, derive=lambda: _derive(scheme[0], scheme[1], bool(folded)),
        exact=routes.exact_covariance, simulate=routes.simulate_covariance,
        cases=cases(alpha=alphas, **REGRESSION, n=sizes, pairing=scheme[0], sharing=scheme[1], **folded),
        wrong=wrong, references=SOURCE, experiment=experiment)


PER_EXAMPLE_OVER_N = _with(lambda alpha, n, w: (mm.fourth(alpha), mm.product_square(alpha),
                                                mm.shrinkage_variance(alpha) / n))
NO_FLOOR = _with(lambda alpha, n, w: (w.own, w.cross, w.spread / n))
ONCE = _with(lambda alpha, n, w: (w.own, mm.product_square(alpha), w.spread))
NO_SELF = _with(lambda alpha, n, w: (mm.shrinkage_square(alpha), mm.product_square(alpha),
                                     mm.shrinkage_variance(alpha)))
UNFOLDED = _with(lambda alpha, n, w: (mm.fourth(alpha) + mm.shrinkage(alpha) ** 2 / 2, w.cross, w.spread))

_batch_claim("batch_fresh", "A batch with fresh partners, a lambda each",
             r"\operatorname{Cov}\tilde g = \tfrac1n\bigl[q_4 C_g + \mathbb{E}[u^2]C_h + V_S\,mm^\top\bigr]",
             ("fresh", "element"), (2,), {"partners from the batch": _with(
                 lambda alpha, n, w: (w.own + mm.shrinkage(alpha) ** 2 / 2, w.cross, w.spread)),
                 "partners drawn from the batch": _instead(pairing="flip")},
             fails_when="partners come from the same batch, so that each is used twice (gradients.batch_roll_element)")
_batch_claim("batch_fresh_shared", "A batch with fresh partners, one lambda",
             r"\operatorname{Cov}\tilde g = V_S\,mm^\top + \tfrac1n\bigl[q_4 C_g + \mathbb{E}[u^2]C_h\bigr]",
             ("fresh", "batch"), (3,), {"noise of one example over n": PER_EXAMPLE_OVER_N, "no floor": NO_FLOOR,
                                        "a lambda each": _instead(sharing="element")})
_batch_claim("batch_roll", "A rolled batch with one lambda",
             r"\operatorname{Cov}\tilde g = V_S\,mm^\top + \tfrac1n\bigl[\mathbb{E}[S^2]C_g + \mathbb{E}[u^2]C_h\bigr]",
             ("roll", "batch"), (3, 4), {"noise of one example over n": PER_EXAMPLE_OVER_N, "no floor": NO_FLOOR,
                                         "a lambda each": _instead(sharing="element")},
             fails_when="self-pairs occur (gradients.batch_permutation), or n is 2: then it is a flip",
             experiment="gradients")
_batch_claim("batch_flip", "A flipped batch with one lambda",
             r"\operatorname{Cov}\tilde g = V_S\,mm^\top + \tfrac1n\bigl[\mathbb{E}[S^2]C_g + "
             r"2\,\mathbb{E}[u^2]C_h\bigr]",
             ("flip", "batch"), (2, 4), {"every pair once, as with roll": ONCE, "no floor": NO_FLOOR,
                                         "permuted": _instead(pairing="permutation")})
_batch_claim("batch_pair", "A flipped batch with a lambda for each pair",
             r"\operatorname{Cov}\tilde g = \tfrac1n\bigl[2V_S\,mm^\top + \mathbb{E}[S^2]C_g + "
             r"2\,\mathbb{E}[u^2]C_h\bigr]",
             ("flip", "pair"), (2, 4), {"as many lambdas as elements": _with(
                 lambda alpha, n, w: (w.own, w.cross, w.spread / 2)), "one lambda": _instead(sharing="batch"),
                 "every pair once, as with roll": ONCE})
_batch_claim("batch_roll_element", "A rolled batch with a lambda each",
             r"\operatorname{Cov}\tilde g = \tfrac1n\Bigl[V_S\,mm^\top + \Bigl(q_4 + \frac{s^2}{2}\Bigr)C_g + "
             r"\mathbb{E}[u^2]C_h\Bigr]",
             ("roll", "element"), (3, 4), {"noise of one example over n": PER_EXAMPLE_OVER_N,
                                           "one lambda": _instead(sharing="batch")}, experiment="gradients")
_batch_claim("batch_flip_element", "A flipped batch with a lambda each",
             r"\operatorname{Cov}\tilde g = \tfrac1n\Bigl[V_S\,mm^\top + \Bigl(q_4 + \frac{s^2}{2}\Bigr)C_g + "
             r"\bigl(\mathbb{E}[u^2] + (\mathbb{E}u)^2\bigr)C_h\Bigr]",
             ("flip", "element"), (2, 4), {"every pair once, as with roll": ONCE,
                                           "one lambda a pair": _instead(sharing="pair")})
_batch_claim("batch_folded", "A rolled batch with folded lambdas",
             r"\begin{gathered}\operatorname{Cov}\tilde g = \tfrac1n\bigl[V_S\,mm^\top + (q_4 + 2ab)C_g + "
             r"\mathbb{E}[u^2]C_h\bigr],\\ ab = \tfrac1{16}\Bigl[\bigl(1 + \tfrac1{2\alpha+1}\bigr)^2 - 4e_r^2\Bigr]"
             r"\end{gathered}",
             ("roll", "element", "folded"), (3,), {"as if not folded": UNFOLDED,
                                                   "not folded": _instead(folded=False)})
_batch_claim("batch_permutation", "A permuted batch with one lambda",
             r"\begin{gathered}\operatorname{Cov}\tilde g = V_S\bigl(1-\tfrac1n\bigr)^2 mm^\top + "
             r"\tfrac1n\bigl[\mathbb{E}[S^2]C_g + \mathbb{E}[u^2]C_h\bigr]\\ {} + "
             r"\tfrac4{n^2}\bigl[(\mathbb{E}u - \mathbb{E}u^2)C_g + \mathbb{E}[u^2]mm^\top\bigr]\end{gathered}",
             ("permutation", "batch"), (2, 3), {"self-pairs left out": NO_SELF, "no floor": NO_FLOOR,
                                                "fresh partners": _instead(pairing="fresh")})
_batch_claim("batch_permutation_element", "A permuted batch with a lambda each",
             r"\begin{gathered}n^2\operatorname{Cov}\tilde g = \bigl((n-1)V_S + (1-s)^2\bigr)mm^\top + "
             r"\Bigl(1 + (n-1)\Bigl(q_4 + \frac{s^2}{2}\Bigr)\Bigr)C_g\\ {} + "
             r"\bigl((n-1)\mathbb{E}[u^2] + (\mathbb{E}u)^2\bigr)C_h\end{gathered}",
             ("permutation", "element"), (2, 3), {"self-pairs left out": _with(
                 lambda alpha, n, w: (mm.fourth(alpha) + mm.shrinkage(alpha) ** 2 / 2, mm.product_square(alpha),
                                      mm.shrinkage_variance(alpha) / n)),
                 "one lambda": _instead(sharing="batch")})

NOISE_FACTOR = Claim(
    id="gradients.noise_factor", title="At the minimum the noise has one factor",
    statement=r"\operatorname{Cov}\tilde g = \varphi\,\frac{\sigma^2\Sigma}{n},\quad \varphi = \mathbb{E}S^2 + "
              r"\begin{cases}0 & \text{fresh}\\ 2\mathbb{E}u^2 & \text{roll, one }\lambda\\ "
              r"4\mathbb{E}u^2 & \text{flip, one }\lambda\\ s^2/2 & \text{roll, a }\lambda\text{ each}\\ "
              r"\tfrac12(s^2 + (1-s)^2) & \text{flip, a }\lambda\text{ each}\\ 2ab & \text{roll, folded}\end{cases}",
    assumptions=("$w = w_*$", *GIVEN), fails_when="the noise varies with x",
    predict=noise_factor, derive=derive_noise_factor, exact=routes.exact_factor, simulate=routes.simulate_factor,
    cases=(*cases(alpha=(0.05, 0.2, 0.6, 2.0, np.inf), pairing="roll", sharing=("element", "batch"), folded=False),
           *cases(alpha=(0.2, 1.0), pairing="flip", sharing=("element", "batch", "pair"), folded=False),
           *cases(alpha=(0.2, 1.0), pairing="fresh", sharing="element", folded=False),
           *cases(alpha=(0.2, 1.0), pairing="roll", sharing="element", folded=True)),
    resolution=0.04,
    wrong={"E S^2 for every scheme": predicts(lambda alpha, **_: mm.shrinkage_square(alpha)),
           "s^2 for every scheme": predicts(lambda alpha, **_: mm.shrinkage(alpha) ** 2),
           "no mixing": predicts(lambda alpha, **_: 1 + 0 * mm.shrinkage(alpha)),
           "noise that varies with x": simulates(lambda size, *, rng, **case: routes.simulate_factor(
               size, rng=rng, heteroscedastic=True, **case))},
    experiment="gradients", references=SOURCE)
