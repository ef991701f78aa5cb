"""A small Llama on text where one tensor has momentum and a learning rate of its own, and everything else has AdamW.

The rest has AdamW at ADAM_LR, near the best of 1,500 steps of 128 tokens. AdamW decays every weight, norms too, by lr DECAY of itself a
step; the tensor that is left out does not decay, or as fast as AdamW would decay it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.ledger.training_together import losses_at_marks
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.roles import Role
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.weight_decay import WeightDecay

BETAS, DECAY, ADAM_LR = (0.9, 0.95), 0.1, 8e-3
WHOLE_MODEL = ("embedding", "head", "norm")


@dataclass(frozen=True)
class Setting:
    """left: the kind of the tensor that is left out of Adam, in the first block where every block has one; "" for none.

    lr: of that tensor; of all of them where none is left out.
    """

    left: str = ""
    lr: float = 0.0
    steps: int = 1500
    width: int = 32
    layers: int = 2
    heads: int = 4
    context: int = 32
    batch: int = 4


def problem_of(setting: Setting) -> LanguageProblem:
    model = LlamaConfig(vocab=2, width=setting.width, layers=setting.layers, heads=setting.heads, context=setting.context)
    return fitted(LanguageProblem(model, tokenizer=Characters(), batch_size=setting.batch))


def left_out(setting: Setting, roles: dict[str, Role]) -> list[str]:
    """The names of the tensors without Adam. Raises ValueError for a kind that the model does not have."""
    if not setting.left:
        return []
    names = [name for name, role in roles.items() if role.kind == setting.left]
    if not names:
        raise ValueError(f"left must be a kind of the model, one of {sorted({role.kind for role in roles.values()})}, got {setting.left!r}")
    return names if setting.left in WHOLE_MODEL else names[:1]


def undecayed(setting: Setting) -> Rule:
    """The rule of the tensor that is left out: momentum alone."""
    return GradientDescent(setting.lr, momentum=0.9)


def decayed(setting: Setting) -> Rule:
    """... and momentum with AdamW's own decay beside it, ADAM_LR * DECAY of the weight a step, whatever the rate of the tensor."""
    return WeightDecay(undecayed(setting), ADAM_LR * DECAY / setting.lr)


def rules_of(setting: Setting, roles: dict[str, Role], alone: Callable[[Setting], Rule] = undecayed) -> dict[str, Rule]:
    """By name. alone: the rule of the tensor that is left out."""
    left = left_out(setting, roles)
    rest = AdamW(ADAM_LR if left else setting.lr, BETAS, weight_decay=DECAY)
    return {name: alone(setting) if name in left else rest for name in roles}


def train(setting: Setting, seeds: tuple[int, ...], alone: Callable[[Setting], Rule] = undecayed) -> list[dict[str, float]]:
    """Held-out loss of every seed, nats per token, at 10, 50 and 100 % of the schedule; inf where the run diverged."""
    problem = problem_of(setting)
    return losses_at_marks(problem, rules_of(setting, problem.roles, alone), steps=setting.steps, seeds=seeds)


def train_decayed(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    return train(setting, seeds, decayed)
