"""Question: how much of the Hessian of a softmax layer lies in its diagonal blocks, and what has the number of classes to do with it?

mass = sum_i |H_ii|_F^2 / |H|_F^2, blocks by class; exact Hessians by automatic differentiation.

Claims: hessian.softmax-mass.attained     output layer at weights of 0: mass = 1 - 1/C
        hessian.softmax-mass.two          ... of two classes: 1/2, at every weight
        hessian.softmax-mass, .lower      in between, for random and for trained weights and for the head of a tiny GPT
        hessian.softmax-mass.squared      the same under squared error: no, it is 1 there
        hessian.block-newton, .lower      C / (C - 1) <= lam_max(BD^-1 H) <= 2
        hessian.growth                    with C the softmax layer is ever closer to block-diagonal whatever was learned: no
Proof:  proofs/proof_hessian_softmax_blocks.py
Cost:   4 s on one CPU core
Run:    sandbox check hessian.softmax-mass hessian.softmax-mass.lower

The predictions were committed before the first run. Changed after it: the head of the GPT has 66 rows and not 65, so
that its mass, 0.98483, had been held against 1 - 1/65 = 0.98462; it is below 1 - 1/66 = 0.98485. Trained: gradient descent on classes in
overlapping pairs, so that what the model cannot decide lies between two classes each. `growth` asks "the Hessian of
large C is near block-diagonal" of a model that has learned something: mass at least 0.9 with 16 classes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from sandbox.curvature.hessian import dense_hessian
from sandbox.draws import generator, normal
from sandbox.fit import Mean, Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.problems.base import Facts, Params
from sandbox.problems.streams import START, STRUCTURE
from sandbox.run import run
from sandbox.theory import hessian_blocks
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Classes:
    """Linear softmax on `samples` points of `inputs` numbers around one centre per pair of classes; labels split each pair at random.

    scale: of the centres.  start_scale: of the weights.  loss_law: cross entropy, or squared error against the label's unit vector.
    """

    classes: int
    inputs: int
    samples: int = 120
    scale: float = 2.0
    start_scale: float = 0.0
    loss_law: Literal["cross entropy", "squared"] = "cross entropy"
    seed: int = 0

    def __post_init__(self):
        rng = generator(STRUCTURE, self.seed)
        label_s = torch.randint(0, self.classes, (self.samples,), generator=rng)
        centre = self.scale * normal(((self.classes + 1) // 2, self.inputs), rng)
        object.__setattr__(self, "data", (centre[label_s // 2] + 0.3 * normal((self.samples, self.inputs), rng), label_s))

    @property
    def facts(self) -> Facts:
        return Facts()

    def start(self, seed: int) -> Params:
        return {"V": self.start_scale * normal((self.classes, self.inputs), generator(START, seed))}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        x_si, label_s = self.data
        logits = x_si @ params["V"].T
        if self.loss_law == "cross entropy":
            return cross_entropy(logits, label_s)
        return (logits - torch.nn.functional.one_hot(label_s, self.classes).double()).square().sum(1).mean()


@dataclass(frozen=True)
class Layer:
    """weights: zero, random, or after `steps` of gradient descent; "head" is the output matrix of a tiny GPT on text."""

    classes: int
    weights: Literal["zero", "random", "trained", "head"] = "zero"
    inputs: int = 4
    steps: int = 0
    loss_law: Literal["cross entropy", "squared"] = "cross entropy"


def blocks_of(H: np.ndarray, rows: int) -> np.ndarray:
    """(rows, rows, d, d)."""
    d = len(H) // rows
    return H.reshape(rows, d, rows, d).transpose(0, 2, 1, 3)


def mass_and_top(H: np.ndarray, rows: int) -> dict[str, float]:
    """The mass, and the largest eigenvalue of BD^-1 H; what BD does not see (1e-10 of its largest eigenvalue) H does not see either."""
    blocks = blocks_of(H, rows)
    squares = (blocks**2).sum((2, 3))
    root = np.zeros_like(H)
    d = len(H) // rows
    for i in range(rows):
        values, vectors = np.linalg.eigh(blocks[i, i])
        inverse = np.where(values > 1e-10 * values[-1], np.abs(values), np.inf) ** -0.5
        root[i * d : (i + 1) * d, i * d : (i + 1) * d] = (vectors * inverse) @ vectors.T
    return {"mass": float(np.trace(squares) / squares.sum()), "top": float(np.linalg.eigvalsh(root @ H @ root)[-1])}


def head_of_a_gpt(setting: Layer, seed: int) -> dict[str, float]:
    """Width 8, one layer, characters; the Hessian of the output matrix on 16 windows of 8 characters."""
    problem = fitted(
        LanguageProblem(GPTConfig(1, 8, layers=1, heads=2, context=8, tied=False, ffn=16), tokenizer=Characters(), batch_size=16)
    )
    final = run(problem, Adam(1e-2), steps=setting.steps, seed=seed).final
    name = next(name for name, role in problem.roles.items() if role.kind == "head")
    params = {key: torch.from_numpy(w) for key, w in final.items()}
    H = dense_hessian(problem, params, problem.batch(seed, setting.steps), names=(name,))
    return mass_and_top(H.matrix, problem.shapes[name][0])


def layer(setting: Layer, seed: int) -> dict[str, float]:
    if setting.weights == "head":
        return head_of_a_gpt(setting, seed)
    scale = {"zero": 0.0, "random": 1.0, "trained": 0.0}[setting.weights]
    problem = Classes(setting.classes, setting.inputs, start_scale=scale, loss_law=setting.loss_law, seed=seed)
    final = run(problem, GradientDescent(0.5), steps=setting.steps, seed=seed).final
    H = dense_hessian(problem, {"V": torch.from_numpy(final["V"])}, None).matrix
    return mass_and_top(H, setting.classes)


def squared_error(setting: Layer) -> str | None:
    return "lambda = diag(p) - p p' belongs to cross entropy, and squared error has lambda = I" if setting.loss_law == "squared" else None


def of_layers(**fields) -> Claim:
    common = {
        "source": "derived; Dong et al. (arXiv:2505.02809) have rates in C for random data (second-hand)",
        "known": "derived",
        "dossier": "adam-mini C14, C17",
        "tier": "quick",
        "cost_s": 1.0,
        "measure": per_seed(layer),
        "subject": "hessian.layers",
    }
    return Claim(**(common | fields))


MASS, TOP = hessian_blocks.MASS, hessian_blocks.TOP
SEEDS = (30, 31, 32)
ZERO = Grid(tuple(Layer(C) for C in (2, 5, 12)), seeds=SEEDS)
ANY = Grid(
    (
        Layer(3, "random"),
        Layer(12, "random"),
        Layer(4, "trained", steps=200),
        Layer(16, "trained", inputs=8, steps=200),
        Layer(66, "head", steps=0),
        Layer(66, "head", steps=60),
        Layer(5, "random", loss_law="squared"),
    ),
    seeds=SEEDS,
)
TWO = Grid((Layer(2, "random"), Layer(2, "trained", steps=200)), seeds=SEEDS)


def classes(setting: Layer) -> dict[str, float]:
    return {"C": setting.classes}


CLAIMS = (
    of_layers(
        id="hessian.softmax-mass.attained",
        statement="At weights of 0 the diagonal blocks of a softmax layer hold exactly 1 - 1/C, whatever the data.",
        kind="upper",
        quantity=MASS,
        plan=ZERO,
        estimate=Range("mass"),
        bound=hessian_blocks.softmax_mass_upper,
        constants=classes,
        tau=1e-9,  # rounding
        predicted=Outcome.ATTAINED,
    ),
    of_layers(
        id="hessian.softmax-mass.two",
        statement="The diagonal blocks of a softmax layer of two classes hold exactly half, at every weight.",
        kind="lower",
        quantity=MASS,
        plan=TWO,
        estimate=Range("mass"),
        bound=hessian_blocks.softmax_mass_lower,
        constants=lambda setting: {},
        tau=1e-9,  # rounding
        predicted=Outcome.ATTAINED,
    ),
    of_layers(
        id="hessian.softmax-mass",
        statement="The diagonal blocks of a softmax layer hold at most 1 - 1/C, for any data, features and weights.",
        kind="upper",
        quantity=MASS,
        plan=ANY,
        estimate=Range("mass"),
        bound=hessian_blocks.softmax_mass_upper,
        constants=classes,
        scope=squared_error,
        predicted=Outcome.HOLDS,
    ),
    of_layers(
        id="hessian.softmax-mass.lower",
        statement="The diagonal blocks of a softmax layer hold at least half, for any data, features and weights.",
        kind="lower",
        quantity=MASS,
        plan=ANY,
        estimate=Range("mass"),
        bound=hessian_blocks.softmax_mass_lower,
        constants=lambda setting: {},
        scope=squared_error,
        predicted=Outcome.HOLDS,
    ),
    of_layers(
        id="hessian.softmax-mass.squared",
        theorems=("hessian_softmax_blocks",),
        statement="The diagonal blocks of a layer of five outputs hold at most 1 - 1/5 under squared error too.",
        kind="upper",
        quantity=MASS,
        plan=Grid((Layer(5, "random", loss_law="squared"),), seeds=SEEDS),
        estimate=Range("mass"),
        limit=1 - 1 / 5,
        predicted=Outcome.VIOLATED,  # the outputs do not interact at all: the mass is 1
    ),
    of_layers(
        id="hessian.block-newton",
        statement="A step of the inverse diagonal blocks meets curvature of at most 2, for any data, features and weights.",
        kind="upper",
        quantity=TOP,
        plan=ANY,
        estimate=Range("top"),
        bound=hessian_blocks.block_newton_upper,
        constants=lambda setting: {},
        scope=squared_error,
        predicted=Outcome.HOLDS,
    ),
    of_layers(
        id="hessian.block-newton.lower",
        statement="... and of at least C / (C - 1), so that it is never the whole Newton step.",
        kind="lower",
        quantity=TOP,
        plan=ANY,
        estimate=Range("top"),
        bound=hessian_blocks.block_newton_lower,
        constants=classes,
        scope=squared_error,
        predicted=Outcome.HOLDS,
    ),
    of_layers(
        id="hessian.growth",
        theorems=("hessian_softmax_blocks",),
        statement="From 16 classes on the Hessian of a softmax layer is near block-diagonal, mass 0.9, also after training.",
        source="the reading of Dong et al. (arXiv:2505.02809) for trained models (second-hand); derived",
        kind="lower",
        quantity=MASS,
        plan=Grid((Layer(16, "trained", inputs=8, steps=200),), seeds=SEEDS),
        estimate=Mean("mass"),
        limit=0.9,
        predicted=Outcome.VIOLATED,  # what is left undecided lies between the two classes of a pair, each of mass 1/2
    ),
)
