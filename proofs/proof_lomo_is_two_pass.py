"""Theorem. Let backward be a sequence of operations, each of which reads values of earlier operations and of weights, and let the
update of a weight, any function of its own gradient and value, come after its gradient is complete. If every operation that reads
the value of a weight comes before the update of that weight, the weights after backward are those of two passes (backward first,
then all updates). In the networks of step 3 the condition is also necessary.

It fails, and the updates differ, for a shared weight whose gradient is applied in parts (re-entrant checkpointing); accumulation
over micro-batches (proof_gradient_in_parts) and clipping by the global norm are no such functions.

Source:    derived; LOMO (https://arxiv.org/abs/2306.09782), Algorithm 1, without the assumption
Bound:     sandbox.theory.gradient_descent_in_backward.same_update
Not here:  induction over the operations: as long as no read comes after its update, each operation sees what it sees in two
           passes (step 1 checks it for every order of two networks); that autograd keeps this order (the experiments do).
"""

from collections.abc import Iterator
from itertools import permutations

import sympy

from sandbox.theory.certificate import Identity, is_zero
from sandbox.theory.gradient_descent_in_backward import in_parts, same_update

lr, x = sympy.symbols("lr x", real=True)
Event = tuple[str, int]  # ("gradient" | "through" | "update", layer)
rule = sympy.Function("rule")  # the update of one weight from its own gradient and value


def weights(layers: int) -> list[sympy.Expr]:
    return list(sympy.symbols(f"w1:{layers + 1}", real=True))


def forward(w: list[sympy.Expr]) -> list[sympy.Expr]:
    """Inputs of the layers z -> (w z)^2, and the output: a network whose backward reads every weight but the first's through."""
    inputs = [x]
    for weight in w:
        inputs.append((weight * inputs[-1]) ** 2)
    return inputs


def backward(w: list[sympy.Expr], events: tuple[Event, ...], update) -> list[sympy.Expr]:
    """The weights after the events: "gradient" of a layer, the way "through" it to its input, "update" of its weight.

    h_l = (w_l h_l-1)^2: both the gradient of w_l and the way through read w_l.
    """
    inputs, now = forward(w), list(w)
    coming, grads = {len(w) - 1: sympy.Integer(1)}, {}
    for event, layer in events:
        h = inputs[layer]
        if event == "gradient":
            grads[layer] = coming[layer] * 2 * now[layer] * h**2
        elif event == "through":
            coming[layer - 1] = coming[layer] * 2 * now[layer] ** 2 * h
        else:
            now[layer] = update(grads[layer], now[layer])
    return now


def descent(g: sympy.Expr, w: sympy.Expr) -> sympy.Expr:
    return w - lr * g


def orders(layers: int) -> Iterator[tuple[Event, ...]]:
    """Every order of the events that backward can run: what comes from above is there, and an update has its gradient."""
    events = [(event, layer) for layer in range(layers) for event in ("gradient", "through", "update") if event != "through" or layer]
    for order in permutations(events):
        at = {event: n for n, event in enumerate(order)}
        above = [(("through", layer + 1), (event, layer)) for event, layer in events if event != "update" and layer + 1 < layers]
        own = [(("gradient", layer), ("update", layer)) for layer in range(layers)]
        if all(at[first] < at[then] for first, then in above + own):
            yield order


def reads_come_first(order: tuple[Event, ...]) -> bool:
    at = {event: n for n, event in enumerate(order)}
    return all(at[read] < at["update", read[1]] for read in order if read[0] != "update")


def two_pass(order: tuple[Event, ...]) -> tuple[Event, ...]:
    return (*(e for e in order if e[0] != "update"), *(e for e in order if e[0] == "update"))


def same(left: list[sympy.Expr], right: list[sympy.Expr]) -> bool:
    return all(is_zero(a - b) for a, b in zip(left, right, strict=True))


DOWNWARDS = tuple((event, layer) for layer in (2, 1, 0) for event in ("gradient", "through", "update") if event != "through" or layer)
CERTIFICATES = tuple(  # every weight of three layers, updated as soon as it may be, moves along the gradient of two passes
    Identity(
        f"two_pass_update_of_layer_{layer}",
        backward(weights(3), DOWNWARDS, descent)[layer],
        descent(sympy.diff(forward(weights(3))[-1], weights(3)[layer]), weights(3)[layer]),
    )
    for layer in range(3)
)


def step_01_where_all_reads_come_first_every_update_is_the_one_of_two_passes():
    for layers in (2, 3):
        w, checked = weights(layers), 0
        for order in filter(reads_come_first, orders(layers)):
            inside, after = backward(w, order, descent), backward(w, two_pass(order), descent)
            updates = [(a - b, c - b) for a, c, b in zip(inside, after, w, strict=True)]
            assert all(is_zero(moved - same_update.value * wanted) for moved, wanted in updates)
            checked += 1
        assert checked > 1


def step_02_for_every_rule_of_one_tensor_weight_decay_included():
    w = weights(2)
    for order in filter(reads_come_first, orders(2)):
        assert backward(w, order, rule) == backward(w, two_pass(order), rule)


def step_03_and_in_every_other_order_some_update_differs():
    for layers in (2, 3):
        w, late = weights(layers), set()
        for order in orders(layers):
            if not reads_come_first(order):
                assert not same(backward(w, order, descent), backward(w, two_pass(order), descent))
                at = {event: n for n, event in enumerate(order)}
                late |= {layer for layer in range(1, layers) if at["update", layer] < at["through", layer]}
        assert late == set(range(1, layers))  # of every weight that is read again the read came too late in some order


def step_04_it_is_attained_by_the_first_update_that_backward_can_make():
    order = (("gradient", 1), ("through", 1), ("update", 1), ("gradient", 0), ("update", 0))
    w = weights(2)
    assert order in set(orders(2)) and same(backward(w, order, descent), backward(w, two_pass(order), descent))


def shared(w: sympy.Expr, z: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """The two parts of the gradient of w (w x)^2: of the head, whose input was made with the weight z, and of the segment below."""
    return (z * x) ** 2, w * 2 * z * x**2


def step_05_a_shared_weight_is_right_where_its_update_waits_for_both_parts():
    w = sympy.Symbol("w", real=True)
    loss = w * (w * x) ** 2
    assert is_zero(sum(shared(w, w)) - sympy.diff(loss, w))


def step_06_beyond_one_graph_the_parts_are_applied_one_by_one_and_differ():
    """Re-entrant checkpointing: the head's part is applied, then the segment below is computed again with the new weight."""
    w = sympy.Symbol("w", real=True)
    head = shared(w, w)[0]
    moved = w - lr * head
    below = w * 2 * moved * x**2  # w of the loss was read before; the segment reads the new one
    distance = sympy.expand((moved - lr * below) - (w - lr * sum(shared(w, w))))
    assert not is_zero(distance)
    numbers = dict(zip(in_parts_symbols(), (head, 2 * w * x**2, lr, 2), strict=True))
    assert is_zero(distance - in_parts.value.subs(numbers, simultaneous=True))  # the bound of two parts, attained


def in_parts_symbols() -> tuple[sympy.Symbol, ...]:
    by_name = {symbol.name: symbol for symbol in in_parts.value.free_symbols}
    return tuple(by_name[name] for name in ("G", "L", "lr", "k"))


def step_07_clipping_by_the_global_norm_is_no_function_of_one_gradient():
    """Gradients (3, 4) and (3, 0) arrive as 3 first; clipped to norm 1 they need the updates 3/5 and 1 of that tensor."""
    clipped = [first / sympy.sqrt(first**2 + later**2) for first, later in ((sympy.Integer(3), 4), (sympy.Integer(3), 0))]
    assert clipped == [sympy.Rational(3, 5), 1]


def step_08_no_smaller_multiple_of_the_update_will_do_and_no_larger():
    w, order = weights(2), next(filter(reads_come_first, orders(2)))
    updates = [a - b for a, b in zip(backward(w, order, descent), w, strict=True)]
    wanted = [a - b for a, b in zip(backward(w, two_pass(order), descent), w, strict=True)]
    for factor in (sympy.Rational(999, 1000), sympy.Rational(1001, 1000)):
        assert not any(is_zero(a - factor * b) for a, b in zip(updates, wanted, strict=True))


def step_09_with_the_order_dropped_the_weight_below_moves_wrongly():
    """x = w = 1, lr = 1/2 and the update of the head before the way through it: the head is 0 then, and nothing comes through."""
    order = (("gradient", 1), ("update", 1), ("through", 1), ("gradient", 0), ("update", 0))
    ones = {lr: sympy.Rational(1, 2), **{symbol: 1 for symbol in (*weights(2), x)}}
    inside, after = (backward(weights(2), events, descent)[0].subs(ones) for events in (order, two_pass(order)))
    assert inside == 1 != after


def step_10_the_certificates_for_the_second_kernel_hold():
    for one in CERTIFICATES:
        one.check()
