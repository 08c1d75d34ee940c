r"""How much weight a label keeps when it is mixed: the smaller share, and the largest weight of a mixed label.

Claims of the chapter `labels`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, cases, predicts, scalar, simulates
from mixtheory.mixing import elementary
from mixtheory.theory import _labels_routes as routes
from mixtheory.theory import _mixing_moments_routes as mm_routes
from mixtheory.theory import labels
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory import mixing_moments_beta as mmb

__all__ = ["expected_top_weight", "smaller_share", "smaller_share_large", "smaller_share_small"]

ALPHA, HALF = mm.ALPHA, mm.HALF
PRIORS, THREE = labels.PRIORS, labels.THREE


@elementary
def smaller_share(alpha: Any) -> Any:
    """epsilon(alpha) = E min(lambda, 1 - lambda): the mean weight that a label loses to its partner's.

    1/2 - Gamma(alpha + 1/2) / (2 sqrt(pi) Gamma(alpha + 1)); dimensionless, in [0, 1/2].

    Args:
        alpha: in [0, inf]; number, array or symbol. 0 gives 0, 1 gives 1/4, inf gives 1/2.

    Raises:
        DomainError: alpha negative or NaN.
    """
    return 1 - mm.mean_maximum(alpha)


@elementary
def smaller_share_small(alpha: Any) -> Any:
    """`smaller_share` up to O(alpha^2): alpha ln 2. alpha >= 0 and small."""
    return alpha * (sp.log(2) if is_symbolic(alpha) else np.log(2))


@elementary
def smaller_share_large(alpha: Any) -> Any:
    """`smaller_share` up to O(alpha^(-3/2)): 1/2 - 1/(2 sqrt(pi alpha)). alpha large, or inf."""
    return HALF - 1 / (2 * sp.sqrt(sp.pi * alpha)) if is_symbolic(alpha) else 0.5 - 0.5 / np.sqrt(np.pi * alpha)


def expected_top_weight(alpha: Any, priors: Any, n: Any = None) -> Any:
    """Mean largest weight of a mixed label: 1 - (share of pairs with two classes) epsilon(alpha).

    Args:
        alpha: in [0, inf], number or array; or a pair (a, b) for Beta(a, b).
        priors: (K,) class shares, sum to one.
        n: as in `mixed_label_entropy`.

    Returns:
        A number in [1/2, 1].

    Raises:
        DomainError: as `mixed_label_entropy`.

    >>> round(expected_top_weight(1.0, [0.1] * 10), 3)
    0.775
    """
    share = 1 - mmb.asymmetric_maximum(*alpha) if isinstance(alpha, tuple) else smaller_share(alpha)
    return 1 - labels.different_share(priors, n) * share


def derive_smaller_share() -> Derivation:
    larger = sp.Symbol("theta", positive=True)
    e = Derivation(r"\mathbb{E}\min(\lambda, 1-\lambda)",
                   Mean(1 - larger, scalar(larger, mm.mean_maximum(ALPHA))), {"alpha": ALPHA})
    return e.equals(smaller_share(ALPHA), r"$\theta = \max(\lambda, 1-\lambda)$ is the larger share",
                    claim="mixing_moments.mean_maximum")


def derive_share_small() -> Derivation:
    e = Derivation(r"\epsilon \text{ to first order}", ALPHA * sp.Limit(smaller_share(ALPHA) / ALPHA, ALPHA, 0),
                   {"alpha": ALPHA})
    e = e.equals(ALPHA * sp.Subs(sp.Derivative(smaller_share(ALPHA), ALPHA), ALPHA, 0),
                 r"it is 0 at $\alpha = 0$, so the limit is a derivative", claim="labels.smaller_share")
    return e.equals(smaller_share_small(ALPHA), r"it is $\frac12(\psi(1) - \psi(\frac12))$, and "
                    r"$\psi(\frac12) = \psi(1) - 2\ln 2$")


def derive_share_large() -> Derivation:
    e = Derivation(r"\epsilon \text{ to first order}", HALF - sp.Limit(
        sp.sqrt(ALPHA) * (HALF - smaller_share(ALPHA)), ALPHA, sp.oo) / sp.sqrt(ALPHA), {"alpha": ALPHA})
    return e.equals(smaller_share_large(ALPHA), r"$\Gamma(\alpha + \frac12) / \Gamma(\alpha + 1) \sim \alpha^{-1/2}$",
                    claim="labels.smaller_share")


def derive_top_weight() -> Derivation:
    larger = sp.Symbol("theta", positive=True)
    law = scalar(larger, mm.mean_maximum(ALPHA))
    weights = sum(PRIORS[k] * PRIORS[m] * (1 if k == m else Mean(larger, law)) for k in range(3) for m in range(3))
    e = Derivation(r"\mathbb{E}\max_k \tilde y_k", weights, {"alpha": ALPHA, "priors": PRIORS})
    e = e.equals(1 - labels.DIFFERENT * Mean(1 - larger, law),
                 r"1 for a pair of one class, $\theta = \max(\lambda, 1-\lambda)$ for any other; " + THREE)
    share = routes.Named(r"\epsilon(\alpha)", smaller_share(ALPHA))
    return e.equals(1 - labels.DIFFERENT * share, r"$\epsilon = \mathbb{E}(1 - \theta)$", claim="labels.smaller_share")


def _min(p: Any) -> Any:
    return np.minimum(p, 1 - p)


def _expected_min(alpha: float) -> float:
    nodes = routes.rule(alpha)
    return float(nodes.weight @ np.minimum(nodes.lam, nodes.other))


SHARE = r"\tfrac12 - \frac{\Gamma(\alpha + \frac12)}{2\sqrt\pi\;\Gamma(\alpha+1)}"
Claim(
    id="labels.smaller_share", title="The mean weight a label loses",
    statement=r"\epsilon(\alpha) = \mathbb{E}\min(\lambda, 1-\lambda) = " + SHARE,
    assumptions=mm.INDEPENDENT,
    fails_when="the law is not symmetric: then take 1 less mixing_moments.asymmetric_maximum",
    predict=smaller_share, derive=derive_smaller_share, exact=_expected_min,
    simulate=lambda size, *, rng, alpha: _min(routes.law_of(alpha).sample(size, rng=rng)),
    cases=cases(alpha=labels.ALPHAS), resolution=0.02, scale=lambda prediction, alpha: 0.25,
    wrong={"2 E u": predicts(lambda alpha: 2 * mm.mean_product(alpha)),
           "1/2: the mean of lambda": predicts(lambda alpha: HALF + 0 * alpha if is_symbolic(alpha) else 0.5),
           "the root of a mean square gap": predicts(lambda alpha: (1 - mm.mean_square_gap(alpha) ** (
               HALF if is_symbolic(alpha) else 0.5)) / 2),
           "Beta(alpha, 1)": simulates(lambda size, *, rng, alpha: _min(
               mm_routes.one_sided(alpha).sample(size, rng=rng)))},
    references=(mm.BETA_INTEGRAL,))

Claim(
    id="labels.smaller_share_small", title="Little mixing takes alpha ln 2 from a label", kind="asymptotic",
    statement=r"\epsilon(\alpha) = \alpha\ln 2 + O(\alpha^2)", assumptions=mm.INDEPENDENT,
    predict=smaller_share_small, derive=derive_share_small, exact=_expected_min, along=("alpha", 2),
    scale=lambda prediction, alpha: 1.0, cases=cases(alpha=(0.008, 0.004, 0.002, 0.001)),
    wrong={"alpha / 2": predicts(lambda alpha: alpha / 2), "2 E u = alpha": predicts(lambda alpha: alpha)},
    references=(mm.BETA_INTEGRAL,))

Claim(
    id="labels.smaller_share_large", title="Much mixing approaches one half slowly", kind="asymptotic",
    statement=r"\epsilon(\alpha) = \tfrac12 - \frac{1}{2\sqrt{\pi\alpha}} + O(\alpha^{-3/2})",
    assumptions=mm.INDEPENDENT, predict=smaller_share_large, derive=derive_share_large, exact=_expected_min,
    along=("alpha", -1.5), scale=lambda prediction, alpha: 1.0, cases=cases(alpha=(50.0, 100.0, 200.0, 400.0)),
    wrong={"no correction": predicts(lambda alpha: HALF + 0 * alpha if is_symbolic(alpha) else 0.5),
           "without pi": predicts(lambda alpha: HALF - 1 / (2 * sp.sqrt(alpha)) if is_symbolic(alpha)
                                  else 0.5 - 0.5 / np.sqrt(alpha))},
    references=("dlmf: 5.11.12 (from memory)",))

Claim(
    id="labels.top_weight", title="Mean largest weight of a mixed label",
    statement=r"\mathbb{E}\max_k\tilde y_k = 1 - \Bigl(1 - \sum_k\pi_k^2\Bigr)\,\epsilon(\alpha)",
    assumptions=(r"partners are independent, self-pairs included", r"classes with shares $\pi_k$, one-hot labels"),
    fails_when="self-pairs are left out: then $n/(n-1)$ times as much is lost",
    predict=expected_top_weight, derive=derive_top_weight, exact=routes.over_pairs(routes.top),
    simulate=routes.drawn(routes.top), cases=(*labels.TOOLS[:-1], {"alpha": 1.0, "priors": np.full(5, 0.2), "n": 10}),
    resolution=0.02,
    wrong={"every pair has two classes": predicts(lambda alpha, priors, n=None: 1 - _share(alpha)),
           "2 E u for the smaller share": predicts(lambda alpha, priors, n=None: 1 - labels.different_share(
               priors, n) * (1 - (mmb.asymmetric_shrinkage(*alpha) if isinstance(alpha, tuple)
                                  else mm.shrinkage(alpha)))),
           "self-pairs drawn": simulates(routes.drawn(routes.top, n=None)),
           "weight of the first class": simulates(routes.drawn(lambda y: y[:, 0]))},
    references=("carratino2022mixup: section 3 (from memory)",), experiment="labels")


def _share(alpha: Any) -> Any:
    return 1 - mmb.asymmetric_maximum(*alpha) if isinstance(alpha, tuple) else smaller_share(alpha)
