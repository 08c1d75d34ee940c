r"""Label smoothing beside mixup: which smoothing has the same mean label, which the same entropy, and how far apart.

Smoothing with strength epsilon replaces a one-hot label y by (1 - epsilon) y + epsilon / K. For balanced classes the
mean mixup label of an example, counting lambda as max(lambda, 1 - lambda), is exactly such a label. Its entropy is not
the mean entropy of mixup's labels. Claims of the chapter `labels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from scipy import special
from scipy.optimize import brentq

from mixtheory.domain import DomainError, check_alpha, check_count, check_lambda, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, cases, predicts, scalar, simulates
from mixtheory.mixup import blend
from mixtheory.theory import _labels_routes as routes
from mixtheory.theory import _labels_smoothing_routes as own
from mixtheory.theory import labels, labels_weight
from mixtheory.theory import mixing_moments as mm

__all__ = ["entropy_gap", "entropy_gap_large", "interpolating_confidence", "smoothing_by_entropy", "smoothing_by_mean",
           "smoothing_confidence", "smoothing_entropy"]

ALPHA, LAM = mm.ALPHA, mm.LAM
EPSILON, K = sp.Symbol("epsilon", positive=True), sp.Symbol("K", integer=True, positive=True)
SOURCE = "szegedy2016rethinking: section 7 (from memory)"
BALANCED = "balanced classes, independent partners (self-pairs included)"
FOLDED = r"the example whose label is followed has the larger weight, $\max(\lambda, 1-\lambda)$"


def smoothing_confidence(epsilon: Any, K: Any) -> Any:
    """Weight of its own class in a smoothed label, 1 - epsilon (K - 1)/K: what the smoothed loss asks for.

    Args:
        epsilon: share of the uniform law in the label, in [0, 1]; number, array or symbol.
        K: number of classes, at least 2.

    Returns:
        A probability in [1/K, 1].

    Raises:
        DomainError: epsilon outside [0, 1], K < 2.

    Source: Szegedy et al. (2016).
    """
    check_lambda(epsilon, "epsilon")
    return 1 - epsilon * (1 - 1 / check_count(K, "K"))


def smoothing_entropy(epsilon: Any, K: Any) -> Any:
    """Entropy of a smoothed label, nats, in [0, ln K]; arguments and errors as `smoothing_confidence`."""
    p = smoothing_confidence(epsilon, K)
    if is_symbolic(epsilon, K):
        return -p * sp.log(p) - (K - 1) * (epsilon / K) * sp.log(epsilon / K)
    return special.entr(p) + (K - 1) * special.entr(np.asarray(epsilon) / K)


def smoothing_by_mean(alpha: Any) -> Any:
    """The smoothing with mixup's mean label: epsilon(alpha) = E min(lambda, 1 - lambda), for any number of classes.

    Args:
        alpha: in [0, inf]; number, array or symbol.

    Returns:
        A share in [0, 1/2].

    Raises:
        DomainError: alpha negative or NaN.

    >>> round(smoothing_by_mean(1.0), 4)
    0.25
    """
    return labels_weight.smaller_share(alpha)


def smoothing_by_entropy(alpha: Any, K: Any) -> Any:
    """The smoothing whose labels have the mean entropy of mixup's, for K balanced classes.

    Args:
        alpha: in [0, inf]; number, array or symbol.
        K: number of classes, at least 2.

    Returns:
        A share in [0, 1], found to 1e-14; for a symbol an `EntropyRoot`.

    Raises:
        DomainError: alpha negative or NaN, K < 2.

    >>> round(float(smoothing_by_entropy(1.0, 10)), 4)
    0.0878
    """
    check_count(K, "K")
    if is_symbolic(alpha, K):
        return own.EntropyRoot((1 - 1 / K) * labels.pair_entropy(alpha), K)
    target = (1 - 1 / K) * np.asarray(labels.pair_entropy(check_alpha(alpha)))

    def solve(entropy: float) -> float:
        return float(brentq(lambda e: float(smoothing_entropy(e, K)) - entropy, 0.0, 1.0, xtol=1e-15, rtol=1e-14))
    return np.vectorize(solve, otypes=[float])(target)[()]


def entropy_gap(alpha: Any, K: Any) -> Any:
    """By how much smoothing with mixup's mean label has more entropy than mixup's labels; nats, at least 0.

    It is what a mixed label tells beyond its mean: E KL(label || mean label).

    Args:
        alpha: in [0, inf]; number or symbol.
        K: number of balanced classes, at least 2.

    Raises:
        DomainError: alpha negative or NaN, K < 2.

    >>> round(float(entropy_gap(1.0, 10)), 3)                   # 1.027 against 0.45 nats
    0.578
    """
    return smoothing_entropy(smoothing_by_mean(alpha), K) - (1 - 1 / K) * labels.pair_entropy(alpha)


def entropy_gap_large(alpha: Any, K: Any) -> Any:
    """`entropy_gap` up to O(1/K): epsilon ((1 - 1/K) ln K - ln epsilon) - (1 - epsilon) ln(1 - epsilon) - pair entropy.

    Arguments and errors as `entropy_gap`, but 0 < alpha. It grows like epsilon ln K: mixup spreads its weight over two
    classes, smoothing over all.
    """
    check_count(K, "K")
    if not is_symbolic(check_alpha(alpha)) and np.any(np.asarray(alpha) == 0):
        raise DomainError(f"alpha = {alpha!r}: without mixing there is no gap to expand")
    e, log = smoothing_by_mean(alpha), sp.log if is_symbolic(alpha, K) else np.log
    return e * (1 - 1 / K) * log(K) - e * log(e) - (1 - e) * log(1 - e) - labels.pair_entropy(alpha)


def interpolating_confidence(alpha: Any) -> Any:
    """Confidence at a clean training point of a continuous predictor that attains the mixup floor: 1.

    Args:
        alpha: in (0, inf): weights near 1 must occur.

    Raises:
        DomainError: alpha negative, NaN, 0 or inf.
    """
    if is_symbolic(alpha):
        return sp.S.One
    value = np.asarray(check_alpha(alpha), dtype=float)
    if ((value == 0) | np.isinf(value)).any():
        raise DomainError(f"alpha = {alpha!r}: must lie in (0, inf), so that every mixing weight occurs")
    return np.ones_like(value)[()]


# ---- derivations -------------------------------------------------------------------------------------------

def derive_smoothing_confidence() -> Derivation:
    p, h = sp.symbols("p h", positive=True)
    t = blend(1 - EPSILON, 1, 1 / K)
    loss = -t * sp.log(p) - (1 - t) * sp.log((1 - p) / (K - 1))
    e = Derivation(r"p^*", t - h * sp.Subs(sp.Derivative(loss, p), p, t), {"epsilon": EPSILON, "K": K})
    e = e.equals(t, "one Newton step on the loss from the weight of the target does not move: the loss is convex, so "
                 "it is least there")
    return e.equals(smoothing_confidence(EPSILON, K), "collect")


def derive_smoothing_entropy() -> Derivation:
    k, p = sp.Symbol("k", integer=True), blend(1 - EPSILON, 1, 1 / K)
    q = blend(1 - EPSILON, 0, 1 / K)
    e = Derivation(r"H", -p * sp.log(p) - sp.Sum(q * sp.log(q), (k, 2, K)), {"epsilon": EPSILON, "K": K})
    e = e.equals(-p * sp.log(p) - (K - 1) * q * sp.log(q), "the other classes share alike")
    return e.equals(smoothing_entropy(EPSILON, K), "weights of a smoothed label",
                    claim="labels.smoothing_confidence")


def _mean_label() -> tuple[Any, Any, Any]:
    """theta's law; the mean label's weight of the own class and of any other, K balanced classes."""
    theta = sp.Symbol("theta", positive=True)
    law = scalar(theta, mm.mean_maximum(ALPHA))
    return law, Mean(blend(theta, 1, 1 / K), law), Mean(blend(theta, 0, 1 / K), law)


def derive_smoothing_by_mean() -> Derivation:
    law, mine, _ = _mean_label()
    share = K * (1 - mine) / (K - 1)
    e = Derivation(r"\epsilon", share, {"alpha": ALPHA})
    e = e.equals(Mean(1 - law.symbols[0], law), r"solve $1 - \epsilon (K-1)/K$ = mean weight of the own class; the "
                 "partner is of that class with probability $1/K$")
    return e.equals(smoothing_by_mean(ALPHA), r"$\epsilon = \mathbb{E}(1 - \theta)$", claim="labels.smaller_share")


def derive_smoothing_by_entropy() -> Derivation:
    mixed = (1 - 1 / K) * routes.LogMean(labels.BOTH, LAM, ALPHA)
    e = Derivation(r"\epsilon_H", own.EntropyRoot(mixed, K), {"alpha": ALPHA, "K": K})
    return e.equals(smoothing_by_entropy(ALPHA, K), "mean entropy of mixed labels, balanced classes",
                    claim="labels.entropy")


def derive_entropy_gap() -> Derivation:
    law, mine, other = _mean_label()
    theta = law.symbols[0]
    H = (1 - 1 / K) * routes.Named(r"\mathbb{E}\left[h(\lambda)\right]", routes.LogMean(labels.BOTH, LAM, ALPHA))
    p, q = routes.Named(r"\bar y_1", mine), routes.Named(r"\bar y_2", other)
    smooth = routes.Named(r"H_{\mathrm{LS}}(\epsilon)", smoothing_entropy(smoothing_by_mean(ALPHA), K))
    crossed = -sp.log(p) / K - (1 - 1 / K) * (Mean(theta, law) * sp.log(p) + Mean(1 - theta, law) * sp.log(q))
    e = Derivation(r"\mathbb{E}\,\mathrm{KL}", crossed - H, {"alpha": ALPHA, "K": K})
    e = e.equals(-p * sp.log(p) - (K - 1) * q * sp.log(q) - H,
                 r"with $h(\lambda) = -\lambda\ln\lambda - (1-\lambda)\ln(1-\lambda)$, $\bar y_1 = "
                 r"\mathbb{E}[\theta + (1-\theta)/K]$ for the own class, $\bar y_2 = "
                 r"\mathbb{E}(1-\theta)/K$ for each other: the mean of $-\tilde y\cdot\ln\bar y$ is the entropy of "
                 r"$\bar y$")
    e = e.equals(smooth - H, "the mean label is a smoothed label", claim="labels.smoothing_by_mean")
    return e.equals(smooth - (1 - 1 / K) * labels.pair_entropy(ALPHA), "mean entropy of mixed labels",
                    claim="labels.entropy")


def derive_entropy_gap_large() -> Derivation:
    share, many = EPSILON, sp.Symbol("K", positive=True)                # a real K for the limit
    named = routes.Named(r"\epsilon", smoothing_by_mean(ALPHA))
    grows = share * (1 - 1 / K) * sp.log(K)
    rest = sp.Limit((smoothing_entropy(share, K) - grows).subs(K, many), many, sp.oo)
    e = Derivation(r"\text{gap} + O(1/K)", (grows + rest).subs(share, smoothing_by_mean(ALPHA))
                   - labels.pair_entropy(ALPHA), {"alpha": ALPHA, "K": K})
    rest = -named * sp.log(named) - (1 - named) * sp.log(1 - named)
    return e.equals(grows.subs(share, named) + rest - labels.pair_entropy(ALPHA),
                    r"the part of $H_{\mathrm{LS}}$ that grows with $K$, and the limit of the rest",
                    claim="labels.entropy_gap")


def derive_interpolating_confidence() -> Derivation:
    e = Derivation(r"f_{y_i}(x_i)", sp.Limit(blend(LAM, 1, 0), LAM, 1), {"alpha": ALPHA})
    return e.equals(interpolating_confidence(ALPHA), r"$f = \tilde y$ on the segments that start at $x_i$, and $f$ is "
                    "continuous there", claim="labels.floor_attained")


# ---- claims ------------------------------------------------------------------------------------------------

EPSILONS = cases(epsilon=(0.0878, 0.25, 0.6), K=(2, 10))
Claim(
    id="labels.smoothing_confidence", title="What label smoothing asks of a network",
    statement=r"\arg\min_p \;-\bar y\cdot\ln p \;=\; \bar y,\qquad \bar y_{\mathrm{own}} = 1 - \epsilon\,\frac{K-1}{K}",
    assumptions=(r"targets $\bar y = (1-\epsilon)\,y + \epsilon/K$ with one-hot $y$", "the network can fit them"),
    fails_when="examples of different classes look alike, or the network cannot fit its training points",
    predict=smoothing_confidence, derive=derive_smoothing_confidence, exact=own.fitted_confidence,
    simulate=own.draw_own_class, cases=EPSILONS, resolution=0.01,
    wrong={"1 - epsilon": predicts(lambda epsilon, K: 1 - epsilon),
           "mass on the wrong classes only": simulates(lambda size, *, rng, epsilon, K: own.draw_own_class(
               size, rng=rng, epsilon=epsilon, K=K, others=True))},
    references=(SOURCE,), experiment="labels")

Claim(
    id="labels.smoothing_entropy", title="Entropy of a smoothed label",
    statement=r"H_{\mathrm{LS}}(\epsilon) = -p\ln p - \frac{(K-1)\,\epsilon}{K}\ln\frac{\epsilon}{K},\qquad "
              r"p = 1 - \epsilon\,\frac{K-1}{K}",
    assumptions=(r"target $(1-\epsilon)\,y + \epsilon/K$ with one-hot $y$",),
    predict=smoothing_entropy, derive=derive_smoothing_entropy, exact=own.entropy_by_divergence,
    simulate=own.draw_surprise, cases=EPSILONS, resolution=0.02,
    wrong={"entropy of 1 - epsilon against epsilon": predicts(
               lambda epsilon, K: routes.entropy_of((1 - epsilon, epsilon))),
           "logarithm to base 2": predicts(lambda epsilon, K: smoothing_entropy(epsilon, K) / (
               sp.log(2) if is_symbolic(epsilon) else np.log(2))),
           "epsilon ln K": predicts(lambda epsilon, K: epsilon * (sp.log(K) if is_symbolic(K) else np.log(K)))},
    references=(SOURCE,))

Claim(
    id="labels.smoothing_by_mean", title="The mean mixup label is a smoothed label",
    statement=r"\mathbb{E}[\tilde y_i \mid y_i] = (1-\epsilon)\,y_i + \frac{\epsilon}{K},\qquad \epsilon = "
              r"\mathbb{E}\min(\lambda, 1-\lambda)",
    assumptions=(BALANCED, FOLDED),
    fails_when="classes are unbalanced: the mean label then leans towards their shares, not towards $1/K$",
    predict=smoothing_by_mean, derive=derive_smoothing_by_mean, exact=own.matched_mean, simulate=own.draw_matched_mean,
    cases=cases(alpha=labels.ALPHAS), resolution=0.05, scale=lambda prediction, alpha: 0.25,
    wrong={"2 E u": predicts(lambda alpha: 2 * mm.mean_product(alpha)),
           "not divided by 1 - 1/K": predicts(lambda alpha: smoothing_by_mean(alpha) * (
               sp.Rational(3, 4) if is_symbolic(alpha) else 0.75)),
           "not folded": simulates(lambda size, *, rng, alpha: own.draw_matched_mean(
               size, rng=rng, alpha=alpha, folded=False))},
    references=("carratino2022mixup: section 3 (from memory)", SOURCE))

Claim(
    id="labels.smoothing_by_entropy", title="The smoothing that has mixup's entropy",
    statement=r"H_{\mathrm{LS}}(\epsilon_H) = \Bigl(1-\frac1K\Bigr)\bigl(\psi(2\alpha+1) - \psi(\alpha+1)\bigr)",
    assumptions=(BALANCED, r"$0 \le \epsilon_H \le 1$, where $H_{\mathrm{LS}}$ rises"),
    fails_when="mean label and entropy are both to be matched: no smoothing has both",
    predict=smoothing_by_entropy, derive=derive_smoothing_by_entropy, exact=own.matched_entropy,
    cases=cases(alpha=(0.1, 0.37, 1.0, 4.2, np.inf), K=(2, 10, 100)),
    wrong={"the smoothing of the same mean": predicts(lambda alpha, K: smoothing_by_mean(alpha)),
           "every pair has two classes": predicts(lambda alpha, K: own.EntropyRoot(labels.pair_entropy(alpha), K)
                                                  if is_symbolic(alpha) else own.root(labels.pair_entropy(alpha), K)),
           "entropy of the mean label": predicts(lambda alpha, K: own.EntropyRoot((1 - 1 / K) * sp.log(2), K)
                                                 if is_symbolic(alpha) else own.root((1 - 1 / K) * np.log(2), K))},
    references=(SOURCE,))

Claim(
    id="labels.entropy_gap", title="Matching the mean does not match the entropy",
    statement=r"H_{\mathrm{LS}}(\epsilon) - \mathbb{E}\,H(\tilde y) = "
              r"\mathbb{E}\,\mathrm{KL}(\tilde y\,\|\,\bar y) \ge 0,"
              r"\qquad \bar y = (1-\epsilon)\,y + \frac{\epsilon}{K},\quad \epsilon = \epsilon(\alpha)",
    assumptions=(BALANCED, FOLDED),
    fails_when=r"$\alpha = 0$: there is nothing to match",
    predict=entropy_gap, derive=derive_entropy_gap, exact=own.mean_divergence, simulate=own.draw_divergence,
    cases=cases(alpha=(0.1, 0.37, 1.0, 4.2, np.inf), K=(2, 10)), resolution=0.05,
    wrong={"one mean, one entropy": predicts(lambda alpha, K: 0.0),
           "every pair has two classes": predicts(
               lambda alpha, K: entropy_gap(alpha, K) - labels.pair_entropy(alpha) / K),
           "the divergence turned round": simulates(lambda size, *, rng, alpha, K: own.draw_divergence(
               size, rng=rng, alpha=alpha, K=K, reverse=True))},
    references=(SOURCE, "carratino2022mixup: section 3 (from memory)"))

Claim(
    id="labels.entropy_gap_large", title="The gap grows with the number of classes", kind="asymptotic",
    statement=r"H_{\mathrm{LS}}(\epsilon) - \mathbb{E}\,H(\tilde y) = \epsilon\Bigl(1-\frac1K\Bigr)\ln K + "
              r"h(\epsilon) - \mathbb{E}\,h(\lambda) + O(1/K)",
    assumptions=(BALANCED, FOLDED, r"$0 < \alpha \le \infty$ fixed", r"$h(t) = -t\ln t - (1-t)\ln(1-t)$"),
    predict=entropy_gap_large, derive=derive_entropy_gap_large, exact=own.mean_divergence, along=("K", -1),
    scale=lambda prediction, alpha, K: 1.0, cases=cases(alpha=(0.37, 1.0), K=(250, 500, 1000, 2000)),
    wrong={"bounded in K": predicts(lambda alpha, K: entropy_gap_large(alpha, 10)),
           "ln K": predicts(lambda alpha, K: sp.log(K) if is_symbolic(K) else np.log(K)),
           "without epsilon ln epsilon": predicts(lambda alpha, K: entropy_gap_large(alpha, K) + (
               lambda e: e * (sp.log(e) if is_symbolic(e) else np.log(e)))(smoothing_by_mean(alpha)))},
    references=(SOURCE,))

Claim(
    id="labels.interpolating_confidence", title="At the floor, a network is certain of clean points",
    statement=r"f \text{ continuous},\quad f(\tilde x) = \tilde y \text{ for almost all } \tilde x \quad\Longrightarrow"
              r"\quad f_{y_i}(x_i) = 1",
    assumptions=("the floor is attained (labels.floor_attained)", "$f$ is continuous at the data points",
                 r"$0 < \alpha < \infty$"),
    fails_when=r"$\alpha = \infty$, where weights near 1 never occur, or the network stays above the floor, as real "
               "ones do",
    predict=interpolating_confidence, derive=derive_interpolating_confidence,
    exact=lambda alpha: float(routes.decoded_confidence(alpha, (2, 2, 1)).min()), cases=cases(alpha=(0.2, 1.0, 4.2)),
    wrong={"as the smoothing of the same mean": predicts(lambda alpha: 1 - smoothing_by_mean(alpha)),
           "the mean share of the own class": predicts(lambda alpha: mm.shrinkage(alpha)),
           "one half": predicts(lambda alpha: 0.5)},
    references=("chidambaram2022provable: on minimisers of the mixup loss (from memory)",))
