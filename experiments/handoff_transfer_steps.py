"""Question: does the best learning rate move with the number of steps?

Claims: adamw.lr-steps, adalomo.lr-steps   d log best rate / d log steps is 0 within 0.25
Proof:  none; nothing is known for certain about the loss of a transformer
Cost:   study tier, about 6 core-minutes
Run:    sandbox check adamw.lr-steps adalomo.lr-steps --tier study

Rules of transfer speak of width, depth and batch, and leave the rate as it is when there are more steps. 50, 200 and 800 steps, width
64; warm-up and cosine follow the number of steps; all else as in handoff_transfer_adamw.py.

The predictions were committed before the first run of these settings: in few steps a model gets less far than it could, so that the
best rate should be the larger the fewer they are.
"""

from sandbox.handoff.transfer_claims import scaling
from sandbox.handoff.transfer_runs import Setting
from sandbox.verdict import Outcome

__all__ = ["CLAIMS", "Setting"]  # a worker builds its settings from this module

FIELDS = {
    "source": "derived: published rules of transfer have no exponent for the number of steps",
    "known": "derived",
    "cost_s": 180.0,
}
CLAIMS = tuple(
    scaling(
        method,
        "steps",
        (50, 200, 800),
        Outcome.VIOLATED,
        statement=f"the best learning rate of {name} does not move with the number of steps",
        **FIELDS,
    )
    for method, name in (("adamw", "AdamW"), ("adalomo", "AdaLomo"))
)
