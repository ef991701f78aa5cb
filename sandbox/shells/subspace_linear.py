"""A linear layer whose weight lives in a subspace of its inputs, and which keeps the projected input for backward only.

    y = x W^T + (x P) B^T + bias,     W (m, n) and P (n, r) fixed,  B (m, r) trained

The gradient of B is (dy)^T (x P), that of x is dy (W + B P^T): backward needs x P, r numbers per token, and not x, n
numbers. Nothing but two calls of a linear function is needed for that, because W and P ask for no gradient.

Layers that read the same x (query, key and value) may share one P and one x P: the first that meets an x projects it,
and the last lets it go. A layer that meets another x than its companions projects for itself: right, only larger.

Source: Chen et al. (2025), https://arxiv.org/abs/2502.07222 (its body was not read; the layer is an own derivation).
Letters: m outputs, n inputs, r rank.
"""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sandbox.optimizers.sharding import local, placed, replicate

MERGED = 2**16  # entries of B P^T that are there at a time where W is written, or one row
FIXED = ("W", "P")  # what a layer has and no rule moves


class Projection:
    """x P for `readers` layers that read one x in turn; holds x and x P from the first reader to the last."""

    def __init__(self, readers: int) -> None:
        self.readers = readers
        self._x: Tensor | None = None
        self._made: tuple[tuple, Tensor] | None = None
        self._left = 0

    def __call__(self, x: Tensor, P_nr: Tensor) -> Tensor:
        key = (x._version, P_nr._version, torch.is_grad_enabled())
        if x is not self._x or self._made is None or self._made[0] != key:
            self._x, self._made, self._left = x, (key, F.linear(x, P_nr.T)), self.readers
        projected = self._made[1]
        self._left -= 1
        if not self._left:
            self._x = self._made = None
        return projected


class SubspaceLinear(nn.Module):
    """Stands where `linear` stood, with the same weight and the same bias; P and B are zero until a round begins.

    `W` and `P` are buffers, `B` and `bias` parameters; all four are in the state_dict. Where FSDP has sharded them by rows, forward sees
    them whole, and what writes W works on the rows of this rank, with P from all of them.
    """

    def __init__(self, linear: nn.Linear, rank: int, projection: Projection | None = None) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("W", linear.weight.detach())
        self.register_buffer("P", self.W.new_zeros(self.in_features, rank))
        self.B = nn.Parameter(self.W.new_zeros(self.out_features, rank))
        self.bias = linear.bias
        self.projection = projection or Projection(1)

    def forward(self, x: Tensor) -> Tensor:
        """(..., n) -> (..., m)."""
        return F.linear(x, self.W, self.bias) + F.linear(self.projection(x, self.P), self.B)

    @property
    def weight(self) -> Tensor:
        """W + B P^T, (m, n), for modules that read the weight themselves, as nn.MultiheadAttention does: right, only larger."""
        return self.W + self.B @ replicate(self.P).T

    def merged(self) -> Tensor:
        """The same without a gradient."""
        return self.weight.detach()

    @torch.no_grad()
    def merge(self, B_mr: Tensor) -> None:
        """W <- W + B P^T, in place; made in the dtype of B, some rows at a time."""
        Pt_rn = local(replicate(self.P)).T.to(B_mr.dtype)
        for W, B in self._rows(B_mr):
            W.add_(B @ Pt_rn)

    @torch.no_grad()
    def shrink(self, share: float | Tensor) -> None:
        """W <- W - share (W + B P^T), in place, some rows at a time; B stays."""
        Pt_rn = local(replicate(self.P)).T
        for W, B in self._rows(self.B):
            W.sub_((B @ Pt_rn).add_(W).mul_(share))

    @torch.no_grad()
    def turn(self, P_nr: Tensor) -> None:
        """P <- another basis, B <- 0."""
        local(self.P).copy_(local(placed(P_nr, self.P)))
        local(self.B).zero_()

    def _rows(self, B_mr: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows of W and B that belong together and lie on this rank, at most MERGED entries of W."""
        each = max(1, MERGED // max(1, self.in_features))
        yield from zip(local(self.W).split(each), local(B_mr).split(each), strict=True)

    def dense(self) -> nn.Linear:
        """A plain layer with the merged weight and the same bias."""
        layer = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        layer.weight, layer.bias = nn.Parameter(self.merged()), self.bias
        return layer


def merged(model: nn.Module) -> dict[str, Tensor]:
    """The state_dict of the same model with plain linear layers: every weight full and merged, no P and no B."""
    state = model.state_dict()  # FSDP first puts back what a forward pass has gathered, in the dtype of the pass
    plain, layers = plain_names(model, state), subspace_layers(model)
    return {name: state[key] if name == key else layers[key.rpartition(".")[0]].merged() for key, name in plain.items()}


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """What moves, by its name in the plain model and in its order: the B of a layer for the weight, and every other parameter."""
    named = dict(model.named_parameters())
    return {plain: named[name] for name, plain in plain_names(model, named).items()}


def plain_names(model: nn.Module, names: Iterable[str]) -> dict[str, str]:
    """Names of parameters or buffers -> those in the plain model, where B is the weight; W and P have none."""
    found, layers = {}, subspace_layers(model)
    for name in names:
        path, dot, attribute = name.rpartition(".")
        if path not in layers or attribute not in (*FIXED, "B"):
            found[name] = name
        elif attribute == "B":
            found[name] = f"{path}{dot}weight"
    return found


def subspace_layers(model: nn.Module) -> dict[str, SubspaceLinear]:
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, SubspaceLinear)}


def put(model: nn.Module, name: str, layer: nn.Module) -> None:
    """Sets the submodule `name` of `model`."""
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, layer)
