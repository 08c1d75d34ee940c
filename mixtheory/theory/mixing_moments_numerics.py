r"""The numerical side of the law of lambda: enough quadrature nodes, the cost of a kink, what float32 does.

Claims of the chapter `mixing_moments`; seen on a grid against mpmath, not proved.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import sympy as sp
from scipy import special

from mixtheory.domain import check_count, check_positive
from mixtheory.evidence import Claim, cases, predicts, simulates
from mixtheory.mixing import Beta
from mixtheory.theory import _mixing_moments_routes as routes
from mixtheory.theory import mixing_moments as mm

__all__ = ["float32_clamp", "kink_cost", "quadrature_kink", "quadrature_smooth", "torch_half"]

LAM = mm.LAM
TINY, TINIEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float64).tiny)
SMOOTH = ((sp.exp(LAM), 8), (1 / mm.S, 24), (sp.exp(-((4 * LAM - sp.Rational(6, 5)) ** 2) / 2), 32),
          (1 / (1 + sp.exp(6 - 12 * LAM)), 32), (1 / (1 + sp.exp(30 - 60 * LAM)), 256))
ALPHAS = (0.01, 0.37, 1.0, 4.2)


def _numeric(h: sp.Expr) -> Any:
    return sp.lambdify(LAM, h, "numpy")


def quadrature_smooth(alpha: float, h: sp.Expr, nodes: int) -> float:
    """E h(lambda) by one Gauss-Jacobi rule, in units of h; right to 1e-12 in the cases of the claim.

    Args:
        alpha: in (0, inf).
        h: expression in LAM, analytic near [0, 1].
        nodes: 8 for exp, 24 for 1/S, 32 for a Gaussian density at separation 4 or a sigmoid of slope 12,
            256 for one of slope 60.

    Raises:
        DomainError: alpha not positive and finite, nodes < 1.

    Source: Golub and Welsch (1969): the rule from an eigenvalue problem, accurate for small alpha too.
    """
    return float(Beta(alpha, alpha).expect(_numeric(h), nodes=nodes))


def _legendre(alpha: float, h: sp.Expr, nodes: int) -> float:
    """Wrong on purpose: the density treated as a smooth factor."""
    t, w = special.roots_legendre(nodes)
    p = (1 + t) / 2
    density = np.exp(special.xlogy(alpha - 1, p * (1 - p)) - special.betaln(alpha, alpha))
    return float(np.sum(w / 2 * density * _numeric(h)(p)))


def _smooth_oracle(alpha: float, h: sp.Expr, nodes: int) -> float:
    f = sp.lambdify(LAM, h, "mpmath")
    return routes.oracle(lambda x, y: f(x), alpha, alpha, splits=(0.3, 0.4, 0.6, 0.7))


Claim(
    id="mixing_moments.quadrature_smooth", title="How many nodes a smooth integrand needs", kind="numerical",
    statement=r"\left|\sum_{i=1}^n w_i\,h(\lambda_i) - \mathbb{E}\,h\right| \le 10^{-12}\max|\mathbb{E}\,h| "
              r"\text{ for the listed } h \text{ and } n",
    assumptions=("$h$ is analytic near $[0, 1]$; steeper functions need more nodes",),
    fails_when="$h$ has a kink, or a logarithm at an end",
    predict=quadrature_smooth, exact=_smooth_oracle, tolerance=1e-12,
    cases=tuple({"alpha": alpha, "h": h, "nodes": n} for h, n in SMOOTH for alpha in ALPHAS),
    wrong={"half the nodes": predicts(lambda alpha, h, nodes: quadrature_smooth(alpha, h, nodes // 2),
                                      symbolic=False),
           "Legendre nodes": predicts(_legendre, symbolic=False)},
    references=("golub1969: section 2 (from memory)", "dlmf: 18.9 (from memory)"))


def quadrature_kink(alpha: float, kink: float, nodes: int) -> float:
    """E|lambda - kink| with the kink declared: the rule is split there, and 16 nodes a piece reach 1e-12.

    Args:
        alpha: in (0, inf).
        kink: in (0, 1).
        nodes: for each of the two pieces.

    Raises:
        DomainError: arguments outside these ranges.
    """
    return float(Beta(alpha, alpha).expect(lambda p: np.abs(p - kink), kinks=(kink,), nodes=nodes))


Claim(
    id="mixing_moments.quadrature_kink", title="A declared kink costs nothing", kind="numerical",
    statement=r"\left|\sum_i w_i\,|\lambda_i-\kappa| - \mathbb{E}\,|\lambda-\kappa|\right| \le 10^{-12} "
              r"\text{ with 16 nodes on each side of } \kappa",
    assumptions=(r"$\kappa$ is known, and not close to an end",),
    fails_when="the kink is not declared (kink_cost)",
    predict=quadrature_kink, tolerance=1e-12, scale=mm._unit(1.0),
    exact=lambda alpha, kink, nodes: routes.oracle(lambda x, y: abs(x - mpmath.mpf(kink)), alpha, alpha,
                                                   splits=(kink,)),
    cases=cases(alpha=ALPHAS, kink=(0.5, 0.3), nodes=16),
    wrong={"kink not declared": predicts(lambda alpha, kink, nodes: Beta(alpha, alpha).expect(
               lambda p: np.abs(p - kink), nodes=2 * nodes), symbolic=False),
           "a wrong kink declared": predicts(lambda alpha, kink, nodes: Beta(alpha, alpha).expect(
               lambda p: np.abs(p - kink), kinks=(kink + 0.05,), nodes=nodes), symbolic=False)},
    references=("golub1969: section 2 (from memory)",))


def kink_cost(alpha: float, nodes: int) -> float:
    """Error of one n-node rule for E max(lambda, 1 - lambda), n even: pi^2 f(1/2) / (48 (n + alpha - 1/2)^2).

    f is the density of lambda. Euler and Maclaurin in the angle: nodes lie pi / (n + alpha - 1/2) apart, the
    kink half way between two of them, and the slope jumps by 2.

    Args:
        alpha: in (0, inf).
        nodes: even, many.

    Raises:
        DomainError: alpha not positive and finite, nodes odd or < 2.
    """
    check_positive(alpha, "alpha")
    check_count(nodes, "nodes", even="an odd rule has a node on the kink")
    density = 2.0 ** (2 - 2 * alpha) / special.beta(alpha, alpha)
    return float(np.pi**2 * density / (48 * (nodes + alpha - 0.5) ** 2))


def _measured_cost(alpha: float, nodes: int) -> float:
    law = Beta(alpha, alpha)
    return float(law.expect(lambda p: np.maximum(p, 1 - p), nodes=nodes) - 2 * law.partial_moment(1, 0, 0.5,
                                                                                                  1.0))


Claim(
    id="mixing_moments.kink_cost", title="What an undeclared kink costs", kind="numerical",
    statement=r"\sum_{i=1}^n w_i\max(\lambda_i, 1-\lambda_i) - \mathbb{E}\max(\lambda, 1-\lambda) \approx "
              r"\frac{\pi^2 f(\frac12)}{48\,(n+\alpha-\frac12)^2}",
    assumptions=("$n$ even and large; the kink at 1/2",),
    fails_when="$n$ is odd: a node sits on the kink, and the sign flips",
    predict=kink_cost, exact=_measured_cost, tolerance=0.01, cases=cases(alpha=ALPHAS, nodes=(48, 128, 256)),
    wrong={"first order in 1/n": predicts(lambda alpha, nodes: kink_cost(alpha, nodes) * nodes / 48,
                                          symbolic=False),
           "the kink on a node": predicts(lambda alpha, nodes: -2 * kink_cost(alpha, nodes), symbolic=False)},
    references=("dlmf: 2.10.1, 18.16 (from memory)",))


def float32_clamp(alpha: float) -> float:
    """Share of float32 draws of Beta(alpha, alpha) in torch at the smallest normal number, in [0, 1/2].

    It is the mass below that number, about 1.18e-38: harmless for moments, not for E ln lambda.

    Args:
        alpha: in (0, inf).

    Raises:
        DomainError: alpha not positive and finite.
    """
    return float(Beta(alpha, alpha).partial_moment(0, 0, 0.0, TINY))


def _torch_draws(size: int, rng: np.random.Generator, alpha: float) -> np.ndarray:
    """float32 draws from the kernel behind torch.distributions.Beta, which takes a generator."""
    import torch
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    parameters = torch.tensor([alpha, alpha], dtype=torch.float32).expand(size, 2)
    return torch._sample_dirichlet(parameters, generator=generator)[:, 0].numpy()


def _house_draws(size: int, rng: np.random.Generator, alpha: float) -> np.ndarray:
    return Beta(alpha, alpha).sample(size, rng=rng, dtype=np.float32)


def _at(value: float, draws: Any) -> Any:
    return lambda size, *, rng, alpha: (draws(size, rng, alpha) == np.float32(value)).astype(float)


def _lower_mass(alpha: float, edge: float, weight: Any, top: Any) -> Any:
    """Share of the density x^(alpha-1) weight(x) on (0, top) that lies below `edge`; t = x^alpha."""
    with mpmath.workdps(20):
        a = mpmath.mpf(alpha)
        below, all_of_it = (mpmath.quad(lambda t: weight(t ** (1 / a), a), [0, mpmath.mpf(end) ** a])
                            for end in (edge, top))
        return below / all_of_it


Claim(
    id="mixing_moments.float32_clamp", title="Small alpha in float32 piles up at one number",
    kind="numerical",
    statement=r"P(\lambda_{32} = \varepsilon) = I_\varepsilon(\alpha,\alpha), \quad \varepsilon = 2^{-126}",
    assumptions=("torch.distributions.Beta with float32 parameters, on the CPU", r"$\alpha \ge 0.01$"),
    fails_when="draws are made in float64 and cast, as `mixtheory.mixing` does; smaller alpha (torch_half)",
    predict=float32_clamp, exact=lambda alpha: float(_lower_mass(alpha, TINY, lambda x,
                                                                 a: (1 - x) ** (a - 1), 0.5) / 2),
    simulate=_at(TINY, _torch_draws), cases=cases(alpha=(0.01, 0.02, 0.05)), scale=mm._unit(1.0),
    resolution=0.01,
    model_error=0.001,
    wrong={"both ends": predicts(lambda alpha: 2 * float32_clamp(alpha), symbolic=False),
           "the machine epsilon": predicts(lambda alpha: Beta(alpha, alpha).partial_moment(
               0, 0, 0.0, float(np.finfo(np.float32).eps)), symbolic=False),
           "float64, then cast": simulates(_at(TINY, _house_draws))},
    references=("dlmf: 8.17.2 (from memory)",))


def torch_half(alpha: float) -> float:
    """Share of draws of torch.distributions.Beta(alpha, alpha) on the CPU that are exactly 1/2, in [0, 1].

    Both Gamma draws lie below the smallest normal float64, are raised to it, and lambda is 1/2: full mixing
    where alpha asks for almost none. Noticeable below alpha = 0.005; the law itself has no atom.

    Args:
        alpha: in (0, inf).

    Raises:
        DomainError: alpha not positive and finite.
    """
    check_positive(alpha, "alpha")
    return float(special.gammainc(alpha, TINIEST) ** 2)


Claim(
    id="mixing_moments.torch_half", title="Tiny alpha in torch mixes fully", kind="numerical",
    statement=r"P(\lambda_{\mathrm{torch}} = \tfrac12) = P\left(G \le 2^{-1022}\right)^2, "
              r"\quad G \sim \mathrm{Gamma}(\alpha)",
    assumptions=("torch.distributions.Beta on the CPU, any dtype",),
    fails_when="Gamma draws are divided in logarithms, as `mixtheory.mixing` does",
    predict=torch_half, tolerance=1e-8,
    exact=lambda alpha: float(_lower_mass(alpha, TINIEST, lambda x, a: mpmath.exp(-x), 60) ** 2),
    simulate=_at(0.5, _torch_draws), cases=cases(alpha=(0.0003, 0.001, 0.003)), scale=mm._unit(1.0),
    resolution=0.01,
    wrong={"one draw underflows": predicts(lambda alpha: special.gammainc(alpha, TINIEST), symbolic=False),
           "the law itself": predicts(lambda alpha: 0.0, symbolic=False),
           "in logarithms": simulates(_at(0.5, _house_draws))},
    references=("dlmf: 8.2.4 (from memory)",))
