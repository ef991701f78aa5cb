"""Question: does the width rule of two layers hold with four?

Claims: adamw.lr-transfer.depth-4, adam-mini.lr-transfer.depth-4   d log best rate / d log width is 0 within 0.25 with 4 layers
Proof:  none; nothing is known for certain about the loss of a transformer
Cost:   study tier, about 22 core-minutes
Run:    sandbox check adamw.lr-transfer.depth-4 adam-mini.lr-transfer.depth-4 --tier study

All as in handoff_transfer_adamw.py, but for the number of layers. Nothing is scaled by depth (no factor on residual branches), so the
rates themselves may differ from those of two layers: each sample holds them beside the exponent.

The predictions were committed before the first run of these settings.
"""

from sandbox.handoff.transfer_claims import exponent, swept
from sandbox.handoff.transfer_runs import Setting
from sandbox.ledger.claim import Claim, Found
from sandbox.verdict import Outcome


def deep(method: str, name: str, centre: float, found: str) -> Claim:
    setting = Setting(method, layers=4)
    return exponent(
        setting,
        swept(setting, centre),
        Outcome.HOLDS,
        id=f"{method}.lr-transfer.depth-4",
        statement=f"with 4 layers, too, {name} has one best learning rate at all widths",
        cost_s=660,
        found=Found(Outcome.INCONCLUSIVE, "2026-11-22", found),
        subject=f"transfer.{method}.depth-4",
    )


CLAIMS = (
    deep("adamw", "AdamW", 0.012, "-0.17 [-0.26, -0.09]; about 5 seeds would decide: handoff_transfer_more.py asks 8 fresh ones"),
    deep("adam-mini", "Adam-mini", 0.012, "-0.26 [-0.38, -0.15], as with 2 layers on the edge of the margin"),
)
