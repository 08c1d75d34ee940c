r"""How uncertain mixed labels are: their entropy, the loss that no predictor can go below, their largest weight.

A mixed label puts lambda on one class and 1 - lambda on another, or 1 on one class if both members of a pair share
it. The weights themselves are in `labels_weight`, label smoothing next to it in `labels_smoothing`, mixup as shrinking
plus noise in `labels_decomposition`: claims of one chapter.

`alpha` is a number in [0, inf] or a pair (a, b) for Beta(a, b). `priors` (K,) are class shares that sum to one; with
`n` the pairs are two distinct members of a data set of n examples with these shares, without it they are independent
(self-pairs included).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp
from scipy import special

from mixtheory.domain import DomainError, check_alpha, check_count, check_probabilities, is_symbolic
from mixtheory.evidence import Claim, Derivation, cases, predicts, simulates
from mixtheory.mixing import Beta, elementary
from mixtheory.mixup import blend
from mixtheory.theory import _labels_routes as routes
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory import mixing_moments_beta as mmb
from mixtheory.theory import mixing_moments_laws as mml

__all__ = ["different_share", "entropy_large", "entropy_small", "floor_attained", "loss_floor", "mixed_label_entropy",
           "pair_entropy", "pair_entropy_beta"]

ALPHA, LAM, A, B = mm.ALPHA, mm.LAM, mm.A, mm.B
LOG_MOMENT = "mixing_moments.log_moment"
BOTH = -LAM * sp.log(LAM) - (1 - LAM) * sp.log(1 - LAM)
DIGAMMA = "dlmf: 5.2.2, 5.15.1 (from memory)"
ALPHAS = (0.0, 0.1, 0.37, 1.0, 4.2, np.inf)
SKEWED = np.array([0.62, 0.27, 0.11])


def _psi(x: Any) -> Any:
    return routes.Psi(0, x) if is_symbolic(x) else special.digamma(x)


# ---- entropy of a pair -------------------------------------------------------------------------------------

def pair_entropy_beta(a: Any, b: Any) -> Any:
    """Mean entropy of a label mixed from two different classes, lambda ~ Beta(a, b); nats, in (0, ln 2).

    Args:
        a: first parameter, > 0; number, array or symbol.
        b: second parameter, > 0.

    Raises:
        DomainError: a or b not positive and finite.

    Source: the logarithmic moments of a Beta law, DLMF 5.12.1.
    """
    Beta(a, b)
    return _psi(a + b + 1) - (a * _psi(a + 1) + b * _psi(b + 1)) / (a + b)


@elementary
def pair_entropy(alpha: Any) -> Any:
    """Mean entropy of a label mixed from two different classes: psi(2 alpha + 1) - psi(alpha + 1), nats.

    Args:
        alpha: in [0, inf]; number, array or symbol. 0 gives 0, inf gives ln 2, 1 gives 1/2.

    Raises:
        DomainError: alpha negative or NaN.
    """
    return _psi(2 * alpha + 1) - _psi(alpha + 1)


@elementary
def entropy_small(alpha: Any) -> Any:
    """`pair_entropy` up to O(alpha^2): alpha pi^2 / 6, nats. alpha >= 0 and small."""
    return alpha * (sp.pi if is_symbolic(alpha) else np.pi) ** 2 / 6


def entropy_large(alpha: Any) -> Any:
    """`pair_entropy` up to O(alpha^-2): ln 2 - 1/(4 alpha), nats. alpha > 0 and large, or inf.

    Raises DomainError for alpha negative, NaN or 0.
    """
    if not is_symbolic(check_alpha(alpha)) and np.any(np.asarray(alpha) == 0):
        raise DomainError(f"alpha = {alpha!r}: the expansion is for large alpha")
    return (sp.log(2) if is_symbolic(alpha) else np.log(2)) - 1 / (4 * alpha)


def derive_pair_entropy_beta() -> Derivation:
    e = Derivation(r"\mathbb{E}\,H(\tilde y)", routes.LogMean(BOTH, LAM, A, B), {"a": A, "b": B})
    e = e.equals(-routes.LogMean(LAM * sp.log(LAM), LAM, A, B) - routes.LogMean(LAM * sp.log(LAM), LAM, B, A),
                 r"$1 - \lambda \sim \mathrm{Beta}(b, a)$")
    e = e.equals(-mmb.log_moment(A, B, 1, 0) - mmb.log_moment(B, A, 1, 0),
                 r"$\mathbb{E}[\lambda\ln\lambda]$ is the derivative of $\mathbb{E}\,\lambda^k$ at $k = 1$",
                 claim=LOG_MOMENT)
    return e.equals(pair_entropy_beta(A, B), "collect")


def derive_pair_entropy() -> Derivation:
    e = Derivation(r"\mathbb{E}\,H(\tilde y)", routes.LogMean(BOTH, LAM, ALPHA), {"alpha": ALPHA})
    e = e.equals(-2 * routes.LogMean(LAM * sp.log(LAM), LAM, ALPHA), r"$\lambda$ and $1 - \lambda$ have one law")
    return e.equals(pair_entropy(ALPHA), r"$\mathbb{E}[\lambda\ln\lambda]$ is the derivative of "
                    r"$\mathbb{E}\,\lambda^k$ at $k = 1$", claim=LOG_MOMENT)


def derive_entropy_small() -> Derivation:
    H = routes.LogMean(BOTH, LAM, ALPHA)
    e = Derivation(r"\mathbb{E}\,H \text{ to first order}", ALPHA * sp.Limit(H / ALPHA, ALPHA, 0), {"alpha": ALPHA})
    e = e.equals(ALPHA * sp.Subs(sp.Derivative(pair_entropy(ALPHA), ALPHA), ALPHA, 0),
                 r"it is 0 at $\alpha = 0$, so the limit is a derivative", claim="labels.pair_entropy")
    return e.equals(entropy_small(ALPHA), r"$(2 - 1)\,\psi'(1) = \pi^2/6$")


def derive_entropy_large() -> Derivation:
    def first_order(value: Any) -> Any:
        return sp.log(2) + sp.Limit(ALPHA * (value - sp.log(2)), ALPHA, sp.oo) / ALPHA
    e = Derivation(r"\mathbb{E}\,H \text{ to first order}", first_order(routes.LogMean(BOTH, LAM, ALPHA)),
                   {"alpha": ALPHA})
    e = e.appeal(first_order(mml.large_alpha(ALPHA, BOTH)), r"Taylor around $\lambda = 1/2$, where $H = \ln 2$ "
                 "and $H'' = -4$", claim="mixing_moments.large_alpha")
    return e.equals(entropy_large(ALPHA), r"$2\alpha + 1 \sim 2\alpha$")


def _expected_entropy(alpha: Any) -> float:
    """By quadrature, for two different classes."""
    nodes = routes.rule(alpha)
    return float(nodes.weight @ routes.entropy(np.stack([nodes.lam, nodes.other], -1)))


def _drawn_entropy(alpha: Any, size: int, rng: np.random.Generator) -> np.ndarray:
    lam = routes.law_of(alpha).sample(size, rng=rng)
    return routes.entropy(np.stack([lam, 1 - lam], -1))


def _of_mean(alpha: Any) -> Any:
    """Entropy of the mean label: ln 2, whatever alpha."""
    return 0 * alpha + (sp.log(2) if is_symbolic(alpha) else np.log(2))


Claim(
    id="labels.pair_entropy_beta", title="Entropy of a label mixed from two classes",
    statement=r"\mathbb{E}\,H(\tilde y) = \psi(a+b+1) - \frac{a\,\psi(a+1) + b\,\psi(b+1)}{a+b}",
    assumptions=(r"$\lambda \sim \mathrm{Beta}(a, b)$", "the two members of the pair have different classes"),
    fails_when="both have one class: the label is then one-hot and has no entropy",
    predict=pair_entropy_beta, derive=derive_pair_entropy_beta, exact=lambda a, b: _expected_entropy((a, b)),
    simulate=lambda size, *, rng, a, b: _drawn_entropy((a, b), size, rng), cases=mm.BETA_PAIRS, resolution=0.02,
    wrong={"logarithm to base 2": predicts(lambda a, b: pair_entropy_beta(a, b) / (
               sp.log(2) if is_symbolic(a) else np.log(2))),
           "the symmetric formula at (a + b)/2": predicts(lambda a, b: _psi(a + b + 1) - _psi((a + b) / 2 + 1)),
           "entropy of the mean label": predicts(lambda a, b: routes.entropy_of((a / (a + b), b / (a + b)))),
           "Beta(a, a)": simulates(lambda size, *, rng, a, b: _drawn_entropy((a, a), size, rng))},
    references=(DIGAMMA,))

Claim(
    id="labels.pair_entropy", title="Entropy of a label mixed symmetrically",
    statement=r"\mathbb{E}\,H(\tilde y) = \psi(2\alpha+1) - \psi(\alpha+1)",
    assumptions=(*mm.INDEPENDENT, "the two members of the pair have different classes"),
    fails_when="both have one class, or the entropy is counted in bits",
    predict=pair_entropy, derive=derive_pair_entropy, exact=_expected_entropy,
    simulate=lambda size, *, rng, alpha: _drawn_entropy(alpha, size, rng), cases=cases(alpha=ALPHAS), resolution=0.02,
    scale=lambda prediction, alpha: 0.1,
    wrong={"entropy of the mean label": predicts(_of_mean),
           "without the ones": predicts(lambda alpha: _psi(2 * alpha) - _psi(alpha)
                                        if is_symbolic(alpha) or 0 < alpha < np.inf else np.log(2)),
           "logarithm to base 2": predicts(lambda alpha: pair_entropy(alpha) / (
               sp.log(2) if is_symbolic(alpha) else np.log(2))),
           "Beta(alpha, 1)": simulates(lambda size, *, rng, alpha: _drawn_entropy(
               (alpha, 1.0) if 0 < alpha < 9 else alpha, size, rng))},
    references=(DIGAMMA,), experiment="labels")

Claim(
    id="labels.entropy_small", title="Little mixing, little entropy", kind="asymptotic",
    statement=r"\mathbb{E}\,H(\tilde y) = \frac{\pi^2}{6}\,\alpha + O(\alpha^2)",
    assumptions=(*mm.INDEPENDENT, "the two members of the pair have different classes"),
    predict=entropy_small, derive=derive_entropy_small, exact=_expected_entropy, along=("alpha", 2),
    scale=lambda prediction, alpha: 1.0, cases=cases(alpha=(0.008, 0.004, 0.002, 0.001)),
    wrong={"alpha": predicts(lambda alpha: alpha), "twice": predicts(lambda alpha: 2 * entropy_small(alpha)),
           "first order of a smooth function: alpha ln 2": predicts(lambda alpha: alpha * (
               sp.log(2) if is_symbolic(alpha) else np.log(2)))},
    references=(DIGAMMA,))

Claim(
    id="labels.entropy_large", title="Much mixing, at most one bit", kind="asymptotic",
    statement=r"\mathbb{E}\,H(\tilde y) = \ln 2 - \frac{1}{4\alpha} + O(\alpha^{-2})",
    assumptions=(*mm.INDEPENDENT, "the two members of the pair have different classes"),
    predict=entropy_large, derive=derive_entropy_large, exact=_expected_entropy, along=("alpha", -2),
    scale=lambda prediction, alpha: 1.0, cases=cases(alpha=(50.0, 100.0, 200.0, 400.0)),
    wrong={"no correction": predicts(_of_mean),
           "half of it": predicts(lambda alpha: (_of_mean(alpha) + entropy_large(alpha)) / 2)},
    references=(DIGAMMA,))


# ---- priors ------------------------------------------------------------------------------------------------

def different_share(priors: Any, n: Any = None) -> Any:
    """Share of pairs with different classes: 1 - sum priors^2, times n/(n - 1) for distinct members.

    Args:
        priors: (K,) class shares, sum to one.
        n: None for independent members; else the size, at least 2, of the data set, and n priors are counts.

    Returns:
        A number in [0, 1]: 1 - 1/K for balanced classes and independent members.

    Raises:
        DomainError: priors that are negative or do not sum to one, n < 2, counts n priors that are not whole.
    """
    check_probabilities(priors, "priors")
    if n is None:
        return 1 - sum(p**2 for p in priors)
    if not is_symbolic(check_count(n), priors) and not np.allclose(np.rint(n * np.asarray(priors)),
                                                                   n * np.asarray(priors), rtol=0, atol=1e-6):
        raise DomainError(f"n = {n!r}: n priors must be whole counts of examples, not {n * np.asarray(priors)}")
    return n * (1 - sum(p**2 for p in priors)) / (n - 1)


def mixed_label_entropy(alpha: Any, priors: Any, n: Any = None) -> Any:
    """Mean entropy of the labels that mixup trains on, in nats.

    The share of pairs with different classes, times the entropy of such a pair; the others keep one-hot labels.

    Args:
        alpha: in [0, inf], number or array; or a pair (a, b) for Beta(a, b).
        priors: (K,) class shares, sum to one.
        n: None for independent partners; else the size of the data set, for partners that are other members of it.

    Returns:
        Nats, in [0, ln 2].

    Raises:
        DomainError: alpha outside its domain, others of `different_share`.

    Source: this chapter; the digamma formula is the mean of x ln x under a Beta law.

    >>> round(mixed_label_entropy(1.0, [0.1] * 10), 4)          # ten balanced classes, lambda uniform
    0.45
    """
    return different_share(priors, n) * _one_pair(alpha)


def _one_pair(alpha: Any) -> Any:
    return pair_entropy_beta(*alpha) if isinstance(alpha, tuple) else pair_entropy(alpha)


def loss_floor(alpha: Any, priors: Any) -> Any:
    """No predictor has a smaller expected mixup cross-entropy than the mean entropy of the labels; nats.

    Arguments, errors and value as `mixed_label_entropy`: a training loss is to be compared with this, not with 0.

    >>> round(loss_floor(0.2, [0.25] * 4), 3)                   # four balanced classes at alpha = 0.2
    0.171
    """
    return mixed_label_entropy(alpha, priors)


def floor_attained(alpha: Any, counts: Any) -> Any:
    """Cross-entropy of a predictor that recognises pair and weight in a mixed point: the floor itself; nats.

    Args:
        alpha: as in `mixed_label_entropy`.
        counts: (K,) numbers of examples of each class.

    Raises:
        DomainError: counts that are not whole or all 0, alpha outside its domain.
    """
    if not is_symbolic(counts):
        whole = np.asarray(counts, dtype=float)
        if whole.ndim != 1 or not ((whole >= 0) & (whole == np.rint(whole))).all() or whole.sum() <= 0:
            raise DomainError(f"counts = {counts!r}: must be whole numbers of at least 0, not all 0")
        return mixed_label_entropy(alpha, whole / whole.sum())
    return mixed_label_entropy(alpha, counts / sum(counts))


CLASSES = sp.symbols("pi_1 pi_2", positive=True)
PRIORS = sp.Matrix([*CLASSES, 1 - sum(CLASSES)])
DIFFERENT = routes.Named(r"\Bigl(1-\sum_k\pi_k^2\Bigr)", 1 - sum(p**2 for p in PRIORS))
THREE = "for three classes; each further class adds pairs of the same kind"


def _pairs_of(priors: sp.Matrix, h: Any, share: Any = None) -> Any:
    """Sum of pi_k pi_l h(label) over ordered pairs of classes; `share(k, l)` replaces pi_k pi_l."""
    eye = sp.eye(len(priors))
    return sum((priors[k] * priors[m] if share is None else share(k, m)) * h(blend(LAM, eye[:, k], eye[:, m]))
               for k in range(len(priors)) for m in range(len(priors)))


def _log_mean(label: Any) -> Any:
    entropy = routes.entropy_of(label)
    return routes.LogMean(entropy, LAM, ALPHA) if entropy.free_symbols else sp.S.Zero


def derive_entropy() -> Derivation:
    e = Derivation(r"\mathbb{E}\,H(\tilde y)", _pairs_of(PRIORS, _log_mean), {"alpha": ALPHA, "priors": PRIORS})
    e = e.equals(DIFFERENT * routes.LogMean(BOTH, LAM, ALPHA),
                 r"a pair of one class keeps a one-hot label, every other pair has the same entropy; " + THREE)
    return e.equals(DIFFERENT * pair_entropy(ALPHA), "the entropy of a pair", claim="labels.pair_entropy")


def derive_entropy_distinct() -> Derivation:
    n = sp.Symbol("n", integer=True, positive=True)
    e = Derivation(r"\mathbb{E}\,H(\tilde y)", _pairs_of(
        PRIORS, _log_mean, lambda k, m: PRIORS[k] * (n * PRIORS[m] - int(k == m)) / (n - 1)),
        {"alpha": ALPHA, "priors": PRIORS, "n": n})
    e = e.equals(n / (n - 1) * DIFFERENT * routes.LogMean(BOTH, LAM, ALPHA),
                 r"among the other $n - 1$ there is one fewer of the own class; " + THREE)
    return e.equals(n / (n - 1) * DIFFERENT * pair_entropy(ALPHA), "the entropy of a pair",
                    claim="labels.pair_entropy")


def derive_loss_floor() -> Derivation:
    q = sp.Symbol("q", positive=True)
    best = routes.Minimum(-LAM * sp.log(q) - (1 - LAM) * sp.log(1 - q), q)
    e = Derivation(r"L_{\min}", DIFFERENT * routes.LogMean(best, LAM, ALPHA),
                   {"alpha": ALPHA, "priors": PRIORS})
    e = e.equals(DIFFERENT * routes.LogMean(BOTH, LAM, ALPHA),
                 r"convex in $q$, and the slope is 0 at $q = \lambda$: the best answer to a label is the label")
    return e.equals(DIFFERENT * pair_entropy(ALPHA), "a predictor has one answer for all labels that look the same to "
                    "it, and so loses at least as much", claim="labels.entropy")


def derive_floor_attained() -> Derivation:
    counts = sp.Matrix(sp.symbols("n_1 n_2 n_3", integer=True, positive=True))
    shares = counts / sum(counts)
    e = Derivation(r"\min_f L(f)", sp.Symbol(r"\min_f\ \mathbb{E}\left[-\tilde y\cdot\ln f(\tilde x)\right]"),
                   {"alpha": ALPHA, "counts": counts})
    e = e.appeal(_pairs_of(shares, _log_mean),
                 r"two segments between data points in general position meet at most in one point: almost "
                 r"every $\tilde x$ shows its pair and its $\lambda$, so $\tilde y$ is a function of $\tilde x$")
    return e.equals(floor_attained(ALPHA, counts), "the mean entropy of the labels", claim="labels.entropy")


BALANCED = np.full(4, 0.25)
TOOLS = (*cases(alpha=ALPHAS, priors=SKEWED), {"alpha": (0.3, 1.7), "priors": BALANCED},
         {"alpha": 1.0, "priors": np.full(10, 0.1)})
UNIT = {"scale": lambda prediction, alpha, priors, n=None: 0.1}

Claim(
    id="labels.entropy", title="Entropy of the labels that mixup trains on",
    statement=r"\mathbb{E}\,H(\tilde y) = \Bigl(1 - \sum_k \pi_k^2\Bigr)"
              r"\bigl(\psi(2\alpha+1) - \psi(\alpha+1)\bigr)",
    assumptions=(r"partners are independent, self-pairs included", r"classes with shares $\pi_k$, one-hot labels"),
    fails_when="self-pairs are left out (labels.entropy_distinct), or labels are smoothed before mixing",
    predict=mixed_label_entropy, derive=derive_entropy, exact=routes.over_pairs(routes.entropy),
    simulate=routes.drawn(routes.entropy), cases=TOOLS, resolution=0.05, **UNIT,
    wrong={"every pair has two classes": predicts(lambda alpha, priors: _one_pair(alpha)),
           "balanced classes": predicts(lambda alpha, priors: (1 - sp.Rational(1, 3)) * _one_pair(alpha)
                                        if is_symbolic(alpha) else 2 / 3 * _one_pair(alpha)),
           "partners of another class only": simulates(routes.drawn(routes.entropy, other=True)),
           "hidden label smoothing": simulates(routes.drawn(lambda y: routes.entropy(blend(0.9, y, 1 / y.shape[-1]))))},
    references=(DIGAMMA,), experiment="labels")

Claim(
    id="labels.entropy_distinct", title="Label entropy without self-pairs",
    statement=r"\mathbb{E}\,H(\tilde y) = \frac{n}{n-1}\Bigl(1 - \sum_k \pi_k^2\Bigr)"
              r"\bigl(\psi(2\alpha+1) - \psi(\alpha+1)\bigr)",
    assumptions=("partners are other members of one data set of $n$ examples", r"$n\pi_k$ of them have class $k$"),
    fails_when="self-pairs occur, as in a permutation: then a share $1/B$ of each batch of $B$ stays one-hot",
    predict=mixed_label_entropy, derive=derive_entropy_distinct, exact=routes.over_pairs(routes.entropy),
    simulate=routes.drawn(routes.entropy), **UNIT,
    cases=(*cases(alpha=(0.37, 1.0, np.inf), priors=np.array([0.5, 0.25, 0.25]), n=(4, 12)),
           {"alpha": 1.0, "priors": np.full(5, 0.2), "n": 10}),
    wrong={"self-pairs in": predicts(lambda alpha, priors, n: mixed_label_entropy(alpha, priors)),
           "n for n - 1": predicts(lambda alpha, priors, n: mixed_label_entropy(alpha, priors) * (1 + 1 / n)),
           "self-pairs drawn": simulates(routes.drawn(routes.entropy, n=None))},
    references=(DIGAMMA,), experiment="labels")

Claim(
    id="labels.loss_floor", title="No predictor beats the entropy of the labels", kind="bound", side="lower",
    tight=1e-9,
    statement=r"\mathbb{E}\left[-\tilde y\cdot\ln f(\tilde x)\right] \;\ge\; \mathbb{E}\,H(\tilde y)",
    assumptions=("the loss is cross-entropy with the mixed label", "any predictor, whatever it sees",
                 "an expected loss: the mean over pairs and $\\lambda$"),
    fails_when="a single batch is looked at: with one lambda a batch its loss can be smaller",
    predict=loss_floor, derive=derive_loss_floor, exact=routes.cross_entropies,
    simulate=routes.drawn(lambda y: -special.xlogy(y, y).sum(-1)), resolution=0.05, **UNIT,
    cases=(*cases(alpha=(0.1, 1.0, 4.2), priors=SKEWED), {"alpha": (0.3, 1.7), "priors": BALANCED}),
    wrong={"tighter: what seeing the classes alone can reach": predicts(lambda alpha, priors: different_share(
               priors) * (sp.log(2) if is_symbolic(priors) else np.log(2))),
           "tighter: pairs of two classes only": predicts(lambda alpha, priors: _one_pair(alpha)),
           "loss averaged over classes": simulates(routes.drawn(lambda y: -special.xlogy(y, y).mean(-1)))},
    references=("zhang2018mixup: section 2 (from memory)",), experiment="labels")

Claim(
    id="labels.floor_attained", title="Finite data in general position: the floor is reached",
    statement=r"\min_f\,\mathbb{E}\left[-\tilde y\cdot\ln f(\tilde x)\right] = \mathbb{E}\,H(\tilde y)",
    assumptions=("a finite data set, all ordered pairs", "no three points on a line and no two segments overlap, "
                 "as for almost all points in two or more dimensions", r"$\lambda$ has a density"),
    fails_when="mixed points lie where segments of different labels overlap (one dimension), or $f$ cannot interpolate",
    predict=floor_attained, derive=derive_floor_attained, exact=routes.decoded_loss, tolerance=1e-8,
    simulate=routes.draw_decoded_loss, cases=cases(alpha=(0.37, 1.0, 4.2), counts=((2, 2, 1),)), resolution=0.05,
    wrong={"loss of a predictor that sees the classes only": predicts(
               lambda alpha, counts: different_share(_shares(counts)) * _of_mean(alpha)),
           "zero loss": predicts(lambda alpha, counts: 0.0),
           "no self-pairs": predicts(lambda alpha, counts: mixed_label_entropy(alpha, _shares(counts), sum(counts))),
           "points on a line": simulates(lambda size, *, rng, alpha, counts: routes.draw_decoded_loss(
               size, rng=rng, alpha=alpha, counts=counts, d=1))},
    references=("chidambaram2022provable: on minimisers of the mixup loss (from memory)",))


def _shares(counts: Any) -> Any:
    return counts / sum(counts) if is_symbolic(counts) else np.asarray(counts) / sum(counts)
