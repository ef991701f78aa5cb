"""Bytes of training by the forward gradient (sandbox/oracles/forward_gradient.py) in the stepwise loop of sandbox/run.py.

What our code holds, with N numbers of float32 weights and n directions, drawn and summed in float64 as whole tensors:

    old gradients         4 N                      `.grad` of the step before, until this step's replace it
    directions            8 n N                    while the loss is differentiated and until the step ends
    c z and its tangent   16 N                     of one direction at a time, of all tensors at once
    w + c z, tangent      8 N
    dual forward pass     nothing is kept; every number has a tangent, and products have two parts and a sum

so beside weights, state and activations it takes 28 + 8 n bytes a number where MeZO's authors report the direction and its tangent,
and the in-place shell one tensor. Moments:

    perturbed             the sums so far: + 16 bytes for each number of the tensor at hand, - 8 for each of those to come
    attention             10 u + 7 a + 2 h t + s^2                 Llama: 2 (4 + 3 k) u + ..., k = heads of keys / heads, and the angles
    feed-forward          6 u + 5 F                                Llama: 9 F, and the angles
    loss                  5 v + 4 t
    combined              8 n N + 8 N + 4 N + 4 N                  sums in float64, both gradients
    step                  8 n N + 4 N + T

Source: own counts; the terms of the dual forward pass (attention, feed-forward, loss) were read off the allocator's record,
with which the tests compare.
Letters: as in sandbox/memory/activations.py.
"""

from collections.abc import Mapping
from math import prod

from sandbox.memory.activations import Config, Pass
from sandbox.memory.forecasts import Forecast, state_forecast
from sandbox.memory.moments import Shapes, narrow
from sandbox.memory.temporaries import DRAW, temporaries_of
from sandbox.models.initial import shapes_of
from sandbox.optimizers.base import Rule
from sandbox.shells.assignment import assign


def forward_gradient_forecast(
    config: Config, rules: Rule | Mapping[str, Rule], *, sequences: int, tokens: int, directions: int = 1
) -> Forecast:
    """One training step after the first, float32 weights and float64 directions; Raises ValueError as `Pass` and `state_of` do."""
    x, shapes = Pass(config, sequences, tokens), shapes_of(config)
    e, numbers = x.element, sum(map(prod, shapes.values()))
    steps = [temporaries_of(rule, shapes[name], e) for name, rule in assign(shapes, rules).items()]
    held = x.batch + (e + DRAW * directions) * numbers
    dual = held + (2 * DRAW + 2 * e) * numbers
    moments = {name: dual + size for name, size in _dual(x, shapes).items()}
    moments |= {"combined": held + (DRAW + e) * numbers, "step": held + max(steps)}
    return Forecast(e * numbers, 0, e * numbers, state_forecast(shapes, rules, element=e), max(steps), moments)


def _dual(x: Pass, shapes: Shapes) -> dict[str, int]:
    """Beside the perturbed weights and their tangents."""
    turn, heads = x.turns + x.angles, x.config.heads
    return {
        "perturbed": _perturbed(x, [prod(shape) for shape in shapes.values()]),
        "attention": 2 * narrow(x) + 7 * x.scores + 2 * heads * x.per_token + x.mask + turn,
        "feed-forward": 6 * x.stream + (5 if x.is_gpt else 9) * x.hidden + turn,
        "loss": 5 * x.logits + 4 * x.per_token,
    }


def _perturbed(x: Pass, sizes: list[int]) -> int:
    to_come = sum(sizes)
    worst = []
    for size in sizes:
        to_come -= size
        worst.append(2 * DRAW * size - 2 * x.element * to_come)
    return max(worst)
