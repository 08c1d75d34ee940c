r"""Within one batch: what pairing and the sharing of lambda do to its mean, its covariance and their fluctuation.

A batch adds two corrections to the population factor s: partners that cannot be the example itself are negatively
correlated with it, and a lambda of its own for each element moves the batch mean. One lambda for the whole batch makes
the covariance fluctuate for ever.

Notation: C is the covariance of the original batch with 1/n, c its centred members, P = (1/n) sum of c_i c_partner.
The claims belong to the chapter `covariance`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from mixtheory.domain import DomainError, check_count, check_member, is_symbolic
from mixtheory.evidence import (
    Claim,
    Derivation,
    DistinctMean,
    Mean,
    MomentLaw,
    beta,
    cases,
    centred,
    expect,
    predicts,
    scalar,
    simulates,
    without_replacement,
)
from mixtheory.mixup import blend
from mixtheory.pairing import DISTINCT, PAIRINGS, SHARINGS, check_sharing
from mixtheory.theory import _covariance_routes as routes
from mixtheory.theory import mixing_moments as mm

__all__ = ["batch_factor", "batch_mean_noise", "cross_mean", "cross_second", "distinct_factor", "fluctuation",
           "fluctuation_limit", "gaussian_batch", "mirror_sum", "pairing_noise"]

ALPHA, LAM = mm.ALPHA, mm.LAM
N = sp.Symbol("n", integer=True, positive=True)
C = sp.Symbol("C", positive=True)
S_SHRINK = "mixing_moments.shrinkage"


def distinct_factor(alpha: Any, n: Any) -> Any:
    """Cov(x~) / C of one draw from a fixed data set of n whose partner is never the example itself: (n s - 1)/(n - 1).

    alpha in [0, inf]; n >= 2. Dimensionless; for n = 2 it is 2 s - 1, below one half.
    """
    check_count(n)
    return (n * mm.shrinkage(alpha) - 1) / (n - 1)


def batch_factor(alpha: Any, n: Any, pairing: str, sharing: str) -> Any:
    """Expected within-batch covariance after mixing over the one before, for any fixed batch in random order.

    Args:
        alpha: in [0, inf].
        n: batch size, at least 2 (even for `flip`).
        pairing: independent, permutation, roll, flip or derangement.
        sharing: batch, pair (flip only) or element.

    Returns:
        Dimensionless factor; the same for every entry of the covariance matrix and for 1/n and 1/(n - 1).

    Raises:
        DomainError: unknown names, a pairing that has no pairs, n < 2.
    """
    s = mm.shrinkage(alpha)
    _check_scheme(n, pairing, sharing)
    shared = sharing != "element"
    if pairing == "independent":
        return s - s / (2 * n) if shared else s - (4 * s - 1) / (4 * n)
    if pairing == "permutation":
        return s if shared else s - (2 * s - 1) / (2 * n)
    return s - (1 - s) / (n - 1) if shared else s - 1 / (2 * (n - 1))


def batch_mean_noise(alpha: Any, n: Any, pairing: str, sharing: str) -> Any:
    """Variance of the mixed batch mean around the batch mean, over C, for any fixed batch; arguments as batch_factor.

    Zero for one lambda a batch (or a pair) with any pairing that is a permutation.
    """
    s = mm.shrinkage(alpha)
    _check_scheme(n, pairing, sharing)
    shared = sharing != "element"
    if pairing == "independent":
        return s / (2 * n) if shared else (4 * s - 1) / (4 * n)
    if shared:
        return 0 * s
    return (2 * s - 1) / (2 * (n if pairing == "permutation" else n - 1))


def _check_scheme(n: Any, pairing: str, sharing: str) -> None:
    check_member(pairing, PAIRINGS, "pairing")
    check_member(sharing, SHARINGS, "sharing")
    check_sharing(pairing, sharing)
    check_count(n, even="flip pairs example i with n - 1 - i" if pairing == "flip" else None)


def _distinct_product() -> sp.Expr:
    """E[c_i c_j] over distinct members of a centred batch: sums p_1 = 0, p_2 = n C."""
    return without_replacement((1, 1), N, lambda r: {1: 0, 2: N * C}[r])


def pair_law(pairing: str) -> tuple[tuple[sp.Symbol, ...], MomentLaw]:
    """Second moments of (c_1, d_1, c_2, d_2): two different elements of a batch and their partners.

    With r = E[c_1 d_1]: all partners together are the batch again (a permutation), so given c_1 the other partners
    sum to -d_1 and E[c_1 d_2] = -r/(n - 1); independent partners are uncorrelated with everything.
    """
    symbols = sp.symbols("c_1 d_1 c_2 d_2", real=True)
    apart = _distinct_product()
    if pairing == "independent":
        r, across, partners = sp.S.Zero, sp.S.Zero, sp.S.Zero
    else:
        r = apart if pairing in DISTINCT else sp.S.Zero
        across, partners = -r / (N - 1), apart
    return symbols, centred(symbols, [[C, r, apart, across], [r, C, across, partners],
                                      [apart, across, C, r], [across, partners, r, C]])


def _derive_batch(pairing: str, sharing: str, mean_only: bool) -> Derivation:
    """E C~/C = (1 - 1/n)(E[x~_1^2] - E[x~_1 x~_2])/C, or E[mean^2] = (E[x~_1^2] + (n - 1) E[x~_1 x~_2])/(n C)."""
    (c1, d1, c2, d2), law = pair_law(pairing)
    lam1, lam2 = (LAM, LAM) if sharing != "element" else sp.symbols("lambda_1 lambda_2", positive=True)
    laws = [beta(lam, ALPHA) for lam in dict.fromkeys((lam1, lam2))]
    first, second = blend(lam1, c1, d1), blend(lam2, c2, d2)

    def combine(square: Any, product: Any) -> Any:
        return (square + (N - 1) * product) / (N * C) if mean_only else (N - 1) * (square - product) / (N * C)

    def over_lambda(expression: Any) -> Any:
        return Mean(sp.factor(expect(expression, law)), *laws)

    formula = batch_mean_noise if mean_only else batch_factor
    name = r"\mathbb{E}[(\tilde m - m)^2]/C" if mean_only else r"\mathbb{E}[\tilde C]/C"
    d = Derivation(name, combine(Mean(first**2, law, *laws), Mean(first * second, law, *laws)),
                   {"alpha": ALPHA, "n": N, "pairing": pairing, "sharing": sharing})
    d = d.equals(combine(over_lambda(first**2), over_lambda(first * second)),
                 "moments of two elements and their partners in a batch of $n$ in random order")
    return d.equals(formula(ALPHA, N, pairing, sharing), "moments of $\\lambda$", claim=S_SHRINK)


def derive_distinct() -> Derivation:
    """One draw: the partner's correlation with the example is -1/(n - 1)."""
    (c1, d1, _, _), law = pair_law("derangement")
    lam = beta(LAM, ALPHA)
    d = Derivation(r"\operatorname{Var}(\tilde x)/C", Mean(blend(LAM, c1, d1)**2, law, lam) / C,
                   {"alpha": ALPHA, "n": N})
    d = d.equals(Mean(LAM**2 + (1 - LAM)**2 - 2 * LAM * (1 - LAM) / (N - 1), lam),
                 "two distinct members of a centred set have mean product $-C/(n-1)$")
    return d.equals(distinct_factor(ALPHA, N), "moments of $\\lambda$", claim=S_SHRINK)


DISTINCT_PAIR = Claim(
    id="covariance.distinct_pair", title="A partner that is never oneself",
    statement=r"\operatorname{Cov}(\tilde x) = \frac{n s - 1}{n - 1}\,C = \Bigl(s - \frac{1 - s}{n - 1}\Bigr) C",
    assumptions=("a fixed data set of n", "the partner is uniform over the other n - 1"),
    fails_when="self-pairs are possible: then the factor is s, whatever n",
    predict=distinct_factor, derive=derive_distinct, exact=routes.exact_distinct, simulate=routes.simulate_distinct,
    cases=cases(alpha=(0.2, 1.0, 4.2, np.inf), n=(2, 5, 9)), resolution=0.04,
    scale=lambda prediction, alpha, n: 1.0,
    wrong={"self-pairs allowed": predicts(lambda alpha, n: mm.shrinkage(alpha)),
           "n for n - 1": predicts(lambda alpha, n: mm.shrinkage(alpha) - (1 - mm.shrinkage(alpha)) / n),
           "self-pairs in the sampler": simulates(routes.simulate_with_self_pairs)},
    experiment="covariance")


def _batch_claim(name: str, title: str, statement: str, schemes: tuple[tuple[str, str], ...], wrong: dict[str, Any],
                 *, sizes: tuple[int, ...] = (4, 6), mean_only: bool = False, fails_when: str = "",
                 grid: tuple[float, ...] = (0.2, 1.0, 4.2)) -> Claim:
    """A row of the batch table; its schemes share one formula."""
    pairing, sharing = schemes[0]
    simulate = routes.simulate_batch_mean if mean_only else routes.simulate_batch
    return Claim(
        id=f"covariance.{name}", title=title, statement=statement,
        assumptions=("any fixed batch of n, in random order", "mean over the order, the partners and lambda",
                     "the same denominator, 1/n or 1/(n - 1), before and after"),
        fails_when=fails_when, predict=batch_mean_noise if mean_only else batch_factor,
        derive=lambda: _derive_batch(pairing, sharing, mean_only),
        exact=routes.exact_batch_mean if mean_only else routes.exact_batch, simulate=simulate, tolerance=1e-12,
        scale=lambda prediction, **case: 1.0, resolution=0.02,
        cases=tuple({"alpha": alpha, "n": n, "pairing": p, "sharing": sh}
                    for p, sh in schemes for n in sizes for alpha in grid if p != "independent" or n < 6),
        wrong=wrong, experiment="covariance")


def _instead(pairing: str | None = None, sharing: str | None = None, mean_only: bool = False) -> Any:
    """Sampling with another pairing or another sharing than the case says."""
    simulate = routes.simulate_batch_mean if mean_only else routes.simulate_batch
    changed = {k: v for k, v in (("pairing", pairing), ("sharing", sharing)) if v}
    return simulates(lambda size, *, rng, **case: simulate(size, rng=rng, **{**case, **changed}))


def _as_if(pairing: str, sharing: str) -> Any:
    """The formula of another row of the table."""
    return predicts(lambda alpha, n, **_: batch_factor(alpha, n, pairing, sharing))


POPULATION_FACTOR = predicts(lambda alpha, n, **_: mm.shrinkage(alpha))
SELF_PAIRS_OUT = _as_if("derangement", "batch")

BATCH_PERMUTATION = _batch_claim(
    "batch_permutation", "Within a batch: permutation, one lambda", r"\mathbb{E}[\tilde C] = s\,C",
    (("permutation", "batch"),), {"self-pairs left out": SELF_PAIRS_OUT,
                                  "derangement sampled": _instead(pairing="derangement"),
                                  "one lambda an element": _instead(sharing="element")},
    fails_when="lambda is drawn for each element, or self-pairs are excluded")
BATCH_DISTINCT = _batch_claim(
    "batch_distinct", "Within a batch: never oneself, one lambda",
    r"\mathbb{E}[\tilde C] = \Bigl(s - \frac{1 - s}{n - 1}\Bigr) C",
    (("roll", "batch"), ("flip", "batch"), ("flip", "pair"), ("derangement", "batch")),
    {"population factor": POPULATION_FACTOR,
     "n for n - 1": predicts(lambda alpha, n, **_: mm.shrinkage(alpha) - (1 - mm.shrinkage(alpha)) / n),
     "permutation sampled": simulates(lambda size, *, rng, alpha, n, **_: routes.simulate_batch(
         size, rng=rng, alpha=alpha, n=n, pairing="permutation", sharing="batch"))},
    fails_when="self-pairs are possible, or lambda is drawn for each element")
BATCH_INDEPENDENT = _batch_claim(
    "batch_independent", "Within a batch: partners with replacement, one lambda",
    r"\mathbb{E}[\tilde C] = \Bigl(s - \frac{s}{2n}\Bigr) C",
    (("independent", "batch"),), {"population factor": POPULATION_FACTOR,
                                  "permutation sampled": _instead(pairing="permutation")}, sizes=(4, 5),
    fails_when="partners come from outside the batch: then the factor is that of the population, with 1/(n - 1)")
BATCH_PERMUTATION_ELEMENT = _batch_claim(
    "batch_permutation_element", "Within a batch: permutation, a lambda each",
    r"\mathbb{E}[\tilde C] = \Bigl(s - \frac{s - 1/2}{n}\Bigr) C",
    (("permutation", "element"),), {"formula of one lambda a batch": _as_if("permutation", "batch"),
                                    "one lambda a batch sampled": _instead(sharing="batch")})
BATCH_DISTINCT_ELEMENT = _batch_claim(
    "batch_distinct_element", "Within a batch: never oneself, a lambda each",
    r"\mathbb{E}[\tilde C] = \Bigl(s - \frac{1}{2(n - 1)}\Bigr) C",
    (("roll", "element"), ("flip", "element"), ("derangement", "element")),
    {"formula of one lambda a batch": SELF_PAIRS_OUT, "population factor": POPULATION_FACTOR,
     "one lambda a batch sampled": _instead(sharing="batch")}, sizes=(4,))
BATCH_INDEPENDENT_ELEMENT = _batch_claim(
    "batch_independent_element", "Within a batch: with replacement, a lambda each",
    r"\mathbb{E}[\tilde C] = \Bigl(s - \frac{s - 1/4}{n}\Bigr) C",
    (("independent", "element"),), {"formula of one lambda a batch": _as_if("independent", "batch"),
                                    "permutation sampled": _instead(pairing="permutation")}, sizes=(4,))
BATCH_MEAN = _batch_claim(
    "batch_mean", "One lambda keeps the batch mean exactly", r"\tilde m = m",
    (("permutation", "batch"), ("roll", "batch"), ("flip", "pair"), ("derangement", "batch")),
    {"noise of a lambda each": predicts(lambda alpha, n, **_: batch_mean_noise(alpha, n, "permutation", "element")),
     "one lambda an element": _instead(sharing="element", mean_only=True)}, mean_only=True,
    fails_when="lambda is drawn for each element, or partners are drawn with replacement")
BATCH_MEAN_ELEMENT = _batch_claim(
    "batch_mean_element", "A lambda each moves the batch mean",
    r"\operatorname{Cov}(\tilde m) = \frac{2v}{n - 1}\,C,\quad 2v = s - \tfrac12",
    (("roll", "element"), ("flip", "element"), ("derangement", "element")),
    {"n for n - 1": predicts(lambda alpha, n, **_: batch_mean_noise(alpha, n, "permutation", "element")),
     "no noise": predicts(lambda alpha, n, **_: 0 * mm.shrinkage(alpha)),
     "one lambda a batch sampled": _instead(sharing="batch", mean_only=True)}, sizes=(4,), mean_only=True)
BATCH_MEAN_PERMUTATION_ELEMENT = _batch_claim(
    "batch_mean_permutation_element", "A lambda each moves the batch mean, with self-pairs",
    r"\operatorname{Cov}(\tilde m) = \frac{2v}{n}\,C",
    (("permutation", "element"),),
    {"n - 1 for n": predicts(lambda alpha, n, **_: batch_mean_noise(alpha, n, "roll", "element")),
     "one lambda a batch sampled": _instead(sharing="batch", mean_only=True)}, sizes=(4,), mean_only=True)


# ---- fluctuation from batch to batch -----------------------------------------------------------------------------

def cross_mean(n: Any, pairing: str) -> Any:
    """e_1 = E[P]/C: 0 for a permutation, -1/(n - 1) for roll and flip. n >= 2; dimensionless."""
    _check_scheme(n, pairing, "batch")
    return 0 * n if pairing == "permutation" else -1 / (n - 1)


def cross_second(n: Any, k: Any, g: Any, pairing: str) -> Any:
    """e_2 = E[(tr P / tr C)^2] over random orders of a fixed batch.

    Args:
        n: batch size, at least 2 (roll: 3; flip: even, at least 4).
        k: mean |c|^4 / (tr C)^2 of the batch, the kurtosis of a scalar feature.
        g: tr(C^2) / (tr C)^2, between 1/d and 1; 1 for a scalar feature.
        pairing: permutation, roll or flip.

    Returns:
        Dimensionless.

    Raises:
        DomainError: n too small or odd for the pairing; k or g that no batch of n can have (one outlier among n
            has the largest possible k, n - 2 + 1/(n - 1)).
    """
    check_member(pairing, ("permutation", "roll", "flip"), "pairing")
    check_count(n, least={"permutation": 2, "roll": 3, "flip": 4}[pairing],
                even="flip pairs example i with n - 1 - i" if pairing == "flip" else None)
    if not is_symbolic(n, k, g) and not (1 - 1e-9 <= k <= n - 2 + 1 / (n - 1) + 1e-9 and 0 < g <= 1 + 1e-9):
        raise DomainError(f"k = {k}, g = {g} with n = {n}: no batch has them; 1 <= k <= n - 2 + 1/(n - 1), 0 < g <= 1")
    if pairing == "permutation":
        return g / (n - 1)
    if pairing == "roll":
        return (g * (n - 2) + 1 - k) / ((n - 1) * (n - 2))
    return (2 * g * (n - 2) + 1 - 2 * k) / ((n - 1) * (n - 3))


def fluctuation(alpha: Any, n: Any, k: Any, g: Any, pairing: str) -> Any:
    """Variance over batches of tr C~ / tr C for a fixed batch, one lambda a batch.

    E S^2 + 4 E[S u] e_1 + 4 E[u^2] e_2 - (s + 2 E[u] e_1)^2. Arguments as `cross_second`; alpha in [0, inf].
    """
    u, u2 = mm.mean_product(alpha), mm.product_square(alpha)
    e1, e2 = cross_mean(n, pairing), cross_second(n, k, g, pairing)
    return (mm.shrinkage_square(alpha) + 4 * (u - 2 * u2) * e1 + 4 * u2 * e2
            - (mm.shrinkage(alpha) + 2 * u * e1)**2)


def fluctuation_limit(alpha: Any, n: Any, pairing: str) -> Any:
    """Its limit for large n: V_S, with coefficient of variation sqrt(V_S)/s; n and the pairing do not matter."""
    _check_scheme(n, pairing, "batch")
    return mm.shrinkage_variance(alpha) + 0 * n


def pairing_noise(n: Any, pairing: str) -> Any:
    """n Var(P) for independent standard normal examples: 1 for roll (n >= 3), 2 for flip (each product twice)."""
    check_member(pairing, ("roll", "flip"), "pairing")
    check_count(n, least=3 if pairing == "roll" else 2,
                even="flip pairs example i with n - 1 - i" if pairing == "flip" else None)
    return (1 if pairing == "roll" else 2) + 0 * n


def gaussian_batch(alpha: Any, n: Any, sigma: Any) -> Any:
    """E[C~^2] of the unbiased variance of a mixed Gaussian batch, permutation, one lambda.

    sigma^4 (1 + 2/(n - 1)) (E S^2 + 4 E u^2/(n - 1)). sigma: standard deviation; n >= 2; fourth power of its unit.
    """
    check_count(n)
    return (sigma**4 * (1 + 2 / (n - 1)) * (mm.shrinkage_square(alpha) + 4 * mm.product_square(alpha) / (n - 1)))


def mirror_sum(first: Any, second: Any) -> Any:
    """x~_i + x~_{n-1-i} = x_i + x_{n-1-i} under flip with a common lambda: mirror images about the midpoint."""
    return first + second


K, G = sp.symbols("k g", positive=True)
PATTERNS = {        # sums over (i, j) of (c_i . c_pi(i)) (c_j . c_pi(j)): how often two factors overlap, n terms a row
    "roll": (1, 2, N - 3),          # the same pair; pairs that share one example; disjoint pairs
    "flip": (2, 0, N - 2)}


def _dot_products(links: tuple[tuple[int, int], ...], size: int) -> DistinctMean:
    """Mean over distinct members of (c_a . c_b)(c_p . c_q) for links ((a, b), (p, q)), with sum c = 0, tr C = 1."""
    ends = [end for link in links for end in link]

    def unrestricted(blocks: list[list[int]]) -> sp.Expr:
        owner = {p: i for i, block in enumerate(blocks) for p in block}
        weights = [sum(owner[e] == i for e in ends) for i in range(len(blocks))]
        if 1 in weights:
            return sp.S.Zero                            # a member that occurs once sums to 0
        if len(blocks) == 1:
            return N * K
        return N**2 if all(owner[a] == owner[b] for a, b in links) else N**2 * G

    tex = "".join(rf"(c_{a + 1}\!\cdot c_{b + 1})" for a, b in links)
    return DistinctMean(rf"\overline{{{tex}}}", size, N, unrestricted)


def derive_cross_second(pairing: str) -> Derivation:
    """Overlap patterns of two products, each a mean over distinct members of the batch."""
    same = _dot_products(((0, 1), (0, 1)), 2)
    name = r"\mathbb{E}[(\operatorname{tr}P/\operatorname{tr}C)^2]"
    parameters = {"n": N, "k": K, "g": G, "pairing": pairing}
    if pairing == "permutation":
        d = Derivation(name, sp.Symbol(r"\operatorname{Var}\bigl(\sum_i a_{i\pi(i)}\bigr)/n^2"), parameters)
        d = d.appeal((N * (N - 1) * same + N * K) / (N**2 * (N - 1)), "the variance of a permutation sum is "
                     "$\\sum_{ij} a_{ij}^2/(n-1)$ for the doubly centred $a_{ij} = c_i\\cdot c_j$ (Hoeffding 1951)")
        return d.equals(cross_second(N, K, G, pairing), "mean over distinct members, by set partitions")
    once, twice, apart = PATTERNS[pairing]
    shared, disjoint = _dot_products(((0, 1), (1, 2)), 3), _dot_products(((0, 1), (2, 3)), 4)
    d = Derivation(name, (once * same + twice * shared + apart * disjoint) / N, parameters)
    return d.equals(cross_second(N, K, G, pairing),
                    "two products share a pair, an example or nothing; means over distinct members by set partitions")


def derive_fluctuation(pairing: str) -> Derivation:
    """C~ = S C + 2 u P, with the moments of P over orders."""
    p = sp.Symbol("p", real=True)
    laws = scalar(p, cross_mean(N, pairing), cross_second(N, K, G, pairing)), beta(LAM, ALPHA)
    ratio = LAM**2 + (1 - LAM)**2 + 2 * LAM * (1 - LAM) * p
    d = Derivation(r"\operatorname{Var}(\tilde C/C)", Mean(ratio**2, *laws) - Mean(ratio, *laws)**2,
                   {"alpha": ALPHA, "n": N, "k": K, "g": G, "pairing": pairing})
    S, u = LAM**2 + (1 - LAM)**2, LAM * (1 - LAM)
    e1, e2 = cross_mean(N, pairing), cross_second(N, K, G, pairing)
    d = d.equals(Mean(S**2, laws[1]) + 4 * e1 * Mean(S * u, laws[1]) + 4 * e2 * Mean(u**2, laws[1])
                 - (Mean(S, laws[1]) + 2 * e1 * Mean(u, laws[1]))**2,
                 "$p = \\operatorname{tr}P/\\operatorname{tr}C$ has moments $e_1$ and $e_2$",
                 claim=f"covariance.cross_{pairing}")
    d = d.equals(Mean(S**2, laws[1]) + 4 * e1 * Mean(S * u, laws[1]) + 4 * e2 * Mean(u**2, laws[1])
                 - (mm.shrinkage(ALPHA) + 2 * e1 * Mean(u, laws[1]))**2, "$\\mathbb{E}\\,S = s$", claim=S_SHRINK)
    return d.equals(fluctuation(ALPHA, N, K, G, pairing), "the other moments of $\\lambda$",
                    claim="mixing_moments.shrinkage_square")


def derive_fluctuation_limit() -> Derivation:
    """n to infinity in the formula for roll."""
    d = Derivation(r"\lim_{n\to\infty}\operatorname{Var}(\tilde C/C)",
                   sp.limit(fluctuation(ALPHA, N, K, G, "roll"), N, sp.oo),
                   {"alpha": ALPHA, "n": N, "pairing": "roll"})
    return d.equals(mm.shrinkage_variance(ALPHA), "$e_1$ and $e_2$ vanish like $1/n$; $\\mathbb{E}S^2 - s^2 = V_S$",
                    claim="covariance.fluctuation_roll")


def derive_pairing_noise() -> Derivation:
    """Roll: only the same pair contributes."""
    x = sp.symbols("x_1:5", real=True)
    laws = [scalar(xi, 0, 1) for xi in x]
    once, twice, apart = PATTERNS["roll"]
    d = Derivation(r"n\operatorname{Var}(P)", once * Mean(x[0]**2 * x[1]**2, *laws[:2])
                   + twice * Mean(x[0] * x[1]**2 * x[2], *laws[:3])
                   + apart * Mean(x[0] * x[1] * x[2] * x[3], *laws), {"n": N, "pairing": "roll"})
    return d.equals(pairing_noise(N, "roll"), "products that share fewer than two examples have mean 0")


def derive_gaussian_batch() -> Derivation:
    """(n - 1) C / sigma^2 is chi-squared with n - 1 degrees of freedom."""
    sd, q, p = sp.Symbol("sigma", positive=True), sp.Symbol("Q", positive=True), sp.Symbol("p", real=True)
    chi = scalar(q, N - 1, (N - 1) * (N + 1))
    laws = scalar(p, cross_mean(N, "permutation"), cross_second(N, K, 1, "permutation")), beta(LAM, ALPHA)
    ratio = LAM**2 + (1 - LAM)**2 + 2 * LAM * (1 - LAM) * p
    d = Derivation(r"\mathbb{E}[\tilde C^2]", Mean((sd**2 * q / (N - 1))**2, chi) * Mean(ratio**2, *laws),
                   {"alpha": ALPHA, "n": N, "sigma": sd})
    return d.equals(gaussian_batch(ALPHA, N, sd), "the ratio $\\tilde C/C$ has the same mean square for every batch",
                    claim="covariance.cross_permutation")


def derive_mirror_sum() -> Derivation:
    x1, x2 = sp.symbols("x_i x_j", real=True)
    d = Derivation(r"\tilde x_i + \tilde x_j", blend(LAM, x1, x2) + blend(LAM, x2, x1), {"first": x1, "second": x2})
    return d.equals(mirror_sum(x1, x2), "the two weights of each example sum to 1")


def _fluctuation_claims(pairing: str, sizes: tuple[int, ...], other: str) -> None:
    """The pairing's e_2 and the variance that rests on it."""
    data = tuple({"n": n, **routes.shape_of(n, d)} for n in sizes for d in (1, 2))
    Claim(
        id=f"covariance.cross_{pairing}", title=f"Second moment of the cross term: {pairing}",
        statement={"permutation": r"e_2 = \frac{g}{n-1}", "roll": r"e_2 = \frac{g(n-2) + 1 - k}{(n-1)(n-2)}",
                   "flip": r"e_2 = \frac{2g(n-2) + 1 - 2k}{(n-1)(n-3)}"}[pairing],
        assumptions=("a fixed batch in random order", r"$g = \operatorname{tr}C^2/(\operatorname{tr}C)^2$, "
                     r"$k = \overline{|c|^4}/(\operatorname{tr}C)^2$; a scalar feature has $g = 1$"),
        predict=cross_second, derive=lambda: derive_cross_second(pairing), exact=routes.exact_cross_second,
        simulate=routes.simulate_cross_second, tolerance=1e-12,
        cases=tuple({**case, "pairing": pairing} for case in data),
        wrong={f"formula of {other}": predicts(lambda n, k, g, pairing: cross_second(n, k, g, other)),
               "kurtosis taken as 1": predicts(lambda n, k, g, pairing: cross_second(n, 1 + 0 * k, g, pairing))
               if pairing != "permutation" else predicts(lambda n, k, g, pairing: g / n)})
    Claim(
        id=f"covariance.fluctuation_{pairing}", title=f"How the batch covariance fluctuates: {pairing}",
        statement=r"\operatorname{Var}\frac{\tilde C}{C} = \mathbb{E}S^2 + 4\,\mathbb{E}[Su]\,e_1 + "
                  r"4\,\mathbb{E}[u^2]\,e_2 - (s + 2\,\mathbb{E}[u]\,e_1)^2",
        assumptions=("one lambda a batch", "a fixed batch in random order"),
        fails_when="lambda is drawn for each element: then the variance vanishes like 1/n",
        predict=fluctuation, derive=lambda: derive_fluctuation(pairing), exact=routes.exact_fluctuation,
        simulate=routes.simulate_fluctuation, scale=lambda prediction, **case: 0.02, tolerance=1e-11,
        cases=tuple({"alpha": alpha, **case, "pairing": pairing} for alpha in (0.2, 1.0, 4.2) for case in data),
        wrong={"s^2 for E S^2": predicts(lambda alpha, n, k, g, pairing: fluctuation(alpha, n, k, g, pairing)
                                         - mm.shrinkage_variance(alpha)),
               "only the spread of S": predicts(lambda alpha, n, k, g, pairing: mm.shrinkage_variance(alpha)),
               "a lambda each": simulates(routes.simulate_fluctuation_element)},
        resolution=0.1, experiment="covariance")


_fluctuation_claims("permutation", (4, 5), "roll")
_fluctuation_claims("roll", (4, 5), "permutation")
_fluctuation_claims("flip", (4, 6), "roll")

FLUCTUATION_LIMIT = Claim(
    id="covariance.fluctuation_limit", title="One lambda a batch: the fluctuation never dies",
    statement=r"\operatorname{Var}\frac{\tilde C}{C} \to V_S = \frac{\alpha}{(2\alpha+1)^2(2\alpha+3)} "
              r"\quad(n\to\infty)",
    kind="asymptotic", along=("n", -1), assumptions=("one lambda a batch",),
    fails_when="lambda is drawn for each element",
    predict=fluctuation_limit, derive=derive_fluctuation_limit, simulate=routes.simulate_fluctuation_in_n,
    exact=routes.exact_fluctuation_rademacher, scale=lambda prediction, alpha, n, pairing: prediction,
    cases=cases(alpha=(0.37, 1.0), n=(16, 32, 64, 128), pairing=("permutation", "roll")), resolution=0.25,
    wrong={"zero: it averages out": predicts(lambda alpha, n, pairing: 0 * alpha * n),
           "a lambda each": simulates(routes.simulate_fluctuation_in_n_element)}, experiment="covariance")

PAIRING_NOISE = Claim(
    id="covariance.pairing_noise", title="flip has twice the pairing noise of roll",
    statement=r"n\operatorname{Var}(P) = 1\ (\text{roll}),\quad 2\ (\text{flip})",
    assumptions=("independent standard examples", "roll: n at least 3 (for n = 2 roll is flip)"),
    predict=pairing_noise, derive=derive_pairing_noise, exact=routes.exact_pairing_noise,
    simulate=routes.simulate_pairing_noise,
    cases=(*cases(n=(3, 4, 8), pairing="roll"), *cases(n=(2, 4, 8), pairing="flip")),
    wrong={"one for both": predicts(lambda n, pairing: 1 + 0 * n, symbolic=False),
           "n - 1 for n": predicts(lambda n, pairing: pairing_noise(n, pairing) * (n - 1) / n)})

GAUSSIAN_BATCH = Claim(
    id="covariance.gaussian_batch", title="Mean square of a mixed Gaussian batch variance",
    statement=r"\mathbb{E}[\tilde C^2] = \sigma^4\Bigl(1+\tfrac{2}{n-1}\Bigr)"
              r"\Bigl(\mathbb{E}S^2 + \tfrac{4\,\mathbb{E}u^2}{n-1}\Bigr)",
    assumptions=("Gaussian examples", "uniform permutation, one lambda", "variance with 1/(n - 1)"),
    predict=gaussian_batch, derive=derive_gaussian_batch, exact=routes.exact_gaussian_batch,
    simulate=routes.simulate_gaussian_batch, cases=cases(alpha=(0.2, 1.0, 4.2), n=(3, 4), sigma=1.1),
    wrong={"s^2 for E S^2": predicts(lambda alpha, n, sigma: sigma**4 * (1 + 2 / (n - 1)) * (
               mm.shrinkage(alpha)**2 + 4 * mm.product_square(alpha) / (n - 1))),
           "no pairing noise": predicts(lambda alpha, n, sigma: sigma**4 * (1 + 2 / (n - 1))
                                        * mm.shrinkage_square(alpha))})

FLIP_MIRROR = Claim(
    id="covariance.flip_mirror", title="flip gives mirror images, not duplicates",
    statement=r"\tilde x_i + \tilde x_{n-1-i} = x_i + x_{n-1-i}",
    assumptions=("flip pairing", "the pair shares lambda"),
    fails_when="lambda is drawn for each element; the two points coincide only at lambda = 1/2",
    predict=mirror_sum, derive=derive_mirror_sum, exact=routes.exact_mirror_sum, tolerance=1e-14,
    cases=cases(first=np.array([1.0, -0.3]), second=np.array([0.2, 2.0])),
    wrong={"duplicates": predicts(lambda first, second: 2 * first)})
