"""The loss whose curvature is asked for: a weighted mean over batches, as a function of one vector of parameters.

    f(theta) = sum_b w_b loss(theta, batch_b),   w_b = n_b / sum n,   n_b = samples of batch b

So a whole data set cut into ragged batches has the f of one large batch, provided that `loss` is a mean over samples.
Where it is a mean over something else (tokens that are not padding), give those counts as `weights`.

Attention runs on torch's plain ("math") path whatever the device: the fused kernels have no second derivative.
A name counts once: `nn.Module.named_parameters` lists a tied tensor once, and a dict that holds it twice is refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from sandbox.curvature.layout import Layout, layout_of
from sandbox.problems.base import Params

WIDE = (torch.float32, torch.float64)
LEAVE = "leave them out of names (of --tensors, on the command line)"


@dataclass(frozen=True)
class Composite:
    """criterion(outputs(params, batch), batch): a loss with the seam that a Gauss-Newton matrix needs."""

    outputs: Callable[[Params, Any], Tensor]
    criterion: Callable[[Tensor, Any], Tensor]

    def __call__(self, params: Params, batch: Any) -> Tensor:
        return self.criterion(self.outputs(params, batch), batch)


def supervised(model: nn.Module, criterion: Callable[[Tensor, Tensor], Tensor]) -> Composite:
    """The loss of a module on batches (inputs, targets). Buffers follow the dtype of the parameters; the module is not changed."""

    def outputs(params: Params, batch: Any) -> Tensor:
        dtype = next(value.dtype for value in params.values() if value.is_floating_point())
        buffers = {name: cast(value, dtype) for name, value in model.named_buffers()}
        return torch.func.functional_call(model, {**buffers, **params}, (batch[0],))

    return Composite(outputs, lambda z, batch: criterion(z, batch[1]))


@dataclass(frozen=True, eq=False)
class Objective:
    """at: (n,) the point, in the order of `layout`.  fixed: tensors that stay as they are.  weights: of the batches, sum 1.

    Equal only to itself, so that what was checked once need not be checked again.
    """

    loss: Callable[[Params, Any], Tensor]
    layout: Layout
    at: Tensor
    fixed: Params
    batches: tuple[Any, ...]
    weights: tuple[float, ...]

    @property
    def heaviest(self) -> Any:
        """The batch that weighs most."""
        return self.batches[self.weights.index(max(self.weights))]

    def params(self, theta: Tensor) -> Params:
        return {**self.fixed, **self.layout.unflatten(theta)}

    def outputs(self, batch: Any) -> Callable[[Tensor], Tensor]:
        """theta (n,) -> the outputs of a `Composite` loss on one batch."""
        return lambda theta: self.outputs_of(self.params(theta), batch)

    def outputs_of(self, params: Params, batch: Any) -> Tensor:
        """The outputs of a `Composite` loss, with attention as in `loss_of`."""
        with sdpa_kernel(SDPBackend.MATH):
            return self.loss.outputs(params, batch)

    def part(self, batch: Any) -> Callable[[Tensor], Tensor]:
        """theta (n,) -> the loss on one batch."""
        return lambda theta: self.loss_of(self.params(theta), batch)

    def loss_of(self, params: Params, batch: Any) -> Tensor:
        """The loss with attention on the path that can be differentiated twice."""
        with sdpa_kernel(SDPBackend.MATH):
            return self.loss(params, batch)


def objective(
    loss: Callable[[Params, Any], Tensor],
    params: Params,
    batches: Sequence[Any],
    *,
    names: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    dtype: torch.dtype = torch.float64,
) -> Objective:
    """f around `params`, computed in `dtype`; floating tensors of the batches are cast to it.

    params: {name: tensor}, e.g. `dict(model.named_parameters())`; where some require a gradient, the others are frozen.
    names: the tensors to differentiate in (None: all that are not frozen).  weights: one positive number per batch (None:
    its number of samples).  Tensors of whole numbers (quantised, say) stay as they are.  Raises ValueError for half precision,
    frozen names and names of whole numbers, a tensor under two names, no batch, and weights that fit no mean.
    """
    _check_precision(params, dtype)
    _check_tied(params)
    free = _free(params, names)
    layout = layout_of(params, free)
    fixed = {name: cast(value.detach(), dtype) for name, value in params.items() if name not in layout.names}
    moved = tuple(cast(batch, dtype) for batch in batches)
    return Objective(loss, layout, layout.flatten(params).to(dtype), fixed, moved, _shares(moved, weights))


def cast(batch: Any, dtype: torch.dtype) -> Any:
    """The floating tensors inside tuples, lists and dicts in `dtype`; everything else as it is."""
    if isinstance(batch, Tensor):
        return batch.to(dtype) if batch.is_floating_point() else batch
    if isinstance(batch, dict):
        return {key: cast(value, dtype) for key, value in batch.items()}
    return type(batch)(cast(value, dtype) for value in batch) if type(batch) in (tuple, list) else batch


def samples(batch: Any) -> int | None:
    """Length of the first axis of the first tensor; None where there is none."""
    if isinstance(batch, Tensor):
        return len(batch) if batch.dim() else None
    inner = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, tuple | list) else ()
    return next((found for found in map(samples, inner) if found is not None), None)


def _shares(batches: tuple[Any, ...], weights: Sequence[float] | None) -> tuple[float, ...]:
    counts = tuple(map(samples, batches)) if weights is None else tuple(weights)
    if weights is None and len(batches) == 1:
        counts = (1,)
    if len(counts) != len(batches) or not batches or any(count is None or not 0 < count < float("inf") for count in counts):
        raise ValueError(
            f"a mean over batches needs at least one batch and one positive weight for each, got {len(batches)} batches and the "
            f"weights {list(counts)} (None: a batch without a tensor has no number of samples); give weights=..."
        )
    return tuple(count / sum(counts) for count in counts)


def _check_precision(params: Params, dtype: torch.dtype) -> None:
    narrow = {name: value.dtype for name, value in params.items() if value.is_floating_point() and value.dtype not in WIDE}
    if dtype not in WIDE or narrow:
        raise ValueError(
            f"second derivatives need float32 or float64, got dtype={dtype} and {narrow or 'wide'} parameters: half precision "
            f"rounds at 1e-3, as much as the curvature's own changes; lift the model by .float() or .double() first"
        )


def _check_tied(params: Params) -> None:
    seen: dict[tuple[Any, ...], str] = {}
    for name, value in params.items():
        key = (value.data_ptr(), value.shape, value.stride())
        if value.numel() and key in seen:
            raise ValueError(
                f"every tensor must be counted once, but {seen[key]!r} and {name!r} are one tensor of {value.numel()} entries "
                f"(tied weights): keep one of the names, as dict(model.named_parameters()) does"
            )
        seen[key] = name


def _free(params: Params, names: Sequence[str] | None) -> list[str]:
    floating = [name for name, value in params.items() if value.is_floating_point()]
    trained = [name for name in floating if params[name].requires_grad]
    chosen = list(names) if names is not None else trained or floating or list(params)
    whole = {name: params[name].dtype for name in chosen if name in params and name not in floating}
    if whole:
        raise ValueError(f"curvature is taken in real floating numbers, but {whole} can be no variables of a derivative; {LEAVE}")
    frozen = [name for name in (names or ()) if trained and name in params and name not in trained]
    if frozen:
        raise ValueError(
            f"curvature is taken in parameters that are trained, but {frozen} are frozen (requires_grad=False) beside "
            f"{len(trained)} that are not; unfreeze them, or {LEAVE}"
        )
    return chosen
