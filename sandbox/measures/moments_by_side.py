"""Adam's second moments after a short training on text, along both sides of every matrix.

SNR_K = mean over blocks of (mean v)^2 / var v, a block being what a mean over the axis K joins: along fan-in one per output
neuron, which is Adam-mini's block, along fan-out one per input. Tokens are the fan-in of an embedding, the fan-out of a head.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.func import grad

from sandbox.curvature.snr import along, change_of_step, mean_snr
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.roles import Role
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adam import Adam
from sandbox.problems.base import Problem

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
