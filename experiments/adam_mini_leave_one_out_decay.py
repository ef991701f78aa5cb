"""Question: does one learning rate do for embedding, head and norms, too, where they decay as they would under AdamW?

Claims:  adam-mini.leave-one-out.decay.KIND   one tensor has momentum, one learning rate of its own and AdamW's decay, everything else
                                              has AdamW: within 0.02 nats of AdamW, for embedding, head, and all norms
Proof:   none; nothing is known for certain about the loss of a transformer
Cost:    study tier, 12 minutes on one core
Run:     sandbox check adam-mini.leave-one-out.decay.norm --tier study

In adam_mini_leave_one_out.py the tensor that is left out of Adam does not decay, all three end 0.02 nats below AdamW, and decay of norms
alone costs AdamW 0.024 nats. Here it decays by 8e-3 * 0.1 of itself a step at the top of the schedule, as it would under AdamW at the rate
of the rest, whatever its own rate is. Everything else as there, on 24 fresh paired seeds.

Found: 0.025, 0.019 and 0.033 nats *below* AdamW, as far as without decay, so that the missing decay is not why. What is left that
AdamW has not is a second rate, tuned for the one tensor.

The predictions were committed before any run of this file, with the runs without decay in view.
"""

from sandbox.fit import PairedDifference
from sandbox.ledger.claim import Claim
from sandbox.ledger.tuning import Tuned
from sandbox.measures.leave_one_out import WHOLE_MODEL, Setting, train_decayed
from sandbox.verdict import Outcome

ADAM_GRID = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2)
MOMENTUM_GRID = (0.01, 0.04, 0.16, 0.64, 2.56, 10.24)
TUNE_SEEDS, SEEDS = (0, 1, 2), tuple(range(500, 524))
MARGIN = 0.02  # nats per token, as in training_on_text.py


def claim_of(kind: str) -> Claim:
    where = {"norm": "all norms", "embedding": "the embedding", "head": "the head"}[kind]
    return Claim(
        id=f"adam-mini.leave-one-out.decay.{kind}",
        statement=f"Momentum with one tuned rate and decay on {where}, AdamW on the rest, ends within {MARGIN} nats of AdamW or below",
        source="Zhang et al. (2024), https://arxiv.org/abs/2406.16793, leave-one-out ablation",
        known="second-hand",
        dossier="adam-mini C28",
        kind="upper",
        tier="study",
        cost_s=240.0,
        quantity=f"held-out loss with {where} left out of Adam and decayed minus AdamW, nats per token",
        plan=Tuned(Setting(kind), Setting(), MOMENTUM_GRID, ADAM_GRID, TUNE_SEEDS, SEEDS, key="loss_100", also=("loss_10", "loss_50")),
        measure=train_decayed,
        subject="adam-mini.leave-one-out.decay",
        estimate=PairedDifference("ours", "theirs"),
        limit=MARGIN,
        predicted=Outcome.HOLDS,
    )


CLAIMS = tuple(claim_of(kind) for kind in WHOLE_MODEL)
