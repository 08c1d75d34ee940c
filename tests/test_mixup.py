"""The operation against a loop over examples, and everything that it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch

from mixtheory import mixup as operation
from mixtheory.domain import DomainError
from mixtheory.mixing import Atoms
from mixtheory.mixup import Mixed, blend, mix, mixup, soft_labels

X = np.array([[1.0, 2.0], [-3.0, 0.5], [4.0, 0.0], [0.25, -8.0]])
PARTNER, LAM = np.array([2, 0, 2, 1]), np.array([0.0, 0.25, 0.5, 1.0])
AS = {"numpy": np.asarray, "torch": torch.as_tensor}


def generator(kind, seed=0):
    return np.random.default_rng(seed) if kind == "numpy" else torch.Generator().manual_seed(seed)


both = pytest.mark.parametrize("kind", ["numpy", "torch"])


@both
def test_mix_is_the_loop_that_one_would_write(kind):
    naive = np.array([LAM[i] * X[i] + (1 - LAM[i]) * X[PARTNER[i]] for i in range(4)])
    to = AS[kind]
    assert np.array_equal(np.asarray(mix(to(X), to(PARTNER), to(LAM))), naive)
    images = X.reshape(4, 1, 2, 1)
    assert np.array_equal(np.asarray(mix(to(images), to(PARTNER), to(LAM))), naive.reshape(4, 1, 2, 1))
    assert np.array_equal(np.asarray(mix(to(X[:, 0]), to(PARTNER), to(LAM))), naive[:, 0])


@both
def test_a_scalar_weight_is_common_to_all(kind):
    to = AS[kind]
    assert np.allclose(
        np.asarray(mix(to(X), to(PARTNER), 0.25)), 0.25 * X + 0.75 * X[PARTNER], rtol=0, atol=1e-15
    )


@both
def test_a_reused_buffer_is_filled_and_returned(kind):
    to = AS[kind]
    out = to(np.full_like(X, 9.0))
    result = mix(to(X), to(PARTNER), to(LAM), out=out)
    assert result is out
    assert np.allclose(np.asarray(out), np.asarray(mix(to(X), to(PARTNER), to(LAM))), rtol=0, atol=1e-14)


def test_a_buffer_that_is_not_contiguous():
    out = np.zeros((4, 4))[:, ::2]
    assert np.allclose(mix(X, PARTNER, LAM, out=out), mix(X, PARTNER, LAM), rtol=0, atol=1e-14)


@both
def test_a_buffer_that_shares_memory_is_refused(kind):
    memory = AS[kind](np.zeros((6, 2)))
    x, partner = memory[:4], AS[kind](PARTNER)
    for out in (x, memory[:4], memory[1:5], memory[2:]):
        with pytest.raises(DomainError, match="another buffer"):
            mix(x, partner, 0.5, out=out)
    assert mix(memory[:2], partner[:2] * 0, 0.5, out=memory[2:4]) is not None  # neighbours do not overlap


@both
def test_a_buffer_of_another_shape_or_dtype_is_refused(kind):
    to = AS[kind]
    for out in (to(np.zeros((4, 3))), to(np.zeros((4, 2), np.float32))):
        with pytest.raises(DomainError, match="out of shape"):
            mix(to(X), to(PARTNER), 0.5, out=out)


@both
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lam": 1.5}, "lam = 1.5"),
        ({"lam": np.array([0.1, 0.2, -0.1, 0.5])}, "lam = "),
        ({"lam": float("nan")}, "lam = nan"),
        ({"lam": np.zeros(3)}, "lam of shape"),
        ({"lam": np.zeros((4, 1))}, "lam of shape"),
        ({"partner": np.array([0, 1, 2])}, "partner = "),
        ({"partner": np.array([0, 1, 2, 4])}, "partner = "),
        ({"partner": np.array([0, 1, 2, -1])}, "partner = "),
        ({"partner": np.zeros(4)}, "partner = "),
        ({"x": np.zeros((4, 2), np.uint8)}, "x.dtype = .*uint8.*convert images first"),
        ({"x": np.zeros((4, 2), int)}, "x.dtype"),
    ],
)
@pytest.mark.parametrize("reuse", [False, True])
def test_bad_input_to_mix(kind, change, why, reuse):
    to = AS[kind]
    given = {"x": X, "partner": PARTNER, "lam": LAM, **change}
    given = {k: v if np.isscalar(v) else to(v) for k, v in given.items()}
    with pytest.raises(DomainError, match=why):
        mix(**given, out=to(np.zeros(X.shape)) if reuse else None)


# ---- a few rows at a time ----------------------------------------------------------------------------------

LAYOUTS = {
    "contiguous": lambda a: a,
    "channels last": lambda a: a.contiguous(memory_format=torch.channels_last),
    "every other row": lambda a: a.repeat_interleave(2, 0)[::2],
    "turned": lambda a: a.mT.contiguous().mT,
}
WEIGHTS = {"a number": lambda n: 0.3, "one for each": lambda n: torch.linspace(0, 1, n, dtype=torch.float64)}


def plain_mix(x, partner, lam):
    """A loop over rows, in float64."""
    lam = torch.as_tensor(lam, dtype=torch.float64).expand(len(x))
    return torch.stack([lam[i] * x[i].double() + (1 - lam[i]) * x[partner[i]].double() for i in range(len(x))])


@pytest.fixture(params=[1, 3, 7, 100], ids=lambda rows: f"{rows} rows")
def rows(request, monkeypatch):
    """How many of the rows of `images()` in float32 a block holds."""
    monkeypatch.setattr(operation, "BLOCK", request.param * 2 * 3 * 4 * 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    return request.param


def images(dtype=torch.float32):
    return torch.rand(10, 2, 3, 4, generator=generator("torch"), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(("dtype", "slack"), [(torch.float32, 2e-7), (torch.float64, 4e-16), (torch.bfloat16, 0.02)])
def test_blocks_leave_no_trace(rows, weights, layout, dtype, slack):
    x, lam = layout(images(dtype)), weights(10)
    partner = torch.tensor([9, 0, 0, 5, 4, 8, 1, 2, 3, 7])
    expected = plain_mix(x, partner, lam)
    within = plain_mix(x, partner.clamp(max=6), lam)  # as if the last rows could not be reached from the first block
    assert (expected - within).abs().max() > 0.1
    for fill in (lambda a: torch.full_like(a, 9.0), lambda a: torch.full((*a.shape, 2), 9.0, dtype=dtype)[..., 0]):
        out = fill(x)
        assert mix(x, partner, lam, out=out) is out
        assert (out.double() - expected).abs().max() <= slack
    assert (mix(x, partner, lam).double() - expected).abs().max() <= slack
    if dtype != torch.bfloat16:
        out = np.full(x.shape, 9.0, x.numpy().dtype)
        assert np.abs(mix(x.numpy(), partner.numpy(), lam, out=out) - expected.numpy()).max() <= slack


def test_without_a_buffer_blocks_change_no_bit(rows):
    x, partner, lam = images(), torch.arange(9, -1, -1), torch.linspace(0, 1, 10)
    whole = blend(lam[:, None, None, None], x, x[partner])
    assert torch.equal(mix(x, partner, lam), whole)
    assert np.array_equal(mix(x.numpy(), partner.numpy(), lam.numpy()), whole.numpy())


def test_at_the_ends_one_member_is_copied_bit_by_bit(rows):
    x, partner = images(), torch.arange(9, -1, -1)
    for lam, expected in ((1.0, x), (0.0, x[partner])):
        assert torch.equal(mix(x, partner, lam, out=torch.empty_like(x)), expected)
        assert torch.equal(mix(x, partner, torch.full((10,), lam)), expected)


def test_gradients_reach_both_members_and_the_weights(rows):
    x, partner, lam = images(torch.float64), torch.arange(9, -1, -1), torch.linspace(0.1, 0.9, 10).double()
    assert torch.autograd.gradcheck(
        lambda a, w: operation.mix_unchecked(a, partner, w), (x[:, :1, :1, :2].requires_grad_(), lam.requires_grad_()))


def test_many_batches_at_once(rows):
    x, partner = torch.stack([images(), 2 * images()]), torch.arange(9, -1, -1)
    many = torch.func.vmap(lambda a: mix(a, partner, 0.3))(x)
    assert torch.allclose(many, torch.stack([mix(a, partner, 0.3) for a in x]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
@pytest.mark.parametrize("reuse", [False, True])
def test_partners_of_any_integer_type_are_indices_and_no_mask(dtype, reuse):
    x, partner = torch.as_tensor(X), torch.tensor([1, 0, 1, 1], dtype=dtype)
    expected = plain_mix(x, partner.long(), 0.5)
    assert torch.equal(mix(x, partner, 0.5, out=torch.empty_like(x) if reuse else None), expected)


@both
def test_rows_without_numbers_and_batches_without_rows(kind):
    for shape in ((0, 2), (4, 0)):
        x, partner = AS[kind](np.zeros(shape)), AS[kind](np.arange(shape[0]))
        assert mix(x, partner, 0.5).shape == mix(x, partner, 0.5, out=AS[kind](np.ones(shape))).shape == x.shape


def test_what_mixup_has_drawn_itself_is_not_checked_again(monkeypatch):
    """On a GPU every check of values waits for the device."""
    def refuse(*given):
        raise AssertionError("checked again")

    for name in ("check_partner", "check_lambda"):
        monkeypatch.setattr(operation, name, refuse)
    mixup(torch.as_tensor(X), alpha=1.0, rng=generator("torch"))
    with pytest.raises(AssertionError, match="checked again"):
        mix(X, PARTNER, LAM)


def test_other_containers_are_refused():
    with pytest.raises(DomainError, match="type list"):
        mix([[1.0]], [0], 0.5)


def test_blend_works_on_symbols():
    lam, a, b = sp.symbols("lambda a b")
    assert sp.expand(blend(lam, a, b) - (lam * a + b - lam * b)) == 0


# ---- labels ------------------------------------------------------------------------------------------------


@both
def test_soft_labels_are_one_hot(kind):
    y = soft_labels(AS[kind](np.array([2, 0, 1, 2])), 3)
    assert np.array_equal(np.asarray(y), [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert "float64" in str(y.dtype)
    like = AS[kind](np.zeros(1, np.float32))
    assert soft_labels(AS[kind](np.array([0])), 2, like=like).dtype == like.dtype


@both
@pytest.mark.parametrize(
    "bad", [np.array([0, 3]), np.array([-1, 0]), np.array([0.0, 1.0]), np.array([[0], [1]])]
)
def test_labels_that_are_not_classes(kind, bad):
    with pytest.raises(DomainError, match=r"labels must be integers in 0 \.\. 2"):
        soft_labels(AS[kind](bad), 3)


# ---- the whole ---------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("sharing", ["batch", "element"])
def test_labels_get_the_partners_and_weights_of_the_images(kind, sharing):
    """x holds its own label, so that a mixed example tells how its label must be mixed."""
    labels = np.eye(4)
    x, y = AS[kind](labels * 3), AS[kind](labels)
    mixed = mixup(x, y, alpha=1.0, rng=generator(kind), sharing=sharing)
    assert isinstance(mixed, Mixed)
    assert np.allclose(np.asarray(mixed.x), 3 * np.asarray(mixed.y), atol=1e-14)
    assert np.array_equal(np.asarray(mixed.x), np.asarray(mix(x, mixed.partner, mixed.lam)))
    assert len(set(np.asarray(mixed.lam).tolist())) == (1 if sharing == "batch" else 4)


@both
def test_any_law_may_stand_for_alpha(kind):
    mixed = mixup(
        AS[kind](X), alpha=Atoms((0.25,), (1.0,)), rng=generator(kind), pairing="flip", sharing="pair"
    )
    assert mixed.y is None
    assert np.array_equal(np.asarray(mixed.x), 0.25 * X + 0.75 * X[::-1])


@both
def test_out_goes_through(kind):
    out = AS[kind](np.zeros(X.shape))
    assert mixup(AS[kind](X), alpha=1.0, rng=generator(kind), out=out).x is out


@both
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"alpha": -0.1}, "alpha = -0.1"),
        ({"alpha": float("nan")}, "alpha = nan"),
        ({"pairing": "rol"}, "pairing"),
        ({"sharing": "row"}, "sharing"),
        ({"sharing": "pair"}, "sharing = 'pair'"),
        ({"x": X[:1], "y": None}, "n = 1"),
        ({"x": X[:3], "y": None, "pairing": "flip"}, "n = 3: must be even"),
        ({"x": X[:3]}, r"x, y = \(3, 4\)"),
        ({"y": np.eye(4) * 0.9}, "simplex"),
        ({"y": np.eye(4) * 2 - 0.25}, "simplex"),
        ({"y": np.ones(4)}, "shape"),
        ({"y": np.eye(4, dtype=int)}, "y = .*floating"),
        ({"x": np.zeros((4, 2), np.uint8)}, "convert images first"),
        ({"x": np.zeros((0, 2)), "y": np.zeros((0, 3))}, "y = "),
        ({"x": np.zeros((0, 2)), "y": None}, "n = 0"),
    ],
)
def test_bad_input_to_mixup(kind, change, why):
    given = {"x": X, "y": np.eye(4), "alpha": 0.5, **change}
    given = {k: AS[kind](v) if isinstance(v, np.ndarray) else v for k, v in given.items()}
    with pytest.raises(DomainError, match=why):
        mixup(**given, rng=generator(kind))
