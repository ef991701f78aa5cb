"""Question: what do coordinates drawn with and without replacement, and coordinates chosen by the gradient, do to a gradient?

Claims: E|P^T g|^4 for all subsets and for all sequences is what the theorem says; columns that may repeat err by (m-1)/r and not m/r - 1;
        the r largest entries of g at the scale m/r err by at least m/r - 1, so a choice by size and the scale of chance do not go together
Proof:  proofs/proof_projection_coordinates.py
Cost:   below 1 s on one core
Run:    sandbox check projection.coordinates.distinct projection.coordinates.repeated projection.coordinates.chosen

P = sqrt(m/r) times r columns of the identity, every choice listed, so nothing is sampled. Distinct columns are those of `basis` in
sandbox/optimizers/rso.py, from draws that put the chosen rows first.

Broken assumptions, out of the theorem's scope, each with a claim that says what happens instead:
  distinct columns     with replacement the error is (m-1)/r, more by (r-1)/r
  P independent of g   the r largest entries hold c >= r/m of the energy, so the error (m/r - 1)^2 c + 1 - c is at least m/r - 1, with
                       equality for entries of one magnitude; without the scale it is 1 - c

Written and committed before the first run of these settings. The real gradient: a row of a feed-forward matrix of a tiny GPT at its start.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.rso import basis
from sandbox.oracles.backprop import Backprop
from sandbox.theory import projections
from sandbox.verdict import Outcome

STREAM, FIXED = 0x7C, 5  # last part of the key of a draw of this file; seed of the network


@dataclass(frozen=True)
class Columns:
    """chosen: all subsets, all sequences, or the subset of the largest entries of the gradient."""

    chosen: Literal["distinct", "repeated", "largest"]
    rows: int
    rank: int
    gradient: Literal["normal", "one entry", "equal", "network"] = "normal"


@lru_cache(maxsize=8)
def gradient_of(kind: str, m: int) -> Tensor:
    """(m,), of length 1."""
    if kind == "network":
        problem = fitted(LanguageProblem(GPTConfig(1, width=16, layers=1), tokenizer=Characters(), batch_size=8))
        _, grads = Backprop()(problem, problem.start(FIXED), problem.batch(FIXED, 0), None)
        g = grads["blocks.0.ffn.up.weight"][0, :m].double()
    else:
        one = torch.eye(m, dtype=torch.float64)[0]
        g = {"one entry": one, "equal": torch.ones_like(one), "normal": normal((m,), generator(m, STREAM))}[kind]
    return g / g.norm()


def choices(setting: Columns) -> list[tuple[int, ...]]:
    m, r = setting.rows, setting.rank
    if setting.chosen == "largest":
        return [tuple(gradient_of(setting.gradient, m).abs().topk(r).indices.tolist())]
    return list(combinations(range(m), r)) if setting.chosen == "distinct" else list(product(range(m), repeat=r))


def matrix(setting: Columns, chosen: tuple[int, ...]) -> Tensor:
    """P (m, r) of one choice."""
    m, r = setting.rows, setting.rank
    if setting.chosen == "repeated":
        return (m / r) ** 0.5 * torch.eye(m, dtype=torch.float64)[:, list(chosen)]
    draw = torch.ones(m, r, dtype=torch.float64)
    draw[list(chosen)] = -1.0
    return basis(draw, "coordinate")


def moments(setting: Columns, seed: int) -> dict[str, float]:
    """Means over all choices, which are equally likely."""
    g = gradient_of(setting.gradient, setting.rows)
    P = torch.stack([matrix(setting, chosen) for chosen in choices(setting)])
    coefficients = P.mT @ g
    lifted = (P @ coefficients.unsqueeze(-1)).squeeze(-1)
    return {
        "error": float((lifted - g).square().sum(-1).mean()),
        "fourth": float(coefficients.square().sum(-1).square().mean()),
    }


def sizes(setting: Columns) -> dict[str, float]:
    return {"m": setting.rows, "r": setting.rank}


def spread_sizes(setting: Columns) -> dict[str, float]:
    return {**sizes(setting), "kappa": float(gradient_of(setting.gradient, setting.rows).pow(4).sum())}


def dependent(setting: Columns) -> str | None:
    return "P depends on the gradient" if setting.chosen == "largest" else None


def repeating(setting: Columns) -> str | None:
    return "columns may repeat" if setting.chosen == "repeated" else dependent(setting)


SUBSETS = (Columns("distinct", 7, 3), Columns("distinct", 6, 2, "one entry"), Columns("distinct", 12, 4, "network"))
SEQUENCES = (Columns("repeated", 5, 3), Columns("repeated", 3, 5, "equal"), Columns("repeated", 12, 3, "network"))
LARGEST = (Columns("largest", 16, 4, "network"), Columns("largest", 64, 16))
REPEATED = Columns("repeated", 6, 3)


def on_columns(**fields) -> Claim:
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "rso C8",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 0.1,
        "measure": per_seed(moments),
        "constants": spread_sizes,
        "tau": 1e-9,  # roundings: nothing is sampled
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_columns(
        id="projection.coordinates.distinct",
        statement="over all subsets E|P^T g|^4 is m(r-1)/(r(m-1)) + m(m-r)/(r(m-1)) kappa: it matters where g sits",
        quantity=projections.FOURTH,
        plan=Grid(SUBSETS, (0,)),
        estimate=Range("fourth"),
        bound=projections.fourth_coordinate,
        predicted=Outcome.ATTAINED,
    ),
    on_columns(
        id="projection.coordinates.repeated",
        statement="over all sequences it is (r-1)/r + (m/r) kappa",
        quantity=projections.FOURTH,
        plan=Grid(SEQUENCES, (0,)),
        estimate=Range("fourth"),
        bound=projections.fourth_replacement,
        predicted=Outcome.ATTAINED,
    ),
    on_columns(
        id="projection.coordinates.repeated.error",
        statement="columns that may repeat err by (m-1)/r",
        quantity=projections.ERROR,
        plan=Grid((*SEQUENCES, REPEATED), (0,)),
        estimate=Range("error"),
        bound=projections.error_replacement,
        constants=sizes,
        predicted=Outcome.ATTAINED,
    ),
    on_columns(
        id="projection.coordinates.repeated.as-distinct",
        theorems=("projection_coordinates",),
        statement="and by no more than distinct ones, m/r - 1",
        source="an assumption left out, to be tested",
        quantity=projections.ERROR,
        plan=Grid((REPEATED,), (0,)),
        estimate=Range("error"),
        bound=projections.error_orthogonal,
        constants=sizes,
        predicted=Outcome.VIOLATED,
        subject="projection.coordinates.repeated.error",
    ),
    on_columns(
        id="projection.coordinates.error",
        statement="distinct columns that know nothing of the gradient err by m/r - 1",
        quantity=projections.ERROR,
        plan=Grid((*SUBSETS, REPEATED, *LARGEST), (0,)),
        estimate=Range("error"),
        bound=projections.error_orthogonal,
        constants=sizes,
        scope=repeating,
        predicted=Outcome.ATTAINED,
    ),
    on_columns(
        id="projection.coordinates.chosen",
        theorems=("projection_coordinates",),
        statement="at the scale m/r the largest entries err by at least m/r - 1, which is reached by entries of one magnitude",
        kind="lower",
        quantity=projections.ERROR,
        plan=Grid((*LARGEST, Columns("largest", 16, 4, "equal")), (0,)),
        estimate=Range("error"),
        bound=projections.error_orthogonal,
        constants=sizes,
        predicted=Outcome.HOLDS,
    ),
    on_columns(
        id="projection.coordinates.chosen.as-random",
        theorems=("projection_coordinates",),
        statement="and by no more than columns drawn at random",
        source="an assumption left out, to be tested",
        quantity=projections.ERROR,
        plan=Grid(LARGEST, (0,)),
        estimate=Range("error"),
        bound=projections.error_orthogonal,
        constants=sizes,
        predicted=Outcome.VIOLATED,
        subject="projection.coordinates.chosen",
    ),
)
