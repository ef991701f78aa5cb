"""Question: is a Haar projection of the tail of a gradient the unbiased compression to rank r with the least variance, as PRAC says?

Claims: only where the tail is flat; in general the least variance is T^2/k - E (T, E the sums of s_i and s_i^2 over the tail, k = rank
        left for it), attained by drawing singular directions with probabilities proportional to s_i
Proof:  proofs/proof_projection_minimum_variance.py
Cost:   below 1 s on one core
Run:    sandbox check projection.variance.prac projection.variance.sampled projection.variance.prac-minimal

A gradient with singular values s (or one of a tiny transformer, 32 columns, rank 8): the r1 leading parts are kept, r1 the least
number with s_r1 >= T/k; PRAC replaces the tail by (N/k) times its projection on k uniformly random directions of the N that are left;
the sampled one keeps part i with the probability s_i k / T, by systematic sampling, at the size T/k.
Broken assumption: truncation to rank r is not unbiased, so out of scope; it errs by the sum of s_i^2 over i > r, which is less.

PRAC (https://arxiv.org/abs/2602.23111, Theorems 6, 7, read) states its minimum under a condition on the spectrum; here it is asked
without, for a real spectrum. Written and committed before the first run of these settings, except for trials on other seeds of the
variances of both estimators.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Mean, Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.projection import orthonormal, singular
from sandbox.oracles.backprop import Backprop
from sandbox.theory import projections
from sandbox.verdict import Outcome

DRAWS, STREAM, FIXED = 128, 0x79, 5  # draws per seed; last part of the key of a draw of this file; seed of the network
PRAC = "PRAC (2026), https://arxiv.org/abs/2602.23111, Theorems 6 and 7 (read), without its condition on the spectrum"


@dataclass(frozen=True)
class Compression:
    """spectrum: "flat" = two large and ten equal singular values.  method: of the tail."""

    method: Literal["prac", "sampled", "truncated"]
    spectrum: Literal["flat", "network"]
    rank: int = 8


@lru_cache(maxsize=4)
def spectrum_of(kind: str) -> Tensor:
    """Singular values, over the root of the sum of their squares."""
    s = torch.tensor([6.0, 5.0] + [1.0] * 10, dtype=torch.float64)
    if kind == "network":
        problem = fitted(LanguageProblem(GPTConfig(1, layers=1), tokenizer=Characters(), batch_size=8))
        _, grads = Backprop()(problem, problem.start(FIXED), problem.batch(FIXED, 0), None)
        s = singular(grads["blocks.0.ffn.up.weight"].double())[1]
    return s / s.norm()


def head_and_tail(setting: Compression) -> tuple[Tensor, Tensor]:
    """The r1 leading singular values and the others, r1 the least number with s_(r1+1) <= T/k."""
    s, r = spectrum_of(setting.spectrum), setting.rank
    r1 = next(i for i in range(r) if float(s[i]) * (r - i) <= float(s[i:].sum()))
    return s[:r1], s[r1:]


def prac_error(tail: Tensor, k: int, draw: Tensor) -> Tensor:
    """|(N/k) diag(tail) Q Q^T - diag(tail)|^2, Q (N, k)."""
    Q = orthonormal(draw)
    return (len(tail) / k * tail.unsqueeze(1) * (Q @ Q.T) - tail.diag()).square().sum()


def sampled_error(tail: Tensor, k: int, u: Tensor) -> Tensor:
    """Part i is kept where a point of u + {0, 1, ...} falls among its probabilities s_i k / T."""
    ends = torch.cat([torch.zeros(1, dtype=torch.float64), (tail * k / tail.sum()).cumsum(0)])
    kept = (ends[1:] - u).ceil() > (ends[:-1] - u).ceil()
    return torch.where(kept, tail.sum() / k - tail, tail).square().sum()


def compress(setting: Compression, seed: int) -> dict[str, float]:
    """Squared error of rank r, averaged over the draws, over |G|^2."""
    head, tail = head_and_tail(setting)
    k, rng = setting.rank - len(head), generator(seed, STREAM)
    if setting.method == "truncated":
        return {"error": float(tail[k:].square().sum())}
    if setting.method == "sampled":
        return {
            "error": float(torch.stack([sampled_error(tail, k, u) for u in torch.rand(DRAWS, generator=rng, dtype=torch.float64)]).mean())
        }
    return {"error": float(torch.stack([prac_error(tail, k, draw) for draw in normal((DRAWS, len(tail), k), rng)]).mean())}


def least_constants(setting: Compression) -> dict[str, float]:
    head, tail = head_and_tail(setting)
    sums = {"tail_sum": float(tail.sum()), "tail_energy": float(tail.square().sum())}
    least = float(head[-1]) if len(head) else float("inf")
    return {**sums, "rank_left": setting.rank - len(head), "head_least": least, "tail_most": float(tail[0])}


def prac_constants(setting: Compression) -> dict[str, float]:
    head, tail = head_and_tail(setting)
    return {"tail": len(tail), "rank_left": setting.rank - len(head), "tail_energy": float(tail.square().sum())}


def biased(setting: Compression) -> str | None:
    return "truncation is not unbiased" if setting.method == "truncated" else None


SEEDS = tuple(range(16))
TRUNCATED = Compression("truncated", "network")


def on_variance(**fields) -> Claim:
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "rso C10",
        "kind": "equality",
        "tier": "quick",
        "cost_s": 0.2,
        "quantity": projections.VARIANCE,
        "measure": per_seed(compress),
        "estimate": Mean("error"),
        "bound": projections.minimum_variance,
        "constants": least_constants,
        "predicted": Outcome.HOLDS,
        "tau": 0.05,
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_variance(
        id="projection.variance.prac",
        statement="a scaled Haar projection of the tail errs by (N/k - 1) times its energy",
        source=PRAC,
        known="read",
        plan=Grid((Compression("prac", "flat"), Compression("prac", "network")), SEEDS),
        bound=projections.prac_variance,
        constants=prac_constants,
    ),
    on_variance(
        id="projection.variance.sampled",
        statement="singular directions drawn in proportion to their size err by T^2/k - E, the least of all unbiased matrices of rank r",
        kind="lower",
        plan=Grid((Compression("sampled", "flat"), Compression("sampled", "network"), TRUNCATED), SEEDS),
        scope=biased,
        predicted=Outcome.ATTAINED,
    ),
    on_variance(
        id="projection.variance.prac-minimal",
        statement="a scaled Haar projection of the tail of a network's gradient has the least variance of all unbiased ones of its rank",
        source=PRAC,
        known="read",
        kind="upper",
        plan=Grid((Compression("prac", "network"),), SEEDS),
        predicted=Outcome.VIOLATED,
        subject="projection.variance.prac",
    ),
    on_variance(
        id="projection.variance.flat-tail",
        statement="where the tail is flat it has",
        kind="upper",
        plan=Grid((Compression("prac", "flat"),), SEEDS),
        predicted=Outcome.ATTAINED,
        subject="projection.variance.prac",
    ),
    on_variance(
        id="projection.variance.truncated",
        theorems=("projection_minimum_variance",),
        statement="truncation, which is biased, errs less than half of the least unbiased variance",
        kind="upper",
        plan=Grid((TRUNCATED,), (0, 1, 2)),
        estimate=Range("error"),
        bound=None,
        constants=None,
        limit=lambda setting: projections.minimum_variance.at(**least_constants(setting)) / 2,
        tau=0.01,
    ),
)
