"""What holds for every batch, every partner and every weight."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mixtheory.mixup import mix, mixup
from mixtheory.pairing import PAIRINGS

# name -> (how to make it, spacing of its numbers near 1)
ARRAYS = {
    "numpy float32": (lambda a: a.astype(np.float32), 2.0**-23),
    "numpy float64": (lambda a: a, 2.0**-52),
    "torch float32": (lambda a: torch.tensor(a, dtype=torch.float32), 2.0**-23),
    "torch float64": (lambda a: torch.tensor(a, dtype=torch.float64), 2.0**-52),
    "torch bfloat16": (lambda a: torch.tensor(a, dtype=torch.bfloat16), 2.0**-7),
}
arrays = pytest.mark.parametrize(("make", "eps"), ARRAYS.values(), ids=ARRAYS)
seeds = st.integers(0, 2**32 - 1)
alphas = st.sampled_from([0.0, 0.01, 0.1, 0.37, 1.0, 4.2, 50.0, np.inf])
weights = st.floats(0, 1)
factors = st.integers(-300, 300).map(lambda k: k / 100)


@st.composite
def batches(draw, permuted=False, even=False):
    """(x, partner): a batch of moderate numbers of any length and rank, and whom each example meets."""
    n = draw(st.integers(1, 5)) * 2 if even else draw(st.integers(2, 9))
    shape = (n, *draw(st.lists(st.integers(1, 3), max_size=3)))
    rng = np.random.default_rng(draw(seeds))
    x = rng.uniform(-1, 1, shape) * 10.0 ** draw(st.integers(-3, 3))
    return x, rng.permutation(n) if permuted else rng.integers(n, size=n)


def size(x):
    return float(np.abs(x).max())


def floats(values):
    return values.double().numpy() if isinstance(values, torch.Tensor) else np.asarray(values, dtype=float)


def other(make):
    """Indices in the namespace of the arrays that `make` makes."""
    return torch.as_tensor if isinstance(make(np.zeros(1)), torch.Tensor) else np.asarray


def generator(make, seed):
    return (
        torch.Generator().manual_seed(seed) if other(make) is torch.as_tensor else np.random.default_rng(seed)
    )


@arrays
@given(batch=batches(permuted=True), lam=weights)
def test_swapping_the_members_of_every_pair_swaps_the_weights(make, eps, batch, lam):
    """mix(x, pi, lam) at i is mix(x, pi^-1, 1 - lam) at pi(i): the same pair, told from the other side."""
    x, partner = batch
    to = other(make)
    one = floats(mix(make(x), to(partner), lam))
    two = floats(mix(make(x), to(np.argsort(partner)), 1 - lam))
    assert np.abs(one - two[partner]).max() <= 4 * eps * size(x)


@arrays
@given(batch=batches(permuted=True), lam=weights)
def test_one_weight_and_a_permutation_keep_the_batch_mean(make, eps, batch, lam):
    x, partner = batch
    x = floats(make(x))  # as rounded to the dtype
    mixed = floats(mix(make(x), other(make)(partner), lam))
    assert np.abs(mixed.mean(axis=0) - x.mean(axis=0)).max() <= 4 * eps * size(x)


def test_the_mean_is_not_kept_by_weights_of_their_own_nor_by_repeated_partners():
    x = np.array([0.0, 1.0, 2.0, 4.0])
    assert mix(x, np.array([1, 0, 3, 2]), np.array([0.1, 0.9, 0.5, 0.5])).mean() != pytest.approx(
        x.mean(), abs=0.1
    )
    assert mix(x, np.array([3, 3, 3, 3]), 0.5).mean() != pytest.approx(x.mean(), abs=0.1)


@arrays
@given(batch=batches(), seed=seeds)
def test_mixed_values_stay_between_the_two_members(make, eps, batch, seed):
    x, partner = batch
    x = floats(make(x))
    lam = np.random.default_rng(seed).random(len(x))
    mixed = floats(mix(make(x), other(make)(partner), other(make)(lam)))
    slack = 2 * eps * size(x)
    assert (mixed >= np.minimum(x, x[partner]) - slack).all()
    assert (mixed <= np.maximum(x, x[partner]) + slack).all()


@arrays
@given(batch=batches(), lam=weights, a=factors, b=factors)
def test_mixing_commutes_with_affine_maps(make, eps, batch, lam, a, b):
    x, partner = batch
    partner = other(make)(partner)
    before = floats(mix(make(a * x + b), partner, lam))
    after = a * floats(mix(make(x), partner, lam)) + b
    assert np.abs(before - after).max() <= 8 * eps * (abs(a) * size(x) + abs(b))


@arrays
@given(
    classes=st.integers(1, 12),
    n=st.integers(2, 9),
    alpha=alphas,
    seed=seeds,
    hot=st.booleans(),
    pairing=st.sampled_from([p for p in PAIRINGS if p != "flip"]),
    sharing=st.sampled_from(["batch", "element"]),
)
def test_labels_stay_on_the_simplex(make, eps, classes, n, alpha, seed, hot, pairing, sharing):
    rng = np.random.default_rng(seed)
    y = np.eye(classes)[rng.integers(classes, size=n)] if hot else rng.dirichlet(np.ones(classes), size=n)
    mixed = mixup(
        make(rng.random((n, 3))),
        make(y),
        alpha=alpha,
        rng=generator(make, seed),
        pairing=pairing,
        sharing=sharing,
    ).y
    assert mixed.dtype == make(y).dtype
    assert floats(mixed).min() >= 0
    assert np.abs(floats(mixed).sum(axis=1) - 1).max() <= 4 * eps * max(classes, 2)


@arrays
@given(batch=batches(even=True), seed=seeds, pairing=st.sampled_from(PAIRINGS))
def test_the_limits_of_alpha(make, eps, batch, seed, pairing):
    """alpha = 0 copies one member or the other; alpha = inf is the midpoint."""
    x = make(batch[0])
    copied = mixup(x, alpha=0.0, rng=generator(make, seed), pairing=pairing, sharing="element")
    own, partner = floats(x), floats(copied.partner).astype(int)
    keep = floats(copied.lam).reshape(-1, *[1] * (own.ndim - 1)) == 1
    assert np.array_equal(floats(copied.x), np.where(keep, own, own[partner]))
    middle = mixup(x, alpha=np.inf, rng=generator(make, seed), pairing=pairing)
    partner = floats(middle.partner).astype(int)
    assert np.abs(floats(middle.x) - (own + own[partner]) / 2).max() <= eps * size(own)


@arrays
@given(batch=batches(), lam=weights, seed=seeds)
def test_a_reused_buffer_holds_what_a_new_array_would(make, eps, batch, lam, seed):
    x, partner = batch
    x, partner = make(x), other(make)(partner)
    for weight in (lam, other(make)(np.random.default_rng(seed).random(len(x)))):
        out = make(np.full(x.shape, 7.0))
        assert mix(x, partner, weight, out=out) is out
        assert np.abs(floats(out) - floats(mix(x, partner, weight))).max() <= 4 * eps * size(floats(x))


@arrays
@given(batch=batches(even=True), alpha=alphas, seed=seeds, pairing=st.sampled_from(PAIRINGS))
def test_dtype_shape_and_namespace_are_kept_and_the_input_is_not_touched(
    make, eps, batch, alpha, seed, pairing
):
    x, y = make(batch[0]), make(np.full((len(batch[0]), 2), 0.5))
    before = floats(x).copy(), floats(y).copy()
    mixed = mixup(x, y, alpha=alpha, rng=generator(make, seed), pairing=pairing, sharing="element")
    for new, old in ((mixed.x, x), (mixed.y, y)):
        assert type(new) is type(old)
        assert (new.dtype, new.shape) == (old.dtype, old.shape)
        assert np.isfinite(floats(new)).all()
    assert np.array_equal(floats(x), before[0])
    assert np.array_equal(floats(y), before[1])


@given(batch=batches(), seed=seeds)
def test_numpy_and_torch_do_the_same(batch, seed):
    x, partner = batch
    lam = np.random.default_rng(seed).random(len(x))
    for dtype in (np.float32, np.float64):
        a = x.astype(dtype)
        assert np.array_equal(mix(a, partner, lam), mix(*map(torch.as_tensor, (a, partner, lam))).numpy())


@given(batch=batches(even=True), alpha=alphas, seed=seeds)
def test_flip_with_a_common_weight_gives_mirror_images(batch, alpha, seed):
    x = batch[0]
    mixed = mixup(x, alpha=alpha, rng=np.random.default_rng(seed), pairing="flip", sharing="pair").x
    assert np.abs(mixed + mixed[::-1] - x - x[::-1]).max() <= 1e-14 * size(x)
