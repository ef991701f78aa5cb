"""Question: how does the best learning rate of Adam-mini move with the width of a transformer on real text?

Claims: adam-mini.lr-transfer   d log best rate / d log width is 0 within 0.25, with the width factors of its class
        adam-mini.lr-regret     the rate predicted for width 512 costs at most 0.02 nats there
Proof:  none; nothing is known for certain about the loss of a transformer
Cost:   study tier, about 11 core-minutes
Run:    sandbox check adam-mini.lr-transfer adam-mini.lr-regret --tier study

Class adam: rates of hidden matrices and of the head fall like 1 / width. Blocks are those of version 1.1: a head of query and key, a row
elsewhere.

The model is Llama-like: 2 layers, heads of 16, untied head, 512 byte pairs of the packaged text, initial weights of the
parametrisation `mu` (sandbox/handoff/parametrisation.py) with base width 64. 256 tokens a step, 200 steps, warm-up over 10 % and a
cosine to 10 % of the rate; held-out loss at the end. Widths 32, 64, 128, 256; 5 rates a factor of 2 apart and more while the best one
of any seed is at an end; seeds 0, 1, 2, which fix data and weights for all rates. At width 512: half, predicted and double rate on the
seeds 100 to 103. Every finished run is a row of results/ledger.sqlite; the same command goes on from there. What another
machine has finished stands in experiments/records/handoff_transfer_adam_mini.json: add --go-on to take it as run, and --record to put
the rest beside it.

The predictions were committed before the first run of these settings. A trial on the seed 5000 at width 64 chose the middle of the grid.
"""

from sandbox.handoff.transfer_cards import cards
from sandbox.handoff.transfer_claims import width_claims
from sandbox.handoff.transfer_runs import Setting
from sandbox.ledger.claim import Found
from sandbox.verdict import Outcome

__all__ = ["CARDS", "CLAIMS", "Setting"]  # a worker builds its settings from this module

OPEN = Found(
    Outcome.INCONCLUSIVE,
    "2026-11-22",
    "-0.25 [-0.34, -0.17], on the edge of the margin: the best rate of Adam-mini falls faster with the width than that of AdamW (-0.11)",
)
COST = Found(Outcome.INCONCLUSIVE, "2026-11-22", "0.017 [-0.001, 0.035] nats at the predicted rate; about 77 seeds would decide")
CLAIMS = width_claims("adam-mini", transfer=Outcome.HOLDS, cost=Outcome.HOLDS, transfer_found=OPEN, cost_found=COST)
CARDS = cards("adam-mini")
