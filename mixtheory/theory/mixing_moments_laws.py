r"""Laws behind the law of lambda: the tilt that unties labels, symmetrisation, expansions at both ends.

Claims of the chapter `mixing_moments`. A function h of lambda is a SymPy expression in `mixing_moments.LAM`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import check_alpha, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, predicts, simulates
from mixtheory.mixing import Atoms, Beta, Law, elementary, symmetric
from mixtheory.theory import _mixing_moments_routes as routes
from mixtheory.theory import mixing_moments as mm

__all__ = ["large_alpha", "small_alpha", "small_alpha_variance", "symmetrised", "tilted", "tilted_law",
           "tilted_shrinkage", "untied_labels"]

ALPHA, LAM, HALF = mm.ALPHA, mm.LAM, mm.HALF
A, B = mm.A, mm.B
H = sum(c * LAM**j for j, c in enumerate(sp.symbols("c_0:5")))            # any polynomial of degree four
COEFFICIENTS = dict(zip(sp.symbols("c_0:5"), (0.3, -1.2, 0.7, 2.0, -0.5), strict=True))
SHAPES = (mm.S, mm.S**2, 1 / mm.S, sp.exp(2 * LAM))
TOY = routes.Pairs(x=np.array([[0.0, 1.0], [1.5, -0.5], [-1.0, 0.3], [2.0, 2.0]]), y=np.eye(3)[[0, 1, 2, 0]],
                   W=np.array([[1.2, -0.7, 0.1], [-0.4, 0.9, 1.1]]))
ALPHAS = (0.0, 0.1, 0.37, 1.0, 4.2, np.inf)
GENERAL = "certified for every polynomial of degree four; smooth functions are limits of polynomials"


def tilted(alpha: float) -> Law:
    """Beta(alpha + 1, alpha), the law of a label's own share; its limits: 1 at alpha = 0, 1/2 at inf."""
    check_alpha(alpha)
    if np.isinf(alpha):
        return Atoms((0.5,), (1.0,))
    return Beta(alpha + 1, alpha) if alpha > 0 else Atoms((1.0,), (1.0,))


def _numeric(h: sp.Expr) -> Any:
    return sp.lambdify(LAM, h, "numpy")


# ---- the tilt ----

def tilted_law(alpha: Any, h: sp.Expr) -> Any:
    """E[lambda h(lambda)] = E_{Beta(alpha+1, alpha)} h / 2, in units of h.

    Args:
        alpha: in [0, inf], or a symbol (then h must be a polynomial).
        h: expression in LAM; free of other symbols when alpha is a number.

    Raises:
        DomainError: alpha negative or NaN; h undefined somewhere in [0, 1].

    Source: Zhang et al. (2021), lemma 3.1, for the mixture of two tilted laws.
    """
    if is_symbolic(alpha):
        return Mean(h, beta(LAM, alpha + 1, alpha)) / 2
    return tilted(alpha).expect(_numeric(h)) / 2


def derive_tilted_law() -> Derivation:
    chain = Derivation(r"\mathbb{E}\left[\lambda h(\lambda)\right]", Mean(LAM * H, beta(LAM, ALPHA)),
                       {"alpha": ALPHA, "h": H})
    return chain.equals(tilted_law(ALPHA, H),
                        r"$\lambda \cdot \lambda^{\alpha-1} = \lambda^{(\alpha+1)-1}$: " + GENERAL,
                        claim=mm.MOMENTS)


def _other_tilt(alpha: Any, h: sp.Expr) -> Any:
    if is_symbolic(alpha):
        return Mean(h, beta(LAM, alpha, alpha + 1)) / 2
    return tilted(alpha).expect(lambda p: _numeric(h)(1 - p)) / 2


Claim(
    id="mixing_moments.tilted_law", title="Weighting by lambda tilts its law",
    statement=r"\mathbb{E}\left[\lambda\,h(\lambda)\right] = "
              r"\tfrac12\,\mathbb{E}_{\lambda'\sim\mathrm{Beta}(\alpha+1,\alpha)}\,h(\lambda')",
    assumptions=(*mm.INDEPENDENT, "$h$ integrable"),
    predict=tilted_law, derive=derive_tilted_law,
    exact=lambda alpha, h: symmetric(alpha).expect(lambda p: p * _numeric(h)(p)),
    simulate=lambda size, *, rng, alpha, h: (lambda p: p * _numeric(h)(p))(symmetric(alpha).sample(size,
                                                                                                   rng=rng)),
    cases=cases(h=(sp.exp(2 * LAM), 1 / (1 + LAM**2), H.subs(COEFFICIENTS)), alpha=ALPHAS[:-1]),
    scale=mm._unit(1.0),
    wrong={"not normalised": predicts(lambda alpha, h: 2 * tilted_law(alpha, h)),
           "tilted the other way": predicts(_other_tilt),
           "not tilted": predicts(lambda alpha, h: Mean(h, beta(LAM, alpha)) / 2 if is_symbolic(alpha)
                                  else symmetric(alpha).expect(_numeric(h)) / 2)},
    references=("zhang2021how: lemma 3.1 (from memory)",))


def tilted_shrinkage(alpha: Any) -> Any:
    """E lambda' = s for lambda' ~ Beta(alpha + 1, alpha): the mean share of a label's own input."""
    return mm.shrinkage(alpha)


def derive_tilted_shrinkage() -> Derivation:
    chain = Derivation(r"\mathbb{E}\,\lambda'", Mean(LAM, beta(LAM, ALPHA + 1, ALPHA)), {"alpha": ALPHA})
    chain = chain.equals(2 * Mean(LAM**2, beta(LAM, ALPHA)), "undo the tilt",
                         claim="mixing_moments.tilted_law")
    chain = chain.equals(Mean(mm.S, beta(LAM, ALPHA)), r"$\lambda$ and $1-\lambda$ have the same law")
    return chain.equals(tilted_shrinkage(ALPHA), r"$\mathbb{E}\,S = s$", claim=mm.SHRINKAGE_ID)


Claim(
    id="mixing_moments.tilted_shrinkage", title="The shrinkage factor is the mean of the tilted law",
    statement=r"s = \mathbb{E}_{\lambda'\sim\mathrm{Beta}(\alpha+1,\alpha)}\,\lambda'",
    assumptions=mm.INDEPENDENT, predict=tilted_shrinkage, derive=derive_tilted_shrinkage,
    exact=lambda alpha: tilted(alpha).expect(lambda p: p), simulate=routes.sampled(lambda p: p, tilted),
    cases=cases(alpha=ALPHAS), resolution=0.02,
    wrong={"mean of the symmetric law": predicts(lambda alpha: HALF),
           "Beta(alpha + 1, alpha + 1)": simulates(routes.sampled(
               lambda p: p, lambda alpha: Beta(alpha + 1,
                                               alpha + 1) if np.isfinite(alpha) else tilted(alpha)))},
    references=(mm.BETA_INTEGRAL,))


# ---- losses ----

class _Symbolic:
    """Two examples; losses of labels 1 and 2 along the segment from x_1 to x_2, any quadratics in lambda."""

    first, second = (sum(c * LAM**j for j, c in enumerate(sp.symbols(f"{name}_0:3"))) for name in "pq")

    def own(self, lam: Any) -> Any:
        """Label of the first member, both orders of the pair."""
        return (self.first.subs(LAM, lam) + self.second.subs(LAM, 1 - lam)) / 2

    def mixed(self, lam: Any) -> Any:
        """Mixed label, first order of the pair."""
        return lam * self.first.subs(LAM, lam) + (1 - lam) * self.second.subs(LAM, lam)


def untied_labels(alpha: Any, pairs: Any) -> Any:
    """The mixup loss without label mixing: E over lambda' ~ Beta(alpha+1, alpha) of loss(f(x~), y_i), nats.

    Args:
        alpha: in [0, inf], or a symbol.
        pairs: anything with `own(lam)`: the loss at the mixed point against the first member's own label,
            averaged over exchangeable pairs; (q,) -> (q,) for arrays, or an expression.

    Raises:
        DomainError: alpha negative or NaN.
    """
    if is_symbolic(alpha):
        return Mean(pairs.own(LAM), beta(LAM, alpha + 1, alpha))
    return tilted(alpha).expect(pairs.own)


def derive_untied_labels() -> Derivation:
    pairs, law = _Symbolic(), beta(LAM, ALPHA)
    both = (pairs.mixed(LAM) + pairs.mixed(1 - LAM)) / 2
    chain = Derivation(r"\mathbb{E}\,\ell(f(\tilde x), \tilde y)", Mean(both, law),
                       {"alpha": ALPHA, "pairs": pairs})
    chain = chain.equals(2 * Mean(LAM * pairs.own(LAM), law),
                         r"$\ell$ is affine in the target; in its second term exchange the pair "
                         r"and $\lambda \leftrightarrow 1-\lambda$")
    return chain.equals(untied_labels(ALPHA, pairs), "the tilt", claim="mixing_moments.tilted_law")


def _draw_loss(law: Any, **how: Any) -> Any:
    return lambda size, *, rng, pairs, **case: pairs.draw(law(**case).sample(size, rng=rng), rng, **how)


Claim(
    id="mixing_moments.untied_labels", title="Mixup needs no mixed labels",
    statement=r"\mathbb{E}\,\ell(f(\tilde x),\tilde y) = "
              r"\mathbb{E}_{\lambda'\sim\mathrm{Beta}(\alpha+1,\alpha)}"
              r"\,\ell\left(f(\lambda' x_i+(1-\lambda')x_j),\,y_i\right)",
    assumptions=("the loss is affine in the target (cross-entropy is)",
                 "the two members of a pair are exchangeable"),
    fails_when="the loss is not affine in the target, such as the Kullback-Leibler divergence, "
               "which equals cross-entropy on hard labels only; $\\lambda'$ keeps the symmetric law",
    predict=untied_labels, derive=derive_untied_labels,
    exact=lambda alpha, pairs: symmetric(alpha).expect(pairs.mixed), simulate=_draw_loss(symmetric),
    cases=cases(alpha=ALPHAS, pairs=TOY), resolution=0.02,
    wrong={"a loss that is not affine: Kullback-Leibler": simulates(_draw_loss(symmetric, entropy=True)),
           "lambda not tilted": predicts(lambda alpha, pairs: Mean(pairs.own(LAM), beta(LAM, alpha))
                                         if is_symbolic(alpha) else symmetric(alpha).expect(pairs.own)),
           "the partner's label": predicts(lambda alpha,
                                           pairs: Mean(pairs.own(LAM), beta(LAM, alpha, alpha + 1))
                                           if is_symbolic(alpha)
                                           else tilted(alpha).expect(lambda p: pairs.own(1 - p)))},
    references=("zhang2021how: lemma 3.1 (from memory)", "carratino2022mixup: theorem 1 (from memory)"),
    experiment="mixing_moments")


def symmetrised(a: Any, b: Any, pairs: Any) -> Any:
    """The mixup loss under Beta(a, b) from its symmetrised law, half Beta(a, b) and half Beta(b, a), nats.

    Args:
        a: first parameter, > 0, or a symbol.
        b: second parameter, > 0, or a symbol.
        pairs: anything with `mixed(lam)`, as `untied_labels`.

    Raises:
        DomainError: a or b not positive and finite.
    """
    if is_symbolic(a, b):
        return (Mean(pairs.mixed(LAM), beta(LAM, a, b)) + Mean(pairs.mixed(LAM), beta(LAM, b, a))) / 2
    return (Beta(a, b).expect(pairs.mixed) + Beta(b, a).expect(pairs.mixed)) / 2


def derive_symmetrised() -> Derivation:
    pairs, law = _Symbolic(), beta(LAM, A, B)
    chain = Derivation(r"\mathbb{E}\,\ell(f(\tilde x), \tilde y)",
                       Mean((pairs.mixed(LAM) + pairs.mixed(1 - LAM)) / 2, law),
                       {"a": A, "b": B, "pairs": pairs})
    chain = chain.equals(Mean(pairs.mixed(LAM), law) / 2 + Mean(pairs.mixed(1 - LAM), law) / 2, "linear")
    return chain.equals(symmetrised(A, B, pairs), r"$1 - \lambda \sim \mathrm{Beta}(b, a)$")


def _folded_loss(a: float, b: float, pairs: Any) -> Any:
    """Through the folded law: the first member always has the larger share, max(lambda, 1 - lambda)."""
    return Beta(a, b).expect(lambda p: pairs.mixed(np.maximum(p, 1 - p)), kinks=(0.5,))


Claim(
    id="mixing_moments.symmetrised", title="Only the symmetrised law matters; folding is free",
    statement=r"\mathbb{E}_{\mathrm{Beta}(a,b)}\,\ell(f(\tilde x),\tilde y) = "
              r"\tfrac12\left(\mathbb{E}_{\mathrm{Beta}(a,b)}"
              r" + \mathbb{E}_{\mathrm{Beta}(b,a)}\right)\ell(f(\tilde x),\tilde y)",
    assumptions=("the two members of a pair are exchangeable",),
    fails_when="pairs have an order: sorted, or labelled with unlabelled data in second place",
    predict=symmetrised, derive=derive_symmetrised, exact=_folded_loss, simulate=_draw_loss(Beta),
    cases=tuple({**c, "pairs": TOY} for c in mm.BETA_PAIRS), resolution=0.02,
    wrong={"ordered pairs": simulates(_draw_loss(Beta, ordered=True)),
           "the law at its mean parameter": predicts(lambda a, b, pairs: Mean(
               pairs.mixed(LAM), beta(LAM, (a + b) / 2)) if is_symbolic(a, b)
               else Beta((a + b) / 2, (a + b) / 2).expect(pairs.mixed))},
    references=("carratino2022mixup: theorem 1 (from memory)",), experiment="mixing_moments")


# ---- small and large alpha ----

def small_alpha(alpha: Any, h: sp.Expr) -> Any:
    """E h(lambda) up to O(alpha^2): the ends, and alpha times an integral of h less its chord; units of h.

    Args:
        alpha: >= 0 and small; a number or a symbol.
        h: expression in LAM, smooth on [0, 1].
    """
    check_alpha(alpha)
    h0, h1 = h.subs(LAM, 0), h.subs(LAM, 1)
    k = (h - (1 - LAM) * h0 - LAM * h1) / (2 * mm.U)
    if is_symbolic(alpha) or h.free_symbols - {LAM}:
        return (h0 + h1) / 2 + alpha * sp.integrate(sp.cancel(k), (LAM, 0, 1))
    return float(h0 + h1) / 2 + alpha * Beta(1.0, 1.0).expect(_numeric(k))


def derive_small_alpha() -> Derivation:
    h0, h1 = H.subs(LAM, 0), H.subs(LAM, 1)
    ends, chord = (h0 + h1) / 2, (1 - LAM) * h0 + LAM * h1
    k = sp.cancel((H - chord) / mm.U)

    def slope(expression: Any) -> Any:
        return ends + ALPHA * sp.Limit(expression, ALPHA, 0)
    chain = Derivation(r"\mathbb{E}\,h \text{ to first order}",
                       slope((Mean(H, beta(LAM, ALPHA)) - ends) / ALPHA),
                       {"alpha": ALPHA, "h": H})
    chain = chain.equals(slope(Mean(mm.U * k, beta(LAM, ALPHA)) / ALPHA),
                         r"the chord has the ends' mean; the rest is $\lambda(1-\lambda)k(\lambda)$")
    chain = chain.equals(slope(Mean(k, beta(LAM, ALPHA + 1)) / (2 * (2 * ALPHA + 1))),
                         r"$\lambda(1-\lambda)$ tilts to $\mathrm{Beta}(\alpha+1, \alpha+1)$",
                         claim=mm.MOMENTS)
    return chain.equals(small_alpha(ALPHA, H), r"$\mathrm{Beta}(1, 1)$ is uniform; " + GENERAL)


def _expansion_cases(*alphas: float) -> tuple[dict[str, Any], ...]:
    return cases(h=SHAPES, alpha=alphas)


def _expected_shape(alpha: float, h: sp.Expr) -> Any:
    return symmetric(alpha).expect(_numeric(h))


Claim(
    id="mixing_moments.small_alpha", title="Little mixing: the first order in alpha", kind="asymptotic",
    statement=r"\mathbb{E}\,h = \frac{h(0)+h(1)}2 + "
              r"\alpha\int_0^1\frac{h(\lambda)-(1-\lambda)h(0)-\lambda h(1)}"
              r"{2\lambda(1-\lambda)}\,d\lambda + O(\alpha^2)",
    assumptions=(*mm.INDEPENDENT, "$h$ is smooth at both ends"),
    fails_when=r"$h$ is not smooth at an end, as $\lambda\ln\lambda$",
    predict=small_alpha, derive=derive_small_alpha, exact=_expected_shape, along=("alpha", 2),
    scale=mm._unit(1.0),
    cases=_expansion_cases(0.02, 0.01, 0.005, 0.0025),
    wrong={"no first order": predicts(lambda alpha, h: (h.subs(LAM, 0) + h.subs(LAM, 1)) / 2),
           "u for 2u": predicts(lambda alpha,
                                h: 2 * small_alpha(alpha, h) - (h.subs(LAM, 0) + h.subs(LAM, 1)) / 2)},
    references=(mm.BETA_INTEGRAL,))


@elementary
def small_alpha_variance(alpha: Any) -> Any:
    """V_S up to O(alpha^2): alpha / 3, dimensionless. alpha >= 0 and small."""
    return alpha / 3


def derive_small_alpha_variance() -> Derivation:
    start = ALPHA * sp.Limit((Mean(mm.S**2, beta(LAM, ALPHA)) - Mean(mm.S, beta(LAM, ALPHA)) ** 2) / ALPHA,
                             ALPHA, 0)
    chain = Derivation(r"V_S \text{ to first order}", start, {"alpha": ALPHA})
    chain = chain.equals(ALPHA * sp.Limit(mm.shrinkage_variance(ALPHA) / ALPHA, ALPHA, 0),
                         "the variance of S",
                         claim="mixing_moments.shrinkage_variance")
    return chain.equals(small_alpha_variance(ALPHA), "the limit")


Claim(
    id="mixing_moments.small_alpha_variance", title="Little mixing: the variance of S", kind="asymptotic",
    statement=r"V_S = \frac{\alpha}{3} + O(\alpha^2)", assumptions=mm.INDEPENDENT,
    predict=small_alpha_variance, derive=derive_small_alpha_variance,
    exact=routes.spread(lambda p: p**2 + (1 - p) ** 2), along=("alpha", 2), scale=mm._unit(1.0),
    cases=cases(alpha=(0.004, 0.002, 0.001, 0.0005)),
    wrong={"alpha / 2": predicts(lambda alpha: alpha / 2), "alpha / 4": predicts(lambda alpha: alpha / 4)},
    references=(mm.BETA_INTEGRAL,))


def large_alpha(alpha: Any, h: sp.Expr) -> Any:
    """E h(lambda) up to O(alpha^-2): h(1/2) + h''(1/2) / (8 (2 alpha + 1)), in units of h.

    Args:
        alpha: large and finite; a number or a symbol.
        h: expression in LAM, smooth near 1/2.
    """
    check_alpha(alpha)
    value = h.subs(LAM, HALF) + h.diff(LAM, 2).subs(LAM, HALF) / (8 * (2 * alpha + 1))
    return value if value.free_symbols else float(value)


def derive_large_alpha() -> Derivation:
    centre, d = H.subs(LAM, HALF), LAM - HALF

    def slope(expression: Any) -> Any:
        return centre + sp.Limit((2 * ALPHA + 1) * expression, ALPHA, sp.oo) / (2 * ALPHA + 1)
    second, fourth = (H.diff(LAM, j).subs(LAM, HALF) for j in (2, 4))
    chain = Derivation(r"\mathbb{E}\,h \text{ to first order}", slope(Mean(H - centre, beta(LAM, ALPHA))),
                       {"alpha": ALPHA, "h": H})
    chain = chain.equals(slope(Mean(second * d**2 / 2 + fourth * d**4 / 24, beta(LAM, ALPHA))),
                         "Taylor around 1/2; odd central moments vanish")
    n = 2 * ALPHA + 1
    chain = chain.equals(slope(second / (8 * n) + fourth / (128 * n * (n + 2))),
                         "rising factorials", claim=mm.MOMENTS)
    return chain.equals(large_alpha(ALPHA, H), "the limit; " + GENERAL)


Claim(
    id="mixing_moments.large_alpha", title="Much mixing: the first order in 1/alpha", kind="asymptotic",
    statement=r"\mathbb{E}\,h = h(\tfrac12) + \frac{h''(\frac12)}{8(2\alpha+1)} + O(\alpha^{-2})",
    assumptions=(*mm.INDEPENDENT, "$h$ is smooth near 1/2 and bounded"),
    fails_when="$h$ has a kink at 1/2, as the larger share",
    predict=large_alpha, derive=derive_large_alpha, exact=_expected_shape, along=("alpha", -2),
    scale=mm._unit(1.0),
    cases=_expansion_cases(100.0, 200.0, 400.0, 800.0),
    wrong={"no correction": predicts(lambda alpha, h: h.subs(LAM, HALF)),
           "the variance, not half of it": predicts(lambda alpha,
                                                    h: 2 * large_alpha(alpha, h) - h.subs(LAM, HALF))},
    references=(mm.BETA_INTEGRAL,))
