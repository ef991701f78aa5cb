"""Question: do fresh seeds say, too, that tables, head and gains pull the best base rate of a sweep down as the width grows?

Claims: adamw.others-pull.more, adalomo.others-pull.more, galore.others-pull.more   exponent below 0, on 8 fresh seeds
Proof:  none; to first order a change of all rates is the sum of the changes of its parts (sandbox/handoff/shared_rate.py)
Cost:   study tier, about 14 core-minutes
Run:    sandbox check adamw.others-pull.more adalomo.others-pull.more galore.others-pull.more --tier study

The settings are those of handoff_shared_rate.py, where all nine runs say so, but each claim alone and none as one of six. Only what
was seen there is asked again, so the family is one of three. The predictions were committed before the first run of these seeds.
"""

from sandbox.fit import Mean
from sandbox.handoff.shared_rate import Shared, measure
from sandbox.ledger.claim import Claim, Found, Grid
from sandbox.verdict import Outcome

SEEDS = tuple(range(10, 18))


def pull(method: str, name: str, lr: float, found: Found | None = None) -> Claim:
    return Claim(
        id=f"{method}.others-pull.more",
        statement=f"tables, head and gains pull the best base rate of {name} down as the width grows, on fresh seeds",
        source="derived: a small change of all rates is the sum of the changes of its parts",
        known="derived",
        dossier="transfer T4",
        tier="study",
        cost_s=34.0 * len(SEEDS),
        quantity="what the other tensors add to d log best rate / d log width",
        plan=Grid((Shared(method, lr),), SEEDS),
        measure=measure,
        estimate=Mean("pull_others"),
        predicted=Outcome.HOLDS,
        found=found,
        subject=f"transfer.shared-rate.{method}",
        kind="upper",
        limit=0.0,
    )


OPEN = Found(Outcome.INCONCLUSIVE, "2026-11-22", "-0.17 [-0.36, 0.01]; about 9 seeds would decide")
CLAIMS = (pull("adamw", "AdamW", 0.012), pull("adalomo", "AdaLomo", 0.1), pull("galore", "GaLore", 0.06, OPEN))
