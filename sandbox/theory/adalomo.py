"""AdaLomo and Adafactor with parameter scale: what the grouped normalisation guarantees, whatever the gradients are.

    delta = -lr s u,   s = max(eps2, RMS(w)),   RMS(u) <= d           RMS(x) = sqrt(mean(x^2)) over one tensor

Symbols: eps2 = second entry of `eps`; d = clip_threshold; rms = RMS(w) before the step; lr_sum = sum of the learning
rates so far; size = entries of the tensor. Source of the update: Lv et al. (2310.10195) and its reference code;
Shazeer & Stern (1804.04235).
"""

import sympy

from sandbox.theory.base import Bound

lr, eps2, d, rms, lr_sum, size = sympy.symbols("lr eps2 d rms lr_sum size", real=True)
STEP = (lr >= 0, eps2 >= 0, d > 0, rms >= 0)

step_rms = Bound(
    name="adalomo.step_rms",
    quantity="RMS of one step",
    value=lr * d * sympy.Max(eps2, rms),
    requires=STEP,
    kind="upper",
    source="derived; no weight decay; attained where the unclipped RMS(u) is at least d",
)

step_entry = Bound(
    name="adalomo.step_entry",
    quantity="largest entry of one step",
    value=lr * d * sympy.Max(eps2, rms) * sympy.sqrt(size),
    requires=(*STEP, size >= 1),
    kind="upper",
    source="derived; max |x| <= sqrt(size) RMS(x)",
)

growth = Bound(
    name="adalomo.growth",
    quantity="max(eps2, RMS of the weight) after the run",
    value=sympy.Max(eps2, rms) * sympy.exp(lr_sum),
    requires=(eps2 >= 0, rms >= 0, lr_sum >= 0),
    kind="upper",
    source="derived; product of (1 + lr_k) at clip_threshold 1, no weight decay",
)

movement = Bound(
    name="adalomo.movement",
    quantity="RMS distance from the start",
    value=sympy.Max(eps2, rms) * (sympy.exp(lr_sum) - 1),
    requires=(eps2 >= 0, rms >= 0, lr_sum >= 0),
    kind="upper",
    source="derived; the sum of the step bounds",
)
