r"""Calibration of classifiers, from their logits, before and after temperature scaling.

Logits, labels and results are those of `mixtheory.training.measurements.scores`, whose functions are offered here too.

The plug-in expected calibration error (ECE) of a perfectly calibrated model is not 0. Given the confidences c_i,
the numbers of correct predictions in the bins are sums of independent Bernoulli(c_i), whatever the binning, so

    E[ECE | c] = (1/n) sum_b E |sum_{i in b} (B_i - c_i)|,   B_i ~ Bernoulli(c_i) independent,

which `ece_bias` computes. It falls as sqrt(bins / n) once the bins are full, and is of the size of many effects that
are reported: show it beside every ECE.

Source, from memory: Guo et al. 2017 (ECE, temperature); Nixon et al. 2019 (adaptive and class-wise bins); Kumar
et al. 2019 (debiased squared error); Roelofs et al. 2022 (bias of the plug-in); Broecker and Smith 2007 (`ece_null`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from mixtheory.domain import DomainError, check_count, check_member, check_positive
from mixtheory.training.measurements.binning import BINNINGS, absolute_deviation, bin_of, sums
from mixtheory.training.measurements.scores import (
    as_given,
    as_labels,
    as_logits,
    brier,
    error,
    nll,
    overconfidence,
    temperature,
)

__all__ = ["BINNINGS", "LABELS", "BiasCurve", "Reliability", "Report", "Scores", "bias_curve", "brier", "debiased_ece",
           "ece", "ece_bias", "ece_null", "error", "nll", "overconfidence", "reliability", "report", "scores",
           "squared_ece", "temperature"]

LABELS = ("top", "all")
SCALES = ("logits", "probabilities")


class Reliability(NamedTuple):
    """A reliability diagram: examples, mean confidence and accuracy of each bin, (..., bins); 0 where it is empty."""

    count: torch.Tensor
    confidence: torch.Tensor
    accuracy: torch.Tensor


def ece(scores: Any, y: Any, bins: int = 15, binning: str = "width", *, label: str = "top",
        of: str = "logits") -> torch.Tensor:
    """Plug-in expected calibration error, sum_b (n_b / n) |mean confidence - accuracy| over the bins b; shape (...).

    Args:
        scores: logits (..., n, K), or class probabilities with `of="probabilities"`.
        y: labels (n,) or (..., n).
        bins: number of bins, at least 1.
        binning: `width` is ((b - 1)/bins, b/bins] (and 0 in the first); `mass` cuts the examples, sorted by
            confidence, into bins whose sizes differ by at most one. Examples that tie across a cut go to the lower
            bin in the order in which they come: shuffle them if they are sorted by label and many tie.
        label: `top` takes the probability of the predicted class against being correct; `all` takes every class
            in turn, its probability against being the label, and averages over the classes (class-wise ECE).
        of: what the scores are, `logits` or `probabilities`.

    Fails: for a calibrated model it is positive, by `ece_bias`; wide bins hide opposite errors within a bin.

    Raises:
        DomainError: scores or labels outside their domain, bins < 1, unknown words.
    """
    p, hit = _events(scores, y, label, of)
    gap = sums(p - hit, bin_of(p, bins, binning), bins)
    return _over_classes(gap.abs().sum(-1) / p.shape[-1], label)


def reliability(scores: Any, y: Any, bins: int = 15, binning: str = "width", *, of: str = "logits") -> Reliability:
    """What the top-label `ece` sums up, bin by bin; arguments and errors as there."""
    p, hit = _events(scores, y, "top", of)
    index = bin_of(p, bins, binning)
    count = sums(torch.ones_like(p), index, bins)
    return Reliability(count, *(sums(v, index, bins) / count.clamp(min=1) for v in (p, hit)))


def ece_bias(scores: Any, bins: int = 15, binning: str = "width", *, label: str = "top",
             of: str = "logits") -> torch.Tensor:
    """E[plug-in ECE | these confidences] if the model were perfectly calibrated; shape (...).

    Per bin the mean absolute deviation of a Poisson-binomial count (`absolute_deviation`): exact (1e-12 / n) where the
    variance of the count is at most 25, else by an Edgeworth series, relative error below 2e-5. Labels do not enter.
    Examples must be independent. Arguments and errors as for `ece`.
    """
    p, _ = _events(scores, None, label, of)
    index = bin_of(p, bins, binning)
    return _over_classes(absolute_deviation(p, index, bins).sum(-1) / p.shape[-1], label)


def debiased_ece(scores: Any, y: Any, bins: int = 15, binning: str = "width", *, label: str = "top",
                 of: str = "logits") -> torch.Tensor:
    """`ece` minus `ece_bias`: mean exactly 0 for a calibrated model; shape (...), may be negative.

    Fails: a bin whose true gap exceeds its noise has hardly any bias, so a badly calibrated model is corrected by
    too much, at most by `ece_bias`. `squared_ece` is unbiased for every model.
    """
    options = {"bins": bins, "binning": binning, "label": label, "of": of}
    return ece(scores, y, **options) - ece_bias(scores, **options)


def squared_ece(scores: Any, y: Any, bins: int = 15, binning: str = "width", *, label: str = "top",
                of: str = "logits") -> torch.Tensor:
    """Unbiased estimate of sum_b (n_b / n) (E[confidence - correct | bin b])^2; shape (...), may be negative.

    The mean over pairs of different examples of a bin in place of the square of a mean. A bin with one example
    has no pair and counts as 0. Arguments and errors as for `ece`.
    """
    p, hit = _events(scores, y, label, of)
    index = bin_of(p, bins, binning)
    count, first, second = (sums(v, index, bins) for v in (torch.ones_like(p), p - hit, (p - hit).square()))
    # (n_b / n) * (first^2 - second) / (n_b (n_b - 1))
    return _over_classes(((first.square() - second) / (count - 1).clamp(min=1)).sum(-1) / p.shape[-1], label)


def ece_null(scores: Any, bins: int = 15, binning: str = "width", *, draws: int, rng: Any, label: str = "top",
             of: str = "logits") -> torch.Tensor:
    """Plug-in ECE with labels redrawn from the predicted probabilities, `draws` times; shape (draws, ...).

    The law of the ECE of a calibrated model with these predictions: its mean is `ece_bias`, and the share of draws
    that reach the observed ECE is the p-value of calibration.

    Args:
        scores: as for `ece`.
        bins: as for `ece`.
        binning: as for `ece`.
        draws: how many, at least 1.
        rng: numpy.random.Generator, or torch.Generator on the device of the scores.
        label: as for `ece`.
        of: as for `ece`.

    Raises:
        DomainError: as for `ece`; draws < 1.
    """
    check_count(draws, "draws", least=1)
    p = _probabilities(scores, of)
    edges = p.cumsum(-1)[..., :-1]
    return torch.stack([ece(p, (_uniform(p.shape[:-1], rng, p.device)[..., None] > edges).sum(-1), bins, binning,
                            label=label, of="probabilities") for _ in range(draws)])


class BiasCurve(NamedTuple):
    """Plug-in ECE of a calibrated model by sample size, each (sizes,): means over repetitions and standard errors.

    `predicted` is the mean of `ece_bias`; `debiased` is the mean of `ece` - `ece_bias`, 0 in expectation.
    """

    sizes: torch.Tensor
    plug_in: torch.Tensor
    plug_in_error: torch.Tensor
    predicted: torch.Tensor
    debiased: torch.Tensor
    debiased_error: torch.Tensor


def bias_curve(sizes: Sequence[int], bins: int = 15, binning: str = "width", *, rng: Any, repetitions: int = 256,
               classes: int = 10, spread: float = 2.0, label: str = "top") -> BiasCurve:
    """How large the ECE of a perfectly calibrated model looks, by sample size.

    The model: Gaussian logits of standard deviation `spread`, labels drawn from their softmax. Its true ECE is 0.

    Args:
        sizes: numbers of examples, each at least 1.
        bins: as for `ece`.
        binning: as for `ece`.
        rng: numpy.random.Generator or torch.Generator.
        repetitions: independent data sets for each size, at least 2.
        classes: at least 2.
        spread: > 0, nats.
        label: as for `ece`.

    Raises:
        DomainError: numbers below these bounds, unknown words.
    """
    check_count(repetitions, "repetitions")
    check_count(classes, "classes")
    check_positive(spread, "spread")
    rows = []
    for n in sizes:
        check_count(n, "sizes", least=1)
        parts, chunk = [], max(1, 2**21 // (n * classes))
        for start in range(0, repetitions, chunk):
            shape = (min(chunk, repetitions - start), n, classes)
            p = (spread * _normal(shape, rng)).softmax(-1)
            y = (_uniform(shape[:-1], rng, p.device)[..., None] > p.cumsum(-1)[..., :-1]).sum(-1)
            options = {"bins": bins, "binning": binning, "label": label, "of": "probabilities"}
            parts.append(torch.stack([ece(p, y, **options), ece_bias(p, **options)]))
        plug_in, bias = torch.cat(parts, 1)
        rows.append(torch.stack([plug_in.mean(), _standard_error(plug_in), bias.mean(), (plug_in - bias).mean(),
                                 _standard_error(plug_in - bias)]))
    return BiasCurve(torch.tensor(list(sizes)), *torch.stack(rows, -1))


# --- before and after temperature scaling -------------------------------------------------------------------

class Scores(NamedTuple):
    """Numbers of one evaluation, each (...): see the functions of the same names."""

    error: torch.Tensor
    nll: torch.Tensor
    brier: torch.Tensor
    ece: torch.Tensor
    ece_bias: torch.Tensor
    overconfidence: torch.Tensor


class Report(NamedTuple):
    """Scores on the evaluated examples as they are, and after division by a temperature fitted on the others."""

    temperature: torch.Tensor
    raw: Scores
    scaled: Scores


def scores(logits: Any, y: Any, *, bins: int = 15, binning: str = "width") -> Scores:
    """All scores of one evaluation; arguments and errors as for `ece`."""
    z = as_logits(logits)
    return Scores(error(z, y), nll(z, y), brier(z, y), ece(z, y, bins, binning), ece_bias(z, bins, binning),
                  overconfidence(z, y))


def report(logits: Any, y: Any, *, held_out: Any, bins: int = 15, binning: str = "width",
           clip: tuple[float, float] | None = None) -> Report:
    """Scores before and after temperature scaling, on the examples that did not fit the temperature.

    Args:
        logits: (..., n, K), of examples that were not trained on.
        y: labels (n,) or (..., n).
        held_out: the examples that fit the temperature: their indices, or a boolean mask (n,). The rest is evaluated.
        bins: as for `ece`.
        binning: as for `ece`.
        clip: as for `temperature`.

    Raises:
        DomainError: no held-out example or nothing left to evaluate; as for `ece` and `temperature`.
    """
    z = as_logits(logits)
    label, n = as_labels(y, z), z.shape[-2]
    chosen = as_given(held_out, torch.device("cpu"))
    if chosen.dtype == torch.bool and tuple(chosen.shape) == (n,):
        chosen = chosen.nonzero()[:, 0]
    elif (chosen.ndim != 1 or chosen.dtype == torch.bool or (len(chosen) and (
            chosen.is_floating_point() or int(chosen.min()) < 0 or int(chosen.max()) >= n))):
        raise DomainError(f"held_out of shape {tuple(chosen.shape)}, {chosen.dtype}: must be a mask ({n},) or "
                          f"indices in 0 .. {n - 1}")
    rest = torch.ones(n, dtype=torch.bool)
    rest[chosen.long()] = False
    if rest.all() or not rest.any():
        raise DomainError(f"held_out: {int((~rest).sum())} of {n} examples; a temperature is fitted on some examples "
                          "and evaluated on others")
    rest = rest.to(z.device)
    T = temperature(z[..., ~rest, :], label[..., ~rest], clip=clip)
    z, label = z[..., rest, :], label[..., rest]
    return Report(T, scores(z, label, bins=bins, binning=binning),
                  scores(z / T[..., None, None], label, bins=bins, binning=binning))


# --- parts --------------------------------------------------------------------------------------------------

def _probabilities(scores: Any, of: str) -> torch.Tensor:
    if check_member(of, SCALES, "of") == "logits":
        return as_logits(scores).softmax(-1)
    p = as_logits(scores, "probabilities")
    worst = max(float(-p.min()), float((p.sum(-1) - 1).abs().max()))
    if worst > 1e-5:
        raise DomainError(f"probabilities: negative or with sums off 1, by {worst:.3g}; logits need of='logits'")
    return p.clamp(0, 1)


def _events(scores: Any, y: Any, label: str, of: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities of events and whether they happened: (..., n) for the top class, (..., K, n) for all."""
    check_member(label, LABELS, "label")
    p = _probabilities(scores, of)
    target = torch.zeros(p.shape[:-1], dtype=torch.long) if y is None else as_labels(y, p)
    if label == "all":
        hit = torch.nn.functional.one_hot(target.to(p.device), p.shape[-1])
        return p.transpose(-1, -2).contiguous(), hit.transpose(-1, -2).double()
    top = p.max(-1)
    return top.values, (top.indices == target.to(p.device)).double()


def _over_classes(values: torch.Tensor, label: str) -> torch.Tensor:
    return values.mean(-1) if label == "all" else values


def _uniform(shape: Sequence[int], rng: Any, device: torch.device) -> torch.Tensor:
    if isinstance(rng, np.random.Generator):
        return torch.as_tensor(rng.random(tuple(shape)), device=device)
    return torch.rand(tuple(shape), generator=rng, device=rng.device, dtype=torch.float64)


def _normal(shape: Sequence[int], rng: Any) -> torch.Tensor:
    if isinstance(rng, np.random.Generator):
        return torch.as_tensor(rng.standard_normal(tuple(shape)))
    return torch.randn(tuple(shape), generator=rng, device=rng.device, dtype=torch.float64)


def _standard_error(values: torch.Tensor) -> torch.Tensor:
    return values.std() / math.sqrt(len(values))
