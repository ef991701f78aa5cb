"""What `sandbox.curvature.discover` finds in the Hessians of query and key of a small transformer, and in the same Hessians turned.

exact       the blocks found are the heads, neither more nor fewer
agreement   adjusted Rand index of the blocks found with the heads: 1 the same blocks, 0 as alike as chance or none found
turned      the same Hessian in a random orthonormal basis: the same eigenvalues, and no heads
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse.linalg import aslinearoperator

from sandbox.curvature.discover import Discovery, Judge, discover_cut
from sandbox.curvature.hessian import dense_hessian
from sandbox.curvature.planted import agreement, turned
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adam import Adam
from sandbox.run import run

HEADS = 4


@dataclass(frozen=True)
class Setting:
    """tokens: of the batch that the Hessian is taken on.  n_chance: matrices without blocks that a search is compared with."""

    width: int = 16
    ffn: int = 32
    steps: int = 150
    lr: float = 3e-3
    tokens: int = 320
    n_chance: int = 9
    max_blocks: int = 8


def hessians(setting: Setting, seed: int) -> dict[str, np.ndarray]:
    """Of query and key after training, by name."""
    model = GPTConfig(1, setting.width, layers=1, heads=HEADS, context=16, tied=False, ffn=setting.ffn)
    problem = fitted(LanguageProblem(model, tokenizer=Characters(), batch_size=16))
    final = run(problem, Adam(setting.lr), steps=setting.steps, seed=seed).final
    params = {name: torch.from_numpy(w) for name, w in final.items()}
    batch = replace(problem, batch_size=setting.tokens // model.context).batch(seed, setting.steps)  # a step that training has not seen
    names = [name for name, role in problem.roles.items() if role.kind in ("query", "key")]
    return {name: dense_hessian(problem, params, batch, names=(name,)).matrix for name in names}


def discovered(H: np.ndarray, setting: Setting, seed: int) -> Discovery:
    shape = (setting.width, setting.width)
    judge = Judge(n_chance=setting.n_chance)
    return discover_cut(aslinearoperator(H), shape, max_blocks=setting.max_blocks, judge=judge, seed=seed)


def values(setting: Setting, seed: int) -> dict[str, float]:
    """Means over query and key."""
    heads = np.repeat(np.arange(HEADS), setting.width * setting.width // HEADS)
    rows = []
    for index, H in enumerate(hessians(setting, seed).values()):
        own, other = discovered(H, setting, seed), discovered(turned(H, seed, index), setting, seed)
        alike = agreement(own.labels, heads) if own.found else 0.0
        rows.append((float(alike == 1.0), alike, float(other.found), own.excess.value, own.n_products))
    keys = ("exact", "agreement", "turned", "excess", "products")
    return dict(zip(keys, np.mean(rows, axis=0).tolist(), strict=True))
