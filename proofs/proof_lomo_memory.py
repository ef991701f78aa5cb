"""Theorem. Gradients of b_1 .. b_K bytes (any K, any sizes) are born in this order in one backward. The most bytes alive at once are

    total = sum b_i                  if all are kept
    largest = max b_i                if each is used and freed in a hook after it is complete
    pair = max (b_i + b_i+1)         if a hook runs before its own gradient is stored, and frees what is stored (the reference code)
    max(c b, b + between, outside)   if one tensor of b bytes is used twice: its first part waits; c = 2 copies where the parts are
                                     summed in place, 3 where the sum is a tensor of its own
    entries (stored + temporary)     with temporaries of the update, the same per entry for every tensor

Source:    LOMO (https://arxiv.org/abs/2306.09782), Table 1, for the second; the others derived
Bounds:    kept, freed, scanned, tied, updated of sandbox.theory.lomo_memory
Not here:  that autograd and an allocator follow these orders (experiments/lomo_gradient_memory.py measures it); gradients of
           activations; rounding of an allocator. Sizes are numbers of bytes, but the theorem needs no integers.
           The second kernel does not see this file: largest numbers over sequences of births are no polynomials.
"""

from collections.abc import Iterable, Iterator
from itertools import product

import sympy

from sandbox.theory.certificate import is_zero
from sandbox.theory.lomo_memory import (
    between,
    copies,
    entries,
    freed,
    kept,
    largest,
    outside,
    pair,
    scanned,
    shared,
    stored,
    temporary,
    tied,
    total,
    updated,
)

Sizes = tuple[int, ...]
Events = Iterable[sympy.Expr | int]  # bytes born, negative where freed
SMALL = [sizes for K in range(1, 5) for sizes in product((1, 2, 3), repeat=K)]
smaller = sympy.Rational(999, 1000)


def after(events: Events, alive: sympy.Expr | int = 0, most: sympy.Expr | int = 0) -> tuple[sympy.Expr, sympy.Expr]:
    """What is alive after the events, and the most that was."""
    for change in events:
        alive = alive + change
        most = max(most, alive) if isinstance(alive, int) else sympy.Max(most, alive)
    return alive, most


def peak(events: Events) -> sympy.Expr:
    return after(events)[1]


def kept_events(sizes: Sizes) -> Iterator[int]:
    yield from sizes


def freed_events(sizes: Sizes) -> Iterator[int]:
    for b in sizes:
        yield from (b, -b)


def scanned_events(sizes: Sizes) -> Iterator[int]:
    """The gradient is there, the hook frees the one before, and then it is stored, to be freed by the next hook."""
    for before, b in zip((0, *sizes), sizes, strict=False):
        yield from (b, -before)


def tied_events(sizes: Sizes, first: int, last: int, b: int, n_copies: int = 3) -> Iterator[int]:
    """The tied tensor's parts are born before the gradients number `first` and `last` of the others."""
    for i in range(len(sizes) + 1):
        if i == first:
            yield b
        if i == last:
            yield from (b, b, -2 * b, -b) if n_copies == 3 else (b, -b, -b)  # the other part, their sum, the parts go, the hook frees
        yield from freed_events(sizes[i : i + 1])


def updated_events(sizes: Sizes, per_entry: int, extra: int) -> Iterator[int]:
    for n in sizes:
        yield from (n * per_entry, n * extra, -n * extra, -n * per_entry)


def pairs(sizes: Sizes) -> int:
    return max(map(sum, zip(sizes, (*sizes[1:], 0), strict=True)))


def step_01_for_any_number_of_tensors_by_induction():
    """One more gradient of b bytes, after a backward of K tensors with the peak P, the total T and the last gradient a."""
    P, T, a, b = sympy.symbols("P T a b", positive=True)
    assert after((b,), T, T) == (T + b, T + b)  # kept: alive and peak stay the total
    assert after((b, -b), 0, P) == (0, sympy.Max(P, b))  # freed: nothing stays alive
    assert after((b, -a), a, P) == (b, sympy.Max(P, a + b))  # scanned: the last one stays alive
    assert after((b, -b), a, P) == (a, sympy.Max(P, a + b))  # tied: another one while the first part of a bytes waits
    assert after((b * a, b * T, -b * T, -b * a), 0, P) == (0, sympy.Max(P, b * a + b * T))  # updated: b entries of a + T bytes


def step_02_all_kept_need_the_total():
    for sizes in SMALL:
        assert is_zero(kept.value.subs(total, sum(sizes)) - peak(kept_events(sizes)))


def step_03_freed_in_their_own_hook_they_need_the_largest():
    for sizes in SMALL:
        assert is_zero(freed.value.subs(largest, max(sizes)) - peak(freed_events(sizes)))


def step_04_a_hook_that_scans_needs_the_largest_pair():
    for sizes in SMALL:
        assert is_zero(scanned.value.subs(pair, pairs(sizes)) - peak(scanned_events(sizes)))
        assert max(sizes) <= pairs(sizes) <= 2 * max(sizes)


def step_05_a_tied_tensor_needs_two_or_three_of_its_own_or_one_and_what_comes_between():
    for sizes in (sizes for sizes in SMALL if len(sizes) <= 2):
        for first in range(len(sizes) + 1):
            for last in range(first, len(sizes) + 1):
                for b, n in product((1, 2, 3), (2, 3)):
                    inside, rest = sizes[first:last], (*sizes[:first], *sizes[last:])
                    numbers = {shared: b, copies: n, between: max(inside, default=0), outside: max(rest, default=0)}
                    assert is_zero(tied.value.subs(numbers) - peak(tied_events(sizes, first, last, b, n)))


def step_06_which_is_two_or_three_times_the_largest_where_the_tied_tensor_is_the_largest():
    for middle, rest, n in product(range(5), range(5), (2, 3)):
        assert is_zero(tied.value.subs({shared: 4, copies: n, between: middle, outside: rest}) - n * 4)


def step_07_temporaries_of_the_update_add_to_the_largest():
    for sizes in (sizes for sizes in SMALL if len(sizes) <= 3):
        for per_entry, extra in ((2, 8), (2, 12), (4, 0)):
            numbers = {entries: max(sizes), stored: per_entry, temporary: extra}
            assert is_zero(updated.value.subs(numbers) - peak(updated_events(sizes, per_entry, extra)))
    assert updated.value.subs({entries: 32000 * 4096, stored: 0, temporary: 8}) == 1_048_576_000  # 1.05 GB of copies in LOMO


def step_08_each_is_attained_by_two_tensors():
    assert kept.value.subs(total, 5) == peak(kept_events((2, 3)))
    assert freed.value.subs(largest, 3) == peak(freed_events((2, 3)))
    assert scanned.value.subs(pair, 5) == peak(scanned_events((2, 3)))
    assert tied.value.subs({shared: 2, copies: 3, between: 3, outside: 0}) == 6 == peak(tied_events((3,), 0, 1, 2))


def step_09_no_smaller_number_of_bytes_will_do():
    """Bytes are integers: one byte less is already too few, and 999 / 1000 of them for the sizes of step 8."""
    for bound, numbers, events in (
        (kept, {total: 5}, kept_events((2, 3))),
        (freed, {largest: 3}, freed_events((2, 3))),
        (scanned, {pair: 5}, scanned_events((2, 3))),
        (tied, {shared: 2, copies: 3, between: 3, outside: 0}, tied_events((3,), 0, 1, 2)),
        (updated, {entries: 3, stored: 2, temporary: 8}, updated_events((2, 3), 2, 8)),
    ):
        assert smaller * bound.value.subs(numbers) < peak(events)


def step_10_with_each_tensor_used_once_dropped_the_largest_is_not_enough():
    assert peak(tied_events((1,), 0, 1, 3)) == 9 > freed.value.subs(largest, 3)


def step_11_beyond_one_gradient_a_node_those_made_together_count_as_one():
    """A linear layer makes the gradients of weight and bias in one node: 3 and 1 are alive together, and need 4."""
    made_together = (3, 1, -3, -1)
    assert peak(made_together) == freed.value.subs(largest, 3 + 1) > freed.value.subs(largest, 3)
