r"""Networks, each described once and built twice: as ordinary modules, or as R independent copies in one module.

A model is a function of a set of layers. `Plain` gives the layers of `torch.nn`; `Stacked` gives layers whose
parameters have a leading axis of R replicas: linear layers are batched matrix products, convolutions are grouped
with one group a replica, and batch normalisation keeps the statistics of each replica apart. Parameters and
buffers have the same names in both, so that entry r of a stacked state is a state of the plain module.

Between layers, rows of features are (R, n, features) and images (n, R channels, height, width), which is how
grouped convolutions want them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mixtheory.domain import check_count

__all__ = ["Model", "Plain", "Stacked", "cnn", "initial_state", "linear", "mlp", "preact_resnet18"]

EPS, MOMENTUM = 1e-5, 0.1           # of batch normalisation, as in torch.nn


@dataclass(frozen=True)
class Model:
    """A named architecture: `build(layers, shape, outputs)` for inputs of a shape without the batch axis."""

    name: str
    build: Callable[[Plain | Stacked, tuple[int, ...], int], nn.Module]

    def plain(self, shape: Sequence[int], outputs: int) -> nn.Module:
        """One ordinary network: inputs of (n, ...) with this shape behind n, outputs (n, outputs)."""
        return self.build(Plain(), tuple(shape), outputs)

    def stacked(self, replicas: int, shape: Sequence[int], outputs: int) -> nn.Module:
        """So many networks, inputs (replicas, n, ...), outputs (replicas, n, outputs); parameters unset."""
        return self.build(Stacked(check_count(replicas, "replicas", least=1)), tuple(shape), outputs)


# --- architectures ------------------------------------------------------------------------------------------

def linear() -> Model:
    """Affine in the flattened input: linear regression, or logistic regression under cross-entropy."""
    return Model("linear", lambda layers, shape, outputs: nn.Sequential(
        layers.rows(), layers.linear(math.prod(shape), outputs)))


def mlp(*hidden: int, norm: bool = False) -> Model:
    """Hidden layers of ReLU units of these widths, with batch normalisation before each ReLU if `norm`."""
    def build(layers: Any, shape: tuple[int, ...], outputs: int) -> nn.Module:
        widths = (math.prod(shape), *hidden)
        body: list[nn.Module] = [layers.rows()]
        for i, o in zip(widths, widths[1:], strict=False):
            body += [layers.linear(i, o), *([layers.norm_rows(o)] if norm else []), nn.ReLU()]
        return nn.Sequential(*body, layers.linear(widths[-1], outputs))
    return Model("mlp " + "-".join(map(str, hidden)) + (" norm" if norm else ""), build)


def cnn(width: int = 16, norm: bool = True) -> Model:
    """Three convolutions 3 x 3 of width, 2 width and 4 width channels, halving twice, mean over space, linear."""
    def build(layers: Any, shape: tuple[int, ...], outputs: int) -> nn.Module:
        body: list[nn.Module] = [layers.images()]
        channels = shape[0]
        for k, stride in ((width, 1), (2 * width, 2), (4 * width, 2)):
            body += [layers.conv(channels, k, 3, stride, bias=not norm),
                     *([layers.norm(k)] if norm else []), nn.ReLU()]
            channels = k
        return nn.Sequential(*body, layers.pool(), layers.linear(channels, outputs))
    return Model(f"cnn {width}" + (" norm" if norm else ""), build)


def preact_resnet18(width: int = 64) -> Model:
    """Pre-activation ResNet-18 for small images: 4 stages of 2 blocks, a last normalisation and ReLU, mean, linear.

    Source: He, Zhang, Ren and Sun (2016), identity mappings; from memory. `width` channels in the first stage.
    """
    def build(layers: Any, shape: tuple[int, ...], outputs: int) -> nn.Module:
        body: list[nn.Module] = [layers.images(), layers.conv(shape[0], width, 3)]
        channels = width
        for stage in range(4):
            for block in range(2):
                out, stride = width << stage, 2 if stage and not block else 1
                body.append(_PreActBlock(layers, channels, out, stride))
                channels = out
        return nn.Sequential(*body, layers.norm(channels), nn.ReLU(), layers.pool(),
                             layers.linear(channels, outputs))
    return Model(f"preact_resnet18 {width}", build)


class _PreActBlock(nn.Module):
    """norm, ReLU, conv, norm, ReLU, conv, added to the input (through a 1 x 1 conv where the shape changes)."""

    def __init__(self, layers: Any, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = layers.norm(i), layers.conv(i, o, 3, stride)
        self.norm2, self.conv2 = layers.norm(o), layers.conv(o, o, 3)
        self.shortcut = layers.conv(i, o, 1, stride) if stride > 1 or i != o else None

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm1(x))
        skip = x if self.shortcut is None else self.shortcut(h)
        return skip + self.conv2(torch.relu(self.norm2(self.conv1(h))))


# --- two sets of layers -------------------------------------------------------------------------------------

class Plain:
    """The layers of torch.nn."""

    def rows(self) -> nn.Module:
        return nn.Flatten(1)

    def images(self) -> nn.Module:
        return nn.Identity()

    def pool(self) -> nn.Module:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))

    def linear(self, i: int, o: int) -> nn.Module:
        return nn.Linear(i, o)

    def conv(self, i: int, o: int, kernel: int, stride: int = 1, bias: bool = False) -> nn.Module:
        return nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=bias)

    def norm(self, channels: int) -> nn.Module:
        return nn.BatchNorm2d(channels)

    def norm_rows(self, features: int) -> nn.Module:
        return nn.BatchNorm1d(features)


class Stacked:
    """Layers of R replicas; parameters have a leading axis R and are filled by `initial_state`."""

    def __init__(self, replicas: int) -> None:
        self.replicas = replicas

    def rows(self) -> nn.Module:
        return nn.Flatten(2)

    def images(self) -> nn.Module:
        return _Images()

    def pool(self) -> nn.Module:
        return _Pool(self.replicas)

    def linear(self, i: int, o: int) -> nn.Module:
        return _Linear(self.replicas, i, o)

    def conv(self, i: int, o: int, kernel: int, stride: int = 1, bias: bool = False) -> nn.Module:
        return _Conv(self.replicas, i, o, kernel, stride, bias)

    def norm(self, channels: int) -> nn.Module:
        return _Norm(self.replicas, channels)

    def norm_rows(self, features: int) -> nn.Module:
        return _NormRows(self.replicas, features)


def _empty(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape))


class _Images(nn.Module):
    def forward(self, x: Tensor) -> Tensor:             # (R, n, C, h, w) -> (n, R C, h, w)
        x = x.transpose(0, 1).flatten(1, 2)
        return x.contiguous(memory_format=torch.channels_last) if x.is_cuda else x


class _Pool(nn.Module):
    def __init__(self, replicas: int) -> None:
        super().__init__()
        self.replicas = replicas

    def forward(self, x: Tensor) -> Tensor:             # (n, R C, h, w) -> (R, n, C)
        return x.mean((2, 3)).unflatten(1, (self.replicas, -1)).transpose(0, 1)


class _Linear(nn.Module):
    def __init__(self, replicas: int, i: int, o: int) -> None:
        super().__init__()
        self.weight, self.bias = _empty(replicas, o, i), _empty(replicas, o)

    def forward(self, x: Tensor) -> Tensor:
        kind = x.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
        return _Affine.apply(*(t.to(dtype) for t in (x, self.weight, self.bias)))


class _Affine(torch.autograd.Function):
    """x W^T + b for each replica; the gradient of W is g^T x, as torch.nn.functional.linear computes it.

    The derivative of `baddbmm` would be (x^T g)^T: the same but for rounding, and then replicas and plain
    networks would agree to some digits instead of bit by bit.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias[:, None], x, weight.mT)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        if g.stride(0) < g.stride(1):       # before a normalisation: replicas inside examples, summed otherwise
            g = g.contiguous()
        return torch.bmm(g, weight) if ctx.needs_input_grad[0] else None, torch.bmm(g.mT, x), g.sum(1)


class _Conv(nn.Module):
    def __init__(self, replicas: int, i: int, o: int, kernel: int, stride: int, bias: bool) -> None:
        super().__init__()
        self.replicas, self.stride, self.padding = replicas, stride, kernel // 2
        self.weight = _empty(replicas, o, i, kernel, kernel)
        self.bias = _empty(replicas, o) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.flatten()
        return F.conv2d(x, self.weight.flatten(0, 1), bias, self.stride, self.padding, groups=self.replicas)


class _Norm(nn.Module):
    def __init__(self, replicas: int, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = _empty(replicas, channels), _empty(replicas, channels)
        self.register_buffer("running_mean", torch.zeros(replicas, channels))
        self.register_buffer("running_var", torch.ones(replicas, channels))
        self.register_buffer("num_batches_tracked", torch.zeros(replicas, dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.num_batches_tracked += 1
        return F.batch_norm(x, self.running_mean.view(-1), self.running_var.view(-1), self.weight.flatten(),
                            self.bias.flatten(), self.training, MOMENTUM, EPS)


class _NormRows(_Norm):
    def forward(self, x: Tensor) -> Tensor:             # (R, n, C), as images without extent
        rows = super().forward(x.transpose(0, 1).flatten(1))
        return rows.unflatten(1, (len(x), -1)).transpose(0, 1)


# --- initialisation -----------------------------------------------------------------------------------------

def initial_state(module: nn.Module, rngs: Sequence[torch.Generator]) -> dict[str, Tensor]:
    """Initial parameters of one replica for each generator, stacked: name -> (R, ...).

    The law is that of torch.nn: weights and biases uniform on +-1/sqrt(fan-in), normalisation scales 1 and
    shifts 0. All numbers of a replica come from one call to its own generator.

    Args:
        module: the plain network.
        rngs: one CPU generator a replica.
    """
    shapes: list[tuple[str, torch.Size, float]] = []
    state: dict[str, Tensor] = {}
    for prefix, layer in module.named_modules():
        for name, value in layer.named_parameters(prefix, recurse=False):
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                fan_in = layer.weight[0].numel()
                shapes.append((name, value.shape, 1 / math.sqrt(fan_in)))
            else:
                state[name] = value.detach().expand(len(rngs), *value.shape).clone()
        for name, value in layer.named_buffers(prefix, recurse=False):
            state[name] = value.detach().expand(len(rngs), *value.shape).clone()
    sizes = [shape.numel() for _, shape, _ in shapes]
    draws = torch.stack([torch.rand(sum(sizes), generator=rng, device=rng.device) for rng in rngs])
    for (name, shape, bound), part in zip(shapes, draws.mul_(2).sub_(1).split(sizes, 1), strict=True):
        state[name] = (part * bound).view(len(rngs), *shape)
    return state
