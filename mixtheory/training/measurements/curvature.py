r"""The Hessian of the mean loss of a module over data: products, the matrix, its largest eigenvalues, its trace.

H v is reverse over reverse differentiation (H is symmetric), summed over chunks of the data in float64: it asks nothing
of the layers but that their backward pass is differentiable. The parameters are those with requires_grad, in the order
of `named_parameters`: freeze the others to look at one layer.

Source: Pearlmutter (1994) for H v; Lehoucq, Sorensen and Yang (1998), ARPACK, for the eigenvalues; Hutchinson (1989)
for the trace (all from memory).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch.func import grad, vjp

from mixtheory.domain import DomainError, check_count, check_member, check_same_length
from mixtheory.training.measurements.gradients import Loss, Measured, check_targets, functional_loss

__all__ = ["Hessian", "LARGEST_MATRIX", "Spectrum"]

LARGEST_MATRIX = 4096
NUMBERS = 2**26         # entries of random vectors held at a time
ENDS = {"largest": "LA", "smallest": "SA", "magnitude": "LM"}


class Spectrum(NamedTuple):
    """Eigenvalues (k,), first the most extreme, and residuals |H v - theta v| (k,).

    H has an eigenvalue within the residual of each.
    """

    values: tuple[float, ...]
    residuals: tuple[float, ...]


class Hessian:
    """H = second derivatives of the mean loss over (x, y) in the P trainable parameters of a module.

    Assumes a loss that is twice differentiable at the data; a ReLU counts as linear on either side of its kink, which
    is the Hessian almost everywhere. Fails under BatchNorm in training mode, whose loss is not a sum over examples.

    Args:
        module: maps (n, ...) to outputs (n, K), in evaluation mode wherever that matters. It is not changed, and later
            changes of its parameters (in place) are seen.
        x: (n, ...) inputs on the module's device, n >= 1.
        y: (n, K) soft labels on the simplex for `cross-entropy` (nats), targets for `squared`.
        loss: one of `recipes.LOSSES`, or a function of outputs and y that returns the n losses.
        chunk: examples differentiated at a time.

    Raises:
        DomainError: BatchNorm or Dropout in training mode, no trainable parameter, labels off the simplex, mismatched
            lengths.
    """

    def __init__(self, module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, *, loss: Loss = "cross-entropy",
                 chunk: int = 1024) -> None:
        n = check_count(check_same_length(x=x, y=y), "n", least=1)
        check_count(chunk, "chunk", least=1)
        losses, self.params = functional_loss(module, loss)
        check_targets(loss, y)
        self.chunks = list(zip(x.split(chunk), y.split(chunk), strict=True))
        self.size = sum(p.numel() for p in self.params.values())
        self.device = next(iter(self.params.values())).device

        def slope(params: dict[str, torch.Tensor], part: torch.Tensor, targets: torch.Tensor) -> Any:
            return grad(lambda p: losses(p, part, targets).sum() / n)(params)

        self._slope = slope

    def __matmul__(self, v: torch.Tensor) -> torch.Tensor:
        """H v for v (P,), or for the columns of v (P, k); float64, on the device of the module."""
        if v.ndim not in (1, 2) or len(v) != self.size:
            raise DomainError(f"v of shape {tuple(v.shape)}: must be ({self.size},) or ({self.size}, k)")
        rows = v.reshape(self.size, -1).T.to(self.device)
        result = torch.zeros(rows.shape, dtype=torch.float64, device=self.device)
        for part, targets in self.chunks:
            pull = vjp(lambda params, x=part, y=targets: self._slope(params, x, y), self.params)[1]
            for row, total in zip(rows, result, strict=True):
                total += torch.cat([h.detach().flatten() for h in pull(self._named(row))[0].values()])
        if not bool(result.isfinite().all()):
            raise DomainError("module: its Hessian is not finite on these inputs")
        return result.T.reshape(v.shape)

    def matrix(self) -> torch.Tensor:
        """H itself (P, P), float64, symmetric.

        Raises:
            DomainError: P > LARGEST_MATRIX.
        """
        if self.size > LARGEST_MATRIX:
            raise DomainError(f"P = {self.size}: a full Hessian has at most {LARGEST_MATRIX} rows here; "
                              "use eigenvalues and trace")
        H = self @ torch.eye(self.size, dtype=torch.float64, device=self.device)
        return (H + H.T) / 2

    def eigenvalues(self, k: int = 1, *, rng: torch.Generator, end: str = "largest",
                    tol: float | None = None) -> Spectrum:
        """k extreme eigenvalues by restarted Lanczos; units of the loss over squared units of the parameters.

        Args:
            k: how many, 1 <= k < P.
            rng: torch.Generator of the starting vector.
            end: largest, smallest (algebraically) or magnitude.
            tol: relative accuracy asked of Lanczos; by default 1e-8, or 1e-4 for parameters that are not float64.

        Raises:
            DomainError: k outside 1 .. P - 1, an unknown end.
            ArpackNoConvergence: Lanczos did not reach `tol`.
        """
        check_member(end, tuple(ENDS), "end")
        if check_count(k, "k", least=1) >= self.size:
            raise DomainError(f"k = {k}: must be below the number of parameters, {self.size}; use matrix()")
        _check_rng(rng)
        exact = all(p.dtype == torch.float64 for p in self.params.values())
        tol = tol if tol is not None else 1e-8 if exact else 1e-4
        start = torch.randn(self.size, generator=rng, device=rng.device, dtype=torch.float64).cpu().numpy()

        def multiply(v: np.ndarray) -> np.ndarray:
            return (self @ torch.as_tensor(v.copy())).cpu().numpy()

        operator = LinearOperator((self.size, self.size), matvec=multiply, matmat=multiply, dtype=np.float64)
        values, vectors = eigsh(operator, k=int(k), which=ENDS[end], v0=start, tol=tol)
        order = np.argsort({"largest": -values, "smallest": values, "magnitude": -abs(values)}[end])
        values, vectors = values[order], vectors[:, order]
        residuals = np.linalg.norm(multiply(vectors) - vectors * values, axis=0)
        return Spectrum(tuple(map(float, values)), tuple(map(float, residuals)))

    def trace(self, probes: int = 64, *, rng: torch.Generator) -> Measured:
        """tr H by Hutchinson's estimate: the mean of z^T H z over random signs z.

        Unbiased, with variance 2 sum_{i != j} H_ij^2 / probes; exact for a diagonal H.

        Args:
            probes: random vectors, at least 2.
            rng: torch.Generator of the signs.

        Returns:
            Estimate and standard error over the probes, which does not include the choice of the data.
        """
        check_count(probes, "probes", least=2)
        _check_rng(rng)
        values = []
        block = max(1, NUMBERS // self.size)
        for start in range(0, int(probes), block):
            shape = (self.size, min(block, int(probes) - start))
            z = (2 * torch.randint(2, shape, generator=rng, device=rng.device) - 1).double().to(self.device)
            values.append((z * (self @ z)).sum(0))
        draws = torch.cat(values)
        return Measured(float(draws.mean()), float(draws.std() / len(draws)**0.5))

    def _named(self, v: torch.Tensor) -> dict[str, torch.Tensor]:
        """A vector (P,) as tensors like the parameters."""
        parts = v.split([p.numel() for p in self.params.values()])
        return {name: part.reshape(p.shape).to(p.dtype)
                for (name, p), part in zip(self.params.items(), parts, strict=True)}


def _check_rng(rng: torch.Generator) -> None:
    if not isinstance(rng, torch.Generator):
        raise DomainError(f"rng = {rng!r}: must be a torch.Generator")
