r"""Membership inference: how well losses or confidences tell the training examples from fresh ones.

Everywhere: scores of members (..., n) and of non-members (..., m) with the same leading replica dimensions, torch
tensors or NumPy arrays; a high score speaks for membership. Results are float64 tensors of the leading shape.

A threshold on the loss is the weakest attack worth the name: it compares easy examples with hard ones. The
likelihood-ratio attack judges every example by how other networks do on it, with and without it in training; a
defence that only blurs the losses can lower the AUC of the first and not that of the second.

Source, from memory: Yeom et al. 2018 (loss threshold); Carlini et al. 2022 (likelihood ratio, few false positives);
DeLong et al. 1988 (standard error of an AUC); Hanley and McNeil 1982; Mann and Whitney 1947.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from mixtheory.domain import DomainError, check_count, check_member
from mixtheory.training.measurements.scores import as_given, as_labels, as_logits, as_tensor, of_label

__all__ = ["Attack", "LikelihoodRatio", "attack", "auc", "auc_error", "auc_error_null", "confidence",
           "likelihood_ratio_attack", "loss_gap", "losses", "member_mask", "threshold_attack"]

RATES = (0.001, 0.01)              # false-positive rates at which attacks are reported
SPREADS = ("global", "example")
MODES = ("online", "offline")


def losses(logits: Any, y: Any) -> torch.Tensor:
    """Cross-entropy -log p(y) of each example, nats, from logits (..., n, K); shape (..., n).

    Raises:
        DomainError: logits that are not finite, labels that are not integers in 0 .. K - 1, mismatched shapes.
    """
    z = as_logits(logits)
    return -of_label(z.log_softmax(-1), as_labels(y, z))


def confidence(logits: Any, y: Any) -> torch.Tensor:
    """Logit-scaled confidence log(p_y / (1 - p_y)) of each example, from logits (..., n, K); shape (..., n).

    Computed as z_y - log sum_{k != y} exp z_k, so it is finite and accurate also where p_y rounds to 0 or 1.
    For likelihood-ratio attacks, because it is nearer to Gaussian than the loss. Errors as for `losses`.
    """
    z = as_logits(logits)
    y = as_labels(y, z)[..., None]
    return (z.gather(-1, y) - z.scatter(-1, y, -math.inf).logsumexp(-1, keepdim=True))[..., 0]


def loss_gap(member_losses: Any, nonmember_losses: Any) -> torch.Tensor:
    """Mean loss of the non-members minus that of the members, in the unit of the losses (nats); shape (...).

    Raises:
        DomainError: no example on one side, NaN or infinite losses, different leading shapes.
    """
    member, other = _sides(member_losses, nonmember_losses)
    if member.isinf().any() or other.isinf().any():
        raise DomainError("losses: a mean needs finite losses; compute them from logits, `losses`")
    return other.mean(-1) - member.mean(-1)


# --- from scores --------------------------------------------------------------------------------------------

class Attack(NamedTuple):
    """What an attack by a threshold on a score achieves.

    `auc` and its standard error (DeLong) are (...); `advantage`, the largest true-positive minus false-positive
    rate over all thresholds, (...); `tpr` (..., rates), the largest true-positive rate at a false-positive rate of
    at most `rates`. The thresholds are chosen on the same examples: without any signal the mean of `advantage` is
    not 0 but about 0.63 sqrt(1/n + 1/m), and a rate below 1/m allows no false positive at all.
    """

    auc: torch.Tensor
    auc_error: torch.Tensor
    advantage: torch.Tensor
    tpr: torch.Tensor
    rates: tuple[float, ...]


def auc(member_scores: Any, nonmember_scores: Any) -> torch.Tensor:
    """P(member's score > non-member's) + P(equal) / 2 over all n m pairs (Mann-Whitney), by sorting; shape (...).

    1/2 is no signal, 1 a perfect attack; negate losses, which are low for members. Infinite scores are in order.

    Raises:
        DomainError: no example on one side, NaN, different leading shapes.
    """
    member, other = _sides(member_scores, nonmember_scores)
    # twice the wins is an integer: the sum over pairs is exact
    return _twice_beaten(member, other).sum(-1) / (2 * member.shape[-1] * other.shape[-1])


def auc_error(member_scores: Any, nonmember_scores: Any) -> torch.Tensor:
    """Standard error of `auc` for independent examples (DeLong), with or without signal; shape (...).

    The share of non-members that each member beats has variance S, that of members that each non-member beats S':
    sqrt(S / n + S' / m). It is 0 if the scores separate perfectly, however few there are.

    Raises:
        DomainError: fewer than 2 examples on one side; else as for `auc`.
    """
    member, other = _sides(member_scores, nonmember_scores, least=2)
    n, m = member.shape[-1], other.shape[-1]
    ours, theirs = _twice_beaten(member, other) / (2 * m), _twice_beaten(other, member) / (2 * n)
    return (ours.var(-1) / n + theirs.var(-1) / m).sqrt()


def auc_error_null(member_scores: Any, nonmember_scores: Any) -> torch.Tensor:
    """Exact standard deviation of `auc` if membership were assigned to these scores at random; shape (...).

    sqrt((N + 1 - sum_t (t^3 - t) / (N (N - 1))) / (12 n m)) with N = n + m and ties in groups of t.
    (auc - 1/2) / auc_error_null is a test of the absence of any signal; all scores equal: 0. Errors as for `auc`.
    """
    member, other = _sides(member_scores, nonmember_scores)
    both = torch.cat([member, other], -1).sort(-1).values
    total = both.shape[-1]
    t = _count(both, both, right=True) - _count(both, both, right=False)
    ties = (t.square() - 1).sum(-1) / (total * (total - 1))       # a group of t has t members: t^3 - t
    return ((total + 1 - ties) / (12 * member.shape[-1] * other.shape[-1])).clamp(min=0).sqrt()


def attack(member_scores: Any, nonmember_scores: Any, *, rates: Sequence[float] = RATES) -> Attack:
    """The attack that calls an example a member if its score reaches a threshold; see `Attack`.

    Args:
        member_scores: (..., n), n >= 2, high for members.
        nonmember_scores: (..., m), m >= 2.
        rates: false-positive rates in [0, 1] at which to report the true-positive rate.

    Raises:
        DomainError: a rate outside [0, 1]; fewer than 2 examples on one side; else as for `auc`.
    """
    if not all(0 <= rate <= 1 for rate in rates):
        raise DomainError(f"rates = {tuple(rates)}: false-positive rates must lie in [0, 1]")
    member, other = _sides(member_scores, nonmember_scores, least=2)
    member = member.sort(-1).values
    n, m = member.shape[-1], other.shape[-1]
    # a best threshold is a member's score (the lowest calls all members: advantage >= 0), or above all
    hits = n - _count(member, member, right=False)
    alarms = m - _count(other.sort(-1).values, member, right=False)
    advantage = (hits / n - alarms / m).amax(-1)
    tpr = [torch.where(alarms <= math.floor(rate * m * (1 + 1e-12)), hits, 0.0).amax(-1) / n for rate in rates]
    tpr = torch.stack(tpr, -1) if tpr else advantage.new_zeros(*advantage.shape, 0)
    return Attack(auc(member, other), auc_error(member, other), advantage, tpr, tuple(rates))


def threshold_attack(member_losses: Any, nonmember_losses: Any, *, rates: Sequence[float] = RATES) -> Attack:
    """The attack that calls an example a member if its loss is low: `attack` on minus the losses."""
    member, other = _sides(member_losses, nonmember_losses, least=2)
    return attack(-member, -other, rates=rates)


# --- likelihood ratio ---------------------------------------------------------------------------------------

class LikelihoodRatio(NamedTuple):
    """`scores` (R, n) of every replica and example, in nats (online) or standard deviations (offline); its `attack`.

    The fields of `attack` are (R, ...): replica r's members against its non-members. The replicas are one another's
    shadows, so their AUCs are not independent: without signal each pair of replicas enters the online scores twice,
    and the standard error of the mean AUC is sqrt(2) times that of R independent ones, sqrt(2 / R) auc_error.
    """

    scores: torch.Tensor
    attack: Attack


def likelihood_ratio_attack(values: Any, members: Any, *, mode: str = "online", spread: str = "global",
                            groups: Any = None, rates: Sequence[float] = RATES) -> LikelihoodRatio:
    r"""Each replica attacked with the other replicas as shadow models (LiRA).

    For replica r and example i, over the replicas outside the group of r: x_in and x_out, the values of those that
    trained on i and of those that did not, are fitted by Gaussians, and the score of the value x of r is

        online:   log N(x; mean_in, sd_in^2) - log N(x; mean_out, sd_out^2),
        offline:  (x - mean_out) / sd_out, in the order of the p-value against "not a member".

    Args:
        values: (R, n), normally `confidence` of each replica on each example; high for members.
        members: (R, n) bool, whether the replica trained on the example (see `member_mask`).
        mode: `online` or `offline`.
        spread: `example` fits sd_in and sd_out for each example (many shadows); `global` pools the variances about
            the examples' own means over the examples (few shadows).
        groups: (R,) integers; replicas of one group are never shadows of one another. Default: each is alone.
        rates: as for `attack`.

    Assumes: the replicas outside the group say nothing on who is a member of r. True if membership is drawn
    independently for each replica. If each example is in exactly half of the replicas, the others give it away (a
    member has one shadow less among those that saw the example) and without any signal the AUC of the online attack
    is below 1/2: then train complementary halves in pairs and name the pairs by `groups`.

    Fails: with the replica itself among its shadows the AUC exceeds 1/2 without any signal.

    Raises:
        DomainError: mismatched shapes, `members` not boolean, values not finite; an example that some replica sees
            with fewer than 2 shadows in or out (offline: out); a replica with fewer than 2 members or non-members;
            no spread among the shadows' values.
    """
    check_member(mode, MODES, "mode")
    check_member(spread, SPREADS, "spread")
    x = as_tensor(values, "values")
    inside = as_given(members, x.device)
    if x.ndim != 2 or inside.shape != x.shape or inside.dtype != torch.bool:
        raise DomainError(f"values {tuple(x.shape)}, members {tuple(inside.shape)} of {inside.dtype}: must be "
                          "(R, n) numbers and (R, n) booleans")
    if x.isinf().any():
        raise DomainError("values: must be finite; `confidence` computes them from logits")
    group = torch.arange(len(x), device=x.device) if groups is None else as_given(groups, x.device)
    if tuple(group.shape) != (len(x),) or group.is_floating_point():
        raise DomainError(f"groups of shape {tuple(group.shape)}, {group.dtype}: must be one integer a replica")
    group = group.unique(return_inverse=True)[1]
    centred = x - x.mean(0)                                # the shift cancels; it keeps the squares accurate
    out = _fit(centred, ~inside, group, spread, "out")
    z = (centred - out[0]) / out[1]
    if mode == "offline":
        found = z
    else:
        mean, sd = _fit(centred, inside, group, spread, "in")
        found = (z.square() - ((centred - mean) / sd).square()) / 2 + (out[1] / sd).log()
    each = [attack(row[mask], row[~mask], rates=rates) for row, mask in zip(found, inside, strict=True)]
    return LikelihoodRatio(found, Attack(*(torch.stack(field) for field in list(zip(*each, strict=True))[:4]),
                                         tuple(rates)))


def member_mask(indices: Any, n: int) -> torch.Tensor:
    """(R, n) booleans from the indices (R, m) of the examples that each replica trained on.

    Raises:
        DomainError: indices that are not integers in 0 .. n - 1, n < 1.
    """
    check_count(n, "n", least=1)
    indices = as_given(indices)
    if indices.ndim != 2 or indices.is_floating_point() or indices.dtype == torch.bool:
        raise DomainError(f"indices of shape {tuple(indices.shape)}, {indices.dtype}: must be integers (R, m)")
    if indices.numel() and not (int(indices.min()) >= 0 and int(indices.max()) < n):
        raise DomainError(f"indices in {int(indices.min())} .. {int(indices.max())}: must lie in 0 .. {n - 1}")
    mask = torch.zeros(len(indices), n, dtype=torch.bool, device=indices.device)
    return mask.scatter_(1, indices.long(), True)


# --- parts --------------------------------------------------------------------------------------------------

def _sides(member: Any, other: Any, least: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Both sides as float64 tensors (..., n) and (..., m)."""
    member, other = as_tensor(member, "members"), as_tensor(other, "non-members")
    if min(member.ndim, other.ndim) < 1 or member.shape[:-1] != other.shape[:-1]:
        raise DomainError(f"members {tuple(member.shape)}, non-members {tuple(other.shape)}: must be (..., n) and "
                          "(..., m) with the same leading shape")
    if min(member.shape[-1], other.shape[-1]) < least:
        raise DomainError(f"{member.shape[-1]} members, {other.shape[-1]} non-members: at least {least} of each")
    return member, other


def _count(ordered: torch.Tensor, values: torch.Tensor, right: bool) -> torch.Tensor:
    """How many of the sorted (..., m) are below each of the values (..., n), float64; `right`: below or equal."""
    return torch.searchsorted(ordered.contiguous(), values.contiguous(), right=right).double()


def _twice_beaten(values: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Twice the number of the others (..., m) below each value (..., n), an equal one counted as half."""
    ordered = others.sort(-1).values
    return _count(ordered, values, right=False) + _count(ordered, values, right=True)


def _fit(x: torch.Tensor, mask: torch.Tensor, group: torch.Tensor, spread: str,
         name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (R, n) over the replicas of the mask outside each one's group."""
    def outside(values: torch.Tensor) -> torch.Tensor:
        within = values.new_zeros(int(group.max()) + 1, values.shape[1]).index_add_(0, group, values)
        return values.sum(0) - within[group]

    weight = mask.double()
    count = outside(weight)
    if (count < 2).any():
        raise DomainError(f"members: {int((count < 2).any(0).sum())} of {x.shape[1]} examples have fewer than 2 "
                          f"shadow models with the example {name}; more replicas, or membership by fair coins")
    mean = outside(weight * x) / count
    square = (outside(weight * x * x) - count * mean * mean).clamp(min=0)
    if spread == "global":
        variance = (square.sum(1) / (count - 1).sum(1))[:, None].expand_as(x)
    else:
        variance = square / (count - 1)
    if (variance <= 1e-24 * x.square().mean(0).clamp(min=1e-300)).any():
        raise DomainError("values: the shadow models agree exactly on an example, there is no spread to compare with"
                          + ("; use spread='global'" if spread == "example" else ""))
    return mean, variance.sqrt()
