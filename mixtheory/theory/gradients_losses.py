r"""Which losses do not care whether targets are mixed or averaged: those whose gradient is affine in the target.

Losses of one output z and a target y: y in [0, 1] is a label (for hinges the side 2 y - 1), or a number for
regression. Claims of the chapter `gradients`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp
from scipy.special import expit, log_softmax

from mixtheory.domain import check_finite, check_lambda, check_member, check_probabilities, check_simplex, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, centred, predicts, scalar, simulates
from mixtheory.mixup import blend
from mixtheory.theory import _gradients_losses_routes as routes
from mixtheory.theory import mixing_moments as mm

__all__ = ["AFFINE", "BENT", "bend_gap", "gradient_at_mean_label", "label_gap", "mixed_cross_entropy",
           "squared_constant", "squared_two_losses", "target_gap"]

ALPHA, LAM = mm.ALPHA, mm.LAM
SHRINK = "mixing_moments.shrinkage"


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + sp.exp(-z)) if is_symbolic(z) else expit(z)


def _log_sigmoid(z: Any) -> Any:
    return -np.logaddexp(0.0, -z)


def _focal(z: Any, y: Any) -> Any:
    """d/dz of (1 - p_t)^2 CE with p_t = p y + (1 - p)(1 - y), as in torchvision."""
    p = expit(z)
    miss, loss = 1 - p * y - (1 - p) * (1 - y), -y * _log_sigmoid(z) - (1 - y) * _log_sigmoid(-z)
    return 2 * miss * (1 - 2 * y) * p * (1 - p) * loss + miss**2 * (p - y)


def _quality_focal(z: Any, y: Any) -> Any:
    """d/dz of (y - p)^2 CE."""
    p = expit(z)
    loss = -y * _log_sigmoid(z) - (1 - y) * _log_sigmoid(-z)
    return 2 * (p - y) * p * (1 - p) * loss + (p - y) ** 3


def _linear_focal(z: Any, y: Any) -> Any:
    """d/dz of -y (1 - p)^2 log p - (1 - y) p^2 log(1 - p)."""
    p = expit(z)
    one = (1 - p) ** 2 * (2 * p * _log_sigmoid(z) - (1 - p))
    return y * one + (1 - y) * p**2 * (p - 2 * (1 - p) * _log_sigmoid(-z))


AFFINE: dict[str, Callable[[Any, Any], Any]] = {
    "cross_entropy": lambda z, y: _sigmoid(z) - y,
    "squared": lambda z, y: 2 * (z - y),
    "brier": lambda z, y: 2 * (_sigmoid(z) - y) * _sigmoid(z) * (1 - _sigmoid(z)),
    "linear_focal": _linear_focal}
"""Gradients (z, y) -> d loss/dz that are affine in the target."""
BENT: dict[str, Callable[[Any, Any], Any]] = {
    "focal": _focal, "quality_focal": _quality_focal,
    "hinge": lambda z, y: -(2 * y - 1) * ((2 * y - 1) * z < 1),
    "squared_hinge": lambda z, y: -2 * (2 * y - 1) * np.maximum(0, 1 - (2 * y - 1) * z),
    "absolute": lambda z, y: np.sign(z - y), "huber": lambda z, y: np.clip(z - y, -0.5, 0.5)}
"""Gradients that are not; `focal` and `quality_focal` with exponent 2, `huber` with threshold 1/2."""


def target_gap(gradient: Callable[[Any, Any], Any], z: Any, labels: Any, weights: Any) -> Any:
    """E_y gradient(z, y) - gradient(z, E y): what a loss makes of averaging its target. Zero for affine gradients.

    Args:
        gradient: d loss/dz as a function of outputs z and a target y; autograd in a lambda will do.
        z: outputs, as `gradient` wants them.
        labels: (K, ...) targets, each as `gradient` wants it.
        weights: (K,) their probabilities.

    Returns:
        The shape of the gradient.

    Raises:
        DomainError: weights that are not probabilities or not one a label.

    Example: is your loss safe to use with soft targets? A hinge is not, and it can hide.

        >>> hinge = lambda z, y: -(2 * y - 1) * ((2 * y - 1) * z < 1)
        >>> [round(float(target_gap(hinge, z, np.array([1.0, 0.0]), [0.35, 0.65])), 6) for z in (0.3, 1.4)]
        [0.0, 0.35]
    """
    labels, weights = np.asarray(labels), np.asarray(check_probabilities(weights, "weights"), dtype=float)
    check_finite(labels, "labels", shape=(len(weights), *labels.shape[1:]))
    each = sum(w * np.asarray(gradient(z, y)) for w, y in zip(weights, labels, strict=True))
    return each - np.asarray(gradient(z, np.tensordot(weights, labels, axes=1)))


def gradient_at_mean_label(loss: str, z: Any, labels: Sequence[Any], weights: Sequence[Any]) -> Any:
    """d loss/dz at the mean target: for the losses of `AFFINE` also the mean gradient.

    Args:
        loss: cross_entropy (with a sigmoid), squared, brier or linear_focal.
        z: output, a number or a symbol.
        labels: targets.
        weights: their probabilities, which sum to one.

    Raises:
        DomainError: an unknown loss, weights that are not probabilities.
    """
    check_member(loss, tuple(AFFINE), "loss")
    if not is_symbolic(*weights):
        check_probabilities(weights, "weights")
    return AFFINE[loss](z, sum(w * y for w, y in zip(weights, labels, strict=True)))


def label_gap(loss: str, z: float, q: float) -> float:
    """`target_gap` of a loss of `BENT` for a label that is 1 with probability q, else 0.

    Raises:
        DomainError: an unknown loss, q outside [0, 1].
    """
    check_lambda(q, "q")
    return float(target_gap(BENT[check_member(loss, tuple(BENT), "loss")], z, np.array([1.0, 0.0]), [q, 1 - q]))


def bend_gap(q: Any, c: Any, d: Any) -> Any:
    """The gap of a gradient a + b y + c y^2 + d y^3 for a label that is 1 with probability q, else 0.

    q (1 - q) (c + d (1 + q)): zero for every q only if c = d = 0. Focal and quality focal loss with exponent 2 have
    such cubic gradients.

    Args:
        q: in [0, 1].
        c: coefficient of the square.
        d: coefficient of the cube.

    Returns:
        The unit of the gradient.

    Raises:
        DomainError: q outside [0, 1].
    """
    return check_lambda(q, "q") * (1 - q) * (c + d * (1 + q))


def mixed_cross_entropy(lam: Any, z: Any, y1: Any, y2: Any) -> Any:
    """Cross-entropy of the mixed label, in nats: equal to lam CE(z, y1) + (1 - lam) CE(z, y2).

    Args:
        lam: weight of the first label, in [0, 1].
        z: (K,) logits.
        y1: (K,) first label, on the simplex.
        y2: (K,) second label.

    Raises:
        DomainError: a weight outside [0, 1], labels off the simplex.
    """
    if is_symbolic(lam):
        return -sum(blend(lam, a, b) * (c - sp.log(sum(map(sp.exp, z)))) for a, b, c in zip(y1, y2, z, strict=True))
    check_simplex(np.array([y1, y2], dtype=float))
    return -blend(check_lambda(lam), np.asarray(y1), np.asarray(y2)) @ log_softmax(check_finite(z, "z"))


def squared_two_losses(lam: Any, z: Any, y1: Any, y2: Any) -> Any:
    """|z - y~|^2 + u |y1 - y2|^2, which is lam |z - y1|^2 + (1 - lam) |z - y2|^2.

    Args:
        lam: weight of the first target, in [0, 1].
        z: (k,) output.
        y1: (k,) first target.
        y2: (k,) second target.

    Returns:
        Squared target units; with losses of 1/2 |.|^2 halve it.
    """
    lam = lam if is_symbolic(lam) else check_lambda(lam)
    z, y1, y2 = np.asarray(z), np.asarray(y1), np.asarray(y2)
    miss, gap = z - blend(lam, y1, y2), y1 - y2
    return miss @ miss + lam * (1 - lam) * (gap @ gap)


def squared_constant(alpha: Any, trace: Any) -> Any:
    """What the two losses exceed the soft-target loss by, on average: (1 - s) tr Cov(y).

    Args:
        alpha: in [0, inf].
        trace: tr Cov(y), squared target units, >= 0.

    Returns:
        Squared target units; no parameter enters. With losses of 1/2 |.|^2 halve it.
    """
    return (1 - mm.shrinkage(alpha)) * trace


# ---- derivations -------------------------------------------------------------------------------------------------

def derive_affine() -> Derivation:
    z, y1, y2 = sp.symbols("z y_1 y_2", real=True)
    q = sp.Symbol("q", positive=True)

    def slope(y: Any) -> sp.Derivative:
        return sp.Derivative(sp.log(1 + sp.exp(z)) - y * z, z)

    d = Derivation(r"\mathbb{E}\,\ell_z", q * slope(y1) + (1 - q) * slope(y2),
                   {"loss": "cross_entropy", "z": z, "labels": (y1, y2), "weights": (q, 1 - q)})
    p = 1 / (1 + sp.exp(-z))
    d = d.equals(q * (p - y1) + (1 - q) * (p - y2), "the gradient of cross-entropy is $p - y$, affine in $y$")
    return d.equals(gradient_at_mean_label(**d.parameters), "the weights sum to 1")


def derive_bend() -> Derivation:
    q = sp.Symbol("q", positive=True)
    a, b, c, d, y = sp.symbols("a b c d y", real=True)
    coin = scalar(y, q, q, q)
    psi = a + b * y + c * y**2 + d * y**3
    start = Mean(psi, coin) - psi.subs(y, Mean(y, coin))
    chain = Derivation(r"\mathbb{E}\,\psi(y) - \psi(\mathbb{E}y)", start, {"q": q, "c": c, "d": d})
    chain = chain.equals(c * (q - q**2) + d * (q - q**3), "every power of $y$ has mean $q$; $a + by$ drops out")
    return chain.equals(bend_gap(q, c, d), "factor")


def derive_cross_entropy() -> Derivation:
    z, y1, y2 = (sp.symbols(f"{name}_1:4", real=True) for name in ("z", "y", "h"))
    total = sp.log(sum(map(sp.exp, z)))

    def loss(y: Any) -> Any:
        return -sum(a * (c - total) for a, c in zip(y, z, strict=True))

    d = Derivation(r"\lambda\,\mathrm{CE}(p, y_1) + (1-\lambda)\,\mathrm{CE}(p, y_2)", blend(LAM, loss(y1), loss(y2)),
                   {"lam": LAM, "z": z, "y1": y1, "y2": y2})
    return d.equals(mixed_cross_entropy(LAM, z, y1, y2), "cross-entropy is linear in the label")


def derive_squared() -> Derivation:
    z, y1, y2 = sp.symbols("z y_1 y_2", real=True)
    d = Derivation(r"\lambda(z - y_1)^2 + (1-\lambda)(z - y_2)^2", blend(LAM, (z - y1) ** 2, (z - y2) ** 2),
                   {"lam": LAM, "z": [z], "y1": [y1], "y2": [y2]})
    mean = blend(LAM, y1, y2)
    d = d.equals((z - mean) ** 2 + blend(LAM, (y1 - mean) ** 2, (y2 - mean) ** 2),
                 "variance about the mean $\\tilde y$ of the two targets; with more coordinates, add them up")
    return d.equals(squared_two_losses(**d.parameters), "two points $y_1$, $y_2$ have variance $u(y_1 - y_2)^2$")


def derive_constant() -> Derivation:
    y1, y2 = sp.symbols("y_1 y_2", real=True)
    trace = sp.Symbol("V", positive=True)
    laws = centred((y1,), [[trace]]), centred((y2,), [[trace]]), beta(LAM, ALPHA)
    d = Derivation(r"\mathbb{E}\,u\,(y_1 - y_2)^2", Mean(LAM * (1 - LAM) * (y1 - y2) ** 2, *laws),
                   {"alpha": ALPHA, "trace": trace})
    d = d.equals(2 * trace * Mean(LAM * (1 - LAM), laws[2]), "independent targets; with more coordinates, add them up")
    return d.equals(squared_constant(ALPHA, trace), r"$2\,\mathbb{E}u = 1 - s$", claim=SHRINK)


# ---- claims ------------------------------------------------------------------------------------------------------

LABELS, WEIGHTS = np.array([1.0, 0.0, 0.3]), np.array([0.35, 0.45, 0.2])
ZHANG = "zhang2018mixup: section 2 (from memory)"

AFFINE_TARGET = Claim(
    id="gradients.affine_target", title="When mixed labels act like their mean",
    statement=r"\mathbb{E}\bigl[\nabla\ell(f(\tilde x), \tilde y) \mid \tilde x\bigr] = "
              r"\nabla\ell\bigl(f(\tilde x), \mathbb{E}[\tilde y \mid \tilde x]\bigr)",
    assumptions=("$y \\mapsto \\nabla_z\\ell(z, y)$ is affine on the convex hull of the labels",
                 "fixed parameters, given $\\tilde x$; any law of $\\tilde y$"),
    fails_when="the gradient bends in the target: a focal loss of soft targets, hinges, absolute and Huber loss "
               "(gradients.counterexamples); gradients.only_affine is the converse for cubics",
    predict=gradient_at_mean_label, derive=derive_affine, exact=routes.exact_mean_gradient,
    cases=cases(loss=tuple(AFFINE), z=(0.3, 1.4), labels=LABELS, weights=WEIGHTS),
    wrong={"the likeliest label": predicts(lambda loss, z, labels, weights: AFFINE[loss](z, labels[1])),
           "labels with equal weights": predicts(lambda loss, z, labels, weights: AFFINE[loss](z, sum(labels) / 3))},
    references=(ZHANG,))

ONLY_AFFINE = Claim(
    id="gradients.only_affine", title="A gradient that bends in the target leaves a gap",
    statement=r"\psi(y) = a + by + cy^2 + dy^3:\quad \mathbb{E}\,\psi(y) - \psi(\mathbb{E}y) = "
              r"q(1-q)\bigl(c + d(1+q)\bigr)",
    assumptions=("$\\psi = \\partial_z\\ell(z, \\cdot)$ is a cubic, as for focal losses with exponent 2",
                 "$y$ is 1 with probability $q$, else 0"),
    fails_when="the Jacobian of $f$ maps the gap to 0: only where its rows are independent must it reach the weights",
    predict=bend_gap, derive=derive_bend, exact=routes.exact_bend,
    cases=cases(q=(0.2, 0.7), c=(0.0, 1.3), d=-0.4),
    wrong={"no gap": predicts(lambda q, c, d: 0 * q), "the square only": predicts(lambda q, c, d: q * (1 - q) * c)})

COUNTEREXAMPLES = Claim(
    id="gradients.counterexamples", title="Losses that do tell mixed labels from averaged ones", kind="numerical",
    statement=r"\mathbb{E}\,\partial_z\ell(z, y) - \partial_z\ell(z, \mathbb{E}y) \ne 0\ \text{for some } z"
              r"\text{ and } q",
    assumptions=("focal, quality focal, hinge, squared hinge, absolute and Huber losses",
                 "$y$ is 1 with probability $q$, else 0", "the loss is given the soft target itself"),
    fails_when="the loss is written as $\\lambda\\,\\ell(y_1) + (1-\\lambda)\\,\\ell(y_2)$, linear for every loss",
    predict=label_gap, exact=routes.exact_gap, scale=lambda value, loss, z, q: 1.0,
    cases=cases(loss=tuple(BENT), z=(0.3, 1.4), q=0.35),
    wrong={"no gap": predicts(lambda loss, z, q: 0.0),
           "the sign of the gap": predicts(lambda loss, z, q: -label_gap(loss, z, q))},
    references=("lin2017focal: the focal loss (from memory)", "li2020gfl: quality focal loss (from memory)"))

CROSS_ENTROPY = Claim(
    id="gradients.cross_entropy", title="Two cross-entropies or one soft label: the same",
    statement=r"\mathrm{CE}(p, \lambda y_1 + (1-\lambda)y_2) = "
              r"\lambda\,\mathrm{CE}(p, y_1) + (1-\lambda)\,\mathrm{CE}(p, y_2)",
    fails_when="labels are sharpened after mixing in one of the two, or the loss is not linear in the label",
    predict=mixed_cross_entropy, derive=derive_cross_entropy, exact=routes.exact_two_cross_entropies, tolerance=1e-14,
    cases=cases(lam=(0.0, 0.3, 1.0), z=np.array([1.2, -0.7, 0.4]), y1=np.array([1.0, 0.0, 0.0]),
                y2=np.array([0.0, 0.2, 0.8])),
    wrong={"weights swapped": predicts(lambda lam, z, y1, y2: mixed_cross_entropy(1 - lam, z, y1, y2)),
           "labels mixed half and half": predicts(lambda lam, z, y1, y2: mixed_cross_entropy(
               sp.Rational(1, 2) + 0 * lam if is_symbolic(lam) else 0.5, z, y1, y2), symbolic=False)},
    references=(ZHANG,), experiment="gradients")

SQUARED = Claim(
    id="gradients.squared_two_losses", title="Two squared errors exceed one by a constant",
    statement=r"\lambda|z-y_1|^2 + (1-\lambda)|z-y_2|^2 = |z-\tilde y|^2 + u\,|y_1-y_2|^2",
    fails_when="the error is not squared",
    predict=squared_two_losses, derive=derive_squared, exact=routes.exact_two_squares, tolerance=1e-14,
    cases=cases(lam=(0.0, 0.3, 0.5), z=np.array([1.2, -0.7]), y1=np.array([0.4, 1.0]), y2=np.array([-0.2, 3.0])),
    wrong={"no constant": predicts(lambda lam, z, y1, y2: squared_two_losses(lam, z, y1, y2) - lam * (1 - lam) * sum(
               (a - b) ** 2 for a, b in zip(y1, y2, strict=True))),
           "twice the constant": predicts(lambda lam, z, y1, y2: squared_two_losses(lam, z, y1, y2) + lam * (1 - lam)
                                          * sum((a - b) ** 2 for a, b in zip(y1, y2, strict=True)))},
    experiment="gradients")

CONSTANT = Claim(
    id="gradients.squared_constant", title="The constant between two squared errors and one",
    statement=r"\mathbb{E}\,u\,|y_1-y_2|^2 = (1-s)\operatorname{tr}\operatorname{Cov}(y)",
    assumptions=("independent pairs, or all ordered pairs of a data set with self-pairs",),
    fails_when="self-pairs are left out: then it grows by $n/(n-1)$",
    predict=squared_constant, derive=derive_constant, exact=routes.exact_constant, simulate=routes.simulate_constant,
    cases=cases(alpha=(0.2, 1.0, np.inf), trace=2.3),
    wrong={"E u without the 2": predicts(lambda alpha, trace: mm.mean_product(alpha) * trace),
           "self-pairs left out": simulates(routes.simulate_constant_distinct)})
