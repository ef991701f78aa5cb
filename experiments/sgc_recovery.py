"""Question: when does orthogonal matching pursuit recover what SGC measures, and is the theorem about it of any use there?

Claims: every s-sparse vector below the coherence 1/(2s-1), none at it; SGC's own matrices are far above, because the condition
        needs of the order s^2 measurements; 2 s log(d/s) Gaussian ones recover entries of many sizes all the same
Proof:  proofs/proof_sgc_recovery.py
Cost:   about 1 s on one core
Run:    sandbox check sgc.recovery.threshold sgc.recovery sgc.recovery.gaussian sgc.measured-energy

A family for the threshold: 2 s columns with equal inner products -c; at c = 1/(2s-1) they are the corners of a simplex. The least c at
which the sum of s columns is not recovered is found by bisection, to 1e-9: the theorem's number from below, a counterexample from above.

Matrices below the threshold: the identity leaning towards a random frame, until the coherence is 99 % of it (k = d = 24).
Broken assumption: SGC's A (Gaussian, unit columns, k = 2 s log(d/s)) has a coherence far above 1/(2s-1), so it is out of scope; a claim
says what it recovers: 95 % of vectors with normal entries (dossier C1), and not 95 % of those of one magnitude.
Measured energy: Var |A x|^2 = (2/k)(1 - kappa)|x|^4, proofs/proof_sgc_measurements.py, for made x and the largest entries of a network's
gradient.

Written and committed before the first run of these settings. The share for one magnitude was known from its tests (40 to 80 %).
"""

import math
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
from sandbox.optimizers.orthogonal_matching_pursuit import recover
from sandbox.optimizers.sgc import largest, unit_columns
from sandbox.oracles.backprop import Backprop
from sandbox.theory import sparse_recovery
from sandbox.verdict import Outcome

VECTORS, STREAM = 64, 0x73  # sparse vectors per matrix; last part of the key of a draw of this file
FIXED = 5  # seed of the network
TROPP = "Tropp (2004), IEEE Trans. Inf. Theory 50(10), Theorem 3.5 (recalled); proved again"
LOST = "share of the sparse vectors that are not recovered"


@dataclass(frozen=True)
class Family:
    """2 s columns of equal inner products."""

    sparsity: int


@dataclass(frozen=True)
class Matrix:
    """entries: law of the s entries that are not 0."""

    kind: Literal["leaning", "gaussian"]
    sparsity: int
    entries: Literal["normal", "one magnitude"] = "normal"
    columns: int = 24

    @property
    def measurements(self) -> int:
        s, d = self.sparsity, self.columns
        return d if self.kind == "leaning" else math.ceil(2 * s * math.log(d / s))


@dataclass(frozen=True)
class Measured:
    measurements: int
    vector: Literal["normal", "equal", "network"]


def coherence(A: Tensor) -> float:
    return float((A.T @ A - torch.eye(A.shape[1])).abs().max())


def columns_with(gram: Tensor) -> Tensor:
    """A with A^T A = gram, square."""
    values, vectors = torch.linalg.eigh(gram)
    return values.clamp(min=0).sqrt().unsqueeze(1) * vectors.T


def is_recovered(A: Tensor, x: Tensor, s: int) -> Tensor:
    """(...): whether pursuit returns x from A x, to 1e-6 of its length."""
    return (recover(A, x @ A.T, s) - x).norm(dim=-1) < 1e-6 * x.norm(dim=-1)


def threshold(setting: Family, seed: int) -> dict[str, float]:
    """The least inner product at which the sum of the first s or of the last s columns is lost."""
    s, d = setting.sparsity, 2 * setting.sparsity
    x = torch.zeros(2, d, dtype=torch.float64)
    x[0, :s], x[1, s:] = 1.0, 1.0

    def lost(c: float) -> bool:
        gram = (1 + c) * torch.eye(d, dtype=torch.float64) - c
        return not bool(is_recovered(columns_with(gram), x, s).all())

    low, high = 0.0, 1.0 / (d - 1)
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if lost(middle) else (middle, high)
    return {"threshold": high, "lost_at_simplex": float(lost(1.0 / (d - 1)))}


def matrix_of(setting: Matrix, seed: int) -> Tensor:
    k, d = setting.measurements, setting.columns
    draw = normal((k, d), generator(seed, STREAM))
    if setting.kind == "gaussian":
        return unit_columns(draw)
    limit, low, high = 0.99 * sparse_recovery.coherence_threshold.at(s=setting.sparsity), 0.0, 1.0
    for _ in range(40):
        lean = (low + high) / 2
        A = unit_columns((1 - lean) * torch.eye(k, d, dtype=torch.float64) + lean * draw)
        low, high = (lean, high) if coherence(A) < limit else (low, lean)
    return unit_columns((1 - low) * torch.eye(k, d, dtype=torch.float64) + low * draw)


def try_matrix(setting: Matrix, seed: int) -> dict[str, float]:
    A, s = matrix_of(setting, seed), setting.sparsity
    rng = generator(seed, 1, STREAM)
    x = largest(normal((VECTORS, setting.columns), rng), s)  # a random support
    values = normal(tuple(x.shape), rng)
    x = torch.where(x != 0, values.sign() if setting.entries == "one magnitude" else values, 0.0)
    lost = 1 - float(is_recovered(A, x, s).double().mean())
    return {"lost": lost, "recovered": 1 - lost, "coherence": coherence(A)}


@lru_cache(maxsize=4)
def vector_of(setting: Measured) -> Tensor:
    """(d,), of length 1: 32 normal or equal entries, or the 32 largest of a row of a network's gradient."""
    x = torch.ones(32, dtype=torch.float64)
    if setting.vector == "normal":
        x = normal((32,), generator(FIXED, STREAM))
    if setting.vector == "network":
        problem = fitted(LanguageProblem(GPTConfig(1, layers=1), tokenizer=Characters(), batch_size=8))
        _, grads = Backprop()(problem, problem.start(FIXED), problem.batch(FIXED, 0), None)
        x = largest(grads["blocks.0.ffn.up.weight"].double().flatten(), 32)
        x = x[x != 0]
    return x / x.norm()


def measured_energy(setting: Measured, seed: int) -> dict[str, float]:
    """Mean over 64 matrices of (|A x|^2 - 1)^2; columns where x is 0 play no part."""
    x = vector_of(setting)
    draws = normal((64, setting.measurements, len(x)), generator(seed, STREAM))
    A = draws / draws.square().sum(1, keepdim=True).sqrt()
    return {"spread": float(((A @ x).square().sum(-1) - 1).square().mean())}


def incoherent(setting: Matrix) -> str | None:
    if setting.kind == "gaussian":
        return "its coherence is above 1 / (2 s - 1): that takes more than d (2 s - 1)^2 / (d - 1 + (2 s - 1)^2) measurements"
    return None


GAUSSIAN = tuple(Matrix("gaussian", s, columns=400) for s in (5, 10))
SEEDS = tuple(range(16))


def on_matrices(**fields) -> Claim:
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "sgc C1",
        "kind": "equality",
        "tier": "quick",
        "cost_s": 0.2,
        "quantity": LOST,
        "plan": Grid(GAUSSIAN, SEEDS),
        "measure": per_seed(try_matrix),
        "estimate": Mean("recovered"),
        "predicted": Outcome.HOLDS,
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_matrices(
        id="sgc.recovery.threshold",
        statement="matching pursuit begins to fail at the coherence 1/(2s-1), on the corners of a simplex, and not before",
        source=TROPP,
        kind="upper",
        quantity=sparse_recovery.coherence_threshold.quantity,
        plan=Grid(tuple(Family(s) for s in (1, 2, 3, 5)), (0,)),
        measure=per_seed(threshold),
        estimate=Range("threshold"),
        bound=sparse_recovery.coherence_threshold,
        constants=lambda setting: {"s": setting.sparsity},
        predicted=Outcome.ATTAINED,
        tau=1e-6,  # the bisection stops at 1e-9; rounding of the Gram matrix decides ties within 1e-12
    ),
    on_matrices(
        id="sgc.recovery",
        theorems=("sgc_recovery",),
        statement="below the coherence 1/(2s-1) every s-sparse vector is recovered",
        source=TROPP,
        plan=Grid((Matrix("leaning", 2), Matrix("leaning", 4), Matrix("leaning", 4, "one magnitude"), *GAUSSIAN), SEEDS),
        estimate=Range("lost"),
        limit=0.0,
        scope=incoherent,
    ),
    on_matrices(
        id="sgc.recovery.gaussian",
        theorems=("sgc_recovery",),
        statement="far above it, 2 s log(d/s) Gaussian measurements recover 95 % of the vectors with normal entries",
        kind="lower",
        quantity="share of the sparse vectors that are recovered",
        limit=0.95,
        tau=0.01,
    ),
    on_matrices(
        id="sgc.recovery.one-magnitude",
        theorems=("sgc_recovery",),
        statement="and 95 % of those with entries of one magnitude, as a step of Adam has",
        source="the rule of thumb of dossier C1, taken for a step of Adam; to be tested",
        kind="lower",
        quantity="share of the sparse vectors that are recovered",
        plan=Grid(tuple(Matrix("gaussian", s, "one magnitude", 400) for s in (5, 10)), SEEDS),
        predicted=Outcome.VIOLATED,
        limit=0.95,
        tau=0.01,
    ),
    on_matrices(
        id="sgc.recovery.coherence",
        statement="the coherence of its matrix is at least sqrt((d - k) / (k (d - 1))), as of every matrix",
        source="Welch (1974), IEEE Trans. Inf. Theory 20(3) (recalled); proved again",
        kind="lower",
        quantity=sparse_recovery.COHERENCE,
        estimate=Range("coherence"),
        bound=sparse_recovery.least_coherence,
        constants=lambda setting: {"d": setting.columns, "k": setting.measurements},
        tau=1e-9,
        subject="sgc.recovery.gaussian",
    ),
    on_matrices(
        id="sgc.measured-energy",
        statement="|A x|^2 spreads by (2/k)(1 - kappa)|x|^4, by nothing but the number of measurements and the spread of x",
        dossier="sgc C4",
        quantity=sparse_recovery.energy_spread.quantity,
        plan=Grid((Measured(8, "normal"), Measured(32, "equal"), Measured(16, "network")), tuple(range(64))),
        measure=per_seed(measured_energy),
        estimate=Mean("spread"),
        bound=sparse_recovery.energy_spread,
        constants=lambda setting: {"k": setting.measurements, "kappa": float(vector_of(setting).pow(4).sum())},
        tau=0.15,  # 4096 matrices, a fourth moment: 2.5 to 3 %
    ),
)
