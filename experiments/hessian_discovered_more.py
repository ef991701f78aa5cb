"""Question: on fresh seeds, does an algorithm that sees products with the Hessian alone find the heads of a trained transformer?

The search, the models and `agreement` as in hessian_discovered_early.py: after 300 steps, with 19 matrices to compare with.

Claims: hessian.discovered-heads.more.32-seeds  the mean agreement of query and key with the heads is at least 0.8
Proof:  none
Cost:   study tier, 6 minutes on one CPU core
Run:    sandbox check hessian.discovered-heads.more.32-seeds --tier study

Twelve seeds gave 0.91 [0.82, 1.00], which holds alone and not as one of five claims of that file; at that spread about 14 seeds would
decide.

Found: 0.92 [0.86, 0.97].

The prediction was committed before the first run on these seeds, with the first twelve in view.
"""

from sandbox.fit import Mean
from sandbox.ledger.claim import Claim, Grid, per_seed
from sandbox.measures.discovered_heads import Setting, values
from sandbox.verdict import Outcome

CLAIMS = (
    Claim(
        id="hessian.discovered-heads.more.32-seeds",
        statement="The blocks discovered in query and key of a trained transformer agree with the heads.",
        source="Adam-mini (arXiv:2406.16793), partition principle: a block is a smallest dense block of the Hessian; the algorithm is ours",
        known="derived",
        dossier="adam-mini C18",
        kind="lower",
        tier="study",
        cost_s=350.0,
        quantity="adjusted Rand index of discovered blocks and heads, mean of query and key",
        plan=Grid((Setting(steps=300, n_chance=19),), seeds=tuple(range(200, 232))),
        measure=per_seed(values),
        estimate=Mean("agreement"),
        limit=0.8,
        subject="hessian.discovered-heads.more.32-seeds",
        predicted=Outcome.HOLDS,
    ),
)
