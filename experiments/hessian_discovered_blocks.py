"""Question: where are value, attention output and feed-forward best cut, if an algorithm without knowledge of neurons decides?

`sandbox.curvature.discover.discover_cut` cuts a tensor by groups of rows or of columns, or by each of them, from products with the
Hessian alone. Adam-mini cuts these four by output neuron, that is by row.

    excess      (mass - null) / (1 - null) by the exact Hessian, as in `adam_mini_hessian_blocks`; "rows": of each row by itself
    agreement   adjusted Rand index of the blocks found with heads, rows of value and columns of attention output: 1 the same blocks,
                0 as alike as chance or none found
    turned      the same Hessian in a random orthonormal basis: the same eigenvalues, and no blocks

Claims: hessian.discovered-blocks.rows     the discovered cut has more excess than rows, mean of the four tensors
        hessian.discovered-blocks.columns  ... and more than columns
        hessian.discovered-blocks.heads    value and attention output are cut by head: agreement >= 0.8; no
        hessian.discovered-blocks.turned   in at most 1 of 10 turned tensors any blocks are found
Proof:  none
Cost:   60 s on one CPU core
Run:    sandbox check hessian.discovered-blocks.rows --tier full

GPT-like, width 16, 4 heads, one layer, feed-forward 32, characters of the real text; 300 steps of Adam at 3e-3; Hessian in float64 on
320 fresh tokens. Seeds are weights, data, Hessian batch and probes together. The discovered cut is the best one that the search has, also
where it is not called found.

The predictions were committed before the first run, and before the algorithm met any of these four tensors.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse.linalg import aslinearoperator

from sandbox.curvature.block_mass import measure
from sandbox.curvature.discover import Judge, discover_cut
from sandbox.curvature.hessian import dense_hessian
from sandbox.curvature.planted import agreement, turned
from sandbox.fit import Mean, PairedDifference
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adam import Adam
from sandbox.run import run
from sandbox.verdict import Outcome

HEADS = 4
HEAD_AXIS = {"value": 0, "attention_out": 1}
KINDS = ("value", "attention_out", "ffn_in", "ffn_out")


@dataclass(frozen=True)
class Setting:
    """tokens: of the batch that the Hessian is taken on.  n_chance: matrices without blocks that a search is compared with."""

    width: int = 16
    ffn: int = 32
    steps: int = 300
    lr: float = 3e-3
    tokens: int = 320
    n_chance: int = 9


def hessians(setting: Setting, seed: int) -> dict[str, tuple[np.ndarray, tuple[int, ...]]]:
    """Matrix and shape of each tensor after training, by kind."""
    model = GPTConfig(1, setting.width, layers=1, heads=HEADS, context=16, tied=False, ffn=setting.ffn)
    problem = fitted(LanguageProblem(model, tokenizer=Characters(), batch_size=16))
    final = run(problem, Adam(setting.lr), steps=setting.steps, seed=seed).final
    params = {name: torch.from_numpy(w) for name, w in final.items()}
    batch = replace(problem, batch_size=setting.tokens // model.context).batch(seed, setting.steps)  # a step that training has not seen
    names = {role.kind: name for name, role in problem.roles.items() if role.kind in KINDS}
    return {kind: (dense_hessian(problem, params, batch, names=(n,)).matrix, problem.shapes[n]) for kind, n in names.items()}


def excess(H: np.ndarray, labels: np.ndarray) -> float:
    return measure(H, labels, name="", partition="").excess


def of_tensor(kind: str, H: np.ndarray, shape: tuple[int, ...], setting: Setting, seed: int) -> dict[str, float]:
    rows, columns = np.indices(shape).reshape(2, -1)
    judge = Judge(n_chance=setting.n_chance)
    own = discover_cut(aslinearoperator(H), shape, judge=judge, seed=seed)
    other = discover_cut(aslinearoperator(turned(H, seed, KINDS.index(kind))), shape, judge=judge, seed=seed)
    found = {"discovered": excess(H, own.labels), "rows": excess(H, rows), "columns": excess(H, columns)}
    found |= {"found": float(own.found), "turned": float(other.found), "blocks": float(own.n_blocks)}
    if kind in HEAD_AXIS:
        heads = (rows, columns)[HEAD_AXIS[kind]] * HEADS // setting.width
        found |= {"heads": excess(H, heads), "agreement": agreement(own.labels, heads) if own.found else 0.0}
    return found


def values(setting: Setting, seed: int) -> dict[str, float]:
    """Means over the tensors that have a value, and every tensor for itself."""
    each = {kind: of_tensor(kind, H, shape, setting, seed) for kind, (H, shape) in hessians(setting, seed).items()}
    keys = dict.fromkeys(key for found in each.values() for key in found)
    means = {key: float(np.mean([found[key] for found in each.values() if key in found])) for key in keys}
    return means | {f"{kind} {key}": value for kind, found in each.items() for key, value in found.items()}


SHARED = dict(
    source="Adam-mini (arXiv:2406.16793), partition principle: a block is a smallest dense block of the Hessian; the algorithm is ours",
    known="derived",
    dossier="adam-mini C19",
    tier="full",
    cost_s=60,
    plan=Grid((Setting(),), seeds=tuple(range(30, 40))),
    measure=per_seed(values),
    subject="hessian.discovered-blocks",
)
CLAIMS = (
    Claim(
        id="hessian.discovered-blocks.rows",
        statement="The discovered cut of value, attention output and feed-forward has more excess mass than their rows.",
        kind="ordering",
        quantity="excess of rows - excess of the discovered cut, mean of the four tensors",
        estimate=PairedDifference("rows", "discovered"),
        predicted=Outcome.HOLDS,
        **SHARED,
    ),
    Claim(
        id="hessian.discovered-blocks.columns",
        statement="The discovered cut of value, attention output and feed-forward has more excess mass than their columns.",
        kind="ordering",
        quantity="excess of columns - excess of the discovered cut, mean of the four tensors",
        estimate=PairedDifference("columns", "discovered"),
        predicted=Outcome.HOLDS,
        **SHARED,
    ),
    Claim(
        id="hessian.discovered-blocks.heads",
        statement="Value and attention output are discovered to be cut by head.",
        kind="lower",
        quantity="adjusted Rand index of discovered blocks and heads, mean of value and attention output",
        estimate=Mean("agreement"),
        limit=0.8,
        predicted=Outcome.VIOLATED,
        **SHARED,
    ),
    Claim(
        id="hessian.discovered-blocks.turned",
        statement="In Hessians with the same eigenvalues and random eigenvectors no blocks are discovered.",
        kind="upper",
        quantity="share of the four turned Hessians in which blocks are found",
        estimate=Mean("turned"),
        limit=0.1,
        predicted=Outcome.HOLDS,
        **SHARED,
    ),
)
