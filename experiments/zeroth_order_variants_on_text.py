"""Question: do signs, accept-if-better and residual feedback on a text do what they do on quadratics and straight lines?

Claims: zo.sign.text, ....entries           on the bigrams of a text, whose L is known, the mean gradient norm obeys both rates of signs
        zo.sign.transformer, ....entries    a short step on a transformer falls by lr sqrt(2/pi) |g| - lr^2 tr(H) / 2 on average, and with
                                            the sign of every entry by at least lr (2/pi) |g| less that
        zo.sign.transformer.far             ... and as much with a step 100 times as long: no
        zo.conservative.text                a step on the bigrams is taken where lr z^T H z < 2, and its opposite never
        zo.conservative.transformer         on a transformer with lr of the order 2 / tr H the opposite is never taken: no
        zo.residual.transformer             residual feedback there has E |ghat|^2 = [d + 2 + d (1 + tau)/(1 - tau)] |g|^2
        zo.residual.transformer.beyond      and past lr |g| = eps it grows there, as on a straight line
Proof:  proofs/proof_zeroth_order_sign.py proofs/proof_zeroth_order_conservative.py proofs/proof_zeroth_order_residual.py
Cost:   about 2 s on one core
Run:    sandbox check zo.sign.text zo.sign.transformer zo.conservative.text zo.residual.transformer

The transformer is a GPT of one layer and width 16, d = 4624, at its start on one window of 16 characters: by trial runs |g| = 2.2, and
z^T H z = 9 +- 28 (64 directions, standard deviation 220: H has both signs). Its loss is that of a quadratic for steps of a length of about
0.03 only, against |w| = 7. There lr^2 tr(H) / 2 is below 1 % of the fall, whatever tr H is within its interval, so the law is one of the
slope. The bigrams (softmax regression of the next character, d = 4356, L = max frequency / 2) are convex; a conservative step from where
60 steps of gradient descent end, with lr = 1.6 and 2.4 over tr H, which is known there in closed form.

Relative errors of means, by trial runs on other seeds: the fall 7 % for 128 directions (0.76 / sqrt n), so 4 % for 320, tau 15 %; |ghat|^2
of a residual 8 % for 512 rows at tau = 1/10 (heavy tails: 23 % for 128 at 1/4), tau 40 %, which rules out the d + 2 of two points, 45 %
of it. The predictions were committed before the first run of these settings and seeds. After it the two steps on the transformer were
asked again, of 1000 fresh rows.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import grad, jvp, vmap
from torch.utils._pytree import tree_map

from sandbox.draws import generator
from sandbox.fit import Mean, Range, RatioOfMeans
from sandbox.ledger.claim import Claim, Found, Grid
from sandbox.models.fixed_text import Bigrams, on_characters
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.sign_descent import SignDescent
from sandbox.oracles.conservative import Conservative
from sandbox.oracles.residual import Residual
from sandbox.oracles.signed_slope import SignedSlope
from sandbox.oracles.two_point import TwoPoint
from sandbox.perturbations.directions import ORACLE_STREAM
from sandbox.problems.base import Params
from sandbox.run import run
from sandbox.run_ensemble import run_ensemble
from sandbox.theory import zeroth_order_steps as steps
from sandbox.verdict import Outcome

TEXT, NETWORK, EPS, NEAR = Bigrams(windows=64), on_characters(1), 1e-4, 5e-4


@dataclass(frozen=True)
class Signs:
    """Runs on the bigrams, with the sign of the slope or of every entry."""

    of: Literal["slope", "entries"]
    steps: int = 6
    lr: float = 0.02


def measure_signs(setting: Signs, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Mean gradient norm over its bound at the fall of the run, all seeds from one start."""
    plain, norms, losses = TwoPoint(eps=EPS), [], []
    slope = setting.of == "slope"
    rule, oracle = (GradientDescent(setting.lr), SignedSlope(plain)) if slope else (SignDescent(setting.lr), plain)

    def watch(k: int, params: Params) -> None:
        norms.append(vmap(grad(lambda W: TEXT.loss({"W": W}, None)))(params["W"]).flatten(1).norm(dim=1))
        losses.append(vmap(lambda W: TEXT.loss({"W": W}, None))(params["W"]))

    run_ensemble(TEXT, rule, steps=setting.steps, seeds=seeds, oracle=oracle, watch=watch)
    bound = steps.signed_slope_rate if slope else steps.signed_entries_rate
    known = {"K": setting.steps, "lr": setting.lr, "L": TEXT.facts.L, "d": TEXT.frequencies.numel()}
    falls = (losses[0] - losses[-1]).clamp(min=0.0)
    promised = [bound.at(**known, Delta=float(fall)) for fall in falls]
    means = torch.stack(norms[:-1]).mean(0)
    return [{"share": float(mean) / limit} for mean, limit in zip(means, promised, strict=True)]


@lru_cache(maxsize=1)
def at_start() -> tuple[Params, Tensor, Params]:
    """Weights, tokens and gradient of the transformer."""
    params, tokens = NETWORK.start(0), NETWORK.batch(0, 0)
    return params, tokens, grad(lambda w: NETWORK.loss(w, tokens))(params)


def norm_at_start() -> float:
    return math.sqrt(sum(float(x.square().sum()) for x in at_start()[2].values()))


def stacked(oracle: Any, seeds: tuple[int, ...], params: Params, k: int = 0) -> Any:
    drawn = [oracle.draw(generator(seed, ORACLE_STREAM, k), params) for seed in seeds]
    return tree_map(lambda *leaves: torch.stack(leaves), *drawn)


@dataclass(frozen=True)
class Step:
    """One step from the start of the transformer; its length is about lr sqrt(d) = 68 lr."""

    of: Literal["slope", "entries"]
    lr: float = NEAR


def measure_step(setting: Step, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """The fall of the loss, and 1."""
    params, tokens, _ = at_start()
    plain = TwoPoint(eps=EPS)
    oracle = SignedSlope(plain) if setting.of == "slope" else plain
    rule = GradientDescent(setting.lr) if setting.of == "slope" else SignDescent(setting.lr)

    def fall(draw: Any) -> Tensor:
        ghat = oracle(NETWORK, params, tokens, draw)[1]
        moved = {name: w + rule.step(ghat[name], rule.init(w), w)[0] for name, w in params.items()}
        return NETWORK.loss(params, tokens) - NETWORK.loss(moved, tokens)

    return [{"fell": float(x), "one": 1.0} for x in vmap(fall, chunk_size=32)(stacked(oracle, seeds, params))]


def flat(setting: Step) -> dict[str, float]:
    """tr H = 0: its share of the fall is below 1 % at lr = 5e-4."""
    return {"lr": setting.lr, "grad": norm_at_start(), "tr_H": 0.0}


@dataclass(frozen=True)
class Trial:
    """One conservative step; lr in units of 1 / tr H, which is taken for 9 on the transformer."""

    of: Literal["bigrams", "transformer"]
    share: float


@lru_cache(maxsize=1)
def settled() -> tuple[Params, float]:
    """The bigrams after 60 steps of gradient descent, and tr H = sum_i p_i (1 - |softmax_i|^2) there."""
    trace = run(TEXT, GradientDescent(1 / TEXT.facts.L), steps=60, seed=0)
    W = torch.from_numpy(trace.final["W"])
    return {"W": W}, float((TEXT.frequencies.sum(1) * (1 - W.softmax(1).square().sum(1))).sum())


def measure_trial(setting: Trial, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Whether the decision is not the one of z^T H z, and whether the opposite was taken."""
    bigrams = setting.of == "bigrams"
    problem, batch = (TEXT, None) if bigrams else (NETWORK, at_start()[1])
    params, trace = settled() if bigrams else (at_start()[0], 9.0)
    lr, plain = setting.share / trace, TwoPoint(eps=EPS)
    conservative, gradient = Conservative(lr, plain), grad(lambda w: problem.loss(w, batch))

    def decide(draw: Any) -> tuple[Tensor, Tensor]:
        chosen, step = (oracle(problem, params, batch, draw)[1] for oracle in (conservative, plain))
        z = draw[0]
        _, Hz = jvp(gradient, (params,), (z,))
        return sum((chosen[name] * step[name]).sum() for name in z), sum((z[name] * Hz[name]).sum() for name in z)

    along, curvature = vmap(decide, chunk_size=32)(stacked(plain, seeds, params))
    wrong, opposite = (along > 0) != (lr * curvature < 2), along < 0
    return [{"wrong": float(a), "opposite": float(b)} for a, b in zip(wrong, opposite, strict=True)]


@dataclass(frozen=True)
class Feedback:
    """tau = (lr |g| / eps)^2."""

    tau: float
    steps: int = 8
    eps: float = 1e-6


def measure_feedback(setting: Feedback, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """|ghat|^2 of the last step, |g|^2 at the start, and the decades by which |ghat|^2 has grown since the second step."""
    params, tokens, _ = at_start()
    gradient = norm_at_start()
    oracle, rule = Residual(setting.eps), GradientDescent(setting.eps * math.sqrt(setting.tau) / gradient)
    weights = {name: w.expand(len(seeds), *w.shape) for name, w in params.items()}
    memory, squares = NETWORK.loss(params, tokens).expand(len(seeds)), []

    def step(w: Params, memory: Tensor, draw: Any) -> tuple[Params, Tensor, Tensor]:
        _, g, memory = oracle.step(NETWORK, w, tokens, draw, memory=memory)
        moved = {name: x + rule.step(g[name], rule.init(x), x)[0] for name, x in w.items()}
        return moved, memory, sum(x.square().sum() for x in g.values())

    for k in range(setting.steps):
        weights, memory, square = vmap(step, chunk_size=32)(weights, memory, stacked(oracle, seeds, params, k))
        squares.append(square)
    decades = (squares[-1] / squares[1]).log10()
    return [{"late": float(a), "gradient": gradient**2, "decades": float(b)} for a, b in zip(squares[-1], decades, strict=True)]


def of_feedback(setting: Feedback) -> dict[str, float]:
    d = sum(w.numel() for w in at_start()[0].values())
    gradient = norm_at_start()
    return {"d": d, "eps": setting.eps, "lr": setting.eps * math.sqrt(setting.tau) / gradient, "grad": gradient}


def past_the_edge(setting: Feedback) -> str | None:
    return "lr |grad f| is at least eps: the variance grows without bound" if setting.tau >= 1 else None


def grid(*settings: Any, rows: int) -> Grid:
    return Grid(settings, seeds=tuple(range(rows)), chunk=rows)


def fresh(*settings: Any) -> Grid:
    return Grid(settings, seeds=tuple(range(1_000_000, 1_001_000)), chunk=1000)


def on_text(**fields) -> Claim:
    common = {"source": "derived", "known": "derived", "kind": "upper", "tier": "quick", "cost_s": 0.3, "predicted": Outcome.HOLDS}
    return Claim(**(common | fields))


def on_signs(**fields) -> Claim:
    common = {"quantity": "mean gradient norm over its bound", "measure": measure_signs, "estimate": Range("share"), "limit": 1.0}
    return on_text(**(common | {"theorems": ("zeroth_order_sign",), "dossier": "zo B2", "subject": "zo.sign.text"} | fields))


def on_steps(**fields) -> Claim:
    common = {"quantity": steps.FALL, "measure": measure_step, "estimate": RatioOfMeans("fell", "one"), "subject": "zo.sign.transformer"}
    return on_text(**(common | {"dossier": "zo B2", "tau": 0.15} | fields))


def on_trials(**fields) -> Claim:
    common = {"measure": measure_trial, "theorems": ("zeroth_order_conservative",), "dossier": "zo B3", "subject": "zo.conservative.text"}
    return on_text(**(common | fields))


OPPOSITE = "share of steps whose opposite was taken"
DECIDED = grid(Trial("bigrams", 1.6), Trial("bigrams", 2.4), rows=64)
CLAIMS = (
    on_signs(
        id="zo.sign.text",
        statement="on the bigrams of a text the sign of the slope has a mean gradient norm of at most sqrt(pi/2) (Delta/(K lr) + lr L d/2)",
        plan=grid(Signs("slope"), rows=8),
    ),
    on_signs(
        id="zo.sign.text.entries",
        statement="... and the sign of every entry one of at most (pi/2) (Delta/(K lr) + lr L d/2)",
        plan=grid(Signs("entries"), rows=8),
    ),
    on_steps(
        id="zo.sign.transformer",
        statement="a short step along the sign of the slope falls on a transformer by lr sqrt(2/pi) |g| - lr^2 tr(H) / 2 on average",
        kind="equality",
        plan=grid(Step("slope"), rows=320),
        bound=steps.signed_slope_fall,
        constants=flat,
        found=Found(Outcome.INCONCLUSIVE, "2026-11-22", "320 rows are too few, about 550 are needed; see zo.sign.transformer.more"),
    ),
    on_steps(
        id="zo.sign.transformer.more",
        statement="... asked of 1000 fresh rows",
        kind="equality",
        plan=fresh(Step("slope")),
        bound=steps.signed_slope_fall,
        constants=flat,
    ),
    on_steps(
        id="zo.sign.transformer.entries",
        statement="... with the sign of every entry by at least lr (2/pi) |g| - lr^2 tr(H) / 2",
        kind="lower",
        plan=grid(Step("entries"), rows=320),
        bound=steps.signed_entries_fall,
        constants=flat,
        found=Found(Outcome.INCONCLUSIVE, "2026-11-22", "320 rows are too few, about 880 are needed; see zo.sign.transformer.entries.more"),
    ),
    on_steps(
        id="zo.sign.transformer.entries.more",
        statement="... asked of 1000 fresh rows",
        kind="lower",
        plan=fresh(Step("entries")),
        bound=steps.signed_entries_fall,
        constants=flat,
        found=Found(
            Outcome.ATTAINED,
            "2026-11-22",
            "the bound is met to the resolution of 15 %: sum g_i arcsin(g_i / |g|) is 1.004 |g| for this gradient, and 1 attains it",
        ),
    ),
    on_steps(
        id="zo.sign.transformer.far",
        theorems=("zeroth_order_sign",),
        statement="a step 100 times as long falls by lr sqrt(2/pi) |g| - lr^2 tr(H) / 2, too",
        kind="lower",
        plan=grid(Step("slope", 100 * NEAR), rows=64),
        limit=lambda s: steps.signed_slope_fall.at(lr=s.lr, grad=norm_at_start(), tr_H=9.0),
        predicted=Outcome.VIOLATED,
    ),
    on_trials(
        id="zo.conservative.text",
        statement="on the bigrams of a text at least 95 % of the steps are decided by lr z^T H z < 2",
        plan=DECIDED,
        quantity="share of steps that are decided otherwise than by lr z^T H z < 2",
        estimate=Mean("wrong"),
        limit=0.05,
    ),
    on_trials(
        id="zo.conservative.text.opposite",
        statement="... and the opposite is never taken",
        plan=DECIDED,
        quantity=OPPOSITE,
        estimate=Range("opposite"),
        limit=0.0,
        predicted=Outcome.ATTAINED,
        cost_s=0.0,
    ),
    on_trials(
        id="zo.conservative.transformer",
        statement="on a transformer at lr = 1 / tr H at most 2 % of the steps take the opposite",
        plan=grid(Trial("transformer", 1.0), rows=256),
        quantity=OPPOSITE,
        estimate=Mean("opposite"),
        limit=0.02,
        predicted=Outcome.VIOLATED,
    ),
    on_text(
        id="zo.residual.transformer",
        statement="residual feedback on a transformer has E |ghat|^2 = [d + 2 + d (1 + tau)/(1 - tau)] |g|^2 at eps = 1e-6",
        dossier="zo Z12",
        kind="equality",
        quantity=steps.residual_second_moment.quantity,
        plan=grid(Feedback(0.1, steps=4), Feedback(16.0), rows=512),
        measure=measure_feedback,
        estimate=RatioOfMeans("late", "gradient"),
        bound=steps.residual_second_moment,
        constants=of_feedback,
        scope=past_the_edge,
        tau=0.4,
        subject="zo.residual.transformer",
    ),
    on_text(
        id="zo.residual.transformer.beyond",
        theorems=("zeroth_order_residual",),
        statement="at lr |g| = 4 eps it grows there by more than two decades within six steps",
        dossier="zo Z12",
        kind="lower",
        quantity="mean decades by which |ghat|^2 grows from the second to the eighth step",
        plan=grid(Feedback(16.0), rows=64),
        measure=measure_feedback,
        estimate=Mean("decades"),
        limit=2.0,
        subject="zo.residual.transformer",
    ),
)
