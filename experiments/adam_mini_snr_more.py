"""Question: on fresh seeds, along which side of the value matrix are Adam's second moments alike?

SNR along fan-in (one mean per output neuron, Adam-mini's block) and along fan-out (one per input), as in adam_mini_snr.py.

Claims: adam-mini.snr.value.more         larger along fan-out
        adam-mini.snr.cosine.value.more  the step with means along fan-out is closer to Adam's
Proof:  none
Cost:   full tier, 3 minutes on one CPU core
Run:    sandbox check adam-mini.snr.value.more --tier full

Six seeds and Holm's correction by 13 claims left both open: 2.49 against 1.90, the other way round on two seeds, and cosines of 0.953
and 0.946. At that spread about 10 and 27 seeds would decide, twice as many if the spread was underestimated; here are 96.

Found: SNR 0.83 larger along fan-out, and a cosine larger by 0.005: along fan-out for the value matrix, too, though hardly any closer.

The predictions were committed before the first run on these seeds, with the first six in view.
"""

from sandbox.fit import PairedDifference
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.measures.moments_by_side import Setting, values
from sandbox.verdict import Outcome

COMMON = dict(
    source="SlimAdam (arXiv:2503.01843), the sides along which second moments are averaged",
    known="second-hand",
    dossier="adam-mini C26",
    kind="ordering",
    tier="full",
    cost_s=150.0,
    plan=Grid((Setting(),), seeds=tuple(range(100, 196))),
    measure=per_seed(values),
    subject="adam-mini.snr.more",
    predicted=Outcome.HOLDS,
)
CLAIMS = (
    Claim(
        id="adam-mini.snr.value.more",
        statement="Second moments of the value are more alike along fan-out than along fan-in.",
        quantity="SNR along fan-in minus SNR along fan-out",
        estimate=PairedDifference("value fan-in snr", "value fan-out snr"),
        **COMMON,
    ),
    Claim(
        id="adam-mini.snr.cosine.value.more",
        statement="In the value a step with means along fan-out is closer to Adam's than one with Adam-mini's means along fan-in.",
        quantity="cosine with Adam's step, means along fan-in minus means along fan-out",
        estimate=PairedDifference("value fan-in cosine", "value fan-out cosine"),
        **COMMON,
    ),
)
