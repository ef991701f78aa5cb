"""Forecasts of training systems that change more than the rule.

    pruned_forecast      an embedding of V' of its V rows (sandbox/models/pruned_embedding.py), untied: the table, its gradient and
                         its state have V' rows; + 4 V bytes, the map of ids, among the weights; + 4 bs, the rows, among the inputs
    low_rank_forecast    directions U Z V^T in the in-place shell: U and V of every matrix that has them, 8 (m + n) r bytes in float64,
                         are kept from refresh to refresh beside the state of the rule, and are counted as state

Such directions have a moment more. All subspaces that are due are drawn before the first forward pass, one tensor after the other, and the
old one of a tensor goes first:

    refresh              all U and V but those of the tensor at hand, the draw of both, and the factorisation of one (`subspaces`)

Source: own counts; tests compare with the allocator's record.
"""

from collections.abc import Mapping
from dataclasses import replace

from sandbox.memory.activations import Pass
from sandbox.memory.forecasts import Forecast, Shell, planned
from sandbox.memory.temporaries import DRAW, subspaces
from sandbox.models.initial import shapes_of
from sandbox.optimizers.base import Rule
from sandbox.optimizers.subzero import SubZero

MAPPED = 4  # bytes of one id in the map of a pruned table


def pruned_forecast(x: Pass, rules: Rule | Mapping[str, Rule], shell: Shell = "stepwise") -> Forecast:
    """One training step after the first, of a model whose embedding has x.used rows.

    Raises ValueError for a tied embedding, which cannot be pruned, for no number of rows, and for layers of RSO.
    """
    if x.config.tied or x.used is None or not 1 <= x.used <= x.config.vocab or shell == "subspace":
        raise ValueError(
            f"pruning has a forecast for an untied embedding with 1 .. {x.config.vocab} used rows and every shell but subspace, "
            f"got tied {x.config.tied}, {x.used} rows, shell {shell}"
        )
    shapes = shapes_of(x.config) | {"embedding.weight": (x.used, x.config.width)}
    made = planned(x, shapes, rules, shell)
    return replace(made, weights=made.weights + MAPPED * x.config.vocab)


def low_rank_forecast(x: Pass, rules: Rule | Mapping[str, Rule], frame: SubZero) -> Forecast:
    """One step in place, after the first, with directions of low rank for every matrix that `frame` can take; all are drawn anew in it.

    Raises ValueError for a frame that sees a weight in another shape, and where it takes none.
    """
    taken = {name: shape for name, shape in shapes_of(x.config).items() if len(shape) > 1 and min(shape) >= frame.rank}
    if frame.shape != "own" or not taken:
        raise ValueError(
            f"directions of low rank have a forecast for matrices in their own shape, got shape {frame.shape!r} and {len(taken)} matrices "
            f"with both sides >= {frame.rank}; another view is made whole before its rows are cut, so measure it"
        )
    made = planned(x, shapes_of(x.config), rules, "in place", dict.fromkeys(taken, frame.rank))
    kept = {name: DRAW * frame.rank * sum(shape) for name, shape in taken.items()}
    refresh = max(subspaces(*shape, frame.rank) - kept[name] for name, shape in taken.items())
    moments = {**made.moments, "refresh": refresh}
    return replace(made, state=made.state + sum(kept.values()), temporaries=max(moments["write"], refresh), moments=moments)
