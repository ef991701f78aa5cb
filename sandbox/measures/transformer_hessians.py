"""Small transformers on random Markov chains: how much of each tensor's Hessian a cut holds, along training.

mass, null and excess are those of `sandbox.curvature.block_mass`, inside one tensor's own Hessian; tensors' share = sum over tensors of
|H_tt|^2 / |H|^2, blocks of whole tensors. Which cuts and points are asked about is the matter of the experiments that measure this.

GPT-like, one layer, 4 heads, feed-forward 4 x width, context 16, head not tied; Adam with 256 tokens a step; the exact float32 Hessian
of each matrix on tokens that training has not seen, the mass of both tables to 5 % by coloured probes, |H|^2 by random products.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from sandbox.curvature.block_mass import measure
from sandbox.curvature.hessian import curvature_of, dense_hessian
from sandbox.curvature.operators import operator
from sandbox.curvature.tensor_mass import tensor_masses
from sandbox.curvature.trace import squared_frobenius
from sandbox.models.cuts import adam_mini
from sandbox.models.gpt import GPTConfig
from sandbox.models.markov import MarkovProblem
from sandbox.models.partitions import Partition, by_column, from_blocks
from sandbox.optimizers.adam import Adam
from sandbox.problems.base import Params
from sandbox.run import run

POINTS = (0.0, 0.01, 0.5, 1.0)  # shares of training
HEADS, TABLES, MATRICES = ("query", "key"), ("embedding", "head"), ("value", "attention_out", "ffn_in", "ffn_out")


@dataclass(frozen=True)
class Setting:
    """vocabs: one model each.  start: standard deviation 0.02 ("normal") or LeCun's.  tokens: of the Hessian's batch."""

    vocabs: tuple[int, ...] = (8, 64, 256)
    width: int = 16
    start: str = "normal"
    points: tuple[float, ...] = POINTS
    steps: int = 1000
    lr: float = 3e-3
    tokens: int = 320
    n_probes: int = 100


def problem_of(setting: Setting, vocab: int) -> MarkovProblem:
    model = GPTConfig(vocab, width=setting.width, layers=1, heads=4, context=16, tied=False, init=setting.start)
    return MarkovProblem(model, batch_size=16)


def snapshots(problem: MarkovProblem, setting: Setting, seed: int) -> dict[float, Params]:
    """The parameters at every point of training."""
    when, kept = {round(share * setting.steps): share for share in setting.points}, {}

    def watch(k: int, params: Params) -> None:
        if k in when:
            kept[when[k]] = {name: w.clone() for name, w in params.items()}

    run(problem, Adam(setting.lr), steps=setting.steps, seed=seed, watch=watch)
    return kept


def cuts_of(problem: MarkovProblem) -> dict[str, Partition]:
    """Adam-mini's cut (heads, tokens, output neurons), and the one by input."""
    blocks = from_blocks(adam_mini(problem.roles, problem.shapes), problem.shapes)
    return {"cut": blocks, "column": by_column(problem.roles, problem.shapes)}


def structure(problem: MarkovProblem, params: Params, batch: torch.Tensor, n_probes: int, seed: int) -> dict[str, float]:
    """mass, null and excess of every matrix and cut, the mass of both tables, and the share of |H|^2 inside tensors."""
    cuts, found, inside = cuts_of(problem), {}, 0.0
    tables = {name: cuts["cut"].labels[name] for name, role in problem.roles.items() if role.kind in TABLES}
    for row in tensor_masses(problem.loss, params, [batch], tables, seed=seed):
        found[f"{problem.roles[row.name].kind} cut mass"] = row.mass.value
        inside += row.total.value
    for name in problem.roles.keys() - tables.keys():
        H = dense_hessian(problem, params, batch, names=(name,), dtype=torch.float32).matrix
        inside += float(np.square(H).sum())
        found |= matrix_rows(problem.roles[name].kind, H, {title: cut.labels[name] for title, cut in cuts.items()})
    total = squared_frobenius(operator(curvature_of(problem, params, batch, dtype=torch.float32)), n_probes=n_probes, seed=seed)
    return found | {"tensors": inside / total.value, "tensors error": inside / total.value**2 * total.standard_error}


def matrix_rows(kind: str, H: np.ndarray, labels: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """mass, null and excess of one matrix under every cut; nothing for norms and other vectors."""
    rows = {title: measure(H, label, name=kind, partition=title) for title, label in labels.items()} if kind in HEADS + MATRICES else {}
    return {f"{kind} {title} {what}": getattr(row, what) for title, row in rows.items() for what in ("mass", "null", "excess")}


def values(setting: Setting, seed: int) -> dict[str, float]:
    """Every number of every vocabulary and point, as "VOCAB POINT% NAME"."""
    found = {}
    for vocab in setting.vocabs:
        problem = problem_of(setting, vocab)
        batch = replace(problem, batch_size=setting.tokens // 16).batch(seed, setting.steps)  # a step that training has not seen
        for share, params in snapshots(problem, setting, seed).items():
            each = structure(problem, params, batch, setting.n_probes, seed)
            found |= {f"{vocab} {round(100 * share)}% {key}": x for key, x in each.items()}
            found |= worst(found, f"{vocab} {round(100 * share)}%")
    return found | over_vocabularies(found, setting)


def worst(found: Mapping[str, float], where: str) -> dict[str, float]:
    """The smaller head mass of query and key, and the smaller token mass of embedding and head."""
    smallest = {"heads": HEADS, "tables": TABLES}
    return {f"{where} {title}": min(found[f"{where} {kind} cut mass"] for kind in kinds) for title, kinds in smallest.items()}


def over_vocabularies(found: Mapping[str, float], setting: Setting) -> dict[str, float]:
    """The worst of all vocabularies at each point."""
    every = {}
    for share in setting.points:
        point = f"{round(100 * share)}%"
        each = {title: [found[f"{v} {point} {title}"] for v in setting.vocabs] for title in ("heads", "tables", "tensors")}
        every |= {f"{point} {title}": min(x) for title, x in each.items()}
        for kind in MATRICES:
            every[f"{point} {kind} mass"] = max(found[f"{v} {point} {kind} cut mass"] for v in setting.vocabs)
            lack = [found[f"{v} {point} {kind} cut null"] - found[f"{v} {point} {kind} cut mass"] for v in setting.vocabs]
            every[f"{point} {kind} lack"] = max(lack)
    return every
