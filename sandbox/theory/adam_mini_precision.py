"""A second moment kept in p significant bits, rounded to nearest, ties to even, after every step: when it no longer moves.

v <- round(b2 v + (1 - b2) G), G = g^2 or its block mean. Symbols: p = significant bits (8 in bfloat16, 11 in float16, 24 in
float32); b2 = beta2.
"""

import sympy

from sandbox.theory.base import Bound

p = sympy.Symbol("p", integer=True)
b2 = sympy.Symbol("b2", real=True)
PROOF = "proofs/proof_adam_mini_low_precision.py"

freezing_beta2 = Bound(
    name="adam_mini_precision.freezing_beta2",
    quantity="least beta2 at which every second moment stays where it is while gradients are 0",
    value=1 - 2 ** (-p - 1),
    requires=(p >= 2,),
    kind="exact",
    source="derived; 1 - 1/512 = 0.998 in bfloat16",
    proof=PROOF,
)

decaying_beta2 = Bound(
    name="adam_mini_precision.decaying_beta2",
    quantity="largest beta2 at which no second moment stays where it is while gradients are 0",
    value=1 - 1 / (2**p + 2),
    requires=(p >= 2,),
    kind="exact",
    source="derived; 1 - 1/258 = 0.9961 in bfloat16; between the two some second moments stay and others do not",
    proof=PROOF,
)

stalled_ratio = Bound(
    name="adam_mini_precision.stalled_ratio",
    quantity="largest ratio of a constant G to the second moment that it does not move",
    value=1 + 2 ** (-p) / (1 - b2),
    requires=(p >= 2, b2 > 0, b2 < 1),
    kind="upper",
    source="derived; attained at powers of two; 4.9 in bfloat16 at beta2 0.999, steps 2.2 times too long",
    proof=PROOF,
)
