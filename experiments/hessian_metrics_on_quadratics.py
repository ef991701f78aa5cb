"""Question: is it dividing by a diagonal that conditions a dense Hessian worse, or dividing by the first gradient?

r = kappa(D H) / kappa(H). Eigenvalues in equal ratios from 1 to kappa, in an order of the seed; eigenvectors from the axes (turn 0) to a
Haar basis (turn 1): the Q of (1 - turn) I + turn G / sqrt(d), G Gaussian. x_0 Gaussian, g = H x_0.

Claims: hessian.jacobi                D = 1 / H_ii: r is at most 1.05 in the mean, d 10 to 100, kappa 10 to 10^5, all turns
        hessian.jacobi.root           ... D = 1 / sqrt(H_ii), the limit of Adam under noise of covariance H: the same
        hessian.jacobi.first-gradient ... D = 1 / |g|, frozen Adam, Haar, kappa at most d: r is at least 1, in the mean of its logarithm
        hessian.jacobi.dimension      ... of Jacobi at most d on every H of the grid, and on the three coordinates below
        hessian.jacobi.always         ... at most 1 on every H: no, three coupled coordinates of unequal diagonal
Proof:  none; the dimension is a theorem of van der Sluis
Cost:   5 s on one CPU core
Run:    sandbox check hessian.jacobi hessian.jacobi.always

The predictions were committed before the first run.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from sandbox.curvature.block_mass import diagonal_ratio
from sandbox.curvature.preconditioning import gains
from sandbox.draws import generator, normal
from sandbox.fit import Mean, Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.problems.spectra import log_spaced
from sandbox.problems.streams import START, STRUCTURE
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Turned:
    """d x d with condition number kappa.  "triangle": three coordinates of diagonal 8, 8, 3 whose couplings are not bipartite."""

    d: int = 3
    kappa: float = 7.5
    turn: float = 1.0
    block: Literal["turned", "triangle"] = "turned"


def hessian(setting: Turned, seed: int) -> np.ndarray:
    if setting.block == "triangle":
        root = np.sqrt(np.array([8.0, 8.0, 3.0]))
        return root[:, None] * np.array([[1.0, 0.75, 0.5], [0.75, 1.0, 0.5], [0.5, 0.5, 1.0]]) * root
    G = normal((setting.d, setting.d), generator(STRUCTURE, seed)).numpy()
    Q, R = np.linalg.qr((1.0 - setting.turn) * np.eye(setting.d) + setting.turn * G / setting.d**0.5)
    spectrum = np.random.default_rng(seed).permutation(log_spaced(setting.d, low=1.0, high=setting.kappa))
    H = (Q * np.sign(np.diag(R)) * spectrum) @ (Q * np.sign(np.diag(R))).T
    return (H + H.T) / 2.0


@lru_cache(maxsize=4096)
def measured(setting: Turned, seed: int) -> dict[str, float]:
    """r of each scale, that of Adam as its logarithm, and tau."""
    H = hessian(setting, seed)
    g = H @ normal((setting.d,), generator(START, seed)).numpy()
    r = gains(H, g, np.zeros(setting.d))
    return {
        "jacobi": float(r["jacobi"]),
        "root": float(r["root-jacobi"]),
        "log adam": float(np.log(r["adam"])),
        "over d": float(r["jacobi"]) / setting.d,
        "tau": diagonal_ratio(H),
    }


SEEDS = tuple(range(20))
GRID = tuple(Turned(d, kappa, turn) for d in (10, 50, 100) for kappa in (10.0, 1e3, 1e5) for turn in (0.1, 0.3, 1.0))
DENSE = tuple(Turned(d, kappa) for d, kappa in ((10, 10.0), (50, 10.0), (50, 50.0), (100, 10.0), (100, 100.0)))
TRIANGLE = Turned(block="triangle")
RATIO = "kappa(D H) over kappa(H)"


def of_jacobi(**fields) -> Claim:
    common = {
        "source": "derived; the failure that Adam-mini's quadratic study (arXiv:2406.16793, second-hand) lays to diagonal scaling",
        "known": "derived",
        "dossier": "adam-mini C7, T3",
        "kind": "upper",
        "tier": "quick",
        "cost_s": 2.0,
        "quantity": RATIO,
        "plan": Grid(GRID, SEEDS, len(SEEDS)),
        "measure": MEASURE,
        "limit": 1.05,
        "predicted": Outcome.HOLDS,
        "subject": "hessian.jacobi",
        "tau": 1e-9,  # rounding
    }
    return Claim(**(common | fields))


MEASURE = per_seed(measured)
CLAIMS = (
    of_jacobi(
        id="hessian.jacobi",
        statement="Dividing by the diagonal of H does not condition it worse by more than 5 % in the mean, however dense it is.",
        estimate=Mean("jacobi"),
    ),
    of_jacobi(
        id="hessian.jacobi.root",
        statement="Nor does dividing by the root of the diagonal.",
        estimate=Mean("root"),
    ),
    of_jacobi(
        id="hessian.jacobi.first-gradient",
        statement="Dividing by the first gradient conditions a dense H worse where kappa(H) is at most its dimension.",
        dossier="adam-mini C6, C7, T3",
        kind="lower",
        quantity="logarithm of kappa(D H) over kappa(H)",
        plan=Grid(DENSE, SEEDS, len(SEEDS)),
        estimate=Mean("log adam"),
        limit=0.0,
        tau=0.0,
    ),
    of_jacobi(
        id="hessian.jacobi.dimension",
        statement="Dividing by the diagonal costs at most a factor of the dimension against doing nothing.",
        source="van der Sluis (1969), Condition numbers and equilibration of matrices: within d of the best diagonal",
        known="recalled",
        quantity="kappa(D H) over d kappa(H)",
        plan=Grid((*GRID, TRIANGLE), SEEDS, len(SEEDS)),
        estimate=Range("over d"),
        limit=1.0,
    ),
    of_jacobi(
        id="hessian.jacobi.always",
        statement="Dividing by the diagonal never conditions an H worse.",
        plan=Grid((TRIANGLE,), (0,)),
        estimate=Range("jacobi"),
        limit=1.0,
        predicted=Outcome.VIOLATED,
    ),
)
