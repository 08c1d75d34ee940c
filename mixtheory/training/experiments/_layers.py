r"""Inside trained networks: covariance within a batch at a layer, and what BatchNorm keeps of it.

The factors of `covariance_batch` hold for any vectors in random order, so that they hold for the activations of any
layer of a frozen network if mixing is done there, and if it is done at the input as long as all before the layer is
affine. After a nonlinearity there is no prediction, and what the input's mixing does there is told only.

* `hidden_factor`: the trace of the covariance within a batch at a hidden layer, mixed there, over the unmixed.
* `linear_factor`: the same at the output of the first linear layer, mixed at the input.
* `through` (told): the same behind ReLUs. Normalisation is in evaluation mode in all three, an affine map.
* `running_factor`: the running variance of the BatchNorm behind the first linear layer, computed anew as a plain
  average over mixed batches, over the same on clean ones.
* `kept_factor`: the running variance that training itself has left there over the one of clean batches under the last
  weights. It is an exponential average over some twenty batches; meanwhile the weights stand still, since the
  schedule has sent the rate to zero. In evaluation such a network divides clean examples by too small a deviation.
* `behind_normalisation` (told): `running_factor` of the second BatchNorm. The first one normalises mixed batches
  too, so that little is left of the factor.
* `between_factor`: for a convolution on images, running variance pools examples and positions. With P positions and
  the mean map m_p of a batch, V = mean_p Var_i(z_ip) + Var_p(m_p) = W + B; mixing multiplies the expectation of W by
  the factor and leaves B where it is, since every mixed batch of this scheme has the mean of the batch exactly. So
  (V~ - B)/(V - B) is predicted; V~/V (`convolution`, told) is nearer to one by the share B/V (`mean_map`, told).

All mixing here is `flip` with a lambda for each pair (two more schemes for `hidden_factor`): it keeps batch means
and has little noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.mixup import mixup
from mixtheory.theory.covariance_batch import batch_factor
from mixtheory.training.arms import ERM, Arm
from mixtheory.training.experiments._trained import BATCH, HIDDEN, Training, networks
from mixtheory.training.inputs import Split
from mixtheory.training.measurements.batches import activation, covariance_ratio, running_statistics
from mixtheory.training.models import cnn
from mixtheory.training.replicas import floats, generators

ALPHA = 1.0
SCHEME = ("flip", "pair")
CLAIMS = {("flip", "pair"): "batch_distinct", ("roll", "element"): "batch_distinct_element",
          ("permutation", "element"): "batch_permutation_element"}
ARMS = {"ERM": ERM, "mixup": Arm(ALPHA, *SCHEME)}
SMALL = 16                          # images in a batch for running variances: there the pairing shows
# Fixed before the recorded runs with the noise of pilots. RUNNING_MARGIN is less than half of the gap (1 - s)/15
# between self-pairs in and out; KEPT_MARGIN has room for the last moves of the weights.
LAYER_MARGIN, RUNNING_MARGIN, KEPT_MARGIN = 0.015, 0.01, 0.03
LAYERS, NORMS, IMAGES = 11, 12, 13  # streams of a seed
NORM, NEXT_NORM, FIRST = "2", "5", "1"                  # normalisations of the networks, and their first layer


@dataclass(frozen=True)
class Inside:
    """How the networks are trained, and how many batches are looked at for each replica."""

    mlp: Training
    cnn: Training
    width: int
    batches: int
    small_batches: int


Values = dict[tuple[str, ...], list[float]]


def inside(dataset: str, *, size: Inside, device: str, seeds: Sequence[int],
           progress: Callable[..., Any] | None = None) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """Configuration, measurements and observations of trained networks; one value of each for each seed."""
    found: Values = {}

    def note(value: float, *key: str) -> None:
        found.setdefault(key, []).append(value)

    data, trained, config = networks(dataset, tuple(ARMS.values()), size.mlp, device=device, seeds=seeds,
                                     progress=progress)
    streams = [generators(seeds, data.x.device, stream=s) for s in (LAYERS, NORMS)]
    for k, (rng, other) in enumerate(zip(*streams, strict=True)):
        erm, mixed = (trained.module(trained.replica(a, k)) for a in range(2))
        _at_layers(erm, mixed, list(_batches(data, BATCH, size.batches, rng)), rng, note)
        _at_norms(mixed, list(_batches(data, SMALL, size.small_batches, other)), other, note)
    data, trained, images = networks(dataset, (ARMS["mixup"],), size.cnn, device=device, seeds=seeds,
                                     model=cnn(size.width), progress=progress)
    for k, rng in enumerate(generators(seeds, data.x.device, stream=IMAGES)):
        _over_positions(trained.module(k), list(_batches(data, SMALL, size.small_batches, rng)), rng, note)
    return {"mlp": config, "cnn": images}, _measurements(found), _observations(found)


def _batches(data: Split, n: int, count: int, rng: torch.Generator) -> Iterator[torch.Tensor]:
    """Whole batches of one random order of the examples after another."""
    each = len(data.x) // n
    while count:
        order = torch.randperm(len(data.x), generator=rng, device=rng.device)[:each * n].view(each, n)
        yield from (data.x[part] for part in order[:count])
        count -= min(count, each)


def _mixed(batches: Sequence[torch.Tensor], rng: torch.Generator) -> Iterator[torch.Tensor]:
    pairing, sharing = SCHEME
    return (mixup(x, alpha=ALPHA, rng=rng, pairing=pairing, sharing=sharing).x for x in batches)


def _at_layers(erm: torch.nn.Module, mixed: torch.nn.Module, batches: list[torch.Tensor], rng: torch.Generator,
               note: Callable[..., None]) -> None:
    def ratio(module: torch.nn.Module, layer: str, at: str = "", scheme: tuple[str, str] = SCHEME) -> float:
        pairing, sharing = scheme
        return covariance_ratio(module, batches, alpha=ALPHA, rng=rng, pairing=pairing, sharing=sharing,
                                layer=layer, at=at).ratio.value

    last = HIDDEN["second hidden"]
    note(ratio(mixed, HIDDEN["linear"]), "linear_factor")
    note(ratio(mixed, HIDDEN["first hidden"], HIDDEN["first hidden"]), "hidden_factor", "first hidden", *SCHEME)
    for scheme in CLAIMS:
        note(ratio(mixed, last, last, scheme), "hidden_factor", "second hidden", *scheme)
    for name, module in (("ERM", erm), ("mixup", mixed)):
        for layer in ("first hidden", "second hidden", "output"):
            note(ratio(module, HIDDEN[layer]), "through", name, layer)


def _at_norms(module: torch.nn.Module, batches: list[torch.Tensor], rng: torch.Generator,
              note: Callable[..., None]) -> None:
    clean, after = running_statistics(module, batches), running_statistics(module, _mixed(batches, rng))
    note(float(after[NORM].var.sum() / clean[NORM].var.sum()), "running_factor")
    note(float(module.get_submodule(NORM).running_var.sum() / clean[NORM].var.sum()), "kept_factor")
    note(float(after[NEXT_NORM].var.sum() / clean[NEXT_NORM].var.sum()), "behind_normalisation")


def _over_positions(module: torch.nn.Module, batches: list[torch.Tensor], rng: torch.Generator,
                    note: Callable[..., None]) -> None:
    V, after = (float(running_statistics(module, part)[NORM].var.double().sum())
                for part in (batches, _mixed(batches, rng)))
    means = torch.stack([x.mean(0) for x in batches])           # the convolution is affine: it maps means to means
    maps = activation(module, means, layer=FIRST).double().flatten(2)
    count = maps.shape[2] * SMALL                               # of the 1/(count - 1) in a running variance
    B = float(maps.var(2, correction=0).mean(0).sum()) * count / (count - 1)
    note((after - B) / (V - B), "between_factor")
    note(after / V, "convolution")
    note(B / V, "mean_map")


# --- predictions and margins --------------------------------------------------------------------------------

def _measurements(found: Values) -> list[Measurement]:
    def measurement(key: tuple[str, ...], n: int, margin: float, **arm: Any) -> Measurement:
        scheme = tuple(key[2:]) or SCHEME
        shown = {"alpha": ALPHA, "n": n, "pairing": scheme[0], "sharing": scheme[1]}
        return Measurement(key[0], f"covariance.{CLAIMS[scheme]}", arm | shown, floats(found[key]),
                           float(batch_factor(**shown)), margin, "of the value without mixing")

    hidden = [key for key in found if key[0] == "hidden_factor"]
    return [*(measurement(key, BATCH, LAYER_MARGIN, layer=key[1]) for key in hidden),
            measurement(("linear_factor",), BATCH, LAYER_MARGIN, layer="linear"),
            measurement(("running_factor",), SMALL, RUNNING_MARGIN),
            measurement(("kept_factor",), BATCH, KEPT_MARGIN),
            measurement(("between_factor",), SMALL, RUNNING_MARGIN)]


def _observations(found: Values) -> list[Observation]:
    told = [Observation("through", {"trained": key[1], "layer": key[2], "alpha": ALPHA, "n": BATCH}, floats(values),
                        "of the value without mixing") for key, values in found.items() if key[0] == "through"]
    for name, unit in (("behind_normalisation", "of the value without mixing"),
                       ("convolution", "of the value without mixing"),
                       ("mean_map", "share of the running variance")):
        told.append(Observation(name, {"alpha": ALPHA, "n": SMALL}, floats(found[name,]), unit))
    return told
