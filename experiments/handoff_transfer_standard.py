"""Question: how does one learning rate for all tensors move with the width, where initial weights are 1 / fan-in throughout?

Claims: adamw.lr-transfer.standard, adam-mini.lr-transfer.standard   the best rate falls like 1 / width, within 0.25
Proof:  none; nothing is known for certain about the loss of a transformer
Cost:   study tier, about 12 core-minutes
Run:    sandbox check adamw.lr-transfer.standard adam-mini.lr-transfer.standard --tier study

The second parametrisation of sandbox/handoff/parametrisation.py: the model's own weights (every matrix N(0, 1 / fan-in), tables N(0,
1 / width)) and no factors. A hidden matrix of Adam wants a rate ~ 1 / width, a table one that does not move, and one number must
serve both; 1 / width is what the hidden matrices want. All else as in handoff_transfer_adamw.py.

The predictions were committed before the first run of these settings.
"""

from sandbox.handoff.transfer_claims import exponent, swept
from sandbox.handoff.transfer_runs import Setting
from sandbox.ledger.claim import Claim, Found
from sandbox.verdict import Outcome


def standard(method: str, name: str, centre: float, found: Found) -> Claim:
    setting = Setting(method, "standard")
    return exponent(
        setting,
        swept(setting, centre),
        Outcome.VIOLATED,
        id=f"{method}.lr-transfer.standard",
        statement=f"with one rate for all tensors the best one of {name} falls like 1 / width",
        source="Yang et al. (2022), https://arxiv.org/abs/2203.03466: the hidden rates of Adam, here of all tensors",
        known="recalled",
        limit=-1.0,
        found=found,
        subject=f"transfer.{method}.standard",
    )


CLAIMS = (
    standard("adamw", "AdamW", 0.024, Found(Outcome.HOLDS, "2026-11-22", "-0.87 [-0.96, -0.78], nearer to what hidden matrices want")),
    standard("adam-mini", "Adam-mini", 0.024, Found(Outcome.HOLDS, "2026-11-22", "-0.88 [-0.93, -0.83]: as AdamW")),
)
