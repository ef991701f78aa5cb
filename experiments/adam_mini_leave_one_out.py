"""Question: where does Adam need more than one learning rate per tensor?

Claims:  adam-mini.leave-one-out.KIND   one tensor has momentum and one learning rate of its own, everything else has Adam: within
                                        0.02 nats of AdamW, for query, key, value, output projection, feed-forward in, gate and
                                        out of the first block, embedding, head, and all norms
Proof:   none; nothing is known for certain about the loss of a transformer
Cost:    study tier, about half an hour on one core
Run:     sandbox check adam-mini.leave-one-out.query --tier study

The paper's ablation, as told second-hand: Adam on all tensors but one, gradient descent with momentum on that one with a grid of
learning rates; for every tensor some rate matches Adam. Against it: embedding, head and norms are said to need Adam most
(Adalayer, https://arxiv.org/abs/2407.07972, second-hand).

The model, the text and the schedule are those of adam_mini_partition_control.py: width 32, 2 layers, 128 tokens a step, 1,500
steps. Momentum 0.9; its rate is tuned over 6 rates a factor of 4 apart, of which the grid adds more where the best is at an
edge; the rest has AdamW at 8e-3, near the best of that length. AdamW itself tunes over 6 rates, a factor of 2 apart. 12 fresh paired seeds.

The predictions were committed before any run of this file. Found: for every tensor some rate does, and nearly all end *below* AdamW. That
is no sign against Adam alone: the tensor that is left out has no weight decay either, and decay of norms alone costs AdamW 0.024 nats
here (adamw.norm-decay); the two were not told apart.
"""

from dataclasses import dataclass

from sandbox.fit import PairedDifference
from sandbox.ledger.claim import Claim, Found
from sandbox.ledger.training_together import losses_at_marks
from sandbox.ledger.tuning import Tuned
from sandbox.models.language import LanguageProblem, fitted
from sandbox.models.llama import LlamaConfig
from sandbox.models.roles import Role
from sandbox.models.tokenizers import Characters
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.verdict import Outcome

BETAS, DECAY, ADAM_LR = (0.9, 0.95), 0.1, 8e-3
ADAM_GRID = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)
MOMENTUM_GRID = (0.01, 0.04, 0.16, 0.64, 2.56, 10.24)
TUNE_SEEDS, SEEDS = (0, 1, 2), tuple(range(400, 412))
MARGIN = 0.02  # nats per token, as in training_on_text.py
ONE_BLOCK = ("query", "key", "value", "attention_out", "ffn_in", "ffn_gate", "ffn_out")
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


def rules_of(setting: Setting, roles: dict[str, Role]) -> dict[str, Rule]:
    left = left_out(setting, roles)
    rest = AdamW(ADAM_LR if left else setting.lr, BETAS, weight_decay=DECAY)
    return {name: GradientDescent(setting.lr, momentum=0.9) if name in left else rest for name in roles}


def train(setting: Setting, seeds: tuple[int, ...]) -> list[dict[str, float]]:
    """Held-out loss of every seed, nats per token, at 10, 50 and 100 % of the schedule; inf where the run diverged."""
    problem = problem_of(setting)
    return losses_at_marks(problem, rules_of(setting, problem.roles), steps=setting.steps, seeds=seeds)


def claim_of(kind: str, predicted: Outcome, found: Found | None = None) -> Claim:
    where = {"norm": "all norms", "embedding": "the embedding", "head": "the head"}.get(kind, f"the first {kind.replace('_', ' ')}")
    return Claim(
        id=f"adam-mini.leave-one-out.{kind.replace('_', '-')}",
        statement=f"Momentum with one tuned learning rate on {where}, AdamW on the rest, ends within {MARGIN} nats of AdamW or below",
        source="Zhang et al. (2024), https://arxiv.org/abs/2406.16793, leave-one-out ablation",
        known="second-hand",
        dossier="adam-mini C28",
        kind="upper",
        tier="study",
        cost_s=150.0,
        quantity=f"held-out loss with {where} left out of Adam minus AdamW, nats per token",
        plan=Tuned(Setting(kind), Setting(), MOMENTUM_GRID, ADAM_GRID, TUNE_SEEDS, SEEDS, key="loss_100", also=("loss_10", "loss_50")),
        measure=train,
        subject="adam-mini.leave-one-out",
        estimate=PairedDifference("ours", "theirs"),
        limit=MARGIN,
        predicted=predicted,
        found=found,
    )


CLAIMS = (
    *(claim_of(kind, Outcome.HOLDS) for kind in ONE_BLOCK),
    claim_of(
        "embedding",
        Outcome.VIOLATED,  # rare tokens need their own rate
        Found(Outcome.HOLDS, "2026-11-22", "-0.024 nats [-0.041, -0.006]: below AdamW, with no decay on the tensor that is left out"),
    ),
    claim_of(
        "head",
        Outcome.VIOLATED,
        Found(Outcome.HOLDS, "2026-11-22", "-0.022 nats [-0.033, -0.010]: below AdamW, with no decay on the tensor that is left out"),
    ),
    claim_of("norm", Outcome.HOLDS),
)
