"""Question: what does Adam frozen at its first gradient make of a condition number, and what has size to do with it?

Blocks: eigenvalues {1, 2, 3}, {99, 100, 101}, {4998, 4999, 5000}, each block turned by its own random rotation;
kappa(H) = 5000, the largest kappa of a block is 3. Frozen = beta1 = 0 and beta2 = 1: the second moment stays at the
first gradient g = H x0, as the theory behind Adam-mini has it.

Claims: adam-mini.frozen-adam-growth            the median of kappa(D_Adam H) grows at least like the block size
        adam-mini.frozen-adam-constant          "r <= 1000 with probability >= 2/3", kappa(D_Adam H) = r x 3: blocks
                                                of 3, 10, 30
          ...frozen-adam-constant.100, .300     the same sentence for blocks of 100 and 300
        adam-mini.frozen-adam-fivefold, .100    "so kappa falls from 5000 to 1000": blocks of 3, 10, 30, and of 100
        adam-mini.frozen-mini                   kappa(D_mini H) is below kappa(D_Adam H) at every size
        adam-mini.frozen-mini.scaled-start      ... and near 3 (at most 9) also where the start is 1 : 10 : 100 in the blocks: no
Proof:  none; the constant of the theorem depends on the draw, and its law was only simulated
Cost:   20 s on one CPU core
Run:    sandbox check adam-mini.frozen-adam-growth adam-mini.frozen-adam-constant

The predictions were written before the first run and committed together with it, and those of the shares (.100 and
fivefold.100 with them) and medians repeat an own earlier simulation of 200 draws a size, so what they predict is that it
repeats. Changed after the first run: `frozen-adam-size` asked for a median of at least 3 times the size at every size,
which a constant median would have passed; the growth itself took its place under a new id, on other seeds, when the
medians (about 21, 93, 365, 1405 at 3, 10, 30, 100) were known. The limit of scaled-start, 10 without a reason, is 9.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from sandbox.curvature.preconditioning import adam_mini_scale, adam_scale
from sandbox.fit import Mean, PairedDifference, slope
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.problems.block_quadratic import BlockQuadratic
from sandbox.problems.spectra import three_groups
from sandbox.verdict import Outcome

KAPPA_BLOCK = 3.0  # of the worst block


def diagonal_blocks(problem: BlockQuadratic) -> list[Tensor]:
    """The blocks of the Hessian, as views of it."""
    edges = np.cumsum((0, *problem.sizes))
    return [problem.hessian_dd[a:b, a:b] for a, b in zip(edges, edges[1:], strict=False)]


@dataclass(frozen=True)
class Frozen:
    """size: of each of the three blocks.  start: scales of the start in the blocks, () = alike.  draws: of problem
    and start, per seed.
    """

    size: int
    start: tuple[float, ...] = ()
    draws: int = 100


def kappa(blocks: np.ndarray, d: np.ndarray) -> np.ndarray:
    """(n,) kappa(diag(d) H) of n block-diagonal H: blocks (n, b, s, s), d (n, b, s). Block by block, which is 9 times cheaper
    than the whole.
    """
    root = np.sqrt(d)
    eigenvalues = np.linalg.eigvalsh(root[..., :, None] * blocks * root[..., None, :])
    return eigenvalues.max((-2, -1)) / eigenvalues.min((-2, -1))


def drawn(setting: Frozen, number: int) -> tuple[np.ndarray, np.ndarray]:
    """(blocks of the Hessian, first gradient block by block) of one draw."""
    problem = BlockQuadratic(three_groups(setting.size), seed=number, start_scales=setting.start)
    blocks = np.stack([block.numpy() for block in diagonal_blocks(problem)])
    x = problem.start(number)["x"].numpy().reshape(3, setting.size)
    return blocks, (blocks @ x[..., None])[..., 0]


def conditions(setting: Frozen, seed: int) -> dict[str, float]:
    """Shares and medians of kappa(D H) over the draws, D frozen at the first gradient."""
    first = setting.draws * seed
    blocks, g = map(np.stack, zip(*(drawn(setting, number) for number in range(first, first + setting.draws)), strict=True))
    labels, flat = np.repeat(np.arange(3), setting.size), g.reshape(setting.draws, -1)
    adam, mini = (kappa(blocks, d.reshape(g.shape)) for d in (adam_scale(flat), adam_mini_scale(flat, labels)))
    return {
        "r at most 1000": float((adam <= 1000 * KAPPA_BLOCK).mean()),
        "kappa at most 1000": float((adam <= 1000).mean()),
        "log adam": float(np.log10(np.median(adam))),
        "log mini": float(np.log10(np.median(mini))),
        "mini": float(np.median(mini)),
    }


@dataclass(frozen=True)
class Growth:
    """sizes: of the blocks, in ratios of about 3."""

    sizes: tuple[int, ...] = (3, 10, 30, 100)
    draws: int = 40


def growth(setting: Growth, seed: int) -> dict[str, float]:
    medians = [conditions(Frozen(size, draws=setting.draws), seed)["log adam"] for size in setting.sizes]
    return {"slope": slope(np.log10(setting.sizes), medians)}


def sized(*sizes: int, draws: int = 100, start: tuple[float, ...] = ()) -> tuple[Frozen, ...]:
    return tuple(Frozen(size, start, draws) for size in sizes)


PAPER = "Adam-mini (arXiv:2406.16793)"
THESIS = "Y. Zhang, PhD summary (2026), theorem 3.2 and the simulation after it"
TEN = tuple(range(10))
FROZEN = dict(known="second-hand", measure=per_seed(conditions), tier="quick", subject="adam-mini.frozen")
SHARE = dict(
    source=THESIS,
    dossier="adam-mini C3",
    kind="lower",
    limit=2 / 3,
    **FROZEN,
)
CLAIMS = (
    Claim(
        id="adam-mini.frozen-adam-growth",
        statement="What Adam frozen at its first gradient makes of kappa grows with the size of a dense block at least in proportion.",
        source="derived; dense blocks of small kappa, Gaussian start",
        dossier="adam-mini C2, T3",
        kind="lower",
        quantity="slope of log median kappa(D_Adam H) against log block size",
        plan=Grid((Growth(),), seeds=tuple(range(30, 40))),
        measure=per_seed(growth),
        estimate=Mean("slope"),
        # kappa(D H) >= max D_i H_ii / min D_i H_ii; in a dense block |g_i| is nearly c |z_i|, z Gaussian, and max |z| / min |z|
        # goes as d sqrt(2 log d), of slope 1 + 1 / (2 log d) > 1
        limit=1.0,
        predicted=Outcome.HOLDS,
        known="derived",
        tier="quick",
        cost_s=5,
    ),
    Claim(
        id="adam-mini.frozen-adam-constant",
        statement=("The constant r of frozen Adam is at most 1000 with probability at least 2/3: blocks of 3, 10 and 30."),
        quantity="share of draws with kappa(D_Adam H) <= 1000 x 3",
        plan=Grid(sized(3, 10, 30), seeds=TEN),
        estimate=Mean("r at most 1000"),
        predicted=Outcome.HOLDS,
        cost_s=4,
        **SHARE,
    ),
    Claim(
        id="adam-mini.frozen-adam-constant.100",
        statement="The constant r of frozen Adam is at most 1000 with probability at least 2/3: blocks of 100.",
        quantity="share of draws with kappa(D_Adam H) <= 1000 x 3",
        plan=Grid(sized(100), seeds=TEN),
        estimate=Mean("r at most 1000"),
        # a reading of 0.67 from 200 earlier draws, written into the same commit as `found`: 1000 draws resolve 0.03
        predicted=Outcome.INCONCLUSIVE,
        found=Found(
            Outcome.HOLDS,
            "2026-11-22",
            "The share is 0.74: 200 draws had put it at 0.67, two standard errors too low. It crosses 2/3 between blocks of 100 and 300.",
        ),
        cost_s=8,
        **SHARE,
    ),
    Claim(
        id="adam-mini.frozen-adam-constant.300",
        statement="The constant r of frozen Adam is at most 1000 with probability at least 2/3: blocks of 300.",
        quantity="share of draws with kappa(D_Adam H) <= 1000 x 3",
        plan=Grid(sized(300, draws=20), seeds=(0, 1, 2, 3, 4)),
        estimate=Mean("r at most 1000"),
        predicted=Outcome.VIOLATED,  # the median grows with the size and passes 3000
        cost_s=6,
        **SHARE,
    ),
    Claim(
        id="adam-mini.frozen-adam-fivefold",
        statement="So r kappa_b <= 1000, a fifth of 5000, with probability at least 2/3: blocks of 3, 10 and 30.",
        quantity="share of draws with kappa(D_Adam H) <= 1000",
        plan=Grid(sized(3, 10, 30), seeds=TEN),
        estimate=Mean("kappa at most 1000"),
        predicted=Outcome.HOLDS,
        cost_s=4,
        **SHARE,
    ),
    Claim(
        id="adam-mini.frozen-adam-fivefold.100",
        statement="So r kappa_b <= 1000, a fifth of 5000, with probability at least 2/3: blocks of 100.",
        quantity="share of draws with kappa(D_Adam H) <= 1000",
        plan=Grid(sized(100), seeds=TEN),
        estimate=Mean("kappa at most 1000"),
        predicted=Outcome.VIOLATED,  # the median elsewhere was 1560
        cost_s=8,
        **SHARE,
    ),
    Claim(
        id="adam-mini.frozen-mini",
        statement="Frozen Adam-mini, one number per block, conditions better than frozen Adam, one number per entry.",
        source=f"{PAPER}, quadratic study",
        dossier="adam-mini C4, T4",
        kind="ordering",
        quantity="log10 median of kappa(D H), Adam-mini - Adam",
        plan=Grid(sized(3, 10, 30, 100), seeds=TEN),
        estimate=PairedDifference("log mini", "log adam"),
        predicted=Outcome.HOLDS,
        cost_s=12,
        **FROZEN,
    ),
    Claim(
        id="adam-mini.frozen-mini.scaled-start",
        statement=(
            "Frozen Adam-mini brings kappa down to that of one block, at most to its square 9, wherever it starts: here 1 : 10 : 100."
        ),
        source=f"{PAPER}, quadratic study; derived",
        dossier="adam-mini C4",
        kind="upper",
        quantity="median of kappa(D_mini H)",
        plan=Grid(sized(30, start=(1.0, 10.0, 100.0)), seeds=TEN),
        estimate=Mean("mini"),
        # lambda_max / s over lambda_min / s, where the scale s of each block lies between its own lambda_min and lambda_max
        limit=KAPPA_BLOCK**2,
        predicted=Outcome.VIOLATED,  # the first gradient then measures the start and not the curvature
        cost_s=2,
        **FROZEN,
    ),
)
