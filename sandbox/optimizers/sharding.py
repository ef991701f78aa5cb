"""What a rule or a frame must say where its weight may be sharded (a DTensor); on a plain tensor each does nothing.

    resolve(x)      finishes sums that every rank has made over its own part: no state leaf may stay Partial
    spread(x)       finishes them too, each rank its own columns: a matrix that is as wide as the weight need not lie whole on every rank
    replicate(x)    the whole of x on every rank, for views that cut across shards and for decompositions
    placed(x, w)    x cut along the shards of w, before it is written into w
    sums(xs)        the sum of all entries of each, with one message for all
    local(x)        the part of this rank
    like(x, w)      a plain tensor that every rank holds (a draw, a basis) in the dtype and on the device of w,
                    replicated over the mesh of w

Rules never ask whether they are sharded; they call these where a reduction crosses the first dimension.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def placements(x: Tensor) -> Sequence[Any]:
    """One per mesh dimension of a DTensor, none for a plain tensor."""
    return getattr(x, "placements", ())


def resolve(x: Tensor) -> Tensor:
    """x with every pending sum made (all-reduce); sharded dimensions stay sharded."""
    if any(p.is_partial() for p in placements(x)):
        return x.redistribute(placements=[_replicate() if p.is_partial() else p for p in placements(x)])
    return x


def spread(x: Tensor) -> Tensor:
    """x (r, n) with every pending sum made and cut along n (reduce-scatter); what is not pending stays as it is."""
    if any(p.is_partial() for p in placements(x)):
        from torch.distributed.tensor import Shard

        return x.redistribute(placements=[Shard(1) if p.is_partial() else p for p in placements(x)])
    return x


def replicate(x: Tensor) -> Tensor:
    """x whole on every rank (all-gather, all-reduce)."""
    if any(not p.is_replicate() for p in placements(x)):
        return x.redistribute(placements=[_replicate()] * len(placements(x)))
    return x


def placed(x: Tensor, w: Tensor) -> Tensor:
    """x with the placements of w; what is whole on every rank is cut without communication."""
    if placements(x) and placements(x) != placements(w):
        return x.redistribute(placements=placements(w))
    return x


def like(x: Tensor, w: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """x, the same on every rank, in the dtype (of w by default) and on the device of w, so that it can meet w."""
    x = x.to(device=w.device, dtype=dtype or w.dtype)
    if not placements(w) or placements(x):
        return x
    from torch.distributed.tensor import DTensor

    mesh = w.device_mesh
    return DTensor.from_local(x, mesh, [_replicate()] * mesh.ndim, run_check=False)


def local(x: Tensor) -> Tensor:
    """The part of x on this rank; x itself where it is not sharded. Under no_grad it is the memory of x, not a copy."""
    return x.to_local() if placements(x) else x


def sums(xs: Sequence[Tensor]) -> list[float]:
    """The sum of all entries of each; tensors of one kind share one all-reduce and one wait for the device."""
    if len(xs) == 1 and not placements(xs[0]):
        return [float(xs[0].sum())]
    alike: dict[Any, list[int]] = {}
    for i, x in enumerate(xs):
        alike.setdefault((x.device, x.dtype, getattr(x, "device_mesh", None), tuple(placements(x))), []).append(i)
    found: dict[int, float] = {}
    for positions in alike.values():
        totals = torch.stack([local(xs[i]).sum() for i in positions])
        found.update(zip(positions, _over_ranks(totals, xs[positions[0]]).tolist(), strict=True))
    return [found[i] for i in range(len(xs))]


def _over_ranks(totals: Tensor, x: Tensor) -> Tensor:
    """Totals of the local parts of tensors that lie as x does -> totals of the whole."""
    if not placements(x):
        return totals
    from torch.distributed.tensor import DTensor, Partial

    pending = [_replicate() if p.is_replicate() else Partial() for p in placements(x)]
    return local(resolve(DTensor.from_local(totals, x.device_mesh, pending, run_check=False)))


def _replicate() -> Any:
    from torch.distributed.tensor import Replicate

    return Replicate()
