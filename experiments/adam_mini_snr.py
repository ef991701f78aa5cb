"""Question: along which side of a matrix are Adam's second moments alike, and what does one mean of them do to its step?

SNR_K = mean over blocks of (mean v)^2 / var v, a block being what a mean over the axis K joins: along fan-in one per output
neuron, which is Adam-mini's block, along fan-out one per input. Tokens are the fan-in of an embedding, the fan-out of a head.

Claims: adam-mini.snr.value, .attention-out, .ffn-out   larger along fan-out
        adam-mini.snr.query, .key, .ffn-in              larger along fan-in
        adam-mini.snr.embedding, .head                  below 1 over tokens
        adam-mini.snr.cosine.value, .attention-out, .ffn-out   the step with means along fan-out is closer to Adam's
        adam-mini.snr.distortion       |step' - step| / |step| is 1/2 sqrt(mean of 1 / snr), to 20 %, where snr > 1
        adam-mini.snr.distortion.mean  ... is 1/2 SNR_K^-1/2, to 20 %
Proof:  none; for the distortion see proofs/proof_adam_mini_update_cosine.py
Cost:   full tier, 60 s on one CPU core
Run:    sandbox check adam-mini.snr.value --tier full

GPT-like, 1 layer, width 32, feed-forward 128, real text by characters, 512 tokens a step; 500 steps of Adam, lr 3e-3, betas
(0.9, 0.95); 6 seeds. With that beta2 an entry's own noise limits the SNR to (1 + beta2) / (1 - beta2) / 2 = 19.5 for Gaussian
gradients. SlimAdam reports the sides for larger models; Adam-mini takes fan-in everywhere. Found: its sides, but for the value
matrix, where neither is decided; the down projection gains most, 0.97 against 0.88 in cosine.

The predictions were committed before the first run of this file.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.func import grad

from sandbox.curvature.snr import along, change_of_step, mean_snr
from sandbox.fit import Mean, PairedDifference
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.roles import Role
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adam import Adam
from sandbox.problems.base import Problem
from sandbox.verdict import Outcome

BETAS = (0.9, 0.95)
BY_INPUT = {"value": "value", "attention_out": "output projection", "ffn_out": "down projection"}
BY_OUTPUT = {"query": "query", "key": "key", "ffn_in": "up projection"}
OVER_TOKENS = {"embedding": "fan-in", "head": "fan-out"}
KINDS = (*BY_INPUT, *BY_OUTPUT, *OVER_TOKENS)


@dataclass(frozen=True)
class Setting:
    width: int = 32
    ffn: int = 128
    context: int = 16
    batch: int = 32
    steps: int = 500
    lr: float = 3e-3


def problem_of(setting: Setting) -> LanguageProblem:
    model = GPTConfig(1, width=setting.width, layers=1, heads=4, context=setting.context, tied=False, ffn=setting.ffn)
    return fitted(LanguageProblem(model, tokenizer=Characters(), batch_size=setting.batch))


def moments(problem: Problem, rule: Adam, steps: int, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Adam's first and second moment of every tensor after `steps` steps."""
    params = problem.start(seed)
    states = {name: rule.init(w) for name, w in params.items()}
    slope = grad(problem.loss)
    for k in range(steps):
        moved = {name: rule.step(g, states[name], params[name]) for name, g in slope(params, problem.batch(seed, k)).items()}
        params = {name: params[name] + delta for name, (delta, _) in moved.items()}
        states = {name: state for name, (_, state) in moved.items()}
    return {name: (state.m, state.v) for name, state in states.items()}


def of_tensor(m: Tensor, v: Tensor, role: Role) -> dict[str, dict[str, float]]:
    """Per side: SNR_K, the cosine of both steps, their distance, and what that would be by each block's ratio and by their mean."""
    found = {}
    for side, (axis,) in (("fan-in", role.input_dims), ("fan-out", role.output_dims)):
        labels = along(tuple(v.shape), axis)
        ratio, change = mean_snr(v, labels), change_of_step(m, v, labels)
        found[side] = dict(snr=ratio, cosine=change.cosine, distance=change.distance, blocks=change.predicted, mean=ratio**-0.5 / 2)
    return found


def distortions(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """Distance over each of its predictions, in the mean over tensors and sides whose blocks have an snr above 1 together."""
    cases = [side for sides in found.values() for side in sides.values() if side["blocks"] < 0.5]
    return {by: float(np.mean([case["distance"] / case[by] for case in cases])) for by in ("blocks", "mean")} | {"cases": len(cases)}


def values(setting: Setting, seed: int) -> dict[str, float]:
    problem = problem_of(setting)
    last = moments(problem, Adam(setting.lr, BETAS), setting.steps, seed)
    found = {role.kind: of_tensor(*last[name], role) for name, role in problem.roles.items() if role.kind in KINDS}
    flat = {f"{kind} {side} {key}": x for kind, sides in found.items() for side, of in sides.items() for key, x in of.items()}
    return flat | distortions(found)


COMMON = dict(
    source="SlimAdam (arXiv:2503.01843), the sides along which second moments are averaged",
    known="second-hand",
    dossier="adam-mini C26",
    kind="ordering",
    tier="full",
    cost_s=60.0,
    plan=Grid((Setting(),), seeds=tuple(range(6))),
    measure=per_seed(values),
    subject="adam-mini.snr",
    predicted=Outcome.HOLDS,
)


def larger(kind: str, name: str, sides: tuple[str, str], **fields) -> Claim:
    """SNR_K along the first side exceeds that along the second."""
    own = dict(
        id=f"adam-mini.snr.{kind.replace('_', '-')}",
        statement=f"Second moments of the {name} are more alike along {sides[0]} than along {sides[1]}.",
        quantity=f"SNR along {sides[1]} minus SNR along {sides[0]}",
        estimate=PairedDifference(f"{kind} {sides[1]} snr", f"{kind} {sides[0]} snr"),
    )
    return Claim(**(COMMON | own | fields))


def closer(kind: str, name: str, **fields) -> Claim:
    own = dict(
        id=f"adam-mini.snr.cosine.{kind.replace('_', '-')}",
        statement=f"In the {name} a step with means along fan-out is closer to Adam's than one with Adam-mini's means along fan-in.",
        quantity="cosine with Adam's step, means along fan-in minus means along fan-out",
        estimate=PairedDifference(f"{kind} fan-in cosine", f"{kind} fan-out cosine"),
    )
    return Claim(**(COMMON | own | fields))


def few(kind: str, side: str, **fields) -> Claim:
    own = dict(
        id=f"adam-mini.snr.{kind}",
        statement=f"Second moments of the {kind} are not alike over tokens: their SNR is below 1.",
        kind="upper",
        quantity="SNR over tokens",
        estimate=Mean(f"{kind} {side} snr"),
        limit=1.0,
    )
    return Claim(**(COMMON | own | fields))


def distorted(slug: str, by: str, statement: str, **fields) -> Claim:
    own = dict(
        id=f"adam-mini.snr.{slug}",
        statement=statement,
        source="derived: a step changes by the factor sqrt(1 + e), E e^2 = 1 / snr, if first moments are as large as sqrt(v)",
        known="derived",
        dossier="adam-mini C12, T6",
        kind="equality",
        quantity="distance of both steps over its prediction, mean over tensors and sides with snr > 1",
        estimate=Mean(by),
        limit=1.0,
        tau=0.2,
    )
    return Claim(**(COMMON | own | fields))


FOUND = {  # by kind: of the SNR, and of the cosine
    "value": (
        Found(Outcome.INCONCLUSIVE, "2026-11-22", "2.49 along fan-out against 1.90, the other way round on 2 of 6 seeds"),
        Found(Outcome.INCONCLUSIVE, "2026-11-22", "0.953 along fan-out against 0.946: next to nothing for the value matrix"),
    ),
}
NONE = (None, None)
CLAIMS = (
    *(larger(kind, name, ("fan-out", "fan-in"), found=FOUND.get(kind, NONE)[0]) for kind, name in BY_INPUT.items()),
    *(larger(kind, name, ("fan-in", "fan-out")) for kind, name in BY_OUTPUT.items()),
    *(few(kind, side) for kind, side in OVER_TOKENS.items()),
    *(closer(kind, name, found=FOUND.get(kind, NONE)[1]) for kind, name in BY_INPUT.items()),
    distorted("distortion", "blocks", "One second moment a block changes Adam's step by half the root of the mean 1 / snr."),
    distorted("distortion.mean", "mean", "... by half of SNR_K^-1/2, the mean over blocks."),
)
