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
is no sign against Adam alone: the tensor that is left out has a rate of its own, and no weight decay, while decay of norms alone costs
AdamW 0.024 nats here (adamw.norm-decay). Decay is not the reason for embedding, head and norms: `adam_mini_leave_one_out_decay` repeats
them with AdamW's decay, and they end as far below. A rate of its own within Adam was not tried. Value and
feed-forward in and gate do best at rates of 0.0025 and below, all others at 0.16 and above.
"""

from sandbox.fit import PairedDifference
from sandbox.ledger.claim import Claim, Found
from sandbox.ledger.tuning import Tuned
from sandbox.measures.leave_one_out import Setting, train
from sandbox.verdict import Outcome

ADAM_GRID = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)
MOMENTUM_GRID = (0.01, 0.04, 0.16, 0.64, 2.56, 10.24)
TUNE_SEEDS, SEEDS = (0, 1, 2), tuple(range(400, 412))
MARGIN = 0.02  # nats per token, as in training_on_text.py
ONE_BLOCK = ("query", "key", "value", "attention_out", "ffn_in", "ffn_gate", "ffn_out")


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
