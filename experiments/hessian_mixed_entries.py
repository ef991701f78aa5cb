"""Question: do weights that the Hessian couples strongly have second moments of one size?

c_ij = |H_ij| / sqrt(|H_ii H_jj|), gap_ij = |log(v_i / v_j)|, v = mean squared gradient over fresh batches; pairs inside one matrix.

Claims: hessian.mixed-entries        the rank correlation of c and gap is negative in the mean over matrices
        hessian.mixed-entries.top    among the 1 % of pairs with the largest c the median gap is at most log 2
        hessian.mixed-entries.weak   ... at most half of that over all pairs
        hessian.mixed-entries.enough a strong coupling is needed: pairs with a gap below 0.1 have a median c of at least 0.5: no
Proof:  none; for a rank-one Hessian g is along its vector and the claim turns into one about the vector's entries
Cost:   full tier, 40 s on one CPU core
Run:    sandbox check hessian.mixed-entries --tier full

GPT-like, one layer, width 16, feed-forward 32, 16 tokens, on a Markov chain of order 2; 300 steps of Adam at 3e-3; exact Hessian of
each attention and feed-forward matrix in float32 on 320 tokens, v over 64 batches of 256 tokens; 6 seeds. Gefen infers blocks
from the first squared gradients because "large mixed entries force the ratio of squared gradients to one".

The predictions were committed before the first run of this file.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.stats import spearmanr

from sandbox.curvature.hessian import dense_hessian
from sandbox.fit import Mean, PairedDifference
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.models.gpt import GPTConfig
from sandbox.models.markov import MarkovProblem
from sandbox.optimizers.adam import Adam
from sandbox.problems.base import Params
from sandbox.run import run
from sandbox.verdict import Outcome

MATRICES = ("query", "key", "value", "attention_out", "ffn_in", "ffn_out")


@dataclass(frozen=True)
class Setting:
    vocab: int = 16
    width: int = 16
    ffn: int = 32
    steps: int = 300
    lr: float = 3e-3
    tokens: int = 320
    batches: int = 64


def problem_of(setting: Setting) -> MarkovProblem:
    model = GPTConfig(setting.vocab, width=setting.width, layers=1, heads=4, context=16, tied=False, ffn=setting.ffn)
    return MarkovProblem(model, batch_size=16)


def second_moments(problem: MarkovProblem, params: Params, batches: list[torch.Tensor]) -> dict[str, np.ndarray]:
    """(numel,) per tensor: the mean over batches of the squared gradient."""
    slope = torch.func.grad(lambda w, batch: problem.loss(w, batch))
    squares = [{name: g.square().double() for name, g in slope(dict(params), batch).items()} for batch in batches]
    return {name: torch.stack([one[name] for one in squares]).mean(0).reshape(-1).numpy() for name in params}


def pairs(H: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """c and gap of all pairs i < j."""
    H, size = np.asarray(H, dtype=np.float64), np.sqrt(np.abs(np.diag(H)).astype(np.float64))
    i, j = np.triu_indices(len(H), 1)
    return np.abs(H[i, j]) / (size[i] * size[j]), np.abs(np.log(v[i]) - np.log(v[j]))


def of_matrix(c: np.ndarray, gap: np.ndarray) -> dict[str, float]:
    top, level = c >= np.quantile(c, 0.99), gap < 0.1
    return {
        "correlation": float(spearmanr(c, gap).statistic),
        "top": float(np.median(gap[top])),
        "half": float(np.median(gap)) / 2,
        "level": float(np.median(c[level])),
    }


def values(setting: Setting, seed: int) -> dict[str, float]:
    """Means over the matrices."""
    problem = problem_of(setting)
    final = run(problem, Adam(setting.lr), steps=setting.steps, seed=seed).final
    params = {name: torch.from_numpy(w).float() for name, w in final.items()}
    fresh = [problem.batch(seed, setting.steps + 1 + k) for k in range(setting.batches)]
    v = second_moments(problem, params, fresh)
    batch = replace(problem, batch_size=setting.tokens // 16).batch(seed, setting.steps)
    rows = []
    for name, role in problem.roles.items():
        if role.kind in MATRICES:
            H = dense_hessian(problem, params, batch, names=(name,), dtype=torch.float32).matrix
            rows.append(of_matrix(*pairs(H, v[name])))
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}


COMMON = dict(
    source="Gefen (arXiv:2606.13894), its argument for reading blocks off squared gradients",
    known="second-hand",
    dossier="adam-mini C23",
    tier="full",
    cost_s=40.0,
    plan=Grid((Setting(),), seeds=tuple(range(6))),
    measure=per_seed(values),
    subject="hessian.mixed-entries",
)
CLAIMS = (
    Claim(
        id="hessian.mixed-entries",
        statement="The stronger two weights of a matrix are coupled, the closer are their second moments.",
        kind="ordering",
        quantity="rank correlation of c_ij and |log(v_i / v_j)|, mean over matrices",
        estimate=Mean("correlation"),
        predicted=Outcome.HOLDS,
        **COMMON,
    ),
    Claim(
        id="hessian.mixed-entries.top",
        statement="The second moments of the most strongly coupled pairs differ by less than a factor of 2.",
        kind="upper",
        quantity="median |log(v_i / v_j)| among the 1 % of pairs with the largest c_ij, mean over matrices",
        estimate=Mean("top"),
        limit=float(np.log(2)),
        predicted=Outcome.VIOLATED,
        found=Found(Outcome.HOLDS, "2026-11-22", "a factor of 1.66; but the median over all pairs is not much larger, see `.weak`"),
        **COMMON,
    ),
    Claim(
        id="hessian.mixed-entries.weak",
        statement="... and by less than half of what they differ by among all pairs.",
        kind="ordering",
        quantity="median gap of the strongest 1 % minus half of the median gap of all pairs",
        estimate=PairedDifference("top", "half"),
        predicted=Outcome.VIOLATED,
        **COMMON,
    ),
    Claim(
        id="hessian.mixed-entries.enough",
        statement="Second moments of one size tell of a coupling: among pairs that differ by less than 10 % it is at least 0.5.",
        kind="lower",
        quantity="median c_ij among pairs with |log(v_i / v_j)| below 0.1, mean over matrices",
        estimate=Mean("level"),
        limit=0.5,
        predicted=Outcome.VIOLATED,
        **COMMON,
    ),
)
