"""Question: how far does one second moment a block turn an update, where noise decides the first moments and where it does not?

s = sqrt(v) of the entries of a block, snr = (mean v)^2 / var v. The two updates are those of the rules themselves for a first moment m.

Claims: adam-mini.cosine.noise            |m_i| = s_i: the cosine is 1 / sqrt(1 + (sd(s) / mean(s))^2)
        adam-mini.cosine.snr              ... at least sqrt(snr / (1 + snr))
        adam-mini.cosine.snr.attained     ... which entries alike beside entries of next to nothing attain
        adam-mini.cosine.snr.any-moment   ... for any first moment, too: no
        adam-mini.cosine.any-moment       there it is 2 sqrt(k) / (k + 1), the least that the range k = max s / min s allows
        adam-mini.price.any-moment        the shared step is never longer than the mean of Adam's, whatever the first moments: no
        adam-mini.price.squares           ... where they go as v it is longer by sqrt(mean v) / mean s
Proof:  proofs/proof_adam_mini_update_cosine.py and, of the last two, proofs/proof_adam_mini_price_of_the_mean.py
Cost:   1 s on one CPU core
Run:    sandbox check adam-mini.cosine.noise adam-mini.cosine.snr

The blocks of a transformer are in experiments/adam_mini_price_of_the_mean.py. The draws belong to the settings, so that every number is
deterministic. The predictions were committed before the first run of these settings, the last two in a second round.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.frozen_step import frozen_step
from sandbox.theory import adam_mini_mean
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Block:
    """law of s: k^U[0, 1], magnitudes of Gaussians, or `few` entries of size 1 and the others of size k.

    moment: |m_i| = s_i with drawn signs, or the m that turns two sizes furthest (of law "two" alone).
    """

    law: Literal["range", "gaussian", "two"]
    d: int = 32
    k: float = 10.0
    few: int = 1
    moment: Literal["noise", "worst"] = "noise"
    draw: int = 0


def scales(setting: Block) -> Tensor:
    """(d,) s."""
    if setting.law == "two":
        return torch.tensor([1.0] * setting.few + [setting.k] * (setting.d - setting.few), dtype=torch.float64)
    if setting.law == "gaussian":
        return normal((setting.d,), generator(setting.draw)).abs()
    return setting.k ** torch.rand(setting.d, generator=generator(setting.draw), dtype=torch.float64)


def first_moment(setting: Block) -> Tensor:
    """The worst one: of the squares of Adam's update, 1 / (k + 1) in the entries of size k, the rest in those of size 1."""
    s = scales(setting)
    signs = normal((setting.d,), generator(setting.draw, 1)).sign()
    if setting.moment == "noise":
        return s * signs
    k, few, many = setting.k, setting.few, setting.d - setting.few
    share = torch.tensor([k / (k + 1) / few] * few + [1 / (k + 1) / many] * many, dtype=torch.float64)
    return s * share.sqrt() * signs


def turned(setting: Block, seed: int) -> dict[str, float]:
    """Cosine of the updates of both rules for that first moment, after one gradient of magnitudes s."""
    s, m = scales(setting), first_moment(setting)
    adam, mini = (
        frozen_step(rule, m, rule.step(s, rule.init(s), s)[1], s)
        for rule in (Adam(1.0, (0.0, 0.9), eps=0.0), AdamMini(1.0, (0.0, 0.9), eps=0.0))
    )
    return {"cosine": float(adam @ mini / adam.norm() / mini.norm())}


def lengths(setting: Block, seed: int) -> dict[str, float]:
    """Mean |step| of Adam over that of Adam-mini, for first moments of v in magnitude: large where v is large."""
    s = scales(setting)
    adam, mini = (
        frozen_step(rule, s**2, rule.step(s, rule.init(s), s)[1], s).abs().mean()
        for rule in (Adam(1.0, (0.0, 0.9), eps=0.0), AdamMini(1.0, (0.0, 0.9), eps=0.0))
    )
    return {"price": float(adam / mini)}


def of_squares(setting: Block) -> float:
    """mean (v / s) over mean v / q, q^2 = mean v."""
    s = scales(setting)
    return float(s.mean() / (s**2).mean().sqrt())


def spread(setting: Block) -> dict[str, float]:
    s = scales(setting)
    return {"spread": float(s.std(correction=0) / s.mean())}


def snr(setting: Block) -> dict[str, float]:
    v = scales(setting) ** 2
    return {"snr": float(v.mean() ** 2 / v.var(correction=0))}


def scope(setting: Block) -> str | None:
    return "the first moments are not sqrt(v) in magnitude" if setting.moment == "worst" else None


DRAWN = tuple(Block(law, d, draw=draw) for law in ("range", "gaussian") for d in (8, 64) for draw in (0, 1, 2))
WORST = (Block("two", d=20, moment="worst"), Block("two", d=40, k=30.0, few=2, moment="worst"))
LAST = (Block("two", d=10, k=1e4, few=5), Block("two", d=12, k=1e4, few=3))
claim = partial(
    Claim,
    source="derived",
    known="derived",
    dossier="adam-mini C12, T6",
    tier="quick",
    cost_s=0.1,
    measure=per_seed(turned),
    estimate=Range("cosine"),
    subject="adam-mini.cosine.noise",
)
price = partial(
    claim,
    theorems=("adam_mini_price_of_the_mean",),
    quantity="Adam's mean step over Adam-mini's, first moments of v in magnitude",
    plan=Grid(DRAWN, seeds=(0,)),
    measure=per_seed(lengths),
    estimate=Range("price"),
    subject="adam-mini.price.any-moment",
)
SNR = dict(
    kind="lower",
    quantity=adam_mini_mean.update_cosine_of_snr.quantity,
    bound=adam_mini_mean.update_cosine_of_snr,
    constants=snr,
    scope=scope,
)
CLAIMS = (
    claim(
        id="adam-mini.cosine.noise",
        statement="Where |m_i| = sqrt(v_i) the updates of Adam and Adam-mini have the cosine 1 / sqrt(1 + (sd(s) / mean(s))^2).",
        kind="equality",
        quantity=adam_mini_mean.update_cosine.quantity,
        plan=Grid((*DRAWN, *LAST, *WORST), seeds=(0,)),
        bound=adam_mini_mean.update_cosine,
        constants=spread,
        scope=scope,
        tau=1e-9,  # rounding
        predicted=Outcome.HOLDS,
    ),
    claim(
        id="adam-mini.cosine.snr",
        statement="There the cosine is at least sqrt(snr / (1 + snr)).",
        plan=Grid((*DRAWN, *WORST), seeds=(0,)),
        predicted=Outcome.HOLDS,
        **SNR,
    ),
    claim(
        id="adam-mini.cosine.snr.attained",
        statement="... and that where a share of the entries is alike and the rest next to nothing.",
        plan=Grid(LAST, seeds=(0,)),
        tau=1e-3,  # the rest is 1e-4 of the others, which adds at most its own size to the mean of s
        predicted=Outcome.ATTAINED,
        **SNR,
    ),
    claim(
        id="adam-mini.cosine.snr.any-moment",
        theorems=("adam_mini_update_cosine",),
        statement="The cosine is at least sqrt(snr / (1 + snr)) for any first moments.",
        plan=Grid(WORST, seeds=(0,)),
        limit=lambda s: adam_mini_mean.update_cosine_of_snr.at(**snr(s)),
        predicted=Outcome.VIOLATED,  # few small entries hardly show in the ratio, and may carry Adam's update
        **SNR | dict(quantity=adam_mini_mean.COSINE, bound=None, constants=None, scope=None),
    ),
    claim(
        id="adam-mini.cosine.any-moment",
        statement="For those first moments it is 2 sqrt(k) / (k + 1), the least that a range k allows.",
        kind="lower",
        quantity=adam_mini_mean.COSINE,
        plan=Grid(WORST, seeds=(0,)),
        bound=adam_mini_mean.update_cosine_of_range,
        constants=lambda s: {"k": s.k},
        tau=1e-9,  # rounding
        predicted=Outcome.ATTAINED,
    ),
    price(
        id="adam-mini.price.any-moment",
        statement="Adam's mean step is at least as long as that with one second moment, whatever the first moments.",
        kind="lower",
        limit=1.0,
        predicted=Outcome.VIOLATED,
    ),
    price(
        id="adam-mini.price.squares",
        statement="Where the first moments go as v it is mean(s) / sqrt(mean v) of it.",
        kind="equality",
        limit=of_squares,
        tau=1e-9,  # rounding
        predicted=Outcome.HOLDS,
    ),
)
