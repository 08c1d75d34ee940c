"""Label smoothing matched to mixup, by quadrature of the mixed labels themselves and by sampling them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from mixtheory.theory.labels_smoothing import smoothing_by_entropy, smoothing_by_mean


def smoothed(epsilon, K):
    p = np.full(K, epsilon / K)
    p[0] += 1 - epsilon
    return p



@pytest.mark.parametrize("K", [2, 3, 10])
@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.7])
def test_smoothing(alpha, K):
    """Expected own weight, counting max, and expected entropy of lambda e_i + (1 - lambda) e_j, by quadrature."""
    density = stats.beta(alpha, alpha).pdf

    def mean(h):
        """Over lambda in (0, 1/2), twice, with lambda = v^(1/alpha) where the density has its singularity."""
        return 2 * integrate.quad(lambda v: h(lam := v ** (1 / alpha)) * density(lam) * lam / (alpha * v), 0,
                                  0.5**alpha, epsabs=1e-13, limit=200)[0]
    own = 1 / K + (1 - 1 / K) * mean(lambda lam: 1 - lam)
    assert smoothed(float(smoothing_by_mean(alpha)), K)[0] == pytest.approx(own, rel=1e-8)
    entropy = (1 - 1 / K) * mean(lambda lam: special.entr(lam) + special.entr(1 - lam))
    found = smoothed(smoothing_by_entropy(alpha, K), K)
    assert special.entr(found).sum() == pytest.approx(entropy, rel=1e-8)
    assert special.entr(found).sum() != pytest.approx(entropy * K / (K - 1), rel=1e-2)     # self-pairs forgotten


def test_smoothing_by_sampling():
    rng = np.random.default_rng(0)
    lam, y = rng.beta(0.5, 0.5, 200_000), rng.integers(4, size=(2, 200_000))
    labels = np.zeros((200_000, 4))
    np.add.at(labels, (np.arange(200_000), y[0]), lam)
    np.add.at(labels, (np.arange(200_000), y[1]), 1 - lam)
    entropy = special.entr(labels).sum(1)
    se = entropy.std() / math.sqrt(len(lam))
    assert special.entr(smoothed(smoothing_by_entropy(0.5, 4), 4)).sum() == pytest.approx(
        entropy.mean(), abs=5 * se)


def test_smoothing_at_the_limits():
    assert smoothing_by_mean(0) == smoothing_by_entropy(0, 10) == 0
    assert smoothing_by_mean(float("inf")) == 0.5
    limit = smoothing_by_entropy(float("inf"), 10)
    assert special.entr(smoothed(limit, 10)).sum() == pytest.approx(0.9 * math.log(2), rel=1e-12)
    assert smoothing_by_entropy(1e6, 10) == pytest.approx(limit, rel=1e-5)
