"""Bytes of training by SHERL (sandbox/models/sherl.py): by category, and the peak, from shapes alone.

N early features, h = width / reduction, w = e bsh, t = e bs, u and a as in sandbox/memory/activations.py; the frozen early
blocks run without a graph, so they keep their outputs alone, and the late ones keep no input of a linear layer:

    downs                 N (u + w + 2 t)                       input of the linear layer, of its norm, and the norm's numbers
    aggregation           2 N w + 2 N t + 2 t                   features, products, scores, their sum twice, shares
       with redundancy    N w + N^2 t + 4 N t                   unit features, cosines, two lengths, scores, sums
    up, norm              w + u + 2 t, and e for the gate
    late blocks           each a frozen block; the last norm; Llama: cosines and sines where there is a late block
    loss                  v, targets (8 bs, or the batch itself where b = 1), e

Moments, beside weights and state:

    early                 batch + (N - 2) u + a forward pass through one block without a graph
    forward               route + late blocks but one + norm + the softmax of the last
    loss                  kept - targets + 2 v + batch
    head                  kept - loss + u + v + batch
    feed-forward          route + late blocks + u + 2 F                      Llama: 3 F
    last norm             route + late blocks + norm + 2 u + batch      Llama: route + late blocks + 6 u + batch
    attention             route + late blocks - the feed-forward's + u + max(2 a, a + 2 u)
    route                 route - up + A + the worst of three                 A = gradients of up and norm; 0 where they are used at once
       sum                3 N w + w + N t                     two products with the features, the gradient of their sum; that of u
       unit features      5 N w - (N^2 + 2 N + 2) t           with redundancy: two products and two quotients, and the sum so far,
                                                              where cosines, relu and shares have gone
       cosines            N^2 t + N w - N t - 2 t             with redundancy: the gradient of the relu beside what it kept
    step                  gradients + T + batch

and in the fused shell, where nothing of a tensor is left after its step, in the place of the last:

    up                    route - up + 2 w + g(up) + T        the relu and its gradient
    down                  (N - 1) (u + w + 2 t) + N w + g(down) + T           the deepest layer down comes first; gradients of all features

Frozen parameters have no gradient, so the two shells differ by the route alone: no gradient is there before.

Source: own counts, from what each operation of the forward pass keeps and what its derivative makes; every line is in bytes and holds for
4 and for 8 bytes a number. Tests compare with the meter, byte by byte, and with the allocator's record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from sandbox.memory.activations import Pass
from sandbox.memory.forecasts import Forecast, Shell, state_forecast
from sandbox.memory.moments import forward_copies, narrow
from sandbox.memory.temporaries import temporaries_of
from sandbox.models.initial import shapes_of, skeleton
from sandbox.models.sherl import SherlConfig
from sandbox.optimizers.base import Rule
from sandbox.shells.assignment import assign


@dataclass(frozen=True)
class Kept:
    """What the forward pass of SHERL keeps, in bytes; x: the pass of its backbone."""

    config: SherlConfig
    x: Pass

    @property
    def features(self) -> int:
        """N"""
        return self.config.layers - self.config.route.late + 1

    @property
    def narrow(self) -> int:
        """w"""
        return self.x.stream // self.config.route.reduction

    @property
    def redundancy(self) -> int:
        N, t = self.features, self.x.per_token
        return N * self.narrow + N * N * t + 4 * N * t if self.config.route.redundancy == "on" else 0

    @property
    def up(self) -> int:
        gate = self.x.element if self.config.route.merge == "gate" else 0
        return self.narrow + self.x.stream + 2 * self.x.per_token + gate

    @property
    def downs(self) -> int:
        return self.features * (self.x.stream + self.narrow + 2 * self.x.per_token)

    @property
    def route(self) -> int:
        N, t = self.features, self.x.per_token
        return self.downs + 2 * N * self.narrow + 2 * N * t + 2 * t + self.redundancy + self.up

    @property
    def norm(self) -> int:
        """Of a frozen norm."""
        return self.x.norm if self.x.is_gpt else self.x.stream + self.x.per_token

    @property
    def late(self) -> int:
        return self.config.route.late * self.x.frozen_block + (self.x.turns if self.config.route.late else 0)

    @property
    def targets(self) -> int:
        return self.x.targets or self.x.batch

    @property
    def total(self) -> int:
        return self.route + self.late + self.norm + self.x.logits + self.targets + self.x.element


def sherl_forecast(
    config: SherlConfig, rules: Rule | Mapping[str, Rule], *, sequences: int, tokens: int, element: int = 4, shell: Shell = "stepwise"
) -> Forecast:
    """One training step after the first, of the parameters that ask for a gradient; shell: "stepwise" or "fused".

    rules: for those parameters alone.  element: bytes a number, 4 or 8. Raises ValueError for others, and as `Pass`, `assign` and
    `state_of` do.
    """
    _require_backward(shell, element)
    x, shapes, e = Pass(config.backbone, sequences, tokens, element), shapes_of(config), element
    trained = {name: shapes[name] for name, p in skeleton(config).named_parameters() if p.requires_grad}
    steps = {name: temporaries_of(rule, trained[name], e) for name, rule in assign(trained, rules).items()}
    sizes, kept = {name: e * prod(shape) for name, shape in trained.items()}, Kept(config, x)
    weights, state = e * sum(map(prod, shapes.values())), state_forecast(trained, rules, element=e)
    moments = _moments(kept)
    if shell == "fused":
        arriving = {name: sizes[name] + steps[name] for name in sizes}
        moments |= {"route": x.batch + _route(kept)} | _arriving(kept, arriving)
        return Forecast(weights, kept.total, max(sizes.values()), state, max(steps.values()), moments)
    gradients = sum(sizes.values())
    arrived = sum(size for name, size in sizes.items() if name.startswith(("up.", "norm.")))
    moments |= {"route": x.batch + _route(kept) + arrived, "step": gradients + max(steps.values()) + x.batch}
    return Forecast(weights, kept.total, gradients, state, max(steps.values()), moments)


def _require_backward(shell: Shell, element: int) -> None:
    if shell not in ("stepwise", "fused") or element not in (4, 8):
        raise ValueError(
            f"SHERL has a forecast for the shells stepwise and fused with 4 or 8 bytes a number, got {shell!r} with {element}: evaluations "
            "of a loss keep nothing that its route could save; RSO is for layers of the frozen backbone; narrow numbers make wide copies"
        )


def _moments(kept: Kept) -> dict[str, int]:
    x, late = kept.x, kept.config.route.late
    moments = {
        "loss": x.batch + kept.route + kept.late + kept.norm + x.element + 3 * x.logits,
        "head": x.batch + kept.route + kept.late + kept.norm + x.stream + x.logits,
        "last norm": x.batch + kept.route + kept.late + (kept.norm + 2 * x.stream if x.is_gpt else 6 * x.stream),
    }
    if kept.features > 1:
        moments["early"] = x.batch + x.turns + (kept.features - 2) * x.stream + _without_graph(x)
    if late:
        before, open_ = x.batch + kept.route + kept.late - x.frozen_block, x.batch + kept.route + kept.late + x.stream
        ffn = (1 if x.is_gpt else 3) * x.hidden
        moments["forward"] = before + kept.norm + forward_copies(x) + 3 * x.scores + x.mask
        moments["feed-forward"] = open_ + (2 if x.is_gpt else 3) * x.hidden
        moments["attention"] = open_ - ffn - kept.norm + max(2 * x.scores, x.scores + 2 * x.stream)
    return moments


def _arriving(kept: Kept, arriving: Mapping[str, int]) -> dict[str, int]:
    """Steps inside backward. arriving: bytes of a gradient and of the step that is made of it, by name."""
    x, N, w = kept.x, kept.features, kept.narrow
    down = kept.downs - (x.stream + w + 2 * x.per_token) + N * w
    return {
        "up": x.batch + kept.route - kept.up + 2 * w + arriving["up.weight"],
        "down": x.batch + down + arriving[f"downs.{N - 1}.linear.weight"],
    }


def _without_graph(x: Pass) -> int:
    """One block: at its softmax, or at its nonlinearity."""
    return max(narrow(x) + 3 * x.scores + x.mask, 3 * x.stream + (2 if x.is_gpt else 3) * x.hidden)


def _route(kept: Kept) -> int:
    """Backward through the weighted sum of the features, and with redundancies through the cosines and the unit features."""
    t, N, w = kept.x.per_token, kept.features, kept.narrow
    worst = 3 * N * w + w + N * t
    if kept.config.route.redundancy == "on":
        worst = max(worst, 5 * N * w - (N * N + 2 * N + 2) * t, N * N * t + N * w - (N + 2) * t)
    return kept.route - kept.up + worst
