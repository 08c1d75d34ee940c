"""Second routes for label smoothing: fitted logits, divergences, sums over classes, bisection."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from scipy import special, stats
from scipy.optimize import bisect

from mixtheory.theory import _labels_routes as routes


def smoothed(epsilon: float, K: int) -> np.ndarray:
    """(K,): the smoothed label of class 0."""
    return (1 - epsilon) * np.eye(K)[0] + epsilon * np.full(K, 1 / K)


def fitted_confidence(epsilon: float, K: int) -> float:
    """Own weight of the softmax that minimises the cross-entropy with the smoothed label, by Newton on the logits."""
    target, z = smoothed(epsilon, K), np.zeros(K)
    for _ in range(100):
        p = special.softmax(z)
        step = np.linalg.lstsq(np.diag(p) - np.outer(p, p), target - p, rcond=None)[0]
        z = z + step * min(1.0, 1 / np.abs(step).max(initial=1e-300))
        if np.abs(target - p).max() < 1e-15:
            break
    return float(special.softmax(z)[0])


def draw_own_class(size: int, *, rng: np.random.Generator, epsilon: float, K: int, others: bool = False) -> np.ndarray:
    """1 where a class drawn from the smoothed label is the example's own; `others` spreads the mass over the rest."""
    flipped = rng.random(size) < epsilon
    return np.where(flipped, 0.0 if others else rng.integers(K, size=size) == 0, 1.0)


def entropy_by_divergence(epsilon: float, K: int) -> float:
    """ln K less the divergence from the uniform law."""
    return float(np.log(K) - stats.entropy(smoothed(epsilon, K), np.full(K, 1 / K)))


def draw_surprise(size: int, *, rng: np.random.Generator, epsilon: float, K: int) -> np.ndarray:
    """-ln p(c) of a class drawn from the smoothed label."""
    p = smoothed(epsilon, K)
    return -np.log(p)[rng.choice(K, size=size, p=p)]


def _conditional(alpha: Any, K: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (K, q, K) of an example of class 0 by class of the partner and weight, q weights, the mean label (K,)."""
    nodes, eye = routes.rule(alpha), np.eye(K)
    theta, rest = np.maximum(nodes.lam, nodes.other), np.minimum(nodes.lam, nodes.other)
    found = theta[:, None] * eye[0] + rest[:, None] * eye[:, None]
    return found, nodes.weight, np.einsum("kqc,q->c", found, nodes.weight) / K


def matched_mean(alpha: Any, K: int = 4) -> float:
    """The smoothing whose own weight is that of the mean label, by bisection."""
    own = _conditional(alpha, K)[2][0]
    return float(bisect(lambda e: smoothed(e, K)[0] - own, 0, 1, xtol=1e-15))


def draw_matched_mean(size: int, *, rng: np.random.Generator, alpha: Any, K: int = 4,
                      folded: bool = True) -> np.ndarray:
    """K/(K - 1) times the weight that one label loses: unbiased for the smoothing."""
    lam = routes.law_of(alpha).sample(size, rng=rng)
    lost = np.where(rng.integers(K, size=size) == 0, 0.0, np.minimum(lam, 1 - lam) if folded else 1 - lam)
    return lost * K / (K - 1)


def root(entropy: float, K: int) -> float:
    """The smoothing with so much entropy, by bisection on the vector."""
    return float(bisect(lambda e: stats.entropy(smoothed(e, K)) - entropy, 0, 1, xtol=1e-15))


def matched_entropy(alpha: Any, K: int) -> float:
    """The smoothing with the mean entropy of mixed labels; all partners of another class are alike."""
    found, weight, _ = _conditional(alpha, 2)
    return root(float((K - 1) * (weight @ special.entr(found[1]).sum(-1)) / K), K)


def mean_divergence(alpha: Any, K: int) -> float:
    """E KL(label || mean label) over partner's class and weight; all other classes are alike."""
    small, weight, _ = _conditional(alpha, 2)
    theta, rest = small[1, :, 0], small[1, :, 1]
    own = weight @ theta + weight @ rest / K
    other = weight @ rest / K
    same = -np.log(own)
    different = weight @ (special.rel_entr(theta, own) + special.rel_entr(rest, other))
    return float((same + (K - 1) * different) / K)


def draw_divergence(size: int, *, rng: np.random.Generator, alpha: Any, K: int, reverse: bool = False) -> np.ndarray:
    """KL(label || mean label) of one label; `reverse`: of the mean label from a softened one."""
    mean = _conditional(alpha, K)[2]
    lam = routes.law_of(alpha).sample(size, rng=rng)
    theta = np.maximum(lam, 1 - lam)[:, None]
    label = theta * np.eye(K)[0] + (1 - theta) * np.eye(K)[rng.integers(K, size=size)]
    if reverse:
        return special.rel_entr(mean, 0.9 * label + 0.1 / K).sum(-1)
    return special.rel_entr(label, mean).sum(-1)


class EntropyRoot(sp.Expr):
    """The smoothing of K classes whose label has a given entropy: the inverse of the entropy, which rises."""

    def __new__(cls, entropy: Any, K: Any) -> EntropyRoot:
        return super().__new__(cls, sp.sympify(entropy), sp.sympify(K))

    def doit(self, **hints: Any) -> EntropyRoot:
        return EntropyRoot(sp.expand(self.args[0].doit(**hints)), self.args[1])

    def _latex(self, printer: Any) -> str:
        entropy, K = map(printer._print, self.args)
        return rf"H_{{\mathrm{{LS}},{K}}}^{{-1}}\left({entropy}\right)"

    def _eval_is_commutative(self) -> bool:
        return True
