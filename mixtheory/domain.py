"""Domains of the arguments, checked at the public boundary.

Every helper returns its argument unchanged when it is valid and raises `DomainError` otherwise. The message
names the parameter, its value and the assumption that it breaks. SymPy expressions pass: a symbol carries its
own assumptions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

__all__ = ["DomainError", "check_alpha", "check_count", "check_covariance", "check_definite", "check_finite",
           "check_lambda", "check_member", "check_partner", "check_positive", "check_probabilities",
           "check_same_length", "check_simplex", "is_symbolic"]


class DomainError(ValueError):
    """An argument lies outside the domain on which the statement is true."""


def is_symbolic(*values: Any) -> bool:
    """True if any of the values is a SymPy expression or matrix that is not a plain number."""
    return any(isinstance(v, (sp.Basic, sp.MatrixBase)) and not getattr(v, "is_number", False) for v in values)


def _refuse(name: str, value: Any, assumption: str) -> None:
    shown = np.array2string(np.asarray(value), threshold=6) if isinstance(value, np.ndarray) else repr(value)
    raise DomainError(f"{name} = {shown}: {assumption}")


def check_alpha(alpha: Any, name: str = "alpha") -> Any:
    """alpha in [0, inf], scalar or array; 0 is no mixup, inf is lambda = 1/2."""
    if not is_symbolic(alpha):
        value = np.asarray(alpha, dtype=float)
        if np.isnan(value).any() or (value < 0).any():
            _refuse(name, alpha, "a Beta parameter must lie in [0, inf] and not be NaN")
    return alpha


def check_positive(value: Any, name: str) -> Any:
    """A finite number (or array of numbers) > 0."""
    if not is_symbolic(value):
        array = np.asarray(value, dtype=float)
        if not np.isfinite(array).all() or (array <= 0).any():
            _refuse(name, value, "must be finite and greater than 0")
    return value


def check_finite(value: Any, name: str, shape: tuple[int, ...] | None = None) -> Any:
    """Finite numbers; of the given shape if one is given."""
    if not is_symbolic(value):
        array = np.asarray(value, dtype=float)
        if shape is not None and array.shape != shape:
            _refuse(name, array.shape, f"must have shape {shape}")
        if not np.isfinite(array).all():
            _refuse(name, value, "must be finite")
    return value


def check_count(n: Any, name: str = "n", least: int = 2, even: str | None = None) -> Any:
    """An integer of at least `least`; even where `even` names the reason."""
    if not is_symbolic(n):
        if isinstance(n, bool) or not np.isfinite(float(n)) or int(n) != n or n < least:
            _refuse(name, n, f"must be an integer of at least {least}")
        if even and int(n) % 2:
            _refuse(name, n, f"must be even: {even}")
    return n


def check_lambda(lam: Any, name: str = "lam") -> Any:
    """Mixing weights in [0, 1], NumPy or torch."""
    if not is_symbolic(lam):
        values = lam if hasattr(lam, "min") and not np.isscalar(lam) else np.asarray(lam, dtype=float)
        if 0 in values.shape:
            return lam
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):   # also catches NaN
            _refuse(name, lam if np.ndim(lam) == 0 else (low, high), "mixing weights must lie in [0, 1]")
    return lam


def check_partner(partner: Any, n: int, name: str = "partner") -> Any:
    """Whom each of n examples meets: integers (n,) in 0 .. n - 1, NumPy or torch."""
    values = partner if hasattr(partner, "dtype") else np.asarray(partner)
    if "int" not in str(values.dtype) or tuple(values.shape) != (n,):
        _refuse(name, f"{values.dtype} {tuple(values.shape)}", f"must be integers of shape ({n},), one an example")
    if n and not (int(values.min()) >= 0 and int(values.max()) < n):
        _refuse(name, (int(values.min()), int(values.max())), f"indices must lie in 0 .. {n - 1}")
    return partner


def check_simplex(y: Any, name: str = "y", atol: float = 1e-6) -> Any:
    """Rows of non-negative numbers that sum to 1 (class probabilities), NumPy or torch; shape (n, classes)."""
    if y.ndim != 2 or 0 in y.shape:
        _refuse(name, tuple(y.shape), "soft labels must have shape (n, classes)")
    if "float" not in str(y.dtype):
        _refuse(name, str(y.dtype), "soft labels must be floating-point probabilities")
    low, worst = float(y.min()), float(abs(y.sum(-1) - 1).max())
    if not (low >= -atol and worst <= max(atol, 4 * _eps(y) * y.shape[1])):
        _refuse(name, f"min {low:.3g}, row sums off 1 by up to {worst:.3g}",
                "labels must lie on the probability simplex")
    return y


def _eps(y: Any) -> float:
    if isinstance(y, np.ndarray):
        return float(np.finfo(y.dtype).eps)
    import torch
    return torch.finfo(y.dtype).eps


def check_covariance(Sigma: Any, name: str = "Sigma") -> Any:
    """A square, symmetric matrix without negative eigenvalues; shape (d, d)."""
    if is_symbolic(Sigma):
        return Sigma
    array = np.asarray(Sigma, dtype=float)
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        _refuse(name, array.shape, "a covariance must be a square matrix")
    if not np.isfinite(array).all() or not np.allclose(array, array.T, rtol=1e-12, atol=0):
        _refuse(name, array, "a covariance must be finite and symmetric")
    if np.linalg.eigvalsh(array).min() < -1e-12 * max(np.abs(array).max(), 1e-300):
        _refuse(name, array, "a covariance must have no negative eigenvalue")
    return Sigma


def check_definite(Sigma: Any, name: str = "Sigma") -> Any:
    """A covariance without a direction of no variance: symmetric, all eigenvalues > 0; shape (d, d)."""
    if not is_symbolic(check_covariance(Sigma, name)):
        array = np.asarray(Sigma, dtype=float)
        values = np.linalg.eigvalsh(array)
        if values[0] <= 1e-13 * values[-1]:
            _refuse(name, array, f"must be positive definite; its smallest eigenvalue is {values[0]:.3g}")
    return Sigma


def check_probabilities(p: Any, name: str, positive: bool = False, atol: float = 1e-9) -> Any:
    """Numbers (K,) of at least 0, or above 0 if `positive`, that sum to one: priors, weights."""
    if not is_symbolic(p):
        array = np.asarray(p, dtype=float)
        if array.ndim != 1 or array.size == 0:
            _refuse(name, array.shape, "probabilities must have shape (K,)")
        if not ((array > 0 if positive else array >= 0).all() and np.isfinite(array).all()):
            _refuse(name, array, "probabilities must be " + ("greater than 0" if positive else "at least 0"))
        if abs(array.sum() - 1) > atol:
            _refuse(name, array, f"probabilities must sum to one, these sum to {array.sum():.10g}")
    return p


def check_member(value: str, allowed: tuple[str, ...], name: str) -> str:
    """One of a fixed list of words."""
    if value not in allowed:
        _refuse(name, value, "must be one of " + ", ".join(allowed))
    return value


def check_same_length(**arrays: Any) -> int:
    """Arrays that must share their first axis; returns its length."""
    lengths = {name: len(a) for name, a in arrays.items()}
    if len(set(lengths.values())) > 1:
        _refuse(", ".join(lengths), tuple(lengths.values()), "must have the same first axis (one entry an example)")
    return next(iter(lengths.values()))
