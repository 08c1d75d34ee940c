r"""What a model trained on mixed labels should answer, and when that is the truth about unmixed inputs.

The best answer under any proper loss is the mean mixed label given what the model sees. If that is only the pair
of classes, it is one half; if it is the mixed input, it is a posterior, of classes that have been blurred. How
far this posterior is from the true one eta is decided by how far eta is from a straight line between examples.
`calibration_mixture` computes it for Gaussian mixtures, `calibration_gaussian` looks at two classes and
`calibration_shrinkage` at models fitted to few examples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_finite, check_positive, check_probabilities, is_symbolic
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, predicts, scalar, simulates
from mixtheory.mixing import Beta, symmetric
from mixtheory.mixup import blend
from mixtheory.theory import _calibration_routes as routes
from mixtheory.theory import mixing_moments as mm
from mixtheory.theory.mixing_moments_laws import tilted

__all__ = ["chord_gap", "label_share", "one_hot_share", "optimal_prediction", "pair_prediction", "quadratic_gap"]

ALPHA, LAM, X = mm.ALPHA, mm.LAM, sp.Symbol("x", real=True)
PROPER = "savage1971: proper scoring rules as tangents of a concave function (from memory)"


def optimal_prediction(labels: Any, weights: Any, loss: str = "log") -> Any:
    """The answer that minimises the mean loss on soft labels: their mean, for every proper loss.

    The loss is extended linearly, l(y, q) = sum_k y_k l(k, q), as cross-entropy with soft labels is.

    Args:
        labels: (n, K) soft labels that are possible, or (n,) probabilities of the second of two classes.
        weights: (n,) their probabilities given all that the model sees.
        loss: its name; any proper one gives the same.

    Returns:
        (K,) probabilities, or a number.

    Raises:
        DomainError: weights that are no probabilities, labels not finite.
    """
    labels, weights = np.asarray(labels), np.asarray(weights)
    if labels.dtype != object:
        check_finite(labels, "labels")
        check_probabilities(weights, "weights")
    return weights @ labels


def pair_prediction(a: Any, b: Any) -> Any:
    """Best answer for the first class of a mix if only the two classes are seen: E lambda = a/(a + b).

    Args:
        a: of lambda ~ Beta(a, b), > 0.
        b: of lambda ~ Beta(a, b), > 0.

    Returns:
        A probability; one half for a = b.

    Raises:
        DomainError: a or b not positive and finite.
    """
    return check_positive(a, "a") / (a + check_positive(b, "b"))


def one_hot_share(priors: Any) -> Any:
    """Share of mixed examples whose label is still one-hot for every alpha > 0: both members of one class.

    Args:
        priors: (K,) class probabilities.

    Returns:
        sum_k pi_k^2, between 1/K and 1.

    Raises:
        DomainError: priors that do not sum to one.
    """
    if not is_symbolic(*priors):
        check_probabilities(priors, "priors")
    return sum(p**2 for p in priors)


def label_share(chance: Any, priors: Any, alpha: Any, *, nodes: int = 48) -> Any:
    r"""E[y~_k ; A]: how much of label k the mixed examples carry that fall into an event A.

    As if labels were hard and the labelled member's share were lambda' ~ Beta(alpha + 1, alpha).

    Args:
        chance: `chance(k, j, lam)` is the probability of A for a first member of class k with share lam (q,)
            and a second of class j; (q, ...). For the density at a point give a density. SymPy: an expression
            in `mixing_moments.LAM`.
        priors: (K,) class probabilities.
        alpha: in [0, inf], or a symbol.
        nodes: of lambda.

    Returns:
        (K, ...): pi_k sum_j pi_j E chance(k, j, lambda'); its sum over k is the probability of A.

    Raises:
        DomainError: alpha negative or NaN, priors that do not sum to one.
    """
    if is_symbolic(alpha):
        average = [[Mean(chance(k, j, LAM), beta(LAM, alpha + 1, alpha)) for j in range(len(priors))]
                   for k in range(len(priors))]
        return sp.Matrix([p * sum(q * h for q, h in zip(priors, row, strict=True))
                          for p, row in zip(priors, average, strict=True)])
    check_probabilities(priors, "priors")
    law = tilted(alpha)
    return np.stack([p * sum(q * law.expect(lambda lam, k=k, j=j: chance(k, j, lam), nodes=nodes)
                             for j, q in enumerate(priors)) for k, p in enumerate(priors)])


def chord_gap(eta: sp.Expr, test: sp.Expr, points: Any, weights: Any, alpha: Any) -> Any:
    r"""E[(lambda eta(X_1) + (1 - lambda) eta(X_2) - eta(x~)) phi(x~)]: how far chords lie above eta.

    It equals E[(g(x~) - eta(x~)) phi(x~)] for every phi: mixup's target differs from the truth by the mean gap
    between eta and its chords.

    Args:
        eta: P(y = 1 | x), an expression in the symbol `X`.
        test: phi, an expression in `X`; an indicator picks a region.
        points: (n,) values of x.
        weights: (n,) their probabilities.
        alpha: in [0, inf], or a symbol (then eta and phi must be polynomials).

    Returns:
        A number, in units of phi; 0 if eta is affine.

    Raises:
        DomainError: weights that are no probabilities, alpha negative or NaN.
    """
    if is_symbolic(alpha):
        return _over_pairs(points, weights, alpha, lambda a, b: blend(LAM, eta.subs(X, a), eta.subs(X, b)), eta, test)
    check_probabilities(weights, "weights")
    e, phi = (sp.lambdify(X, h, "numpy") for h in (eta, test))
    x, w = np.asarray(points, dtype=float), np.asarray(weights, dtype=float)
    i, j = (index.ravel() for index in np.indices((len(x), len(x))))

    def gaps(lam: np.ndarray) -> np.ndarray:
        t = lam[:, None]
        mixed = blend(t, x[i], x[j])
        return (blend(t, e(x)[i], e(x)[j]) - e(mixed)) * phi(mixed) @ (w[i] * w[j])

    return symmetric(alpha).expect(gaps, nodes=64)


def quadratic_gap(alpha: Any, curvature: Any, variance: Any) -> Any:
    """E[g(x~) - eta(x~)] for eta(x) = a + b x + c x^2: c (1 - s) Var x.

    Mixing pulls the inputs together and not the labels: where eta is convex the target lies above the truth.

    Args:
        alpha: in [0, inf]; float, array or symbol.
        curvature: c, half the second derivative of eta.
        variance: of the unmixed x, at least 0.

    Returns:
        A difference of probabilities.

    Raises:
        DomainError: alpha negative or NaN, variance negative.
    """
    if not is_symbolic(variance) and np.any(np.asarray(variance) < 0):
        raise DomainError(f"variance = {variance!r}: must be at least 0")
    return curvature * (1 - mm.shrinkage(alpha)) * variance


# --- derivations --------------------------------------------------------------------------------------------

def derive_optimal_prediction() -> Derivation:
    """Savage's form of a proper loss, two classes: the tangent of a concave H at q, read off at y."""
    q, y, p = sp.symbols("q y p", positive=True)
    atoms, weights = np.array(sp.symbols("y_1 y_2")), np.array([p, 1 - p])
    H, law = sp.Function("H")(q), scalar(y, weights @ atoms)
    loss, bend = H + (y - q) * sp.Derivative(H, q), sp.Derivative(H, (q, 2))
    chain = Derivation("q", q + Mean(sp.Derivative(loss, q), law) / bend,
                       {"labels": atoms, "weights": weights, "loss": "log"})
    chain = chain.equals(q + Mean((y - q) * bend, law) / bend, "at the minimum the mean slope of the loss is 0. A "
                                                               "proper "
                         "loss is the tangent at q of a concave H, read off at y: its slope is y - q times the "
                         "curvature of H")
    return chain.equals(optimal_prediction(atoms, weights), "the curvature cancels, and so does q")


def derive_pair() -> Derivation:
    a, b = sp.symbols("a b", positive=True)
    chain = Derivation(r"\mathbb{E}[\tilde y_A\mid A, B]", Mean(blend(LAM, sp.S.One, sp.S.Zero), beta(LAM, a, b)),
                       {"a": a, "b": b})
    return chain.equals(pair_prediction(a, b), "the mean of a Beta law", claim="mixing_moments.moments")


def derive_one_hot() -> Derivation:
    p = sp.symbols("pi_1:4", positive=True)
    both = [[Mean(sp.Symbol("I") * sp.Symbol("J"), scalar(sp.Symbol("I"), p[k]), scalar(sp.Symbol("J"), p[k]))]
            for k in range(3)]
    chain = Derivation(r"P(\tilde y \text{ one-hot})", sum(m for (m,) in both), {"priors": p})
    return chain.equals(one_hot_share(p), "the members of a pair are drawn independently: both are of class k with "
                        "probability pi_k^2; for other pairs both shares are positive")


def derive_label_share() -> Derivation:
    """For every polynomial of degree three in lambda; smooth functions are limits of polynomials."""
    p, mirrored = sp.symbols("pi_1 pi_2", positive=True), LAM * (1 - LAM)
    own = [sum(c * mirrored**n for n, c in enumerate(sp.symbols(f"{h}_0:2"))) for h in "ab"]
    cross = sum(c * LAM**n for n, c in enumerate(sp.symbols("c_0:4")))

    def chance(k: int, j: int, lam: Any) -> Any:
        return own[k].subs(LAM, lam) if k == j else cross.subs(LAM, lam if k == 0 else 1 - lam)

    law = beta(LAM, ALPHA)

    def total(label: Any) -> sp.Matrix:
        return sp.Matrix([sum(p[i] * p[j] * Mean(label(i, j, k) * chance(i, j, LAM), law) for i in (0, 1)
                              for j in (0, 1)) for k in (0, 1)])

    chain = Derivation(r"\mathbb{E}[\tilde y_k;\,A]", total(lambda i, j, k: blend(LAM, int(i == k), int(j == k))),
                       {"chance": chance, "priors": p, "alpha": ALPHA})
    chain = chain.equals(total(lambda i, j, k: 2 * LAM * int(i == k)), r"swap the two members and "
                         r"$\lambda \leftrightarrow 1 - \lambda$: the second label's part equals the first's")
    return chain.equals(label_share(chance, p, ALPHA), "weighting by lambda tilts its law",
                        claim="mixing_moments.tilted_law")


def _over_pairs(points: Any, weights: Any, alpha: Any, label: Any, eta: sp.Expr, test: sp.Expr, *laws: Any) -> Any:
    """sum_ij w_i w_j E[(label - eta(x~)) phi(x~)], for derivations."""
    total = sp.S.Zero
    for a, p in zip(points, weights, strict=True):
        for b, q in zip(points, weights, strict=True):
            mixed = blend(LAM, a, b)
            law = [make(a, b) for make in laws]
            total += p * q * Mean((label(a, b) - eta.subs(X, mixed)) * test.subs(X, mixed), beta(LAM, alpha), *law)
    return total


def derive_chord() -> Derivation:
    """Two values of x, eta of degree two, phi of degree one, all with free coefficients."""
    points, p = sp.symbols("x_1 x_2", real=True), sp.Symbol("p", positive=True)
    c, d = sp.symbols("c_0:3"), sp.symbols("d_0:2")
    eta, test = c[0] + c[1] * X + c[2] * X**2, d[0] + d[1] * X
    y_1, y_2 = sp.symbols("y_1 y_2")
    parameters = {"eta": eta, "test": test, "points": points, "weights": (p, 1 - p), "alpha": ALPHA}
    start = _over_pairs(points, (p, 1 - p), ALPHA, lambda a, b: blend(LAM, y_1, y_2), eta, test,
                        lambda a, b: scalar(y_1, eta.subs(X, a)), lambda a, b: scalar(y_2, eta.subs(X, b)))
    chain = Derivation(r"\mathbb{E}[(\tilde y - \eta(\tilde x))\,\varphi(\tilde x)]", start, parameters)
    return chain.equals(chord_gap(**parameters), r"given both inputs the labels have means $\eta(X_1)$ and "
                        r"$\eta(X_2)$, whatever the rest")


def derive_quadratic() -> Derivation:
    """The gap of a parabola is c lambda (1 - lambda) (x_1 - x_2)^2."""
    x_1, x_2 = sp.symbols("x_1 x_2", real=True)
    m, V, c = sp.Symbol("m", real=True), sp.Symbol("V", positive=True), sp.Symbol("c", real=True)
    laws = scalar(x_1, m, m**2 + V), scalar(x_2, m, m**2 + V), beta(LAM, ALPHA)
    chain = Derivation(r"\mathbb{E}[g(\tilde x) - \eta(\tilde x)]",
                       Mean(c * (blend(LAM, x_1**2, x_2**2) - blend(LAM, x_1, x_2) ** 2), *laws),
                       {"alpha": ALPHA, "curvature": c, "variance": V})
    chain = chain.equals(Mean(c * LAM * (1 - LAM) * (x_1 - x_2) ** 2, *laws),
                         "the gap between a parabola and its chord; a + b x has none", claim="calibration.chord")
    return chain.equals(quadratic_gap(ALPHA, c, V), r"$\mathbb{E}\,\lambda(1-\lambda) = (1 - s)/2$, and twice the "
                        "variance", claim=mm.SHRINKAGE_ID)


# --- claims -------------------------------------------------------------------------------------------------

SOFT = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.4, 0.0, 0.6], [0.05, 0.15, 0.8]])
Claim(
    id="calibration.optimal_prediction", title="The best prediction is the mean label",
    statement=r"\arg\min_q\,\mathbb{E}\bigl[\textstyle\sum_k \tilde y_k\,\ell(k, q)\bigm| I\bigr] = "
              r"\mathbb{E}[\tilde y\mid I]",
    assumptions=("$I$ is all that the model sees, and it may be any function of it", "a strictly proper loss, extended "
                 "linearly to soft labels: cross-entropy, Brier, spherical"),
    fails_when="the loss is not proper, such as the absolute or the focal loss, or the model is restricted",
    predict=optimal_prediction, derive=derive_optimal_prediction, exact=routes.minimiser,
    cases=cases(labels=SOFT, weights=(np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.05, 0.05, 0.45, 0.45])),
                loss=("log", "brier", "spherical")),
    wrong={"the most likely label": predicts(lambda labels, weights, loss="log": labels[
               0 if labels.dtype == object else int(np.argmax(weights))]),
           "the geometric mean": predicts(routes.geometric, symbolic=False),
           "labels counted alike": predicts(lambda labels, weights, loss="log": labels.sum(axis=0) / len(labels))},
    references=(PROPER,))

Claim(
    id="calibration.pair_only", title="One half, if only the two classes are seen",
    statement=r"\mathbb{E}[\tilde y_A\mid\text{a mix of } A \text{ and } B] = \mathbb{E}\,\lambda = \frac{a}{a+b} "
              r"= \tfrac12 \text{ for } a = b",
    assumptions=(r"$\lambda\sim\mathrm{Beta}(a, b)$, the share of the member from $A \ne B$",
                 "the model is told which classes were mixed and nothing else"),
    fails_when="it sees the mixed input, which tells about the shares: then calibration.posterior",
    predict=pair_prediction, derive=derive_pair, exact=routes.pair_minimiser,
    simulate=lambda size, *, rng, a, b: Beta(a, b).sample(size, rng=rng),
    cases=({"a": 0.37, "b": 0.37}, {"a": 1.0, "b": 1.0}, {"a": 4.2, "b": 4.2}, {"a": 3.0, "b": 0.6}),
    wrong={"the larger share": simulates(lambda size, *, rng, a, b: (lambda p: np.maximum(p, 1 - p))(
               Beta(a, b).sample(size, rng=rng))),
           "the other class": predicts(lambda a, b: b / (a + b)),
           "always one half": predicts(lambda a, b: sp.Rational(1, 2) if is_symbolic(a) else 0.5)},
    references=(PROPER,))

Claim(
    id="calibration.one_hot_share", title="Pairs of one class keep a hard label",
    statement=r"P(\tilde y \text{ is one-hot}) = \sum_k \pi_k^2 \ge \frac1K",
    assumptions=(r"independent partners, $0 < \alpha \le \infty$",),
    fails_when="partners are chosen from other classes only, or alpha = 0, where every label stays hard",
    predict=one_hot_share, derive=derive_one_hot, exact=routes.one_hot_pairs, simulate=routes.one_hot_draws,
    cases=tuple(
        {"priors": np.array(p)} for p in ((0.5, 0.5), (0.1,) * 10, (0.7, 0.2, 0.1))),
    wrong={"never": predicts(lambda priors: 0 * priors[0]),
           "one in K": predicts(lambda priors: sp.Rational(1, len(priors)) if is_symbolic(*priors)
                                else 1 / len(priors)),
           "partners of other classes": simulates(routes.one_hot_draws_other)})

EVENTS = {"chance": routes.Interval((-1.0, 0.4, 3.0), (1.0, 0.5, 1.5), 0.2, 1.1), "priors": np.array([0.6, 0.3, 0.1])}
PAIR = {"chance": routes.Interval((-1.5, 1.5), (1.0, 1.0), 0.4, 1.6), "priors": np.array([0.5, 0.5])}


def _untilted(chance: Any, priors: Any, alpha: Any) -> Any:
    law = symmetric(alpha) if not is_symbolic(alpha) else beta(LAM, alpha)
    mean = (lambda k, j: Mean(chance(k, j, LAM), law)) if is_symbolic(alpha) else (
        lambda k, j: law.expect(lambda lam: chance(k, j, lam)))
    rows = [p * sum(q * mean(k, j) for j, q in enumerate(priors)) for k, p in enumerate(priors)]
    return sp.Matrix(rows) if is_symbolic(alpha) else np.stack(rows)


Claim(
    id="calibration.label_share", title="Soft labels are hard labels of blurred classes",
    statement=r"\mathbb{E}[\tilde y_k;\,A] = \pi_k\sum_j \pi_j\,P(A\mid k, j, \lambda'),\quad "
              r"\lambda'\sim\mathrm{Beta}(\alpha+1,\alpha)",
    assumptions=(*mm.INDEPENDENT, "$A$ is any event about the mixed input"),
    fails_when=r"$\lambda$ is folded or its law is not symmetric: swapping the members then changes it",
    predict=label_share, derive=derive_label_share, exact=routes.interval_share, simulate=routes.interval_draws,
    cases=tuple({**where, "alpha": a} for where, alphas in ((EVENTS, (0.0, 0.37, np.inf)), (PAIR, (0.05, 1.0)))
                for a in alphas),
    resolution=0.05, tolerance=1e-9,
    wrong={"Beta(alpha, alpha)": predicts(_untilted),
           "labels by the Bayes posterior": simulates(routes.interval_draws_bayes),
           "lambda swapped on the labels": simulates(routes.interval_draws_swapped)},
    references=("zhang2021how: lemma 3.1 (from memory)",))

BENT = {"eta": 1 / (1 + sp.exp(-3 * X)), "points": np.array([-1.3, -0.2, 0.4, 0.9, 2.0]),
        "weights": np.array([0.3, 0.15, 0.2, 0.25, 0.1])}
Claim(
    id="calibration.chord", title="Mixup's target is off by the gap to the chords",
    statement=r"g(x) - \eta(x) = \mathbb{E}\bigl[\lambda\,\eta(X_1) + (1-\lambda)\,\eta(X_2) - \eta(\tilde x)\bigm|"
              r"\tilde x = x\bigr]",
    assumptions=(r"$\eta(x) = P(y = 1\mid x)$ on the unmixed data", "independent members",
                 r"checked as means against test functions $\varphi(\tilde x)$, which is what "
                 r"$\mathbb{E}[\,\cdot\mid\tilde x]$ "
                 "means"),
    fails_when="$\\eta$ is not defined between the examples",
    predict=chord_gap, derive=derive_chord, exact=routes.labelled_gap, simulate=routes.labelled_draws,
    cases=tuple({**BENT, "test": test, "alpha": a} for test in (sp.exp(-(X - 1)**2), X, sp.S.One + 0 * X)
                for a in (0.37, 1.0, np.inf)),
    scale=lambda value, **_: 0.2, tolerance=1e-9,
    wrong={"no gap": predicts(lambda eta, test, points, weights, alpha: 0 * alpha if is_symbolic(alpha) else 0.0),
           "the gap the other way": predicts(lambda **case: -chord_gap(**case)),
           "labels follow the inputs": simulates(routes.truthful_draws)},
    references=("zhang2018mixup: section 2 (from memory)",))

Claim(
    id="calibration.chord_quadratic", title="Where the posterior is convex the target lies above it",
    statement=r"\mathbb{E}[g(\tilde x) - \eta(\tilde x)] = c\,(1 - s)\operatorname{Var}x \quad "
              r"\text{for } \eta(x) = a + b x + c x^2",
    assumptions=(*mm.INDEPENDENT, r"$0 \le \eta \le 1$ on the support; $x$ has finite variance"),
    fails_when=r"$\eta$ is not a parabola: then calibration.chord, region by region",
    predict=quadratic_gap, derive=derive_quadratic, exact=routes.parabola_gap, simulate=routes.parabola_draws,
    cases=cases(alpha=(0.0, 0.37, 1.0, np.inf), curvature=(0.2, -0.1), variance=0.8),
    scale=lambda value, **_: 0.1, resolution=0.05,
    wrong={"calibrated": predicts(lambda alpha, curvature, variance: 0 * curvature),
           "s for 1 - s": predicts(lambda alpha, curvature, variance: curvature * mm.shrinkage(alpha) * variance),
           "labels follow the inputs": simulates(routes.parabola_draws_truthful)},
    references=("zhang2018mixup: section 2 (from memory)",))
