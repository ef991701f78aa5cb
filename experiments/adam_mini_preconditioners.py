"""Question: when does one number per coordinate condition better than one number per block, and what does Adam's own do?

Frozen means that second moments stand still at the first gradient, beta1 = 0, eps = 0, so that D = diag(1 / |g|).

Claims: adam.frozen.start-decides     diagonal H: the rate of frozen Adam is that of kappa = max |x_0| / min |x_0|, for kappa(H) 1 to 10^6
        adam.frozen.start-decides.dense  ... for dense H too: no
        adam.frozen.tail              Gaussian start, two coordinates: P[kappa > t] = 2 - (4/pi) atan t;  .more: at least that for five
        adam.preconditioner.lower, .lower.diagonal, .upper  kappa(D H) between max / min of D_i H_ii and kappa(D) kappa(H), D of
                                      Adam after 30 steps; the lower one attained on diagonal H
        adam.preconditioner.bipartite kappa(D H) >= kappa(H) for every D where couplings are bipartite, D of Adam
        adam-mini.preconditioner.bipartite  ... attained by Adam-mini
        adam.preconditioner.lower.turned  the first of these for Adam in H's own eigenvectors, whose D is not diagonal: no
        adam.preconditioner.turned    ... from equal magnitudes it is Newton's method there, kappa 1
        adam.preconditioner.two-by-two  kappa + 1/kappa + 2 = (d_1 + d_2)^2 / (d_1 d_2 (1 - r^2)) of two coupled coordinates
        adam-mini.preconditioner.two-by-two  ... at least 4 / (1 - r^2), which Adam-mini attains on an equal diagonal
        adam.preconditioner.triangle  kappa(D H) >= kappa(H) where three coordinates are coupled, equal diagonal, for the best D: no
Proof:  proofs/proof_adam_mini_diagonal_scaling.py and, of the first two and the tails, proofs/proof_frozen_adam_on_a_diagonal.py,
        of pairs, bipartite couplings and the triangle proofs/proof_adam_mini_best_scalar.py
Cost:   2 s on one CPU core
Run:    sandbox check adam.frozen.start-decides adam.preconditioner.bipartite

The predictions were committed before the first run of these settings, those on pairs and on turned coordinates in a second round.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.func import grad

from sandbox.curvature.preconditioning import adam_scale, condition
from sandbox.draws import generator, normal
from sandbox.fit import Mean, Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.base import Rule, State
from sandbox.optimizers.frozen_step import frozen_step
from sandbox.problems.base import Facts, Params, Problem
from sandbox.problems.quadratic import Quadratic
from sandbox.problems.rotations import haar
from sandbox.problems.spectra import log_spaced
from sandbox.problems.streams import START, STRUCTURE
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import adam_mini_frozen
from sandbox.verdict import Outcome

SIZE = 6


@dataclass(frozen=True)
class Start:
    """kappa of H.  spread: max |x_0| / min |x_0|, magnitudes in equal ratios, order and signs of the seed."""

    kappa: float
    spread: float
    basis: Literal["axes", "haar"] = "axes"
    steps: int = 12


@dataclass(frozen=True)
class Spread:
    """A quadratic that starts with the magnitudes of `setting`."""

    setting: Start

    def __post_init__(self):
        _ = self.whole  # drawn here, because vmap refuses random draws

    @cached_property
    def whole(self) -> Quadratic:
        spectrum = log_spaced(SIZE, low=1.0, high=self.setting.kappa) if self.setting.kappa > 1 else (1.0,) * SIZE
        return Quadratic(spectrum, basis=self.setting.basis)

    @property
    def facts(self) -> Facts:
        return self.whole.facts

    def start(self, seed: int) -> Params:
        rng = generator(START, seed)
        sizes = torch.tensor(log_spaced(SIZE, low=1.0, high=self.setting.spread), dtype=torch.float64)
        signs = 2.0 * torch.randint(0, 2, (SIZE,), generator=rng) - 1.0
        return {"x": sizes[torch.randperm(SIZE, generator=rng)] * signs}

    def batch(self, seed: int, step: int) -> None:
        return None

    def loss(self, params: Params, batch: None) -> Tensor:
        return self.whole.loss(params, batch)


@dataclass(frozen=True)
class FrozenAtTheStart:
    """`inner` with its averages as the first gradient leaves them."""

    inner: Rule
    problem: Problem

    def init(self, w: Tensor) -> State:
        g = grad(lambda x: self.problem.loss({"x": x}, None))(w)
        return self.inner.step(g, self.inner.init(w), w)[1]

    def step(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        return frozen_step(self.inner, g, state, w), state


def implied_condition(setting: Start, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """(1 + q) / (1 - q), q the mean factor per step of the coordinate that contracts least, at the lr that is best for that spread."""
    problem = Spread(setting)
    rule = FrozenAtTheStart(Adam(2 / (1 + 1 / setting.spread), betas=(0.0, 0.999), eps=0.0), problem)
    rows = []
    for seed, trace in zip(seeds, run_ensemble(problem, rule, steps=setting.steps, seeds=seeds), strict=True):
        q = float(np.abs(trace.final["x"] / problem.start(seed)["x"].numpy()).max() ** (1 / setting.steps))
        rows.append({"kappa": (1 + q) / (1 - q)})
    return rows


def dense(setting: Start) -> str | None:
    return "H is not diagonal" if setting.basis == "haar" else None


@dataclass(frozen=True)
class Scaled:
    """block: "random" of condition kappa, "diagonal", "bipartite" [[I, B], [B', I]] of condition kappa, "triangle" of three.

    method: whose D.  steps: after how many live steps; 1 is the frozen one.
    """

    block: Literal["random", "diagonal", "bipartite", "triangle"]
    kappa: float = 19.0
    method: Literal["adam", "adam-mini", "best"] = "adam"
    steps: int = 30


def hessian(setting: Scaled, seed: int) -> np.ndarray:
    rng = generator(STRUCTURE, seed)
    if setting.block == "triangle":
        return np.array([[4.0, 3.0, 2.0], [3.0, 4.0, 2.0], [2.0, 2.0, 4.0]])
    if setting.block == "bipartite":
        half = SIZE // 2
        singular = torch.linspace((setting.kappa - 1) / (setting.kappa + 1), 0.1, half, dtype=torch.float64)
        B = (haar(half, rng) * singular @ haar(half, rng)).numpy()
        return np.block([[np.eye(half), B], [B.T, np.eye(half)]])
    basis = "axes" if setting.block == "diagonal" else "haar"
    return Quadratic(log_spaced(SIZE, low=1.0, high=setting.kappa), seed=seed, basis=basis).hessian_dd.numpy()


def diagonal(setting: Scaled, H: np.ndarray, seed: int) -> np.ndarray:
    """D of the rule's own step for a first moment of ones, its averages frozen after `steps` gradients of x' H x / 2."""
    if setting.method == "best":
        found = minimize(lambda u: float(condition(H, np.exp(u))), 0.3 * np.arange(len(H)), method="Nelder-Mead", options={"maxiter": 2000})
        return np.exp(found.x)
    rule = (Adam if setting.method == "adam" else AdamMini)(0.1, betas=(0.0, 0.9), eps=0.0)
    x, matrix = normal((len(H),), generator(START, seed)), torch.from_numpy(H)
    state = rule.init(x)
    for _ in range(setting.steps):
        delta, state = rule.step(matrix @ x, state, x)
        x = x + delta
    return (-frozen_step(rule, torch.ones_like(x), state, x)).numpy()


def scaled(setting: Scaled, seed: int) -> dict[str, float]:
    """kappa(D H), and over max / min of D_i H_ii, and over kappa(D) kappa(H)."""
    H = hessian(setting, seed)
    d = diagonal(setting, H, seed)
    reached, entries = float(condition(H, d)), d * np.diag(H)
    return {
        "kappa": reached,
        "over lower": reached * float(entries.min() / entries.max()),
        "over upper": reached / float(d.max() / d.min() * condition(H)),
    }


@dataclass(frozen=True)
class Eigen:
    """Adam, frozen at its first gradient, run in the eigenvectors of H from entries of one magnitude, as SOAP turns a matrix."""

    kappa: float


def turned(setting: Eigen, seed: int) -> dict[str, float]:
    """kappa of the preconditioned H, and over max / min of P_ii H_ii, P = the step as a matrix."""
    H = hessian(Scaled("random", setting.kappa), seed)
    values, Q = np.linalg.eigh(H)
    rule, x = Adam(0.1, betas=(0.0, 0.9), eps=0.0), torch.ones(SIZE, dtype=torch.float64)
    _, state = rule.step(torch.from_numpy(values) * x, rule.init(x), x)
    P = Q * (-frozen_step(rule, torch.ones_like(x), state, x)).numpy() @ Q.T
    reached = np.linalg.eigvals(P @ H).real
    entries = np.diag(P) * np.diag(H)
    kappa = float(reached.max() / reached.min())
    return {"kappa": kappa, "over lower": kappa * float(entries.min() / entries.max())}


@dataclass(frozen=True)
class Pair:
    """Two coordinates with curvatures a, b and correlation r, from `start`; whose D is frozen at the first gradient."""

    r: float
    a: float
    b: float
    start: tuple[float, float]
    method: Literal["adam", "adam-mini"] = "adam"

    @property
    def H(self) -> np.ndarray:
        coupling = self.r * (self.a * self.b) ** 0.5
        return np.array([[self.a, coupling], [coupling, self.b]])


def pair(setting: Pair, seed: int) -> dict[str, float]:
    rule = (Adam if setting.method == "adam" else AdamMini)(0.1, betas=(0.0, 0.9), eps=0.0)
    x = torch.tensor(setting.start, dtype=torch.float64)
    _, state = rule.step(torch.from_numpy(setting.H) @ x, rule.init(x), x)
    kappa = float(condition(setting.H, (-frozen_step(rule, torch.ones_like(x), state, x)).numpy()))
    return {"sum": kappa + 1 / kappa + 2}


def of_pair(setting: Pair) -> dict[str, float]:
    """d_i = H_ii / |g_i| of Adam, H_ii of one number for both."""
    g = np.abs(setting.H @ np.array(setting.start)) if setting.method == "adam" else np.ones(2)
    return {"d_1": setting.a / g[0], "d_2": setting.b / g[1], "r": setting.r}


def mismatch(setting: Scaled) -> dict[str, float]:
    """Of the two extreme eigenvectors, at the first seed; bipartite blocks have none at any."""
    vectors = np.linalg.eigh(hessian(setting, SEEDS[0]))[1]
    return {"kappa": setting.kappa, "mismatch": float(np.abs(vectors[:, 0] ** 2 - vectors[:, -1] ** 2).max())}


@dataclass(frozen=True)
class Tail:
    """Diagonal H of condition 100 in d dimensions, `draws` Gaussian starts a seed."""

    d: int
    t: float
    draws: int = 2000


def tail(setting: Tail, seed: int) -> dict[str, float]:
    """The share of starts with kappa(D H) > t, D of Adam at its first gradient."""
    H = np.diag(np.array(log_spaced(setting.d, low=1.0, high=100.0)))
    g = normal((setting.draws, setting.d), generator(START, seed)).numpy() @ H
    return {"share": float((condition(H, adam_scale(g)) > setting.t).mean())}


SEEDS = tuple(range(20))
AXES = tuple(Start(kappa, 20.0) for kappa in (1.0, 1e2, 1e6))
DENSE = Start(1e2, 20.0, "haar")


def of_starts(**fields) -> Claim:
    common = {
        "source": "derived; the frozen Adam of Adam-mini's quadratic study (arXiv:2406.16793, second-hand)",
        "known": "derived",
        "dossier": "adam-mini C5, T2",
        "kind": "equality",
        "tier": "quick",
        "cost_s": 0.5,
        "quantity": adam_mini_frozen.ADAM,
        "measure": implied_condition,
        "estimate": Range("kappa"),
        "subject": "adam.frozen",
        "tau": 1e-6,  # rounding of 12 steps, divided by 1 - q = 0.1
    }
    return Claim(**(common | fields))


def of_tails(**fields) -> Claim:
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "adam-mini C5, T2",
        "tier": "quick",
        "cost_s": 0.3,
        "quantity": adam_mini_frozen.two_coordinate_tail.quantity,
        "measure": per_seed(tail),
        "estimate": Mean("share"),
        "bound": adam_mini_frozen.two_coordinate_tail,
        "constants": lambda setting: {"t": setting.t},
        "predicted": Outcome.HOLDS,
        "subject": "adam.frozen.tail",
    }
    return Claim(**(common | fields))


def of_scalings(**fields) -> Claim:
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "adam-mini C6, T3",
        "kind": "lower",
        "tier": "quick",
        "cost_s": 0.3,
        "quantity": adam_mini_frozen.ANY,
        "measure": per_seed(scaled),
        "estimate": Range("kappa"),
        "predicted": Outcome.HOLDS,
        "subject": "adam.preconditioner",
        "tau": 1e-9,  # rounding
    }
    return Claim(**(common | fields))


PAIRS = tuple(Pair(r, a, 1.0, x) for r in (-0.9, 0.0, 0.6) for a in (1.0, 50.0) for x in ((1.0, 0.3), (-0.2, 1.0)))
ALIKE = tuple(Pair(r, 3.0, 3.0, (1.0, 0.3), "adam-mini") for r in (-0.9, 0.0, 0.6))
RANDOM = Grid((Scaled("random", 10.0), Scaled("random", 1e4), Scaled("random", 1e4, steps=1)), seeds=SEEDS)
TRIANGLE = Scaled("triangle", 8.70156211871642)  # 7.5 for diag(8, 8, 3)
CLAIMS = (
    of_starts(
        id="adam.frozen.start-decides",
        statement="On a diagonal Hessian frozen Adam converges as at kappa = max |x_0| / min |x_0|, whatever the Hessian.",
        plan=Grid((*AXES, DENSE), SEEDS, len(SEEDS)),
        bound=adam_mini_frozen.start_ratio,
        constants=lambda setting: {"x_max": setting.spread, "x_min": 1.0},
        scope=dense,
        predicted=Outcome.HOLDS,
    ),
    of_starts(
        id="adam.frozen.start-decides.dense",
        theorems=("frozen_adam_on_a_diagonal",),
        statement="On a dense Hessian frozen Adam converges as at kappa = max |x_0| / min |x_0|.",
        plan=Grid((DENSE,), SEEDS, len(SEEDS)),
        limit=20.0,
        predicted=Outcome.VIOLATED,
    ),
    of_tails(
        id="adam.frozen.tail",
        statement="Two coordinates, Gaussian start: kappa under frozen Adam exceeds t with probability 2 - (4 / pi) atan t, whatever H.",
        kind="equality",
        plan=Grid((Tail(2, 3.0), Tail(2, 10.0)), seeds=SEEDS),
        tau=0.05,  # 40000 starts: 1.3 % of a probability of 0.13
    ),
    of_tails(
        id="adam.frozen.tail.more",
        statement="More coordinates, Gaussian start: kappa under frozen Adam exceeds t with at least that probability.",
        kind="lower",
        plan=Grid((Tail(5, 10.0),), seeds=SEEDS),
    ),
    of_scalings(
        id="adam.preconditioner.lower",
        theorems=("adam_mini_diagonal_scaling",),
        statement="Adam's own diagonal leaves kappa(D H) of at least max / min of D_i H_ii.",
        quantity="kappa(D H) over max / min of D_i H_ii",
        plan=RANDOM,
        estimate=Range("over lower"),
        limit=1.0,
    ),
    of_scalings(
        id="adam.preconditioner.lower.diagonal",
        theorems=("adam_mini_diagonal_scaling",),
        statement="... and exactly that on a diagonal Hessian.",
        quantity="kappa(D H) over max / min of D_i H_ii",
        plan=Grid((Scaled("diagonal", 1e4),), seeds=SEEDS),
        estimate=Range("over lower"),
        limit=1.0,
        predicted=Outcome.ATTAINED,
    ),
    of_scalings(
        id="adam.preconditioner.upper",
        theorems=("adam_mini_diagonal_scaling",),
        statement="Adam's own diagonal leaves kappa(D H) of at most kappa(D) kappa(H).",
        kind="upper",
        quantity="kappa(D H) over kappa(D) kappa(H)",
        plan=RANDOM,
        estimate=Range("over upper"),
        limit=1.0,
    ),
    of_scalings(
        id="adam.preconditioner.lower.turned",
        theorems=("adam_mini_diagonal_scaling",),
        statement="... also where Adam runs in the eigenvectors of H, so that its D is no diagonal matrix.",
        quantity="kappa(D H) over max / min of D_ii H_ii",
        plan=Grid((Eigen(10.0), Eigen(1e4)), seeds=SEEDS),
        measure=per_seed(turned),
        estimate=Range("over lower"),
        limit=1.0,
        subject="adam.preconditioner.turned",
        predicted=Outcome.VIOLATED,
    ),
    of_scalings(
        id="adam.preconditioner.turned",
        theorems=("adam_mini_diagonal_scaling", "frozen_adam_on_a_diagonal"),
        statement="There, from entries of one magnitude, its first step is Newton's: kappa(D H) = 1.",
        kind="equality",
        plan=Grid((Eigen(10.0), Eigen(1e4)), seeds=SEEDS),
        measure=per_seed(turned),
        limit=1.0,
        subject="adam.preconditioner.turned",
    ),
    of_scalings(
        id="adam.preconditioner.two-by-two",
        statement="Adam frozen at its first gradient leaves a pair of coordinates the kappa that d_1, d_2 and their correlation give.",
        kind="equality",
        quantity=adam_mini_frozen.two_by_two.quantity,
        plan=Grid(PAIRS, seeds=(0,)),
        measure=per_seed(pair),
        estimate=Range("sum"),
        bound=adam_mini_frozen.two_by_two,
        constants=of_pair,
        subject="adam.preconditioner.two-by-two",
    ),
    of_scalings(
        id="adam-mini.preconditioner.two-by-two",
        statement="One number for a pair of equal curvatures attains the least, 4 / (1 - r^2).",
        kind="lower",
        quantity=adam_mini_frozen.two_by_two.quantity,
        plan=Grid(ALIKE, seeds=(0,)),
        measure=per_seed(pair),
        estimate=Range("sum"),
        bound=adam_mini_frozen.two_by_two,
        constants=of_pair,
        subject="adam.preconditioner.two-by-two",
        predicted=Outcome.ATTAINED,
    ),
    of_scalings(
        id="adam.preconditioner.bipartite",
        statement="Where couplings are bipartite on an equal diagonal, Adam's diagonal never conditions better than one number.",
        plan=Grid((Scaled("bipartite", steps=1), Scaled("bipartite"), Scaled("bipartite", method="best"), TRIANGLE), seeds=SEEDS),
        bound=adam_mini_frozen.scalar_is_best,
        constants=mismatch,
    ),
    of_scalings(
        id="adam-mini.preconditioner.bipartite",
        statement="... and Adam-mini, one number for the block, attains kappa(H).",
        plan=Grid((Scaled("bipartite", method="adam-mini"),), seeds=SEEDS),
        bound=adam_mini_frozen.scalar_is_best,
        constants=mismatch,
        predicted=Outcome.ATTAINED,
    ),
    of_scalings(
        id="adam.preconditioner.triangle",
        theorems=("adam_mini_best_scalar",),
        statement="On an equal diagonal no diagonal matrix conditions better than one number: three coordinates, all coupled.",
        plan=Grid((replace(TRIANGLE, method="best"),), seeds=(0,)),
        limit=TRIANGLE.kappa,
        predicted=Outcome.VIOLATED,
    ),
)
