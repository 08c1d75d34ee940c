r"""What a smooth model remembers of its data to leading order: one trace, for any loss, any score, any data.

The minimiser of the mixup risk over all pairs of n records is, but for O(1/n), the population's minimiser minus
H^-1 times the mean of psi over the records. A score of the model (its loss, say) is then lower on the records it
was trained on than on fresh ones by tr(H^-1 E[psi grad^T]) / n. Without mixup psi is the gradient of the loss and
the trace is Takeuchi's penalty; with mixup it is that of the generalised information criterion. The formulas of the
logistic model, in `membership_logistic`, are special cases; `mixup_gap` takes a problem of your own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from mixtheory.domain import (
    DomainError,
    check_alpha,
    check_count,
    check_definite,
    check_finite,
    check_probabilities,
    check_same_length,
)
from mixtheory.evidence import Claim, Derivation, Mean, cases, centred, predicts, simulates
from mixtheory.evidence.expectation import MomentLaw
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend
from mixtheory.theory import _membership_gap_routes as routes
from mixtheory.theory import mixing_moments as mm

__all__ = ["Projection", "gap", "mixup_gap", "projection", "score_of_members", "trace_formula"]

N, ALPHA = sp.Symbol("n", positive=True), sp.Symbol("alpha", positive=True)
ROWS = 2**18            # mixed records at a time
STEPS = 100             # of Newton's method
SOURCES = ("takeuchi1976tic: the penalty without mixup (from memory)",
           "konishi1996gic: the general form (from memory)",
           "hoeffding1948: the projection of a U-statistic (from memory)",
           "vandervaart1998: chapters 5 and 12 (from memory)")

Function = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Projection(NamedTuple):
    """What the mixup estimator does with each record, to leading order: theta_hat = theta - H^-1 mean(psi) + O(1/n).

    Attributes:
        theta: (p,) minimiser of the mixup risk on the data, taken as the population.
        H: (p, p) Hessian of that risk there.
        psi: (N, p) one row a record: 2 E grad(mix(z, Z', lambda)) over partners Z' and lambda; its mean is 0.
        weights: (N,) of the records.
    """

    theta: np.ndarray
    H: np.ndarray
    psi: np.ndarray
    weights: np.ndarray

    @property
    def V(self) -> np.ndarray:
        """(p, p) covariance of psi; that of the estimator is H^-1 V H^-1 / n."""
        return np.einsum("n,np,nq->pq", self.weights, self.psi, self.psi)

    @property
    def influence(self) -> np.ndarray:
        """(N, p) influence function -H^-1 psi: n times what one more copy of a record does to the estimate."""
        return -np.linalg.solve(self.H, self.psi.T).T

    @property
    def exposure(self) -> np.ndarray:
        """(N,) n SNR^2 of each record under the best attack on the parameters, psi^T V^-1 psi; its mean is p."""
        return np.einsum("np,pn->n", self.psi, np.linalg.solve(self.V, self.psi.T))


def projection(alpha: float, data: tuple[Any, Any], theta: Any, gradient: Function, hessian: Function, *,
               weights: Any = None, nodes: int = 16) -> Projection:
    """Projection of the full-pairs mixup estimator of a smooth loss: its minimiser, Hessian and psi.

    Args:
        alpha: in [0, inf]; 0 is training without mixup, where psi is the gradient of the loss.
        data: (x, y) with x (N, ...) and y (N, ...), numbers that can be mixed: a sample, which stands for the
            population, or nodes of a quadrature rule of the population.
        theta: (p,) where Newton's method starts.
        gradient: (x, y, theta) -> (rows, p), of the loss at each row; rows are mixed records.
        hessian: (x, y, theta) -> (rows, p, p).
        weights: (N,) of the records, summing to one; default equal.
        nodes: of lambda (exact for polynomials in lambda of degree 2 nodes - 1).

    Raises:
        DomainError: arguments outside these domains, wrong shapes, or no minimum with a positive definite Hessian is
            found from `theta` (data that a classifier can separate have none).
    """
    check_alpha(alpha)
    x, y = (np.asarray(z, dtype=float) for z in data)
    count = check_same_length(x=x, y=y)
    check_finite(x, "x"), check_finite(y, "y")
    w = np.full(count, 1 / count) if weights is None else np.asarray(check_probabilities(weights, "weights"), float)
    check_same_length(x=x, weights=w)
    theta = np.array(check_finite(np.asarray(theta, dtype=float), "theta"))
    lam, share = symmetric(alpha).quadrature(nodes=check_count(nodes, "nodes", 1))
    block = max(1, ROWS // (count * len(lam)))

    def derivatives(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        psi, H = np.empty((count, theta.size)), np.zeros((theta.size, theta.size))
        for start in range(0, count, block):
            mine = np.arange(start, min(start + block, count))
            shape = (len(mine), count, len(lam))
            k, partner, q = (i.ravel() for i in np.broadcast_arrays(
                np.arange(len(mine))[:, None, None], np.arange(count)[None, :, None], np.arange(len(lam))))
            mixed = [blend(lam[q].reshape(-1, *[1] * (z.ndim - 1)), z[mine[k]], z[partner]) for z in (x, y)]
            g, h = np.asarray(gradient(*mixed, theta)), np.asarray(hessian(*mixed, theta))
            if g.shape != (len(q), theta.size) or h.shape != (len(q), theta.size, theta.size):
                raise DomainError(f"gradient, hessian = {g.shape}, {h.shape}: must have shapes (rows, p) and "
                                  f"(rows, p, p) with p = {theta.size} parameters")
            pair = (w[None, :, None] * share * np.ones(shape)).reshape(len(mine), -1)
            psi[mine] = 2 * np.einsum("ir,irp->ip", pair, g.reshape(len(mine), -1, theta.size))
            H += np.einsum("r,rpq->pq", (w[mine, None] * pair).ravel(), h)
        return psi, H

    psi, H = derivatives(theta)
    for _ in range(STEPS):
        slope = w @ psi / 2
        if not np.isfinite(H).all() or np.linalg.eigvalsh(H)[0] <= 1e-12 * max(1e-300, np.abs(H).max()):
            raise DomainError(f"hessian = {H.tolist()}: the mixup risk has no positive definite Hessian at "
                              f"theta = {theta.tolist()}")
        step, length = np.linalg.solve(H, slope), 1.0
        if np.abs(step).max() <= 1e-13 * (1 + np.abs(theta).max()):
            return Projection(theta, H, psi, w)
        while True:                                             # halve until the slope shrinks
            trial = derivatives(theta - length * step)
            if np.linalg.norm(w @ trial[0] / 2) < np.linalg.norm(slope) or length < 1e-6:
                break
            length /= 2
        if length < 1e-6:
            if np.abs(step).max() <= 1e-9 * (1 + np.abs(theta).max()):      # at the limit of rounding
                return Projection(theta, H, psi, w)
            break
        theta, (psi, H) = theta - length * step, trial
    raise DomainError(f"theta = {theta.tolist()}: Newton's method found no minimum of the mixup risk from here")


def mixup_gap(alpha: float, data: tuple[Any, Any], theta: Any, gradient: Function, hessian: Function, *,
              score_gradient: Function | None = None, weights: Any = None, nodes: int = 16) -> float:
    r"""n times the gap, E score(fresh record) - E score(member), to leading order, for a smooth loss under mixup.

    The score may be anything smooth that an attacker can compute from the model: the loss itself (the default), the
    loss of a rescaled model, or the rank of the loss among fresh losses, whose gap is that of the AUC.

    Args:
        alpha: see `projection`.
        data: see `projection`.
        theta: see `projection`.
        gradient: see `projection`.
        hessian: see `projection`.
        score_gradient: (x, y, theta) -> (rows, p), gradient of the score in theta at unmixed records; default:
            that of the loss.
        weights: see `projection`.
        nodes: see `projection`.

    Returns:
        tr(H^-1 E[psi grad score^T]), in units of the score; divide by the size n of the training set. It says
        nothing about models that interpolate their data or have about as many parameters as records.

    Raises:
        DomainError: see `projection`.

    Example:
        Location of a sample with an outlier by the loss log cosh: without mixup the outlier has little influence,
        with alpha = 1 it takes part in many mixes, and the gap widens.

        >>> x = np.array([-1.0, -0.2, 0.1, 0.4, 3.0])
        >>> gradient = lambda x, y, theta: -np.tanh(x - theta)[:, None]
        >>> hessian = lambda x, y, theta: 1 / np.cosh(x - theta)[:, None, None] ** 2
        >>> [round(mixup_gap(alpha, (x, x), [0.0], gradient, hessian), 3) for alpha in (0, 1)]
        [0.582, 0.747]

    Source: Takeuchi (1976) without mixup, Konishi and Kitagawa (1996) in general; both from memory.
    """
    found = projection(alpha, data, theta, gradient, hessian, weights=weights, nodes=nodes)
    x, y = (np.asarray(z, dtype=float) for z in data)
    g = np.asarray((score_gradient or gradient)(x, y, found.theta), dtype=float)
    if g.shape != found.psi.shape:
        raise DomainError(f"score_gradient = {g.shape}: must have shape {found.psi.shape}")
    return float(trace_formula(found.H, np.einsum("n,np,nq->pq", found.weights, found.psi, g)))


def trace_formula(H: Any, K: Any) -> Any:
    """tr(H^-1 K): n times the gap, from the Hessian H (p, p) and K = E[psi grad score^T] (p, p).

    Arrays or SymPy matrices. Raises DomainError if H is not positive definite.
    """
    if isinstance(H, sp.MatrixBase):
        return (H.inv() * K).trace()
    return np.trace(np.linalg.solve(check_definite((np.asarray(H) + np.asarray(H).T) / 2, "H"), K))


# --- claims -------------------------------------------------------------------------------------------------

def _found(alpha: Any, problem: Any) -> tuple[Projection, np.ndarray]:
    """Projection of a named problem of the claims and the gradient of its score at its atoms."""
    p = routes.PROBLEMS[problem]
    found = projection(alpha, (p.x, p.y), np.zeros(p.parameters), p.gradient, p.hessian, weights=p.weights)
    return found, p.score_gradient(p.x, p.y, found.theta)


def gap(alpha: Any, problem: Any, n: Any = None) -> Any:
    """n times the gap of a problem to leading order; the same for every n.

    Args:
        alpha: in [0, inf].
        problem: name of a problem of the claim, or SymPy matrices (H, K).
        n: size of the training set; does not matter to leading order.

    Returns:
        tr(H^-1 K), in units of the score.
    """
    if not isinstance(problem, str):
        return trace_formula(*problem)
    found, g = _found(alpha, problem)
    return trace_formula(found.H, np.einsum("n,np,nq->pq", found.weights, found.psi, g))


def derive_gap() -> Derivation:
    """Two parameters; a record and the record that moves the estimate are the same one in n cases of n^2."""
    g, psi, other, centre = (sp.Matrix(sp.symbols(f"{name}_1 {name}_2", real=True))
                             for name in ("g", "psi", r"\psi'", "gamma"))           # centre: E g, which need not be 0
    H = sp.diag(*sp.symbols("H_1 H_2", positive=True))
    K = sp.Matrix(2, 2, lambda i, j: sp.Symbol(f"K_{i + 1}{j + 1}", real=True))

    def joint(powers: tuple[int, ...]) -> Any:
        on_g, on_psi = powers[:2], powers[2:]
        if sum(on_psi) == 0:
            return {0: sp.S.One}.get(sum(on_g), centre[on_g.index(1)] if 1 in on_g else None)
        return sp.S.Zero if sum(on_g) == 0 else K[on_psi.index(1), on_g.index(1)]

    record = MomentLaw((*g, *psi), joint)
    stranger = MomentLaw(tuple(other), lambda powers: sp.S.Zero if sum(powers) else sp.S.One)
    same = Mean(sum((g[k] - centre[k]) * psi[k] / H[k, k] for k in (0, 1)), record)
    apart = Mean(sum((g[k] - centre[k]) * other[k] / H[k, k] for k in (0, 1)), record, stranger)
    d = Derivation(r"n\cdot\text{gap}", sp.Symbol(r"n\,\mathbb{E}\left[(P - P_n)\,q(\hat\theta)\right]"),
                   {"alpha": ALPHA, "problem": (H, K), "n": N})
    d = d.appeal(sp.Symbol(r"n\,\mathbb{E}\left[(P - P_n)\nabla q(\theta^*) \cdot (\hat\theta - \theta^*)\right]"),
                 r"Taylor, up to $O(1/n)$: $(P - P_n)\,q(\theta^*)$ has mean 0")
    d = d.appeal(same + (N - 1) * apart,
                 r"$\hat\theta - \theta^* = -H^{-1}\overline\psi$ up to $O(1/n)$, Hoeffding's projection of the mean "
                 r"over pairs (a record is first or second, hence the 2 in $\psi$); two parameters, in coordinates "
                 r"that make $H$ diagonal, $g = \nabla q$ with mean $\gamma$; of $n$ records that move the estimate, "
                 r"one is the record that is scored")
    return d.equals(gap(ALPHA, (H, K)), r"$\mathbb{E}\psi = 0$: strangers add nothing, $\gamma \ne 0$ does no harm; "
                                        r"with $K = \mathbb{E}[\psi g^\top]$ it is $\operatorname{tr}(H^{-1}K)$")


def score_of_members(alpha: Any, problem: Any, n: Any = None) -> Any:
    """n times the mean over members of the best attack's score psi^T V^-1 H (theta* - theta_hat): p, whatever alpha.

    Args:
        alpha: in [0, inf]; does not matter.
        problem: name of a problem of the claim, or the SymPy matrix V.
        n: size of the training set; does not matter to leading order.

    Returns:
        The number of parameters p: n times the mean SNR^2, dimensionless.
    """
    check_alpha(alpha)
    return float(routes.PROBLEMS[problem].parameters) if isinstance(problem, str) else sp.Integer(problem.shape[0])


def derive_score() -> Derivation:
    """Two parameters; the same record in one case of n, then the trace of the identity."""
    psi, other = (sp.Matrix(sp.symbols(f"{name}_1 {name}_2", real=True)) for name in ("psi", r"\psi'"))
    V = sp.diag(*sp.symbols("V_1 V_2", positive=True))
    record = centred(tuple(psi), V)
    stranger = MomentLaw(tuple(other), lambda powers: sp.S.Zero if sum(powers) else sp.S.One)
    form, cross = ((psi.T * V.inv() * effect)[0] for effect in (psi, other))
    d = Derivation(r"n\,\mathbb{E}\,T", sp.Symbol(
        r"n\,\mathbb{E}\left[\psi(z_i)^\top V^{-1} H(\theta^* - \hat\theta)\right]"),
        {"alpha": ALPHA, "problem": V, "n": N})
    d = d.appeal(Mean(form, record) + (N - 1) * Mean(cross, record, stranger),
                 r"$\hat\theta - \theta^* = -H^{-1}\overline\psi$ up to $O(1/n)$, so that $H$ cancels; one of the $n$ "
                 r"records in the mean is $z_i$, the others are strangers; two parameters, $V$ diagonal",
                 claim="membership.gap")
    d = d.equals(Mean(form, record), r"strangers have $\mathbb{E}\psi = 0$: what is left is $n$ times the mean of "
                 r"$\mathrm{SNR}^2$")
    return d.equals(score_of_members(ALPHA, V), r"$\operatorname{tr}(V^{-1}V) = p$: no loss, data or $\alpha$ in it")


NAMES = ("location", "location, squared score", "penalised logistic")
SIZES = (50, 100, 200)
CASES = cases(alpha=(0.0, 0.3, np.inf), problem=NAMES, n=SIZES)


def _clean(alpha: Any, problem: Any, n: Any = None) -> Any:
    """Wrong: Takeuchi's formula on unmixed data, at the mixup minimiser."""
    if not isinstance(problem, str):
        return problem[1].trace()
    found, g = _found(alpha, problem)
    p = routes.PROBLEMS[problem]
    C, H = p.gradient(p.x, p.y, found.theta), p.hessian(p.x, p.y, found.theta)
    return trace_formula(np.einsum("n,npq->pq", p.weights, H), np.einsum("n,np,nq->pq", p.weights, C, g))


GAP = Claim(
    id="membership.gap", title="What a smooth model remembers is one trace", kind="asymptotic",
    statement=r"\begin{gathered}n\cdot\text{gap} = \operatorname{tr}\bigl(H^{-1}\,\mathbb{E}[\psi(Z)\,\nabla "
              r"q(Z;\theta^*)^\top]\bigr) + O(1/n),\\ \psi(z) = 2\,\mathbb{E}_{Z',\lambda}\nabla\ell\bigl(\lambda z "
              r"+ (1-\lambda)Z';\theta^*\bigr)\end{gathered}",
    assumptions=(r"a smooth loss $\ell$; one minimiser $\theta^*$ of the population's mixup risk, positive definite "
                 r"Hessian $H$ there",
                 r"a smooth score $q$ of the model; the gap is $q$ on a fresh record less $q$ on a member",
                 "all pairs, or enough of them", "many more records than parameters"),
    fails_when="the model interpolates, or has about as many parameters as there are records",
    predict=gap, derive=derive_gap, exact=routes.exact_gap, simulate=routes.simulate_gap, cases=CASES,
    along=("n", -1.0),
    scale=lambda prediction, **case: routes.unit(case["problem"]), resolution=0.2,
    wrong={"unmixed data at the mixup minimiser": predicts(_clean),
           "each pair counted once": predicts(lambda alpha, problem, n=None: gap(alpha, problem) / 2),
           "mixup leaves the gap alone": predicts(
               lambda alpha, problem, n=None: gap(0.0, problem), symbolic=False),
           "scored on mixed records": simulates(routes.simulate_gap_on_mixed)},
    references=SOURCES)

WHITEBOX = Claim(
    id="membership.whitebox", title="Mixup does not change the mean exposure", kind="asymptotic",
    statement=r"\begin{gathered}n\,\mathbb{E}\bigl[\mathrm{SNR}^2\bigr] = \mathbb{E}\bigl[\psi^\top V^{-1}\psi\bigr] "
              r"= p,\\ n\,\mathbb{E}_{\text{members}}\bigl[\psi^\top V^{-1}H(\theta^* - \hat\theta)\bigr] = p + O(1/n)"
              r"\end{gathered}",
    assumptions=(r"the attacker sees $\hat\theta$ and knows $\theta^*$, $H$ and $V = \operatorname{Var}\psi$",
                 r"a smooth loss with $p$ parameters and all pairs, as for the gap; $V$ invertible"),
    fails_when="pairs are few: their noise hides members; or there are about as many parameters as records",
    predict=score_of_members, derive=derive_score, exact=routes.exact_score, simulate=routes.simulate_score,
    cases=cases(alpha=(0.0, 0.3, np.inf), problem=("location", "penalised logistic"), n=SIZES), along=("n", -1.0),
    resolution=0.2,
    wrong={"shrunk by s": predicts(lambda alpha, problem, n=None: score_of_members(alpha, problem)
                                * mm.shrinkage(alpha)),
           "shrunk like the gap": predicts(
               lambda alpha, problem, n=None: score_of_members(alpha, problem) * gap(alpha, problem)
               / gap(0.0, problem), symbolic=False),
           "strangers scored": simulates(routes.simulate_score_of_strangers)},
    references=("vandervaart1998: chapter 5 (from memory)",), experiment="membership")
