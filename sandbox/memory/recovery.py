"""The most bytes that a step of SGC, SGCAdam or CESGC has alive beside weight, gradient and old state.

With A = (k/c)(d/c) entries of the measuring matrix, I = bytes of the new inner state, e bytes a number, E = max(e, 4):

    recovery     max(2 E d + 2 B + E s, 3 B) + E (s^2 / c + k) + 16 s    two tables of scores; B = E k s / c: the columns made orthonormal,
                 e < 4: + 4 A + 4 k, and e d beside the scores            as a list and as a matrix, and the chosen ones themselves
    SGC          I + e k + e d + recovery                              the kept entries
    SGCAdam      I + max((5 e + 1) d, 2 e d + recovery)                the kept entries and first moment; or the quotient, and a mask
    first step   (8 + e) A + I + that, or 16 A + e A while A is made   the draw, its squares; a state of zeros before it
    CESGC        8 A + F, or the first step on (r, long side) beside 2 e (r long side) + e (short side) r: coefficients, the basis

B grows with k s / c: for rows of n entries with n / 8 measurements and n / 32 kept it is d n / 256 numbers, so from n = 256 on it is more
than the weight, and for n = 4096 it is 16 times that. Source: read off the equations as their files write them;
equal to the allocator's record (tests/memory/test_memory_recovery.py).
Letters: d = entries, s = sparsity, k = measurements, c = chunks.
"""

from math import prod

from sandbox.memory.states import measuring, state_of
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.sgc import SGC
from sandbox.optimizers.sgc_adam import SGCAdam

DRAW = 8  # bytes of a drawn number
NARROW = 4  # bytes of a number below which the recovery copies to float32
Shape = tuple[int, ...]


def recovery(rule: SGC | SGCAdam, d: int, element: int) -> int:
    """Orthogonal matching pursuit in all chunks at once, for d entries."""
    k, s, c, e = rule.measurements, rule.sparsity, rule.chunks, max(element, NARROW)
    columns = e * k * s // c
    copied, result = (e * ((k // c) * (d // c) + k), element * d) if element < NARROW else (0, 0)
    return max(2 * e * d + result + 2 * columns + e * s, 3 * columns) + e * (s * s // c + k) + 16 * s + copied


def measured_step(rule: SGC | SGCAdam, shape: Shape, element: int) -> int:
    """A step without a refresh."""
    d = prod(shape)
    found, made = recovery(rule, d, element), state_of(rule, shape, element) - measuring(rule, shape, element)
    if isinstance(rule, SGC):
        return made + element * (rule.measurements + d) + found
    return made + max((5 * element + 1) * d, 2 * element * d + found)


def measured_first(rule: SGC | SGCAdam, shape: Shape, element: int) -> int:
    """The step in which A is drawn."""
    A = measuring(rule, shape, element)
    drawn, zeros = A // element * DRAW, state_of(rule, shape, element) - A
    return A + drawn + max(_made(drawn, element), zeros + measured_step(rule, shape, element))


def cut_down(rule: CESGC, shape: Shape, element: int, decomposition: int) -> int:
    """The step in which the basis is new. decomposition: bytes of the gradient's."""
    small, basis = (rule.rank, max(shape)), element * min(shape) * rule.rank
    A, coefficients = measuring(rule.inner, small, element), element * rule.rank * max(shape)
    drawn = A // element * DRAW
    refresh = max(decomposition, basis + coefficients + max(_made(drawn, element) + A, 3 * A))
    lift = coefficients + 2 * element * shape[0] * shape[1]
    return drawn + max(refresh, A + basis + max(2 * coefficients + measured_step(rule.inner, small, element), lift))


def _made(drawn: int, element: int) -> int:
    """The draw with unit columns, before it is A; in float64 it is A."""
    return drawn if element < DRAW else 0
