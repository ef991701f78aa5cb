"""What Adam and Adam-mini make of one Gaussian gradient: the angle between their first steps, and the median of frozen Adam's condition.

`adam_mini.first_step_cosine` and `adam_mini.frozen_adam_condition` are the limits of large dimension; the mean cosine is exact at every
size here. Symbols: d = size of the block.
"""

import sympy

from sandbox.theory import adam_mini
from sandbox.theory.adam_mini_steps import d, turned_first_step_mean
from sandbox.theory.base import Bound

PROOF = "proofs/proof_adam_mini_first_gradient.py"

cosine_mean = Bound(
    name="adam_mini_first_gradient.cosine_mean",
    quantity=adam_mini.first_step_cosine.quantity,
    value=sympy.sqrt(turned_first_step_mean.value),
    requires=(d >= 1,),
    kind="exact",
    source="derived; mean over Gaussian gradients of a block of d; 1, 0.900, 0.866 for d = 1, 2, 3; about 1 + 1 / (4 d) times the limit",
    proof=PROOF,
)
