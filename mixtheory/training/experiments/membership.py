r"""Membership attacks on a thousand logistic regressions, with mixup and without, against the leading terms.

Each replica draws data sets of n records from two Gaussian classes (m = 1.6, d = 10, an intercept: 11 parameters) and
fits each of them by Newton's method, without mixup and with it at three values of alpha: all arms get the same data.
With mixup the risk is averaged over 6 Gauss-Jacobi nodes of lambda and over the pairs (i, i + k), k up to `shifts`;
their projection on single records is that of all pairs, so that the leading terms of gap and AUC are the same. Fits
start at the population's minimiser and end when no coefficient moves by 1e-9.

Measured, as means over the data sets of a replica:

`gap`: n (mean log loss of a fresh record - that of members); the first by quadrature, and with the same difference at
the population's minimiser, whose mean is 0, taken off. `auc`: n (AUC - 1/2) of the attack by a threshold on the loss,
by the rank of each member's margin in the exact law of fresh margins; the same control. `gap_change`, `auc_change`:
with mixup less without, data set by data set. `rescaled`: the gap of the fits without mixup when their logits are
multiplied by slope(1, m)/(2 m), the norm of the mixup model.

The attack that sees the coefficients and knows the population: `exposure`, n times its mean score of members less that
of as many fresh records (whose mean is of order 1/n too: the estimate is biased), predicted p = 11 for every alpha;
`tenth` and `hundredth`, the same over the records that theory calls most exposed; `pooled`, sqrt(n) (AUC - 1/2) of its
scores, each in units of its record's noise, of members against fresh records, pooled over the data sets of a replica.
The theory of `pooled` is for all pairs: few shifts add noise, in which members hide.

Margins, fixed while the quick run was being tuned and before any full run:
250/n of the prediction, since the next order of the gap without mixup is about
100/n of it (d/n), and a change adds up two such errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from mixtheory.evidence.record import Measurement
from mixtheory.mixing import symmetric
from mixtheory.theory import gaussian_logistic as model
from mixtheory.theory import membership_attack as attack
from mixtheory.theory import membership_logistic as logistic
from mixtheory.theory import membership_whitebox as whitebox
from mixtheory.training.replicas import device_of, floats, generators

DATASETS = ("synthetic",)
M, D = 1.6, 10
ALPHAS = (0.0, 0.3, 1.0, 4.0)
NODES = 6
MOST = {"tenth": 0.9, "hundredth": 0.99}        # exposed records
RESCALED = 1.0                          # the alpha whose norm the rescaled fits are given
STEPS, STILL = 20, 1e-9
AT_ONCE = {"cpu": 16, "cuda": 640}      # data sets
MARGIN = 250.0                          # over n, of the prediction


@dataclass(frozen=True)
class Size:
    """Records of a data set, data sets of a replica, partners of a record."""

    n: int
    sets: int
    shifts: int


SIZES = {"quick": Size(1000, 64, 4), "full": Size(2000, 640, 6)}


class Oracle(NamedTuple):
    """What the attacker knows of one alpha: the minimiser, H / V by coordinate, and psi on a grid of x_1."""

    best: torch.Tensor
    H: torch.Tensor
    V: torch.Tensor
    grid: torch.Tensor
    psi: torch.Tensor
    thresholds: dict[str, float]


def measure(dataset: str, *, size: Size, device: str, seeds: Sequence[int], progress: Callable[..., Any] | None = None
            ) -> tuple[dict[str, Any], list[Measurement]]:
    """Configuration and measurements of one run; one value of each for each seed."""
    where = device_of(device)
    oracles = {alpha: oracle(alpha, where) for alpha in ALPHAS}
    c = model.slope(RESCALED, M) / (2 * M)
    found: dict[tuple[str, float], list[float]] = {}
    steps = 0
    for seed, rng in zip(seeds, generators(seeds, where), strict=True):
        sums = {alpha: Tally() for alpha in ALPHAS}
        for start in range(0, size.sets, AT_ONCE[device]):
            x, y = draw(min(AT_ONCE[device], size.sets - start), size.n, rng)
            fresh = draw(len(x), size.n, rng)
            for alpha in ALPHAS:
                o, tally = oracles[alpha], sums[alpha]
                theta, used = fit(x, y, alpha, o.best, size.shifts)
                steps = max(steps, used)
                tally.add("gap", size.n * (loss_gap(x, y, theta) - loss_gap(x, y, o.best)))
                tally.add("auc", size.n * (rank(x, y, theta) - rank(x, y, o.best)))
                if alpha == 0:
                    tally.add("rescaled", size.n * (loss_gap(x, y, c * theta) - loss_gap(x, y, c * o.best)))
                scores, exposed = attacked(x, y, theta, o)
                strangers, theirs = attacked(*fresh, theta, o)
                tally.add("exposure", size.n * (scores.mean(1) - strangers.mean(1)))
                for name, values, where_exposed in (("members", scores, exposed), ("strangers", strangers, theirs)):
                    tally.add(name, (values / where_exposed.sqrt()).flatten())
                for name, threshold in o.thresholds.items():
                    mean, control = (v[w > threshold].mean() for v, w in ((scores, exposed), (strangers, theirs)))
                    tally.add(name, size.n * (mean - control)[None])
        for alpha, tally in sums.items():
            rows = {name: tally.values(name) for name in tally.parts}
            rows["pooled"] = size.n**0.5 * (mann_whitney(rows.pop("members"), rows.pop("strangers")) - 0.5)[None]
            if alpha:
                rows |= {f"{name}_change": rows[name] - sums[0.0].values(name) for name in ("gap", "auc")}
            for name, values in rows.items():
                found.setdefault((name, alpha), []).append(float(values.mean()))
        if progress:
            progress(f"seed {seed}")
    config = {"m": M, "d": D, "n": size.n, "sets": size.sets, "shifts": size.shifts, "nodes": NODES, "steps": steps,
              "alphas": ALPHAS, "rescaled_by": c}
    measurements = [Measurement(name, claim, {"alpha": alpha}, floats(found[name, alpha]), predicted,
                                abs(predicted) * MARGIN / size.n, unit)
                    for name, claim, alpha, predicted, unit in predictions(size.n, c)]
    return config, measurements


def predictions(n: int, c: float) -> list[tuple[str, str, float, float, str]]:
    """(name, claim, alpha, value, unit) of all that is measured, from theory."""
    rows: list[tuple[str, str, float, float, str]] = [
        ("rescaled", "rescaled_erm", 0.0, float(logistic.rescaled_erm(D, c)), "nats / n")]
    for alpha in ALPHAS:
        gap, auc = float(logistic.gap_logistic(alpha, M, D)), float(attack.auc_logistic(alpha, M, D))
        rows += [("gap", "gap_logistic" if alpha else "gap_erm", alpha, gap, "nats / n"),
                 ("auc", "auc_logistic" if alpha else "auc_erm", alpha, auc, "1 / n"),
                 ("exposure", "whitebox", alpha, float(D + 1), "1 / n"),
                 *((name, "whitebox_tail", alpha, float(whitebox.exposure_tail(alpha, M, D, share)[1]), "1 / n")
                   for name, share in MOST.items()),
                 ("pooled", "whitebox_auc", alpha, whitebox.whitebox_auc(alpha, M, D, n), "1 / sqrt(n)")]
        if alpha:
            rows += [("gap_change", "direction", alpha, gap - float(logistic.gap_erm(D)), "nats / n"),
                     ("auc_change", "direction", alpha, auc - float(attack.auc_erm(D, M)), "1 / n")]
    return [(name, f"membership.{claim}", *rest) for name, claim, *rest in rows]


class Tally:
    """Values by name, collected part by part."""

    def __init__(self) -> None:
        self.parts: dict[str, list[torch.Tensor]] = {}

    def add(self, name: str, values: torch.Tensor) -> None:
        self.parts.setdefault(name, []).append(values)

    def values(self, name: str) -> torch.Tensor:
        return torch.cat(self.parts[name])


# --- data and fits --------------------------------------------------------------------------------------------

def draw(sets: int, n: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Records x (sets, n, d + 1) with a leading 1, and labels y (sets, n) in {0, 1}; float64."""
    how = {"generator": rng, "device": rng.device, "dtype": torch.float64}
    y = (torch.rand(sets, n, **how) < 0.5).double()
    x = torch.randn(sets, n, D + 1, **how)
    x[..., 0] = 1
    x[..., 1] += M * (2 * y - 1)
    return x, y


def fit(x: torch.Tensor, y: torch.Tensor, alpha: float, start: torch.Tensor, shifts: int) -> tuple[torch.Tensor, int]:
    """Minimisers (sets, p) of the mixup risk by Newton's method, and the steps it took.

    The logit of a mixed record is the mix of two logits, so that a step costs as much as one on plain data, but for a
    sigmoid for each pair and node.
    """
    lam, share = (torch.as_tensor(v, dtype=x.dtype, device=x.device) for v in symmetric(alpha).quadrature(nodes=NODES))
    if alpha == 0:
        lam, share = lam.new_ones(1), share.new_ones(1)
    partners = range(1, shifts + 1) if alpha else (0,)
    theta = start.expand(len(x), -1).clone()
    for step in range(STEPS):
        u = (x @ theta[..., None])[..., 0]
        own, square = torch.zeros_like(u), torch.zeros_like(u)      # weights of x_i in the gradient, of x_i x_i^T in H
        H = x.new_zeros(len(x), x.shape[2], x.shape[2])
        for k in partners:
            p = torch.sigmoid(u[..., None] * lam + u.roll(-k, 1)[..., None] * (1 - lam))
            e = (p - (y[..., None] * lam + y.roll(-k, 1)[..., None] * (1 - lam))) * share
            s = p * (1 - p) * share
            own += e @ lam + (e @ (1 - lam)).roll(k, 1)
            square += s @ lam**2 + (s @ (1 - lam) ** 2).roll(k, 1)
            if k:
                cross = (x * (s @ (lam * (1 - lam)))[..., None]).mT @ x.roll(-k, 1)
                H += cross + cross.mT
        H += (x * square[..., None]).mT @ x
        move = torch.linalg.solve(H, (x.mT @ own[..., None])[..., 0])
        theta -= move
        if move.abs().max() < STILL:
            return theta, step + 1
    raise RuntimeError(f"Newton's method still moves by {float(move.abs().max()):.1e} after {STEPS} steps")


# --- attacks --------------------------------------------------------------------------------------------------

def margins(x: torch.Tensor, y: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """(2 y - 1) theta^T x, (sets, n)."""
    return (2 * y - 1) * (x @ theta.expand(len(x), -1)[..., None])[..., 0]


def loss_gap(x: torch.Tensor, y: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """Mean log loss of a fresh record, by quadrature, less that of members, (sets,)."""
    z, w = (torch.as_tensor(v, dtype=x.dtype, device=x.device) for v in model.normal_rule(8.0, 0.2))
    spread = theta[:, 1:].norm(dim=1, keepdim=True) * z
    fresh = sum(torch.nn.functional.softplus(-(s * theta[:, :1] + M * theta[:, 1:2] + spread)) @ w for s in (1, -1)) / 2
    return fresh - torch.nn.functional.softplus(-margins(x, y, theta)).mean(1)


def rank(x: torch.Tensor, y: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    """AUC of the attack by a threshold on the loss, (sets,): the mean rank of members' margins among fresh ones."""
    u, norm = margins(x, y, theta), theta[:, 1:].norm(dim=1, keepdim=True)
    return sum(torch.special.ndtr((u - s * theta[:, :1] - M * theta[:, 1:2]) / norm) for s in (1, -1)).mean(1) / 2


def oracle(alpha: float, device: torch.device) -> Oracle:
    """What the attacker knows, from theory."""
    v, grid = logistic.traces(alpha, M), np.linspace(M - 8.5, M + 8.5, 1701)
    z, w = model.normal_rule(logistic.REACH, logistic.STEP)
    V = [float(w @ component**2) for component in logistic.psi(alpha, M, M + z)]
    how = {"dtype": torch.float64, "device": device}
    best = torch.zeros(1, D + 1, **how)
    best[0, 1] = v.t
    return Oracle(best, torch.tensor([v.H_0, v.H_1] + [v.H_p] * (D - 1), **how),
                  torch.tensor(V[:2] + V[2:] * (D - 1), **how), torch.as_tensor(grid, **how),
                  torch.as_tensor(np.stack(logistic.psi(alpha, M, grid), 1), **how),
                  {name: float(whitebox.exposure_tail(alpha, M, D, share)[0]) for name, share in MOST.items()})


def attacked(x: torch.Tensor, y: torch.Tensor, theta: torch.Tensor, o: Oracle) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores psi^T V^-1 H (theta* - theta) of records (sets, n), and their n SNR^2, psi^T V^-1 psi."""
    side = 2 * y - 1
    at = ((side * x[..., 1] - o.grid[0]) / (o.grid[1] - o.grid[0])).clamp(0, len(o.grid) - 2)
    low = at.long()
    psi_0, psi_1, a = (o.psi[low] + (at - low)[..., None] * (o.psi[low + 1] - o.psi[low])).unbind(-1)
    pull = (o.best - theta) * o.H / o.V                                         # (sets, p)
    rest = x[..., 2:]
    scores = (side * psi_0 * pull[:, :1] + psi_1 * pull[:, 1:2]
              + side * a * (rest @ pull[:, 2:, None])[..., 0])
    return scores, psi_0**2 / o.V[0] + psi_1**2 / o.V[1] + a**2 * rest.square().sum(-1) / o.V[2]


def mann_whitney(members: torch.Tensor, strangers: torch.Tensor) -> torch.Tensor:
    """Share of pairs in which the member's score is the higher one."""
    below = torch.searchsorted(strangers.sort().values, members.contiguous())
    return below.double().mean() / len(strangers)
