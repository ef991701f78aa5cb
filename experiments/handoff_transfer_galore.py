"""Question: how does the best learning rate of GaLore move with the width of a transformer on real text?

Claims: galore.lr-transfer   d log best rate / d log width is 0 within 0.25, with the width factors of its class
        galore.lr-regret     the rate predicted for width 512 costs at most 0.02 nats there
Proof:  none; nothing is known for certain about the loss of a transformer
Cost:   study tier, about 14 core-minutes
Run:    sandbox check galore.lr-transfer galore.lr-regret --tier study

Class low-rank: rates of hidden matrices, all of them in the frame (rank width / 4, scale 0.25), fall like width^-1/2; table and gains have
Adam with the rate as it is, the head with 1 / width.

The model is Llama-like: 2 layers, heads of 16, untied head, 512 byte pairs of the packaged text, initial weights of the
parametrisation `mu` (sandbox/handoff/parametrisation.py) with base width 64. 256 tokens a step, 200 steps, warm-up over 10 % and a
cosine to 10 % of the rate; held-out loss at the end. Widths 32, 64, 128, 256; 5 rates a factor of 2 apart and more while the best one
of any seed is at an end; seeds 0, 1, 2, which fix data and weights for all rates. At width 512: half, predicted and double rate on the
seeds 100 to 103. Every finished run is a row of results/ledger.sqlite; the same command goes on from there. What another
machine has finished stands in experiments/records/handoff_transfer_galore.json: add --go-on to take it as run, and --record to put
the rest beside it.

The predictions were committed before the first run of these settings. A trial on the seed 5000 at width 64 chose the middle of the grid.
"""

from sandbox.handoff.transfer_cards import cards
from sandbox.handoff.transfer_claims import width_claims
from sandbox.handoff.transfer_runs import Setting
from sandbox.verdict import Outcome

__all__ = ["CARDS", "CLAIMS", "Setting"]  # a worker builds its settings from this module

CLAIMS = width_claims("galore", transfer=Outcome.HOLDS, cost=Outcome.HOLDS)
CARDS = cards("galore")
