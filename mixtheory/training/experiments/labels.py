r"""Labels of real data under mixup: their entropy, the floor of the loss, doubt on clean images, shrinking plus noise.

Of the labels and images of the training part, one value a replica from `draws` random mixed examples at alpha = 1:

* `entropy`, `top_weight`: mean entropy and mean largest weight of mixed labels, partners independent, self-pairs
  included; `entropy_distinct`: the entropy where the partner is another of the first 20 examples, few enough for it to
  differ; `pair_entropy`: that of the pairs with two classes.
* `shrunk`: <x~ - xbar, a>/|a|^2 with a = x_i - xbar, against thetabar. From two independent mixings of the same
  examples, half the product of their differences along a: `noise`, `noise_label` against the covariance of the noise
  along a, and its cross-covariance with that of the label; `theta_variance` and `partner_square` from `noise` and the
  noise in all directions together. `total`: the squared length of x~ - xbar over tr C, against s.

Of networks trained by the engine, with mixup (alpha = 1, each example with its neighbour, a lambda each) and with label
smoothing, at the strength of the same mean label (`smoothing (mean)`) and of the same entropy (`smoothing (entropy)`):

* `shortfall`: by how much the mean loss of a mixup network over freshly mixed training examples lies below the floor,
  0 if it does not; predicted 0. `loss` and the floor are told.
* `own_confidence`: mean probability of the own class on clean training images, for smoothing against
  1 - epsilon (K - 1)/K. On test images, and for mixup, where no theory of ours gives it, it is told (`clean`): the
  number for smoothing with the same mean label was expected to be wrong for mixup by more than 0.05.
* told, too: the share of single batches with one lambda that fall below the floor, and the confidence of mixup networks
  at inputs shrunk by thetabar.

Margins and sizes were fixed after a quick pilot on digits. Smoothing is measured where networks fit their training
examples, which is why `full` keeps few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.mixing import symmetric
from mixtheory.mixup import blend, soft_labels
from mixtheory.theory import labels as theory
from mixtheory.theory import labels_decomposition as parts
from mixtheory.theory import labels_smoothing as smooth
from mixtheory.theory import labels_weight as weight
from mixtheory.training.arms import Arm
from mixtheory.training.data import NAMES
from mixtheory.training.engine import Trained
from mixtheory.training.experiments._trained import BATCH, Training, networks
from mixtheory.training.inputs import Split
from mixtheory.training.recipes import LOSSES
from mixtheory.training.replicas import floats, generators

DATASETS = NAMES
ALPHA = 1.0
LABELS, NOISE, LOSS, ONE_LAMBDA = 21, 22, 23, 24        # streams of a seed
FEW = 20                                                # examples among which self-pairs show
LABEL_MARGIN = 0.005                                    # nats, or of the weight
NOISE_MARGIN = {"shrunk": 0.003, "noise": 0.001, "noise_label": 0.001, "partner_square": 0.002,
                "theta_variance": 0.001, "total": 0.005}
FLOOR_MARGIN, CONFIDENCE_MARGIN = 0.005, 0.02           # nats; probability
CHUNK = 1 << 22                                         # floats mixed at once


@dataclass(frozen=True)
class Size:
    """Mixed examples a replica, and how the networks are trained."""

    draws: int
    training: Training


SIZES = {"quick": Size(16_000, Training(30, 2048)), "full": Size(24_000, Training(60, 2048))}


def arms_of(classes: int) -> dict[str, Arm]:
    """The arms by name: mixup, and label smoothing of the same mean or entropy."""
    return {"mixup": Arm(ALPHA, "roll", "element"),
            "smoothing (mean)": Arm(smoothing=float(smooth.smoothing_by_mean(ALPHA))),
            "smoothing (entropy)": Arm(smoothing=float(smooth.smoothing_by_entropy(ALPHA, classes)))}


def measure(dataset: str, *, size: Size, device: str, seeds: Sequence[int], progress: Callable[..., Any] | None = None
            ) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """Configuration, measurements and observations of one run; one value of each for each seed."""
    from mixtheory.training.inputs import split
    from mixtheory.training.replicas import device_of

    arms = arms_of(split(dataset, device="cpu", train=2, test=1).classes)
    data, trained, config = networks(dataset, list(arms.values()), size.training, device=device, seeds=seeds,
                                     progress=progress)
    config |= {"draws": size.draws, "classes": data.classes, "device": str(device_of(device))}
    priors = np.bincount(data.y.cpu().numpy(), minlength=data.classes) / len(data.y)
    found = [*of_labels(data, priors, size.draws, seeds), *of_noise(data, size.draws, seeds)]
    measured, told = of_networks(data, trained, tuple(arms), priors, size.draws, seeds)
    return config, [*found, *measured], told


# --- labels -------------------------------------------------------------------------------------------------

def draw_labels(labels: torch.Tensor, classes: int, draws: int, rng: torch.Generator, *,
                distinct: bool = False) -> torch.Tensor:
    """Mixed labels (draws, K) of random pairs of examples; `distinct`: no self-pairs."""
    n, device = len(labels), labels.device
    i, j = torch.randint(n, (2, draws), generator=rng, device=device)
    if distinct:
        j = (i + torch.randint(1, n, (draws,), generator=rng, device=device)) % n
    lam = symmetric(ALPHA).sample(draws, rng=rng)
    one_hot = soft_labels(labels, classes)
    return blend(lam[:, None], one_hot[i], one_hot[j])


def of_labels(data: Split, priors: np.ndarray, draws: int, seeds: Sequence[int]) -> list[Measurement]:
    """Entropy and largest weight of mixed labels against theory."""
    values: dict[str, list[float]] = {}
    for rng in generators(seeds, data.y.device, stream=LABELS):
        y = draw_labels(data.y, data.classes, draws, rng)
        H = torch.special.entr(y).sum(1)
        other = torch.special.entr(draw_labels(data.y[:FEW], data.classes, draws, rng, distinct=True)).sum(1)
        for name, value in (("entropy", H.mean()), ("pair_entropy", H[y.amax(1) < 1].mean()),
                            ("entropy_distinct", other.mean()), ("top_weight", y.amax(1).mean())):
            values.setdefault(name, []).append(float(value))
    few = np.bincount(data.y[:FEW].cpu().numpy(), minlength=data.classes) / FEW
    predicted = {"entropy": theory.mixed_label_entropy(ALPHA, priors), "pair_entropy": theory.pair_entropy(ALPHA),
                 "entropy_distinct": theory.mixed_label_entropy(ALPHA, few, FEW),
                 "top_weight": weight.expected_top_weight(ALPHA, priors)}
    return [Measurement(name, f"labels.{name}", {"alpha": ALPHA}, tuple(values[name]), float(predicted[name]),
                        LABEL_MARGIN, "of the weight" if name == "top_weight" else "nats") for name in values]


# --- shrinking plus noise -----------------------------------------------------------------------------------

def of_noise(data: Split, draws: int, seeds: Sequence[int]) -> list[Measurement]:
    """Moments of mixed images along and around their deviation from the mean, the labels with them."""
    a = data.x.flatten(1).double()
    a = a - a.mean(0)
    b = soft_labels(data.y, data.classes).to(a.device)
    b = b - b.mean(0)
    squares, label_squares = (a**2).sum(1), (b**2).sum(1)
    trace, C, cross = float(squares.mean()), a.T @ a / len(a), a.T @ b / len(a)
    along = float((((a @ C) * a).sum(1) / squares**2).mean())
    along_label = float((((a @ cross) * b).sum(1) / (squares * label_squares)).mean())
    values: dict[str, list[float]] = {}
    for rng in generators(seeds, a.device, stream=NOISE):
        sums = torch.zeros(5, dtype=torch.float64)
        step = max(1, CHUNK // a.shape[1])
        for start in range(0, draws, step):
            sums += _noise_sums(a, b, squares, label_squares, min(step, draws - start), rng)
        own, both, own_label, around, square = (sums / draws).tolist()
        share = around / trace
        gamma = (share - both) / (1 - along)
        for name, value in (("shrunk", own), ("noise", both), ("noise_label", own_label), ("partner_square", gamma),
                            ("theta_variance", both - gamma * along), ("total", square / trace)):
            values.setdefault(name, []).append(float(value))
    one = np.ones(1)
    predicted = {"shrunk": parts.shrunk_mean(ALPHA, 1.0, 0.0),
                 "noise": parts.perturbation_covariance(ALPHA, one, np.array([[along]]))[0, 0],
                 "noise_label": parts.perturbation_cross(ALPHA, one, one, np.array([[along_label]]))[0, 0],
                 "theta_variance": parts.theta_variance(ALPHA), "partner_square": parts.partner_square(ALPHA),
                 "total": parts.consistency(ALPHA)}
    claims = {"shrunk": "shrunk_mean", "noise": "perturbation_covariance", "noise_label": "perturbation_cross",
              "total": "consistency"}
    return [Measurement(name, f"labels.{claims.get(name, name)}", {"alpha": ALPHA}, tuple(values[name]),
                        float(predicted[name]), NOISE_MARGIN[name], "tr C" if name == "total" else "of the deviation")
            for name in values]


def _noise_sums(a: torch.Tensor, b: torch.Tensor, squares: torch.Tensor, label_squares: torch.Tensor, count: int,
                rng: torch.Generator) -> torch.Tensor:
    """Sums of: place along a; noise along a, along a and with the label's, in all directions; squared length."""
    i = torch.randint(len(a), (count,), generator=rng, device=a.device)
    mixed = []
    for _ in range(2):
        j = torch.randint(len(a), (count,), generator=rng, device=a.device)
        lam = symmetric(ALPHA).sample(count, rng=rng)
        theta = torch.maximum(lam, 1 - lam)[:, None]
        mixed.append((blend(theta, a[i], a[j]), blend(theta, b[i], b[j])))
    (x, y), (X, Y) = mixed
    place, place_label = ((x - X) * a[i]).sum(1) / squares[i], ((y - Y) * b[i]).sum(1) / label_squares[i]
    found = ((x * a[i]).sum(1) / squares[i], place**2 / 2, place * place_label / 2, ((x - X) ** 2).sum(1) / 2,
             (x**2).sum(1))
    return torch.stack([value.sum() for value in found]).cpu()


# --- networks -----------------------------------------------------------------------------------------------

def of_networks(data: Split, trained: Trained, arms: tuple[str, ...], priors: np.ndarray, draws: int,
                seeds: Sequence[int]) -> tuple[list[Measurement], list[Observation]]:
    """Loss against its floor; probability of the own class on clean images."""
    floor = float(theory.mixed_label_entropy(ALPHA, priors, len(data.y)))
    loss, below = mixed_losses(data, trained, draws, seeds, floor)
    mixup = {"alpha": ALPHA, "arm": "mixup"}
    measured = [Measurement("shortfall", "labels.loss_floor", mixup, tuple(max(0.0, floor - v) for v in loss), 0.0,
                            FLOOR_MARGIN, "nats")]
    told = [Observation("loss", mixup, loss, "nats"), Observation("floor", mixup, (floor,), "nats"),
            Observation("below", mixup, below, "of the batches")]
    R = len(seeds)
    shrunk = parts.shrink_input(ALPHA, data.x, data.x.mean(0))
    for x, y, where in ((data.x, data.y, "train"), (data.x_test, data.y_test, "test"), (shrunk, data.y, "shrunk")):
        p = torch.softmax(trained.outputs_of(x).double(), -1)
        own = p.gather(-1, y.expand(len(p), -1)[..., None])[..., 0].mean(1)
        correct = (p.argmax(-1) == y).double().mean(1)
        for k, name in enumerate(arms):
            here, shown = slice(k * R, (k + 1) * R), {"arm": name, "where": where}
            epsilon = trained.arms[k].smoothing
            if epsilon and where == "train":
                predicted = float(smooth.smoothing_confidence(epsilon, data.classes))
                measured.append(Measurement("own_confidence", "labels.smoothing_confidence", shown, floats(own[here]),
                                            predicted, CONFIDENCE_MARGIN, "probability"))
            told += [Observation("clean", shown, floats(own[here]), "probability"),
                     Observation("accuracy", shown, floats(correct[here]))]
    return measured, told


def mixed_losses(data: Split, trained: Trained, draws: int, seeds: Sequence[int], floor: float
                 ) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean loss over mixed training examples, and the share of batches with one lambda that fall below the floor.

    Of the networks of the first arm, which is mixup; replica k has its own draws.
    """
    losses, below = [], []
    one_hot = soft_labels(data.y, data.classes, like=data.x)
    device = data.x.device
    streams = zip(generators(seeds, device, stream=LOSS), generators(seeds, device, stream=ONE_LAMBDA), strict=True)
    for r, (rng, shared) in enumerate(streams):
        module = trained.module(r)
        batches = -(-draws // BATCH)
        i = torch.randint(len(data.y), (batches * BATCH,), generator=rng, device=device)
        j = (i + torch.randint(1, len(data.y), i.shape, generator=rng, device=device)) % len(data.y)
        each = symmetric(ALPHA).sample(len(i), rng=rng, dtype=data.x.dtype)
        one = symmetric(ALPHA).sample((batches, 1), rng=shared, dtype=data.x.dtype).expand(-1, BATCH).flatten()
        for lam, keep in ((each, losses), (one, below)):
            loss = torch.cat([_loss(module, data, one_hot, *part) for part in zip(
                *(v.split(1 << 13) for v in (i, j, lam)), strict=True)])
            keep.append(float(loss.mean()) if keep is losses
                        else float((loss.view(batches, BATCH).mean(1) < floor).double().mean()))
    return tuple(losses), tuple(below)


@torch.no_grad()
def _loss(module: torch.nn.Module, data: Split, one_hot: torch.Tensor, i: torch.Tensor, j: torch.Tensor,
          lam: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of mixed examples, nats, (b,)."""
    x = blend(lam.view(-1, *[1] * (data.x.ndim - 1)), data.x[i], data.x[j])
    y = blend(lam[:, None], one_hot[i], one_hot[j])
    return LOSSES["cross-entropy"](module(x), y).double()
