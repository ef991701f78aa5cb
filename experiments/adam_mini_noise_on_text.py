"""Question: does one second moment a block cost loss where a network comes to rest under the noise of its batches?

One start per seed, trained by AdamW; from there every method goes on at one small constant learning rate with the same batches.
Measured is the mean training loss of the last half, on batches that are seen once.

Claims: adam-mini.noise-on-text           Adam rests lower than Adam-mini
        adam-mini.noise-on-text.whole     Adam-mini rests lower than one second moment per tensor
        adam-mini.noise-on-text.features  embedding and head cut by token, where the SNR is high, rest lower than cut by feature, where
                                          it is below 1 (all other tensors: Adam)
        adam-mini.noise-on-text.rate      Adam-mini's excess over Adam falls with the learning rate (as noise, and a short lag, does)
        adam-mini.noise-on-text.price     the excess is at most (lr / 4) (sum_b sqrt(d_b tr S_b) - sum_i sqrt(S_ii)), what it is at rest,
                                          S the covariance of gradients: no, a shorter step also comes down more slowly
Proof:  proofs/proof_adam_mini_noise_floor.py
Cost:   full tier, 60 s on one CPU core
Run:    sandbox check adam-mini.noise-on-text --tier full

GPT-like, 1 layer, width 16, feed-forward 32, real text by characters, 64 tokens a step; 300 steps of AdamW at 1e-2, then 400 at
3e-3 (and 1.5e-3) without decay; betas (0.9, 0.999); 12 paired seeds. S: the mean squared gradients of 64 batches at the start. A
method that comes down more slowly is higher by this measure, too, and nothing here comes to rest in 400 steps but steep directions.
Found: excesses over Adam of 0.004 (tokens), 0.009 (Adam-mini), 0.012 (features) and 0.025 nats (whole) are in the order of their
prices, 0.0013, 0.0028, 0.0086 and 0.0122, but 1.5 to 3.3 times as large; how much of that is lag is not separated here.

The predictions were committed before the first run of this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from sandbox.fit import PairedDifference, RatioOfMeans
from sandbox.ledger.claim import Claim, Grid
from sandbox.models.cuts import Blocks, adam_mini, by_input
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini, block_means, over_entries
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule
from sandbox.problems.base import Facts, Params
from sandbox.run_ensemble import run_ensemble
from sandbox.verdict import Outcome

BETAS = (0.9, 0.999)
TABLES = ("embedding", "head")
Method = Literal["adam", "mini", "whole", "tokens", "features"]


@dataclass(frozen=True)
class Setting:
    width: int = 16
    ffn: int = 32
    context: int = 16
    batch: int = 4
    before: int = 300
    steps: int = 400
    lr_before: float = 1e-2
    lr: float = 3e-3
    batches: int = 64


@dataclass(frozen=True)
class Continued:
    """A problem from given starts, with the batches that come after the first `done`."""

    inner: LanguageProblem
    starts: Mapping[int, Params]
    done: int

    @property
    def facts(self) -> Facts:
        return self.inner.facts

    def start(self, seed: int) -> Params:
        return self.starts[seed]

    def batch(self, seed: int, step: int) -> Any:
        return self.inner.batch(seed, self.done + step)

    def loss(self, params: Params, batch: Any) -> Tensor:
        return self.inner.loss(params, batch)


def problem_of(setting: Setting) -> LanguageProblem:
    model = GPTConfig(1, width=setting.width, layers=1, heads=4, context=setting.context, tied=False, ffn=setting.ffn)
    return fitted(LanguageProblem(model, tokenizer=Characters(), batch_size=setting.batch))


def trained(setting: Setting, problem: LanguageProblem, seeds: tuple[int, ...]) -> Continued:
    """AdamW's ends as starts."""
    traces = run_ensemble(problem, AdamW(setting.lr_before, BETAS), steps=setting.before, seeds=seeds)
    starts = {trace.seed: {name: torch.from_numpy(w).float() for name, w in trace.final.items()} for trace in traces}
    return Continued(problem, starts, setting.before)


def cuts_of(method: Method, problem: LanguageProblem) -> dict[str, Blocks]:
    """Which tensors share second moments and how; Adam has all others."""
    minis, roles = adam_mini(problem.roles, problem.shapes), problem.roles
    if method == "mini":
        return minis
    if method == "whole":
        return {name: Blocks("whole", 1) for name in minis}
    tables = [name for name, role in roles.items() if role.kind in TABLES and method != "adam"]
    return {name: minis[name] if method == "tokens" else by_input(roles[name], problem.shapes[name]) for name in tables}


def rules_of(method: Method, lr: float, problem: LanguageProblem) -> dict[str, Rule]:
    cuts = cuts_of(method, problem)
    shared = {name: AdamMini(lr, BETAS, n_blocks=cut.n_blocks, dim=cut.dim) for name, cut in cuts.items()}
    return {name: shared.get(name, Adam(lr, BETAS)) for name in problem.roles}


def at_rest(setting: Setting, after: Continued, rules: dict[str, Rule], seeds: tuple[int, ...]) -> list[float]:
    """Mean loss of the last half of the steps, in nats per token."""
    traces = run_ensemble(after, rules, steps=setting.steps, seeds=seeds)
    return [float(trace.loss[setting.steps // 2 :].mean()) for trace in traces]


def squares(setting: Setting, after: Continued, seed: int) -> dict[str, Tensor]:
    """S_ii per tensor, float64: mean squared gradients at the start, over batches that no training sees."""
    slope, total = torch.func.grad(after.loss), {}
    for k in range(setting.batches):
        grads = slope(after.start(seed), after.batch(seed, setting.steps + k))
        total = {name: total.get(name, 0) + g.double().square() / setting.batches for name, g in grads.items()}
    return total


def price(lr: float, S: Mapping[str, Tensor], cuts: Mapping[str, Blocks]) -> float:
    """(lr / 4) (sum_b sqrt(d_b tr S_b) - sum_i sqrt(S_ii)): a block's d_b entries share the root of their mean."""
    extra = 0.0
    for name, cut in cuts.items():
        shared = over_entries(block_means(S[name], cut.n_blocks, cut.dim).sqrt(), S[name], cut.n_blocks, cut.dim)
        extra += float((shared - S[name].sqrt()).sum())
    return lr / 4 * extra


def measure(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """The loss at rest of every method, for every seed, and what the theory says of their excess over Adam."""
    problem = problem_of(setting)
    after = trained(setting, problem, seeds)
    sides = {method: (method, setting.lr) for method in get_args(Method)}
    sides |= {f"{method} at half": (method, setting.lr / 2) for method in ("adam", "mini")}
    losses = {name: at_rest(setting, after, rules_of(method, lr, problem), seeds) for name, (method, lr) in sides.items()}
    rows = []
    for i, seed in enumerate(seeds):
        S, row = squares(setting, after, seed), {name: each[i] for name, each in losses.items()}
        prices = {f"price {method}": price(setting.lr, S, cuts_of(method, problem)) for method in get_args(Method)}
        excess = {"excess": row["mini"] - row["adam"], "excess at half": row["mini at half"] - row["adam at half"]}
        rows.append(row | prices | excess)
    return rows


COMMON = dict(
    source="derived: at rest under noise the loss is (lr / 4) tr(D S) above its least, D the diagonal of step sizes",
    known="derived",
    dossier="adam-mini C11, T6",
    kind="ordering",
    tier="full",
    cost_s=60.0,
    plan=Grid((Setting(),), seeds=tuple(range(12)), chunk=12),
    measure=measure,
    subject="adam-mini.noise-on-text",
    theorems=("adam_mini_noise_floor",),
    predicted=Outcome.HOLDS,
)


def lower(slug: str, first: str, second: str, statement: str, **fields) -> Claim:
    own = dict(
        id=f"adam-mini.noise-on-text{slug}",
        statement=statement,
        quantity=f"mean training loss of the last half, nats per token: {first} minus {second}",
        estimate=PairedDifference(first, second),
    )
    return Claim(**(COMMON | own | fields))


CLAIMS = (
    lower("", "adam", "mini", "From one trained start and at one small learning rate Adam comes to rest lower than Adam-mini."),
    lower(".whole", "mini", "whole", "... Adam-mini lower than one second moment per tensor."),
    lower(".features", "tokens", "features", "... embedding and head with one second moment per token lower than with one per feature."),
    lower(".rate", "excess at half", "excess", "Adam-mini's excess over Adam is smaller at half of the learning rate."),
    lower(
        ".price",
        "mini",
        "adam",
        "Adam-mini's excess is at most what the noise of the batches would cost it at rest.",
        kind="upper",
        quantity="excess of Adam-mini's loss over Adam's, in units of its theoretical value at rest",
        estimate=RatioOfMeans("excess", "price mini"),
        limit=1.0,
        predicted=Outcome.VIOLATED,  # with tuned rates and a schedule, where noise has died down, Adam-mini is 0.02 nats behind too
    ),
)
