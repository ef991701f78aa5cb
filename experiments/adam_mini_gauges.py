"""Question: which changes of basis of a network does Adam-mini not see?

A gauge is a change of weights that leaves the function alone. A rule respects it if training from the changed weights ends
at the changed end: defect = largest |end' - gauge(end)| over the largest |end - start| of a tensor.

Claims: adam-mini.gauge.heads          (W_Q, W_K) -> (R W_Q, R W_K) per head: Adam-mini respects it, defect <= 1e-8
        adam.gauge.heads               ... Adam does: no
        adam-mini.gauge.value          (W_V, W_O) -> (R W_V, W_O R^T) per head, W_V cut by output neuron: no
        adam-mini.gauge.value-by-head  ... W_V cut by head: yes
        adam-mini.gauge.inputs         turned inputs, W_1 -> W_1 R^T: yes
        adam.gauge.inputs              ... Adam: no
Proof:  proofs/proof_adam_mini_invariance.py
Cost:   2 s on one CPU core
Run:    sandbox check adam-mini.gauge.heads adam-mini.gauge.value

A GPT-like transformer of one layer, width 16, 4 heads, and an MLP with 12 inputs and 16 hidden neurons; float64; 20 steps at 3e-3
with betas (0.9, 0.95) and decay 0.1. The biases of query, key and value stay at 0: Adam-mini gives each entry of a bias its own second
moment, which no rotation survives. 1e-8 is rounding (1e-16) through 20 steps and one LayerNorm, with room.

The predictions were committed before the first run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.models.cuts import Blocks, adam_mini
from sandbox.models.gpt import GPTConfig
from sandbox.models.markov import MarkovProblem
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.base import Facts, Params
from sandbox.problems.rotations import haar
from sandbox.problems.streams import START
from sandbox.run import run
from sandbox.verdict import Outcome

LR, BETAS, DECAY, HEADS = 3e-3, (0.9, 0.95), 0.1, 4
Turn = Callable[[Params], Params]


@dataclass(frozen=True)
class Setting:
    """values: how W_V is cut under Adam-mini."""

    gauge: Literal["heads", "value", "inputs"]
    rule: Literal["adam-mini", "adam"]
    values: Literal["row", "head"] = "row"
    steps: int = 20


@dataclass(frozen=True)
class Regression:
    """Two outputs of a hidden tanh layer on `samples` fixed Gaussian points, of which those seen are turned by R (I, I)."""

    R: Tensor
    hidden: int = 16
    samples: int = 40

    @property
    def facts(self) -> Facts:
        return Facts()

    def start(self, seed: int) -> Params:
        inputs, rng = len(self.R), generator(START, seed)
        return {"in": normal((self.hidden, inputs), rng) / inputs**0.5, "out": normal((2, self.hidden), rng) / self.hidden**0.5}

    def batch(self, seed: int, step: int) -> tuple[Tensor, Tensor]:
        rng = generator(seed, 7)
        return normal((self.samples, len(self.R)), rng) @ self.R.T, normal((self.samples, 2), rng)

    def loss(self, params: Params, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return (torch.tanh(x @ params["in"].T) @ params["out"].T - y).square().mean()


@dataclass(frozen=True)
class Turned:
    """A problem from gauged starts."""

    inner: Any
    turn: Turn

    @property
    def facts(self) -> Facts:
        return self.inner.facts

    def start(self, seed: int) -> Params:
        return self.turn(self.inner.start(seed))

    def batch(self, seed: int, step: int) -> Any:
        return self.inner.batch(seed, step)

    def loss(self, params: Params, batch: Any) -> Tensor:
        return self.inner.loss(params, batch)


def transformer() -> MarkovProblem:
    return MarkovProblem(GPTConfig(8, width=16, layers=1, heads=HEADS, context=16, tied=False), batch_size=8, dtype="float64")


def of_heads(d: int, seed: int) -> Tensor:
    """(d, d): one rotation per head, down the diagonal."""
    return torch.block_diag(*(haar(d // HEADS, generator(seed, 3, head)) for head in range(HEADS)))


def turn_of(setting: Setting, seed: int) -> Turn:
    """What the gauge does to parameters."""
    where, R = "blocks.0.attention", of_heads(16, seed)
    if setting.gauge == "inputs":
        R = haar(12, generator(seed, 3))
        return lambda w: w | {"in": w["in"] @ R.T}
    if setting.gauge == "heads":
        names = (f"{where}.query.weight", f"{where}.key.weight")
        return lambda w: w | {name: R @ w[name] for name in names}
    value, out = f"{where}.value.weight", f"{where}.out.weight"
    return lambda w: w | {value: R @ w[value], out: w[out] @ R.T}


def rule_of(setting: Setting, cut: Blocks) -> Rule:
    if setting.rule == "adam":
        return AdamW(LR, BETAS, weight_decay=DECAY)
    return AdamMini(LR, BETAS, weight_decay=DECAY, n_blocks=cut.n_blocks, dim=cut.dim)


def rules_of(setting: Setting, problem: MarkovProblem) -> dict[str, Rule]:
    """Adam-mini's cut, W_V by head where it is asked for; the biases that the gauge would turn stay where they are, at 0."""
    cuts = adam_mini(problem.roles, problem.shapes)
    frozen = [f"blocks.0.attention.{name}.bias" for name in ("query", "key", "value")]
    found = {name: rule_of(setting, cut) for name, cut in cuts.items()} | {name: GradientDescent(0.0) for name in frozen}
    if setting.values == "head":
        found["blocks.0.attention.value.weight"] = rule_of(setting, Blocks("head", HEADS))
    return found


def defect(setting: Setting, seed: int) -> dict[str, float]:
    turn = turn_of(setting, seed)
    if setting.gauge == "inputs":
        plain, rules = (
            Regression(torch.eye(12, dtype=torch.float64)),
            {name: rule_of(setting, Blocks("row", n)) for name, n in (("in", 16), ("out", 2))},
        )
        turned = Turned(Regression(haar(12, generator(seed, 3))), turn)
    else:
        plain = transformer()
        rules, turned = rules_of(setting, plain), Turned(plain, turn)
    start = plain.start(seed)
    end, other = (_tensors(run(problem, rules, steps=setting.steps, seed=seed).final) for problem in (plain, turned))
    wanted = turn(end)
    moved = max(float((end[name] - start[name]).norm()) for name in end)
    return {"defect": max(float((other[name] - wanted[name]).norm()) for name in end) / moved}


def _tensors(final: Any) -> Params:
    return {name: torch.from_numpy(w) for name, w in final.items()}


def respects(slug: str, statement: str, setting: Setting, predicted: Outcome) -> Claim:
    return Claim(
        id=f"{setting.rule}.gauge.{slug}",
        statement=statement,
        source="derived: a block's second moment is |g_b|^2 / d_b, which rotations inside the block leave alone",
        known="derived",
        dossier="adam-mini C9, T5",
        kind="upper",
        tier="quick",
        cost_s=0.3,
        quantity="largest |end' - gauge(end)| over the largest |end - start| of a tensor",
        plan=Grid((setting,), seeds=(0, 1, 2)),
        measure=per_seed(defect),
        subject="adam-mini.gauge",
        estimate=Range("defect"),
        limit=1e-8,
        predicted=predicted,
        theorems=("adam_mini_invariance",),
    )


CLAIMS = (
    respects(
        "heads",
        "Turning query and key alike, head by head, turns what Adam-mini makes of them.",
        Setting("heads", "adam-mini"),
        Outcome.HOLDS,
    ),
    respects("heads", "... and what Adam makes of them.", Setting("heads", "adam"), Outcome.VIOLATED),
    respects(
        "value",
        "Turning value and output projection against each other turns what Adam-mini makes of them, W_V cut by output neuron.",
        Setting("value", "adam-mini"),
        Outcome.VIOLATED,
    ),
    respects("value-by-head", "... W_V cut by head.", Setting("value", "adam-mini", "head"), Outcome.HOLDS),
    respects(
        "inputs",
        "Turning the inputs of a first layer turns what Adam-mini makes of its rows.",
        Setting("inputs", "adam-mini"),
        Outcome.HOLDS,
    ),
    respects("inputs", "... and what Adam makes of them.", Setting("inputs", "adam"), Outcome.VIOLATED),
)
