"""Inductions: the step is a weighted sum that both kernels check; each planted fault is refused by both, and instances are right."""

import shutil
from dataclasses import replace

import pytest
import sympy

from sandbox.theory.certificate import Refuted
from sandbox.theory.coq import compiled, document, theorem
from sandbox.theory.induction import Induction, adding_up

n, x, y, power, total, value, after, start, term, first, coming = sympy.symbols(
    "n x y power total value after start term first coming", real=True
)
one = sympy.Integer(1)
bernoulli = Induction(  # (1 - y)^n >= 1 - n y
    "bernoulli",
    claim=power - (1 - n * y),
    index=n,
    sequences=((power, one, (1 - y) * power),),
    factor=1 - y,
    squares=((n, y),),
    domain=(y >= 0, y <= 1),
)
geometric = Induction(  # (1 - x) (x + .. + x^n) = x (1 - x^n)
    "geometric",
    claim=(1 - x) * total - x * (1 - power),
    index=n,
    sequences=((power, one, x * power), (total, sympy.Integer(0), total + x * power)),
    relation="=",
)
telescope = Induction(  # a sum of terms that the value pays for
    "telescope",
    claim=start - value - total,
    index=n,
    sequences=((total, sympy.Integer(0), total + term), (value, start, after), (term, first, coming)),
    hypotheses=((one, term - value + after),),
)
paid_exactly = replace(telescope, name="paid_exactly", relation="=", claim=-telescope.claim, hypotheses=((-one, term - value + after),))
growth = Induction(  # x <= start (1 + r_0) .. (1 + r_(n-1))
    "growth",
    claim=power * start - value,
    index=n,
    sequences=((power, one, (1 + term) * power), (value, start, after), (term, first, coming)),
    factor=1 + term,
    hypotheses=((one, after - (1 + term) * value),),
    always=(term >= 0,),
)
halves = replace(telescope, name="halves", claim=telescope.claim / 2, hypotheses=((one / 2, term - value + after),))  # cleared of its 2
RIGHT = (bernoulli, geometric, telescope, paid_exactly, growth, halves)
thousandth = sympy.Rational(1, 1000)
WRONG = {
    "a smaller bound": replace(bernoulli, claim=bernoulli.claim - thousandth),
    "a steeper line": replace(bernoulli, claim=power - (1 - n * y * (1 - thousandth))),
    "a wider domain": replace(bernoulli, domain=(y >= 0,)),
    "a dropped square": replace(bernoulli, squares=()),
    "another start": replace(bernoulli, sequences=((power, 1 - thousandth, (1 - y) * power),)),
    "another step": replace(bernoulli, sequences=((power, one, (1 - 2 * y) * power),)),
    "an equality that is none": replace(bernoulli, relation="=", squares=()),
    "another sum": replace(geometric, claim=(1 - x) * total - x * (1 + thousandth - power)),
    "a sum that starts at 1": replace(geometric, sequences=((power, one, x * power), (total, one, total + x * power))),
    "a dropped inequality": replace(telescope, hypotheses=()),
    "a multiplier too small": replace(telescope, hypotheses=((one / 2, term - value + after),)),
    "a sum that pays more": replace(telescope, claim=start - value - (1 + thousandth) * total),
    "rates of any sign": replace(growth, always=()),
    "a rate twice as large": replace(growth, hypotheses=((one, after - (1 + 2 * term) * value),)),
    "an equality from an inequality": replace(telescope, relation="=", hypotheses=()),
}
with_coq = pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc was not found; the Debian package coq brings it")


@pytest.mark.parametrize("right", RIGHT, ids=lambda induction: induction.name)
def test_the_inductions_of_this_file_hold(right):
    right.check()
    assert theorem(right).rstrip().endswith("Qed.") and f"Theorem {right.name} : forall" in theorem(right)


@pytest.mark.parametrize("name", WRONG)
def test_a_planted_fault_is_refuted(name):
    with pytest.raises(Refuted, match=WRONG[name].name):
        WRONG[name].check()


@with_coq
def test_coq_proves_them(tmp_path):
    assert compiled(document(RIGHT), tmp_path).count("Axioms:") == len(RIGHT)


@with_coq
@pytest.mark.parametrize("name", [name for name in WRONG if name != "a multiplier too small"])  # a true claim, whose multiplier Coq finds
def test_a_planted_fault_is_refused_by_coq(name, tmp_path):
    with pytest.raises(ValueError, match="coqc refuses|negative on|changes its sign"):
        compiled(document([WRONG[name]]), tmp_path)


def test_powers_and_sums_are_what_they_stand_for():
    """The claims by hand, with exact numbers: the sequences are those of the statement."""
    for n_, y_ in ((0, one / 3), (5, one / 3), (7, one)):
        assert bernoulli.claim.subs({n: n_, y: y_, power: (1 - y_) ** n_}) >= 0
    for n_, x_ in ((0, 2 * one), (4, one / 3), (6, -2 * one)):
        sums = sum((x_**k for k in range(1, n_ + 1)), sympy.Integer(0))
        assert geometric.claim.subs({x: x_, power: x_**n_, total: sums}) == 0


def test_sums_add_up_on_a_run_of_numbers():
    """Gradient descent on w^2 / 2 with lr = 1/2: w_k = 2^-k, and lr (2 - lr) w_k^2 = 2 (loss_k - loss_(k+1)), so equality."""
    half = one / 2
    summed = adding_up("summed", cost=half * (2 - half), price=2 * one)
    summed.check()
    losses, terms = [(half**k) ** 2 / 2 for k in range(5)], [(half**k) ** 2 for k in range(4)]
    by_name = {symbol.name: symbol for symbol in summed.claim.free_symbols}
    at = {by_name["total"]: sum(terms), by_name["loss_0"]: losses[0], by_name["loss"]: losses[-1]}
    assert summed.claim.subs(at) == 0 > summed.claim.subs({**at, by_name["total"]: sum(terms) + thousandth})


def test_what_it_cannot_write_is_refused():
    with pytest.raises(ValueError, match="must be a polynomial"):
        replace(geometric, claim=total - x * (1 - power) / (1 - x)).check()
    positive = sympy.Symbol("power", positive=True)
    with pytest.raises(ValueError, match="plain real symbols"):
        replace(bernoulli, claim=positive - (1 - n * y), sequences=((positive, one, (1 - y) * positive),)).check()


claimed_positive = Induction(  # "whatever starts at 1 stays positive": false, and nothing is known of the next number
    "claimed_positive", claim=value, index=n, sequences=((value, one, after),), factor=sympy.Integer(0), squares=((after, one),)
)
positive_next = sympy.Symbol("after", positive=True)
falling = replace(  # 1, 0, -1, ... is said to be >= 0
    claimed_positive, name="falling", sequences=((value, one, value - 1),), squares=((value - 1, one),), factor=sympy.Integer(0)
)
NO_STATEMENT = {
    "a next number that is positive by its name": (
        replace(claimed_positive, sequences=((value, one, positive_next),), squares=((positive_next, one),)),
        "plain real symbols",
    ),
    "a domain that bounds a sequence": (replace(falling, domain=(value >= 1,)), "change from step to step"),
    "a domain that bounds the index": (  # 1 - n, which is >= 0 for two n
        replace(falling, claim=1 - n, sequences=(), squares=((-n, one),), domain=(n <= 0,)),
        "change from step to step",
    ),
    "a second sequence of one name": (
        replace(falling, sequences=((value, sympy.Integer(-1), value), (value, one, value)), factor=one, squares=()),
        "symbols of its own",
    ),
    "a name that is real and positive": (replace(falling, domain=(sympy.Symbol("value", positive=True) >= 1,)), "the same assumptions"),
    "an equality with a pole": (  # x y = 0 for all n says nothing of y where x = 0
        replace(telescope, claim=y * n, sequences=(), hypotheses=((-1 / x, x * y),), relation="=", factor=one),
        "must be a polynomial",
    ),
}


@pytest.mark.parametrize("fault", NO_STATEMENT)
def test_what_is_false_by_its_symbols_alone_is_no_statement(fault):
    one_, said = NO_STATEMENT[fault]
    with pytest.raises(ValueError, match=said):
        one_.check()


def test_in_coq_the_power_of_the_statement_is_any_sequence_that_starts_at_1_and_is_multiplied():
    text = theorem(bernoulli)
    assert "power_ 0%nat = 1 ->" in text and "(INR n)" in text
    assert "(forall n : nat, power_ (S n) = ((power_ n) + ((-1) * (power_ n) * y_))) ->" in text
    assert "(forall n : nat, ((value_ (S n)) + (term_ n) + ((-1) * (value_ n))) <= 0) ->" in theorem(telescope)
