"""Question: how much of a gradient does the approximation of a Haar wavelet hold?

Claims: (1 + (N-1) rho) / N of the energy for mean correlation rho in blocks of N = 2^level, 1/N of white noise; behind a LayerNorm less
        than that, for rows of the gradient sum to 0 there; and neighbours are worth no more than strangers
Proof:  proofs/proof_haar_energy.py
Cost:   about 1 s on one core
Run:    sandbox check gwt.energy gwt.share gwt.share.autoregressive gwt.share.centred gwt.share.neighbours

Coefficients and blocks are those of sandbox/optimizers/haar.py. The real gradients: feed-forward matrices of a tiny GPT at its start.
W_up sits behind a LayerNorm whose scale is 1, so every input sums to 0 and so does every row of its gradient: averaged over
orders of the n columns the share is exactly (n - N) / (N (n - 1)), here over 32 random orders.

Broken assumptions, out of the theorem's scope, each with a claim that says what happens instead:
  unequal variances   columns of standard deviations 1 and 3 in turn, rho = 1/2: (10 + 2 rho 3) / 20 = 0.65, not 0.75
  not centred         W_down sits behind a GELU: the share is that of white noise, 1/N

An earlier pilot (another network, trained) had N times the share at 1.4 to 1.6 with and without a permutation. A trial of this file on
other seeds showed less than 1/N for W_up; the law of centred rows was derived from that, then committed with its prediction before the
first run of the recorded seeds. W_down was not looked at. All other predictions were written before any trial;
gwt.share.gelu.more was added after the first run, on fresh seeds, with 0.285 in view; gwt.share.any-variances later, before it ran:
at level 2 (20 + 2 rho 22) / 80 = 0.525, not 0.625.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Mean, PairedDifference, Range, RatioOfMeans
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.haar import coefficients
from sandbox.oracles.backprop import Backprop
from sandbox.theory import wavelet
from sandbox.verdict import Outcome

ROWS, COLUMNS = 64, 64
GPT = GPTConfig(1, width=32, layers=1)
STREAM, ORDERS = 0x77, 32  # last part of the key of a draw of this file; random orders of the columns
CODE = "derived, for the transform in the authors' repository (zqOuO/GWT), read"


@dataclass(frozen=True)
class Rows:
    """number: rho of equal correlations, phi of the autoregressive rows."""

    kind: Literal["white", "equal correlations", "constant", "autoregressive", "unequal variances", "network up", "network down"]
    level: int
    number: float = 0.0


def network_gradient(seed: int, matrix: str) -> Tensor:
    problem = fitted(LanguageProblem(GPT, tokenizer=Characters(), batch_size=8))
    _, grads = Backprop()(problem, problem.start(seed), problem.batch(seed, 0), None)
    return grads[f"blocks.0.ffn.{matrix}.weight"].double()


def autoregressive(z: Tensor, phi: float) -> Tensor:
    columns = [z[:, 0]]
    for j in range(1, z.shape[1]):
        columns.append(phi * columns[-1] + (1 - phi**2) ** 0.5 * z[:, j])
    return torch.stack(columns, 1)


def rows_of(setting: Rows, seed: int) -> Tensor:
    """(rows, columns): mean 0; equal correlations hold between all columns, so in every block."""
    if setting.kind.startswith("network"):
        return network_gradient(seed, setting.kind.removeprefix("network "))
    rng, number = generator(seed, STREAM), setting.number
    z, common = normal((ROWS, COLUMNS), rng), normal((ROWS, 1), rng)
    mixed = (1 - number) ** 0.5 * z + number**0.5 * common if 0 <= number <= 1 else z
    by_kind = {
        "white": lambda: z,
        "constant": lambda: common.expand(ROWS, COLUMNS),
        "equal correlations": lambda: mixed,
        "unequal variances": lambda: mixed * (1.0 + 2.0 * (torch.arange(COLUMNS) % 2)),
        "autoregressive": lambda: autoregressive(z, number),
    }
    return by_kind[setting.kind]()


def share_over_orders(x: Tensor, level: int, seed: int) -> float:
    """Mean share of the approximation over random orders of the columns."""
    orders = torch.stack([torch.randperm(x.shape[1], generator=generator(seed, k, STREAM)) for k in range(ORDERS)])
    return float(coefficients(x[:, orders], level)[0].square().sum() / x.square().sum() / ORDERS)


def energies(setting: Rows, seed: int) -> dict[str, float]:
    x = rows_of(setting, seed)
    parts = coefficients(x, setting.level)
    total, approximation = float(x.square().sum()), float(parts[0].square().sum())
    return {
        "gradient": total,
        "approximation": approximation,
        "kept": sum(float(part.square().sum()) for part in parts) / total,
        "share": approximation / total,
        "share_of_any_order": share_over_orders(x, setting.level, seed),
    }


def constants(setting: Rows) -> dict[str, float]:
    return {"level": setting.level, "rho": 1.0 if setting.kind == "constant" else setting.number}


def phi_constants(setting: Rows) -> dict[str, float]:
    return {"level": setting.level, "phi": setting.number}


def unequal(setting: Rows) -> str | None:
    return "the columns have two variances" if setting.kind == "unequal variances" else None


def not_centred(setting: Rows) -> str | None:
    return "rows of the gradient do not sum to 0 behind a GELU" if setting.kind == "network down" else None


def two_variances(setting: Rows) -> float:
    """Level 1: E (x + y)^2 / 2 over E (x^2 + y^2), for standard deviations 1 and 3."""
    return (1 + 9 + 2 * setting.number * 3) / 2 / (1 + 9)


SEEDS = tuple(range(48))
EQUAL = tuple(Rows("equal correlations", level, rho) for level, rho in ((1, 0.3), (2, 0.5), (3, 0.1)))
SHARES = (*(Rows("white", level) for level in (1, 2, 3)), *EQUAL, Rows("constant", 2))
UP, DOWN, REAL = (Rows("network up", 2), Rows("network up", 3)), Rows("network down", 2), tuple(range(48))
UNEQUAL = Rows("unequal variances", 1, 0.5)
AR = (Rows("autoregressive", 1, 0.9), Rows("autoregressive", 2, 0.5), Rows("autoregressive", 3, 0.9), Rows("autoregressive", 2, -0.5))
SHARE = wavelet.approximation_share.quantity


def on_rows(**fields) -> Claim:
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "gwt W4",
        "kind": "equality",
        "tier": "quick",
        "cost_s": 0.2,
        "quantity": SHARE,
        "measure": per_seed(energies),
        "estimate": RatioOfMeans("approximation", "gradient"),
        "constants": constants,
        "predicted": Outcome.HOLDS,
        "tau": 0.06,  # 48 seeds x 64 rows; equal correlations have 64 common numbers a seed, an error of up to 1.3 %
    }
    return Claim(**(common | fields))


CLAIMS = (
    on_rows(
        id="gwt.energy",
        statement="the Haar transform keeps the energy, whatever the rows",
        source=CODE,
        dossier="gwt W1",
        kind="upper",
        quantity=wavelet.energy.quantity,
        plan=Grid((Rows("white", 3), Rows("autoregressive", 2, 0.9), Rows("network down", 2)), (0, 1, 2)),
        estimate=Range("kept"),
        bound=wavelet.energy,
        constants=None,
        predicted=Outcome.ATTAINED,
        tau=1e-13,  # roundings of 2 level sums per entry
    ),
    on_rows(
        id="gwt.share",
        statement="the approximation holds (1 + (N - 1) rho) / N of the energy, 1/N of white noise and all of a constant",
        plan=Grid((*SHARES, UNEQUAL), SEEDS),
        bound=wavelet.approximation_share,
        scope=unequal,
    ),
    on_rows(
        id="gwt.share.unequal-variances",
        theorems=("haar_energy",),
        statement="with standard deviations 1 and 3 in turn a pair holds (10 + 6 rho) / 20 and not (1 + rho) / 2",
        plan=Grid((UNEQUAL,), SEEDS),
        limit=two_variances,
        constants=None,
    ),
    on_rows(
        id="gwt.share.autoregressive",
        statement="of rows with correlations phi^|i-j| it holds (N (1 - phi^2) - 2 phi (1 - phi^N)) / (N (1 - phi))^2",
        plan=Grid(AR, SEEDS),
        bound=wavelet.ar1_share,
        constants=phi_constants,
    ),
    on_rows(
        id="gwt.share.centred",
        statement="behind a LayerNorm the approximation holds (n - N) / (N (n - 1)), less than of white noise, on average over orders",
        plan=Grid((*UP, DOWN), REAL),
        quantity=SHARE,
        estimate=Mean("share_of_any_order"),
        bound=wavelet.centred_share,
        constants=lambda setting: {"level": setting.level, "n": GPT.width},
        scope=not_centred,
        tau=0.08,  # orders spread by about 30 % each: 32 orders x 48 seeds leave 1 %
    ),
    on_rows(
        id="gwt.share.gelu",
        theorems=("haar_energy",),
        statement="behind a GELU it holds what it holds of white noise, 1/N",
        plan=Grid((DOWN,), REAL),
        estimate=Mean("share_of_any_order"),
        limit=lambda setting: 0.5**setting.level,
        constants=None,
        tau=0.15,
        found=Found(Outcome.INCONCLUSIVE, "2026-11-22", "it holds 14 % more: outputs of a GELU have a positive mean, which columns share"),
    ),
    on_rows(
        id="gwt.share.gelu.more",
        theorems=("haar_energy",),
        statement="behind a GELU it holds more than of white noise, 1/N",
        kind="lower",
        plan=Grid((DOWN,), tuple(range(100, 148))),
        estimate=Mean("share_of_any_order"),
        limit=lambda setting: 0.5**setting.level,
        constants=None,
        tau=0.01,
    ),
    on_rows(
        id="gwt.share.neighbours",
        theorems=("haar_energy",),
        statement="in a tiny transformer's gradient the approximation of neighbours holds what that of shuffled columns holds",
        source="derived, against the paper's motivation by smoothness, https://arxiv.org/abs/2501.07237 (abstract)",
        kind="parity",
        quantity="share of the approximation, neighbours less shuffled columns",
        plan=Grid(UP[:1], REAL),
        estimate=PairedDifference("share", "share_of_any_order"),
        constants=None,
        margin=0.06,
        tau=0.0,
        subject="gwt.share.centred",
    ),
    on_rows(
        id="gwt.share.any-variances",
        statement="the share is (1 + (N - 1) rho) / N whatever the variances of the columns",
        source="an assumption left out, to be tested",
        plan=Grid((Rows("unequal variances", 2, 0.5),), SEEDS),
        bound=wavelet.approximation_share,
        predicted=Outcome.VIOLATED,
    ),
)
