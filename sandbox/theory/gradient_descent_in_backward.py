"""Gradient descent inside backward (LOMO, Lv et al. 2023, https://arxiv.org/abs/2306.09782): the same update, and how far from it.

The update of a tensor inside backward is that of two passes if every operation of the backward graph that reads the tensor's value
comes before its update. Where it does not (a shared tensor under re-entrant checkpointing, whose gradient is applied in parts), or
where micro-batches are applied in turn for want of accumulation, k parts f_1 .. f_k of the loss take k steps

    w_i = w_i-1 - lr grad f_i(w_i-1)       against       w_0 - lr sum_i grad f_i(w_0),        t = lr L.

Symbols: L = smoothness of every f_i; G = max_i |grad f_i(w_0)|, in loss / param; k = number of parts.
"""

import sympy

from sandbox.theory.base import Bound
from sandbox.theory.gradient_descent import L, lr

G = sympy.Symbol("G", real=True)
k = sympy.Symbol("k", integer=True)
t = lr * L
APART = "distance between k steps in turn and one step with the sum of their gradients"
PARTS = (L > 0, lr > 0, G >= 0, k >= 1)
PROOF = "proofs/proof_gradient_in_parts.py"

same_update = Bound(
    name="gradient_descent_in_backward.same_update",
    quantity="update inside backward over the update of two passes",
    value=sympy.Integer(1),
    requires=(),
    kind="exact",
    source="LOMO, section 3.1, without its assumption; derived: every use of a tensor's value in backward precedes its update",
    proof="proofs/proof_lomo_is_two_pass.py",
)

in_parts = Bound(
    name="gradient_descent_in_backward.in_parts",
    quantity=APART,
    value=G / L * ((1 + t) ** k - 1 - k * t),
    requires=PARTS,
    kind="exact",
    source="derived; any smooth f_i; attained by f_i = -L w^2 / 2, which every step climbs further",
    proof=PROOF,
)

in_parts_convex = Bound(
    name="gradient_descent_in_backward.in_parts_convex",
    quantity=APART,
    value=lr**2 * L * G * k * (k - 1) / 2,
    requires=(*PARTS, t <= 2),
    kind="upper",
    source="derived; convex f_i, and the leading term of in_parts; exact for k = 2",
    proof=PROOF,
)
