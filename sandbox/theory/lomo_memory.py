"""LOMO's memory (Lv et al. 2023, https://arxiv.org/abs/2306.09782, Table 1): the bytes of gradients during one backward.

A backward is an order of events: a gradient is born, waits, is used and is freed. Symbols, in bytes, all >= 0:

    largest, total       of the gradients; those that one node of the graph makes together count as one
    pair                 the largest sum of two gradients that are born one after the other
    shared               a tied tensor; between = the largest gradient born between its two parts, outside = elsewhere
    copies               2 where the parts are summed in place, 3 where their sum is a tensor of its own
    entries, stored, temporary    entries of the largest tensor; bytes per entry of its gradient, and of what its update makes
"""

import sympy

from sandbox.theory.base import Bound

largest, total, pair, shared, between, outside, copies = sympy.symbols("largest total pair shared between outside copies", real=True)
entries, stored, temporary = sympy.symbols("entries stored temporary", real=True)
PEAK = "most bytes of gradients alive at one time in a backward"
PROOF = "proofs/proof_lomo_memory.py"
ORDER = (largest > 0, total >= largest)

kept = Bound(
    name="lomo_memory.kept",
    quantity=PEAK,
    value=total,
    requires=ORDER,
    kind="exact",
    source="derived; no hook: every gradient waits for the optimizer",
    proof=PROOF,
)

freed = Bound(
    name="lomo_memory.freed",
    quantity=PEAK,
    value=largest,
    requires=(largest > 0,),
    kind="exact",
    source="LOMO, Table 1, whose text says so (read); derived: a hook after accumulation that uses and frees, each tensor used once",
    proof=PROOF,
)

scanned = Bound(
    name="lomo_memory.scanned",
    quantity=PEAK,
    value=pair,
    requires=(largest > 0, pair >= largest, pair <= 2 * largest),
    kind="exact",
    source="derived, after the hook of the reference code (github.com/OpenLMLab/LOMO, read): it runs before its own gradient is stored, "
    "and frees those of earlier ones",
    proof=PROOF,
)

tied = Bound(
    name="lomo_memory.tied",
    quantity=PEAK,
    value=sympy.Max(copies * shared, shared + between, outside),
    requires=(shared > 0, between >= 0, outside >= 0, copies >= 2, copies <= 3),
    kind="exact",
    source="derived, freed in a hook after accumulation: the first part waits for the other; torch sums dense parts in place, but not onto "
    "the transposed part of a head x W^T, so that a tied embedding takes 3",
    proof=PROOF,
)

updated = Bound(
    name="lomo_memory.updated",
    quantity="most bytes of gradients and of what their updates make, alive at one time in a backward",
    value=entries * (stored + temporary),
    requires=(entries > 0, stored > 0, temporary >= 0),
    kind="exact",
    source="derived; LOMO in half precision: stored 2, temporary 8 (float32 copies of gradient and weight, reference code, read)",
    proof=PROOF,
)
