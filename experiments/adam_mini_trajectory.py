"""Question: does Adam-mini stay closer to Adam's path than the other optimizers with small states do?

away = |w - w_Adam| / |w_Adam - w_0| after 300 steps from one start, with the same batches and the same learning rate.

Claims:  adam-mini.trajectory.adafactor          closer than Adafactor as it is used with a given learning rate
         adam-mini.trajectory.adafactor-momentum ... than Adafactor with the momentum of Adam: no, two factors of a second moment
                                                 tell more of it than one mean per row
         adam-mini.trajectory.came               ... than CAME
         adam-mini.trajectory.sign               ... than sign descent, Lion without its averages
         adam-mini.trajectory.order              ... than Adam itself under another order of the batches
Proof:   none
Cost:    full tier, 60 s on one CPU core
Run:     sandbox check adam-mini.trajectory.adafactor --tier full

The paper's figure of trajectories (second-hand) compares with Adafactor, CAME, SM3 and Lion and has no reference for what
"close" means; the last claim is that reference. Found: no closer than Adafactor, and further than other batches take Adam.
Llama-like, width 32, 2 layers, real text, 128 tokens a step, constant learning rate 2e-3 after 10 % of warm-up, no decay; 8
seeds. Adafactor and CAME scale by no weight here, so that Adafactor's steps have the size of Adam's; all start from the same
weights.

The predictions were committed before the first run of this file, that of `.24-seeds` after the first 8 and before its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sandbox.fit import PairedDifference
from sandbox.ledger.claim import Claim, Found, Grid
from sandbox.models.cuts import adam_mini
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.base import Rule
from sandbox.optimizers.came import CAME
from sandbox.optimizers.sign_descent import SignDescent
from sandbox.problems.base import Facts, Params
from sandbox.run_ensemble import run_ensemble
from sandbox.verdict import Outcome

BETAS = (0.9, 0.95)
OTHERS = {"adafactor": "Adafactor", "adafactor-momentum": "Adafactor with momentum", "came": "CAME", "sign": "sign descent"}


@dataclass(frozen=True)
class Setting:
    lr: float = 2e-3
    steps: int = 300
    width: int = 32
    layers: int = 2
    heads: int = 4
    context: int = 32
    batch: int = 4


@dataclass(frozen=True)
class OtherOrder:
    """A problem from the same starts with batches that no seed below `shift` draws."""

    inner: LanguageProblem
    shift: int = 10**6

    @property
    def facts(self) -> Facts:
        return self.inner.facts

    def start(self, seed: int) -> Params:
        return self.inner.start(seed)

    def batch(self, seed: int, step: int) -> Any:
        return self.inner.batch(seed + self.shift, step)

    def loss(self, params: Params, batch: Any) -> Tensor:
        return self.inner.loss(params, batch)


def problem_of(setting: Setting) -> LanguageProblem:
    model = LlamaConfig(vocab=2, width=setting.width, layers=setting.layers, heads=setting.heads, context=setting.context)
    return fitted(LanguageProblem(model, tokenizer=Characters(), batch_size=setting.batch))


def rules_of(lr: float, problem: LanguageProblem) -> dict[str, Rule | dict[str, Rule]]:
    """Every method's rule at one learning rate."""
    cuts = adam_mini(problem.roles, problem.shapes)
    return {
        "adam-mini": {name: AdamMini(lr, BETAS, n_blocks=cut.n_blocks, dim=cut.dim) for name, cut in cuts.items()},
        "adafactor": Adafactor(lr, parameter_scale="off"),
        "adafactor-momentum": Adafactor(lr, parameter_scale="off", beta1=BETAS[0]),
        "came": CAME(lr),
        "sign": SignDescent(lr),
    }


def warmed_up(steps: int) -> Callable[[int], float]:
    """The share of the learning rate at each step: 10 % of linear warm-up, then 1."""
    first = max(steps // 10, 1)
    return lambda k: min((k + 1) / first, 1.0)


def measure(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """The distance of every method to Adam's end, relative to how far Adam came, for every seed."""
    problem = problem_of(setting)
    how = dict(steps=setting.steps, seeds=seeds, schedule=warmed_up(setting.steps))
    adam, starts = Adam(setting.lr, BETAS), [vector(problem.start(seed)) for seed in seeds]
    ends = [vector(trace.final) for trace in run_ensemble(problem, adam, **how)]
    found = {"order": run_ensemble(OtherOrder(problem), adam, **how)}
    found |= {name: run_ensemble(problem, rules, **how) for name, rules in rules_of(setting.lr, problem).items()}
    return [
        {name: away(vector(traces[i].final), ends[i], starts[i]) for name, traces in found.items()} | {"seed": seed}
        for i, seed in enumerate(seeds)
    ]


def vector(params: Mapping[str, Any]) -> Tensor:
    """(n,) all tensors in one, float64."""
    return torch.cat([torch.as_tensor(w).double().reshape(-1) for w in params.values()])


def away(w: Tensor, end: Tensor, start: Tensor) -> float:
    """|w - end| / |end - start|."""
    return float((w - end).norm() / (end - start).norm())


COMMON = dict(
    source="Zhang et al. (2024), https://arxiv.org/abs/2406.16793, figure of trajectories against AdamW",
    known="second-hand",
    dossier="adam-mini C33",
    kind="ordering",
    tier="full",
    cost_s=60.0,
    plan=Grid((Setting(),), seeds=tuple(range(20, 28)), chunk=8),
    measure=measure,
    subject="adam-mini.trajectory",
)


def closer(other: str, name: str, predicted: Outcome = Outcome.HOLDS, **fields) -> Claim:
    own = dict(
        id=f"adam-mini.trajectory.{other}",
        statement=f"From one start and with one learning rate Adam-mini stays closer to Adam than {name} does.",
        quantity=f"distance to Adam's end over the length of Adam's way: Adam-mini minus {name}",
        estimate=PairedDifference("adam-mini", other),
        predicted=predicted,
    )
    return Claim(**(COMMON | own | fields))


CLAIMS = (
    closer(
        "adafactor",
        OTHERS["adafactor"],
        found=Found(
            Outcome.INCONCLUSIVE,
            "2026-11-22",
            "0.77 of Adam's way against 0.73, the other way round than the paper's figure; 8 seeds leave it open, asked again on 24",
        ),
    ),
    closer(
        "adafactor",
        OTHERS["adafactor"],
        Outcome.VIOLATED,  # as the first 8 seeds suggest
        id="adam-mini.trajectory.adafactor.24-seeds",
        found=Found(
            Outcome.INCONCLUSIVE,
            "2026-11-22",
            "+0.016 of Adam's way [-0.005, 0.037]; about 68 seeds would decide: equally far for all that shows",
        ),
        plan=Grid((Setting(),), seeds=tuple(range(30, 54)), chunk=8),
        cost_s=180.0,
    ),
    closer("adafactor-momentum", OTHERS["adafactor-momentum"], Outcome.VIOLATED),
    closer("came", OTHERS["came"]),
    closer("sign", OTHERS["sign"]),
    closer(
        "order",
        "Adam with other batches",
        found=Found(
            Outcome.VIOLATED,
            "2026-11-22",
            "0.77 of Adam's way against 0.66: which batches came moves Adam's end less than the choice of Adam-mini does",
        ),
    ),
)
