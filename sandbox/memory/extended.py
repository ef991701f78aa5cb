"""Forecasts of training systems that change more than the rule.

    pruned_forecast      an embedding of V' of its V rows (sandbox/models/pruned_embedding.py), untied: the table, its gradient and
                         its state have V' rows; + 4 V bytes, the map of ids, among the weights; + 4 bs, the rows, among the inputs
    low_rank_forecast    directions U Z V^T in the in-place shell: U and V of every matrix that has them, 8 (m + n) r bytes in float64,
                         are kept from refresh to refresh beside the state of the rule, and are counted as state

Source: own counts; tests compare with the allocator's record.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import prod

from sandbox.memory.activations import Pass
from sandbox.memory.forecasts import Forecast, Shell, forecast, planned
from sandbox.memory.moments import CHUNK, drawn_writing
from sandbox.memory.temporaries import DRAW
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
    """One step in place with directions of low rank for every matrix that `frame` can take, none of them at a refresh."""
    made = forecast(x.config, rules, sequences=x.sequences, tokens=x.tokens, element=x.element, shell="in place")
    taken = {name: shape for name, shape in shapes_of(x.config).items() if len(shape) > 1 and min(shape) >= frame.rank}
    write = max(x.element * prod(shape) + drawn_writing(shape) + DRAW * frame.rank * _rows(shape) for shape in taken.values())
    moments = {**made.moments, "write": max(made.moments["write"], write)}
    kept = DRAW * frame.rank * sum(sum(shape) for shape in taken.values())
    return replace(made, state=made.state + kept, temporaries=moments["write"], moments=moments)


def _rows(shape: tuple[int, ...]) -> int:
    """Of a matrix that are drawn at a time."""
    return min(shape[0], max(1, CHUNK // shape[1]))
