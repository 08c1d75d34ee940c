r"""Many networks trained as one program.

R replicas, one for each arm and seed, share every kernel launch: parameters carry a leading axis R (see
`models`), the batches are (R, n, ...), and one optimiser of `torch.optim` steps the stacked parameters, which is
elementwise and so the same as R optimisers. `plain` trains one replica in the ordinary way; tests compare the two.

Bit by bit they agree, whatever R is, for dense networks on one thread of a CPU with MKL, where the matrices of every
replica start at a whole vector register: batch and widths (all but that of the last layer, which must be more than 1)
multiples of 16, and at least 400 products a matrix. Otherwise, and for convolutions, they agree to rounding: a matrix
library sums in an order that depends on alignment, size and the number of threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mixtheory.domain import DomainError, check_count
from mixtheory.training.arms import INITIAL, Arm, block_of, draw
from mixtheory.training.checkpoints import Checkpoint
from mixtheory.training.feed import Feed
from mixtheory.training.inputs import Split
from mixtheory.training.models import Model, initial_state
from mixtheory.training.recipes import LOSSES, Recipe, optimiser
from mixtheory.training.replicas import generators

__all__ = ["Trained", "train"]

ROWS = 1 << 13                      # rows (replicas x examples) in one evaluation batch


@dataclass
class Trained:
    """R trained networks, replica (arm a, seed k) at a x seeds + k.

    history: `loss` (epochs, R), the mean training loss of each epoch; `error` {epoch: (R,)}, on the test part.
    """

    model: Model
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    recipe: Recipe
    shape: tuple[int, ...]
    outputs: int
    stacked: nn.Module
    history: dict[str, Any] = field(default_factory=dict)

    @property
    def replicas(self) -> int:
        """R."""
        return len(self.arms) * len(self.seeds)

    @torch.no_grad()
    def outputs_of(self, x: Tensor) -> Tensor:
        """Logits (or predictions) of all replicas in evaluation mode: x (n, ...) -> (R, n, K)."""
        return torch.cat([self._evaluate(part) for part in self._parts(x)], 1)

    @torch.no_grad()
    def errors(self, x: Tensor, y: Tensor) -> Tensor:
        """Share of wrong classes of each replica: x (n, ...), labels (n,) -> (R,) float64."""
        wrong = sum((self._evaluate(part).argmax(-1) != label).sum(-1)
                    for part, label in zip(self._parts(x), self._parts(y), strict=True))
        return wrong.double() / len(x)

    def _parts(self, x: Tensor) -> tuple[Tensor, ...]:
        return x.split(max(1, ROWS // self.replicas))

    def _evaluate(self, part: Tensor) -> Tensor:
        self.stacked.eval()
        dtype = self.recipe.dtype
        with _autocast(self.recipe, part.device):
            return self.stacked(part.to(dtype).expand(self.replicas, *part.shape)).to(dtype)

    def module(self, replica: int) -> nn.Module:
        """Replica number `replica` as an ordinary module, in evaluation mode; a copy."""
        if not 0 <= replica < self.replicas:
            raise DomainError(f"replica = {replica}: must lie in 0 .. {self.replicas - 1}")
        first = next(self.stacked.parameters())
        plain = _template(self.model, self.shape, self.outputs).to(first.device, first.dtype)
        plain.load_state_dict({name: value[replica] for name, value in self.stacked.state_dict().items()})
        return plain.eval()

    def replica(self, arm: int, seed: int) -> int:
        """Position of the replica of arm number `arm` and seed number `seed`."""
        return arm * len(self.seeds) + seed


def train(model: Model, data: Split, *, arms: Sequence[Arm], seeds: Sequence[int], recipe: Recipe,
          members: Tensor | None = None, watch: int = 0, checkpoint: Path | None = None,
          progress: Callable[..., Any] | None = None) -> Trained:
    """Train one network for each arm and seed, all together, on the device of the data.

    Args:
        model: the architecture.
        data: standardised examples, see `inputs.split`.
        arms: R = arms x seeds replicas, arm by arm.
        seeds: replicas of one seed share initialisation and order of examples.
        recipe: the same for all.
        members: (R, m) indices of the training examples of each replica; None: all examples for each.
        watch: in so many last epochs the error on the test part is kept.
        checkpoint: a file to go on from if it is there, kept up to date now and then, and removed at the end.
        progress: called with a line of text after each epoch.

    Returns:
        `Trained`.

    Raises:
        DomainError: no arms or seeds, repeated seeds or seeds outside 0 .. 2^32 - 1, fewer examples than a batch,
            members that are no indices of the data, flip pairing with an odd batch, real targets with another
            loss than squared, with smoothing or with an error to watch.
    """
    arms, seeds = tuple(arms), tuple(seeds)
    R, device, dtype = len(arms) * len(seeds), data.x.device, recipe.dtype
    if not R or len(set(seeds)) < len(seeds):
        raise DomainError(f"arms = {arms}, seeds = {seeds}: need at least one arm, and one or more different seeds")
    for seed in seeds:
        if check_count(seed, "seeds", least=0) >= 1 << 32:
            raise DomainError(f"seeds = {seed}: must lie in 0 .. 2^32 - 1")
    check_count(watch, "watch", least=0)
    if data.y.is_floating_point() and (recipe.loss != "squared" or watch or any(arm.smoothing for arm in arms)):
        raise DomainError(f"loss = {recipe.loss!r}, watch = {watch}: real targets go with loss = 'squared', watch = 0 "
                          "and no smoothing")
    shape, outputs = tuple(data.x.shape[1:]), data.classes
    if members is None:
        members = torch.arange(len(data.x), device=device).expand(R, -1)
    members = _check_members(members, R, len(data.x), recipe.batch).to(device)
    stacked = model.stacked(R, shape, outputs).to(device, dtype)
    start = generators(seeds, torch.device("cpu"), stream=INITIAL)
    state = initial_state(_template(model, shape, outputs), start)
    stacked.load_state_dict({name: value.repeat(len(arms), *[1] * (value.ndim - 1)) for name, value in state.items()})
    steps = members.shape[1] // recipe.batch
    optimizer, schedule = optimiser(list(stacked.parameters()), recipe, recipe.epochs * steps)
    trained = Trained(model, arms, seeds, recipe, shape, outputs, stacked, {"loss": [], "error": {}})
    parts = {"stacked": stacked, "optimizer": optimizer, **({"schedule": schedule} if schedule else {})}
    keeper = Checkpoint(checkpoint, _identity(trained, data, members, watch) if checkpoint else "")
    first = 0
    if kept := keeper.load(device):
        first, trained.history = kept["epochs"], kept["history"]
        for name, part in parts.items():
            part.load_state_dict(kept[name])

    feed = Feed(data, arms, seeds, recipe)
    backward = _gradients(stacked, recipe, device)
    block = block_of(members.shape[1])
    while first < recipe.epochs:
        count = min(block, recipe.epochs - first)
        draws = draw(arms, seeds, first=first, epochs=count, total=recipe.epochs, members=members,
                     batch=recipe.batch, augment=recipe.augment, dtype=dtype)
        for epoch in range(count):
            stacked.train()
            loss = torch.zeros(R, dtype=torch.float64, device=device)
            for step in range(epoch * steps, (epoch + 1) * steps):
                loss += backward(*feed(draws, step))
                optimizer.step()
                if schedule:
                    schedule.step()
            trained.history["loss"].append(loss / steps)
            if first + epoch >= recipe.epochs - watch:
                trained.history["error"][first + epoch + 1] = trained.errors(data.x_test, data.y_test)
            if progress:
                progress(f"epoch {first + epoch + 1} of {recipe.epochs}")
        first += count
        keeper.save(epochs=first, history=trained.history, **{name: part.state_dict() for name, part in parts.items()})
    keeper.remove()
    stacked.eval()
    trained.history["loss"] = torch.stack(trained.history["loss"])
    for parameter in stacked.parameters():
        parameter.grad = None
    return trained


def _template(model: Model, shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A plain network whose weights will be replaced: those that torch.nn draws cost no global random numbers."""
    with torch.random.fork_rng(devices=[]):
        return model.plain(shape, outputs)


# --- one step -----------------------------------------------------------------------------------------------

def _gradients(stacked: nn.Module, recipe: Recipe, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """A function that fills the gradients and returns the mean loss of each replica, (R,)."""
    loss, parameters = LOSSES[recipe.loss], list(stacked.parameters())

    def backward(x: Tensor, y: Tensor) -> Tensor:
        for parameter in parameters:
            parameter.grad = None
        with _autocast(recipe, device):
            outputs = stacked(x)
        losses = loss(outputs.to(recipe.dtype), y).mean(-1)
        losses.sum().backward()
        return losses.detach()

    return _Recorded(backward, stacked) if device.type == "cuda" else backward


class _Recorded:
    """On a GPU the kernels of a step are recorded once and then replayed: small networks launch nothing else."""

    def __init__(self, backward: Callable[[Tensor, Tensor], Tensor], stacked: nn.Module) -> None:
        self.backward, self.stacked, self.graph = backward, stacked, None

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        if self.graph is None:
            self._record(x, y)
        self.x.copy_(x)
        self.y.copy_(y)
        self.graph.replay()
        return self.losses

    def _record(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x.clone(), y.clone()
        kept = {name: value.clone() for name, value in self.stacked.named_buffers()}
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                self.backward(self.x, self.y)
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.losses = self.backward(self.x, self.y)
        for name, value in self.stacked.named_buffers():        # warming up moved the running statistics
            value.copy_(kept[name])


def _autocast(recipe: Recipe, device: torch.device) -> Any:
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16")


def _check_members(members: Tensor, replicas: int, examples: int, batch: int) -> Tensor:
    if members.ndim != 2 or len(members) != replicas or members.shape[1] < batch:
        raise DomainError(f"members of shape {tuple(members.shape)}: must be ({replicas}, m), one row a replica, "
                          f"with m of at least batch = {batch}")
    if members.dtype not in (torch.int32, torch.int64):
        raise DomainError(f"members of dtype {members.dtype}: must be indices, int32 or int64")
    if int(members.min()) < 0 or int(members.max()) >= examples:
        raise DomainError(f"members from {int(members.min())} to {int(members.max())}: must lie in 0 .. {examples - 1}")
    return members


def _identity(trained: Trained, data: Split, members: Tensor, watch: int) -> str:
    """A hash of all that decides what a training does, the examples included."""
    digest = hashlib.sha256(repr((trained.model.name, trained.arms, trained.seeds, trained.recipe, trained.shape,
                                  trained.outputs, watch, data.classes, torch.__version__)).encode())
    for tensor in (data.x, data.y, members):
        digest.update(repr((tensor.shape, tensor.dtype)).encode())
        digest.update(tensor.contiguous().cpu().numpy())
    return digest.hexdigest()
