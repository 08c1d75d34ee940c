"""Bins of confidences, and how far a count of independent events is from its mean."""

from __future__ import annotations

import math

import torch

from mixtheory.domain import check_count, check_member

__all__ = ["BINNINGS", "absolute_deviation", "bin_of", "sums"]

BINNINGS = ("width", "mass")
VARIANCE, PERIOD = 25.0, 128       # up to this variance of a count: exact, from its law modulo the period


def bin_of(p: torch.Tensor, bins: int, binning: str) -> torch.Tensor:
    """Bin of each confidence (..., n), integers in 0 .. bins - 1."""
    check_count(bins, "bins", least=1)
    if check_member(binning, BINNINGS, "binning") == "width":
        edges = torch.arange(1, bins, dtype=p.dtype, device=p.device) / bins
        return torch.bucketize(p, edges)               # edges[b - 1] < p <= edges[b]
    n = p.shape[-1]
    order = p.argsort(stable=True, dim=-1)
    ranked = (torch.arange(n, device=p.device) * bins // n).expand(p.shape)
    return torch.empty_like(order).scatter_(-1, order, ranked)


def sums(values: torch.Tensor, index: torch.Tensor, groups: int) -> torch.Tensor:
    """Sums of the values (..., n) over each group, (..., groups)."""
    return values.new_zeros(*values.shape[:-1], groups).scatter_add_(-1, index, values)


def absolute_deviation(p: torch.Tensor, index: torch.Tensor, groups: int) -> torch.Tensor:
    r"""E |sum_{i in b} (B_i - p_i)| for each group b of independent B_i ~ Bernoulli(p_i); shape (..., groups).

    Args:
        p: probabilities (..., n), float64.
        index: group of each, integers (..., n) in 0 .. groups - 1.
        groups: their number.

    With v the variance of a group's count N, v <= 25: the law of N modulo 128 is the inverse Fourier transform of
    prod_i (1 - p_i + p_i e^{iw}) at w = 2 pi k / 128, and by Bernstein's inequality N is within 63 of its mean but
    for 1e-18, so that the result is exact to rounding, 1e-12. Larger v, with skewness g, excess kurtosis k and the
    fractional part theta of the mean:

        E|N - EN| = sqrt(2 v / pi) (1 + (g^2 - k) / 24) - (theta^2 - theta + 1/6) / sqrt(2 pi v) + O(v^{-3/2}),

    Edgeworth's series to second order and Euler and Maclaurin's term for the kink of |.| on a lattice.
    """
    q = 1 - p
    mean, v, third, fourth = (sums(t, index, groups) for t in (
        p, p * q, p * q * (q - p), p * q * (1 - 6 * p * q)))
    large, theta = v.clamp(min=VARIANCE), mean - mean.floor()
    series = (2 * large / math.pi).sqrt() * (1 + (third.square() / large - fourth) / (24 * large.square()))
    series = series - (theta.square() - theta + 1 / 6) / (2 * math.pi * large).sqrt()
    if not (v <= VARIANCE).any():
        return series
    # offsets j of a count from floor(mean); mass_j = (1/L) sum_w |phi| cos(arg phi - w (j - theta)), phi centred
    small = v <= VARIANCE
    kept, number = small.gather(-1, index), small.flatten().cumsum(0).view_as(small) - 1
    index, p, q = number.gather(-1, index)[kept], p[kept], q[kept]
    j = torch.arange(PERIOD, dtype=p.dtype, device=p.device) - PERIOD // 2 + 1 - theta[small][:, None]
    mass = torch.zeros_like(j)
    for k in range(PERIOD // 2 + 1):
        w = 2 * math.pi * k / PERIOD
        modulus = sums(torch.log1p(-4 * p * q * math.sin(w / 2)**2) / 2, index, len(j)).exp()
        phase = sums(torch.atan2(p * math.sin(w), q + p * math.cos(w)) - w * p, index, len(j))
        mass += (1 if k in (0, PERIOD // 2) else 2) / PERIOD * modulus[:, None] * torch.cos(phase[:, None] - w * j)
    return series.masked_scatter(small, (j.abs() * mass).sum(-1)).masked_fill(v == 0, 0.0)
