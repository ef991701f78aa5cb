"""Question: along which side of a matrix are Adam's second moments alike, and what does one mean of them do to its step?

SNR_K = mean over blocks of (mean v)^2 / var v, a block being what a mean over the axis K joins: along fan-in one per output
neuron, which is Adam-mini's block, along fan-out one per input. Tokens are the fan-in of an embedding, the fan-out of a head.

Claims: adam-mini.snr.value, .attention-out, .ffn-out   larger along fan-out
        adam-mini.snr.query, .key, .ffn-in              larger along fan-in
        adam-mini.snr.embedding, .head                  below 1 over tokens
        adam-mini.snr.cosine.value, .attention-out, .ffn-out   the step with means along fan-out is closer to Adam's
        adam-mini.snr.distortion       |step' - step| / |step| is 1/2 sqrt(mean of 1 / snr), to 20 %, where snr > 1
        adam-mini.snr.distortion.mean  ... is 1/2 SNR_K^-1/2, to 20 %
Proof:  none; for the distortion see proofs/proof_adam_mini_update_cosine.py
Cost:   full tier, 60 s on one CPU core
Run:    sandbox check adam-mini.snr.value --tier full

GPT-like, 1 layer, width 32, feed-forward 128, real text by characters, 512 tokens a step; 500 steps of Adam, lr 3e-3, betas
(0.9, 0.95); 6 seeds. With that beta2 an entry's own noise limits the SNR to (1 + beta2) / (1 - beta2) / 2 = 19.5 for Gaussian
gradients. SlimAdam reports the sides for larger models; Adam-mini takes fan-in everywhere. Found: its sides, but for the value
matrix: 6 seeds decide neither, 96 (`adam_mini_snr_more`) find fan-out; the down projection gains most, 0.97 against 0.88 in cosine.

The predictions were committed before the first run of this file.
"""

from sandbox.fit import Mean, PairedDifference
from sandbox.ledger.claim import Claim, Found, Grid, per_seed
from sandbox.measures.moments_by_side import BY_INPUT, BY_OUTPUT, OVER_TOKENS, Setting, values
from sandbox.verdict import Outcome

COMMON = dict(
    source="SlimAdam (arXiv:2503.01843), the sides along which second moments are averaged",
    known="second-hand",
    dossier="adam-mini C26",
    kind="ordering",
    tier="full",
    cost_s=60.0,
    plan=Grid((Setting(),), seeds=tuple(range(6))),
    measure=per_seed(values),
    subject="adam-mini.snr",
    predicted=Outcome.HOLDS,
)


def larger(kind: str, name: str, sides: tuple[str, str], **fields) -> Claim:
    """SNR_K along the first side exceeds that along the second."""
    own = dict(
        id=f"adam-mini.snr.{kind.replace('_', '-')}",
        statement=f"Second moments of the {name} are more alike along {sides[0]} than along {sides[1]}.",
        quantity=f"SNR along {sides[1]} minus SNR along {sides[0]}",
        estimate=PairedDifference(f"{kind} {sides[1]} snr", f"{kind} {sides[0]} snr"),
    )
    return Claim(**(COMMON | own | fields))


def closer(kind: str, name: str, **fields) -> Claim:
    own = dict(
        id=f"adam-mini.snr.cosine.{kind.replace('_', '-')}",
        statement=f"In the {name} a step with means along fan-out is closer to Adam's than one with Adam-mini's means along fan-in.",
        quantity="cosine with Adam's step, means along fan-in minus means along fan-out",
        estimate=PairedDifference(f"{kind} fan-in cosine", f"{kind} fan-out cosine"),
    )
    return Claim(**(COMMON | own | fields))


def few(kind: str, side: str, **fields) -> Claim:
    own = dict(
        id=f"adam-mini.snr.{kind}",
        statement=f"Second moments of the {kind} are not alike over tokens: their SNR is below 1.",
        kind="upper",
        quantity="SNR over tokens",
        estimate=Mean(f"{kind} {side} snr"),
        limit=1.0,
    )
    return Claim(**(COMMON | own | fields))


def distorted(slug: str, by: str, statement: str, **fields) -> Claim:
    own = dict(
        id=f"adam-mini.snr.{slug}",
        statement=statement,
        source="derived: a step changes by the factor sqrt(1 + e), E e^2 = 1 / snr, if first moments are as large as sqrt(v)",
        known="derived",
        dossier="adam-mini C12, T6",
        kind="equality",
        quantity="distance of both steps over its prediction, mean over tensors and sides with snr > 1",
        estimate=Mean(by),
        limit=1.0,
        tau=0.2,
    )
    return Claim(**(COMMON | own | fields))


FOUND = {  # by kind: of the SNR, and of the cosine
    "value": (
        Found(Outcome.INCONCLUSIVE, "2026-11-22", "2.49 along fan-out against 1.90, the other way round on 2 of 6 seeds"),
        Found(Outcome.INCONCLUSIVE, "2026-11-22", "0.953 along fan-out against 0.946: next to nothing for the value matrix"),
    ),
}
NONE = (None, None)
CLAIMS = (
    *(larger(kind, name, ("fan-out", "fan-in"), found=FOUND.get(kind, NONE)[0]) for kind, name in BY_INPUT.items()),
    *(larger(kind, name, ("fan-in", "fan-out")) for kind, name in BY_OUTPUT.items()),
    *(few(kind, side) for kind, side in OVER_TOKENS.items()),
    *(closer(kind, name, found=FOUND.get(kind, NONE)[1]) for kind, name in BY_INPUT.items()),
    distorted("distortion", "blocks", "One second moment a block changes Adam's step by half the root of the mean 1 / snr."),
    distorted("distortion.mean", "mean", "... by half of SNR_K^-1/2, the mean over blocks."),
)
