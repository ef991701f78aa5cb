"""Question: along which cuts is the Hessian of a transformer near block-diagonal, when in training, and for how many tokens?

mass, null, excess as in adam_mini_hessian_blocks.py, inside one tensor's own Hessian; tensors' share = sum over tensors of
|H_tt|^2 / |H|^2, blocks of whole tensors. Points: 0, 1, 50 and 100 % of training.

Claims: hessian.heads                     query and key by head at the end: mass >= 0.6; 8, 64 and 256 tokens, both starts, both widths
        hessian.heads.early               ... and at 1 %, too: no, at a start of 0.02 the mass falls first
        hessian.tokens                    embedding and head by token at the end: mass >= 0.6
        hessian.rows.KIND                 value, output projection and feed-forward at the end: mass >= 0.6 by output neuron: no
        hessian.rows.null.KIND            ... but more than random blocks of the sizes hold
        hessian.rows-or-columns.KIND      at the end the excess by output neuron is above that by input, 64 tokens, start 0.02
        hessian.rows-or-columns.lecun.KIND ... feed-forward in, LeCun's start: no
        hessian.rows-by-tokens.start, .end  the excess by row of value is larger with 256 tokens than with 8
        hessian.across-tensors            what lies between tensors falls from the start to the end of training
        hessian.across-tensors.monotone   ... and does not rise again between 50 % and the end: no
        hessian.across-tensors.vanishes   at the end at least 0.9 lies inside tensors: no
Proof:  none
Cost:   study tier, 12 minutes on one CPU core
Run:    sandbox check hessian.heads --tier study

GPT-like, one layer, width 16 (one setting 32), 4 heads, feed-forward 4 x width, context 16, head not tied; on a random Markov
chain of order 2; Adam at 3e-3 with 256 tokens a step for 1,000 steps; on 320 fresh tokens in float32 the exact Hessian of each
matrix, the mass of both tables to 5 % by coloured probes, |H|^2 by 100 random products. 5 seeds of weights, data and Hessian
batch, one chain. The papers show pictures at one vocabulary; the numbers of the dossier were single runs of 2,000 steps.

The predictions were committed before any run of this file, with the dossier's single runs in view. What 5 seeds leave open is asked
again in `hessian_of_transformers_more` where at most 20 seeds would decide it, and all but `tokens` is decided there.
"""

from sandbox.fit import Mean, PairedDifference
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.measures.transformer_hessians import MATRICES, Setting, values
from sandbox.verdict import Outcome

SMALL, LECUN = Setting(), Setting(start="lecun")
WIDE = Setting(vocabs=(64,), width=32, points=(0.01, 1.0))
SEEDS = (0, 1, 2, 3, 4)
MINI = "Zhang et al. (2024), https://arxiv.org/abs/2406.16793, partition principle and its Hessian figures"
FORCES = "Dong et al. (2025), https://arxiv.org/abs/2505.02809, as told in its author's PhD summary, eq. 3.5 and fig. 3.3"
EVERYWHERE, TWO_STARTS = (SMALL, LECUN, WIDE), (SMALL, LECUN)
SHORT = {"value": "value", "attention_out": "attention-out", "ffn_in": "ffn-in", "ffn_out": "ffn-out"}


FOUND = {  # by slug: what the first run gave where it differs from the prediction
    "heads": (
        "INCONCLUSIVE",
        "0.79 [0.56, 1.02] at its worst setting; decided alone, not after Holm's correction by 17; about 6 seeds would do",
    ),
    "heads.early": (
        "INCONCLUSIVE",
        "0.73 [0.59, 0.87]: no dip below 0.6 at 1 % as in the dossier's single run; about 6 seeds would decide",
    ),
    "tokens": ("INCONCLUSIVE", "0.55 [0.50, 0.61] at its worst setting; about 14 seeds would decide"),
    "rows.attention-out": ("INCONCLUSIVE", "0.53 [0.39, 0.67] at its best vocabulary; about 9 seeds would decide"),
    "rows.ffn-in": ("HOLDS", "0.90 [0.88, 0.91]: feed-forward in is near block-diagonal by output neuron after all"),
    "rows.ffn-out": ("INCONCLUSIVE", "0.62 [0.56, 0.69], at the limit; about 52 seeds would decide"),
    "rows.null.value": ("INCONCLUSIVE", "-0.11 [-0.24, 0.01] at its worst setting; decided alone, not after Holm's correction"),
    "rows.null.attention-out": ("INCONCLUSIVE", "-0.06 [-0.16, 0.03] at its worst setting; about 7 seeds would decide"),
    "rows-or-columns.value": (
        "INCONCLUSIVE",
        "by input ahead by 0.15 [-0.01, 0.32]: the other way round than expected; about 12 seeds would decide",
    ),
    "rows-or-columns.lecun.ffn-in": ("HOLDS", "ahead by 0.62 [0.56, 0.68]: the dossier's single run at vocabulary 8 said otherwise"),
    "rows-by-tokens.start": ("INCONCLUSIVE", "-0.04 [-0.11, 0.03] at its worst start; about 26 seeds would decide"),
    "rows-by-tokens.end": (
        "INCONCLUSIVE",
        "+0.08 [-0.01, 0.17] at its worst start: if anything the other way round; about 13 seeds would decide",
    ),
    "across-tensors.monotone": ("INCONCLUSIVE", "0.00 [-0.02, 0.02]: no change in the second half that could be seen"),
}


def asked(slug: str, statement: str, predicted: Outcome, settings: tuple[Setting, ...] = EVERYWHERE, **fields) -> Claim:
    common = dict(
        id=f"hessian.{slug}",
        statement=statement,
        source=MINI,
        known="second-hand",
        dossier="adam-mini C18",
        tier="study",
        cost_s=300.0,
        plan=Grid(settings, SEEDS),
        measure=per_seed(values),
        subject="hessian.transformers",
        predicted=predicted,
        found=Found(Outcome[FOUND[slug][0]], "2026-11-22", FOUND[slug][1]) if slug in FOUND else None,
    )
    return Claim(**(common | fields))


def at_least(key: str, limit: float, quantity: str) -> dict:
    return dict(kind="lower", estimate=Mean(key), limit=limit, quantity=quantity)


def first_below(first: str, second: str, quantity: str) -> dict:
    """An ordering: the first value is below the second."""
    return dict(kind="ordering", estimate=PairedDifference(first, second), quantity=quantity)


def of_rows(kind: str) -> tuple[Claim, ...]:
    """The claims about one matrix cut by output neuron."""
    name = kind.replace("_", " ")
    ordered = first_below(
        f"64 100% {kind} column excess", f"64 100% {kind} cut excess", f"excess of {name} by input minus by output neuron"
    )
    return (
        asked(
            f"rows.{SHORT[kind]}",
            f"After training at least 0.6 of the Hessian of {name} lies in blocks of output neurons, for some number of tokens.",
            Outcome.VIOLATED,
            dossier="adam-mini C19",
            **at_least(f"100% {kind} mass", 0.6, f"share of |H|^2 of {name} inside rows at the end, the largest over the vocabularies"),
        ),
        asked(
            f"rows.null.{SHORT[kind]}",
            f"After training the rows of {name} hold more of its Hessian than random blocks of their sizes.",
            Outcome.HOLDS,
            dossier="adam-mini C19",
            kind="ordering",
            estimate=Mean(f"100% {kind} lack"),
            quantity=f"share inside random blocks minus share inside rows of {name}, the largest over the vocabularies",
        ),
        asked(
            f"rows-or-columns.{SHORT[kind]}",
            f"After training {name} is better cut by output neuron than by input, 64 tokens.",
            Outcome.HOLDS,
            (SMALL,),
            dossier="adam-mini C19",
            **ordered,
        ),
    )


CLAIMS = (
    asked(
        "heads",
        "After training the Hessians of query and key are near block-diagonal by head.",
        Outcome.HOLDS,
        **at_least("100% heads", 0.6, "share of |H|^2 inside heads at the end, the smaller of query and key, least over the vocabularies"),
    ),
    asked(
        "heads.early",
        "... and so they are after 1 % of training.",
        Outcome.VIOLATED,
        **at_least("1% heads", 0.6, "share of |H|^2 inside heads after 1 %, the smaller of query and key, least over the vocabularies"),
    ),
    asked(
        "tokens",
        "After training the Hessians of embedding and head are near block-diagonal by token.",
        Outcome.HOLDS,
        **at_least(
            "100% tables", 0.6, "share of |H|^2 inside tokens at the end, the smaller of embedding and head, least over the vocabularies"
        ),
    ),
    *(claim for kind in MATRICES for claim in of_rows(kind)),
    asked(
        "rows-or-columns.lecun.ffn-in",
        "After training from LeCun's start feed-forward in is better cut by output neuron than by input, 64 tokens.",
        Outcome.VIOLATED,
        (LECUN,),
        dossier="adam-mini C19",
        **first_below("64 100% ffn_in column excess", "64 100% ffn_in cut excess", "excess of ffn in by input minus by output neuron"),
    ),
    *(
        asked(
            f"rows-by-tokens.{slug}",
            f"At the {slug} of training the rows of value are blocks of its Hessian the more, the more tokens there are.",
            Outcome.HOLDS,
            TWO_STARTS,
            source=FORCES,
            dossier="adam-mini C19",
            **first_below(
                f"8 {point}% value cut excess", f"256 {point}% value cut excess", "excess by row of value with 8 tokens minus with 256"
            ),
        )
        for slug, point in (("start", 0), ("end", 100))
    ),
    asked(
        "across-tensors",
        "What lies between tensors is a smaller share of the Hessian at the end of training than at its start.",
        Outcome.HOLDS,
        TWO_STARTS,
        source=FORCES,
        dossier="adam-mini C20",
        **first_below("64 0% tensors", "64 100% tensors", "share of |H|^2 inside tensors at the start minus at the end"),
    ),
    asked(
        "across-tensors.monotone",
        "... and a smaller one at the end than half-way.",
        Outcome.VIOLATED,
        TWO_STARTS,
        source=FORCES,
        dossier="adam-mini C20",
        **first_below("64 50% tensors", "64 100% tensors", "share of |H|^2 inside tensors half-way minus at the end"),
    ),
    asked(
        "across-tensors.vanishes",
        "At the end of training at least nine tenths of the Hessian lie inside tensors.",
        Outcome.VIOLATED,
        TWO_STARTS,
        source=FORCES,
        dossier="adam-mini C20",
        **at_least("64 100% tensors", 0.9, "share of |H|^2 inside tensors at the end"),
    ),
)
