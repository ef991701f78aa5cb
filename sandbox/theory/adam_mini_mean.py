"""The price of one second moment a block: Adam-mini's shared step against the steps that Adam would take.

Symbols: s_i = sqrt(v_i) in one block, M s = their mean, q = sqrt(mean v); k = max s / min s; spread = sd(s) / mean(s); snr =
(mean v)^2 / var v, SlimAdam's signal-to-noise ratio.
"""

import sympy

from sandbox.theory.base import Bound

k, spread, snr = sympy.symbols("k spread snr", real=True)
PRICE = "mean of Adam's steps per unit of first moment, over the one that Adam-mini shares"
COSINE = "cosine between the updates of Adam and Adam-mini"
NOISE = COSINE + " where |m_i| = sqrt(v_i)"
STEP, UPDATE = "proofs/proof_adam_mini_price_of_the_mean.py", "proofs/proof_adam_mini_update_cosine.py"

price_lower = Bound(
    name="adam_mini_mean.price_lower",
    quantity=PRICE,
    value=sympy.Integer(1),
    requires=(),
    kind="lower",
    source="derived; Jensen; 1 exactly where v is constant in the block",
    proof=STEP,
)

price_upper = Bound(
    name="adam_mini_mean.price_upper",
    quantity=PRICE,
    value=2 * (k**2 + k + 1) ** sympy.Rational(3, 2) / (3 * sympy.sqrt(3) * k * (k + 1)),
    requires=(k >= 1,),
    kind="upper",
    source="derived; attained by second moments at the two ends of their range in the right shares",
    proof=STEP,
)

update_cosine = Bound(
    name="adam_mini_mean.update_cosine",
    quantity=NOISE,
    value=1 / sympy.sqrt(1 + spread**2),
    requires=(spread >= 0,),
    kind="exact",
    source="derived",
    proof=UPDATE,
)

update_cosine_of_range = Bound(
    name="adam_mini_mean.update_cosine_of_range",
    quantity=COSINE,
    value=2 * sympy.sqrt(k) / (k + 1),
    requires=(k >= 1,),
    kind="lower",
    source="derived; Kantorovich's inequality; every first moment",
    proof=UPDATE,
)

update_cosine_of_snr = Bound(
    name="adam_mini_mean.update_cosine_of_snr",
    quantity=NOISE,
    value=sympy.sqrt(snr / (1 + snr)),
    requires=(snr > 0,),
    kind="lower",
    source="derived; approached where a share snr / (1 + snr) of the block has one second moment and the rest none",
    proof=UPDATE,
)
