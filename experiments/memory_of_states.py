"""Question: do the state sizes that GaLore, GWT, SubZero and SGC are advertised with follow from the shapes?

Claims: galore.memory.full      full Adam with 0.36, 0.76, 2.06, 7.80 G at 60M, 130M, 350M, 1B: 6 bytes a parameter
        galore.memory           GaLore with 0.24, 0.52, 1.22, 4.38 G
        galore.memory.matrix    one matrix costs mn + mr + 2nr numbers (Table 1), measured
        gwt.state-saved         two levels save 33, 47, 62, 68 % of Adam's state
        gwt.state               2 m ceil(n / 2^l) numbers a matrix, measured
        subzero.memory          U and V add 0.45 GB to 26.08 at OPT-13B, rank 64 (1.73 %)
        sgc.floor               SGC never takes less than gradient descent does, gradient and all
Proof:  none; counts, and the record of the allocator for the last
Cost:   1 s on one CPU core
Run:    sandbox check galore.memory gwt.state-saved sgc.floor

The four sizes are those of GaLore's repository (recalled), vocabulary 32000, untied; bfloat16, so 2 bytes a number, weights and states;
G is 2^30 or 1e9, whichever is nearer. Only attention and feed-forward matrices are projected. The predictions were written before
the first run; for 60M and 130M a count by hand had been made.
"""

from dataclasses import dataclass
from typing import Literal

import torch

from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.memory.allocator import allocations
from sandbox.memory.architectures import Architecture, entries, llama_shapes
from sandbox.memory.forecasts import state_forecast
from sandbox.memory.meters import state_bytes
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.base import Rule
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.sgc import SGC
from sandbox.optimizers.sgc_adam import SGCAdam
from sandbox.optimizers.subzero import SubZero
from sandbox.shells.stepwise import Stepwise
from sandbox.verdict import Outcome

Size = Literal["60M", "130M", "350M", "1B"]
LLAMAS = {
    "60M": Architecture("Llama-60M", 512, 8, 1376, 32000, 8, 8),
    "130M": Architecture("Llama-130M", 768, 12, 2048, 32000, 12, 12),
    "350M": Architecture("Llama-350M", 1024, 24, 2736, 32000, 16, 16),
    "1B": Architecture("Llama-1B", 2048, 24, 5461, 32000, 32, 32),
}
RANK = {"60M": 128, "130M": 256, "350M": 256, "1B": 512}
FULL = {"60M": 0.36, "130M": 0.76, "350M": 2.06, "1B": 7.80}
PROJECTED = {"60M": 0.24, "130M": 0.52, "350M": 1.22, "1B": 4.38}
SAVED = {"60M": 33, "130M": 47, "350M": 62, "1B": 68}


@dataclass(frozen=True)
class Model:
    size: Size
    method: Literal["adam", "galore", "gwt"]


def rules(setting: Model) -> dict[str, Rule]:
    """Matrices of the blocks by the method, the rest by Adam."""
    adam = Adam(lr=1e-2)
    frame = {"adam": adam, "galore": GaLore(adam, RANK[setting.size]), "gwt": GWT(adam, level=2)}[setting.method]
    shapes = llama_shapes(LLAMAS[setting.size])
    return {name: frame if ".self_attn." in name or ".mlp." in name else adam for name in shapes}


def model(setting: Model, seed: int) -> dict[str, float]:
    """Weights and states in the nearer of the two units, and the percentage of Adam's state that is saved."""
    shapes = llama_shapes(LLAMAS[setting.size])
    state, adam = state_forecast(shapes, rules(setting), element=2), 4 * entries(shapes)
    total, printed = 2 * entries(shapes) + state, (FULL if setting.method == "adam" else PROJECTED)[setting.size]
    return {"G": min((total / 2**30, total / 1e9), key=lambda x: abs(x - printed)), "saved": round(100 * (1 - state / adam))}


@dataclass(frozen=True)
class Matrix:
    """size: rank of GaLore, levels of GWT."""

    method: Literal["galore", "gwt"]
    shape: tuple[int, int]
    size: int


def matrix(setting: Matrix, seed: int) -> dict[str, float]:
    """Numbers that the state of one float32 matrix really holds (and the weight, as GaLore's table counts it)."""
    frame = GaLore(Adam(0.1), setting.size) if setting.method == "galore" else GWT(Adam(0.1), setting.size, growth_limit=None)
    numbers = state_bytes(frame.init(w := torch.zeros(setting.shape))) // 4
    return {"numbers": numbers + w.numel() if setting.method == "galore" else numbers - 1}  # one for the limiter


def expected(setting: Matrix) -> float:
    m, n = setting.shape
    if setting.method == "galore":
        return m * n + (min(m, n) + 2 * max(m, n)) * setting.size
    return 2 * m * -(-n // 2**setting.size)


@dataclass(frozen=True)
class Decoder:
    """OPT-13B, with four attention and two feed-forward matrices a layer, float16."""

    width: int = 5120
    ffn: int = 20480
    layers: int = 40
    rank: int = 64


def subspaces(setting: Decoder, seed: int) -> dict[str, float]:
    n, f = setting.width, setting.ffn
    shapes = {f"{layer}.{i}": shape for layer in range(setting.layers) for i, shape in enumerate([(n, n)] * 4 + [(f, n), (n, f)])}
    added = state_forecast(shapes, SubZero(GradientDescent(1e-7), setting.rank), element=2)
    return {"GiB": round(added / 2**30, 2)}


@dataclass(frozen=True)
class Floor:
    """s, k, c of one 96 x 128 weight."""

    rule: Literal["inner Adam", "moments apart"]
    sparsity: int
    measurements: int
    chunks: int


def floor(setting: Floor, seed: int) -> dict[str, float]:
    """Most bytes alive in gradient and two steps, over the same for gradient descent."""
    size = dict(sparsity=setting.sparsity, measurements=setting.measurements, chunks=setting.chunks)
    return {"ratio": peak(SGC(Adam(0.1), **size) if setting.rule == "inner Adam" else SGCAdam(0.1, **size)) / peak(GradientDescent(0.1))}


def peak(rule: Rule) -> int:
    w = torch.nn.Parameter(torch.zeros(96, 128))
    optimizer = Stepwise([("w", w)], rule)

    def run() -> None:
        w.grad = torch.ones(96, 128)
        optimizer.step()
        optimizer.step()

    return allocations(run).peak


def on(method: Literal["adam", "galore", "gwt"]) -> Grid:
    return Grid(tuple(Model(size, method) for size in LLAMAS), seeds=(0,))


GALORE = "GaLore (arXiv:2403.03507)"
COUNT = dict(kind="equality", tier="quick", cost_s=0.1)
TABLE_2 = COUNT | dict(
    source=f"{GALORE}, Table 2",
    known="read",
    dossier="rso 3",
    quantity="weights and states from the shapes, 2 bytes a number, G",
    measure=per_seed(model),
    estimate=Range("G"),
    tau=0.02,  # 0.005 of 0.24
)
CLAIMS = (
    Claim(
        id="galore.memory.full",
        statement="Weights and states of full-rank Adam take 0.36, 0.76, 2.06 and 7.80 G.",
        plan=on("adam"),
        limit=lambda s: FULL[s.size],
        predicted=Outcome.VIOLATED,  # 60M: 0.348 in 1e9, 0.324 in 2^30; the 0.36 is 6 bytes x 60e6
        **TABLE_2,
    ),
    Claim(
        id="galore.memory",
        statement="Weights and states of GaLore take 0.24, 0.52, 1.22 and 4.38 G.",
        plan=on("galore"),
        limit=lambda s: PROJECTED[s.size],
        predicted=Outcome.VIOLATED,  # 60M: 0.26, for embedding and head keep Adam's state
        **TABLE_2,
    ),
    Claim(
        id="galore.memory.matrix",
        statement="One m x n matrix (m <= n) with GaLore takes mn + mr + 2nr numbers.",
        source=f"{GALORE}, Table 1",
        known="read",
        dossier="rso 1.4, 3",
        quantity="numbers of the weight and of its state",
        plan=Grid((Matrix("galore", (12, 40), 4), Matrix("galore", (40, 12), 4), Matrix("galore", (16, 16), 3)), seeds=(0,)),
        measure=per_seed(matrix),
        estimate=Range("numbers"),
        limit=expected,
        predicted=Outcome.HOLDS,
        **COUNT,
    ),
    Claim(
        id="gwt.state-saved",
        statement="Two levels of GWT save 33, 47, 62 and 68 % of Adam's state at 60M, 130M, 350M and 1B.",
        source="derived: (1 - rho) + rho / 4 with rho = share of the transformed matrices",
        known="derived",
        dossier="zeroth 4.2",
        quantity="optimizer state saved against Adam, percent, rounded",
        plan=on("gwt"),
        measure=per_seed(model),
        estimate=Range("saved"),
        limit=lambda s: SAVED[s.size],
        predicted=Outcome.HOLDS,
        found=Found(Outcome.VIOLATED, "2026-11-22", "130M saves 47.5 %, which rounds to 48: cut off, not rounded; the others hold"),
        **COUNT,
    ),
    Claim(
        id="gwt.state",
        statement="GWT keeps 2 m ceil(n / 2^l) numbers of an m x n matrix in the place of 2 mn.",
        source="GWT (arXiv:2501.07237), as its code has it",
        known="second-hand",
        dossier="zeroth 4.2",
        quantity="numbers of the state, the limiter's one apart",
        plan=Grid((Matrix("gwt", (12, 40), 2), Matrix("gwt", (12, 41), 2), Matrix("gwt", (12, 40), 3)), seeds=(0,)),
        measure=per_seed(matrix),
        estimate=Range("numbers"),
        limit=expected,
        predicted=Outcome.HOLDS,
        **COUNT,
    ),
    Claim(
        id="subzero.memory",
        statement="SubZero takes 26.53 GB where MeZO takes 26.08 (OPT-13B): 0.45 more, 1.73 %.",
        source="SubZero (arXiv:2410.08989), memory table",
        known="second-hand",
        dossier="zeroth 3.2",
        quantity="bytes of U and V at rank 64 in float16, GiB to 0.01",
        plan=Grid((Decoder(),), seeds=(0,)),
        measure=per_seed(subspaces),
        estimate=Range("GiB"),
        limit=0.45,
        tau=0.023,  # 26.53 and 26.08 are rounded to 0.005 each
        predicted=Outcome.HOLDS,
        **COUNT,
    ),
    Claim(
        id="sgc.floor",
        statement="SGC takes no less than gradient descent with its gradient: the gradient is there in full.",
        source="derived; a reviewer's point",
        known="derived",
        dossier="zeroth C8",
        kind="lower",
        tier="quick",
        cost_s=0.5,
        quantity="most bytes of gradient and two steps, over gradient descent's",
        plan=Grid((Floor("inner Adam", 8, 32, 8), Floor("inner Adam", 4, 8, 4), Floor("moments apart", 8, 32, 8)), seeds=(0,)),
        measure=per_seed(floor),
        estimate=Range("ratio"),
        limit=1.0,
        predicted=Outcome.HOLDS,
    ),
)
