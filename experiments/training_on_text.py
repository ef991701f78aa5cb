"""Question: which memory-efficient optimizers train a small transformer on real text as well as AdamW does?

Claims:  parity with AdamW (Adam-mini, AdaLomo, RSO), second moment against momentum, LOMO against AdaLomo, LOMO's
         sensitivity to the learning rate
Proof:   none; nothing is known for certain about the loss of a transformer
Cost:    full tier, about 20 minutes on two cores: 7 methods x (6 learning rates x 3 seeds + 12 to 76 fresh seeds)
Run:     sandbox check adam-mini.text-parity --tier full

The model is Llama-like, width 32, 2 layers, 4 heads, on characters of the text; 128 tokens a step, 3,000 steps, linear
warm-up over 10 % and a cosine to 10 % of the learning rate; no clipping. Every method gets 6 learning rates a factor of 2
apart x 3 tuning seeds (a grid extends itself while its best rate is at an edge) and is then compared on 12 fresh seeds,
which fix data and initial weights for both sides. Held-out loss at 10, 50 and 100 % of the schedule is recorded, 100 % is
judged. The margin of 0.02 nats per token was set before any run.

RSO: its own settings are not established (the body of the paper was not read). Here: Gaussian basis of the input side of
every attention and feed-forward matrix, rank = width / 4, rounds of 200 steps, inner AdamW-like rule without a proximal
term (eta -> infinity, which theory prefers: the constant C(t) falls with t); embedding, norms and head by Adam, as in the
paper's description.

"SGD with variance" (the AdaLomo paper names it without an equation, as a reviewer noted) is Adam with betas (0, 0.95).

Changed after a first run (its rows: 12 fresh seeds a method): the parity of Adam-mini and of AdaLomo stayed open after Holm's
correction, so both are asked again on 64 seeds that no run had seen (`.64-seeds`, predicted from the first 12); and LOMO's
sensitivity, first counted on the 3 tuning seeds, is counted on 6 fresh ones, beside a measure that is not a small integer.

All seeds of one method and one learning rate go through the ensemble shell at once: at 128 tokens a step that is faster
than one run after the other (tests/benchmarks/bench_transformer_ensemble.py).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.func import vmap

from sandbox.fit import PairedDifference, Sample
from sandbox.ledger.claim import Claim, Found, Rows, Task
from sandbox.ledger.claim import Setting as AnySetting
from sandbox.ledger.tuning import Tuned, together
from sandbox.models.cuts import adam_mini
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.run import Schedule
from sandbox.run_ensemble import run_ensemble
from sandbox.verdict import Outcome

BETAS, DECAY = (0.9, 0.95), 0.01  # the betas of the Adam-mini paper's scripts; torch's default decay
COMPRESSED = {"query", "key", "value", "attention_out", "ffn_in", "ffn_gate", "ffn_out"}
ADAM_GRID = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)
GRIDS = {
    "adamw": ADAM_GRID,
    "adam-mini": ADAM_GRID,
    "rso": ADAM_GRID,
    "variance": ADAM_GRID,
    "adalomo": (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4),
    "lomo": (0.1, 0.2, 0.4, 0.8, 1.6, 3.2),
    "momentum": (0.01, 0.02, 0.04, 0.08, 0.16, 0.32),
}
TUNE_SEEDS, SEEDS = (0, 1, 2), tuple(range(100, 112))
MARGIN = 0.02  # nats per token
MORE_SEEDS = tuple(range(200, 264))  # about 41 and 21 were asked for; 64 leave room for Holm's correction
NEARLY = 0.1  # nats per token: "this rate works nearly as well"; a third of what separates LOMO from AdaLomo
CAP = 1.0  # nats per token; untrained is 4.2, trained 1.6, so this is a run that has learned little


@dataclass(frozen=True)
class Setting:
    method: str
    lr: float = 0.0
    steps: int = 3000
    width: int = 32
    layers: int = 2
    heads: int = 4
    context: int = 32
    batch: int = 4


def problem_of(setting: Setting) -> LanguageProblem:
    model = LlamaConfig(vocab=68, width=setting.width, layers=setting.layers, heads=setting.heads, context=setting.context)
    return fitted(LanguageProblem(model, tokenizer=Characters(), batch_size=setting.batch))


def rules_of(setting: Setting, problem: LanguageProblem) -> Rule | dict[str, Rule]:
    """The rule of every tensor. Raises ValueError for a method that this file does not know."""
    lr = setting.lr
    if setting.method == "adam-mini":
        cuts = adam_mini(problem.roles, problem.shapes)
        return {name: AdamMini(lr, BETAS, weight_decay=DECAY, n_blocks=cut.count) for name, cut in cuts.items()}
    if setting.method == "rso":
        inner = WeightDecay(RSO(Adam(lr, BETAS), rank=setting.width // 4, update_gap=200, law="gaussian"), DECAY)
        plain = AdamW(lr, BETAS, weight_decay=DECAY)
        return {name: inner if role.kind in COMPRESSED else plain for name, role in problem.roles.items()}
    one_rule = {
        "adamw": AdamW(lr, BETAS, weight_decay=DECAY),
        "adalomo": AdaLomo(lr),
        "lomo": GradientDescent(lr),
        "momentum": GradientDescent(lr, momentum=0.9),
        "variance": Adam(lr, (0.0, BETAS[1])),
    }
    if setting.method not in one_rule:
        raise ValueError(f"method must be one of {sorted(GRIDS)}, got {setting.method!r}")
    return one_rule[setting.method]


def train(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Held-out loss of every seed, in nats per token, at 10, 50 and 100 % of the schedule; inf where the run diverged."""
    problem = problem_of(setting)
    marks = {round(setting.steps * share): f"loss_{round(100 * share)}" for share in (0.1, 0.5, 1.0)}
    traces = run_ensemble(
        problem,
        rules_of(setting, problem),
        steps=setting.steps,
        seeds=seeds,
        schedule=Schedule(setting.steps, warmup=setting.steps // 10, floor=0.1),
        watch=lambda k, params: {marks[k]: held_out(problem, params)} if k in marks else None,
    )
    return [{key: finite(trace.watched.get(k, {}).get(key)) for k, key in marks.items()} for trace in traces]


@torch.no_grad()
def held_out(problem: LanguageProblem, stacked: Mapping[str, Tensor]) -> Tensor:
    """(n_runs,) held-out loss of parameters that are stacked over the runs."""
    chunks = problem.held_out_batch().split(64)
    each = torch.stack([vmap(problem.loss, in_dims=(0, None))(dict(stacked), chunk).double() * len(chunk) for chunk in chunks])
    return each.sum(0) / sum(len(chunk) for chunk in chunks)


def finite(x: float | None) -> float:
    """x, or inf where a diverged run left nothing (its trace ends early) or not a number."""
    return float("inf") if x is None or x != x else float(x)


def tuned(ours: str, theirs: str, seeds: tuple[int, ...] = SEEDS) -> Tuned:
    return Tuned(
        Setting(ours),
        Setting(theirs),
        GRIDS[ours],
        GRIDS[theirs],
        TUNE_SEEDS,
        seeds,
        key="loss_100",
        also=("loss_10", "loss_50"),
    )


@dataclass(frozen=True)
class Sensitivity:
    """What the rates best * 2^k, |k| <= 3, cost on fresh seeds, for both sides of a tuned pair.

    A sample holds, for `ours` and `theirs`, the number of rates within NEARLY nats of the best of the seven (`_works`), and
    the mean over the seven of the loss above the best one, each capped at CAP nats, which is also what divergence costs
    (`_excess`).
    """

    pair: Tuned
    seeds: tuple[int, ...]
    octaves: tuple[int, ...] = (-3, -2, -1, 0, 1, 2, 3)

    def sides(self, rows: Rows) -> tuple[tuple[Setting, float | None, list], ...]:
        pair = self.pair
        sides = ((pair.ours, pair.our_lrs), (pair.theirs, pair.their_lrs))
        return tuple((setting, *pair.best_lr(rows, setting, lrs)) for setting, lrs in sides)

    def around(self, setting: Setting, best: float) -> list[Setting]:
        return [replace(setting, lr=float(f"{best * 2.0**k:.3g}")) for k in self.octaves]

    def missing(self, rows: Rows) -> tuple[Task, ...]:
        tasks = []
        for setting, best, left in self.sides(rows):
            wanted = [(s, seed) for s in self.around(setting, best) for seed in self.seeds] if best else left
            tasks += together([(s, seed) for s, seed in wanted if rows(s, seed) is None])
        return tuple(tasks)

    def samples(self, rows: Rows) -> tuple[tuple[AnySetting, tuple[Sample, ...]], ...]:
        (ours, our_best, _), (theirs, their_best, _) = self.sides(rows)
        samples = []
        for seed in self.seeds:
            our_costs = self.costs(rows, self.around(ours, our_best), seed)
            their_costs = self.costs(rows, self.around(theirs, their_best), seed)
            values = {f"ours_{key}": x for key, x in our_costs.items()} | {f"theirs_{key}": x for key, x in their_costs.items()}
            row = rows(replace(ours, lr=our_best), seed)
            samples.append(Sample(seed, values, row.code, row.date))
        return ((replace(ours, lr=our_best), tuple(samples)),)

    def costs(self, rows: Rows, settings: list[Setting], seed: int) -> dict[str, float]:
        losses = [rows(s, seed).values[self.pair.key] for s in settings]
        above = [min(loss - min(losses), CAP) if math.isfinite(loss) else CAP for loss in losses]
        return {"works": sum(x <= NEARLY for x in above), "excess": sum(above) / len(above)}


def on_text(**fields) -> Claim:
    """What all claims of this file have in common."""
    common = {
        "known": "read",
        "tier": "full",
        "measure": train,
        "subject": "text.train",
        "estimate": PairedDifference("ours", "theirs"),
        "cost_s": 300.0,
    }
    return Claim(**(common | fields))


def parity(system: str, name: str, predicted: Outcome, **fields) -> Claim:
    common = {
        "id": f"{system}.text-parity",
        "statement": f"{name} ends within {MARGIN} nats per token of AdamW on real text, both tuned",
        "kind": "parity",
        "quantity": f"held-out loss of {name} minus AdamW at the end of the schedule, nats per token",
        "plan": tuned(system, "adamw"),
        "margin": MARGIN,
        "predicted": predicted,
    }
    return on_text(**(common | fields))


ADAM_MINI = {
    "source": "Zhang et al. (2024), https://arxiv.org/abs/2406.16793, abstract: performs on par or better than AdamW",
    "known": "second-hand",
    "dossier": "adam-mini C24",
}
ADALOMO = {
    "source": "Lv et al. (2023), https://arxiv.org/abs/2310.10195, abstract: results comparable to AdamW",
    "dossier": "adalomo C8",
}
OPEN = "12 seeds leave it open after Holm's correction: {}; asked again on 64 fresh seeds as {}.64-seeds"
SENSITIVITY = {
    "source": "LOMO's users (issue 50 of its repository) and a public log: too small or diverged over a factor of 100",
    "known": "second-hand",
    "dossier": "lomo C7, section 9",
    "kind": "ordering",
    "plan": Sensitivity(tuned("lomo", "adamw"), SEEDS[:6]),
    "predicted": Outcome.HOLDS,
}

CLAIMS = (
    parity(
        "adam-mini",
        "Adam-mini",
        Outcome.HOLDS,
        **ADAM_MINI,
        found=Found(Outcome.INCONCLUSIVE, "2026-11-22", OPEN.format("+0.013 nats", "adam-mini.text-parity")),
    ),
    parity(
        "adam-mini",
        "Adam-mini",
        Outcome.HOLDS,
        **ADAM_MINI,
        id="adam-mini.text-parity.64-seeds",
        plan=tuned("adam-mini", "adamw", MORE_SEEDS),
        found=Found(
            Outcome.INCONCLUSIVE,
            "2026-11-22",
            "worse by +0.022 nats on 64 fresh seeds, [0.019, 0.025]: clearly not equal, and the margin lies inside the interval",
        ),
    ),
    parity(
        "adalomo",
        "AdaLomo",
        Outcome.HOLDS,
        **ADALOMO,
        found=Found(Outcome.INCONCLUSIVE, "2026-11-22", OPEN.format("-0.028 nats, the better side", "adalomo.text-parity")),
    ),
    parity(
        "adalomo",
        "AdaLomo",
        Outcome.VIOLATED,  # on the better side, as the first 12 seeds suggest
        **ADALOMO,
        id="adalomo.text-parity.64-seeds",
        plan=tuned("adalomo", "adamw", MORE_SEEDS),
    ),
    on_text(
        id="adalomo.better-than-adamw.text",
        statement="AdaLomo ends below AdamW on real text, both tuned",
        source="suggested by the first 12 seeds of adalomo.text-parity; sharpens the abstract's `comparable`",
        known="derived",
        dossier="adalomo C8",
        kind="ordering",
        quantity="held-out loss of AdaLomo minus AdamW at the end of the schedule, nats per token",
        plan=tuned("adalomo", "adamw", MORE_SEEDS),
        predicted=Outcome.HOLDS,
    ),
    parity(
        "rso",
        "RSO",
        Outcome.VIOLATED,
        source="Chen et al. (2025), https://arxiv.org/abs/2502.07222, abstract: performance comparable to GaLore and Adam",
        dossier="rso C24",
    ),
    on_text(
        id="adalomo.second-moment-over-momentum.text",
        statement="The second moment alone trains better than momentum alone on real text",
        source="Lv et al. (2023), https://arxiv.org/abs/2310.10195, section 2.2 and abstract",
        known="second-hand",
        dossier="adalomo C7b",
        kind="ordering",
        quantity="held-out loss of SGD with variance minus SGD with momentum, nats per token",
        plan=tuned("variance", "momentum"),
        predicted=Outcome.HOLDS,
    ),
    on_text(
        id="adalomo.better-than-lomo.text",
        statement="AdaLomo ends below LOMO on real text, both tuned",
        source="Lv et al. (2023), https://arxiv.org/abs/2310.10195, abstract",
        dossier="adalomo C12",
        kind="ordering",
        quantity="held-out loss of AdaLomo minus LOMO, nats per token",
        plan=tuned("adalomo", "lomo"),
        predicted=Outcome.HOLDS,
    ),
    on_text(
        **SENSITIVITY,
        id="lomo.lr-sensitivity",
        statement="LOMO works over a narrower range of learning rates than AdamW",
        quantity="number of learning rates best * 2^k, |k| <= 3, within 0.1 nats of the best: LOMO minus AdamW",
        estimate=PairedDifference("ours_works", "theirs_works"),
        found=Found(
            Outcome.INCONCLUSIVE,
            "2026-11-22",
            "one rate fewer on average, but a count of seven rates on 6 seeds is too coarse; lomo.lr-excess decides it",
        ),
    ),
    on_text(
        **SENSITIVITY,
        id="lomo.lr-excess",
        statement="A learning rate that is off by up to a factor of 8 costs LOMO more than AdamW",
        quantity="mean loss above the best over best * 2^k, |k| <= 3, capped at 1 nat: AdamW minus LOMO, nats per token",
        estimate=PairedDifference("theirs_excess", "ours_excess"),
    ),
)


def recipe(setting: Setting) -> dict[str, object]:
    """What a settings card needs to repeat the run of a setting."""
    problem = problem_of(setting)
    schedule = Schedule(setting.steps, warmup=setting.steps // 10, floor=0.1)
    return {"problem": problem, "rules": rules_of(setting, problem), "steps": setting.steps, "schedule": schedule}


CARDS = (  # (name, claims that must hold, recipe of the judged setting and of the values of a sample)
    ("adam-mini", ("adam-mini.text-parity.64-seeds",), lambda setting, values: recipe(setting)),
    ("adalomo", ("adalomo.better-than-adamw.text", "adalomo.better-than-lomo.text"), lambda setting, values: recipe(setting)),
    (
        "adamw",
        ("adam-mini.text-parity.64-seeds",),
        lambda setting, values: recipe(replace(setting, method="adamw", lr=values["their_lr"])),
    ),
)
