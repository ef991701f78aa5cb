"""Question: what does Adam-mini pay for one second moment a block, in step length and in direction?

s = sqrt(v) of the entries of a block, q = sqrt(mean v), k = max s / min s. price = q mean(1 / s): Adam's mean step per unit of first
moment over Adam-mini's. cosine: between the two updates.

Claims: adam-mini.price.attained, .constant  two magnitudes in the right shares attain the upper price, one attains 1
        adam-mini.price, .lower              in between for gradients of any magnitudes within a range
        adam-mini.cosine.attained            two magnitudes attain 2 sqrt(k) / (k + 1)
        adam-mini.cosine                     at least that for gradients within a range, any first moments
        adam-mini.cosine.gpt                 ... in every block of a tiny GPT after 100 steps of Adam
        adam-mini.cosine.gpt.snr             the bound for entries that noise decides, sqrt(snr / (1 + snr)), holds there too
Proof:  proofs/proof_adam_mini_price_of_the_mean.py
Cost:   10 s on one CPU core
Run:    sandbox check adam-mini.price adam-mini.cosine --tier full

The cosines are in proofs/proof_adam_mini_update_cosine.py. The predictions were committed before the first run of these settings.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.func import grad

from sandbox.draws import generator, normal
from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.models.cuts import adam_mini as adam_mini_cut
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.partitions import from_blocks
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.theory import adam_mini_mean
from sandbox.verdict import Outcome


@dataclass(frozen=True)
class Magnitudes:
    """Second moments of `d` gradients |g|, in [1, k]: "two" has `large` of size k and the rest 1, "range" draws k^U[0, 1].

    moment: of the update that is compared; "the same" is the first step, "drawn" an unrelated Gaussian first moment.
    """

    d: int
    k: float
    law: Literal["two", "range"] = "range"
    large: int = 0
    moment: Literal["the same", "drawn"] = "the same"


def magnitudes(setting: Magnitudes, seed: int) -> Tensor:
    if setting.law == "two":
        return torch.tensor([setting.k] * setting.large + [1.0] * (setting.d - setting.large), dtype=torch.float64)
    u = torch.rand(setting.d, generator=generator(seed, 0), dtype=torch.float64)
    u[0], u[1] = 0.0, 1.0  # both ends of the range
    return setting.k**u


def updates(setting: Magnitudes, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """(first moment, Adam's step, Adam-mini's step), eps 0, lr 1."""
    w = torch.zeros(setting.d, dtype=torch.float64)
    g = magnitudes(setting, seed) * (2.0 * torch.randint(0, 2, (setting.d,), generator=generator(seed, 1)) - 1.0)
    drawn = normal((setting.d,), generator(seed, 2))
    steps = []
    for rule in (Adam(1.0, (0.9, 0.999), eps=0.0), AdamMini(1.0, (0.9, 0.999), eps=0.0)):
        delta, state = rule.step(g, rule.init(w), w)
        if setting.moment == "drawn":  # g again, which leaves v / (1 - b2^t) as it is; the first moment is put in its place
            delta, state = rule.step(g, state._replace(m=(drawn - 0.1 * g) / 0.9), w)
        steps.append(delta)
    return (drawn if setting.moment == "drawn" else g), *steps


def compared(setting: Magnitudes, seed: int) -> dict[str, float]:
    m, adam, mini = updates(setting, seed)
    price = float((adam / m).abs().mean() / (mini / m).abs().mean())
    return {"price": price, "cosine": float(adam @ mini / adam.norm() / mini.norm())}


@dataclass(frozen=True)
class Trained:
    """A tiny GPT on characters, `steps` of Adam; per Adam-mini block of every tensor, the moments that Adam has then."""

    width: int = 16
    steps: int = 100
    lr: float = 3e-3


def moments(setting: Trained, seed: int) -> list[tuple[Tensor, Tensor]]:
    """(m, v) of every block of at least two entries whose gradients never were 0 all the way."""
    model = GPTConfig(1, setting.width, layers=1, heads=4, context=16, tied=False, ffn=32)
    problem = fitted(LanguageProblem(model, tokenizer=Characters(), batch_size=16))
    rule, params = Adam(setting.lr), problem.start(seed)
    states = {name: rule.init(w) for name, w in params.items()}
    for k in range(setting.steps):
        grads, batch = None, problem.batch(seed, k)
        grads = grad(lambda p: problem.loss(p, batch))(params)  # noqa: B023
        moved = {name: rule.step(g, states[name], params[name]) for name, g in grads.items()}
        params = {name: params[name] + delta for name, (delta, _) in moved.items()}
        states = {name: state for name, (_, state) in moved.items()}
    labels = from_blocks(adam_mini_cut(problem.roles, problem.shapes), problem.shapes).labels
    found = []
    for name, state in states.items():
        for label in labels[name].unique():
            inside = labels[name] == label
            found.append((state.m[inside].double(), state.v[inside].double()))
    return [(m, v) for m, v in found if len(v) > 1 and float(v.min()) > 1e-16 * float(v.max())]


def of_blocks(setting: Trained, seed: int) -> dict[str, float]:
    """The least of cosine over its bound, over all blocks, by the range and by the signal-to-noise ratio."""
    by_range, by_snr = [], []
    for m, v in moments(setting, seed):
        s = v.sqrt()
        adam, mini = m / s, m
        cosine = float(adam @ mini / adam.norm() / mini.norm())
        by_range.append(cosine / adam_mini_mean.update_cosine_of_range.at(k=float(s.max() / s.min())))
        by_snr.append(cosine / adam_mini_mean.update_cosine_of_snr.at(snr=float(v.mean() ** 2 / v.var(correction=0))))
    return {"range": min(by_range), "snr": min(by_snr), "blocks": len(by_range)}


def of_prices(**fields) -> Claim:
    common = {
        "source": "derived",
        "known": "derived",
        "dossier": "adam-mini C12, T6",
        "kind": "upper",
        "tier": "full",
        "cost_s": 0.1,
        "quantity": adam_mini_mean.PRICE,
        "measure": per_seed(compared),
        "estimate": Range("price"),
        "constants": lambda setting: {"k": setting.k},
        "predicted": Outcome.HOLDS,
        "subject": "adam-mini.price",
        "tau": 1e-9,  # rounding
    }
    return Claim(**(common | fields))


SEEDS = tuple(range(20))
RANGE = Grid(tuple(Magnitudes(d, k, moment=moment) for d in (8, 64) for k in (3.0, 100.0) for moment in ("the same", "drawn")), SEEDS)
GPT = Grid((Trained(),), seeds=(10, 11))
CLAIMS = (
    of_prices(
        id="adam-mini.price.attained",
        statement="Two magnitudes k and 1, k in a share (k + 2) / (3 (k + 1)), attain the largest price: 1.85 at k = 4.",
        plan=Grid((Magnitudes(5, 4.0, "two", 2), Magnitudes(8, 7.0, "two", 3)), SEEDS[:2]),
        bound=adam_mini_mean.price_upper,
        predicted=Outcome.ATTAINED,
    ),
    of_prices(
        id="adam-mini.price.constant",
        statement="Gradients of one magnitude attain the least price, 1.",
        kind="lower",
        plan=Grid((Magnitudes(6, 3.0, "two", 6),), SEEDS[:2]),
        bound=adam_mini_mean.price_lower,
        constants=lambda setting: {},
        predicted=Outcome.ATTAINED,
    ),
    of_prices(
        id="adam-mini.price",
        statement="Within a range k of magnitudes Adam's mean step is at most the sharp factor longer than the shared one.",
        plan=RANGE,
        bound=adam_mini_mean.price_upper,
    ),
    of_prices(
        id="adam-mini.price.lower",
        statement="The shared step is never longer than the mean of Adam's.",
        kind="lower",
        plan=RANGE,
        bound=adam_mini_mean.price_lower,
        constants=lambda setting: {},
    ),
    of_prices(
        id="adam-mini.cosine.attained",
        statement="Two magnitudes k and 1, k in a share 1 / (k + 1), attain the least cosine: 4/5 at k = 4.",
        kind="lower",
        quantity=adam_mini_mean.COSINE,
        plan=Grid((Magnitudes(5, 4.0, "two", 1), Magnitudes(10, 9.0, "two", 1)), SEEDS[:2]),
        estimate=Range("cosine"),
        bound=adam_mini_mean.update_cosine_of_range,
        predicted=Outcome.ATTAINED,
    ),
    of_prices(
        id="adam-mini.cosine",
        statement="Within a range k of magnitudes the cosine is at least 2 sqrt(k) / (k + 1), whatever the first moments.",
        kind="lower",
        quantity=adam_mini_mean.COSINE,
        plan=RANGE,
        estimate=Range("cosine"),
        bound=adam_mini_mean.update_cosine_of_range,
    ),
    of_prices(
        id="adam-mini.cosine.gpt",
        theorems=("adam_mini_update_cosine",),
        statement="In every Adam-mini block of a tiny GPT the cosine is at least 2 sqrt(k) / (k + 1), k of that block.",
        kind="lower",
        quantity="least cosine of a block over its bound",
        plan=GPT,
        measure=per_seed(of_blocks),
        estimate=Range("range"),
        bound=None,
        constants=None,
        limit=1.0,
        subject="adam-mini.gpt",
        cost_s=2.0,
    ),
    of_prices(
        id="adam-mini.cosine.gpt.snr",
        theorems=("adam_mini_update_cosine",),
        statement="In every Adam-mini block of a tiny GPT the cosine is at least sqrt(snr / (1 + snr)), as where noise decides.",
        source="derived; SlimAdam's cut at a ratio of 1 (arXiv:2503.01843, second-hand) taken for a bound on updates",
        kind="lower",
        quantity="least cosine of a block over the bound of its signal-to-noise ratio",
        plan=GPT,
        measure=per_seed(of_blocks),
        estimate=Range("snr"),
        bound=None,
        constants=None,
        limit=1.0,
        subject="adam-mini.gpt",
        predicted=Outcome.VIOLATED,  # first moments are not all sqrt(v); of hundreds of blocks one will differ enough
        found=Found(
            Outcome.HOLDS,
            "2026-11-22",
            "The least ratio of 219 blocks is 1.02 in both runs. m^2 / v falls with v (mean correlation -0.16 at another seed), which "
            "lowers the cosine, but by less than the worst law of s leaves.",
        ),
    ),
)
