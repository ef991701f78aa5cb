"""Question: what do fresh seeds say where the first ones left a rule open: AdamW at four layers and against the decay, GWT at width 512?

Claims: adamw.lr-transfer.depth-4.more   d log best rate / d log width is 0 within 0.25 with 4 layers, on 8 fresh seeds
        adamw.lr-decay.more              d log best rate / d log decay is 0 within 0.25, on 16 fresh seeds
        gwt.lr-regret.more               the rate predicted for width 512 costs at most 0.02 nats there, on 8 fresh seeds
Proof:  none; nothing is known for certain about the loss of a transformer
Cost:   study tier, about 60 core-minutes
Run:    sandbox check adamw.lr-transfer.depth-4.more adamw.lr-decay.more gwt.lr-regret.more --tier study

The settings are those of handoff_transfer_depth.py, handoff_transfer_decay.py and handoff_transfer_gwt.py, whose seeds left them open:
-0.17 [-0.26, -0.09], 0.31 [0.11, 0.52] and 0.000 [-0.026, 0.026] nats, with about 5, 13 and 5 seeds to decide. The predictions follow
those means and were committed before the first run of these seeds.
"""

from dataclasses import replace

from sandbox.handoff.sweep import Carried
from sandbox.handoff.transfer_claims import CENTRES, TEST_WIDTH, exponent, regret, swept
from sandbox.handoff.transfer_runs import Setting
from sandbox.ledger.claim import Found
from sandbox.verdict import Outcome

__all__ = ["CLAIMS", "Setting"]  # a worker builds its settings from this module

DEEP = exponent(
    Setting("adamw", layers=4),
    swept(Setting("adamw", layers=4), CENTRES["adamw"], seeds=tuple(range(10, 18))),
    Outcome.HOLDS,
    id="adamw.lr-transfer.depth-4.more",
    statement="with 4 layers, too, AdamW has one best learning rate at all widths, on fresh seeds",
    subject="transfer.adamw.depth-4",
    cost_s=1100,
    found=Found(Outcome.INCONCLUSIVE, "2026-11-22", "-0.19 [-0.27, -0.12]; about 12 seeds would decide"),
)
DECAY = exponent(
    Setting("adamw"),
    swept(Setting("adamw"), CENTRES["adamw"], seeds=tuple(range(10, 26)), along="weight_decay", points=(0.01, 0.1, 1.0), base=0.1),
    Outcome.VIOLATED,
    id="adamw.lr-decay.more",
    statement="the best learning rate of AdamW does not move with the weight decay, on fresh seeds",
    source="derived: at 200 steps the product of rate, decay and steps is small",
    known="derived",
    dossier="transfer T3",
    subject="transfer.adamw.decay",
    cost_s=1000,
    found=Found(
        Outcome.HOLDS,
        "2026-11-22",
        "0.234 [0.222, 0.246], and not a power: the best rate is 0.012 at decay 0.01, 0.013 at 0.1 and 0.046 at 1",
    ),
)
WIDE = replace(
    regret(Setting("gwt"), swept(Setting("gwt"), CENTRES["gwt"]), Outcome.HOLDS),
    id="gwt.lr-regret.more",
    statement="the rate that widths up to 256 predict for GWT at 512 costs at most 0.02 nats there, on fresh seeds",
    plan=Carried(swept(Setting("gwt"), CENTRES["gwt"]), TEST_WIDTH, tuple(range(110, 118))),
    cost_s=1100,
)
CLAIMS = (DEEP, DECAY, WIDE)
