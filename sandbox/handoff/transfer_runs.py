"""One run of a sweep: a Llama-like model on real text, trained by one of the seven methods, and its held-out loss.

Head size 16, so heads = width / 16; head and table of tokens are two tensors. Initial weights N(0, 1 / fan-in) at the base width 64.
Linear warm-up over 10 % of the steps, then a cosine to 10 % of the rate; no clipping. GaLore, RSO and GWT are on the matrices inside the
blocks, and Adam is on the rest, with the same rate; ranks are width / 4, projectors are new every 50 steps.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from sandbox.handoff.parametrisation import HIDDEN, Parametrisation, Parametrised, at_width
from sandbox.models.cuts import adam_mini
from sandbox.models.language import LanguageProblem
from sandbox.models.llama import LlamaConfig
from sandbox.models.tokenizers import BytePairs
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule
from sandbox.optimizers.came import CAME
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.weight_decay import WeightDecay
from sandbox.run import Schedule, run

Method = Literal["adamw", "adam-mini", "adalomo", "came", "galore", "rso", "gwt"]
METHODS: tuple[Method, ...] = get_args(Method)
BETAS = (0.9, 0.95)
VOCAB, CONTEXT, HEAD, BASE_WIDTH, GAP = 512, 32, 16, 64, 50


@dataclass(frozen=True)
class Setting:
    """batch: windows of 32 tokens a step.  lr: of the base width."""

    method: str
    parametrisation: str = "mu"
    width: int = BASE_WIDTH
    layers: int = 2
    lr: float = 0.0
    steps: int = 200
    batch: int = 8
    weight_decay: float = 0.0


def problem_of(setting: Setting) -> Parametrised:
    """Raises ValueError for a width that is no multiple of the head size."""
    if setting.width % HEAD:
        raise ValueError(f"the width must be a multiple of {HEAD}, the size of a head, got {setting.width}")
    heads = setting.width // HEAD
    model = LlamaConfig(VOCAB, width=setting.width, layers=setting.layers, heads=heads, context=CONTEXT, init="lecun")
    problem = LanguageProblem(model, tokenizer=BytePairs(VOCAB), batch_size=setting.batch)
    return Parametrised(problem, Parametrisation(setting.parametrisation, BASE_WIDTH))


def rules_of(setting: Setting, problem: LanguageProblem) -> dict[str, Rule]:
    """The rule of every tensor, with the rate of the base width. Raises ValueError for a method that this file does not know."""
    method, lr, decay, rank = setting.method, setting.lr, setting.weight_decay, setting.width // 4
    if method == "adam-mini":
        cuts = adam_mini(problem.roles, problem.shapes)
        return {name: AdamMini(lr, BETAS, weight_decay=decay, n_blocks=cut.n_blocks, dim=cut.dim) for name, cut in cuts.items()}
    everywhere = {
        "adamw": AdamW(lr, BETAS, weight_decay=decay),
        "adalomo": AdaLomo(lr, weight_decay=decay),
        "came": CAME(lr, weight_decay=decay),
    }
    inside = {
        "galore": GaLore(Adam(lr, BETAS), rank=rank, update_gap=GAP),
        "rso": RSO(Adam(lr, BETAS), rank=rank, update_gap=GAP, law="gaussian"),
        "gwt": GWT(Adam(lr, BETAS)),
    }
    if method in everywhere:
        return dict.fromkeys(problem.roles, everywhere[method])
    if method not in inside:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    frame = WeightDecay(inside[method], decay) if decay else inside[method]
    return {name: frame if role.kind in HIDDEN else everywhere["adamw"] for name, role in problem.roles.items()}


def trained(setting: Setting, seed: int) -> dict[str, float]:
    """Held-out loss at the end in nats per token, inf where the run diverged, and the mean training loss of the last tenth."""
    problem = problem_of(setting)
    rules = at_width(rules_of(setting, problem.problem), problem.problem.roles, setting.width, problem.parametrisation)
    trace = run(
        problem,
        rules,
        steps=setting.steps,
        seed=seed,
        schedule=Schedule(setting.steps, warmup=setting.steps // 10, floor=0.1),
        watch=lambda k, params: {"loss": problem.held_out(params)} if k == setting.steps else None,
    )
    if trace.status == "diverged":
        return {"loss": float("inf"), "train": float("inf")}
    return {"loss": trace.watched[setting.steps]["loss"], "train": float(trace.loss[-max(1, setting.steps // 10) :].mean())}


def measure(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    return [trained(setting, seed) for seed in seeds]
