"""AdaLomo and Adafactor with parameter scale: what the grouped normalisation guarantees, whatever the gradients are.

    delta = -lr s u,   s = max(eps2, RMS(w)),   RMS(u) <= d           RMS(x) = sqrt(mean(x^2)) over one tensor

Symbols: eps2 = second entry of `eps`; d = clip_threshold; rms = RMS(w) before the step (of the start, for a run); lr_sum
= sum of the learning rates so far; size = entries of the tensor; K = steps; target = RMS that is reached, in param; wd =
weight_decay, 1 / param, which the reference code multiplies by lr s; age = t^-decay_rate. Source of the update: Lv et al.
(2310.10195; the figure and the reference code, its body was not read); Shazeer & Stern (1804.04235; second-hand).
"""

import sympy

from sandbox.theory.base import Bound

lr, eps2, d, rms, lr_sum, size = sympy.symbols("lr eps2 d rms lr_sum size", real=True)
wd, target, age = sympy.symbols("wd target age", real=True)
K = sympy.Symbol("K", integer=True)
STEP = (lr >= 0, eps2 >= 0, d > 0, rms >= 0)
RUN = (eps2 >= 0, rms >= 0, lr_sum >= 0)
STEP_PROOF, GROWTH_PROOF, DECAY_PROOF = (f"proofs/proof_adalomo_{what}.py" for what in ("step", "growth", "decay"))

step_rms = Bound(
    name="adalomo.step_rms",
    quantity="RMS of one step",
    value=lr * d * sympy.Max(eps2, rms),
    requires=STEP,
    kind="upper",
    source="derived; no weight decay; attained where the unclipped RMS(u) is at least d",
    proof=STEP_PROOF,
)

step_entry = Bound(
    name="adalomo.step_entry",
    quantity="largest entry of one step",
    value=lr * d * sympy.Max(eps2, rms) * sympy.sqrt(size),
    requires=(*STEP, size >= 1),
    kind="upper",
    source="derived; max |x| <= sqrt(size) RMS(x); attained by a first gradient in a silent entry at step t, t^0.4 >= sqrt(size)",
    proof=STEP_PROOF,
)

vector_entry = Bound(
    name="adalomo.vector_entry",
    quantity="largest entry of the normalised update of a vector, before it is clipped",
    value=sympy.sqrt(age),
    requires=(age >= 1,),
    kind="upper",
    source="derived; t^0.4 at step t with the default decay_rate; attained by a first gradient in a silent entry (eps1 = 0)",
    proof=STEP_PROOF,
)

growth = Bound(
    name="adalomo.growth",
    quantity="max(eps2, RMS of the weight) after the run",
    value=sympy.Max(eps2, rms) * sympy.exp(lr_sum),
    requires=RUN,
    kind="upper",
    source="derived; product of (1 + lr_k) at clip_threshold 1, no weight decay; approached by many small rates",
    proof=GROWTH_PROOF,
)

growth_at_rate = Bound(
    name="adalomo.growth_at_rate",
    quantity="max(eps2, RMS of the weight) after the run",
    value=sympy.Max(eps2, rms) * (1 + lr) ** K,
    requires=(lr >= 0, eps2 >= 0, rms >= 0, K >= 0),
    kind="exact",
    source="derived; one learning rate, clip_threshold 1, no weight decay; equality where every step points away from 0, from rms >= eps2",
    proof=GROWTH_PROOF,
)

movement = Bound(
    name="adalomo.movement",
    quantity="RMS distance from the start",
    value=sympy.Max(eps2, rms) * (sympy.exp(lr_sum) - 1),
    requires=RUN,
    kind="upper",
    source="derived; the sum of the step bounds",
    proof=GROWTH_PROOF,
)

steps_to_grow = Bound(
    name="adalomo.steps_to_grow",
    quantity="steps until the RMS of the weight reaches a target",
    value=sympy.log(target / sympy.Max(eps2, rms)) / sympy.log(1 + lr),
    requires=(lr > 0, eps2 >= 0, rms >= 0, target >= eps2, target >= rms, target > 0),
    kind="lower",
    source="derived; clip_threshold 1, no weight decay; equality where every step points away from 0, from rms >= eps2",
    proof=GROWTH_PROOF,
)

steps_from_zero = Bound(
    name="adalomo.steps_from_zero",
    quantity="steps until a tensor that starts at 0 has the RMS eps2",
    value=1 / (lr * d),
    requires=(lr > 0, d > 0, eps2 > 0),
    kind="lower",
    source="derived; 2000 at the learning rate 5e-4 of the code, before which it is as good as frozen; equality for a constant direction",
    proof=GROWTH_PROOF,
)

decay_ceiling = Bound(
    name="adalomo.decay_ceiling",
    quantity="RMS of the weight at any step",
    value=d / wd,
    requires=(lr > 0, d > 0, wd > 0, eps2 >= 0, lr * d <= 1, lr * eps2 * wd <= 1, rms >= 0, rms * wd <= d),
    kind="exact",
    source="derived; weight decay as in the reference code, scaled by lr max(eps2, RMS(w)); decay by lr alone "
    "(torch.optim.Adafactor) has no such ceiling for wd < 1",
    proof=DECAY_PROOF,
)

decay_overshoot = Bound(
    name="adalomo.decay_overshoot",
    quantity="RMS of the weight one step after the ceiling d / wd",
    value=(2 * lr * d - 1) * d / wd,
    requires=(d > 0, wd > 0, lr * d >= 1, eps2 >= 0, eps2 * wd <= d),
    kind="exact",
    source="derived; where lr clip_threshold > 1, a step and the decay point the same way; with eps2 > d / wd it is larger",
    proof=DECAY_PROOF,
)
