"""Question: do the width factors of a class move the outputs of hidden matrices alike at all widths over a whole run?

Claims: adamw.whole-run-check, adalomo.whole-run-check, galore.whole-run-check   d log change / d log width is 0 within 0.1
Proof:  none; nothing is known for certain about the loss of a transformer
Cost:   study tier, about 150 s on one core
Run:    sandbox check adamw.whole-run-check adalomo.whole-run-check galore.whole-run-check --tier study

The step from the coordinate check to the sweep: RMS of (W_T - W_0) x over the hidden matrices after the 200 steps of a run of
handoff_transfer_METHOD.py, at the middle of its grid (AdamW 0.012, AdaLomo 0.1, GaLore 0.06), on a batch that the run did not see, with
the width factors of the class; widths 32 to 256. If the best rate were the one that keeps this change, its exponent would be the
opposite of this one. It is not: AdamW's change falls with width^-0.30, and its best rate does not rise but falls, with width^-0.11
(adamw.lr-transfer). What else bounds the rate (tables and gains have the same rate at all widths) is open.

The predictions were committed before the first run of these seeds; a trial on the seed 5000 at widths 32, 64 and 128 gave -0.38 for AdamW,
-0.15 for AdaLomo and no clear trend for GaLore, so it is predicted to stay open.
"""

from sandbox.fit import Mean
from sandbox.handoff.coordinates import Trip, measure
from sandbox.ledger.claim import Claim, Found, Grid
from sandbox.verdict import Outcome


def whole(method: str, name: str, lr: float, predicted: Outcome, found: Found | None = None) -> Claim:
    return Claim(
        id=f"{method}.whole-run-check",
        statement=f"with the width factors of its class a run of {name} moves the outputs of hidden matrices alike at all widths",
        source="derived: what a coordinate check asks of one step, asked of a whole run",
        known="derived",
        dossier="transfer T5",
        kind="parity",
        margin=0.1,
        tier="study",
        cost_s=50.0,
        quantity="d log change of hidden outputs over a run / d log width",
        plan=Grid((Trip(method, lr),), (0, 1, 2)),
        measure=measure,
        estimate=Mean("exponent"),
        predicted=predicted,
        found=found,
        subject="transfer.whole-run-check",
    )


CLAIMS = (
    whole("adamw", "AdamW", 0.012, Outcome.VIOLATED),
    whole("adalomo", "AdaLomo", 0.1, Outcome.VIOLATED),
    whole(
        "galore",
        "GaLore",
        0.06,
        Outcome.INCONCLUSIVE,
        Found(
            Outcome.VIOLATED,
            "2026-11-22",
            "+0.17 [0.11, 0.24] with three seeds and widths to 256: width^-1/2 takes too little from this change",
        ),
    ),
)
