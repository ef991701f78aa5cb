"""Question: is LOMO, which moves each tensor inside backward, the same as SGD in two passes?

Claims: lomo.equals-sgd -- no entry of any parameter differs, to the last bit, after 20 steps on real text.
        Two references: torch.optim.SGD, and our stepwise shell (backward first, then every update).
        torch.optim.SGD rounds w - lr g once (a fused multiply-add), our rule rounds lr g and then the difference.
        With lr a power of two lr g is exact and both round once, so the comparison can ask for equal bits; the
        stepwise reference takes lr 0.1.
Proof:  proofs/proof_lomo_is_two_pass.py (every use of a tensor's value in one ordinary backward graph precedes the end of
        its accumulation, tied or not)
Cost:   5 s on one CPU core
Run:    sandbox check lomo.equals-sgd

Changed after a first run: the stepwise reference went through `run`, whose gradients then came from torch.func.grad and
were summed in another order here and there, so bits differed; for a time it was a loop of our own around `backward`,
and since a single run is differentiated on the tape of its loss it is `run` again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from sandbox.fit import Range
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.models.gpt import GPTConfig
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.run import run
from sandbox.verdict import Outcome

MODELS = {  # width 16 and 2 layers: small, and every kind of tensor is there
    "gpt, tied": GPTConfig(vocab=1, width=16, layers=2, heads=4, context=16, tied=True),
    "gpt, untied": GPTConfig(vocab=1, width=16, layers=2, heads=4, context=16, tied=False),
    "llama": LlamaConfig(vocab=1, width=16, layers=2, heads=4, kv_heads=2, context=16),
}


@dataclass(frozen=True)
class Setting:
    """lr: param^2 / loss."""

    model: Literal["gpt, tied", "gpt, untied", "llama"]
    reference: Literal["torch.optim.SGD", "stepwise"]
    lr: float
    steps: int = 20


def problem_of(setting: Setting) -> LanguageProblem:
    return fitted(LanguageProblem(MODELS[setting.model], tokenizer=Characters(), batch_size=2, dtype="float32"))


def two_pass(problem: LanguageProblem, setting: Setting, seed: int) -> Mapping[str, np.ndarray]:
    """The parameters after `steps` steps of the reference: backward through the whole model, then all updates."""
    if setting.reference == "stepwise":
        return run(problem, GradientDescent(setting.lr), steps=setting.steps, seed=seed, shell="stepwise").final
    params = {name: torch.nn.Parameter(w) for name, w in problem.start(seed).items()}
    optimizer = torch.optim.SGD(params.values(), lr=setting.lr)
    for k in range(setting.steps):
        optimizer.zero_grad()
        problem.loss(params, problem.batch(seed, k)).backward()
        optimizer.step()
    return {name: w.detach().double().numpy() for name, w in params.items()}


def measure(setting: Setting, seed: int) -> dict[str, float]:
    """How many entries of the final parameters differ, of how many, and how many moved at all."""
    problem = problem_of(setting)
    fused = run(problem, GradientDescent(setting.lr), steps=setting.steps, seed=seed, shell="fused").final
    reference, start = two_pass(problem, setting, seed), problem.start(seed)
    return {
        "differing": sum(int(np.count_nonzero(fused[name] != reference[name])) for name in start),
        "moved": sum(int(np.count_nonzero(fused[name] != w.double().numpy())) for name, w in start.items()),
        "entries": sum(w.numel() for w in start.values()),
    }


SETTINGS = tuple(Setting(model, reference, lr) for model in MODELS for reference, lr in (("torch.optim.SGD", 0.125), ("stepwise", 0.1)))

CLAIMS = (
    Claim(
        id="lomo.equals-sgd",
        theorems=("lomo_is_two_pass",),
        statement="The update of LOMO is that of SGD: fusing it into backward changes no bit of the parameters.",
        source="LOMO (arXiv:2306.09782), section 3.1 and Algorithm 1",
        known="read",
        dossier="lomo C1",
        kind="equality",
        tier="quick",
        cost_s=5,
        quantity="parameter entries that differ from two-pass SGD after 20 steps",
        plan=Grid(SETTINGS, seeds=(0, 1)),
        measure=per_seed(measure),
        estimate=Range("differing"),
        limit=0.0,
        predicted=Outcome.HOLDS,
    ),
)
