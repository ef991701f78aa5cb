"""Question: how does the best learning rate of AdaLomo move with the width of a transformer on real text?

Claims: adalomo.lr-transfer   d log best rate / d log width is 0 within 0.25, with the width factors of its class
        adalomo.lr-regret     the rate predicted for width 512 costs at most 0.02 nats there
Proof:  none; nothing is known for certain about the loss of a transformer
Cost:   study tier, about 11 core-minutes
Run:    sandbox check adalomo.lr-transfer adalomo.lr-regret --tier study

Class parameter-scaled: rates of hidden matrices fall like width^-1/2, because the step is relative to RMS(w) ~ width^-1/2, which makes up
for the other half; that of the head stays.

The model is Llama-like: 2 layers, heads of 16, untied head, 512 byte pairs of the packaged text, initial weights of the
parametrisation `mu` (sandbox/handoff/parametrisation.py) with base width 64. 256 tokens a step, 200 steps, warm-up over 10 % and a
cosine to 10 % of the rate; held-out loss at the end. Widths 32, 64, 128, 256; 5 rates a factor of 2 apart and more while the best one
of any seed is at an end; seeds 0, 1, 2, which fix data and weights for all rates. At width 512: half, predicted and double rate on the
seeds 100 to 103. Every finished run is a row of results/ledger.sqlite; the same command goes on from there. What another
machine has finished stands in experiments/records/handoff_transfer_adalomo.json: add --go-on to take it as run, and --record to put
the rest beside it.

The predictions were committed before the first run of these settings. Trials on the seed 5000 at widths 64
and 128 had best rates within a fifth of an octave; a coordinate check of this very model would have the best rate at the base rise with
about width^0.2, for it sees 0.3 where the class has 1/2 (sandbox/handoff/coordinates.py). The trial is what was believed.
"""

from sandbox.handoff.transfer_cards import cards
from sandbox.handoff.transfer_claims import width_claims
from sandbox.handoff.transfer_runs import Setting
from sandbox.verdict import Outcome

__all__ = ["CARDS", "CLAIMS", "Setting"]  # a worker builds its settings from this module

CLAIMS = width_claims("adalomo", transfer=Outcome.HOLDS, cost=Outcome.HOLDS)
CARDS = cards("adalomo")
