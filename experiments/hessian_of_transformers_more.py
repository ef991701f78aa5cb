"""Question: on fresh seeds, what holds of the cuts of transformer Hessians that five seeds left open?

mass, null, excess and the models as in hessian_of_transformers.py; here after 1 % of training and at its end.

Claims: hessian.heads.more                    query and key by head at the end: mass >= 0.6; 8, 64 and 256 tokens, everywhere
        hessian.heads.early.more              ... and at 1 %: yes, the dip of the dossier's single run did not show
        hessian.rows.null.KIND.more           value and output projection by output neuron hold more than random blocks of the sizes
        hessian.tokens.more                   embedding and head by token at the end: mass >= 0.6
        hessian.rows.attention-out.more       output projection at the end: mass >= 0.6 by output neuron: no, with LeCun's start
        hessian.rows-or-columns.value.more    value at the end is better cut by output neuron than by input, 64 tokens: no
        hessian.rows-by-tokens.end.more       the excess by row of value is larger with 256 tokens than with 8 at the end: no
Proof:  none
Cost:   study tier, 25 minutes on one CPU core
Run:    sandbox check hessian.heads.more --tier study

Five seeds and Holm's correction by 21 claims left 11 open. Asked again are those that at most 20 seeds would decide at the spread of
the first five; 16 seeds at both starts and both widths, 24 where width 16 decides. Not asked again:
hessian.rows.ffn-out and hessian.rows-by-tokens.start (52 and 26 seeds), hessian.across-tensors.monotone (no difference to be seen).

Found: heads hold 0.81 [0.77, 0.85] at the worst setting and 0.70 [0.68, 0.72] after 1 %; rows of value and output projection hold more
than chance everywhere, but of the output projection only 0.48 [0.45, 0.50] with LeCun's start (0.79 with the other). Value is better cut
by input, by 0.08 [0.05, 0.11], and its rows are blocks the less, the more tokens there are, by 0.06 and 0.21. Tokens hold 0.59, which no
number of seeds in reach tells from 0.6.

The predictions were committed before the first run on these seeds, with the first five in view.
"""

from dataclasses import replace

from sandbox.fit import Mean, PairedDifference
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.measures.transformer_hessians import Setting, values
from sandbox.verdict import Outcome

SMALL = Setting(points=(0.01, 1.0))
LECUN, WIDE = replace(SMALL, start="lecun"), replace(SMALL, vocabs=(64,), width=32)
EVERYWHERE = Grid((SMALL, LECUN, WIDE), seeds=tuple(range(100, 116)))
TWO_STARTS, ONE_START = Grid((SMALL, LECUN), seeds=tuple(range(100, 124))), Grid((SMALL,), seeds=tuple(range(100, 124)))
MINI = "Zhang et al. (2024), https://arxiv.org/abs/2406.16793, partition principle and its Hessian figures"
FORCES = "Dong et al. (2025), https://arxiv.org/abs/2505.02809, as told in its author's PhD summary, eq. 3.5 and fig. 3.3"


def asked_again(slug: str, statement: str, predicted: Outcome, plan: Grid, **fields) -> Claim:
    common = dict(
        id=f"hessian.{slug}.more",
        statement=statement,
        source=MINI,
        known="second-hand",
        dossier="adam-mini C19",
        tier="study",
        cost_s=25.0 * len(plan.settings) * len(plan.seeds),
        plan=plan,
        measure=per_seed(values),
        subject="hessian.transformers.more",
        predicted=predicted,
    )
    return Claim(**(common | fields))


def at_least(key: str, limit: float, quantity: str) -> dict:
    return dict(kind="lower", estimate=Mean(key), limit=limit, quantity=quantity)


def first_below(first: str, second: str, quantity: str) -> dict:
    """An ordering: the first value is below the second."""
    return dict(kind="ordering", estimate=PairedDifference(first, second), quantity=quantity)


def more_than_chance(kind: str, name: str) -> Claim:
    return asked_again(
        f"rows.null.{name.replace(' ', '-')}",
        f"After training the rows of {name} hold more of its Hessian than random blocks of their sizes.",
        Outcome.HOLDS,
        EVERYWHERE,
        kind="ordering",
        estimate=Mean(f"100% {kind} lack"),
        quantity=f"share inside random blocks minus share inside rows of {name}, the largest over the vocabularies",
    )


CLAIMS = (
    asked_again(
        "heads",
        "After training the Hessians of query and key are near block-diagonal by head.",
        Outcome.HOLDS,
        EVERYWHERE,
        dossier="adam-mini C18",
        **at_least("100% heads", 0.6, "share of |H|^2 inside heads at the end, the smaller of query and key, least over the vocabularies"),
    ),
    asked_again(
        "heads.early",
        "... and so they are after 1 % of training.",
        Outcome.HOLDS,
        EVERYWHERE,
        dossier="adam-mini C18",
        **at_least("1% heads", 0.6, "share of |H|^2 inside heads after 1 %, the smaller of query and key, least over the vocabularies"),
    ),
    more_than_chance("value", "value"),
    more_than_chance("attention_out", "attention out"),
    asked_again(
        "tokens",
        "After training the Hessians of embedding and head are near block-diagonal by token.",
        Outcome.VIOLATED,
        TWO_STARTS,
        dossier="adam-mini C18",
        found=Found(
            Outcome.INCONCLUSIVE,
            "2026-11-22",
            "0.59 [0.57, 0.62] with LeCun's start, the limit itself (about 251 seeds would decide); 0.70 [0.68, 0.72] with the other",
        ),
        **at_least(
            "100% tables", 0.6, "share of |H|^2 inside tokens at the end, the smaller of embedding and head, least over the vocabularies"
        ),
    ),
    asked_again(
        "rows.attention-out",
        "After training at least 0.6 of the Hessian of attention out lies in blocks of output neurons, for some number of tokens.",
        Outcome.VIOLATED,
        TWO_STARTS,
        **at_least(
            "100% attention_out mass", 0.6, "share of |H|^2 of attention_out inside rows at the end, the largest over the vocabularies"
        ),
    ),
    asked_again(
        "rows-or-columns.value",
        "After training value is better cut by output neuron than by input, 64 tokens.",
        Outcome.VIOLATED,
        ONE_START,
        **first_below("64 100% value column excess", "64 100% value cut excess", "excess of value by input minus by output neuron"),
    ),
    asked_again(
        "rows-by-tokens.end",
        "At the end of training the rows of value are blocks of its Hessian the more, the more tokens there are.",
        Outcome.VIOLATED,
        TWO_STARTS,
        source=FORCES,
        **first_below("8 100% value cut excess", "256 100% value cut excess", "excess by row of value with 8 tokens minus with 256"),
    ),
)
