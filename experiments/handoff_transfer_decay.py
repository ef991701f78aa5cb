"""Question: does the best learning rate move with the weight decay?

Claims: adamw.lr-decay, adalomo.lr-decay   d log best rate / d log decay is 0 within 0.25
Proof:  none; nothing is known for certain about the loss of a transformer
Cost:   study tier, about 3 core-minutes
Run:    sandbox check adamw.lr-decay adalomo.lr-decay --tier study

Decay counts as rate times decay times steps, of AdaLomo times the size of the weight too; with 200 steps that is small. Decays 0.01,
0.1 and 1, width 64; all else as in handoff_transfer_adamw.py.

The predictions were committed before the first run of these settings.
"""

from sandbox.handoff.transfer_claims import scaling
from sandbox.handoff.transfer_runs import Setting
from sandbox.ledger.claim import Found
from sandbox.verdict import Outcome

__all__ = ["CLAIMS", "Setting"]  # a worker builds its settings from this module

FIELDS = {
    "source": "derived: at 200 steps the product of rate, decay and steps is small",
    "known": "derived",
    "cost_s": 90.0,
}
OPEN = Found(Outcome.INCONCLUSIVE, "2026-11-22", "0.31 [0.11, 0.52]: a decay of 1 wants a larger rate; about 13 seeds would decide")
CLAIMS = tuple(
    scaling(
        method,
        "weight_decay",
        (0.01, 0.1, 1.0),
        Outcome.HOLDS,
        statement=f"the best learning rate of {name} does not move with the weight decay",
        found=found,
        **FIELDS,
    )
    for method, name, found in (("adamw", "AdamW", OPEN), ("adalomo", "AdaLomo", None))
)
