"""Question: what does training without backward need beside the weights?

Claims: mezo.inference-memory          a step of MeZO peaks where inference peaks, if activations are larger than weights
        mezo.inference-memory.weights  ... and also where the largest weight is larger than they are
        mezo.twelve-times              weights, gradients and moments alone make the 12-fold saving over Adam
        zo.accounting                  weights + gradients + states: 2 P, 4 P, P, 2 P, 3 P for SGD, Adam, ZO-SGD, ZO-momentum, ZO-Adam
        zo.no-activations              a two-point step keeps nothing for backward
        zo.forward-gradient            the forward gradient takes 2 P and twice the activations of a layer
Proof:  none; counts, and the record of the allocator
Cost:   4 s on one CPU core
Run:    sandbox check mezo.inference-memory zo.accounting zo.forward-gradient

Reported for OPT-13B: 12 times less memory than fine-tuning with Adam. Weights, gradients and moments can be counted, activations depend
on the batch; so the third claim asks whether the countable part explains the figure. Predictions were written before the first run;
the accounting table was known from the shells' own tests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from sandbox.draws import generator
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.memory.allocator import allocations
from sandbox.memory.meters import saved_bytes, tensor_bytes
from sandbox.memory.training import measured, next_token_loss
from sandbox.models.gpt import GPTConfig
from sandbox.models.initial import build
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import Rule
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.oracles.forward_gradient import ForwardGradient
from sandbox.oracles.two_point import TwoPoint
from sandbox.shells.in_place import InPlace
from sandbox.shells.stepwise import Stepwise
from sandbox.verdict import Outcome

WIDE = GPTConfig(vocab=300, width=32, layers=2, heads=4, context=64, tied=False)  # scores: 4 x 64^2 x 16 B = 0.26 MB a sequence
TABLE = GPTConfig(vocab=2000, width=32, layers=1, heads=4, context=8, tied=False)  # table: 0.26 MB, activations a tenth of it
SGD, MOMENTUM, ADAM = GradientDescent(1e-6), GradientDescent(1e-6, momentum=0.9), Adam(1e-6)


@dataclass(frozen=True)
class Step:
    """sequences, tokens of a batch."""

    model: Literal["wide", "table"]
    sequences: int
    tokens: int


def model_and_batch(setting: Step, seed: int) -> tuple[nn.Module, torch.Tensor]:
    config = WIDE if setting.model == "wide" else TABLE
    return build(config, seed), torch.randint(config.vocab, (setting.sequences, setting.tokens + 1), generator=generator(seed))


def inference(setting: Step, seed: int) -> dict[str, float]:
    """Peak of a MeZO step over that of the same loss without a gradient, weights in both; and what the step keeps for backward."""
    model, batch = model_and_batch(setting, seed)
    loss, weights = next_token_loss(model, batch), tensor_bytes(model.parameters())
    optimizer = InPlace(model.named_parameters(), SGD, TwoPoint())
    plain = allocations(torch.no_grad()(loss)).peak
    kept = saved_bytes(lambda: optimizer.measure(loss), model.parameters())
    return {"ratio": (weights + allocations(lambda: optimizer.step(loss)).peak) / (weights + plain), "kept": kept}


@dataclass(frozen=True)
class Countable:
    """Bytes a parameter of Adam: weight, gradient, states; and of the weight alone."""

    adam: tuple[int, ...]
    weight: int


def countable(setting: Countable, seed: int) -> dict[str, float]:
    return {"ratio": sum(setting.adam) / setting.weight}


@dataclass(frozen=True)
class Accounted:
    method: Literal["SGD", "Adam", "ZO-SGD", "ZO-momentum", "ZO-Adam"]


METHODS: dict[str, tuple[Rule, Literal["backprop", "two-point"]]] = {
    "SGD": (SGD, "backprop"),
    "Adam": (ADAM, "backprop"),
    "ZO-SGD": (SGD, "two-point"),
    "ZO-momentum": (MOMENTUM, "two-point"),
    "ZO-Adam": (ADAM, "two-point"),
}
PARTS = {"SGD": 2, "Adam": 4, "ZO-SGD": 1, "ZO-momentum": 2, "ZO-Adam": 3}


def accounted(setting: Accounted, seed: int) -> dict[str, float]:
    """Weights, gradients and state of a training step, over the weights."""
    rule, oracle = METHODS[setting.method]
    batch = torch.randint(300, (1, 5), generator=generator(seed))

    def fresh() -> tuple[nn.Module, torch.optim.Optimizer]:
        model = build(WIDE, seed)
        if oracle == "backprop":
            return model, Stepwise(model.named_parameters(), rule)
        return model, InPlace(model.named_parameters(), rule, TwoPoint())

    seen = measured(fresh, batch)
    return {"P": (seen.weights + seen.gradients + seen.state) / seen.weights}


@dataclass(frozen=True)
class TokenLoss:
    """The next-token loss of TABLE as a problem."""

    def loss(self, params: dict, batch: torch.Tensor) -> torch.Tensor:
        model = TABLE.module()
        return next_token_loss(lambda tokens: torch.func.functional_call(model, params, (tokens,)), batch)()


def forward_gradient(setting: Step, seed: int) -> dict[str, float]:
    """Peak of one estimate, weights included, over the weights; a batch so small that activations are a tenth of them."""
    model, batch = model_and_batch(setting, seed)
    params = {name: p.detach() for name, p in model.named_parameters()}
    oracle, problem = ForwardGradient(), TokenLoss()
    weights = tensor_bytes(params.values())

    def estimate() -> object:
        return oracle(problem, params, batch, oracle.draw(generator(seed), params))

    return {"P": (weights + peak(estimate)) / weights}


def peak(run: Callable[[], object]) -> int:
    return allocations(run).peak


MEZO = "MeZO (arXiv:2305.17333)"
QUICK = dict(tier="quick", cost_s=1)
INFERENCE = QUICK | dict(
    source=f"{MEZO}, abstract",
    known="read",
    dossier="zeroth 1.4",
    kind="upper",
    quantity="peak of a step / peak of a forward pass without gradient",
    measure=per_seed(inference),
    estimate=Range("ratio"),
    limit=1.0,
    tau=0.01,
    subject="mezo.inference-memory",
)
CLAIMS = (
    Claim(
        id="mezo.inference-memory",
        statement="MeZO trains with the memory of inference.",
        plan=Grid((Step("wide", 2, 64), Step("wide", 4, 64)), seeds=(0,)),
        predicted=Outcome.ATTAINED,
        **INFERENCE,
    ),
    Claim(
        id="mezo.inference-memory.weights",
        statement="... also where one weight is larger than the activations of a layer.",
        plan=Grid((Step("table", 1, 4),), seeds=(0,)),
        predicted=Outcome.VIOLATED,  # the perturbed copy of the largest weight, and a chunk of numbers in float64
        **INFERENCE,
    ),
    Claim(
        id="mezo.twelve-times",
        statement="Without gradients and moments OPT-13B takes 12 times less than with Adam (weights, gradients and moments alone).",
        source=f"{MEZO}, abstract",
        known="read",
        dossier="zeroth 1.4",
        kind="lower",
        quantity="bytes a parameter of Adam / bytes of a weight",
        plan=Grid((Countable((2, 2, 12), 2), Countable((4, 4, 8), 4)), seeds=(0,)),
        measure=per_seed(countable),
        estimate=Range("ratio"),
        limit=12.0,
        predicted=Outcome.VIOLATED,  # 8 with float16 weights and float32 states, 4 in float32: the rest must be activations
        **QUICK,
    ),
    Claim(
        id="zo.accounting",
        statement="Weights, gradients and states take 2 P (SGD), 4 P (Adam), P (ZO-SGD), 2 P (ZO-momentum), 3 P (ZO-Adam).",
        source="derived, for the methods of ZO-Bench (arXiv:2402.11592)",
        known="derived",
        dossier="zeroth 2.1",
        kind="equality",
        quantity="bytes of weights, gradients and state / bytes of weights",
        plan=Grid(tuple(Accounted(name) for name in METHODS), seeds=(0,)),
        measure=per_seed(accounted),
        estimate=Range("P"),
        limit=lambda s: float(PARTS[s.method]),
        predicted=Outcome.HOLDS,
        **QUICK,
    ),
    Claim(
        id="zo.no-activations",
        statement="A two-point step keeps no tensor for backward.",
        source="derived",
        known="derived",
        dossier="zeroth 1.4",
        kind="equality",
        quantity="bytes that autograd keeps",
        plan=Grid((Step("wide", 2, 64), Step("table", 1, 4)), seeds=(0,)),
        measure=per_seed(inference),
        estimate=Range("kept"),
        limit=0.0,
        predicted=Outcome.HOLDS,
        subject="mezo.inference-memory",
        **QUICK,
    ),
    Claim(
        id="zo.forward-gradient",
        statement="A forward gradient takes slightly more than twice the memory of inference (our oracle).",
        source=f"{MEZO}, section 2.2",
        known="read",
        dossier="zeroth 2.1",
        kind="upper",
        quantity="peak of one estimate / weights, where activations are small",
        plan=Grid((Step("table", 1, 4),), seeds=(0,)),
        measure=per_seed(forward_gradient),
        estimate=Range("P"),
        limit=2.5,
        predicted=Outcome.VIOLATED,  # direction and sums are whole and in float64, each with its tangent: some nine times the weights
        **QUICK,
    ),
)
