"""Second moments of mixed data."""

from __future__ import annotations

import sympy as sp
import numpy as np
from typing import Any
from mixtheory.evidence import Claim, Derivation, Mean, beta, cases, centred, predicts, simulates
from mixtheory.mixing import elementary, symmetric
from mixtheory.mixup import blend
from mixtheory.domain import check_covariance
from mixtheory.theory import mixing_moments as mm

SKEWED = np.array([[2.0, 0.9], [0.9, 0.7]])

def covariance(alpha: Any, Sigma: Any) -> Any:
    """Cov(x~) = s Sigma."""
    return mm.shrinkage(alpha) * check_covariance(Sigma)


def derive_covariance() -> Derivation:
    alpha, lam = mm.ALPHA, mm.LAM
    x1, x2, z1, z2 = sp.symbols("x_1j x_1k x_2j x_2k", real=True)
    S = sp.Symbol("Sigma_jk")
    Sj, Sk = sp.symbols("Sigma_jj Sigma_kk")
    cov = [[Sj, S], [S, Sk]]
    laws = centred((x1, x2), cov), centred((z1, z2), cov), beta(lam, alpha)
    d = Derivation(r"\operatorname{Cov}(\tilde x_j, \tilde x_k)", Mean(blend(lam, x1, z1) * blend(lam, x2, z2), *laws), dict(alpha=alpha, Sigma=S))
    d = d.equals(Mean(lam**2+(1-lam)**2, laws[2]) * S, "independent")
    return d.equals(mm.shrinkage(alpha) * S, "shrinkage", claim="mixing_moments.shrinkage")


def draw(size, *, rng, Sigma):
    """Skewed, correlated, mean not zero."""
    L = np.linalg.cholesky(Sigma)
    return 3.0 + (rng.exponential(size=(size, len(Sigma))) - 1) @ L.T

def simulate(size, *, rng, alpha, Sigma):
    def mixed():
        lam = symmetric(alpha).sample((size,1), rng=rng)
        return blend(lam, draw(size, rng=rng, Sigma=Sigma), draw(size, rng=rng, Sigma=Sigma))
    d = mixed() - mixed()
    return d[:, :, None]*d[:, None, :]/2

def torn(size, *, rng, alpha, Sigma):
    def mixed():
        lam = symmetric(alpha).sample((size,1), rng=rng)
        x = draw(size, rng=rng, Sigma=Sigma)
        return blend(lam, x, rng.permuted(draw(size, rng=rng, Sigma=Sigma), axis=0))
    d = mixed() - mixed()
    return d[:, :, None]*d[:, None, :]/2

POPULATION = Claim(
    id="covariance.population", title="x", statement=r"\operatorname{Cov}(\tilde x) = s\,\Sigma",
    predict=covariance, derive=derive_covariance, simulate=simulate,
    cases=cases(alpha=(0.0, 0.1, 0.37, 1.0, 4.2, np.inf), Sigma=SKEWED),
    wrong={"no shrinkage": predicts(lambda alpha, Sigma: Sigma), "torn": simulates(torn)})
