"""Exercises on the law of the mixing weight: other laws than the chapter's, and what all laws have in common."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import integrate, optimize, special, stats

from mixtheory.exercises.judging import Exercise, Formula, Number, Witness
from mixtheory.mixing import Beta, symmetric


def _S(lam: np.ndarray) -> np.ndarray:
    return lam**2 + (1 - lam) ** 2


# ---- now and then ------------------------------------------------------------------------------------------------

def _same_strength(alpha: float, p: float) -> float:
    """The alpha whose E S, by quadrature, is that of mixing with probability p; by a root finder."""
    target = p * symmetric(alpha).expect(_S, nodes=4) + (1 - p)
    return float(np.exp(optimize.brentq(lambda log: symmetric(float(np.exp(log))).expect(_S, nodes=4) - target,
                                        -12, 12, xtol=1e-13)))


Exercise(name="mixing_moments-sometimes", level="warm-up", minutes=10, wants=Formula(
    symbols=("alpha", "p"), truth=_same_strength,
    points=({"alpha": 0.35, "p": 0.5}, {"alpha": 1.0, "p": 0.83}, {"alpha": 2.6, "p": 0.2}, {"alpha": 7.3, "p": 0.6}),
    mistakes={"what is lost, 1 - s, is handed in": lambda alpha, p: p * (1 - symmetric(alpha).expect(_S, nodes=4)),
              "alpha itself is scaled": lambda alpha, p: p * alpha,
              "p is the probability of not mixing": lambda alpha, p: _same_strength(alpha, 1 - p)}))


# ---- the most extreme of k ---------------------------------------------------------------------------------------

def _extreme(k: float) -> float:
    """E S of the most extreme of k uniform weights, from the distribution function of S, integrated."""
    def below(S: float) -> float:
        half = np.sqrt(2 * S - 1) / 2
        return float(stats.uniform.cdf(0.5 + half) - stats.uniform.cdf(0.5 - half))
    return 0.5 + integrate.quad(lambda S: 1 - below(S) ** k, 0.5, 1, epsabs=1e-11)[0]


Exercise(name="mixing_moments-extreme", level="warm-up", minutes=10, wants=Formula(
    symbols=("k",), truth=_extreme, points=({"k": 1}, {"k": 2}, {"k": 3}, {"k": 8}), mistakes={
        "the mean of r is squared": lambda k: (1 + (k / (k + 1)) ** 2) / 2,
        "r stands where its square should": lambda k: (2 * k + 1) / (2 * k + 2),
        "the weight nearest to one half is kept": lambda k: 0.5 + 1 / ((k + 1) * (k + 2))}))


# ---- a broken stick ----------------------------------------------------------------------------------------------

@cache
def _stick(cells: int = 700) -> float:
    """The mean of the largest of three shares over a fine grid of cells of the triangle of all shares."""
    i, j = np.meshgrid(np.arange(cells), np.arange(cells))
    i, j = i[i + j < cells], j[i + j < cells]
    shares = (np.stack([i, j, cells - 1 - i - j]) + 1 / 3) / cells
    return float(shares.max(axis=0).mean())


Exercise(name="mixing_moments-stick", level="core", minutes=10, wants=Number(
    truth=_stick, mistakes={
        "two examples are mixed instead of three": lambda: 0.75,
        "the mean sum of the squared shares is taken for the largest share": lambda: 0.5,
        "the root of that sum is taken for the largest share": lambda: float(np.sqrt(0.5)),
        "all shares are equal": lambda: 1 / 3}))


# ---- sharper labels ----------------------------------------------------------------------------------------------

def _label(t: float, a: float, b: float) -> float:
    """Bayes' rule at a point with share t of A: it is labelled A if A was kept with share t, else B with 1 - t."""
    keeps_a, keeps_b = stats.beta(a, b).pdf(t) / 2, stats.beta(a, b).pdf(1 - t) / 2
    return float(keeps_a / (keeps_a + keeps_b))


Exercise(name="mixing_moments-sharper", level="core", minutes=15, wants=Formula(
    symbols=("t", "a", "b"), truth=_label,
    points=({"t": 0.7, "a": 3.0, "b": 1.0}, {"t": 0.2, "a": 1.4, "b": 0.9}, {"t": 0.55, "a": 0.3, "b": 1.2},
            {"t": 0.88, "a": 2.5, "b": 2.2}),
    mistakes={"the target is the share": lambda t, a, b: t,
              "the two labels are exchanged": lambda t, a, b: _label(1 - t, a, b),
              "only a matters": lambda t, a, b: t**a / (t**a + (1 - t) ** a),
              "the label is independent of the share": lambda t, a, b: 0.5}))


# ---- squared error -----------------------------------------------------------------------------------------------

def _outputs(lam: np.ndarray) -> np.ndarray:
    """What some network says on the segment from A to B: no simple function of the share of A."""
    first = 0.2 + 0.7 * np.sin(2 * lam) ** 2
    return np.stack([first, 0.9 - first**2], axis=-1)


def _untied_less_tied(alpha: float, p: float) -> float:
    """Squared error with own labels and the tilted law, less that with mixed labels: two classes, both orders."""
    def error(law: Beta, tied: bool) -> float:
        lam, mass = law.quadrature(nodes=40)
        total = 0.0
        for one, other, weight in ((0, 1, p / 2), (1, 0, p / 2), (0, 0, (1 - p) / 2), (1, 1, (1 - p) / 2)):
            said = _outputs({(0, 1): lam, (1, 0): 1 - lam}.get((one, other), np.full_like(lam, 0.4)))
            own, partner = np.eye(2)[one], np.eye(2)[other]
            target = lam[:, None] * own + (1 - lam)[:, None] * partner if tied else own
            total += weight * float(mass @ ((said - target) ** 2).sum(axis=1))
        return total
    return error(Beta(alpha + 1, alpha), False) - error(Beta(alpha, alpha), True)


Exercise(name="mixing_moments-brier", level="core", minutes=20, wants=Formula(
    symbols=("alpha", "p"), truth=_untied_less_tied,
    points=({"alpha": 0.3, "p": 0.9}, {"alpha": 1.0, "p": 0.5}, {"alpha": 3.4, "p": 0.75}, {"alpha": 1.8, "p": 0.1}),
    mistakes={"squared error is taken to be affine in the target": lambda alpha, p: 0.0,
              "every pair is taken to have two classes": lambda alpha, p: _untied_less_tied(alpha, 1.0),
              "one half stands before the squared error": lambda alpha, p: _untied_less_tied(alpha, p) / 2,
              "p is the probability that the classes agree": lambda alpha, p: _untied_less_tied(alpha, 1 - p)}))


# ---- from s alone ------------------------------------------------------------------------------------------------

def _least_larger_share(s: float) -> float:
    """Smallest E max(lambda, 1 - lambda) over laws on a fine grid with E S = s: a linear programme."""
    lam = np.linspace(0, 1, 401)
    found = optimize.linprog(np.maximum(lam, 1 - lam), A_eq=np.stack([np.ones_like(lam), _S(lam)]), b_eq=[1, s])
    return float(found.fun)


def _larger_share_of_beta(s: float) -> float:
    alpha = (1 - s) / (2 * s - 1)
    return float((1 + special.beta(alpha + 0.5, 0.5) / np.pi) / 2)


Exercise(name="mixing_moments-least", level="core", minutes=15, wants=Formula(
    symbols=("s",), truth=_least_larger_share, points=({"s": 0.53}, {"s": 0.66}, {"s": 0.8}, {"s": 0.93}),
    tolerance=1e-5, mistakes={
        "the largest is sought instead of the smallest": lambda s: (1 + np.sqrt(2 * s - 1)) / 2,
        "the law is Beta(alpha, alpha)": _larger_share_of_beta,
        "s is forgotten": lambda s: 0.5}))


# ---- laws as dictionaries ----------------------------------------------------------------------------------------

def _points(law: dict[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Values and probabilities.

    Raises:
        ValueError: it is no law on [0, 1].
    """
    if not isinstance(law, dict) or not law:
        raise ValueError("it must be a dictionary, value of lambda -> its probability")
    lam, mass = np.array(list(law), dtype=float), np.array(list(law.values()), dtype=float)
    if not ((lam >= 0) & (lam <= 1)).all() or not (mass >= 0).all() or not abs(mass.sum() - 1) < 1e-9:
        raise ValueError("values must lie in [0, 1]; probabilities must not be negative and must sum to one")
    return lam, mass


@cache
def _largest_ratio() -> float:
    """Largest E[S^2] / s^2 over all laws on a grid: for each s a linear programme, then a search over s."""
    S = _S(np.linspace(0, 1, 101))

    def ratio(s: float) -> float:
        return float(optimize.linprog(-(S**2), A_eq=np.stack([np.ones_like(S), S]), b_eq=[1, s]).fun / s**2)
    return -float(optimize.minimize_scalar(ratio, bounds=(0.51, 0.99), method="bounded").fun)


def _not_the_largest(law: dict[float, float]) -> str | None:
    lam, mass = _points(law)
    ratio = float(mass @ _S(lam) ** 2 / (mass @ _S(lam)) ** 2)
    return None if ratio >= _largest_ratio() - 1e-4 else f"This law has the ratio {ratio:.5f}; another law has more."


_LAW = "answer = {0.5: ...}      # value of lambda -> its probability"

Exercise(name="mixing_moments-ceiling", level="challenge", minutes=25, wants=Witness(
    verify=_not_the_largest, asks="a law of lambda as a dictionary, value -> probability", scaffold=_LAW, mistakes={
        "no mixing": {0.0: 0.5, 1.0: 0.5}, "plain averaging": {0.5: 1.0},
        "half of each": {0.0: 0.25, 0.5: 0.5, 1.0: 0.25}, "no law": {0.5: 0.8}}))

Exercise(name="mixing_moments-colleague", level="core", minutes=10)


# ---- how few values ----------------------------------------------------------------------------------------------

def _differs(law: dict[float, float]) -> str | None:
    """Five moments of the law, against those of Beta(0.4, 0.4) by quadrature."""
    lam, mass = _points(law)
    if np.count_nonzero(mass) > 3:
        return f"This law has {np.count_nonzero(mass)} values; three are enough."
    for k in range(1, 6):
        given, true = float(mass @ lam**k), symmetric(0.4).expect(lambda x, k=k: x**k, nodes=8)
        if abs(given - true) > 1e-8:
            return f"The mean of lambda^{k} is too {'large' if given > true else 'small'}."
    return None


Exercise(name="mixing_moments-fewest", level="research", minutes=30, wants=Witness(
    verify=_differs, asks="a law of lambda as a dictionary, value -> probability, with at most three values",
    scaffold=_LAW, mistakes={
        "plain averaging": {0.5: 1.0}, "the right mean only": {0.0: 0.25, 0.5: 0.5, 1.0: 0.25},
        "the right s with two values": {0.5 - np.sqrt(1 / 7.2): 0.5, 0.5 + np.sqrt(1 / 7.2): 0.5}}))
