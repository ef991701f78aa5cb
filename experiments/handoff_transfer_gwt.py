"""Question: how does the best learning rate of GWT move with the width of a transformer on real text?

Claims: gwt.lr-transfer   d log best rate / d log width is 0 within 0.25, with the width factors of its class
        gwt.lr-regret     the rate predicted for width 512 costs at most 0.02 nats there
Proof:  none; nothing is known for certain about the loss of a transformer
Cost:   study tier, about 14 core-minutes
Run:    sandbox check gwt.lr-transfer gwt.lr-regret --tier study

Class adam: the inner rule is Adam, so rates of hidden matrices fall like 1 / width (level 2, scale 0.25).

The model is Llama-like: 2 layers, heads of 16, untied head, 512 byte pairs of the packaged text, initial weights of the
parametrisation `mu` (sandbox/handoff/parametrisation.py) with base width 64. 256 tokens a step, 200 steps, warm-up over 10 % and a
cosine to 10 % of the rate; held-out loss at the end. Widths 32, 64, 128, 256; 5 rates a factor of 2 apart and more while the best one
of any seed is at an end; seeds 0, 1, 2, which fix data and weights for all rates. At width 512: half, predicted and double rate on the
seeds 100 to 103. Every finished run is a row of results/ledger.sqlite; the same command goes on from there. What another
machine has finished stands in experiments/records/handoff_transfer_gwt.json: add --go-on to take it as run, and --record to put
the rest beside it.

The predictions were committed before the first run of these settings. A trial on the seed 5000 at width 64 chose the middle of the grid.
"""

from sandbox.handoff.transfer_cards import cards
from sandbox.handoff.transfer_claims import width_claims
from sandbox.handoff.transfer_runs import Setting
from sandbox.ledger.claim import Found
from sandbox.verdict import Outcome

__all__ = ["CARDS", "CLAIMS", "Setting"]  # a worker builds its settings from this module

OPEN = Found(Outcome.INCONCLUSIVE, "2026-11-22", "-0.09 [-0.32, 0.14]: the three seeds differ more than those of the other methods")

COST = Found(
    Outcome.INCONCLUSIVE, "2026-11-22", "0.000 [-0.026, 0.026] nats, decided alone and not as one of two; 8 fresh seeds are asked for"
)
CLAIMS = width_claims("gwt", transfer=Outcome.HOLDS, cost=Outcome.HOLDS, transfer_found=OPEN, cost_found=COST)
CARDS = cards("gwt")
