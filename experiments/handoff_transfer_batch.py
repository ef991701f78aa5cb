"""Question: does the best learning rate grow like the root of the batch?

Claims: adamw.lr-batch, adalomo.lr-batch   d log best rate / d log batch is 1/2, within 0.25
Proof:  none; nothing is known for certain about the loss of a transformer
Cost:   study tier, about 5 core-minutes
Run:    sandbox check adamw.lr-batch adalomo.lr-batch --tier study

The root is what the stochastic differential equations of Adam and its kin say where gradients are mostly noise. Batches of 2, 8 and 32
windows of 32 tokens, 200 steps, width 64; all else as in handoff_transfer_adamw.py.

The predictions were committed before the first run of these settings: 200 steps from the start gradients are not yet mostly noise, so
that the rates of small batches should not fall as far as the root says.
"""

from sandbox.handoff.transfer_claims import scaling
from sandbox.handoff.transfer_runs import Setting
from sandbox.verdict import Outcome

__all__ = ["CLAIMS", "Setting"]  # a worker builds its settings from this module

FIELDS = {
    "limit": 0.5,
    "source": "Malladi et al. (2022), https://arxiv.org/abs/2205.10287, for RMSprop and Adam",
    "known": "recalled",
    "cost_s": 150.0,
}
CLAIMS = tuple(
    scaling(
        method,
        "batch",
        (2, 8, 32),
        Outcome.VIOLATED,
        statement=f"the best learning rate of {name} grows like the root of the batch",
        **FIELDS,
    )
    for method, name in (("adamw", "AdamW"), ("adalomo", "AdaLomo"))
)
