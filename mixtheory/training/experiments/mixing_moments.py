r"""Two losses on real images that moments of lambda decide.

* `shrinkage`: the mean squared error of a linear layer at its zero initialisation, on one-hot targets
  standardised class by class. Without mixup it is 1, with mixup E[lambda^2 + (1 - lambda)^2] = s. In every
  epoch both members of the pairs run through the whole training set in random orders of their own: then the
  standardised targets of a pair have mean product exactly 0. (A permutation within small batches would not
  do: an example that meets itself adds 2 u/n.)
* `untied_labels`: classifiers trained with mixup. Their loss with mixed labels against their loss with the hard label
  of the first member and lambda' ~ Beta(alpha + 1, alpha): the relative difference, predicted 0. With
  lambda' ~ Beta(alpha, alpha), a wrong theory, it is told as `untilted`.
* `folded`: the same with mixed labels and max(lambda, 1 - lambda) for lambda, predicted 0.

Both identities hold for every unordered pair by itself, once lambda is averaged over. So all losses are taken on the
same pairs, each in both orders, and what is left is the noise of lambda given the pair. That is made small by strata:
each law gives `STRATA` values for each ordered pair, one from each of as many equally likely slices. The mean is
unbiased, and the networks see random lambda all the same. Normalisation is in evaluation mode, so that a loss belongs
to one pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy import special
from torch import nn

from mixtheory.evidence.record import Measurement, Observation
from mixtheory.mixing import Beta, symmetric
from mixtheory.mixup import blend, soft_labels
from mixtheory.theory import mixing_moments as theory
from mixtheory.theory.mixing_moments_laws import tilted
from mixtheory.training.arms import Arm
from mixtheory.training.data import NAMES
from mixtheory.training.engine import Trained
from mixtheory.training.experiments._trained import Training, networks
from mixtheory.training.inputs import Split
from mixtheory.training.replicas import Rows, device_of, floats, generators, images

DATASETS = NAMES
ZERO_ALPHAS = (0.1, 0.37, 1.0, 4.2)
TRAINED_ALPHAS = (0.2, 1.0)
ZERO_MARGIN = 0.003                 # fixed before the recorded runs, as are the sizes
LOSS_MARGIN = 0.005                 # of the loss
STRATA = 32
CHUNK = 4096                        # rows mixed at once
AFTER = 11                          # stream of a seed


@dataclass(frozen=True)
class Size:
    """Examples of the zero network (whole epochs, at least so many), training, and pairs looked at after it."""

    zero: int
    training: Training
    pairs: int


SIZES = {"quick": Size(30_000, Training(6, 2048), 500), "full": Size(50_000, Training(3, 4096), 400)}


def measure(dataset: str, *, size: Size, device: str, seeds: Sequence[int], progress: Callable[..., Any] | None = None
            ) -> tuple[dict[str, Any], list[Measurement], list[Observation]]:
    """Configuration, measurements and observations of one run; one value of each for each seed."""
    rows = images(dataset, device_of(device))
    rngs = generators(seeds, rows.x.device)
    result, told = [], []
    for alpha in ZERO_ALPHAS:
        values = [zero_network(rows, alpha, size.zero, rng) for rng in rngs]
        result.append(Measurement("shrinkage", "mixing_moments.shrinkage", {"alpha": alpha}, floats(values),
                                  float(theory.shrinkage(alpha)), ZERO_MARGIN, "of the error without mixup"))
        if progress:
            progress(f"zero network, alpha {alpha:g}")
    arms = [Arm(alpha) for alpha in TRAINED_ALPHAS]
    data, trained, training = networks(dataset, arms, size.training, device=device, seeds=seeds, progress=progress)
    losses = after_training(trained, data, size.pairs).unflatten(1, (len(arms), len(seeds)))
    for a, alpha in enumerate(TRAINED_ALPHAS):
        mixed, untilted, untied, folded = losses[:, a]
        result += [Measurement(name, f"mixing_moments.{claim}", {"alpha": alpha}, floats(loss / mixed - 1), 0.0,
                               LOSS_MARGIN, "of the loss")
                   for name, claim, loss in (("untied_labels", "untied_labels", untied),
                                             ("folded", "symmetrised", folded))]
        told += [Observation("loss", {"alpha": alpha}, floats(mixed), "nats"),
                 Observation("untilted", {"alpha": alpha}, floats(untilted / mixed - 1), "of the loss")]
    config = {"zero_alphas": ZERO_ALPHAS, "trained_alphas": TRAINED_ALPHAS, "zero": size.zero, "images": len(rows.x),
              "training": training, "pairs": size.pairs, "strata": STRATA}
    return config, result, told


def zero_network(rows: Rows, alpha: float, least: int, rng: torch.Generator) -> float:
    """Mean squared error of a zero linear layer over whole epochs of mixed examples, a lambda each."""
    x, device = rows.x, rows.x.device
    targets = soft_labels(rows.y, rows.classes, like=x)
    targets = (targets - targets.mean(0)) / targets.std(0, correction=0)
    layer = nn.utils.skip_init(nn.Linear, x.shape[1], rows.classes, device=device)
    nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
    total, epochs = torch.zeros((), dtype=torch.float64, device=device), -(-least // len(x))
    with torch.no_grad():
        for _ in range(epochs):
            first, second = (torch.randperm(len(x), generator=rng, device=device) for _ in range(2))
            lam = symmetric(alpha).sample(len(x), rng=rng, dtype=x.dtype)[:, None]
            for i, j, p in zip(first.split(CHUNK), second.split(CHUNK), lam.split(CHUNK), strict=True):
                error = layer(blend(p, x[i], x[j])) - blend(p, targets[i], targets[j])
                total += error.double().square().mean(1).sum()
    return float(total) / (epochs * len(x))


# --- trained networks ---------------------------------------------------------------------------------------

def strata(law: Beta, rows: int, rng: torch.Generator) -> torch.Tensor:
    """Draws (rows, STRATA) in float64: in each row one from each of STRATA equally likely slices of the law."""
    u = torch.rand(rows, STRATA, generator=rng, device=rng.device, dtype=torch.float64)
    u = (u + torch.arange(STRATA, device=rng.device)) / STRATA
    return torch.as_tensor(special.betaincinv(law.a, law.b, u.cpu().numpy()), device=rng.device)


@torch.no_grad()
def after_training(trained: Trained, data: Split, pairs: int) -> torch.Tensor:
    """Mean losses (4, R), nats, over pairs of training examples, each replica with the alpha of its training.

    With mixed labels; with the first label and lambda not tilted; with the first label, tilted; with mixed labels and
    lambda folded.
    """
    device, R = data.x.device, trained.replicas
    members, laws = [], {"symmetric": [], "tilted": [], "folded": []}
    for a, arm in enumerate(trained.arms):
        for rng in generators(trained.seeds, device, stream=(AFTER, a)):
            pair = torch.randint(len(data.x), (2, pairs), generator=rng, device=device)
            members.append(torch.cat([pair, pair.flip(0)], 1))          # each pair in both orders
            for name, law in (("symmetric", symmetric(arm.alpha)), ("tilted", tilted(arm.alpha)),
                              ("folded", symmetric(arm.alpha))):
                lam = strata(law, 2 * pairs, rng)
                laws[name].append(lam.maximum(1 - lam) if name == "folded" else lam)
    first, second = torch.stack(members, 1)
    lams = {name: torch.stack(parts).to(data.x.dtype) for name, parts in laws.items()}      # (R, 2 pairs, STRATA)
    trained.stacked.eval()
    sums, step = torch.zeros(4, R, dtype=torch.float64, device=device), max(1, CHUNK // (R * STRATA))
    for at in range(0, 2 * pairs, step):
        i, j = first[:, at:at + step], second[:, at:at + step]
        for name, rows in (("symmetric", (0, 1)), ("tilted", (2,)), ("folded", (3,))):
            lam = lams[name][:, at:at + step]
            own, other = _losses(trained, data, i, j, lam)
            for row in rows:
                sums[row] += (own if row in (1, 2) else blend(lam, own, other)).double().sum((1, 2))
    return sums / (2 * pairs * STRATA)


def _losses(trained: Trained, data: Split, i: torch.Tensor, j: torch.Tensor,
            lam: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy (R, p, STRATA) of the mixed inputs for either label; i, j (R, p), lam (R, p, STRATA)."""
    axes = (...,) + (None,) * (data.x.ndim - 1)
    x = blend(lam[axes], data.x[i].unsqueeze(2), data.x[j].unsqueeze(2)).flatten(1, 2)
    scores = trained.stacked(x).log_softmax(-1).unflatten(1, lam.shape[1:])
    return tuple(-scores.gather(-1, data.y[k][:, :, None, None].expand(*lam.shape, 1))[..., 0] for k in (i, j))
