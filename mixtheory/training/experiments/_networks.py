"""What is measured on trained networks: how well they do, what they give away, and what they look like inside.

`judged` is about outputs and takes all replicas at once; `dissected` looks into one network. Both return plain
numbers by name; names and units are in `UNITS`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mixtheory.mixup import mixup, soft_labels
from mixtheory.training.engine import Trained
from mixtheory.training.inputs import Split
from mixtheory.training.measurements import batches, calibration, curvature, gradients, membership, scores, segments

__all__ = ["UNITS", "Depth", "dissected", "judged"]

SCHEME = {"pairing": "roll", "sharing": "element"}     # of all mixing done to measure: the least noisy one
LOGIT_BOUND = (0.05, 20.0)                              # of the temperature

UNITS = {
    "error": "share of the test part", "error_median": "share of the test part, median of the last epochs",
    "nll": "nats", "brier": "squared probability", "ece": "probability", "ece_mass": "probability",
    "ece_bias": "probability", "overconfidence": "probability", "temperature": "",
    "nll_scaled": "nats", "ece_scaled": "probability", "ece_bias_scaled": "probability",
    "train_nll": "nats", "loss_gap": "nats", "threshold_auc": "probability", "threshold_advantage": "probability",
    "lira_auc": "probability",
    "hidden_factor": "covariance at the last hidden layer, mixed there, over unmixed",
    "through_factor": "covariance at the last hidden layer, mixed at the input, over unmixed",
    "running_first": "running variance, mixed over clean, first normalisation",
    "running_last": "running variance, mixed over clean, last normalisation",
    "noise_scale": "examples", "noise_scale_mixed": "examples", "gradient_trace": "squared gradient",
    "gradient_trace_mixed": "squared gradient",
    "sharpness": "nats per squared parameter", "hessian_trace": "nats per squared parameter",
    "chord_deviation": "squared probability", "slope_variation": "probability",
    "midpoint_entropy": "nats", "end_entropy": "nats",
}


@dataclass(frozen=True)
class Depth:
    """How much is looked at inside a network.

    networks: of each arm, the first so many seeds. batches, batch: of the within-batch statistics.
    examples: of gradients and curvature. probes: of the Hessian's trace. pairs, cells: of segments.
    """

    networks: int
    batches: int = 32
    batch: int = 64
    examples: int = 256
    probes: int = 16
    pairs: int = 128
    cells: int = 32


def judged(trained: Trained, data: Split, members: Tensor) -> dict[str, list[float]]:
    """Outputs of all replicas: name -> (R,), replica by replica.

    Args:
        trained: R networks.
        data: what they were trained and tested on. Every second test example fits the temperature.
        members: (R, m) training examples of each; the training examples left out are the non-members of the
            attacks, or the test part where none is left out.
    """
    z_test, z_train = (trained.outputs_of(x).double() for x in (data.x_test, data.x))
    held_out = torch.arange(0, len(data.y_test), 2)
    report = calibration.report(z_test, data.y_test, held_out=held_out, clip=LOGIT_BOUND)
    rest = z_test[:, 1::2]
    found = {
        "error": scores.error(z_test, data.y_test), "nll": report.raw.nll, "brier": report.raw.brier,
        "ece": report.raw.ece, "ece_mass": calibration.ece(rest, data.y_test[1::2], binning="mass"),
        "ece_bias": report.raw.ece_bias, "overconfidence": report.raw.overconfidence,
        "temperature": report.temperature, "nll_scaled": report.scaled.nll, "ece_scaled": report.scaled.ece,
        "ece_bias_scaled": report.scaled.ece_bias,
    }
    if trained.history["error"]:
        found["error_median"] = torch.stack(list(trained.history["error"].values())).median(0).values
    inside = membership.member_mask(members, len(data.x))
    losses, test = membership.losses(z_train, data.y), membership.losses(z_test, data.y_test)
    rows: dict[str, list[Tensor]] = {name: [] for name in ("train_nll", "loss_gap", "threshold_auc",
                                                           "threshold_advantage")}
    for loss, mask, outside in zip(losses, inside, test, strict=True):
        others = loss[~mask] if not mask.all() else outside
        attack = membership.threshold_attack(loss[mask], others)
        for name, value in zip(rows, (loss[mask].mean(), membership.loss_gap(loss[mask], others), attack.auc,
                                      attack.advantage), strict=True):
            rows[name].append(value)
    return ({name: values.tolist() for name, values in found.items()}
            | {name: torch.stack(values).tolist() for name, values in rows.items()}
            | _likelihood_ratio(trained, z_train, data.y, inside))


def _likelihood_ratio(trained: Trained, logits: Tensor, y: Tensor, inside: Tensor) -> dict[str, list[float]]:
    """LiRA among the seeds of each arm, on the examples that enough of them saw and did not see."""
    seeds, found = len(trained.seeds), []
    share = inside[:seeds].sum(0)
    known = (share >= 3) & (share <= seeds - 3)
    if int(known.sum()) < len(y) // 2:
        return {}
    confidence = membership.confidence(logits, y)
    for a in range(len(trained.arms)):
        rows = slice(a * seeds, (a + 1) * seeds)
        attack = membership.likelihood_ratio_attack(confidence[rows][:, known], inside[rows][:, known])
        found += attack.attack.auc.tolist()
    return {"lira_auc": found}


def dissected(module: torch.nn.Module, data: Split, examples: Tensor, alpha: float, depth: Depth,
              rng: torch.Generator) -> dict[str, float]:
    """The inside of one network: name -> number.

    Args:
        module: in evaluation mode.
        data: where the examples are.
        examples: (m,) its training examples.
        alpha: of all mixing done here, whatever it was trained with.
        depth: how much.
        rng: on the device of the data.
    """
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):    # Lanczos wants all digits of float32
        found = (_weights(module, data, examples, alpha, depth, rng) | _between(module, data, depth, rng)
                 | _within(module, data, examples, alpha, depth, rng))
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _weights(module: torch.nn.Module, data: Split, examples: Tensor, alpha: float, depth: Depth,
             rng: torch.Generator) -> dict[str, float]:
    """Gradients and curvature with respect to the weights."""
    chosen = examples[torch.randperm(len(examples), generator=rng, device=rng.device)]
    x, y = data.x[chosen[:depth.examples]], data.y[chosen[:depth.examples]]
    targets = soft_labels(y, data.classes, like=x)
    mixed = mixup(x, targets, alpha=alpha, rng=rng, **SCHEME)
    plain, blended = (gradients.example_noise(module, *pair) for pair in ((x, targets), (mixed.x, mixed.y)))
    hessian = curvature.Hessian(module, x, targets, chunk=256)
    start = torch.Generator().manual_seed(rng.initial_seed())
    return {
        "noise_scale": plain.scale.value, "noise_scale_mixed": blended.scale.value,
        "gradient_trace": plain.trace.value, "gradient_trace_mixed": blended.trace.value,
        "sharpness": hessian.eigenvalues(1, rng=start).values[0],
        "hessian_trace": hessian.trace(depth.probes, rng=start).value,
    }


def _between(module: torch.nn.Module, data: Split, depth: Depth, rng: torch.Generator) -> dict[str, float]:
    """Along segments between test examples of different classes."""
    first, second = (torch.randint(len(data.y_test), (4 * depth.pairs,), generator=rng, device=rng.device)
                     for _ in range(2))
    different = (data.y_test[first] != data.y_test[second]).nonzero()[:depth.pairs, 0]
    x1, x2 = data.x_test[first[different]], data.x_test[second[different]]
    entropy = segments.segment_entropy(module, x1, x2, [0.0, 0.5]).mean.tolist()
    return {
        "chord_deviation": segments.mean_square_deviation(module, x1, x2, 1.0, probabilities=True,
                                                          nodes=depth.cells // 2).value,
        "slope_variation": float(segments.slope_variation(module, x1, x2, cells=depth.cells,
                                                          probabilities=True).sum(1).mean()),
        "end_entropy": entropy[0], "midpoint_entropy": entropy[1],
    }


def _within(module: torch.nn.Module, data: Split, examples: Tensor, alpha: float, depth: Depth,
            rng: torch.Generator) -> dict[str, float]:
    """Covariance within batches at the last hidden layer, and running statistics."""
    count = depth.batches * depth.batch
    order = torch.cat([torch.randperm(len(examples), generator=rng, device=rng.device)
                       for _ in range(-(-count // len(examples)))])[:count]
    clean = [data.x[examples[part]] for part in order.split(depth.batch)]
    layer = [name for name, _ in module.named_children()][-2]
    factor = {name: batches.covariance_ratio(module, clean, alpha=alpha, rng=rng, layer=layer, at=at,
                                             **SCHEME).ratio.value
              for name, at in (("hidden_factor", layer), ("through_factor", ""))}
    if not any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in module.modules()):
        return factor
    mixed = (mixup(x, alpha=alpha, rng=rng, **SCHEME).x for x in clean)
    ratios = [ratio.pooled for ratio in batches.running_ratio(module, clean, mixed).values()]
    return factor | {"running_first": ratios[0], "running_last": ratios[-1]}
