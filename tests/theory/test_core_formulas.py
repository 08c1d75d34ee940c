"""The core formulas, typed once more, against the expectation calculus, fresh integrals and plain counting.

The calculus must give the typed formula, the typed formula must agree with an integral or an enumeration made
on the spot, and the package must say the same.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sympy as sp

from mixtheory.evidence import beta, expect, scalar, without_replacement
from mixtheory.evidence.derivation import equal
from mixtheory.theory import covariance as cov
from mixtheory.theory import covariance_batch as batch
from mixtheory.theory import mixing_moments as mm

A, LAM = sp.symbols("alpha lambda", positive=True)
N = sp.Symbol("n", integer=True, positive=True)
K, KAPPA, C = sp.symbols("k kappa C", positive=True)
S, U = LAM**2 + (1 - LAM) ** 2, LAM * (1 - LAM)

SHRINK = (A + 1) / (2 * A + 1)
S_SQUARE = (A**2 + 3 * A + 3) / ((2 * A + 1) * (2 * A + 3))
V_S = A / ((2 * A + 1) ** 2 * (2 * A + 3))
Q4 = (A + 2) * (A + 3) / (2 * (2 * A + 1) * (2 * A + 3))
U_SQUARE = A * (A + 1) / (4 * (2 * A + 1) * (2 * A + 3))
MOMENTS = {
    "s": (S, SHRINK, mm.shrinkage),
    "E S^2": (S**2, S_SQUARE, mm.shrinkage_square),
    "q4": (LAM**4 + (1 - LAM) ** 4, Q4, mm.fourth),
    "E u^2": (U**2, U_SQUARE, mm.product_square),
}


def integral(h, alpha):
    """E h(lambda) under Beta(alpha, alpha) for a whole alpha, by integrating a polynomial."""
    density = sp.expand(LAM ** (alpha - 1) * (1 - LAM) ** (alpha - 1))
    return sp.integrate(sp.expand(h * density), (LAM, 0, 1)) / sp.integrate(density, (LAM, 0, 1))


@pytest.mark.parametrize("name", MOMENTS)
def test_moments(name):
    """Rational functions of degree 2 that agree at nine points are equal."""
    h, typed, predict = MOMENTS[name]
    assert sp.cancel(expect(h, beta(LAM, A)) - typed) == 0
    assert all(typed.subs(A, k) == integral(h, k) for k in range(1, 10))
    assert sp.cancel(predict(A) - typed) == 0


def test_variance_of_s():
    computed = expect(S**2, beta(LAM, A)) - expect(S, beta(LAM, A)) ** 2
    assert sp.cancel(computed - V_S) == 0
    assert all(V_S.subs(A, k) == integral(S**2, k) - integral(S, k) ** 2 for k in range(1, 10))
    assert sp.cancel(mm.shrinkage_variance(A) - V_S) == 0


def test_kurtosis_law():
    x1, x2, mu3 = sp.symbols("x_1 x_2 mu_3")
    mixed = LAM * x1 + (1 - LAM) * x2
    laws = [scalar(x, 0, 1, mu3, KAPPA) for x in (x1, x2)]
    computed = expect(mixed**4, *laws, beta(LAM, A)) / expect(mixed**2, *laws, beta(LAM, A)) ** 2
    typed = (KAPPA * Q4 + 6 * U_SQUARE) / SHRINK**2
    assert sp.cancel(computed - typed) == 0
    assert sp.cancel(cov.kurtosis(A, KAPPA) - typed) == 0


# ---- within a batch ----------------------------------------------------------------------------------------

HALF, QUARTER = sp.Rational(1, 2), sp.Rational(1, 4)
FACTORS = {
    ("independent", "batch"): SHRINK - SHRINK / (2 * N),
    ("independent", "element"): SHRINK - (SHRINK - QUARTER) / N,
    ("permutation", "batch"): SHRINK,
    ("permutation", "element"): SHRINK - (SHRINK - HALF) / N,
    **{(p, "batch"): SHRINK - (1 - SHRINK) / (N - 1) for p in ("roll", "flip", "derangement")},
    **{(p, "element"): SHRINK - HALF / (N - 1) for p in ("roll", "flip", "derangement")},
    ("flip", "pair"): SHRINK - (1 - SHRINK) / (N - 1),
}
schemes = pytest.mark.parametrize(("pairing", "sharing"), FACTORS, ids=lambda word: word)


@schemes
def test_the_calculus_gives_every_batch_factor(pairing, sharing):
    derivation = batch._derive_batch(pairing, sharing, False)
    assert equal(derivation.start, FACTORS[pairing, sharing])
    assert not equal(derivation.start, FACTORS[pairing, sharing] + 1 / N**3)
    assert equal(batch.batch_factor(A, N, pairing, sharing), FACTORS[pairing, sharing])


def vectors(pairing, n):
    """Pairs (order of the batch, partner of each position), all equally likely."""
    positions = range(n)
    if pairing == "independent":
        return [(tuple(positions), p) for p in itertools.product(positions, repeat=n)]
    orders = list(itertools.permutations(positions))
    if pairing in ("roll", "flip"):
        fixed = tuple((i - 1) % n if pairing == "roll" else n - 1 - i for i in positions)
        return [(order, fixed) for order in orders]
    return [
        (tuple(positions), p) for p in orders if pairing == "permutation" or all(p[i] != i for i in positions)
    ]


def weights(sharing, n, alpha):
    """Rows (probability, lam) for the weights of a batch: Gauss-Legendre nodes, polynomial density."""
    t, w = np.polynomial.legendre.leggauss(alpha + 1 + (sharing != "element"))
    lam, w = (t + 1) / 2, w * ((1 - t**2) / 4) ** (alpha - 1)
    w = w / w.sum()
    free = {"batch": 1, "pair": n // 2, "element": n}[sharing]
    for choice in itertools.product(range(len(lam)), repeat=free):
        row = [choice[{"batch": 0, "pair": min(i, n - 1 - i), "element": i}[sharing]] for i in range(n)]
        yield np.prod(w[list(choice)]), lam[row]


def enumerated(pairing, sharing, n, alpha, x):
    """E of the within-batch variance after mixing, and of the squared motion of the batch mean."""
    order, partner = map(np.array, zip(*vectors(pairing, n), strict=True))
    own = x[order]
    other = np.take_along_axis(own, partner, axis=1)
    variance = motion = 0.0
    for probability, lam in weights(sharing, n, alpha):
        mixed = lam * own + (1 - lam) * other
        mean = mixed.mean(axis=1)
        variance += probability * ((mixed**2).mean(axis=1) - mean**2).mean()
        motion += probability * (mean**2).mean()
    return variance, motion


SIZED = [(*scheme, n) for scheme in FACTORS for n in (4, 5, 6) if scheme[0] != "flip" or n % 2 == 0]


@pytest.mark.parametrize(("pairing", "sharing", "n"), SIZED)
def test_enumeration_agrees_with_the_batch_factors(pairing, sharing, n):
    x = np.array([3.1, -1.0, 0.4, 0.0, 2.2, -0.7][:n])
    x = x - x.mean()
    for alpha in (1,) if sharing == "element" or (pairing, n) == ("independent", 6) else (1, 2):
        variance, motion = enumerated(pairing, sharing, n, alpha, x)
        typed = float(FACTORS[pairing, sharing].subs({A: alpha, N: n}))
        assert variance / x.var() == pytest.approx(typed, abs=1e-12)
        assert motion / x.var() == pytest.approx(
            batch.batch_mean_noise(float(alpha), n, pairing, sharing), abs=1e-12
        )


# ---- the cross term ----------------------------------------------------------------------------------------

E1 = {"permutation": 0 * N, "roll": -1 / (N - 1), "flip": -1 / (N - 1)}
E2 = {
    "permutation": 1 / (N - 1),
    "roll": (N - 1 - K) / ((N - 1) * (N - 2)),
    "flip": (2 * (N - 2) + 1 - 2 * K) / ((N - 1) * (N - 3)),
}


def distinct(*powers):
    """E[c_1^p1 c_2^p2 ...] over distinct members of a centred batch with C = 1 and kurtosis k."""
    sums = {1: 0, 2: N, 3: sp.Symbol("p_3"), 4: N * K}
    return without_replacement(powers, N, sums.__getitem__)


def test_e1_and_e2_with_symbolic_n():
    """(sum_i c_i c_pi(i))^2 / n^2: the same pair, pairs that share an example, disjoint pairs."""
    assert sp.cancel(distinct(1, 1) - E1["roll"]) == 0
    same, shared, apart = distinct(2, 2), distinct(1, 2, 1), distinct(1, 1, 1, 1)
    computed = {
        "permutation": (N * 1 + N * (N - 1) * distinct(1, 1) ** 2) / N**2,
        "roll": (N * same + 2 * N * shared + N * (N - 3) * apart) / N**2,
        "flip": (2 * N * same + N * (N - 2) * apart) / N**2,
    }
    for pairing, typed in E2.items():
        assert sp.cancel(computed[pairing] - typed) == 0, pairing
        assert sp.cancel(batch.cross_second(N, K, 1, pairing) - typed) == 0
        assert sp.cancel(batch.cross_mean(N, pairing) - E1[pairing]) == 0


@pytest.mark.parametrize(
    ("pairing", "n"), [(p, n) for p in E2 for n in (4, 5, 6) if p != "flip" or n % 2 == 0]
)
def test_enumeration_agrees_with_e1_and_e2(pairing, n):
    x = np.array([3.1, -1.0, 0.4, 0.0, 2.2, -0.7][:n])
    x = (x - x.mean()) / x.std()
    cross = [np.mean([x[order[i]] * x[order[p[i]]] for i in range(n)]) for order, p in vectors(pairing, n)]
    at = {N: n, K: np.mean(x**4)}
    assert np.mean(cross) == pytest.approx(float(E1[pairing].subs(at)), abs=1e-12)
    assert np.mean(np.square(cross)) == pytest.approx(float(E2[pairing].subs(at)), abs=1e-12)
