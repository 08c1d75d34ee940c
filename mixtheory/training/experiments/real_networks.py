r"""What survives in a real network: claims of the theory chapters on networks that the engine trained.

The networks have one hidden layer of ReLU units and no normalisation; each seed trains on a random half of the
training examples kept. Everything below was fixed before the first run; other networks, those of the headline, had
been looked at before.

Kept exactly: identities that hold for every function, measured on these: two weighted losses or one (`affine`), the
mixup risk of squared error from the kinks (`loss_link`), the chord penalty from the kinks (`kinks`). Kept to leading
order: the loss gap of logistic regression on frozen features (`head_gap`), over what the projection formula predicts
for these features.

Foretold: of deep networks theory says nothing, but of the solvable models in the chapters it does. `FORETOLD` lists
for each the sign that the model predicts for the network, before the first run. Each is told as differences seed by
seed, mixup at alpha = 1 less ERM unless said otherwise; the page judges by their 99 % intervals.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend, mixup, soft_labels
from mixtheory.theory import geometry, geometry_kinks, geometry_loss, labels
from mixtheory.theory.labels_smoothing import smoothing_by_mean
from mixtheory.theory.membership_gap import mixup_gap
from mixtheory.training.arms import ERM, INITIAL, Arm
from mixtheory.training.engine import Trained, train
from mixtheory.training.experiments import _heads as heads
from mixtheory.training.experiments._networks import SCHEME, UNITS, Depth, dissected, judged
from mixtheory.training.inputs import Split, split
from mixtheory.training.measurements.gradients import example_noise
from mixtheory.training.measurements.segments import mean_square_deviation
from mixtheory.training.models import initial_state, mlp
from mixtheory.training.recipes import LOSSES, Recipe
from mixtheory.training.replicas import device_of, generators

DATASETS = ("digits", "fashion_mnist", "mnist", "cifar10")
ALPHA = 1.0
MODEL, HIDDEN = mlp(128), "2"                   # the ReLU, by its name in the module
ARMS = {"ERM": ERM, "mixup 0.2": Arm(0.2), "mixup": Arm(ALPHA), "mixup 4": Arm(4.0),
        "smoothing": Arm(smoothing=float(smoothing_by_mean(ALPHA)))}
AFFINE_MARGIN, KINK_MARGIN = 1e-10, 1e-4      # the quadrature does not know where the kinks are
HEAD_MARGIN, HEAD_SIZE = 0.12, 400              # leading order: relative error of about p / n, and more in the tails
MEMBERS, LOOK, EXACT, HEAD = 21, 22, 23, 24     # streams of a seed
EXAMPLES, SEGMENTS, CELLS, NOISE = 12, 32, 128, 512
TOLD = {name: UNITS[name] for name in (
    "error", "overconfidence", "temperature", "ece", "ece_scaled", "ece_bias_scaled", "loss_gap", "threshold_auc",
    "lira_auc", "sharpness", "chord_deviation")} | {
    "floor": "nats above the entropy of the mixed labels", "clean_confidence": "probability, training images",
    "trace_start": "squared gradient", "trace_start_mixed": "squared gradient", "noise_start": "examples",
    "noise_start_mixed": "examples", "gradient_trace": "squared gradient", "gradient_trace_mixed": "squared gradient"}


@dataclass(frozen=True)
class Foretold:
    """A sign, said beforehand.

    name: of the observation. sign: of its mean. claim: what makes one expect it. words: what is compared.
    """

    name: str
    sign: int
    claim: str
    words: str


FORETOLD = (
    Foretold("overconfidence", -1, "calibration.underconfident", "confidence less accuracy falls"),
    Foretold("temperature", -1, "calibration.restricted", "the fitted temperature falls: answers must be sharpened"),
    Foretold("ece_scaled", +1, "calibration.after_temperature", "the calibration error left by a temperature grows"),
    Foretold("loss_gap", -1, "membership.gap_logistic", "the loss gap between members and others narrows"),
    Foretold("threshold_auc", +1, "membership.auc_logistic", "the loss-threshold attack gets stronger"),
    Foretold("head_auc", +1, "membership.auc_logistic", "so it does for the last layer, fitted anew"),
    Foretold("sharpness", +1, "curvature.logistic_optimum", "the minimum is sharper"),
    Foretold("trace_start", -1, "gradients.logistic_noise_zero", "at the initial weights the gradient varies less"),
    Foretold("noise_start", +1, "gradients.noise_scale_floor", "but larger in units of the squared mean gradient"),
    Foretold("trace_end", +1, "gradients.logistic_noise_ratio", "at the end of training the variance is larger itself"),
    Foretold("chord_deviation", -1, "geometry.penalty", "functions bend less between classes"),
    Foretold("floor", +1, "labels.loss_floor", "loss on mixed examples less the entropy of their labels"),
    Foretold("clean", +1, "labels.interpolating_confidence",
             "confidence on training images above that of label smoothing of the same mean"),
)


@dataclass(frozen=True)
class Size:
    """epochs, batch. train, test: examples kept (None: all). networks: looked into, each arm. datasets: of a head."""

    epochs: int
    batch: int
    train: int | None
    test: int | None
    networks: int
    datasets: int


LARGER = DATASETS[1:]
SIZES = {
    "quick": {"digits": Size(30, 32, None, None, 6, 64)} | dict.fromkeys(LARGER, Size(15, 32, 3000, 2000, 6, 64)),
    "full": {"digits": Size(30, 32, None, None, 16, 256)} | dict.fromkeys(LARGER, Size(30, 128, 20000, None, 16, 256))}
MINUTES = {(d, "full", "cpu"): 6.0 for d in DATASETS}


def measure(dataset: str, *, size: dict[str, Size], device: str, seeds: Sequence[int],
            progress: Callable[..., Any] | None = None
            ) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """Train the networks of all arms, look at them, and fit last layers to the features of those without mixup."""
    own, where = size[dataset], device_of(device)
    data = split(dataset, device=where, train=own.train, test=own.test)
    members = torch.stack([torch.randperm(len(data.x), generator=rng, device=where)[:len(data.x) // 2]
                           for rng in generators(seeds, where, stream=MEMBERS)])
    recipe = Recipe(epochs=own.epochs, batch=own.batch, rate=0.05, schedule="cosine", decay=1e-4)
    rows = members.repeat(len(ARMS), 1)
    trained = train(MODEL, data, arms=tuple(ARMS.values()), seeds=seeds, recipe=recipe, members=rows, progress=progress)
    found = _of_networks(trained, data, rows, own)
    told = [Observation(name, {"networks": "mlp", "arm": arm}, tuple(found[name][arm]), unit)
            for name, unit in TOLD.items() for arm in found.get(name, ())]
    predicted, gaps, aucs = _of_heads(trained, data, seeds, own)
    measurements = _exact(trained, data, members, seeds) + [
        Measurement("head_gap", "membership.gap", {"alpha": alpha, "n": HEAD_SIZE}, tuple(values), 1.0, HEAD_MARGIN,
                    "measured over predicted") for alpha, values in gaps.items()]
    told += [Observation("head_gap_predicted", {"alpha": alpha}, tuple(values), "n times nats")
             for alpha, values in predicted.items()]
    told += [Observation("head_auc", {"networks": "mlp", "arm": arm}, tuple(aucs[alpha]), "n times probability")
             for arm, alpha in (("ERM", 0.0), ("mixup", ALPHA))]
    config = {"model": MODEL.name, "recipe": asdict(recipe), "arms": {a: asdict(arm) for a, arm in ARMS.items()},
              "size": asdict(own), "foretold": [asdict(f) for f in FORETOLD],
              "head": {"features": heads.FEATURES, "population": heads.POPULATION, "n": HEAD_SIZE}}
    return config, measurements, told + _foretold(found, aucs)


# --- whole networks -----------------------------------------------------------------------------------------

def _of_networks(trained: Trained, data: Split, members: Tensor, size: Size) -> dict[str, dict[str, list[float]]]:
    """{measured: {arm: one number a seed}}; what is inside only of the first `size.networks` seeds."""
    count = len(trained.seeds)
    outside = judged(trained, data, members)
    inputs = trained.outputs_of(data.x)
    p = inputs.softmax(-1).amax(-1)
    outside["clean_confidence"] = [float(p[r, members[r]].mean()) for r in range(trained.replicas)]
    found: dict[str, dict[str, list[float]]] = {}
    for a, arm in enumerate(ARMS):
        for name, values in outside.items():
            found.setdefault(name, {})[arm] = values[a * count:(a + 1) * count]
        looks = generators(trained.seeds[:size.networks], data.x.device, stream=(LOOK, a))
        for k, rng in enumerate(looks):
            r = trained.replica(a, k)
            module = trained.module(r)
            inside = dissected(module, data, members[r], ALPHA, Depth(size.networks, batches=4), rng)
            inside["floor"] = _above_floor(module, data, members[r], rng)
            if arm == "ERM":
                inside |= _at_the_start(module, data, members[r], trained.seeds[k], rng)
            for name, value in inside.items():
                found.setdefault(name, {}).setdefault(arm, []).append(value)
    return found


def _at_the_start(module: torch.nn.Module, data: Split, members: Tensor, seed: int, rng: torch.Generator
                  ) -> dict[str, float]:
    """Gradient noise at the weights from which training set out, on unmixed and on mixed examples."""
    first = initial_state(module, generators([seed], torch.device("cpu"), stream=INITIAL))
    module = copy.deepcopy(module)
    module.load_state_dict({name: value[0] for name, value in first.items()})
    chosen = members[:NOISE]
    x, y = data.x[chosen], soft_labels(data.y[chosen], data.classes, like=data.x)
    mixed = mixup(x, y, alpha=ALPHA, rng=rng, **SCHEME)
    plain, blended = (example_noise(module, *pair) for pair in ((x, y), (mixed.x, mixed.y)))
    return {"trace_start": plain.trace.value, "trace_start_mixed": blended.trace.value,
            "noise_start": plain.scale.value, "noise_start_mixed": blended.scale.value}


def _above_floor(module: torch.nn.Module, data: Split, members: Tensor, rng: torch.Generator) -> float:
    """Mean cross-entropy of mixed training examples less the mean entropy of mixed labels, nats."""
    x, y = data.x[members], soft_labels(data.y[members], data.classes, like=data.x)
    mixed = mixup(x, y, alpha=ALPHA, pairing="independent", sharing="element", rng=rng)
    with torch.no_grad():
        loss = LOSSES["cross-entropy"](module(mixed.x), mixed.y).double().mean()
    priors = (y.double().mean(0)).cpu().numpy()
    return float(loss) - float(labels.mixed_label_entropy(ALPHA, priors / priors.sum()))


def _foretold(found: dict[str, dict[str, list[float]]], aucs: dict[float, list[float]]) -> list[Observation]:
    """What FORETOLD speaks of: differences seed by seed, by name."""
    def change(name: str, arm: str = "mixup", against: str = "ERM") -> np.ndarray:
        return np.subtract(found[name][arm], found[name][against])

    def ratio(mixed: str, plain: str, arm: str = "ERM") -> np.ndarray:
        return np.log(found[mixed][arm]) - np.log(found[plain]["ERM"])

    values = {name: change(name) for name in ("overconfidence", "temperature", "ece_scaled", "loss_gap",
                                              "threshold_auc", "sharpness", "chord_deviation")}
    values["head_auc"] = np.subtract(aucs[ALPHA], aucs[0.0])
    values |= {name: ratio(f"{name}_mixed", name) for name in ("trace_start", "noise_start")}
    values["trace_end"] = ratio("gradient_trace_mixed", "gradient_trace", "mixup")
    values["floor"] = np.array(found["floor"]["mixup"])
    values["clean"] = change("clean_confidence", "mixup", "smoothing")
    return [Observation("foretold", {"what": f.name, "sign": f.sign}, tuple(values[f.name].tolist()))
            for f in FORETOLD]


# --- identities ---------------------------------------------------------------------------------------------

def _exact(trained: Trained, data: Split, members: Tensor, seeds: Sequence[int]) -> list[Measurement]:
    """Identities on the networks trained with mixup, one value a seed."""
    found: dict[str, list[float]] = {"affine": [], "loss_link": [], "kinks": []}
    arm = list(ARMS).index("mixup")
    for k, rng in enumerate(generators(seeds, data.x.device, stream=EXACT)):
        module = trained.module(trained.replica(arm, k)).double()
        chosen = members[k][torch.randperm(members.shape[1], generator=rng, device=rng.device)]
        x = data.x[chosen].double()
        y = soft_labels(data.y[chosen], data.classes, like=x)
        found["affine"].append(_affine(module, x[:EXAMPLES], y[:EXAMPLES], rng))
        found["loss_link"].append(_loss_link(module, x[:EXAMPLES], y[:EXAMPLES]))
        found["kinks"].append(_kinks(module, x[:SEGMENTS], x[SEGMENTS:2 * SEGMENTS]))
    claims = {"affine": ("gradients.cross_entropy", 0.0, AFFINE_MARGIN, "of the gradient"),
              "loss_link": ("geometry.loss", 1.0, KINK_MARGIN, "of the predicted loss"),
              "kinks": ("geometry.penalty", 1.0, KINK_MARGIN, "of the closed form")}
    return [Measurement(name, claim, {"arm": "mixup", "alpha": ALPHA}, tuple(found[name]), predicted, margin, unit)
            for name, (claim, predicted, margin, unit) in claims.items()]


def _affine(module: torch.nn.Module, x: Tensor, y: Tensor, rng: torch.Generator) -> float:
    """Gradient at the mixed labels against the gradients at both labels, weighted: relative distance."""
    mixed = mixup(x, y, alpha=ALPHA, pairing="roll", sharing="element", rng=rng)
    weights = list(module.parameters())
    loss = LOSSES["cross-entropy"](module(mixed.x), mixed.y).mean()
    two = (mixed.lam * LOSSES["cross-entropy"](module(mixed.x), y)
           + (1 - mixed.lam) * LOSSES["cross-entropy"](module(mixed.x), y[mixed.partner])).mean()
    one, other = (torch.cat([g.flatten() for g in torch.autograd.grad(value, weights)]) for value in (loss, two))
    return float((one - other).norm() / one.norm())


def _loss_link(module: torch.nn.Module, x: Tensor, y: Tensor) -> float:
    """Mixup risk of squared error over all pairs, summed over outputs, over what loss identity and kinks say."""
    W, b, a, c = (p.detach().cpu().numpy() for layer in (module[1], module[3]) for p in (layer.weight, layer.bias))
    rows = x.flatten(1).cpu().numpy()
    closed = sum(geometry_loss.mixup_mse(ALPHA, geometry_loss.Problem(geometry_loss.Network(W, b, *one), rows, target))
                 for one, target in zip(zip(a, c, strict=True), y.T.cpu().numpy(), strict=True))
    first = torch.arange(len(x)).repeat_interleave(len(x))
    second = torch.arange(len(x)).repeat(len(x))
    total = 0.0
    with torch.no_grad():
        for t, weight in zip(*symmetric(ALPHA).quadrature(nodes=CELLS), strict=True):
            mixed = module(blend(float(t), x[first], x[second])) - blend(float(t), y[first], y[second])
            total += float(weight) * float(mixed.square().sum(1).mean())
    return total / float(closed)


def _kinks(module: torch.nn.Module, x1: Tensor, x2: Tensor) -> float:
    """Squared chord deviation of the logits by quadrature, over the closed form from the kinks of the units."""
    W, b, a = (p.detach().cpu().numpy() for p in (module[1].weight, module[1].bias, module[3].weight))
    ends = x1.flatten(1).cpu().numpy(), x2.flatten(1).cpu().numpy()
    closed = sum(geometry_kinks.chord_penalty(*geometry.relu_kinks(W, b, one, *ends), ALPHA) for one in a)
    return mean_square_deviation(module, x1, x2, ALPHA, nodes=CELLS).value / float(np.mean(closed))


# --- last layers --------------------------------------------------------------------------------------------

def _of_heads(trained: Trained, data: Split, seeds: Sequence[int], size: Size) -> tuple[dict[float, list[float]], ...]:
    """Predicted n x gap, measured over predicted, and n x (AUC - 1/2), by alpha, one value a seed."""
    predicted: dict[float, list[float]] = {0.0: [], ALPHA: []}
    gaps: dict[float, list[float]] = {0.0: [], ALPHA: []}
    aucs: dict[float, list[float]] = {0.0: [], ALPHA: []}
    rngs = generators(seeds, data.x.device, stream=HEAD)
    people = [heads.population(trained.module(trained.replica(0, k)), data, HIDDEN, rng) for k, rng in enumerate(rngs)]
    x, y = (torch.stack(parts) for parts in zip(*people, strict=True))
    for alpha in gaps:
        best = heads.fit(x, y, alpha, range(heads.POPULATION))
        for one, optimum, rng in zip(people, best, rngs, strict=True):
            data_set, start = (one.x.cpu().numpy(), one.y.cpu().numpy()), optimum.cpu().numpy()
            foreseen = mixup_gap(alpha, data_set, start, heads.gradient, heads.hessian, nodes=heads.NODES)
            draws = torch.Generator(rng.device).manual_seed(rng.initial_seed())     # the same for both alphas
            seen = heads.fitted(one, optimum, alpha, HEAD_SIZE, size.datasets, draws)
            predicted[alpha].append(foreseen)
            gaps[alpha].append(float(seen.gap.mean()) / foreseen)
            aucs[alpha].append(float(seen.auc.mean()))
    return predicted, gaps, aucs
