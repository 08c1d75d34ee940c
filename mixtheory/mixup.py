r"""The operation: x~ = lambda x + (1 - lambda) x[partner], and the same for labels.

One implementation for NumPy arrays and torch tensors. Nothing is changed in place; `out=` reuses a buffer.

Source: Zhang, Cisse, Dauphin and Lopez-Paz (2018), equation 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mixtheory.domain import DomainError, check_count, check_lambda, check_partner, check_same_length, check_simplex
from mixtheory.mixing import Law, symmetric
from mixtheory.pairing import check_sharing, lambdas, partners

__all__ = ["Mixed", "blend", "mix", "mix_unchecked", "mixup", "soft_labels"]

BLOCK = 2**21       # bytes a thread mixes at a time: by measurement, the least that makes the calls cheap


class Mixed(NamedTuple):
    """A mixed batch: x (n, ...), y (n, classes) or None, lam (n,), partner (n,)."""

    x: Any
    y: Any
    lam: Any
    partner: Any


def blend(lam: Any, first: Any, second: Any) -> Any:
    """lambda first + (1 - lambda) second, for numbers, arrays and SymPy expressions: the definition of mixing."""
    return lam * first + (1 - lam) * second


def mix(x: Any, partner: Any, lam: Any, *, out: Any = None) -> Any:
    """Mix each row of x with its partner's row; shape and dtype of x are kept.

    Args:
        x: (n, ...) floating-point array or tensor.
        partner: (n,) integer indices.
        lam: scalar or (n,) weights of a row itself, in [0, 1].
        out: optional buffer like x, reused for the result; must not be x itself.

    Raises:
        DomainError: weights outside [0, 1], partners outside the batch, mismatched lengths, integer x, out that
            shares memory with x or is of another shape or dtype.
    """
    check_partner(partner, len(x))
    check_lambda(lam)
    return mix_unchecked(x, partner, lam, out)


def mix_unchecked(x: Any, partner: Any, lam: Any, out: Any = None) -> Any:
    """`mix` for partners and weights that are known to be good: on a GPU it never waits for the device."""
    torch = _torch_if_tensor(x)
    if not (torch.is_floating_point(x) if torch else np.issubdtype(x.dtype, np.floating)):
        raise DomainError(f"x.dtype = {x.dtype}: mixing needs a floating-point array; convert images first")
    if torch:
        partner = torch.as_tensor(partner, device=x.device).long()
    weights = torch.as_tensor(lam, dtype=x.dtype, device=x.device) if torch else np.asarray(lam, dtype=x.dtype)
    if weights.ndim:
        if tuple(weights.shape) != (len(x),):
            raise DomainError(f"lam of shape {tuple(weights.shape)}: must be one weight, or one an example ({len(x)},)")
        weights = weights.reshape((-1,) + (1,) * (x.ndim - 1))
    if out is None:
        if not torch:
            return blend(weights, x, x[partner])
        parts = [blend(w, own, x.index_select(0, whom)) for own, whom, w in _blocks(torch, x, partner, weights)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)
    if (out.shape, out.dtype) != (x.shape, x.dtype) or _overlap(x, out, torch):
        raise DomainError(f"out of shape {tuple(out.shape)} and dtype {out.dtype}: must be another buffer like x "
                          f"({tuple(x.shape)}, {x.dtype}); in place, partners would be mixed twice")
    for own, whom, w, mixed in _blocks(torch, x, partner, weights, out):
        if torch:
            torch.index_select(x, 0, whom, out=mixed)
            torch.lerp(mixed, own, w, out=mixed)
        else:
            np.take(x, whom, axis=0, out=mixed, mode="clip" if mixed.flags.c_contiguous else "raise")
            mixed *= 1 - w
            mixed += w * own
    return out


def soft_labels(y: Any, classes: int, *, like: Any = None) -> Any:
    """One-hot rows (n, classes) from integer labels (n,); `like` gives dtype and device (default float64).

    Raises:
        DomainError: labels that are not integers in 0 .. classes - 1.
    """
    check_count(classes, "classes", least=1)
    torch = _torch_if_tensor(y)
    integral = not torch.is_floating_point(y) if torch else np.issubdtype(y.dtype, np.integer)
    if y.ndim != 1 or not integral or (len(y) and (int(y.min()) < 0 or int(y.max()) >= classes)):
        raise DomainError(f"y of shape {tuple(y.shape)} and dtype {y.dtype}: labels must be integers "
                          f"in 0 .. {classes - 1}, one an example")
    if torch:
        eye = torch.eye(classes, dtype=like.dtype if like is not None else torch.float64, device=y.device)
        return eye[y.long()]
    return np.eye(classes, dtype=like.dtype if like is not None else np.float64)[y]


def mixup(x: Any, y: Any = None, *, alpha: float | Law, rng: Any, pairing: str = "permutation",
          sharing: str = "batch", out: Any = None) -> Mixed:
    """Mix a batch and its labels with the same partners and the same lambda.

    Args:
        x: (n, ...) floating-point array or tensor, n >= 2.
        y: None, or soft labels (n, classes) on the simplex (`soft_labels` makes them from integers).
        alpha: parameter of Beta(alpha, alpha), in [0, inf], or any `Law`.
        rng: numpy.random.Generator, or torch.Generator on the device of x.
        pairing: who meets whom, see `mixtheory.pairing`.
        sharing: how lambda is shared: batch, pair (flip only) or element.
        out: optional buffer like x.

    Returns:
        `Mixed(x, y, lam, partner)`; x and y keep their dtypes.

    Raises:
        DomainError: alpha < 0 or NaN, n < 2, odd n with flip, labels off the simplex, mismatched shapes.
    """
    check_sharing(pairing, sharing)
    law = alpha if isinstance(alpha, Law) else symmetric(alpha)
    if y is not None:
        check_same_length(x=x, y=y)
        check_simplex(y)
    partner = partners(pairing, len(x), rng=rng)
    lam = lambdas(law, len(x), sharing=sharing, rng=rng, pairing=pairing)
    labels = None if y is None else mix_unchecked(y, partner, lam)
    return Mixed(mix_unchecked(x, partner, lam, out), labels, lam, partner)


def _blocks(torch: Any, x: Any, *others: Any) -> list[tuple[Any, ...]]:
    """Rows that are mixed together: few enough for partners that were just gathered to be in the cache still.

    The memory is then passed over once, as by mixing two arrays that lie ready. On a GPU all rows are one block.
    """
    n, cores = len(x), torch.get_num_threads() if torch else 1
    step = max(1, n if torch and not x.is_cpu else n * BLOCK * cores // max(x.nbytes, 1))
    if step >= n:
        return [(x, *others)]
    return [tuple(a[start:start + step] if a.ndim else a for a in (x, *others)) for start in range(0, n, step)]


def _overlap(x: Any, out: Any, torch: Any) -> bool:
    """Whether two buffers may share memory (by the ranges that they span)."""
    if not torch:
        return np.may_share_memory(x, out)
    if x.device != out.device or not x.numel():
        return False
    span = [t.element_size() * (1 + sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True)))
            for t in (x, out)]
    start = [t.data_ptr() for t in (x, out)]
    return start[0] < start[1] + span[1] and start[1] < start[0] + span[0]


def _torch_if_tensor(x: Any) -> Any:
    """The torch module if x is a tensor, else None: torch is never imported for NumPy data."""
    if isinstance(x, np.ndarray):
        return None
    if type(x).__module__.partition(".")[0] != "torch":
        raise DomainError(f"x of type {type(x).__name__}: must be a NumPy array or a torch tensor")
    import torch
    return torch
